#!/usr/bin/env python3
"""Sixty reloads under load, with every part of the module configured: no
request fails, and neither the master nor a worker grows."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import Edge, Folder, Redis, publish, put
from process import PAGE, anonymous, files, slope

RELOADS = 60
WARM = 20  # the allocator has seen every size by then

HTTP = """
    loyalty_journal {dir}/journal;
    server {{
        listen unix:{dir}/all.sock;
        loyalty on;
        loyalty_site demo;
        loyalty_headers on;
        location /inject {{ loyalty_member $arg_m; loyalty_inject html; }}
        location /json {{ loyalty_member $arg_m; loyalty_inject json; }}
        location /jwt {{ loyalty_jwt $arg_t key={dir}/secret; }}
        location /order {{
            loyalty_order "regex=order (?<order_id>\\w+) of (?<total>[\\d.]+)";
            proxy_pass http://unix:{dir}/none.sock;
        }}
        location /tier {{ loyalty_page tier; }}
        location /v1/ {{ loyalty off; loyalty_backend; }}
    }}"""

tap = Tap()


class Shoppers:
    """Threads that ask for pages, a connection each, until told to stop."""

    def __init__(self, edge, count=3):
        self.edge, self.served, self.failed = edge, 0, []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.shop, args=(n,))
                        for n in range(count)]
        for thread in self.threads:
            thread.start()

    def shop(self, number):
        while not self.stop.is_set():
            try:
                status, headers, _ = self.edge.get(f"/?s=demo&m=m{number}")
                good = status == 204 and headers["X-Tier"] in ("bronze", None)
            except (OSError, ValueError) as error:
                status, good = error, False
            if good:
                self.served += 1
            else:
                self.failed.append(status)
            time.sleep(0.005)

    def done(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def main():
    folder = Folder()
    folder.file("secret", "0123456789abcdef0123456789abcdef\n")
    redis = Redis(folder, "--appendonly", "yes")
    publish(redis)
    for number in range(3):
        put(redis, f"m{number}", spent_total=150000)
    edge = Edge(folder, redis.address, http=HTTP.format(dir=folder.path))
    try:
        loop(edge)
    finally:
        edge.stop()
        redis.stop()
        folder.remove()
    tap.done()


def loop(edge):
    master = edge.pid()
    shoppers = Shoppers(edge)
    masters, workers, opened, held = [], [], [], []
    for _ in range(RELOADS):
        edge.reload()
        pid = edge.pids()[0]
        masters.append(anonymous(master))
        workers.append(anonymous(pid))
        opened.append(files(master))
        held.append(files(pid))
    shoppers.done()

    print(f"# {RELOADS} reloads, {shoppers.served} requests")
    tap.ok(edge.pid() == master and shoppers.served > RELOADS
           and not shoppers.failed, "failed requests during the reloads: "
           f"{len(shoppers.failed)}", shoppers.failed[:5])
    for name, values in (("master", masters), ("new worker", workers)):
        grows = slope(values[WARM:])
        tap.ok(grows < PAGE, f"the {name} grows by less than a page a reload",
               (grows, values))
        print(f"# {name}: {values[WARM]} to {values[-1]} bytes, "
              f"{grows:.0f} a reload")
    tap.ok(opened[-1] <= opened[WARM], "the master keeps no files open",
           opened)
    tap.ok(max(held[-5:]) <= max(held[WARM:WARM + 5]) + 8,
           "nor does a worker get more", held)
    tap.ok(edge.errors() == [], "no alarm in the log", edge.errors()[:5])


main()
