"""What the cache costs and how soon it is right again.

Memory: a zone is filled until it evicts; its size by the members it held then
is what each costs, index, padding and the zone's own tables included; what is
beyond the view and the member's id is overhead. Herd: the reads Redis sees
when a thousand clients ask at once for a member nobody has asked for yet.
Latency: how long after a write in Redis a request has to be sent to be
answered with the new state, beside a bare CLIENT TRACKING connection in the
same rounds. One request a write, sent after a delay by chance, is fresh or is
not (asking again and again would measure how long an answer takes, since each
waits for the one before); the bare link is looked at in the same way, and
beside that waited for. The share that is fresh, made to rise with the delay
(isotonic regression), gives the quantiles. Stale: of TRIES requests (a million
by TRIES=1000000), each sent when the write before it has been acknowledged,
how many were answered with the old state.

BENCH="stale memory" runs some of it.
"""

import ctypes
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from edge import CLIENTS, Edge, Folder, Redis, fill, herd, member_bytes
from edge import publish, put, reads

MEMBER = "member-%06d"
MEMBERS = 300000
ZONE = 32 * 1024 * 1024
VIEW = 104  # sizeof(loyalty_view_t): a member without offers
WRITES = int(os.environ.get("WRITES", 5000))
TRIES = int(os.environ.get("TRIES", 100000))
SECONDS = int(os.environ.get("TRY_SECONDS", 600))

PR_SET_TIMERSLACK = 29

REQUEST = b"GET /?s=demo&m=anna HTTP/1.1\r\nHost: shop\r\n\r\n"


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def connect(redis):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(redis.socket))
    return sock


def say(name, value, digits=2):
    print(f"{name} {value:.{digits}f}", flush=True)


def memory(redis, folder):
    """Every member is asked for once; none is cached that was not missed."""
    edge = Edge(folder, redis.address, zone="members 32m", workers=1,
                http="keepalive_requests 100000000;")
    edge.linked(redis)
    publish(redis)
    fill(redis, member_bytes({"id": "m", "spent_total": 100000}),
         [MEMBER % i for i in range(MEMBERS)])
    asked = evicted = 0
    while asked < MEMBERS and evicted < MEMBERS / 10:
        script = folder.file("members.lua", f"""
            local i = {asked:.0f}
            function request()
                i = i + 1
                return wrk.format("GET", "/?s=demo&m=" .. ("{MEMBER}"):format(i))
            end""")
        subprocess.run(["wrk", "-t1", "-c32", "-d1s", "-s", script,
                        f"http://127.0.0.1:{edge.port}/"], check=True,
                       capture_output=True)
        asked = edge.metric('loyalty_requests_total{cache="miss"}')
        evicted = edge.metric("loyalty_cache_evictions_total")
    held = asked - evicted
    edge.stop()
    assert evicted > 0, asked
    say("memory.zone_bytes", ZONE, 0)
    say("memory.members_held", held, 0)
    say("memory.bytes_per_member", ZONE / held)
    say("memory.overhead_bytes", ZONE / held - VIEW - len(MEMBER % 0))


def cold(redis, folder):
    edge = Edge(folder, redis.address, workers=4)
    edge.linked(redis)
    publish(redis)
    counts = []
    for number in range(5):
        put(redis, f"cold{number}", spent_total=500000)
        edge.see("nobody")
        time.sleep(0.1)
        before = reads(redis)
        answers, _ = herd(edge, f"/?s=demo&m=cold{number}")
        assert answers == {("204", "silver"): CLIENTS}, answers
        counts.append(reads(redis) - before)
    edge.stop()
    say("herd.clients", CLIENTS, 0)
    say("herd.redis_reads", max(counts), 0)


class Tracker:
    """A connection that does nothing but hear of changed keys."""

    def __init__(self, redis):
        self.sock = connect(redis)
        self.sock.sendall(command(b"CLIENT", b"ID"))
        own = re.match(rb":(\d+)", self.sock.recv(4096))[1]
        self.sock.sendall(command(b"CLIENT", b"TRACKING", b"ON", b"REDIRECT",
                                  own, b"BCAST", b"PREFIX", b"loyalty:m:"))
        self.sock.recv(4096)
        self.sock.sendall(command(b"SUBSCRIBE", b"__redis__:invalidate"))
        self.sock.recv(4096)

    def hears(self):
        assert b"invalidate" in self.sock.recv(4096)

    def has_heard(self):
        try:
            return b"invalidate" in self.sock.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False


