#!/usr/bin/env python3
"""Webhooks: which events come, signed, and to whom; what is slow, refused or
gone for good; replays; order posts; and that kills lose none."""

import functools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import merchant
from backend import SITE, Backend
from demo import Tap, free_port
from merchant import (Merchant, deliveries, is_signed, order, secret, serve,
                      settings, soon)

TAP = Tap()
ALL = merchant.EVENTS[:6]
wait = functools.partial(merchant.wait, TAP)


def test_events(backend, port):
    order(backend, "before")
    TAP.ok(backend.redis("exists", f"loyalty:s:{{{SITE}}}:events") == "0",
           "without a webhook no event is written")

    settings(backend, [
        {"id": "all", "url": f"http://127.0.0.1:{port}/ok", "events": ALL},
        {"id": "some", "url": f"http://127.0.0.1:{port}/ok2",
         "events": ["points.added"]},
        {"id": "off", "url": f"http://127.0.0.1:{port}/off", "events": ALL,
         "enabled": False}])
    key = secret(backend, "all")
    secret(backend, "some")
    order(backend, "o1", "bea")

    wait(lambda: len(Merchant.at("/ok")) == 3 and len(Merchant.at("/ok2")) == 1,
         "an order is told to who wants it: applied, points, status")
    events = {json.loads(body)["type"]: (headers, json.loads(body), body)
              for _, headers, body in Merchant.at("/ok")}
    TAP.ok(sorted(events) == ["order.applied", "points.added", "status.up"],
           "its events", sorted(events))
    TAP.ok(all(is_signed(key, headers, body)
               for headers, _, body in events.values()),
           "each is signed by the webhook's own secret")
    TAP.ok(all(headers["Idempotency-Key"] == event["id"]
               and event["site"] == SITE and set(event) == {
                   "id", "type", "site", "at", "data"}
               for headers, event, _ in events.values()),
           "the id is the idempotency key")
    # 2 000 pounds earn a point a pound; bronze begins at 1 000.
    TAP.ok(events["points.added"][1]["data"].items() >= {
        "member_id": "bea", "points": 2000, "kind": "earn",
        "order_id": "o1"}.items()
        and events["status.up"][1]["data"] == {"member_id": "bea",
                                               "to": "bronze"}
        and events["order.applied"][1]["data"].items() >= {
            "order_id": "o1", "member_id": "bea", "total": 200000,
            "status": "completed"}.items(), "and says what happened", events)

    order(backend, "o1", "bea")
    order(backend, "o1", "bea", status="cancelled")
    wait(lambda: any(json.loads(body)["type"] == "status.down"
                     for *_, body in Merchant.at("/ok")),
         "a cancelled order takes the status back")
    TAP.ok(len(Merchant.at("/ok")) == 5 and not Merchant.at("/off"),
           "a duplicate is no event, and what is off hears nothing",
           [body for *_, body in Merchant.at("/ok")])
    TAP.ok(all(one["state"] == "done" and one["status"] == 200
               for one in deliveries(backend, "done"))
           and not deliveries(backend, "dead"), "all are done")


