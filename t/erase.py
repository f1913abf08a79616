#!/usr/bin/env python3
"""Erasing a member: afterwards no key of Redis has the address, the number,
the name or anything else that was personal, wherever it had got to."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import Tap

TAP = Tap()
PERSON = {"id": "w7", "email": "Wilhelmina@Zufall.example",
          "phone": "+44 7700 912345", "name": "Wilhelmina Zufallstochter",
          "messenger_id": "mess-4711", "line_id": "line-4712",
          "attributes": {"shoe": "thirty-nine-and-a-half"},
          "consent": {"email": True, "sms": True, "messenger": True,
                      "line": True}}
TRACES = ["wilhelmina", "zufall", "7700912345", "7700 912345", "mess-4711",
          "line-4712", "thirty-nine-and-a-half"]
NEIGHBOUR = {"id": "n1", "email": "neighbour@example.com", "name": "Neighbour",
             "phone": "+447700900002", "consent": {"email": True}}


def value(backend, key):
    kind = backend.redis("type", key)
    return backend.redis(*{
        "string": ("get", key), "hash": ("hgetall", key),
        "list": ("lrange", key, "0", "-1"), "set": ("smembers", key),
        "zset": ("zrange", key, "0", "-1"), "stream": ("xrange", key, "-", "+"),
    }[kind]) if kind != "none" else ""  # it went since it was listed


def traces(backend):
    """{key: what of the person is in it or its name}"""
    found = {}
    for key in backend.redis("--scan").split("\n"):
        text = f"{key}\n{value(backend, key)}".lower()
        seen = [trace for trace in TRACES if trace in text]
        if seen:
            found[key] = seen
    return found


def done(backend, method, path, body, *more, **headers):
    status, answer = backend.call(method, path, body, *more, **headers)
    assert status in (200, 201, 202), (method, path, status, answer)
    if status == 202:
        answer, _ = backend.finish(answer.get("job", answer["id"]))
    return answer


def live(backend):
    """Whatever a member can do and have done."""
    done(backend, "PUT", "settings", {
        "currency": "GBP", "active": True, "webhooks": [
            {"id": "shop", "url": "http://127.0.0.1:1/hook", "events":
             ["order.applied", "points.added", "message.sent",
              "offer.redeemed"]}]})
    done(backend, "POST", "webhooks/shop/secret", None)
    done(backend, "POST", "members", PERSON, **{"Idempotency-Key": "made"})
    done(backend, "POST", "members", NEIGHBOUR)
    done(backend, "PATCH", "members/w7",
         {"name": PERSON["name"] + " the First"})
    done(backend, "PATCH", "members/w7", {"name": PERSON["name"]})
    done(backend, "POST", "members/import", json.dumps(PERSON) + "\n"
         + json.dumps({**PERSON, "id": ""}) + "\n"
         + json.dumps({**PERSON, "id": "w7", "email": "zufall, no address"}),
         "application/x-ndjson")
    done(backend, "POST", "templates", {
        "id": "thanks", "channel": "email", "subject": "{{member.name}}",
        "text": "Dear {{member.name}}"})
    done(backend, "POST", "rules", {
        "id": "first", "type": "order_count", "threshold": 1, "channel":
        "email", "template": "thanks", "sender_address": "s@example.com",
        "enabled": True})
    done(backend, "POST", "orders", {
        "order_id": "o1", "member_id": "w7", "status": "completed",
        "currency": "GBP", "total": 5000, "lines": []})
    done(backend, "POST", "members/w7/points",
         {"amount": 5, "reason": "goodwill"}, **{"Idempotency-Key": "five"})
    who = {"field": "email", "op": "eq", "value": PERSON["email"].lower()}
    made = backend.call("POST", "groups", {"name": "One", "filter": who})[1]
    backend.finish(made["job"])
    done(backend, "POST", f"groups/{made['id']}/export", {"format": "csv"})
    done(backend, "POST", "members/export", {"format": "ndjson"})
    done(backend, "POST", "members/bulk", {
        "filter": who, "action": "points", "amount": 1, "notify": {
            "channels": ["email"], "title": "Dear {{member.name}}",
            "content": "One", "sender_address": "s@example.com"}})
    done(backend, "POST", "broadcasts", {
        "members": ["w7", "n1"], "channels": ["email", "sms"],
        "title": "Dear {{member.name}}", "content": "{{member.name}}",
        "sender_address": "s@example.com"})
    kept = backend.call("POST", "members/bulk", {
        "filter": who, "action": "points", "amount": 1})[1]["id"]
    backend.call("DELETE", f"jobs/{kept}")
    backend.call("GET", "members/w7/export")
    mail = backend.dir / "mail"
    backend.wait_for(lambda: len(list(mail.rglob("*.eml"))) >= 3,
                     "no messages")


def main():
    with Backend("loyalty_delivery mailbox=FOLDER/mail secret=FOLDER/secret;",
                 {"secret": "0123456789abcdef0123456789abcdef\n"},
                 "webhooks=any") as backend:
        live(backend)
        before = traces(backend)
        TAP.ok(f"loyalty:m:{{{SITE}}}:w7" in before and len(before) >= 4,
               "what is looked for is there before", before)
        status, _ = backend.call("DELETE", "members/w7?erase=true")
        left = traces(backend)
        TAP.ok(status == 204 and left == {},
               "and in no key after it has been erased", left)
        status, member = backend.call("GET", "members/w7")
        TAP.ok(status == 404, "nor does the API know them", member)
        status, again = backend.call("POST", "members", PERSON, **{
            "Idempotency-Key": "made"})
        TAP.ok(status == 409 and traces(backend) == {},
               "the request that made them does not do so again",
               (status, again))
        status, neighbour = backend.call("GET", "members/n1")
        TAP.ok(status == 200 and neighbour["email"] == NEIGHBOUR["email"],
               "the others keep theirs", neighbour)
    TAP.done()


main()
