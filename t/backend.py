#!/usr/bin/env python3
"""Back ends side by side: who applies a site's orders when its holder is
killed, frozen or stopped; visits from the edge to the member; an event that
never comes to an end; small transactions while the API is asked; more requests
than a worker takes."""

import http.client
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend_api import Unix
from demo import Tap
from edge import Edge, Folder, Redis, put, wait
from redis_client import MODULES, NGINX, ROOT

LEASE = 3.0  # LOYALTY_LEASE_MS
RETRY = 0.25
SLACK = 2.0  # of a busy machine
REQUESTS = 512  # NGX_HTTP_LOYALTY_BACKEND_MAX
DELIVERIES = 16  # LOYALTY_APPLY_DELIVERIES_MAX
SMALL, LARGE = 32, 96  # LOYALTY_APPLY_AWAITED, LOYALTY_BATCH_EVENTS_MAX
MEMBERS = 7

ORDERS = "loyalty:s:{demo}:orders"
VISITS = "loyalty:s:{demo}:visits"

tap = Tap()


class Backend:
    """A back end, a process group of its own."""

    token = None

    def __init__(self, folder, redis, name):
        self.folder = folder.path / name
        self.folder.mkdir()
        self.log = self.folder / "error.log"
        self.socket = self.folder / "api.sock"
        if not Backend.token:
            Backend.token = subprocess.run(
                [ROOT / "scripts/token", "--redis", redis.address, "--name",
                 "backend"], check=True, capture_output=True,
                text=True).stdout.strip()
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "conf").write_text(f"""
            user root;
            load_module {MODULES}/ngx_http_loyalty_module.so;
            worker_processes 1;
            worker_rlimit_nofile 4096;
            error_log {self.log} info;
            pid {self.folder}/pid;
            events {{ worker_connections 2048; }}
            http {{
                access_log off;
                {temp}
                loyalty_redis {redis.address} timeout=2s;
                server {{
                    listen unix:{self.socket} backlog=2048;
                    location /v1/ {{ loyalty_backend; }}
                }}
            }}""")
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)  # of one that was killed
        with open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(
                [NGINX, "-p", self.folder, "-c", self.folder / "conf",
                 "-g", "daemon off;"],
                stdout=out, stderr=out, start_new_session=True)
        if not wait(lambda: self.call("GET", "stats")[0] != 0, 20):
            raise RuntimeError((self.folder / "out").read_text())

    def signal(self, number):
        """To all of it at once."""
        os.killpg(self.process.pid, number)

    def end(self, number):
        self.signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(20)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(20)

    def call(self, method, path, body=None):
        connection = Unix(self.socket)
        try:
            connection.request(
                method, f"/v1/sites/demo/{path}",
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {self.token}",
                 "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def taken(self):
        """How often it took the lease."""
        return self.log.read_text().count("applying the orders of site")

    def alarms(self):
        return [line for line in self.log.read_text().splitlines()
                if re.search(r"\[(alert|crit|emerg)\]|Sanitizer", line)
                and "exited on signal 9" not in line]


def event(number, member=None, status="completed"):
    return json.dumps({
        "order_id": f"o{number}", "member_id": member or
        f"m{number % MEMBERS}", "status": status, "currency": "GBP",
        "placed_at": "2026-01-01T00:00:00Z", "total": 1000 + number,
        "lines": [{"sku": "a", "quantity": 1, "amount": 1000 + number}]})


class Feed(threading.Thread):
    """Each order placed and completed, the latter twice, until stopped."""

    def __init__(self, redis):
        super().__init__()
        self.redis, self.sent = redis, 0
        self.stop = threading.Event()

    def run(self):
        while not self.stop.wait(0.01):
            first = self.sent + 1
            self.sent += 10
            self.redis.pipe([
                ("XADD", ORDERS, "*", "e", event(n, status=status), "i", "j")
                for n in range(first, first + 10)
                for status in ("placed", "completed", "completed")])


def settled(redis, stream=ORDERS):
    text = redis.cli("XINFO", "GROUPS", stream).decode().split()
    return (text and text[text.index("pending") + 1] == "0"
            and text[text.index("lag") + 1] == "0")


def takeover(redis, backends):
    feed = Feed(redis)
    feed.start()

    def holder():
        """Who applies, by the order in which they took the lease."""
        return max(backends, key=lambda b: max(
            [i for i, line in enumerate(everything()) if line[0] is b],
            default=-1))

    def everything():
        found = [(line[:19], b) for b in backends
                 for line in b.log.read_text().splitlines()
                 if "applying the orders of site" in line]
        return [(b, at) for at, b in sorted(found, key=lambda x: x[0])]

    def after(what, act, limit):
        first = holder()
        other = next(b for b in backends if b is not first)
        before = other.taken()
        act(first)
        began = time.monotonic()
        good = wait(lambda: other.taken() > before, limit + 5)
        took = time.monotonic() - began
        print(f"# {what}: {took:.2f} s")
        tap.ok(good and took < limit,
               f"{what}: the other one goes on within {limit:.2f} s",
               f"{took:.2f} s")
        return first, other

    tap.ok(wait(lambda: sum(b.taken() for b in backends) == 1),
           "one of two back ends applies the orders")

    first, _ = after("killed", Backend.kill, LEASE + RETRY + SLACK)
    time.sleep(0.5)
    first.start()
    time.sleep(1)

    first, other = after("frozen", lambda b: b.signal(signal.SIGSTOP),
                         LEASE + RETRY + SLACK)
    time.sleep(1)
    first.signal(signal.SIGCONT)
    time.sleep(1)
    before = first.taken()
    time.sleep(1)
    tap.ok(first.taken() == before, "thawed, it leaves the orders to the one "
           "who has them now")

    # Released on the way out, so that nobody waits for the lease to end.
    first, _ = after("stopped", lambda b: b.end(signal.SIGQUIT), 1 + SLACK)
    first.start()

    feed.stop.set()
    feed.join()
    tap.ok(wait(lambda: settled(redis), 30), f"all of {feed.sent} orders are "
           "applied")
    wrong = []
    for m in range(MEMBERS):
        totals = [1000 + n for n in range(1, feed.sent + 1)
                  if n % MEMBERS == m]
        member = backends[0].call("GET", f"members/m{m}")[1]
        wanted = (len(totals), sum(totals), sum(t // 100 for t in totals))
        found = (member["order_count"], member["spent_total"],
                 member["points"]["active"])
        if wanted != found:
            wrong.append((m, wanted, found))
    tap.ok(not wrong, "orders, spend and points of every member are right, "
           "nothing lost and nothing twice", wrong)


def visits(folder, redis, backend):
    now = time.time()
    put(redis, "back", last_visit_at=-100 * 86400, spent_total=1)
    put(redis, "gone", last_visit_at=-3540, spent_total=1)
    put(redis, "hour", last_visit_at=-3660, spent_total=1)
    put(redis, "never", spent_total=1)
    version = {m: backend.call("GET", f"members/{m}")[1]["version"]
               for m in ("back", "gone", "hour", "never")}
    edge = Edge(folder, redis.address)
    try:
        edge.linked(redis)
        for _ in range(20):
            for member in ("back", "gone", "hour", "never", "nobody"):
                edge.see(member)
        wait(lambda: int(redis.cli("XLEN", VISITS)) == 0, 1)
        wait(lambda: settled(redis, VISITS), 10)
        text = redis.cli("XINFO", "STREAM", VISITS).decode().split()
        added = int(text[text.index("entries-added") + 1])
        tap.ok(added == 3, "20 pages each: one visit of each member who was "
               "not here within the hour", added)
        read = {m: backend.call("GET", f"members/{m}")[1] for m in version}

        def at(member):
            return time.mktime(time.strptime(
                read[member]["last_visit_at"][:19], "%Y-%m-%dT%H:%M:%S")
            ) - time.timezone

        tap.ok(all(abs(at(m) - now) < 60 for m in ("back", "hour", "never")),
               "the back end has written them down", read)
        tap.ok(abs(at("gone") - (now - 3540)) < 60, "and not the visit that "
               "goes on", read["gone"])
        tap.ok({m: read[m]["version"] - version[m] for m in version}
               == {"back": 1, "gone": 0, "hour": 1, "never": 1},
               "one change of each member", (version, read))
        tap.ok("at_risk" in read["back"]["segments"]
               and "at_risk" not in read["hour"]["segments"],
               "who comes back is at risk while being won back",
               (read["back"]["segments"], read["hour"]["segments"]))
    finally:
        edge.stop()

    # From several edges, late, and such as no edge writes.
    base = int(now * 1000) - 10 * 86400000
    put(redis, "carl", spent_total=1)
    redis.pipe([("XADD", VISITS, "*", *fields) for fields in (
        *(("m", "carl", "t", t) for t in (base, base + 1800000,
                                          base + 3660000, base + 60000)),
        ("m", "carl"), ("t", base), ("m", "carl", "t", "soon"),
        ("m", "x" * 200, "t", base), ("m", "a\nb", "t", base),
        ("m", "nobody", "t", base), ("m", "carl", "t", 2 ** 63 - 1))])
    tap.ok(wait(lambda: settled(redis, VISITS), 10), "entries that are no "
           "visits do not stay")
    member = backend.call("GET", "members/carl")[1]
    wanted = time.strftime("%Y-%m-%dT%H:%M:%S",
                           time.gmtime((base + 3660000) // 1000))
    # The first, the one past the hour, and the late one between the two.
    tap.ok(member["last_visit_at"][:19] == wanted and member["version"] == 3,
           "what is within the hour of a visit changes nothing", member)


def poison(redis, backend):
    """Delivered again and again, as by workers that died of it."""
    wait(lambda: settled(redis))
    backend.end(signal.SIGQUIT)
    ids = [redis.cli("XADD", ORDERS, "*", "e", event(n, "pat"), "i",
                     f"j{n}").decode().strip()
           for n in (900001, 900002, 900003)]
    redis.cli("XREADGROUP", "GROUP", "loyalty", "apply", "COUNT", 10,
              "STREAMS", ORDERS, ">")
    redis.cli("XCLAIM", ORDERS, "loyalty", "apply", 0, ids[1], "RETRYCOUNT",
              DELIVERIES + 1)
    backend.start()
    tap.ok(wait(lambda: settled(redis), 20), "an event delivered "
           f"{DELIVERIES + 1} times does not hold up the others")
    member = backend.call("GET", "members/pat")[1]
    tap.ok(member["order_count"] == 2 and member["spent_total"]
           == 2 * 901000 + 4, "which are applied", member)
    letters = backend.call("GET", "dead-letters")[1]["dead_letters"]
    letter = next((x for x in letters if "o900002" in json.dumps(x)), None)
    tap.ok(letter and "delivered_too_often" in json.dumps(letter),
           "it is put aside, with the reason", letters)
    status, _ = backend.call("POST", f"dead-letters/{letter['id']}/replay", {})
    tap.ok(status == 202 and wait(
        lambda: backend.call("GET", "members/pat")[1]["order_count"] == 3, 10),
        "replayed, it is applied", status)
    left = backend.call("GET", "dead-letters")[1]["dead_letters"]
    tap.ok(not any("o900002" in json.dumps(x) for x in left)
           and backend.call("GET", "members/pat")[1]["spent_total"]
           == 3 * 901000 + 6, "and is no dead letter any more", left)

    # One less is still tried, alone.
    backend.end(signal.SIGQUIT)
    last = redis.cli("XADD", ORDERS, "*", "e", event(900004, "pat"), "i",
                     "j").decode().strip()
    redis.cli("XREADGROUP", "GROUP", "loyalty", "apply", "COUNT", 10,
              "STREAMS", ORDERS, ">")
    redis.cli("XCLAIM", ORDERS, "loyalty", "apply", 0, last, "RETRYCOUNT",
              DELIVERIES - 1)
    backend.start()
    tap.ok(wait(lambda: backend.call("GET", "members/pat")[1]["order_count"]
                == 4, 20), "before that it is tried once more")


def calls_first(redis, backend):
    """While the API is asked, transactions of orders are small ones."""
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(str(redis.socket))
    monitor.sendall(b"MONITOR\r\n")
    monitor.settimeout(0.1)
    seen = bytearray()

    def asks_for(count):
        try:
            seen.extend(monitor.recv(1 << 20))
        except TimeoutError:
            pass
        del seen[:-100000]
        read = f'"XREADGROUP" "GROUP" "loyalty" "apply" "COUNT" "{count}"'
        return read.encode() in seen

    tap.ok(wait(lambda: backend.call("GET", "members/pat")[0] == 200
                and asks_for(SMALL), 30),
           f"while the API is asked, {SMALL} orders a transaction")
    seen.clear()
    tap.ok(wait(lambda: asks_for(LARGE), 30), f"then {LARGE} again")
    monitor.close()


def busy(redis, backend):
    """More requests at once than a worker takes."""
    request = (f"GET /v1/sites/demo/members/pat HTTP/1.1\r\nHost: api\r\n"
               f"Authorization: Bearer {Backend.token}\r\n"
               "Connection: close\r\n\r\n").encode()
    selector = selectors.DefaultSelector()
    redis.cli("CLIENT", "PAUSE", 1500, "ALL")
    for _ in range(REQUESTS + 50):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(backend.socket))
        sock.sendall(request)
        selector.register(sock, selectors.EVENT_READ, bytearray())
    end = time.monotonic() + 30
    answers = []
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(1):
            data = key.fileobj.recv(65536)
            key.data.extend(data)
            if not data:
                answers.append(bytes(key.data))
                selector.unregister(key.fileobj)
                key.fileobj.close()
    codes = [answer[9:12] for answer in answers]
    tap.ok(codes.count(b"429") == 50 and codes.count(b"200") == REQUESTS,
           f"{REQUESTS} requests wait, 50 more are told to come again",
           {code: codes.count(code) for code in codes})
    told = next((a for a in answers if a[9:12] == b"429"), b"\r\n\r\n{}")
    body = json.loads(told.split(b"\r\n\r\n", 1)[1])
    tap.ok(body.get("error", {}).get("code") == "too_many_requests",
           "in the words of every error", body)
    tap.ok(backend.call("GET", "members/pat")[0] == 200, "and then it goes on")


def main():
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = Folder()
    redis = Redis(folder, "--appendonly", "yes", "--appendfsync", "always",
                  "--maxmemory-policy", "noeviction")
    backends = [Backend(folder, redis, name) for name in ("a", "b")]
    try:
        status, answer = backends[0].call("PUT", "settings", {
            "name": "D", "currency": "GBP", "time_zone": "UTC",
            "locales": ["en"], "active": True})
        tap.ok(status in (200, 201), "a site", answer)
        takeover(redis, backends)
        backends[1].end(signal.SIGQUIT)
        visits(folder, redis, backends[0])
        poison(redis, backends[0])
        calls_first(redis, backends[0])
        busy(redis, backends[0])
        alarms = [line for b in backends for line in b.alarms()]
        tap.ok(not alarms, "no alarm in the logs", alarms[:5])
    finally:
        for backend in backends:
            if backend.process.poll() is None:
                backend.end(signal.SIGQUIT)
        redis.stop()
        folder.remove()
    tap.done()


main()
