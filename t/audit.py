#!/usr/bin/env python3
"""The audit: every route that changes something leaves one entry, by whom and
of what; every other, and every call that is refused, none.  The routes are
those of the OpenAPI document: a new one fails here until it has its call."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend_api import Api
from demo import Tap
from redis_client import Folder, Redis, wait

TAP = Tap()
WORD = "correct horse battery"
SITE = "loyalty:s:{demo}:audit"
ALL = "loyalty:audit"
PNG = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4"
       b"\x89\0\0\0\nIDATx\x9cc\0\1\0\0\5\0\1\r\n-\xb4\0\0\0\0IEND\xaeB`\x82")

# Orders are events of the shop, as are holds: their record is in themselves.
# A quote changes nothing; signing in and out is no change of anything.
UNAUDITED = {"POST orders", "POST orders/batch", "POST holds",
             "DELETE holds/{id}", "POST quotes", "POST /session",
             "DELETE /session"}

# Nothing has failed here that could be tried again.
ELSEWHERE = {"POST dead-letters/{id}/replay", "DELETE dead-letters/{id}",
             "POST webhooks/deliveries/{id}/replay",
             "POST webhooks/deliveries/replay",
             "POST messages/retry", "POST messages/{id}/retry"}


def entries(redis):
    return sum(int(redis.cli("XLEN", key)) for key in (SITE, ALL))


def last(redis, key):
    fields = redis.cli("--raw", "XREVRANGE", key, "+", "-", "COUNT",
                       "1").decode().split("\n")[1:]
    return dict(zip(fields[::2], fields[1::2]))


class Walk:
    def __init__(self, api, redis, token, document):
        self.api, self.redis, self.token = api, redis, token
        self.walked, self.wrong = set(), []
        self.paths = [(method.upper(), path.removeprefix("/v1/"))
                      for path, item in document["paths"].items()
                      for method in item]

    def route(self, method, path):
        """As the document has it: the one with most words alike."""
        words = path.split("?")[0].split("/")
        best = max(((sum(a == b for a, b in zip(parts, words)), template)
                    for of, template in self.paths
                    for parts in [template.split("/")]
                    if of == method and len(parts) == len(words)
                    and all(a == b or a.startswith("{")
                            for a, b in zip(parts, words))))[1]
        short = best.removeprefix("sites/{site}/")
        return f"{method} {short if short != best else '/' + best}"

    def call(self, method, path, body=None, kind="application/json",
             whole=False, **who):
        """One change; its answer."""
        path = path if whole else f"sites/demo/{path}"
        before = entries(self.redis)
        status, _, text = self.api.call(method, path, body, kind=kind,
                                        **(who or {"token": self.token}))
        made, route = entries(self.redis) - before, self.route(method, path)
        self.walked.add(route)
        key = ALL if whole else SITE
        of = path.removeprefix("sites/demo/").split("?")[0]
        if status >= 300 or made != (route not in UNAUDITED):
            self.wrong.append(f"{route}: {status}, {made} entries {text[:90]}")
        elif made:
            entry = last(self.redis, key)
            by = "root@example.com" if who else "walker"
            if [entry.get(name) for name in "mpw"] != [method, of, by]:
                self.wrong.append(f"{route}: {entry}")
        return json.loads(text) if text[:1] == "{" else {}

    def ends(self, job):
        wait(lambda: json.loads(self.api.call(
            "GET", f"sites/demo/jobs/{job['id']}", token=self.token)[2])
            ["state"] not in ("queued", "running"), 20)


def programme(walk):
    call = walk.call
    call("PUT", "settings", {"currency": "GBP", "webhooks": [
        {"id": "shop", "url": "https://shop.example.com/hook",
         "events": ["order.applied"]}]})
    call("POST", "webhooks/shop/secret")
    call("POST", "webhooks/shop/test")
    call("POST", "activate", {})
    call("POST", "deactivate")
    call("POST", "preview-links", {"days": 2})
    draft = {"settings": {"id": "demo", "currency": "GBP"}}
    call("PUT", "draft", draft)
    call("DELETE", "draft")
    call("PUT", "draft", draft)
    call("POST", "draft/publish")
    call("POST", "versions/2/restore")
    bodies = {
        "statuses": {"threshold": 5, "name": {"en": "New"}},
        "designs": {"css": "h1 {}"},
        "offers": {"type": "clubcard"},
        "templates": {"channel": "sms", "text": "Hi"},
        "rules": {"type": "order_count", "threshold": 1, "channel": "sms",
                  "template": "new"}}
    for list, body in bodies.items():
        call("POST", list, {"id": "new", **body})
        call("PUT", f"{list}/new", body)
        call("POST", f"{list}/new/copy")
        if list == "statuses":
            call("POST", "statuses/order", {"ids": [
                "new", "bronze", "silver", "gold", "new-copy"]})
    call("POST", "categories", {"pattern": "A.*", "category": "a"})
    call("PUT", "categories/A.*", {"category": "b"})
    call("POST", "categories/order", {"ids": ["A.*"]})
    call("DELETE", "categories/A.*")
    call("POST", "offers/new/publish")
    call("POST", "offers/new/unpublish")
    call("POST", "offers/new/publish")
    image = call("POST", "images", PNG, "image/png")
    call("DELETE", f"images/{image.get('id') or image.get('hash')}")


def members(walk):
    call = walk.call
    call("POST", "offers", {"id": "code", "type": "coupon", "state":
                            "published", "code_pattern": "AB-######"})
    call("POST", "members", {"id": "anna"})
    call("PATCH", "members/anna", {"name": "Anna"})
    call("POST", "members/anna/points", {"amount": 50})
    call("POST", "members/anna/credits", {"amount": 50})
    given = call("POST", "members/anna/entitlements", {"offer_id": "code"})
    path = f"members/anna/entitlements/{given.get('id')}"
    call("POST", f"{path}/apply")
    call("POST", f"{path}/unapply")
    call("DELETE", path)
    for number in ("o1", "o2"):
        call("POST", "orders", {
            "order_id": number, "member_id": "anna", "status": "completed",
            "currency": "GBP", "total": 1000, "lines": []})
    call("POST", "orders/batch", b"", "application/x-ndjson")
    call("POST", "orders/o1/cancel", {"reason": "x"})
    call("POST", "orders/o2/refunds", {"id": "r", "amount": 100,
                                       "reason": "x"})
    cart = {"member_id": "anna", "currency": "GBP", "checkout_id": "c1",
            "lines": [{"sku": "A", "quantity": 1, "unit_price": 1000}]}
    call("POST", "holds", cart)
    call("DELETE", "holds/c1")
    del cart["checkout_id"]
    call("POST", "quotes", cart)


def jobs(walk):
    call, all = walk.call, {"field": "id", "op": "exists", "value": True}
    say = {"channels": ["sms"], "content": "x", "title": "x"}
    call("POST", "offers/new/assign", {"all": True})
    call("POST", "offers/code/codes", {"count": 2})
    call("POST", "members/bulk", {"members": ["anna"], "action": "points",
                                  "amount": 1})
    call("POST", "members/import", b'{"id":"bo"}', "application/x-ndjson")
    call("POST", "members/export", {"format": "csv"})
    call("POST", "reach", {"filter": all, "channels": ["sms"]})
    preset = call("POST", "broadcasts", {
        "filter": all, **say, "at": "2026-12-24T00:00:00Z"})
    call("DELETE", f"jobs/{preset.get('id')}")
    call("POST", "jobs", {"kind": "nightly"})
    call("POST", "check")
    group = call("POST", "groups", {"name": "g", "filter": all})
    walk.ends({"id": group.get("job")})
    path = f"groups/{group.get('id')}"
    call("POST", f"{path}/points", {"amount": 1})
    call("POST", f"{path}/credits", {"amount": 1})
    call("POST", f"{path}/reach", {"channels": ["sms"]})
    call("POST", f"{path}/broadcasts", say)
    call("POST", f"{path}/export", {"format": "csv"})
    call("DELETE", path)
    call("DELETE", "members/anna?erase=true")
    for list in ("rules", "templates", "offers", "designs", "statuses"):
        call("DELETE", f"{list}/new-copy")


def staff(walk, api):
    def call(method, path, body=None, **who):
        return walk.call(method, path, body, whole=True, **who)

    call("POST", "session", {"email": "root@example.com", "password": WORD})
    session = api.sign_in("root@example.com", WORD)
    call("PUT", "session/password", {"current": WORD, "password": WORD + "!"},
         session=session)
    session = api.sign_in("root@example.com", WORD + "!")
    call("DELETE", "session", session=session)
    call("POST", "staff", {"email": "new@example.com", "password": WORD})
    call("PATCH", "staff/new@example.com", {"name": "New"})
    walk.call("PUT", "staff/new@example.com", {"role": "editor"})
    walk.call("DELETE", "staff/new@example.com")
    call("DELETE", "staff/new@example.com")
    made = call("POST", "tokens", {"name": "t", "sites": ["demo"],
                                   "scopes": ["read"]})
    call("DELETE", f"tokens/{made.get('id')}")


def main():
    folder = Folder()
    redis = Redis(folder)
    api = Api(folder, redis, WORD)
    try:
        api.staff("root@example.com")
        token = api.token("walker", "--scopes", "read,write,admin")
        reader = api.token("reader", "--scopes", "read")
        document = json.loads(api.call("GET", "openapi.json")[2])
        walk = Walk(api, redis, token, document)
        programme(walk)
        members(walk)
        jobs(walk)
        staff(walk, api)
        TAP.ok(not walk.wrong, f"{len(walk.walked)} routes that change "
               "something leave one entry", "\n".join(walk.wrong))
        changing = {walk.route(method, path) for method, path in walk.paths
                    if method != "GET"}
        missing = changing - walk.walked - ELSEWHERE
        TAP.ok(not missing, "which is all of them", "\n".join(sorted(missing)))

        before = entries(redis)
        for method, path in walk.paths:
            path = path.replace("{site}", "demo").replace(
                "{id}", "none").replace("{entry}", "none")
            if method == "GET":
                api.call(method, path, token=token)
            else:
                api.call(method, path, {}, token=reader)
        TAP.ok(entries(redis) == before, "what reads, and who may not, leave "
               "none", entries(redis) - before)
        TAP.ok(api.complaints() == [], "nothing alarming in the log",
               "\n".join(api.complaints()))
    finally:
        api.stop()
        redis.stop()
        folder.remove()
    TAP.done()


main()
