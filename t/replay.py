#!/usr/bin/env python3
"""One month of real orders through the demo, with 20 kills in it."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))
import demo

demo.skip_without_data()
tap = demo.Tap()
month = [str(demo.DATA / "orders-2010-12.jsonl.gz")]
demo.replay_test(tap, month, kills=20, seed=int(time.time()), over=5)
tap.done()
