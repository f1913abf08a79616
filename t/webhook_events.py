#!/usr/bin/env python3
"""Every event that a webhook can hear of: what it says, that it is signed and
told once; what it costs an order; and deliveries broken off in the middle."""

import functools
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import merchant
from backend import SITE, Backend
from demo import ROOT, Tap
from merchant import (EVENTS, Merchant, deliveries, events, is_signed, order,
                      secret, serve, settings, soon)

TAP = Tap()
wait = functools.partial(merchant.wait, TAP)


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def put(backend, kind, body):
    status, answer = backend.call("POST", kind, body)
    if status not in (200, 201, 202):
        raise RuntimeError(f"{kind}: {status} {answer}")
    return answer


def rule(name, count, channel, **more):
    return {"id": name, "type": "order_count", "threshold": count,
            "filter": "all", "channel": channel, "template": channel, **more}


def line_adapter(port):
    """LINE's, to a provider that takes nothing: 400 is for good."""
    made = json.loads((ROOT / "conf/adapters/line.json").read_text())
    made["url"] = f"http://127.0.0.1:{port}/400"
    return {"line.json": json.dumps(made), "token": "t0ken\n",
            "secret": "0123456789abcdef0123456789abcdef\n",
            "delivery.json": json.dumps({
                "email": {"mailbox": "mail"},
                "line": {"adapter": "line.json", "secret_file": "token"}})}


def prepare(backend, port):
    settings(backend, [{"id": "all", "url": f"http://127.0.0.1:{port}/ok",
                        "events": EVENTS}],
             messages={"track_url": "https://shop.example/t"})
    put(backend, "templates", {"id": "email", "channel": "email",
                               "subject": "Hello", "text": "Hello"})
    put(backend, "templates", {"id": "line", "channel": "line",
                               "text": "Hello"})
    put(backend, "rules", rule("one", 1, "email",
                               sender_address="shop@example.com"))
    put(backend, "rules", rule("two", 2, "line"))
    put(backend, "offers", {
        "id": "mug", "type": "reward", "name": {"en": "Mug"},
        "state": "published", "loyalty_price": 10,
        "discount": {"kind": "amount", "amount": 200}})
    put(backend, "members", {"id": "ada", "name": "Ada", "registered": True,
                             "email": "ada@example.com", "line_id": "U1",
                             "consent": {"email": True}})
    return secret(backend, "all")


def told(kind):
    return [data for name, data in events("/ok") if name == kind]


def track(backend, kind, message):
    """What the edge writes of an open, a click, an unsubscribe."""
    stream = "unsubscribes" if kind == "u" else "tracks"
    backend.redis("xadd", f"loyalty:s:{{{SITE}}}:{stream}", "*", "k", kind,
                  "i", message, "t", str(int(time.time() * 1000)))


def has(found, *wanted):
    """As many, and each with at least these fields."""
    return len(found) == len(wanted) and all(
        data.items() >= fields.items()
        for data, fields in zip(found, wanted))


def test_orders(backend):
    # 2 000 pounds: a point a pound; bronze from 1 000.
    order(backend, "o1", "ada")
    wait(lambda: told("message.sent"), "an order is told, and its message")
    TAP.ok(has(told("order.applied"), {
        "order_id": "o1", "member_id": "ada", "status": "completed",
        "currency": "GBP", "total": 200000}), "order.applied",
        told("order.applied"))
    added = told("points.added")
    TAP.ok(has(added, {"member_id": "ada", "points": 2000, "kind": "earn",
                       "order_id": "o1"}) and "occurred_at" in added[0],
           "points.added", added)
    TAP.ok(told("status.up") == [{"member_id": "ada", "to": "bronze"}],
           "status.up", told("status.up"))


