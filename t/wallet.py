#!/usr/bin/env python3
"""The wallet while others use it too: checkouts at once, abandoned ones, a
back end and a Redis that are killed between hold and order.

What the members have is counted again from their ledgers and their wallets.
"""

import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import Tap

OFFERS = [
    {"id": "first-five", "type": "promotion", "name": {"en": "Five"},
     "limit_total": 5, "discount": {"kind": "amount", "amount": 100}},
    {"id": "purse", "type": "promotion", "name": {"en": "Purse"},
     "budget_total": 1000, "discount": {"kind": "amount", "amount": 150}},
    {"id": "mug", "type": "reward", "name": {"en": "Mug"}, "loyalty_price": 10,
     "limit_total": 3, "discount": {"kind": "amount", "amount": 200}},
    {"id": "gift", "type": "coupon", "name": {"en": "Gift"},
     "code_pattern": "GIFT-@@@###",
     "discount": {"kind": "amount", "amount": 50}},
]


def cart(checkout, member=None, price=2000, **more):
    body = {"checkout_id": checkout, **more,
            "lines": [{"sku": "a", "quantity": 1, "unit_price": price}]}
    if member:
        body["member_id"] = member
    return body


def order(order_id, member, hold, status="completed"):
    event = {"order_id": order_id, "member_id": member, "status": status}
    if status != "cancelled":
        event.update({"currency": "GBP", "total": 1000, "lines": [],
                      "placed_at": "2026-01-01T00:00:00Z",
                      "redemptions": [hold]})
    return event


def until(backend, method, path, body, **more):
    """The answer, asked for again while nobody answers or all are busy."""
    while True:
        status, answer = backend.call(method, path, body, **more)
        if status not in (0, 500, 502, 503):
            return status, answer
        time.sleep(0.05)


