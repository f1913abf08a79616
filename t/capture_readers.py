#!/usr/bin/python3
"""Who waits for the answer of a checkout: over HTTP/2, many at once, slowly,
and shoppers who leave while their answer is held back or half read.

What must come out is the shop's own answer, byte for byte; and whatever the
shopper does, an order that the shop took is in the stream, once."""

import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import Edge, Folder, Redis, publish, put, wait
from h2c import Client
from process import files

STREAM = "loyalty:s:{demo}:orders"
LINES = 4000
LARGE = 4

HTTP = """
    default_type application/json;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    loyalty_journal {dir}/journal;
    server {{
        listen unix:{dir}/shop.sock;
        root {dir}/shop;
        location / {{
            return 201 '{{"order_id":"$arg_id","total":"12.50"}}';
        }}
        location /large- {{ }}
        location /trickling {{
            limit_rate_after 600;
            limit_rate 400;
            return 201 '{{"order_id":"$arg_id","total":"1","note":"{note}"}}';
        }}
    }}
    server {{
        listen unix:{dir}/edge.sock;
        listen unix:{dir}/h2.sock http2;
        send_timeout 20s;
        loyalty on;
        loyalty_site demo;
        loyalty_member anna;
        loyalty_order json;
        location / {{ proxy_pass http://unix:{dir}/shop.sock; }}
    }}"""

tap = Tap()


def small(order):
    return b'{"order_id":"%s","total":"12.50"}' % order.encode()


def large(number):
    """An answer of 300 KB, past what sockets hold."""
    return json.dumps({"order_id": f"large-{number}", "lines": [
        {"sku": f"sku-{line}", "quantity": 1, "unit_price": "0.25",
         "note": "x" * 20} for line in range(LINES)]}).encode()


class Shop:
    def __init__(self, folder, redis, edge):
        self.folder, self.redis, self.edge = folder.path, redis, edge
        self.ordered = []

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.folder / "edge.sock"))
        return sock

    def ask(self, path, version="1.0"):
        sock = self.connect()
        sock.sendall(f"GET {path} HTTP/{version}\r\nHost: shop\r\n\r\n"
                     .encode())
        return sock

    def order(self, order):
        self.ordered.append(order)
        return order

    def get(self, path):
        with self.ask(path) as sock:
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            return answer.status, answer.read()

    def captured(self):
        found = []
        for line in self.redis.cli("xrange", STREAM, "-", "+").split(b"\n"):
            if line.startswith(b"{"):
                found.append(json.loads(line)["order_id"])
        return found

    def arrived(self, orders, what):
        def done():
            return set(orders) <= set(self.captured())
        wait(done, 10)
        found = self.captured()
        wrong = [order for order in orders if found.count(order) != 1]
        tap.ok(not wrong, what, (len(wrong), wrong[:5]))

    def worker(self):
        return self.edge.pids()[0]


def many_at_once(shop, path):
    client = Client(path)
    asked = {}
    for n in range(100):
        order = shop.order(f"h2-{n}")
        asked[client.ask(f"/checkout?id={order}")] = order
    tap.ok(client.read(20), "HTTP/2: 100 orders at once are all answered")
    wrong = [(order, client.streams[n])
             for n, order in asked.items()
             if client.streams[n].status != 201
             or client.streams[n].body != small(order)]
    tap.ok(not wrong, "each with the shop's own answer", wrong[:3])
    shop.arrived(asked.values(), "and each is captured once")
    client.close()


def slow_stream(shop, path):
    client = Client(path, window=900)
    number = client.ask("/large-0.json", slow=True)
    stream = client.streams[number]
    shop.order("large-0")
    client.read(5, lambda: len(stream.body) >= 900)
    tap.ok(stream.status == 200 and len(stream.body) == 900,
           "HTTP/2: a window of 900 bytes: 900 bytes of a captured answer come",
           len(stream.body))
    shop.arrived(["large-0"], "its order is safe before it is read")
    order = shop.order("beside")
    quick = client.get(f"/checkout?id={order}")
    tap.ok(quick.body == small(order), "the stream beside is not held up")
    size = 1
    while not stream.ended and not client.closed:
        size = size * 7 % 20_011 + 1
        had = len(stream.body)
        client.allow(number, size)
        if not client.read(10, lambda: stream.ended
                           or len(stream.body) >= had + size):
            break
    tap.ok(stream.ended and stream.body == large(0),
           "read window by window, the answer is whole", len(stream.body))
    client.close()


