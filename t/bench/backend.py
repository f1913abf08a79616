"""The back end with few and many members (SIZES, by default "10000 100000";
five orders each by ORDERS=5): two workers, one Redis as conf/redis.conf has it.

backend.SIZE.METRIC VALUE, then backend.growth.METRIC, the largest size's value
divided by the smallest's.

Members come by import jobs, orders by the stream and the applying worker; with
AOF=off (`scripts/bench backend big`) Redis writes no AOF meanwhile.  Rules are
made when that is done, so that history fires none.  Reads are timed one after
another on one connection, quiet and while orders are applied without a pause;
reads a second are wrk's, eight connections.  Orders applied a second is one
process of the applying code (t/bench/apply.c), beside the same commands sent
again to the same Redis, put back to where it was.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from backend import SITE, Backend
from backend_site import (Orders, Reader, Stream, add_rules, load_members,
                          load_orders, member, must, redis_client, set_up)
from demo import ROOT, free_port

SIZES = [int(size) for size in
         os.environ.get("SIZES", "10000 100000").split()]
ORDERS = int(os.environ.get("ORDERS", "5"))
AOF = os.environ.get("AOF", "on") == "on"
READS = int(os.environ.get("READS", "300"))  # of each route, quiet
BUSY = int(os.environ.get("BUSY", "40000"))  # orders applied meanwhile
STEADY = int(os.environ.get("STEADY", "1000"))  # orders a second, a big shop's
STEADY_SECONDS = 20
LETTERS = int(os.environ.get("LETTERS", "10000"))
PROGRAMS = Path(os.environ.get("BUILD", ROOT / "build")) / "bench"


class Site:
    def __init__(self, size, backend, port):
        self.size, self.backend, self.port = size, backend, port
        self.redis = redis_client(f"{backend.dir}/redis.sock")
        self.orders = Orders(size)
        self.cursors, self.metrics = {}, {}

    def say(self, name, value, digits=0):
        self.metrics[name] = value
        print(f"backend.{self.size}.{name} {value:.{digits}f}", flush=True)

    def progress(self, what, done, of):
        print(f"{self.size}: {what} {done} of {of}", file=sys.stderr,
              flush=True)

    def used(self):
        text = self.redis.call("INFO", "memory").decode()
        return int(text.split("used_memory:")[1].split()[0])

    def load(self):
        count = self.size * ORDERS
        if not AOF:
            self.redis.call("CONFIG", "SET", "appendonly", "no")
        began, empty = time.monotonic(), self.used()
        load_members(self.backend, self.size, self.progress)
        seconds, filled = time.monotonic() - began, self.used()
        self.say("load.members_seconds", seconds, 1)
        self.say("memory.bytes_per_member", (filled - empty) / self.size)
        began = time.monotonic()
        load_orders(self.redis, self.orders, count, self.progress)
        seconds, full = time.monotonic() - began, self.used()
        self.say("load.orders_seconds", seconds, 1)
        self.say("load.orders_per_second", count / seconds)
        self.say("memory.bytes_per_order", (full - filled) / count)
        self.say("memory.redis_mb", full / 1e6, 1)
        if not AOF:
            began = time.monotonic()
            self.redis.call("CONFIG", "SET", "appendonly", "yes")
            self.rewritten()
            self.say("load.aof_seconds", time.monotonic() - began, 1)

    def rewritten(self):
        while True:
            text = self.redis.call("INFO", "persistence").decode()
            if "aof_rewrite_in_progress:0" in text \
                    and "aof_rewrite_scheduled:0" in text:
                return
            time.sleep(0.1)

    def memory_by_kind(self):
        """Bytes of a key by its kind, the mean of a hundred by chance."""
        for kind in ("m", "h", "mo", "mm"):
            sizes = self.redis.pipeline([
                ("MEMORY", "USAGE", f"loyalty:{kind}:{{{SITE}}}:"
                 f"{member(random.randrange(self.size))}", "SAMPLES", "0")
                for _ in range(100)])
            sizes = [size for size in sizes if size]
            if sizes:
                self.say(f"memory.key_{kind}_bytes", statistics.mean(sizes))
        sizes = self.redis.pipeline([
            ("MEMORY", "USAGE", f"loyalty:o:{{{SITE}}}:o"
             f"{random.randrange(self.size * ORDERS) + 1:08}")
            for _ in range(100)])
        self.say("memory.key_o_bytes", statistics.mean(sizes))
        for kind in ("mi", "ie", "ip", "in"):
            size = self.redis.call("MEMORY", "USAGE",
                                   f"loyalty:{kind}:{{{SITE}}}")
            self.say(f"memory.index_{kind}_bytes_per_member",
                     size / self.size)

    def some(self):
        return member(random.randrange(self.size))

    def routes(self):
        """A path, by chance, of each kind of read."""
        n, some = random.randrange, self.some
        return {
            "member": lambda: f"members/{some()}",
            "by_email": lambda: f"members?email={some()}@example.com",
            "by_name": lambda: f"members?name=Name%20{n(self.size)}",
            "search": lambda: f"members?q={some()}",
            "members": lambda: "members?limit=50" + self.cursor("members"),
            "member_orders": lambda: f"members/{some()}/orders",
            "order": lambda: f"orders/o{n(self.size * ORDERS) + 1:08}",
            "statement": lambda: f"members/{some()}/ledger?kind=points",
            "consents": lambda: f"members/{some()}/consents",
            "groups": lambda: "groups",
            "group_members": lambda: f"groups/{self.group}/members?limit=50"
                                     + self.cursor("group_members"),
            "messages": lambda: "messages?limit=50" + self.cursor("messages"),
            "blocked": lambda: "messages?state=blocked&limit=50"
                               + self.cursor("blocked"),
            "member_messages": lambda: f"members/{some()}/messages",
            "message_stats": lambda: "stats/messages",
            "stats": lambda: "stats",
            "jobs": lambda: "jobs",
            "quote": lambda: ("quotes", {
                "member_id": some(), "currency": "GBP", "lines": [
                    {"sku": f"SKU-{n(1000):04}", "quantity": 1,
                     "unit_price": 1000} for _ in range(3)]}),
        }

    def cursor(self, name):
        cursor = self.cursors.get(name)
        return f"&cursor={cursor}" if cursor else ""

    def read(self, reader, name, make, times):
        path = make()
        body = None
        if isinstance(path, tuple):
            path, body = path
        seconds, status, answer = reader.ask(path, body)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {answer[:500]}")
        if "limit=" in path:
            self.cursors[name] = json.loads(answer).get("next_cursor")
        times.append(seconds)

    def quiet_reads(self):
        reader, every = Reader(self.backend), []
        for name, make in self.routes().items():
            times = []
            for _ in range(READS):
                self.read(reader, name, make, times)
            cuts = statistics.quantiles(times, n=100)
            self.say(f"read.{name}_p50_us", cuts[49] * 1e6)
            self.say(f"read.{name}_p99_us", cuts[98] * 1e6)
            every += times
        cuts = statistics.quantiles(every, n=100)
        self.say("read.all_p50_us", cuts[49] * 1e6)
        self.say("read.all_p99_us", cuts[98] * 1e6)

    def reads_while_applied(self, what, rate=None):
        """While another process sees to it that orders never run out, or
        come at that rate a second."""
        some = 500 if rate is None else max(1, rate // 50)
        total = BUSY if rate is None else rate * STEADY_SECONDS
        events = [[self.orders.next() for _ in range(some)]
                  for _ in range(total // some)]

        def feed():
            redis = redis_client(f"{self.backend.dir}/redis.sock")
            stream = Stream(redis)
            began = time.monotonic()
            for number, group in enumerate(events):
                stream.send(group)
                if rate is None:
                    stream.wait(left=5000)
                else:
                    due = began + (number + 1) * some / rate
                    time.sleep(max(0, due - time.monotonic()))
            stream.wait()

        reader, routes = Reader(self.backend), self.routes()
        times = {name: [] for name in routes}
        began = time.monotonic()
        feeder = multiprocessing.get_context("fork").Process(target=feed)
        feeder.start()
        while feeder.is_alive():
            for name, make in routes.items():
                self.read(reader, name, make, times[name])
        feeder.join()
        seconds = time.monotonic() - began
        assert feeder.exitcode == 0
        self.say(f"{what}.orders_per_second", len(events) * some / seconds)
        self.say(f"{what}.reads", sum(map(len, times.values())))
        for name, values in times.items():
            self.say(f"{what}.{name}_p99_us",
                     statistics.quantiles(values, n=100)[98] * 1e6)
        cuts = statistics.quantiles(
            [value for values in times.values() for value in values], n=1000)
        self.say(f"{what}.all_p50_us", cuts[499] * 1e6)
        self.say(f"{what}.all_p99_us", cuts[989] * 1e6)
        self.say(f"{what}.all_p999_us", cuts[998] * 1e6)

    def reads_per_second(self):
        for name, path in (("member", "members/m%07d"),
                           ("orders", "members/m%07d/orders"),
                           ("search", "members?email=m%07d@example.com")):
            script = self.backend.dir / "reads.lua"
            script.write_text(f"""
                wrk.headers["Authorization"] = "Bearer {self.backend.token}"
                function request()
                    return wrk.format("GET", ("/v1/sites/{SITE}/{path}"
                        ):format(math.random(0, {self.size - 1})))
                end
                function done(summary, latency)
                    print(("rps %f p99 %f errors %d"):format(summary.requests
                          / summary.duration * 1e6, latency:percentile(99),
                          summary.errors.status))
                end""")
            out = subprocess.run(
                ["wrk", "-t1", "-c8", "-d3s", "-s", script,
                 f"http://127.0.0.1:{self.port}/"], check=True,
                capture_output=True, text=True).stdout
            words = next(line.split() for line in out.splitlines()
                         if line.startswith("rps "))
            assert words[5] == "0", out
            self.say(f"reads.{name}_per_second", float(words[1]))
            self.say(f"reads.{name}_p99_us", float(words[3]))

    def timed(self, name, path, body):
        """A job, from the request to its end."""
        began = time.monotonic()
        made = must(self.backend.call("POST", path, body))
        job, _ = self.backend.finish(made.get("job", made["id"]), seconds=900)
        seconds = time.monotonic() - began
        assert job["state"] == "done" and job["failed"] == 0, job
        self.say(f"jobs.{name}_seconds", seconds, 1)
        return made

    def jobs(self):
        """A tenth of the members, those whose number ends in 7: no index
        finds them."""
        made = self.timed("group", "groups", {
            "name": "Tenth", "filter": {"field": "attributes.last",
                                        "op": "eq", "value": "7"}})
        self.group = made["id"]
        found = must(self.backend.call("GET", f"groups/{self.group}"))
        assert found["count"] == self.size // 10, found
        self.timed("points", f"groups/{self.group}/points",
                   {"amount": 5, "reason": "Bench"})

    def letters(self):
        """From the request to the last letter in the mailbox, each claimed
        and recorded by transactions; and rendering alone."""
        folder = self.backend.dir / "mail"
        ids = [member(i) for i in range(1, min(LETTERS, self.size), 2)]
        began = time.monotonic()
        must(self.backend.call("POST", "broadcasts", {
            "channels": ["email"], "title": "Dear {{member.name}}",
            "content": "{{member.points.active}} points.\n",
            "html": "<html><body><p>{{member.points.active}} points</p>"
                    "<a href=\"{{unsubscribe_url}}\">No more</a></body>"
                    "</html>", "sender_address": "shop@example.com",
            "consent": "opted_in", "members": ids}))
        deadline = began + 600
        while sum(1 for _ in folder.glob("*.eml")) < len(ids):
            if time.monotonic() > deadline:
                raise RuntimeError("the letters do not come")
            time.sleep(0.05)
        self.say("messages.per_second", len(ids) / (time.monotonic() - began))
        shutil.rmtree(folder)

        document = self.backend.dir / "program"
        document.write_bytes(self.redis.call("GET", f"loyalty:p:{{{SITE}}}"))
        out = subprocess.run([PROGRAMS / "letter", document, "rule-00"],
                             check=True, capture_output=True, text=True).stdout
        self.say("messages.rendered_per_second", float(out.split()[1]))

    def apply(self):
        """When nginx has gone: one process applies, Redis alone repeats."""
        events = self.backend.dir / "events"
        with open(events, "w") as file:
            for _ in range(BUSY):
                file.write(self.orders.next() + "\n")
        rounds = 3 if self.size <= 100000 else 1
        out = subprocess.run(
            [PROGRAMS / "apply", f"{self.backend.dir}/redis.sock", events,
             SITE, str(rounds)], check=True, capture_output=True,
            text=True).stdout
        values = {}
        for line in out.splitlines():
            name, value = line.split()
            values.setdefault(name, []).append(float(value))
        for name, list_ in values.items():
            self.say(name.replace("apply_", "apply.", 1),
                     statistics.median(list_), 3)


def measure(size):
    port = free_port()
    with Backend(http=f"""
                 loyalty_delivery mailbox=FOLDER/mail secret=FOLDER/secret;
                 server {{
                     listen 127.0.0.1:{port};
                     keepalive_requests 100000000;
                     location /v1/ {{ loyalty_backend rate=off; }}
                 }}
                 keepalive_requests 100000000;""",
                 files={"secret": "0123456789abcdef" * 2 + "\n"},
                 parameters="rate=off",
                 redis=("--enable-debug-command", "local",
                        "--rdbcompression", "no")) as backend:
        site = Site(size, backend, port)
        set_up(backend)
        site.load()
        site.memory_by_kind()
        site.jobs()
        add_rules(backend)
        site.quiet_reads()
        site.reads_per_second()
        site.reads_while_applied("steady", STEADY)
        site.reads_while_applied("busy")
        site.letters()
        backend.nginx.terminate()
        backend.nginx.wait(20)
        site.apply()
    return site.metrics


def main():
    # stopped half-way, it takes its servers along
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    subprocess.run([ROOT / "t" / "bench" / "apply.sh", "build"], check=True)
    metrics = [measure(size) for size in SIZES]
    if len(metrics) > 1:
        for name, value in metrics[-1].items():
            if metrics[0].get(name):
                print(f"backend.growth.{name} {value / metrics[0][name]:.2f}")


main()