def test_messages(backend):
    sent = told("message.sent")
    message = sent[0]["message_id"]
    known = {"message_id": message, "rule_id": "one", "member_id": "ada",
             "channel": "email"}
    TAP.ok(sent == [{**known, "order_id": "o1"}], "message.sent", sent)
    for kind in "oocc":
        track(backend, kind, message)
    wait(lambda: told("message.opened") and told("message.clicked"),
         "what the edge saw is told")
    TAP.ok(told("message.opened") == [known], "message.opened: the first",
           told("message.opened"))
    TAP.ok(told("message.clicked") == [known], "message.clicked: the first",
           told("message.clicked"))

    order(backend, "o2", "ada", 2500)
    wait(lambda: told("message.converted") and told("message.failed"),
         "an order after a click, and a message that is refused")
    TAP.ok(told("message.converted") == [
        {"message_id": message, "rule_id": "one", "member_id": "ada",
         "order_id": "o2", "revenue": 2500}], "message.converted",
        told("message.converted"))
    failed = told("message.failed")
    TAP.ok(has(failed, {"rule_id": "two", "member_id": "ada",
                        "channel": "line", "order_id": "o2"})
           and "400" in failed[0]["error"], "message.failed", failed)

    track(backend, "u", message)
    track(backend, "u", message)
    wait(lambda: told("message.unsubscribed"), "an unsubscribe is told")
    TAP.ok(told("message.unsubscribed") == [known], "message.unsubscribed",
           told("message.unsubscribed"))


def test_wallet(backend):
    bought = put(backend, "members/ada/entitlements", {"offer_id": "mug"})
    order(backend, "o3", "ada", 1000, redemptions=[bought["id"]])
    wait(lambda: told("offer.redeemed"), "a redemption is told")
    TAP.ok(told("offer.redeemed") == [
        {"member_id": "ada", "offer_id": "mug", "order_id": "o3",
         "entitlement_id": bought["id"]}], "offer.redeemed",
        told("offer.redeemed"))

    put(backend, "members/ada/points", {
        "amount": 30, "reason": "sorry", "expires_at":
        instant(time.time() + 2)})
    time.sleep(2.1)
    backend.finish(put(backend, "jobs", {"kind": "nightly"})["id"])
    wait(lambda: told("points.expired"), "points that expire are told")
    TAP.ok(has(told("points.expired"), {"member_id": "ada", "points": -30,
                                        "kind": "expire"}),
           "points.expired", told("points.expired"))
    given = [data for data in told("points.added")
             if data.get("reason") == "sorry"]
    TAP.ok(has(given, {"points": 30, "kind": "grant"})
           and "expires_at" in given[0], "points that staff gave", given)

    order(backend, "o1", "ada", status="cancelled")
    wait(lambda: told("status.down"), "a status that is lost is told")
    TAP.ok(told("status.down") == [{"member_id": "ada", "from": "bronze"}],
           "status.down", told("status.down"))


def test_all(backend, key):
    wait(lambda: not deliveries(backend, "pending"), "nothing is left")
    seen = Merchant.at("/ok")
    TAP.ok({name for name, _ in events("/ok")} == set(EVENTS),
           "every event was there", sorted(events("/ok"), key=str))
    TAP.ok(all(is_signed(key, headers, body) for _, headers, body in seen),
           "each signed")
    keys = [headers["Idempotency-Key"] for _, headers, _ in seen]
    TAP.ok(len(set(keys)) == len(keys)
           and [json.loads(body)["id"] for *_, body in seen] == keys
           and sorted(one["id"] for one in deliveries(backend, "done"))
           == sorted(f"{id}.all" for id in keys),
           "each once, by one delivery", keys)


def commands(backend):
    """How often Redis ran each command that writes."""
    found = {}
    for line in backend.redis("info", "commandstats").splitlines():
        if line.startswith("cmdstat_"):
            name, _, numbers = line[8:].partition(":")
            found[name] = int(numbers.split(",")[0].split("=")[1])
    return found


def cost(backend, name):
    """XADDs of an order; how long the stream of events is."""
    before = commands(backend)
    order(backend, name, "bea", 1000)
    after = commands(backend)
    return after.get("xadd", 0) - before.get("xadd", 0)


