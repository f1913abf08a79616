#!/usr/bin/env python3
"""POST check: a site in order has nothing off; whatever is damaged is named,
and nothing else.  Each damage is done to Redis by hand, and undone."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import Tap

SETTINGS = {
    "id": SITE, "currency": "GBP", "active": True,
    "webhooks": [{"id": "crm", "url": "https://127.0.0.1:1/x",
                  "events": ["order.applied"]}]}
OFFERS = [
    {"id": "five", "type": "promotion", "limit_total": 5,
     "discount": {"kind": "amount", "amount": 100}},
    {"id": "mug", "type": "reward", "loyalty_price": 10, "limit_total": 9,
     "discount": {"kind": "amount", "amount": 200}},
    {"id": "gift", "type": "coupon", "code_pattern": "GIFT-@@@###",
     "discount": {"kind": "amount", "amount": 50}},
]
MEMBERS = 300


def key(kind, rest=""):
    return f"loyalty:{kind}:{{{SITE}}}" + (f":{rest}" if rest else "")


class Site:
    def __init__(self, backend):
        self.backend = backend
        self.redis = backend.redis

    def call(self, method, path, body=None, **more):
        status, answer = self.backend.call(method, path, body, **more)
        if status not in (200, 201, 202, 204):
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def job(self, path, body=None):
        job, _ = self.backend.finish(self.call("POST", path, body)["id"])
        return job

    def fill(self):
        self.call("PUT", "settings", SETTINGS)
        for offer in OFFERS:
            self.call("POST", "offers", {"state": "published", **offer})
        self.call("POST", "templates", {"id": "hi", "channel": "sms",
                                        "text": "Hi"})
        self.call("POST", "rules", {
            "id": "first", "type": "order_count", "threshold": 1,
            "channel": "sms", "template": "hi", "delay": 86400})
        self.call("POST", "webhooks/crm/secret")
        self.call("POST", "orders/batch", "\n".join(
            '{"order_id":"o%d","member_id":"m%d","status":"completed",'
            '"currency":"GBP","total":1000,"lines":[]}' % (i, i)
            for i in range(MEMBERS)), content_type="application/x-ndjson")
        self.call("PATCH", "members/m1", {
            "name": "Ann", "email": "ann@example.com",
            "phone": "+44 7700 900123", "consent": {"sms": True}})
        self.call("POST", "orders", {
            "order_id": "late", "member_id": "m1", "status": "completed",
            "currency": "GBP", "total": 1, "lines": []})
        self.call("POST", "members", {"id": "new", "phone": "+44 7700 900124",
                                      "consent": {"sms": True}})
        self.call("POST", "orders", {
            "order_id": "n1", "member_id": "new", "status": "completed",
            "currency": "GBP", "total": 900, "lines": []})
        for member in ("m1", "m2"):
            self.call("POST", f"members/{member}/points", {"amount": 500})
            self.call("POST", f"members/{member}/credits", {"amount": 500})
        self.mug = self.call("POST", "members/m1/entitlements",
                             {"offer_id": "mug", "buy": True})["id"]
        self.call("POST", f"members/m1/entitlements/{self.mug}/apply")
        self.gift = self.call("POST", "members/m2/entitlements",
                              {"offer_id": "gift"})
        self.job("offers/gift/codes", {"count": 400})
        for checkout, member in (("c1", "m1"), ("c2", "m3"), ("c3", "m4")):
            self.call("POST", "holds", {
                "checkout_id": checkout, "member_id": member, "ttl": 3600,
                "lines": [{"sku": "a", "quantity": 1, "unit_price": 5000}]})
        self.call("POST", "orders", {
            "order_id": "h2", "member_id": "m3", "status": "completed",
            "currency": "GBP", "total": 4900, "lines": [],
            "redemptions": ["c2"]})
        made = self.call("POST", "groups", {"name": "All", "filter": {
            "field": "deleted", "op": "eq", "value": False}})
        self.backend.finish(made["job"])
        self.group = made["id"]
        self.later = self.call("POST", "broadcasts", {
            "members": ["m1"], "channels": ["sms"], "title": "x",
            "content": "y", "at": time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))})["id"]

    def off(self):
        job = self.job("check")
        found = {(e["at"], e["code"], e["message"])
                 for e in (job.get("result") or {}).get("errors", [])}
        return job, found

    def first(self, *command):
        return self.redis(*command).split("\n")[0]


def quoted(text):
    return '"' + text.replace("\0", "\\x00") + '"'


def damages(site):
    """What is said, what breaks it, what mends it."""
    redis = site.redis
    code = site.first("zrange", key("cl", "gift"), "0", "0")
    own = site.first("hget", key("cd"), site.gift["code"])
    message = site.first("zrange", key("ob", "sms"), "0", "0")
    delivery = site.first("zrange", key("x", "deliveries"), "0", "0")

    def moved(list, element, score="0"):
        return (("zrem", list, element), ("zadd", list, score, element))

    def changed(hash, field, value):
        return (("hset", hash, field, value),
                ("hset", hash, field, redis("hget", hash, field)))

    def raw(*pair):
        return tuple(" ".join(words) for words in pair)

    email = quoted("ann@example.com\0m1")
    stranger = quoted("eve@example.com\0m2")
    return [
        (("m1", "index", "is not among the emails"),
         *raw(("zrem", key("ie"), email), ("zadd", key("ie"), "0", email))),
        (("m1", "index", "is not among the phones"),
         *raw(("zrem", key("ip"), quoted("+447700900123\0m1")),
              ("zadd", key("ip"), "0", quoted("+447700900123\0m1")))),
        (("m1", "index", "is not among the names"),
         *raw(("zrem", key("in"), quoted("ann\0m1")),
              ("zadd", key("in"), "0", quoted("ann\0m1")))),
        (("m2", "index", "is among the emails by what it does not have"),
         *raw(("zadd", key("ie"), "0", stranger),
              ("zrem", key("ie"), stranger))),
        (("nobody", "index", "is among the names by what it does not have"),
         *raw(("zadd", key("in"), "0", quoted("x\0nobody")),
              ("zrem", key("in"), quoted("x\0nobody")))),
        (("phones", "index", "has an element without a member"),
         ("zadd", key("ip"), "0", "ghost"), ("zrem", key("ip"), "ghost")),
        (("m5", "totals", "0 orders of 0, the record has 1 of 1000"),
         *moved(key("mo", "m5"), "o5")),
        (("m1", "hold", f"entitlement {site.mug} is kept by hold c1, which "
          "is not in force"), *moved(key("x", "holds"), "c1",
                                     "4102444800000")),
        (("ghost", "hold", "is listed as in force, and is not"),
         ("zadd", key("x", "holds"), "4102444800000", "ghost"),
         ("zrem", key("x", "holds"), "ghost")),
        (("m2", "code", f"the code of entitlement {site.gift['id']} is not "
          "in the index"),
         ("hdel", key("cd"), site.gift["code"]),
         " ".join(("hset", key("cd"), site.gift["code"], quoted(
             f"gift\0m2\0{site.gift['id']}\0\0")))),
        ((code, "code", "is not in the list of offer gift"),
         *moved(key("cl", "gift"), code)),
        (("GIFT-NO", "code", "what the index says of it cannot be read"),
         ("hset", key("cd"), "GIFT-NO", "x"),
         ("hdel", key("cd"), "GIFT-NO")),
        (("m7", "group", f"is in group {site.group}, which does not have it"),
         *moved(key("gm", site.group), "m7")),
        ((site.group, "group", "has 301 members, its count is 300"),
         *changed(key("g", site.group), "count", "300")),
        (("nobody", "group", f"is not in group {site.group}, which has it"),
         ("zadd", key("gm", site.group), "0", "nobody"),
         ("zrem", key("gm", site.group), "nobody")),
        (("mug", "uses", "uses of the offer: 0, but orders, wallets and "
          "holds have 1"), *changed(key("u"), "u:mug", "0")),
        (("five", "uses", "uses of the offer: 2, but orders, wallets and "
          "holds have 3"), *changed(key("u"), "u:five", "2")),
        (("five", "uses", "money given of the offer: 100, but orders, "
          "wallets and holds have 300"), *changed(key("u"), "s:five", "100")),
        (("gone", "uses", "uses or money of the offer are below 0"),
         ("hset", key("u"), "u:gone", "-1"), ("hdel", key("u"), "u:gone")),
        ((message, "message", "is pending, and is not among those to be "
          "done"), *moved(key("ob", "sms"), message, "4102444800000")),
        ((message, "message", "is pending, and is not listed as pending"),
         *moved(key("ml", "pending"), message)),
        ((message, "message", "is sent, and is among those to be done"),
         *changed(key("mg", message), "s", "sent")),
        (("ghost", "message", "is listed, and not there"),
         ("zadd", key("ob", "sms"), "4102444800000", "ghost"),
         ("zrem", key("ob", "sms"), "ghost")),
        ((site.later, "job", "is queued, and is not among those to be done"),
         *moved(key("x", "jobs"), site.later, "4070908800000")),
        (("ghost", "job", "is listed, and not there"),
         ("zadd", key("x", "joblist"), "4070908800000", "ghost"),
         ("zrem", key("x", "joblist"), "ghost")),
        ((delivery, "delivery", "is pending, and is not among those to be "
          "done"), *moved(key("x", "deliveries"), delivery, "4102444800000")),
        (("ghost", "delivery", "is listed, and not there"),
         ("zadd", key("x", "deliveries"), "4102444800000", "ghost"),
         ("zrem", key("x", "deliveries"), "ghost")),
    ]


def do(site, command):
    if isinstance(command, str):
        return site.redis(data=command)
    return site.redis(*command)


def main():
    tap = Tap()
    with Backend() as backend:
        site = Site(backend)
        site.fill()
        job, found = site.off()
        tap.ok(job["state"] == "done" and not found
               and job["result"]["offers"]["five"] == {"uses": 3,
                                                       "spent": 300}
               and job["done"] == MEMBERS + 1,
               "a site in order: nothing is off", f"{job}"[:900])
        for said, broken, mended in damages(site):
            do(site, broken)
            _, found = site.off()
            do(site, mended)
            tap.ok(said in found and len({(at, code) for at, code, _ in found})
                   <= 2, f"{said[1]}: {said[2][:60]}", sorted(found)[:6])
        job, found = site.off()
        tap.ok(not found, "and mended again: nothing is off",
               sorted(found)[:6])
    tap.done()


main()
