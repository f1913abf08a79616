#!/usr/bin/env python3
"""Thousands of bad requests, answers and records: the error log tells of
states, a line or two each, and not of requests."""

import gzip
import http.client
import os
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import Edge, Folder, Redis, publish, put, store, wait

REQUESTS = 2000
LINES = 20  # for all of them: two workers, two links each, away and back

HTTP = """
    loyalty_journal {dir}/journal;
    types {{ text/html html; application/json json; }}
    server {{
        listen unix:{dir}/shop.sock;
        root {dir}/shop;
        location /gzipped {{
            default_type text/html;
            add_header Content-Encoding gzip;
        }}
        location /order {{ default_type application/json; try_files $uri =404; }}
    }}
    server {{
        listen unix:{dir}/edge.sock;
        keepalive_requests 100000;
        loyalty on;
        loyalty_site $site;
        loyalty_headers on;
        set $site demo;
        if ($arg_s) {{ set $site $arg_s; }}
        location /jwt {{ loyalty_jwt $arg_t key={dir}/secret; return 204; }}
        location /token {{
            loyalty_jwt $arg_t key={dir}/secret;
            try_files /none =204;
        }}
        location /cookie {{
            loyalty_member $cookie_member;
            try_files /none =204;
        }}
        location /html/ {{
            loyalty_member $arg_m;
            loyalty_inject html;
            proxy_pass http://unix:{dir}/shop.sock:/;
        }}
        location /json/ {{
            loyalty_member $arg_m;
            loyalty_inject json;
            proxy_pass http://unix:{dir}/shop.sock:/;
        }}
        location /order/ {{
            loyalty_member $arg_m;
            loyalty_order json amounts=major;
            proxy_pass http://unix:{dir}/shop.sock:/;
        }}
        location /tier {{ loyalty_member $arg_m; loyalty_page tier; }}
        location /status {{ loyalty_member $arg_m; loyalty_api status; }}
    }}"""

# A loop in a loop in a loop: more steps than a page may take.
NESTED = "{{#statuses}}" * 14 + "{{name}}" + "{{/statuses}}" * 14

PAGES = {
    "none.html": b"<p>nothing</p>",
    "cut.html": b"<html><body><loyalty-sta",
    "gzipped": gzip.compress(b"<html><body></body></html>"),
    "list.json": b"[1,2,3]",
    "cut.json": b'{"a":{"b":',
    "bytes.json": bytes(range(256)),
    "order": b'{"order_id":"1","total":"ten","lines":[{"quantity":-1}]}',
    "order.json": b'{"order_id":"1","total":"ten","lines":[{"quantity":-1}]}',
    "order.cut.json": b'{"order_id":',
}

tap = Tap()