def reached(tries, share):
    """The delay from which on at least that share of (delay, fresh) is."""
    blocks = []
    for delay, fresh in sorted(tries):
        blocks.append([delay, fresh, 1])
        while len(blocks) > 1 and (blocks[-2][1] * blocks[-1][2]
                                   >= blocks[-1][1] * blocks[-2][2]):
            _, more, n = blocks.pop()
            blocks[-1][1] += more
            blocks[-1][2] += n
    return next((delay for delay, fresh, n in blocks if fresh >= share * n),
                float("inf"))


def latency(redis, folder):
    """Three writes a round: heard of, looked for, and asked for."""
    edge = Edge(folder, redis.address, workers=1,
                http="keepalive_requests 100000000;")
    edge.linked(redis)
    publish(redis)
    key = b"loyalty:m:{demo}:anna"
    states = [(tier.encode(), command(b"SET", key, member_bytes(
        {"id": "anna", "spent_total": spent})))
        for tier, spent in (("silver", 500000), ("gold", 1000000))]
    writer = connect(redis)
    shopper = socket.create_connection(("127.0.0.1", edge.port))
    shopper.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tracker = Tracker(redis)
    heard, there, fresh, missed, answered = [], [], [], [], []

    # Sleep to the microsecond: the processor is the others' meanwhile.
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)

    def ask():
        shopper.sendall(REQUEST)
        return re.search(rb"X-Tier: (\w*)", shopper.recv(8192))[1]

    def write(number):
        tier, bytes_ = states[number % 2]
        began = time.perf_counter()
        writer.sendall(bytes_)
        return tier, began

    def settled(tier):
        assert writer.recv(4096) == b"+OK\r\n"
        while ask() != tier:
            pass

    for number in range(0, 3 * WRITES, 3):
        tier, began = write(number)
        tracker.hears()
        heard.append(time.perf_counter() - began)
        settled(tier)

        tier, began = write(number + 1)
        time.sleep(10 ** random.uniform(-5.3, -3))
        looked = time.perf_counter()
        found = tracker.has_heard()
        there.append((looked - began, found))
        if not found:
            tracker.hears()
        settled(tier)

        tier, began = write(number + 2)
        time.sleep(10 ** random.uniform(-5.3, -3))
        asked = time.perf_counter()
        found = ask() == tier
        fresh.append((asked - began, found))
        if found:
            missed.append(time.perf_counter() - asked)
        settled(tier)
        tracker.hears()

        asked = time.perf_counter()
        ask()
        answered.append(time.perf_counter() - asked)

    edge.stop()
    for name, values in (("raw_link_heard", heard), ("miss_answer", missed),
                         ("hit_answer", answered)):
        cuts = statistics.quantiles(values, n=100)
        say(f"invalidation.{name}_p50_us", cuts[49] * 1e6, 0)
        say(f"invalidation.{name}_p99_us", cuts[98] * 1e6, 0)
    for name, tries in (("raw_link", there), ("fresh", fresh)):
        for percent in (50, 99):
            say(f"invalidation.{name}_p{percent}_us",
                reached(tries, percent / 100) * 1e6, 0)
    say("invalidation.p99_ratio", reached(fresh, 0.99) / reached(there, 0.99))
    say("invalidation.p99_ratio_to_heard", reached(fresh, 0.99)
        / statistics.quantiles(heard, n=100)[98])
    say("invalidation.writes", 3 * WRITES, 0)


def stale(redis, folder):
    """Each write is the other state, and read by the next request."""
    edge = Edge(folder, redis.address, workers=1,
                http="keepalive_requests 100000000;")
    edge.linked(redis)
    publish(redis)
    key = b"loyalty:m:{demo}:anna"
    writes = [(f"X-Tier: {tier}\r\n".encode(), command(
        b"SET", key, member_bytes({"id": "anna", "spent_total": spent})))
        for tier, spent in (("silver", 500000), ("gold", 1000000))]
    writer = connect(redis)
    shopper = socket.create_connection(("127.0.0.1", edge.port))
    shopper.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    old = tried = 0
    deadline = time.monotonic() + SECONDS

    while tried < TRIES and time.monotonic() < deadline:
        line, write = writes[tried % 2]
        writer.sendall(write)
        assert writer.recv(4096) == b"+OK\r\n"
        shopper.sendall(REQUEST)
        tried += 1
        if line not in shopper.recv(8192):
            old += 1

    edge.stop()
    say("stale.tries", tried, 0)
    say("stale.answers", old, 0)


PARTS = {"memory": memory, "herd": cold, "latency": latency, "stale": stale}


def main():
    folder = Folder()
    redis = Redis(folder, "--maxclients", 2000)
    try:
        for name in os.environ.get("BENCH", " ".join(PARTS)).split():
            PARTS[name](redis, folder)
    finally:
        redis.stop()
        folder.remove()


main()
