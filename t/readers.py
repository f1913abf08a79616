#!/usr/bin/python3
"""How personalised answers are read: over HTTP/2, many at once, slowly, and
by readers who leave in the middle; over HTTP/1.1 the slow and the leaving.

The shop's pages are files; what must come out is the file with the badge at
its place.  The badge's text is the business of inject.t."""

import http.client
import io
import os
import re
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import Edge, Folder, Redis, publish, put, wait
from h2c import Client
from process import anonymous, files
from redis_client import NGINX

MARKER = "<loyalty-status></loyalty-status>"
BADGE = re.compile(r'<span class="loyalty-status" role="group"[^\n]*?'
                   r'(?:</span>|</a>)</span>')

# Past LOYALTY_INJECT_HOLD_MAX, what sockets hold, and a body in a file.
PIECES = 40_000

PAGES = {
    "page.html": f"<html><body>\n<p>{MARKER}</p>\n</body></html>\n",
    "end.html": "<html><body>\n<p>text</p>\n</body></html>\n",
    "early.html": f"<html><body>{MARKER}\n" + "<p>word</p>\n" * PIECES
                  + "</body></html>\n",
    "late.html": "<html><body>\n" + "<p>word</p>\n" * PIECES
                 + f"{MARKER}</body></html>\n",
    "cart.json": '{"lines":[1,2]}',
    "large.json": '{"lines":["' + "x" * (12 * PIECES) + '"]}',
}

ANNA = ('"loyalty":{"member":"anna","status":{"id":"bronze","name":"Bronze"},'
        '"progress":{"current":"bronze","next":"silver","value":150050,'
        '"remaining":349950,"percent":12},"points":{"active":1500,'
        '"pending":0,"life":1500},"segments":[],"segment":null}')
GUEST = ('"loyalty":{"member":null,"status":null,"progress":null,'
         '"points":null,"segments":[],"segment":null}')

HTTP = """
    types {{ text/html html; application/json json; }}
    server {{
        listen unix:{dir}/shop.sock;
        root {dir}/shop;
        location /told {{ return 200 "$http_x_loyalty_member|$http_x_other"; }}
        location /chunked/ {{
            alias {dir}/shop/;
            sub_filter_types text/html application/json;
            sub_filter "no such text" "";
        }}
    }}
    server {{
        listen unix:{dir}/edge.sock;
        listen unix:{dir}/h2.sock http2;
        send_timeout 20s;
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        loyalty_headers on;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{
            loyalty_inject html;
            proxy_pass http://unix:{dir}/shop.sock;
        }}
        location ~ json$ {{
            loyalty_inject json;
            proxy_pass http://unix:{dir}/shop.sock;
        }}
    }}"""

tap = Tap()


class Shop:
    """The edge with its shop; what each page must look like to whom."""

    def __init__(self, folder, edge):
        self.folder, self.edge = folder.path, edge
        self.badges = {who: BADGE.search(self.get(f"/page.html?m={who}"))[0]
                       for who in ("anna", "bob", "")}

    def get(self, path):
        sock = self.connect()
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: shop\r\n\r\n".encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.read().decode()

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.folder / "edge.sock"))
        return sock

    def wanted(self, page, who):
        text = PAGES[page]
        if page.endswith("json"):
            text = text[:-1] + "," + {"anna": ANNA, "": GUEST}[who] + "}"
        elif MARKER in text:
            text = text.replace(MARKER, self.badges[who])
        else:
            text = text.replace("</body>", self.badges[who] + "</body>")
        return text.encode()

    def worker(self):
        return self.edge.pids()[0]


def one_page(shop, client):
    for page in PAGES:
        stream = client.get(f"/{page}?m=anna")
        wanted = shop.wanted(page, "anna")
        tap.ok(stream.status == 200 and stream.body == wanted,
               f"HTTP/2: {page}", (stream.status, stream.headers,
                                   len(stream.body), len(wanted)))
        if len(wanted) < 65536:
            tap.ok(stream.headers.get("content-length") == str(len(wanted)),
                   f"HTTP/2: the length of {page} is true", stream.headers)
        tap.ok(stream.headers.get("cache-control") == "private"
               and "etag" not in stream.headers
               and "last-modified" not in stream.headers,
               f"HTTP/2: {page} is the shopper's own", stream.headers)
        head = client.get(f"/{page}?m=anna", method="HEAD")
        tap.ok(head.status == 200 and head.ended and head.body == b""
               and head.headers.get("cache-control") == "private"
               and "content-length" not in head.headers,
               f"HTTP/2: HEAD of {page} has no body and tells no length",
               (head.headers, len(head.body)))

    chunked = client.get("/chunked/page.html?m=anna")
    tap.ok(chunked.body == shop.wanted("page.html", "anna")
           and "content-length" not in chunked.headers,
           "HTTP/2: a page without a length", chunked)
    told = client.get("/told?m=anna", headers=[
        ("x-loyalty-member", "eve"), ("x-loyalty-member", "eve"),
        ("x_loyalty_member", "eve"), ("x-other", "kept")])
    tap.ok(told.body == b"anna|kept", "HTTP/2: a client's own headers are "
           "dropped", told)


def many_at_once(shop, path):
    client = Client(path, window=20_000)
    asked = {}
    for n in range(100):
        page = list(PAGES)[n % len(PAGES)]
        who = ("anna", "" if page.endswith("json") else "bob", "")[n % 3]
        base = "/chunked/" if n % 4 == 3 else "/"
        asked[client.ask(f"{base}{page}?m={who}")] = (page, who)
    tap.ok(client.read(60), "100 streams at once all end")
    wrong = [(asked[n], stream.status, len(stream.body))
             for n, stream in client.streams.items()
             if stream.body != shop.wanted(*asked[n])]
    tap.ok(not wrong, "and each has the answer of its own shopper", wrong[:5])
    client.close()


