#!/usr/bin/env python3
"""A site's way from one Redis to another and into a cluster: all of it, value
by value, and with nothing off."""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import ROOT, Tap, free_port


class Redis:
    """Another one, on a port of its own."""

    def __init__(self, folder, cluster):
        # The port of the cluster's bus is 10 000 above.
        self.port = next(port for port in iter(free_port, None)
                         if port < 55000)
        self.folder = folder / f"redis-{self.port}"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port),
             "--save", "", "--cluster-enabled", "yes" if cluster else "no",
             "--dir", self.folder], stdout=subprocess.DEVNULL)
        while self.call("ping") != "PONG":
            time.sleep(0.05)
        if cluster:
            self.call("cluster", "addslotsrange", "0", "16383")
            while "cluster_state:ok" not in self.call("cluster", "info"):
                time.sleep(0.05)

    def call(self, *command):
        return subprocess.run(
            ["redis-cli", "-p", str(self.port), *command], text=True,
            capture_output=True, timeout=20).stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def script(name, address, *options, data=b""):
    return subprocess.run([ROOT / "scripts" / name, "--redis", address,
                           *options], input=data, capture_output=True,
                          timeout=60)


def content(backup):
    """All lines but the first, whatever their order; TTLs move on."""
    lines = [json.loads(line) for line in backup.splitlines()[1:]]
    for line in lines:
        line.pop("expires", None)
    return sorted(json.dumps(line, sort_keys=True) for line in lines)


def fill(backend):
    lines = [json.dumps({"order_id": f"o{i}", "member_id": f"m{i % 700}",
                         "status": "completed", "currency": "GBP",
                         "total": 1000 + i, "lines": []}) for i in range(2500)]
    backend.call("POST", "orders/batch", "\n".join(lines),
                 "application/x-ndjson")
    backend.call("PATCH", "members/m1", {
        "name": "Zoë \u202e Ärger", "email": "zoe@example.com",
        "consent": {"email": True}})
    backend.call("POST", "orders", {"order_id": "bad"})
    _, job = backend.call("POST", "members/bulk", {
        "members": ["m1", "m2"], "action": "credits", "amount": 5})
    backend.finish(job["id"])


def main():
    tap = Tap()
    with Backend() as backend:
        fill(backend)
        _, job = backend.call("POST", "check")
        job, _ = backend.finish(job["id"])
        tap.ok(job["failed"] == 0, "nothing is off to begin with", job)
        backend.nginx.terminate()
        backend.nginx.wait(20)
        here = f"unix:{backend.dir}/redis.sock"
        written = script("backup", here, SITE)
        backup = written.stdout
        tap.ok(written.returncode == 0 and backup.count(b"\n") > 3000,
               "a backup is written", written.stderr.decode())

        for name, cluster in (("another Redis", False), ("a cluster", True)):
            other = Redis(backend.dir, cluster)
            there = f"127.0.0.1:{other.port}"
            restored = script("restore", there, data=backup)
            again = script("backup", there, SITE)
            tap.ok(restored.returncode == 0
                   and content(again.stdout) == content(backup),
                   f"{name} has all of it",
                   restored.stderr.decode() + again.stderr.decode())
            tap.ok(other.call("sismember", "loyalty:sites", SITE) == "1",
                   "and the site is listed")
            refused = script("restore", there, data=backup)
            replaced = script("restore", there, "--replace", data=backup)
            again = script("backup", there, SITE)
            tap.ok(refused.returncode == 1 and b"--replace" in refused.stderr
                   and replaced.returncode == 0
                   and content(again.stdout) == content(backup),
                   "a second time only where it is said",
                   replaced.stderr.decode())
            cut = backup[:len(backup) // 2]
            cut = cut[:cut.rindex(b"\n") + 1]
            broken = script("restore", there, "--replace", data=cut)
            tap.ok(broken.returncode == 1
                   and other.call("sismember", "loyalty:sites", SITE) == "0",
                   "a file cut short is said, and not listed",
                   broken.stderr.decode())
            other.stop()

        tap.ok(script("backup", here, "nowhere").returncode == 1
               and script("restore", here, data=b"{}").returncode == 1,
               "no such site; no such file")

        back = script("restore", here, "--replace", data=backup)
        tap.ok(back.returncode == 0
               and content(script("backup", here, SITE).stdout)
               == content(backup), "back in the first, in place")
    tap.done()


main()