def test_answers(backend, port):
    names = ["500", "410", "302", "slow", "flaky", "unsigned"]
    settings(backend, [
        {"id": name, "url": f"http://127.0.0.1:{port}/{name}",
         "events": ["order.applied"]} for name in names] + [
        {"id": "away", "url": f"http://127.0.0.1:{free_port()}/",
         "events": ["order.applied"]}])
    for name in names[:-1] + ["away"]:
        secret(backend, name)
    order(backend, "o2")

    wait(lambda: [one["webhook_id"] for one in deliveries(backend, "dead")]
         == ["410"], "410 is dead at once")
    wait(lambda: Merchant.at("/slow") and any(
        one["webhook_id"] == "slow" for one in deliveries(backend, "done")),
        "a slow answer is waited for")
    wait(lambda: {(one["webhook_id"], one.get("error"))
                  for one in deliveries(backend, "pending")
                  if one["webhook_id"] in ("500", "302", "unsigned")} == {
        ("500", "status 500"), ("302", "status 302"),
        ("unsigned", "the webhook has no secret")},
        "the others wait, and say why")
    TAP.ok(not Merchant.at("/unsigned"), "nothing goes out unsigned")
    TAP.ok(len(Merchant.at("/ok")) == 5, "a redirect is not followed")

    for _ in range(2):
        soon(backend)
        time.sleep(1.5)
    wait(lambda: any(one["webhook_id"] == "flaky" and one["tries"] == 3
                     for one in deliveries(backend, "done")),
         "the third try of one that fails twice is done")
    TAP.ok(len({headers["Idempotency-Key"]
                for _, headers, _ in Merchant.at("/flaky")}) == 1,
           "all its tries have one key")

    # A day after its first try.
    for one in deliveries(backend, "pending"):
        backend.redis("hset", f"loyalty:wd:{{{SITE}}}:{one['id']}", "f", "1")
    soon(backend)
    wait(lambda: {one["webhook_id"] for one in deliveries(backend, "dead")}
         == {"410", "500", "302", "unsigned", "away"},
         "what has failed for a day is dead", 25)

    dead = {one["webhook_id"]: one["id"]
            for one in deliveries(backend, "dead")}
    settings(backend, [{"id": "500", "url": f"http://127.0.0.1:{port}/again",
                        "events": ["order.applied"]}])
    before = len(Merchant.at("/again"))
    status, _ = backend.call("POST",
                             f"webhooks/deliveries/{dead['500']}/replay")
    wait(lambda: len(Merchant.at("/again")) == before + 1,
         "a replay goes to where the webhook is now")
    backend.call("POST", f"webhooks/deliveries/{dead['302']}/replay")
    wait(lambda: any(one["id"] == dead["302"] and "deleted" in one["error"]
                     for one in deliveries(backend, "dead")) and status == 202,
         "one of a webhook that is deleted is dead again")


def test_staff(backend, port):
    """Trying a webhook, looking for deliveries, and sending them again."""
    settings(backend, [{"id": name, "url": f"http://127.0.0.1:{port}/{path}",
                        "events": ["order.applied"]}
                       for name, path in (("try", "410"), ("ok", "tried"))])
    key = secret(backend, "ok")
    secret(backend, "try")
    status, made = backend.call("POST", "webhooks/ok/test")
    wait(lambda: Merchant.at("/tried"), "a test is sent")
    _, headers, body = Merchant.at("/tried")[0]
    event = json.loads(body)
    TAP.ok(status == 202 and is_signed(key, headers, body)
           and event == {"id": made["id"][:-3], "type": "webhook.test",
                         "site": SITE, "at": event["at"], "data": {}}
           and headers["Idempotency-Key"] == event["id"],
           "as any other event", (made, event))
    wait(lambda: backend.call("GET", f"webhooks/deliveries/{made['id']}")[1]
         .items() >= {"state": "done", "status": 200, "tries": 1,
                      "body": body.decode()}.items(), "and is in the log")

    time.sleep(1)
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for n in range(7):
        order(backend, f"s{n}", total=1)
    wait(lambda: len(deliveries(backend, "dead", "&webhook=try")) == 7
         and len(deliveries(backend, "done", f"&from={begun}")) == 7,
         "by state, webhook and date")
    pages, cursor = [], ""
    while cursor is not None:
        _, page = backend.call("GET", "webhooks/deliveries?webhook=try&limit=3"
                                      f"&from={begun}{cursor}")
        pages.append([one["id"] for one in page["deliveries"]])
        cursor = page.get("next_cursor")
        cursor = cursor and f"&cursor={cursor}"
    names = sum(pages, [])
    TAP.ok(len(names) == len(set(names)) == 7
           and all(len(page) <= 3 for page in pages), "page by page", pages)
    TAP.ok(not deliveries(backend, "dead", f"&to={begun}&webhook=try")
           and not deliveries(backend, "dead", "&webhook=none"),
           "those of before, and of others, are left out")

    settings(backend, [{"id": "try", "url": f"http://127.0.0.1:{port}/redone",
                        "events": ["order.applied"]}])
    counts, cursor = [], ""
    while cursor is not None:
        status, body = backend.call(
            "POST", "webhooks/deliveries/replay?state=dead&webhook=try"
                    f"&from={begun}&limit=3{cursor}")
        counts.append((status, body["replayed"]))
        cursor = body.get("next_cursor")
        cursor = cursor and f"&cursor={cursor}"
    wait(lambda: len(Merchant.at("/redone")) == 7, "all are sent again")
    TAP.ok(counts == [(202, 3), (202, 3), (202, 1)]
           and {headers["Idempotency-Key"] for _, headers, _ in
                Merchant.at("/redone")} == {name[:-4] for name in names},
           "a page a call, by their keys", counts)