def slow_stream(shop, path):
    client = Client(path, window=900)
    slow = {client.ask(f"{base}{page}?m=anna", slow=True): page
            for base in ("/", "/chunked/")
            for page in ("early.html", "late.html", "large.json")}
    client.read(0.3)
    tap.ok(all(len(client.streams[n].body) == 900 for n in slow),
           "a window of 900 bytes: 900 bytes come",
           [len(client.streams[n].body) for n in slow])
    quick = client.get("/page.html?m=bob")
    tap.ok(quick.body == shop.wanted("page.html", "bob"),
           "who reads slowly does not hold up the stream beside")
    size = 1
    for number in slow:
        stream = client.streams[number]
        while not stream.ended and not client.closed:
            size = size * 7 % 20_011 + 1  # windows of all sizes
            had = len(stream.body)
            client.allow(number, size)
            if not client.read(10, lambda: stream.ended
                               or len(stream.body) >= had + size):
                break
    wrong = [page for number, page in slow.items()
             if client.streams[number].body
             != shop.wanted(page, "anna")]
    tap.ok(not wrong, "read window by window, pages are whole", wrong)
    client.close()


def leaving(shop, path):
    client = Client(path, window=5000)
    for n in range(60):
        page = ("early.html", "late.html", "large.json")[n % 3]
        number = client.ask(f"/{page}?m=anna", slow=True)
        stream = client.streams[number]
        if n % 4:
            client.read(5, lambda: len(stream.body) >= 5000)
        client.abort(number)
        stream.reset = True
    good = client.get("/page.html?m=anna")
    tap.ok(good.body == shop.wanted("page.html", "anna"),
           "60 streams reset in the middle: the connection goes on")
    client.close()

    for n in range(40):
        client = Client(path, window=5000)
        streams = [client.ask(f"/{page}?m=anna", slow=True)
                   for page in ("early.html", "late.html", "large.json")]
        if n % 2:
            client.read(5, lambda: all(len(client.streams[i].body) >= 5000
                                       for i in streams))
        client.close()
    good = Client(path).get("/late.html?m=anna")
    tap.ok(good.body == shop.wanted("late.html", "anna"),
           "40 connections lost with three pages under way: others go on")


def http1(shop):
    paths = [f"{base}{page}" for base in ("/", "/chunked/")
             for page in ("early.html", "late.html", "large.json")]
    before = anonymous(shop.worker())
    readers = []
    for n in range(60):
        path = paths[n % len(paths)]
        sock = shop.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(f"GET {path}?m=anna HTTP/1.1\r\nHost: shop\r\n"
                     "Connection: close\r\n\r\n".encode())
        readers.append((path, sock))
    time.sleep(1)
    each = (anonymous(shop.worker()) - before) / len(readers)
    if NGINX == "nginx":  # a checker's own memory is not ours
        tap.ok(each < 256 * 1024, "a page that is read slowly takes the "
               "worker less than 256 K", each)
    print(f"# {each:.0f} bytes for each of {len(readers)} slow readers")

    wrong = []
    for n, (path, sock) in enumerate(readers):
        if n % 3 == 0:
            sock.recv(1000)
            sock.close()
            continue
        body = slowly(sock)
        if body != shop.wanted(path.split("/")[-1], "anna"):
            wrong.append((path, len(body)))
        sock.close()
    tap.ok(not wrong, "40 slow readers have their whole pages while 20 leave "
           "in the middle", wrong[:5])


class Whole:
    """What http.client takes for a socket, of an answer that is all here."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


def slowly(sock):
    data = bytearray()
    pieces = 0
    while piece := sock.recv(5000):
        data += piece
        pieces += 1
        if pieces % 20 == 0:
            time.sleep(0.001)
    answer = http.client.HTTPResponse(Whole(data))
    answer.begin()
    return answer.read()


def main():
    folder = Folder()
    os.mkdir(folder.path / "shop")
    for name, text in PAGES.items():
        folder.file(f"shop/{name}", text)
    redis = Redis(folder)
    publish(redis, settings={"sign_in_url": "/login"})
    put(redis, "anna", spent_total=150050, points=1500, life=1500,
        tier="bronze")
    put(redis, "bob", spent_total=600000, points=7, tier="silver")
    edge = Edge(folder, redis.address, workers=1,
                http=HTTP.format(dir=folder.path))
    h2 = folder.path / "h2.sock"
    try:
        edge.linked(redis)
        shop = Shop(folder, edge)
        tap.ok("Bronze" in shop.badges["anna"]
               and "Silver" in shop.badges["bob"]
               and len(set(shop.badges.values())) == 3,
               "each shopper has a badge of their own", shop.badges)
        one_page(shop, Client(h2))
        many_at_once(shop, h2)
        slow_stream(shop, h2)
        leaving(shop, h2)
        http1(shop)
        idle = files(shop.worker())
        leaving(shop, h2)
        tap.ok(wait(lambda: files(shop.worker()) <= idle),
               "who leaves leaves no file open",
               (files(shop.worker()), idle))
    finally:
        edge.quit()
        redis.stop()
        tap.ok(edge.errors() == [], "no alarm in the log, no socket left open "
               "at the end", edge.errors()[:5])
        folder.remove()
    tap.done()


main()
