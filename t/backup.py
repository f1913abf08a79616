#!/usr/bin/env python3
"""A site's way from one Redis to another, to Valkey and into a cluster: all of
it, value by value; and a backup taken while orders come, with nothing off."""

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import ROOT, Tap, free_port


class Redis:
    """Another one, or Valkey, on a port of its own."""

    def __init__(self, folder, cluster, server="redis-server"):
        # The port of the cluster's bus is 10 000 above.
        self.port = next(port for port in iter(free_port, None)
                         if port < 55000)
        self.folder = folder / f"redis-{self.port}"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            [server, "--bind", "127.0.0.1", "--port", str(self.port),
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
    """All keys with their lines, the last of each; TTLs move on."""
    keys = {}
    for line in map(json.loads, backup.splitlines()[1:-1]):
        line.pop("expires", None)
        name = line["kind"], json.dumps(line.get("rest"))
        if line["type"] == "none":
            del keys[name]
        else:
            keys.setdefault(name, []).append(json.dumps(line, sort_keys=True))
    return {name: sorted(lines) for name, lines in keys.items() if lines}


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


class Writes(threading.Thread):
    """Orders, new members and grants, one after the other, until stopped."""

    def __init__(self, backend):
        super().__init__()
        self.backend, self.done, self.rounds = backend, False, 0
        self.start()

    def run(self):
        while not self.done:
            self.rounds += 1
            time.sleep(0.02)
            self.backend.call("POST", "orders/batch", "\n".join(
                json.dumps({"order_id": f"w{self.rounds}-{i}",
                            "member_id": f"m{(self.rounds * 97 + i) % 3000}",
                            "status": "completed", "currency": "GBP",
                            "total": 500 + i, "lines": []})
                for i in range(80)), "application/x-ndjson")
            self.backend.call("POST", f"members/m{self.rounds % 700}/points",
                              {"amount": 3, "reason": "thanks"})
            self.backend.call("PATCH", f"members/m{self.rounds % 700}", {
                "name": f"Name {self.rounds}",
                "email": f"m{self.rounds}@example.com"})

    def stop(self):
        self.done = True
        self.join()


def nothing_off(backend):
    _, job = backend.call("POST", "check")
    job, _ = backend.finish(job["id"])
    return job["state"] == "done" and job["failed"] == 0, job


def check_other(tap, backend, backup, name, cluster, server="redis-server"):
    other = Redis(backend.dir, cluster, server)
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


def check_while_written(tap, backend, server, times):
    """A backup is one moment of a site that is written to."""
    writes = Writes(backend)
    try:
        with Backend(server=server) as other:
            for number in range(times):
                before = writes.rounds
                written = script("backup", f"unix:{backend.dir}/redis.sock",
                                 SITE)
                during = writes.rounds - before
                read = script("restore", f"unix:{other.dir}/redis.sock",
                              "--replace", data=written.stdout)
                said = (f"{during} {written.stderr.decode()} "
                        f"{read.stderr.decode()}")
                good, job = (False, None) if read.returncode else \
                    nothing_off(other)
                tap.ok(written.returncode == 0 and during > 1 and good
                       and b'"none"' in written.stdout
                       and job["total"] >= 700,
                       f"backup {number + 1} while orders come, read by "
                       f"{Path(server).name}: nothing is off",
                       f"{said}{str(job)[:600]}")
    finally:
        writes.stop()


def check_parts(tap, backend, here):
    """What of it is secret, and what belongs to the installation."""
    with_secrets = script("backup", here, SITE).stdout
    without = script("backup", here, "--no-secrets", SITE).stdout
    tap.ok(b"whsec-test" in with_secrets and b"whsec-test" not in without
           and len(content(without)) == len(content(with_secrets)) - 1,
           "the secrets of webhooks are in it, or left out")
    kinds = {kind for kind, _ in content(with_secrets)}
    tap.ok(not kinds & {"tokens", "staff", "session"}
           and not any("lease" in rest for _, rest in content(with_secrets)),
           "no staff, no tokens, no leases", kinds)

    backend.redis("hset", "loyalty:staff", "a@example.com", "{}")
    installation = script("backup", here, "--installation").stdout
    other = Redis(backend.dir, False)
    there = f"127.0.0.1:{other.port}"
    first = script("restore", there, data=installation)
    refused = script("restore", there, data=installation)
    replaced = script("restore", there, "--replace", data=installation)
    tap.ok(first.returncode == 0 and refused.returncode == 1
           and replaced.returncode == 0
           and other.call("hkeys", "loyalty:staff") == "a@example.com"
           and other.call("hgetall", "loyalty:tokens")
           == backend.redis("hgetall", "loyalty:tokens"),
           "staff and tokens are a backup of their own",
           first.stderr + refused.stderr + replaced.stderr)
    script("restore", there, "--unlisted", data=with_secrets)
    tap.ok(other.call("exists", f"loyalty:p:{{{SITE}}}") == "1"
           and other.call("sismember", "loyalty:sites", SITE) == "0",
           "a copy to be looked at is not worked on")
    other.stop()


def check_pause(tap, backend, here):
    """A pause too short is said: a file in which things move is none."""
    writes = Writes(backend)
    try:
        short = script("backup", here, "--pause", "0.001", SITE)
    finally:
        writes.stop()
    tap.ok(short.returncode == 1 and b"--pause" in short.stderr
           and b'"end"' not in short.stdout,
           "a pause too short for what changes is said", short.stderr)


def main():
    tap = Tap()
    valkey = shutil.which("valkey-server")
    with Backend() as backend:
        fill(backend)
        good, job = nothing_off(backend)
        tap.ok(good, "nothing is off to begin with", str(job)[:600])
        here = f"unix:{backend.dir}/redis.sock"
        backend.nginx.terminate()
        backend.nginx.wait(20)
        backend.redis("hset", f"loyalty:x:{{{SITE}}}:secrets", "crm",
                      "whsec-test")
        written = script("backup", here, SITE)
        backup = written.stdout
        tap.ok(written.returncode == 0 and backup.count(b"\n") > 3000,
               "a backup is written", written.stderr.decode())
        check_other(tap, backend, backup, "another Redis", False)
        check_other(tap, backend, backup, "a cluster", True)
        if valkey:
            check_other(tap, backend, backup, "Valkey", False, valkey)
            check_other(tap, backend, backup, "a cluster of Valkey", True,
                        valkey)
        else:
            print("# skip Valkey: there is no valkey-server here")
        check_parts(tap, backend, here)

        tap.ok(script("backup", here, "nowhere").returncode == 1
               and script("restore", here, data=b"{}").returncode == 1,
               "no such site; no such file")

        back = script("restore", here, "--replace", data=backup)
        tap.ok(back.returncode == 0
               and content(script("backup", here, SITE).stdout)
               == content(backup), "back in the first, in place")

    with Backend() as backend:
        fill(backend)
        check_while_written(tap, backend, "redis-server", 3)
        if valkey:
            check_while_written(tap, backend, valkey, 1)
        check_pause(tap, backend, f"unix:{backend.dir}/redis.sock")
    tap.done()


main()