class Connection(http.client.HTTPConnection):
    """Kept alive, on a Unix socket."""

    def __init__(self, path):
        super().__init__("shop", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def flood(edge, name, path, good=(200, 204), count=REQUESTS, lines=LINES,
          during=None, **headers):
    """`path` is asked so often, with {n} in it; what the log says of it."""
    said = len(edge.log.read_text().splitlines())
    connection = Connection(edge.folder.parent / "edge.sock")
    bad = []
    for n in range(count):
        connection.request("GET", path.format(n=n), headers={
            key: value.format(n=n) for key, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        if answer.status not in good:
            bad.append((n, answer.status))
        if during and n == count // 2:
            during()
    connection.close()
    time.sleep(0.2)
    new = edge.log.read_text(errors="replace").splitlines()[said:]
    tap.ok(not bad, f"{name}: {count} answers as they should be", bad[:3])
    tap.ok(len(new) <= lines, f"{name}: {len(new)} lines in the log",
           "\n".join(new[:10]))


def requests(edge, redis):
    flood(edge, "tokens that are none", "/token?t=not.a.token{n}")
    flood(edge, "tokens of another key",
          "/token?t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.AAAA{n}")
    flood(edge, "tokens that are too long", "/token?t=" + "e" * 7000)
    flood(edge, "cookies with control characters", "/cookie",
          Cookie="member=\x01\x02{n}")
    flood(edge, "cookies that are too long", "/cookie",
          Cookie="member=" + "x" * 5000)
    flood(edge, "headers that only we may set", "/cookie", **{
        "X-Loyalty-Member": "eve{n}", "X-Loyalty-Tier": "\x7f"})
    flood(edge, "sites that are none", "/cookie?s=none{n}", Cookie="member=a")
    flood(edge, "names that are no sites", "/cookie?s=%7Bx%7D{n}",
          Cookie="member=a")
    flood(edge, "members that nobody knows", "/cookie",
          Cookie="member=somebody-{n}")


def pages(edge, redis):
    for page in ("none.html", "cut.html", "gzipped", "list.json"):
        flood(edge, f"{page}, which is no page to inject into",
              f"/html/{page}?m=anna")
    for page in ("list.json", "cut.json", "bytes.json", "none.html"):
        flood(edge, f"{page}, which is no object to inject into",
              f"/json/{page}?m=anna")
    for page in ("order.json", "order.cut.json"):
        flood(edge, f"{page}, which is no order", f"/order/{page}?m=anna")
    flood(edge, "a tier page whose template cannot be rendered", "/tier?m=anna",
          count=50)


def records(edge, redis):
    for n in range(REQUESTS):
        store_fast(redis, n)
    flood(edge, "members whose bytes are none of ours", "/status?m=broken-{n}")
    store(redis, "loyalty:p:{broken}", b'{"version": 1, "settings": {}}')
    flood(edge, "a program that is not valid", "/status?s=broken&m=a{n}",
          good=(200, 404))
    store(redis, "loyalty:p:{broken}", b"{")
    flood(edge, "a program that is no JSON", "/status?s=broken&m=b{n}",
          good=(200, 404))
    redis.cli("DEL", "loyalty:p:{broken}")
    redis.cli("LPUSH", "loyalty:p:{broken}", "x")
    flood(edge, "a program of another type", "/status?s=broken&m=c{n}",
          good=(200, 404))


def store_fast(redis, n, pipe=[]):
    """All broken members in one go."""
    pipe.append(f"SET loyalty:m:{{demo}}:broken-{n} garbage{n}\r\n")
    if len(pipe) == REQUESTS:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(redis.socket))
            sock.sendall("".join(pipe).encode())
            left = REQUESTS * len(b"+OK\r\n")
            while left > 0:
                left -= len(sock.recv(65536))


def outages(edge, redis):
    redis.signal(signal.SIGSTOP)
    flood(edge, "Redis hung", "/cookie", Cookie="member=hung-{n}")
    redis.signal(signal.SIGCONT)
    tap.ok(edge.linked(redis), "Redis answers again")
    redis.stop()
    flood(edge, "Redis gone", "/cookie", Cookie="member=gone-{n}")
    flood(edge, "orders that are none, while the site is not known",
          "/order/order.json?s=later&m=anna")
    said = len(edge.log.read_text().splitlines())
    redis.start()
    tap.ok(edge.linked(redis), "Redis is back")
    publish(redis, site="later", settings={"id": "later"})
    tap.ok(wait(lambda: redis.cli("XLEN", "loyalty:s:{later}:dead")
                == b"%d\n" % REQUESTS, 30), "what has waited is put aside")
    new = edge.log.read_text().splitlines()[said:]
    tap.ok(len(new) <= LINES, f"of which the log has {len(new)} lines", "\n".join(new[:10]))


def main():
    folder = Folder()
    folder.file("secret", "0123456789abcdef0123456789abcdef\n")
    os.mkdir(folder.path / "shop")
    for name, data in PAGES.items():
        (folder.path / "shop" / name).write_bytes(data)
    redis = Redis(folder)
    publish(redis, settings={"design": "deep"},
            designs=[{"id": "deep", "name": "Deep", "template": NESTED}])
    put(redis, "anna", spent_total=150050, tier="bronze")
    edge = Edge(folder, redis.address, redis="timeout=50ms",
                http=HTTP.format(dir=folder.path))
    try:
        edge.linked(redis)
        requests(edge, redis)
        pages(edge, redis)
        records(edge, redis)
        outages(edge, redis)
        tap.ok(edge.errors() == [], "no alarm in the log", edge.errors()[:5])
    finally:
        edge.stop()
        redis.stop()
        folder.remove()
    tap.done()


main()