def at_once(actions):
    """Runs them in threads; their results in order."""
    results = [None] * len(actions)

    def run(i):
        results[i] = actions[i]()

    threads = [threading.Thread(target=run, args=(i,))
               for i in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def given(quote):
    return [discount["offer_id"] for discount in quote["discounts"]]


def uses(backend, field):
    return int(backend.redis("hget", f"loyalty:u:{{{SITE}}}", field) or 0)


def setup(backend):
    for offer in OFFERS:
        status, answer = backend.call("POST", "offers", offer)
        assert status == 201, answer
        status, answer = backend.call("POST", f"offers/{offer['id']}/publish",
                                      None)
        assert status in (200, 409), answer
    for i in range(12):
        backend.call("POST", "members", {"id": f"m{i}"})
        backend.call("POST", f"members/m{i}/points", {"amount": 100})


def checkouts_at_once(tap, backend):
    """12 ask for 5, and for a purse of 10.00 that pays 1.50 six times."""
    answers = at_once([
        lambda i=i: until(backend, "POST", "holds",
                          cart(f"crowd-{i}", f"m{i}", ttl=600))
        for i in range(12)])
    tap.ok({status for status, _ in answers} == {201}, "all are answered",
           answers)
    quotes = [answer["quote"] for _, answer in answers]
    tap.ok(sum("first-five" in given(quote) for quote in quotes) == 5
           and uses(backend, "u:first-five") == 5,
           "five of twelve checkouts get what there are five of")
    tap.ok(sum("purse" in given(quote) for quote in quotes) == 6
           and uses(backend, "s:purse") == 900,
           "six get 1.50 out of a purse of 10.00")

    # Half of them order, twice each and both at once; the rest gives up.
    at_once([lambda i=i: until(backend, "POST", "orders",
                               order(f"crowd-{i % 6}", f"m{i % 6}",
                                     f"crowd-{i % 6}"))
             for i in range(12)])
    for i in range(6, 12):
        backend.call("DELETE", f"holds/crowd-{i}")
    kept = sum("first-five" in given(quote) for quote in quotes[:6])
    tap.ok(uses(backend, "u:first-five") == kept,
           "what was given up is there again",
           (uses(backend, "u:first-five"), kept))

    for i in range(6):
        backend.call("POST", "orders", order(f"crowd-{i}", f"m{i}", "",
                                             "cancelled"))
    tap.ok(uses(backend, "u:first-five") == 0
           and uses(backend, "s:purse") == 0, "and what was cancelled")


def one_entry(tap, backend):
    """Two checkouts and two orders after one entry; buying against others."""
    answers = at_once([
        lambda i=i: until(backend, "POST", f"members/m{i}/entitlements",
                          {"offer_id": "mug", "buy": True, "id": "mug"})
        for i in range(8)])
    bought = [i for i, (status, _) in enumerate(answers) if status == 201]
    refused = {answer["error"]["code"] for status, answer in answers
               if status != 201}
    tap.ok(len(bought) == 3 and refused == {"limit_total"},
           "three of eight buy what there are three of", answers)
    points = [backend.call("GET", f"members/m{i}")[1]["points"]["active"]
              for i in range(8)]
    tap.ok(all((points[i] == 90) == (i in bought) for i in range(8)),
           "and only they paid", points)

    one = f"m{bought[0]}"
    backend.call("POST", f"members/{one}/entitlements/mug/apply")
    answers = at_once([
        lambda i=i: until(backend, "POST", "holds", cart(f"one-{i}", one))
        for i in range(4)])
    tap.ok(sum("mug" in given(answer["quote"]) for _, answer in answers) == 1,
           "one of four checkouts has the entry")
    at_once([lambda i=i: until(backend, "POST", "orders",
                               order(f"one-{i}", one, f"one-{i}"))
             for i in range(4)])
    _, member = backend.call("GET", f"members/{one}")
    tap.ok([e["state"] for e in member["entitlements"]] == ["redeemed"],
           "and one order has used it", member)


def same_key(tap, backend):
    """An answer that was lost is asked for again."""
    before = backend.call("GET", "members/m9")[1]["points"]["active"]
    answers = at_once([
        lambda: until(backend, "POST", "members/m9/points", {"amount": 5},
                      **{"Idempotency-Key": "five"}) for _ in range(6)])
    after = backend.call("GET", "members/m9")[1]["points"]["active"]
    tap.ok(after == before + 5 and len({str(a) for a in answers}) == 1,
           "one Idempotency-Key, six at once: one grant", answers)
    status, _ = until(backend, "POST", "members/m9/points", {"amount": 6},
                      **{"Idempotency-Key": "five"})
    tap.ok(status == 422, "the same key with another body")

    # As an older version kept it, without the line of the ETag; or nothing
    # that any has kept.
    key = f"loyalty:i:{{{SITE}}}:five"
    kept = backend.redis("get", key).split("\n")
    for old in (f"{kept[0]}\n\n{kept[-1]}", kept[0][:64], "?" * 80):
        backend.redis("set", key, old)
        status, answer = until(backend, "POST", "members/m9/points",
                               {"amount": 5}, **{"Idempotency-Key": "five"})
        tap.ok(status == 409 and answer["error"]["code"] == "answer_lost",
               "an answer that cannot be read is said to be lost",
               (old, status, answer))
    tap.ok(backend.call("GET", "members/m9")[1]["points"]["active"] == after,
           "and the grant is not made again")


def abandoned(tap, backend):
    """Time is up: entry, promotion and store credit come back by themselves,
    and the order that comes too late has what nobody else took."""
    backend.call("POST", "members/m10/credits", {"amount": 700})
    status, answer = backend.call(
        "POST", "holds", cart("slow", "m10", ttl=1, credits=700))
    tap.ok(status == 201 and answer["credits"] == 700, "store credit is held",
           answer)
    _, member = backend.call("GET", "members/m10")
    tap.ok(member["credits"]["active"] == 0, "and cannot be used elsewhere")
    held = uses(backend, "u:first-five")
    backend.wait_for(
        lambda: backend.call("GET", "holds/slow")[1]["state"] == "released",
        "the hold is not released", 10)
    _, member = backend.call("GET", "members/m10")
    tap.ok(member["credits"]["active"] == 700
           and uses(backend, "u:first-five") == held - 1,
           "until its time is up")

    backend.call("POST", "orders", order("slow", "m10", "slow"))
    _, member = backend.call("GET", "members/m10")
    tap.ok(member["credits"]["active"] == 0
           and uses(backend, "u:first-five") == held,
           "a late order has it all the same")
    backend.call("POST", "orders", order("slow", "m10", "", "cancelled"))
    _, member = backend.call("GET", "members/m10")
    tap.ok(member["credits"]["active"] == 700, "and gives it back")

    backend.call("POST", "holds", cart("slow-2", "m10", ttl=1))
    crowd = 0
    while uses(backend, "u:first-five") < 5 or crowd == 0:
        backend.wait_for(lambda: crowd or backend.call(
            "GET", "holds/slow-2")[1]["state"] == "released", "no release")
        backend.call("POST", "holds", cart(f"late-{crowd}", ttl=600))
        crowd += 1
    backend.call("POST", "orders", order("slow-2", "m10", "slow-2"))
    tap.ok(uses(backend, "u:first-five") == 5,
           "but not what others took meanwhile")
    for i in range(crowd):
        backend.call("DELETE", f"holds/late-{i}")
    backend.call("POST", "orders", order("slow-2", "m10", "", "cancelled"))


def stranger(tap, backend):
    """A shopper of whom there is no order yet abandons a checkout."""
    held = uses(backend, "u:first-five")
    backend.call("POST", "holds", cart("first", "stranger", ttl=1))
    backend.wait_for(
        lambda: backend.call("GET", "holds/first")[1]["state"] == "released",
        "the hold is not released", 10)
    status, _ = backend.call("GET", "members/stranger")
    tap.ok(status == 404 and uses(backend, "u:first-five") == held,
           "a shopper not on record leaves nothing of a checkout", status)
    backend.call("POST", "orders", order("first", "stranger", "first"))
    status, member = backend.call("GET", "members/stranger")
    tap.ok(status == 200 and member["order_count"] == 1
           and uses(backend, "u:first-five") == held + 1,
           "and a late order has it all the same", member)
    backend.call("POST", "orders", order("first", "stranger", "", "cancelled"))


def codes(tap, backend):
    _, job = backend.call("POST", "offers/gift/codes", {"count": 3000})
    job, killed = backend.finish(job["id"], [backend.kill_workers,
                                             backend.kill_redis])
    _, text = backend.call("GET", "offers/gift/codes/export")
    rows = text.decode().split("\r\n")[1:-1]
    made = [row.split(",")[0] for row in rows]
    tap.ok(job["state"] == "done" and killed == 2 and len(set(made)) == 3000
           and len(made) == 3000, "3000 codes, with two kills",
           (job, len(made)))
    tap.ok(not set("".join(code[5:] for code in made)) & set("01ILO"),
           "none with what looks alike")
    status, page = backend.call("GET", "offers/gift/codes?limit=1000")
    tap.ok(status == 200 and len(page["codes"]) == 1000
           and page["next_cursor"] == page["codes"][-1]["code"]
           and page["codes"][0]["state"] == "free", "and a list of them")

    code = made[0]
    answers = at_once([
        lambda i=i: until(backend, "POST", "holds",
                          cart(f"code-{i}", f"m{i}", codes=[f" {code[:7].lower()} {code[7:]}\u00a0"]))
        for i in range(4)])
    tap.ok(sum("gift" in given(answer["quote"]) for _, answer in answers) == 1,
           "a code typed at four checkouts counts at one", answers)
    rejected = {r["reason"] for _, answer in answers
                for r in answer["quote"]["rejected"] if r.get("code")}
    tap.ok(rejected == {"held_elsewhere"}, "the others know why", rejected)
    for i in range(4):
        until(backend, "POST", "orders",
              order(f"code-{i}", f"m{i}", f"code-{i}"))
    _, quote = backend.call("POST", "quotes", {
        "codes": [code], "lines": [
            {"sku": "a", "quantity": 1, "unit_price": 2000}]})
    tap.ok([r["reason"] for r in quote["rejected"]] == ["already_redeemed"],
           "used is used", quote)


def killed_between(tap, backend):
    """Checkouts and their orders go on while the back end and Redis are
    killed; then everything is counted again."""
    rng = random.Random(7)
    stop = threading.Event()
    done = []

    def shopper(i):
        n = 0
        while not stop.is_set() and n < 12:
            id, n = f"k{i}-{n}", n + 1
            _, answer = until(backend, "POST", "holds",
                              cart(id, f"m{i}", credits=10, ttl=600))
            until(backend, "POST", "orders", order(id, f"m{i}", id))
            done.append((i, id, answer))

    for i in range(4):
        backend.call("POST", f"members/m{i}/credits", {"amount": 10000})
    threads = [threading.Thread(target=shopper, args=(i,)) for i in range(4)]
    before = uses(backend, "u:first-five")
    for thread in threads:
        thread.start()
    for kill in (backend.kill_workers, backend.kill_redis,
                 backend.kill_workers):
        time.sleep(0.3 + rng.random() / 3)
        kill()
    for thread in threads:
        thread.join()
    backend.wait_for(lambda: backend.call("GET", "members/m0")[0] == 200,
                     "no back end")

    paid = [10000 - backend.call("GET", f"members/m{i}")[1]["credits"]["active"]
            for i in range(4)]
    tap.ok(paid == [120] * 4, "12 orders each paid 0.10 once", paid)
    tap.ok(uses(backend, "u:first-five") == min(
        5, before + sum("first-five" in given(a["quote"])
                        for _, _, a in done)),
           "no use is lost, none is doubled", uses(backend, "u:first-five"))
    held = backend.redis("zrange", f"loyalty:x:{{{SITE}}}:holds", "0", "-1")
    tap.ok("k" not in {id[0] for id in held.split()},
           "nothing of it is held any more", held)


def main():
    tap = Tap()
    with Backend() as backend:
        setup(backend)
        checkouts_at_once(tap, backend)
        one_entry(tap, backend)
        same_key(tap, backend)
        abandoned(tap, backend)
        stranger(tap, backend)
        codes(tap, backend)
        killed_between(tap, backend)
    tap.done()


main()
