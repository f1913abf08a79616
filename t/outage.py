#!/usr/bin/env python3
"""Redis hung, gone and slow: the shop's pages go on.

Requests of a member whom the cache knows and of members it has never seen,
one after the other on kept-alive connections; every answer is the page.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent / "lib"))
import demo

TIMEOUT = 0.050  # loyalty_redis timeout=, its default
SLACK = 0.020
CONNECTIONS = 4

BUSY = """local t = redis.call('TIME')
local until_us = t[1] * 1000000 + t[2] + 30000
repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] >= until_us"""


class Load:
    """Pages for `seconds`; the times they took and what was not a page."""

    def __init__(self, url):
        self.host = urlsplit(url).netloc.split(":")
        self.times, self.bad, self.badges = [], [], 0
        self.number = 0

    async def shopper(self, until):
        reader = writer = None
        while time.monotonic() < until:
            if writer is None:
                reader, writer = await asyncio.open_connection(*self.host)
            self.number += 1
            member = "17850" if self.number % 2 else \
                f"cold-{os.getpid()}-{time.monotonic_ns()}"
            began = time.perf_counter()
            writer.write(f"GET / HTTP/1.1\r\nHost: shop\r\n"
                         f"Cookie: member={member}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1])
                          for line in head.lower().split(b"\r\n")
                          if line.startswith(b"content-length"))
            body = await reader.readexactly(length)
            self.times.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 200") or b"</html>" not in body:
                self.bad.append(head[:60])
            self.badges += b"bronze" in body.lower()
            if b"\r\nconnection: close" in head.lower():
                writer.close()
                reader = writer = None
            await asyncio.sleep(0.002)
        if writer is not None:
            writer.close()

    def run(self, seconds):
        async def all_shoppers():
            until = time.monotonic() + seconds
            await asyncio.gather(*[self.shopper(until)
                                   for _ in range(CONNECTIONS)])
        asyncio.run(all_shoppers())
        return self

    def quantile(self, share):
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def check(tap, what, load, usual):
    added = load.quantile(0.999) - usual
    print(f"# {what}: {len(load.times)} pages, p50 "
          f"{load.quantile(0.5) * 1e3:.1f} ms, p99.9 "
          f"{load.quantile(0.999) * 1e3:.1f} ms, {load.badges} with a status")
    tap.ok(load.times and not load.bad, f"{what}: every page is served",
           load.bad[:3])
    tap.ok(added <= TIMEOUT + SLACK,
           f"{what}: p99.9 of the added time is within timeout + 20 ms",
           f"{added * 1e3:.1f} ms")


def recovers(tap, what, shop):
    """The member's status is on the page again, fresh from Redis."""
    deadline = time.monotonic() + 15
    load = None
    while time.monotonic() < deadline:
        load = Load(shop.env["SHOP_URL"]).run(0.3)
        if load.badges >= len(load.times) // 3 and not load.bad:
            break
    tap.ok(load and load.badges > 0 and not load.bad,
           f"{what}: it recovers by itself")


def main():
    tap = demo.Tap()
    with demo.Demo() as shop:
        url = shop.env["SHOP_URL"]
        order = {"order_id": "outage-1", "member_id": "17850",
                 "status": "completed", "currency": "GBP", "total": 200000,
                 "lines": [{"sku": "A", "quantity": 1, "amount": 200000}]}
        shop.post("orders", order)

        healthy = Load(url).run(2)
        usual = healthy.quantile(0.5)
        check(tap, "healthy", healthy, usual)
        tap.ok(healthy.badges > 0, "healthy: the member's status is shown")

        pid = shop.redis_pid()[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            hung = Load(url).run(5)
        finally:
            os.kill(pid, signal.SIGCONT)
        check(tap, "hung", hung, usual)
        tap.ok(hung.badges > 0, "hung: the cached member is served stale")
        tap.ok(hung.quantile(0.5) < TIMEOUT / 2,
               "hung: most pages do not wait for Redis at all",
               f"p50 {hung.quantile(0.5) * 1e3:.1f} ms")
        recovers(tap, "hung", shop)

        socket = Path(shop.env["REDIS_SOCKET"])
        away = socket.with_suffix(".away")
        socket.rename(away)
        shop.redis("client", "kill", "type", "normal", socket=away)
        shop.redis("client", "kill", "type", "pubsub", socket=away)
        gone = Load(url).run(4)
        away.rename(socket)
        check(tap, "gone", gone, usual)
        tap.ok(gone.badges > 0, "gone: the cached member is served stale")
        recovers(tap, "gone", shop)

        busy = asyncio.run(slow(shop, url))
        check(tap, "slow", busy, usual)

        log = (shop.run / "logs" / "edge.log").read_text(errors="replace")
        tap.ok(len(log.splitlines()) < 200, "the log tells of states, not of "
               "requests", f"{len(log.splitlines())} lines")
        tap.ok("[alert]" not in log and "[emerg]" not in log,
               "nothing alarming in the log", log[-1500:])
    tap.done()


async def slow(shop, url):
    """Redis busy for 30 ms at a time, again and again."""
    stop = asyncio.Event()

    async def keep_busy():
        while not stop.is_set():
            await asyncio.to_thread(shop.redis, "eval", BUSY, "0")

    keeper = asyncio.create_task(keep_busy())
    load = Load(url)
    until = time.monotonic() + 4
    await asyncio.gather(*[load.shopper(until) for _ in range(CONNECTIONS)])
    stop.set()
    await keeper
    return load


main()