def test_dead_ends(backend, port, orders=20):
    """More endpoints that do not answer than a worker POSTs at once; one that
    does has all its events while the first of those are still waited for."""
    held = [f"held{n}" for n in range(15)]
    settings(backend, [{"id": name, "url": f"http://127.0.0.1:{port}/{name}",
                        "events": ["order.applied"]}
                       for name in held + ["lively"]])
    for name in held + ["lively"]:
        secret(backend, name)
    elsewhere = {"id": "elsewhere", "events": ["order.applied"],
                 "url": f"http://127.0.0.1:{port}/elsewhere"}
    backend.call("PUT", "settings", {
        "id": "other", "currency": "GBP", "active": True,
        "webhooks": [elsewhere]}, site="other")
    backend.call("POST", "webhooks/elsewhere/secret", site="other")
    Merchant.release.clear()
    order(backend, "h0")
    wait(lambda: any(Merchant.at(f"/{name}") for name in held),
         "one that does not answer is waited for")
    for n in range(orders):
        backend.call("POST", "orders", {
            "order_id": f"e{n}", "member_id": "eve", "status": "completed",
            "currency": "GBP", "total": 1, "lines": []}, site="other")
    wait(lambda: len(Merchant.at("/elsewhere")) == orders,
         "another site's events do not wait for it")
    answered = [one for one in deliveries(backend, "pending")
                if one["webhook_id"] in held and one.get("error")]
    TAP.ok(not answered, "nor for its time to be over", answered)
    with Merchant.lock:
        at = {}
        for path, _, body in Merchant.seen:
            at.setdefault(path, []).append(json.loads(body)["id"])
    TAP.ok(all(len(at.get(f"/{name}", [])) <= 1 for name in held),
           "each delivery has been claimed once", at)
    Merchant.release.set()
    wait(lambda: len(Merchant.at("/lively")) == 1 and not [
        one for one in deliveries(backend, "pending")
        if one["webhook_id"] == "lively"], "in the end all are done")
    settings(backend, [])


def test_order_posts(backend):
    stream = f"loyalty:s:{{{SITE}}}:posts"
    backend.redis("xadd", stream, "*", "e", '{"order_id":"p1"}', "i",
                  "journal-1", "u", "/slow-hook?x=1")
    wait(lambda: Merchant.at("/base/slow-hook?x=1"),
         "an order post of the edge is posted")
    _, headers, body = Merchant.at("/base/slow-hook?x=1")[0]
    TAP.ok(body == b'{"order_id":"p1"}'
           and headers["Idempotency-Key"] == "journal-1"
           and headers["Loyalty-Site"] == SITE, "as the edge would", headers)
    TAP.ok(backend.redis("xlen", stream) == "0", "and leaves its stream")

    for uri in ("no-path", "/with space", "/" + "x" * 2048, ""):
        backend.redis("xadd", stream, "*", "e", "{}", "i", "bad", "u", uri)
    wait(lambda: [one["error"] for one in deliveries(backend, "dead")
                  if one["type"] == "order.post"] == [
        "the order post has no path of at most 2048 bytes to go to"] * 4,
        "one that can go nowhere is dead, and to be seen")
    logged = (backend.dir / "logs" / "error.log").read_text()
    told = [line for line in logged.splitlines() if "is given up" in line]
    dead = len(deliveries(backend, "dead"))
    TAP.ok(1 <= len(told) <= 2 < dead,
           f"of {dead} dead ones a worker names one a minute", told)


