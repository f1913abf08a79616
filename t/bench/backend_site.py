"""A site to measure: its programme, its members and orders by number, and how
they get there."""

import json
import random
import socket
import sys
import time

from backend import SITE
from demo import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from resp import Client

SKUS = 1000
LINES = 3
DAY = 86400
BACKLOG = 20000  # events in the stream; more wait at the loader

KINDS = ["order_count", "spent_all", "spent_one_order", "spent_average",
         "bogo", "product_order_count"]
THRESHOLDS = {"order_count": 3, "spent_all": 50000, "spent_one_order": 20000,
              "spent_average": 12000, "bogo": 2, "product_order_count": 4}


def redis_client(path):
    class Arguments:
        redis = f"unix:{path}"
        password_file = db = None

    client = Client(Arguments)
    client.socket.settimeout(600)
    return client


def sku(number):
    return f"SKU-{number:04}"


def rules(count):
    """All six kinds; those of products are of five of them each."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        products = ([sku((number * 5 + i) % SKUS) for i in range(5)]
                    if kind in ("bogo", "product_order_count") else [])
        yield {"id": f"rule-{number:02}", "type": kind, "filter": "all",
               "threshold": THRESHOLDS[kind] * (1 + number // len(KINDS)),
               "channel": "email", "template": "thanks", "delay": DAY,
               "products": products, "sender_address": "shop@example.com"}


def offers(count):
    """Promotions, coupons, rewards, punchcards, clubcards; a third of them
    about some products."""
    kinds = ["promotion", "coupon", "reward", "punchcard", "clubcard"]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        offer = {"id": f"offer-{number:02}", "type": kind, "state": "published",
                 "name": {"en": f"Offer {number}"},
                 "discount": {"kind": "percent", "percent": 5 + number % 10}}
        if number % 3 == 0:
            offer["scope"] = {"kind": "products", "values": [
                sku((number * 7 + i) % SKUS) for i in range(10)]}
        if kind in ("reward", "coupon"):
            offer["loyalty_price"] = 100 + number
        if kind == "punchcard":
            offer["stamps_required"] = 10
        yield offer


def must(answer):
    status, body = answer
    if status not in (200, 201, 202):
        raise RuntimeError(f"{status}: {body}")
    return body


def set_up(backend):
    must(backend.call("PUT", "settings", {
        "id": SITE, "name": "Demo", "currency": "GBP", "active": True,
        "locales": ["en"], "messages": {"track_url": "https://shop.example/t"},
        "earn_rate": "1"}))
    must(backend.call("POST", "templates", {
        "id": "thanks", "channel": "email",
        "subject": "Thank you, {{member.name}}",
        "text": "{{points}} points for {{order.id}} ({{order.total}})\n",
        "html": "<html><body><h1>Dear {{member.name}}</h1><p>Status "
                "{{member.status.name}}, {{points}} points.</p>"
                "<p><a href=\"https://shop.example/new\">New</a> "
                "<a href=\"{{unsubscribe_url}}\">No more</a></p>"
                "</body></html>"}))
    for offer in offers(50):
        must(backend.call("POST", "offers", offer))


def add_rules(backend):
    for rule in rules(20):
        must(backend.call("POST", "rules", rule))


def member(number):
    return f"m{number:07}"


def load_members(backend, count, progress):
    """By jobs of 100 000 rows each."""
    for begin in range(0, count, 100000):
        end = min(count, begin + 100000)
        rows = "".join(
            f"{member(i)},{member(i)}@example.com,Name {i},+447{i:09},true,"
            f"{'true' if i % 2 else 'false'},{i % 10}\n" for i in range(begin, end))
        job = must(backend.call(
            "POST", "members/import", "id,email,name,phone,registered,"
            "consent.email,attributes.last\n" + rows, "text/csv"))
        job, _ = backend.finish(job["id"], seconds=900)
        if job["state"] != "done" or job["failed"] != 0:
            raise RuntimeError(job)
        progress("members", end, count)


class Orders:
    """Completed orders without end: three lines, a member by chance, one
    after the other over the last 90 days."""

    def __init__(self, members, seed=1):
        self.random = random.Random(seed)
        self.members, self.number = members, 0
        self.begin = time.time() - 90 * DAY

    def next(self):
        choose = self.random.random
        self.number += 1
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
            self.begin + self.number * 90 * DAY // 10000000))
        total, lines = 0, []
        for _ in range(LINES):
            item, units = int(choose() * SKUS), 1 + int(choose() * 2)
            price = 500 + item * 3
            total += units * price
            lines.append(f'{{"sku":"{sku(item)}","quantity":{units},'
                         f'"unit_price":"{price // 100}.{price % 100:02}",'
                         f'"amount":{units * price}}}')
        return (f'{{"order_id":"o{self.number:08}",'
                f'"member_id":"{member(int(choose() * self.members))}",'
                f'"status":"completed","placed_at":"{at}","currency":"GBP",'
                f'"total":{total},"lines":[{",".join(lines)}]}}')


class Stream:
    """Puts orders where the edge does; knows how many have been applied."""

    def __init__(self, redis):
        self.redis = redis
        self.key = f"loyalty:s:{{{SITE}}}:orders"
        self.sent = 0
        self.before = self.applied()

    def applied(self):
        reply = self.redis.call("HGET", f"loyalty:x:{{{SITE}}}:stats",
                                "applied")
        return int(reply or 0)

    def done(self):
        return self.applied() - self.before

    def commands(self, events):
        return [("XADD", self.key, "*", "e", event, "i", "j")
                for event in events]

    def send(self, events):
        self.redis.pipeline(self.commands(events))
        self.sent += len(events)

    def wait(self, left=0, seconds=3600):
        deadline = time.monotonic() + seconds
        while self.sent - self.done() > left:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.done()} of {self.sent} applied")
            time.sleep(0.02)


def load_orders(redis, orders, count, progress):
    stream = Stream(redis)
    for begin in range(0, count, 1000):
        stream.send([orders.next() for _ in range(min(1000, count - begin))])
        stream.wait(left=BACKLOG)
        if begin % 100000 == 0:
            progress("orders", begin, count)
    stream.wait()


class Reader:
    """One connection to the API that times its answers."""

    def __init__(self, backend):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{backend.dir}/api.sock")
        self.file = self.socket.makefile("rb")
        self.head = (f"HTTP/1.1\r\nHost: api\r\n"
                     f"Authorization: Bearer {backend.token}\r\n")

    def ask(self, path, body=None):
        """(seconds, status, answer)."""
        data = json.dumps(body) if body is not None else ""
        request = f"{'POST' if body is not None else 'GET'} " \
                  f"/v1/sites/{SITE}/{path} {self.head}"
        if body is not None:
            request += "Content-Type: application/json\r\n" \
                       f"Content-Length: {len(data)}\r\n"
        request = f"{request}\r\n{data}".encode()
        began = time.perf_counter()
        self.socket.sendall(request)
        status = int(self.file.readline().split()[1])
        length = None
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = self.file.read(length) if length is not None \
            else self.chunks()
        return time.perf_counter() - began, status, answer

    def chunks(self):
        answer = b""
        while True:
            size = int(self.file.readline(), 16)
            answer += self.file.read(size)
            self.file.readline()
            if size == 0:
                return answer
