#!/usr/bin/env python3
"""Tens of thousands of requests of every kind to one worker, members and
programs changing all the while: its memory stays where it is."""

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import (ROOT, Edge, Folder, Redis, member_bytes, program_bytes, put,
                  wait)
from process import anonymous, files, slope
from redis_client import NGINX

ROUNDS = int(os.environ.get("ROUNDS", 24))
WARM = ROUNDS // 3
REQUESTS = 1500  # a round
BYTES = 8  # a request: half of what malloc gives at least
KEY = b"0123456789abcdef0123456789abcdef"

HTTP = """
    loyalty_journal {dir}/journal retain=1s;
    types {{ text/html html; application/json json; }}
    server {{
        listen unix:{dir}/shop.sock;
        root {dir}/shop;
        location /order {{
            default_type application/json;
            return 201 '{{"order_id":"$arg_n","total":"1.00","lines":[]}}';
        }}
    }}
    server {{
        listen unix:{dir}/edge.sock;
        keepalive_requests 100000;
        loyalty on;
        loyalty_site demo;
        loyalty_headers on secret={dir}/secret;
        location / {{
            loyalty_member $arg_m;
            loyalty_inject html;
            proxy_pass http://unix:{dir}/shop.sock;
        }}
        location ~ json$ {{
            loyalty_member $arg_m;
            loyalty_inject json;
            proxy_pass http://unix:{dir}/shop.sock;
        }}
        location /order {{
            loyalty_member $arg_m;
            loyalty_order json amounts=major;
            proxy_pass http://unix:{dir}/shop.sock;
        }}
        location /jwt {{
            loyalty_jwt $arg_t key={dir}/secret;
            try_files /none =204;
        }}
        location /variables {{
            loyalty_member $arg_m;
            add_header X-All "$loyalty_tier_name$loyalty_progress$loyalty_points$loyalty_segments$loyalty_offers";
            try_files /none =204;
        }}
        location /tier {{ loyalty_member $arg_m; loyalty_page tier; }}
        location /status {{ loyalty_member $arg_m; loyalty_api status; }}
        location /metrics {{ loyalty off; loyalty_metrics; }}
        location /v1/ {{ loyalty off; loyalty_backend; }}
    }}"""

PAGES = {
    "page.html": "<html><body>\n<loyalty-status></loyalty-status>\n" + "<p>x</p>"
                 * 800 + "</body></html>\n",
    "large.html": "<html><body>\n" + "<p>word</p>" * 20_000 + "</body></html>\n",
    "none.html": "<p>nothing</p>",
    "cart.json": '{"lines":[1,2]}',
    "list.json": "[1,2]",
}

tap = Tap()


def jwt(member, key=KEY, **claims):
    parts = [json.dumps(part).encode() for part in
             ({"alg": "HS256", "typ": "JWT"}, {"sub": member, **claims})]
    text = b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in parts)
    mac = hmac.digest(key, text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


class Load:
    def __init__(self, folder, redis, token):
        self.path, self.redis, self.token = folder / "edge.sock", redis, token
        self.good, self.wrong = 0, []
        self.tokens = [jwt("m1"), jwt("m2", key=b"x" * 32),
                       jwt("m3", exp=1000), "a.b", "a.b.c"]
        self.bytes = [member_bytes({"id": f"m{n}", "spent_total": n * 50000,
                                    "points": n, "life": n})
                      for n in range(10)]

    def paths(self, start):
        for n in range(start, start + REQUESTS):
            member = f"m{n % 10}" if n % 5 else f"new{n}"
            yield (f"/page.html?m={member}", f"/cart.json?m={member}",
                   f"/large.html?m={member}", f"/none.html?m={member}",
                   f"/list.json?m={member}", f"/order?m={member}&n={n}",
                   f"/jwt?t={self.tokens[n // 15 % 5]}",
                   f"/variables?m={member}", f"/tier?m={member}",
                   f"/status?m={member}", f"/tier", "/metrics",
                   "/v1/sites/demo/members/m1", "/v1/sites/demo/stats",
                   f"/page.html?m={'x' * 200}")[n % 15]

    def ask(self, paths):
        """All on one connection; the last one closes it."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.path))
        requests = [f"GET {path} HTTP/1.1\r\nHost: shop\r\n"
                    f"Authorization: Bearer {self.token}\r\n" for path in paths]
        requests[-1] += "Connection: close\r\n"
        sock.sendall("".join(r + "\r\n" for r in requests).encode())
        data = bytearray()
        while piece := sock.recv(1 << 16):
            data += piece
        sock.close()
        good = data.count(b"HTTP/1.1 20")
        self.good += good
        if good != len(paths):
            self.wrong.append((len(paths), good, bytes(data[-200:])))

    def warm(self):
        """What orders pass through on their way is touched page by page."""
        for start in range(0, 4000, 50):
            self.ask([f"/order?m=m{n % 10}&n=warm{n}"
                      for n in range(start, start + 50)])

    def round(self, number):
        paths = list(self.paths(number * REQUESTS))
        for start in range(0, REQUESTS, 50):
            self.ask(paths[start:start + 50])
            if start % 200 == 0:
                n = start // 200 % 10
                self.change(f"loyalty:m:{{demo}}:m{n}", self.bytes[n])
        self.change("loyalty:p:{demo}", program_bytes(version=number + 2))

    def change(self, key, value):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self.redis.socket))
        sock.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                     % (len(key), key.encode(), len(value), value))
        sock.recv(100)
        sock.close()


def main():
    # Threads that come and go in arenas of their own would hide a small slope.
    os.environ["MALLOC_ARENA_MAX"] = "1"
    folder = Folder()
    folder.file("secret", KEY.decode() + "\n")
    os.mkdir(folder.path / "shop")
    for name, text in PAGES.items():
        folder.file(f"shop/{name}", text)
    redis = Redis(folder, "--appendonly", "yes", "--appendfsync", "always")
    token = subprocess.run(
        [ROOT / "scripts/token", "--redis", redis.address, "--name", "memory"],
        check=True, capture_output=True, text=True).stdout.strip()
    redis.cli("SADD", "loyalty:sites", "demo")
    for n in range(10):
        put(redis, f"m{n}", spent_total=n * 50000)
    load = Load(folder.path, redis, token)
    load.change("loyalty:p:{demo}", program_bytes())
    edge = Edge(folder, redis.address, workers=1,
                http=HTTP.format(dir=folder.path))
    try:
        edge.linked(redis)
        wait(lambda: edge.see("m5")[0] == "bronze")
        pid = edge.pids()[0]
        load.warm()
        held, opened = [], []
        began = time.monotonic()
        for number in range(ROUNDS):
            load.round(number)
            held.append(anonymous(pid))
            opened.append(files(pid))
        took = time.monotonic() - began
        tap.ok(not load.wrong and edge.pids() == [pid],
               f"{load.good} requests are answered by one worker",
               load.wrong[:3])
        grows = slope(held[WARM:])
        print(f"# {held[WARM]} to {held[-1]} bytes, {grows:.0f} for "
              f"{REQUESTS} requests; {took:.0f} s")
        if NGINX == "nginx":  # a checker keeps what is freed
            tap.ok(grows < BYTES * REQUESTS, "its memory does not grow with "
                   "the requests", (grows, held))
        tap.ok(max(opened[-3:]) <= max(opened[WARM:WARM + 3]) + 2,
               "nor does it open more files", opened)
        tap.ok(edge.errors() == [], "no alarm in the log", edge.errors()[:5])
    finally:
        edge.stop()
        redis.stop()
        folder.remove()
    tap.done()


main()
