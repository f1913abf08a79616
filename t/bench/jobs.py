#!/usr/bin/env python3
"""Jobs over MEMBERS members: seconds from the request to the job's end, by two
back-end workers and one Redis with `appendfsync always`."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from backend import Backend

MEMBERS = int(os.environ.get("MEMBERS", "100000"))


def timed(backend, name, path, body, content_type="application/json"):
    begun = time.monotonic()
    _, job = backend.call("POST", path, body, content_type)
    job, _ = backend.finish(job["id"], seconds=600)
    seconds = time.monotonic() - begun
    assert job["state"] == "done" and job["failed"] == 0, job
    print(f"jobs.{name}_seconds {seconds:.1f}")
    print(f"jobs.{name}_members_per_second {MEMBERS / seconds:.0f}",
          flush=True)


def memory(backend):
    info = dict(line.split(":", 1) for line in
                backend.redis("info", "memory").splitlines() if ":" in line)
    return int(info["used_memory"])


def main():
    rows = "".join(f"m{i:07},m{i}@example.com,Name {i},+447{i:09}\n"
                   for i in range(MEMBERS))
    with Backend() as backend:
        before = memory(backend)
        timed(backend, "import", "members/import",
              "id,email,name,phone\n" + rows, "text/csv")
        print(f"jobs.bytes_a_member {(memory(backend) - before) // MEMBERS}")
        timed(backend, "points", "members/bulk", {
            "filter": {"field": "id", "op": "prefix", "value": "m"},
            "action": "points", "amount": 5})
        timed(backend, "nightly", "jobs", {"kind": "nightly"})
        timed(backend, "export", "members/export", {"format": "csv"})
        timed(backend, "check", "check", None)


main()