def test_secrets(backend, port):
    key = f"loyalty:x:{{{SITE}}}:secrets"
    two = [{"id": name, "url": f"http://127.0.0.1:{port}/{name}",
            "events": ["order.applied"]} for name in ("keep", "drop")]
    settings(backend, two)
    secret(backend, "drop")
    kept = secret(backend, "keep")
    _, version = backend.call("GET", "versions?limit=1")
    settings(backend, two[:1])
    TAP.ok(backend.redis("hgetall", key).split() == ["keep", kept],
           "the secret of a webhook that is deleted is deleted")
    newest = version["versions"][0]["version"]
    status, _ = backend.call("POST", f"versions/{newest}/restore")
    order(backend, "secrets")
    wait(lambda: {one["webhook_id"]: one.get("error")
                  for one in deliveries(backend, "pending")}.get("drop")
         == "the webhook has no secret" and len(Merchant.at("/keep")) == 1,
         f"one that comes back ({status}) needs a new one")
    secret(backend, "drop")
    soon(backend)
    wait(lambda: len(Merchant.at("/drop")) == 1, "and then goes on")


def test_kills(backend, port, orders=40):
    settings(backend, [{"id": "k", "url": f"http://127.0.0.1:{port}/kills",
                        "events": ["order.applied"]}])
    secret(backend, "k")
    for n in range(orders):
        while order(backend, f"k{n}", total=1) not in (200, 201):
            time.sleep(0.05)
        if n % 15 == 5:
            backend.kill_workers()
        if n % 15 == 12:
            backend.kill_redis()

    def told():
        soon(backend)
        return {json.loads(body)["data"]["order_id"]
                for *_, body in Merchant.at("/kills")} == {
                    f"k{n}" for n in range(orders)}

    wait(told, "kills of workers and Redis lose no event", 40)
    keys = {}
    for _, headers, body in Merchant.at("/kills"):
        keys.setdefault(json.loads(body)["data"]["order_id"],
                        set()).add(headers["Idempotency-Key"])
    TAP.ok(all(len(found) == 1 for found in keys.values()),
           "and make none twice: one key for each order",
           {name: found for name, found in keys.items() if len(found) != 1})


def test_stop(backend, port):
    """A try would take 10 s (LOYALTY_WEBHOOK_TIMEOUT)."""
    settings(backend, [{"id": "s", "url": f"http://127.0.0.1:{port}/never",
                        "events": ["order.applied"]}])
    secret(backend, "s")
    order(backend, "last")
    wait(lambda: Merchant.at("/never"), "an answer that does not come")
    began = time.monotonic()
    backend.nginx.terminate()
    backend.nginx.wait(20)
    took = time.monotonic() - began
    TAP.ok(took < 6, "it is not waited for at the end", took)


def test_private(port):
    hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]",
             "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254"]
    with Backend() as backend:
        settings(backend, [{"id": f"p{n}", "url": f"http://{host}:{port}/p",
                            "events": ["order.applied"]}
                           for n, host in enumerate(hosts)])
        for n in range(len(hosts)):
            secret(backend, f"p{n}")
        order(backend, "o1")
        wait(lambda: [one.get("error")
                      for one in deliveries(backend, "pending")]
             == ["the address is not public"] * len(hosts),
             "without webhooks=any nothing goes to this machine")
        TAP.ok(not Merchant.at("/p"), "nor did anything",
               deliveries(backend, "pending"))


def main():
    port = serve()
    with Backend(parameters=f"webhooks=any "
                            f"order_post=http://127.0.0.1:{port}/base"
                 ) as backend:
        test_events(backend, port)
        test_answers(backend, port)
        test_staff(backend, port)
        test_dead_ends(backend, port)
        test_order_posts(backend)
        test_secrets(backend, port)
        test_kills(backend, port)
        test_stop(backend, port)
    test_private(port)
    TAP.done()


main()