def slow_readers(shop):
    readers = []
    for n in range(1, LARGE):
        sock = shop.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(f"GET /large-{n}.json HTTP/1.0\r\nHost: shop\r\n\r\n"
                     .encode())
        readers.append((n, sock, shop.order(f"large-{n}")))
    shop.arrived([order for _, _, order in readers],
                 "orders of three slow readers are safe before they read")
    order = shop.order("meanwhile")
    tap.ok(shop.get(f"/checkout?id={order}") == (201, small(order)),
           "a quick one is answered meanwhile")
    for n, sock, _ in readers:
        data = bytearray()
        while piece := sock.recv(3000):
            data += piece
            if len(data) % 7 == 0:
                time.sleep(0.002)
        sock.close()
        tap.ok(data.partition(b"\r\n\r\n")[2] == large(n),
               f"slow reader {n} has the whole answer", len(data))


def leaving(shop, path):
    """The shop's header comes at once, its body takes over a second; the
    shopper does not stay that long."""
    orders = []
    for n in range(20):
        order = shop.order(f"left-{n}")
        sock = shop.ask(f"/trickling?id={order}", "1.1")
        orders.append((order, sock))
    client = Client(path)
    streams = []
    for n in range(20):
        order = shop.order(f"reset-{n}")
        streams.append((order, client.ask(f"/trickling?id={order}")))
    gone = Client(path)
    for n in range(10):
        order = shop.order(f"gone-{n}")
        gone.ask(f"/trickling?id={order}")
        orders.append((order, None))
    # The shop's header has come to the edge by now, but not its whole answer.
    time.sleep(0.3)
    for _, sock in orders:
        if sock:
            expect_nothing(sock)
            sock.close()
    for _, number in streams:
        client.abort(number)
        client.streams[number].reset = True
    gone.close()
    shop.arrived([order for order, _ in orders + streams],
                 "who leaves while the answer is held back has ordered all "
                 "the same, over HTTP/1.1 and HTTP/2")
    order = shop.order("after")
    tap.ok(client.get(f"/checkout?id={order}").body == small(order),
           "and the connection whose streams were reset goes on")
    client.close()


def expect_nothing(sock):
    sock.setblocking(False)
    try:
        early = sock.recv(1)
    except BlockingIOError:
        return
    tap.ok(False, "nothing of the answer goes out before the order is safe",
           early)


def leaving_half_read(shop, path):
    for n in range(30):
        with shop.ask(f"/large-{n % LARGE}.json") as sock:
            sock.recv(1000)
        client = Client(path, window=5000)
        number = client.ask(f"/large-{n % LARGE}.json", slow=True)
        stream = client.streams[number]
        client.read(5, lambda: len(stream.body) >= 5000)
        if n % 2:
            client.abort(number)
        client.close()


def main():
    folder = Folder()
    os.mkdir(folder.path / "shop")
    for number in range(LARGE):
        (folder.path / f"shop/large-{number}.json").write_bytes(large(number))
    redis = Redis(folder)
    publish(redis)
    put(redis, "anna")
    edge = Edge(folder, redis.address, workers=1,
                http=HTTP.format(dir=folder.path, note="x" * 1000))
    h2 = folder.path / "h2.sock"
    try:
        edge.linked(redis)
        shop = Shop(folder, redis, edge)
        worker = shop.worker()
        many_at_once(shop, h2)
        slow_stream(shop, h2)
        slow_readers(shop)
        leaving(shop, h2)
        idle = files(worker)
        leaving_half_read(shop, h2)
        tap.ok(wait(lambda: files(worker) <= idle),
               "60 answers left half read leave no file open",
               (files(worker), idle))
        found = shop.captured()
        tap.ok(set(found) == set(shop.ordered), "nothing else was captured",
               set(found) ^ set(shop.ordered))
        tap.ok(shop.worker() == worker, "it is still the same worker")
    finally:
        edge.quit()
        redis.stop()
        tap.ok(edge.errors() == [], "no alarm in the log, no socket left open "
               "at the end", edge.errors()[:5])
        folder.remove()
    tap.done()


main()