def test_cost(backend, port):
    """An order of a member with points: its ledger's entry, its audit's."""
    put(backend, "members", {"id": "bea", "name": "Bea"})
    settings(backend, [])
    none = cost(backend, "c1")
    stream = f"loyalty:s:{{{SITE}}}:events"
    length = backend.redis("xinfo", "stream", stream)
    settings(backend, [{"id": "w", "url": f"http://127.0.0.1:{port}/cost",
                        "events": ["status.down", "message.failed"]},
                       {"id": "off", "url": f"http://127.0.0.1:{port}/cost",
                        "events": EVENTS, "enabled": False}])
    other = cost(backend, "c2")
    TAP.ok(none == other and backend.redis("xinfo", "stream", stream)
           == length, "an order that no webhook wants costs none a command",
           (none, other))
    settings(backend, [{"id": "w", "url": f"http://127.0.0.1:{port}/cost",
                        "events": ["order.applied"]}])
    secret(backend, "w")
    wanted = cost(backend, "c3")
    TAP.ok(wanted == none + 1, "one event is one command", (none, wanted))
    wait(lambda: len(events("/cost")) == 1, "and told")


def broken(backend, port, name, action):
    """The first try is cut off while the merchant thinks about it."""
    settings(backend, [{"id": "l", "url": f"http://127.0.0.1:{port}/{name}",
                        "events": ["order.applied"]}])
    secret(backend, "l")
    order(backend, name, "ada", 100)
    backend.wait_for(lambda: Merchant.at(f"/{name}"), "nothing is told")
    action()
    backend.wait_for(lambda: order(backend, f"{name}-2", "cyd", 1)
                     in (200, 201), "the back end does not come back")
    claim = backend.redis("zrange", f"loyalty:x:{{{SITE}}}:deliveries", "0",
                          "-1", "WITHSCORES").split()
    due = dict(zip(claim[::2], claim[1::2]))  # by id, so by age
    time.sleep(1)
    TAP.ok(len({headers["Idempotency-Key"] for _, headers, body
                in Merchant.at(f"/{name}")
                if json.loads(body)["data"]["order_id"] == name}) == 1
           and int(due[min(due)]) > time.time() * 1000,
           f"{name}: who took it may live yet, so others wait", claim)
    soon(backend)
    wait(lambda: not deliveries(backend, "pending"), "then it is told again")
    tries = [headers["Idempotency-Key"] for _, headers, body
             in Merchant.at(f"/{name}")
             if json.loads(body)["data"]["order_id"] == name]
    TAP.ok(len(tries) == 2 and len(set(tries)) == 1, "by the same key", tries)


def test_bad_receivers(backend, port):
    """Each waits, and none keeps the others."""
    names = ["never", "429", "503", "302"]
    settings(backend, [{"id": name, "url": f"http://127.0.0.1:{port}/{name}",
                        "events": ["order.applied"]} for name in names]
             + [{"id": "good", "url": f"http://127.0.0.1:{port}/good",
                 "events": ["order.applied"]}])
    for name in names + ["good"]:
        secret(backend, name)
    before = len(Merchant.at("/ok"))
    began = time.time()
    for i in range(3):
        order(backend, f"bad{i}", "ada", 1)
    wait(lambda: len(Merchant.at("/good")) == 3, "the good one hears all", 25)
    wait(lambda: {one["webhook_id"]: one.get("status", 0)
                  for one in deliveries(backend, "pending")
                  if one.get("error")} == {
        "never": 0, "429": 429, "503": 503, "302": 302},
        "the others are tried again", 25)
    TAP.ok(len(Merchant.at("/ok")) == before and len(Merchant.at("/never")) < 3,
           "a redirect is not followed, and who never answers rests")
    due = {one["id"]: float(backend.redis(
        "zscore", f"loyalty:x:{{{SITE}}}:deliveries", one["id"])) / 1000
        for one in deliveries(backend, "pending")
        if one["webhook_id"] == "429"}
    TAP.ok(len(due) == 3 and all(at >= began + 100 for at in due.values()),
           "Retry-After is heeded", due)


def main():
    port = serve()
    with Backend("loyalty_delivery FOLDER/delivery.json "
                 "secret=FOLDER/secret;", line_adapter(port),
                 parameters="webhooks=any") as backend:
        key = prepare(backend, port)
        test_orders(backend)
        test_messages(backend)
        test_wallet(backend)
        test_all(backend, key)
        test_cost(backend, port)
        broken(backend, port, "late-reload",
               lambda: backend.nginx.send_signal(signal.SIGHUP))
        broken(backend, port, "late-kill", backend.kill_workers)
        test_bad_receivers(backend, port)
    TAP.done()


main()
