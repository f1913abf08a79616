"""What a process holds, and whether that grows."""

import os
from pathlib import Path

PAGE = 4096


def anonymous(pid):
    """Its own memory in bytes; a zone of nginx is not its own."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows
                if row.startswith("Anonymous:")) * 1024


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def slope(values):
    """Growth from one value to the next, by least squares."""
    n = len(values)
    x, y = (n - 1) / 2, sum(values) / n
    return (sum((i - x) * (value - y) for i, value in enumerate(values))
            / sum((i - x) ** 2 for i in range(n)))
