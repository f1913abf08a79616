"""What the cache costs and how soon it is right again.

Memory: a zone is filled until it evicts; its size by the members it held then
is what each costs, index, padding and the zone's own tables included; what is
beyond the view and the member's id is overhead.  Herd: the reads Redis sees when a thousand clients ask at once for a
member nobody has asked for yet.  Latency: from a write in Redis to the moment
at which a request is sent that is answered with the new state, beside a bare
CLIENT TRACKING connection that hears of writes in the same rounds.
"""

import os
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


def latency(redis, folder):
    """Each round writes once for the tracker, once for the edge."""
    edge = Edge(folder, redis.address, workers=1,
                http="keepalive_requests 100000000;")
    edge.linked(redis)
    publish(redis)
    key = b"loyalty:m:{demo}:anna"
    writes = [(tier.encode(), command(b"SET", key, member_bytes(
        {"id": "anna", "spent_total": spent})))
        for tier, spent in (("silver", 500000), ("gold", 1000000))]
    writer = connect(redis)
    shopper = socket.create_connection(("127.0.0.1", edge.port))
    shopper.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tracker = Tracker(redis)
    raw, fresh, seen, answered, late = [], [], [], [], 0

    def ask():
        sent = time.perf_counter()
        shopper.sendall(REQUEST)
        return sent, re.search(rb"X-Tier: (\w*)", shopper.recv(8192))[1]

    for number in range(WRITES):
        tier, write = writes[number % 2]

        began = time.perf_counter()
        writer.sendall(write)
        tracker.hears()
        raw.append(time.perf_counter() - began)
        assert writer.recv(4096) == b"+OK\r\n"
        while ask()[1] != tier:
            pass

        tier, write = writes[(number + 1) % 2]
        began = time.perf_counter()
        writer.sendall(write)
        while True:
            sent, found = ask()
            if found == tier:
                break
        fresh.append(max(sent - began, 0))
        seen.append(time.perf_counter() - began)
        assert writer.recv(4096) == b"+OK\r\n"
        tracker.hears()

        # The next request after the write was acknowledged.
        tier, write = writes[number % 2]
        writer.sendall(write)
        assert writer.recv(4096) == b"+OK\r\n"
        late += ask()[1] != tier
        while ask()[1] != tier:
            pass
        tracker.hears()

        began = time.perf_counter()
        ask()
        answered.append(time.perf_counter() - began)

    edge.stop()
    for name, values in (("raw_link", raw), ("fresh", fresh),
                         ("fresh_answer", seen), ("hit_answer", answered)):
        cuts = statistics.quantiles(values, n=100)
        say(f"invalidation.{name}_p50_us", cuts[49] * 1e6, 0)
        say(f"invalidation.{name}_p99_us", cuts[98] * 1e6, 0)
    say("invalidation.p99_ratio", statistics.quantiles(fresh, n=100)[98]
        / statistics.quantiles(raw, n=100)[98])
    say("invalidation.stale_after_ok", late, 0)
    say("invalidation.writes", WRITES, 0)


def main():
    folder = Folder()
    redis = Redis(folder, "--maxclients", 2000)
    try:
        memory(redis, folder)
        cold(redis, folder)
        latency(redis, folder)
    finally:
        redis.stop()
        folder.remove()


main()
