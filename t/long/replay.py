#!/usr/bin/env python3
"""Ten months of real orders: once in peace and again, once with 200 kills."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
import demo

demo.skip_without_data()
tap = demo.Tap()
months = sorted(str(path) for path in demo.DATA.glob("orders-*.jsonl.gz"))
demo.replay_test(tap, months, kills=0, seed=0, over=0)
demo.replay_test(tap, months, kills=200, seed=int(time.time()), over=120)
tap.done()
