#!/usr/bin/env python3
"""Accounts of staff, and a programme, changed by several at once: no change
undoes another, and the audit has each that was made, once."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend_api import Api
from demo import Tap
from redis_client import Folder, Redis

WORD = "correct horse battery"
SITES = 24  # roles given at once
ROUNDS = 6  # passwords changed while the account is being disabled

tap = Tap()
folder = Folder()
redis = Redis(folder)
api = Api(folder, redis, WORD)


def account(email):
    return json.loads(redis.cli("--raw", "HGET", "loyalty:staff", email))


def insist(method, path, body, **caller):
    """The status, asked again while there are too many changes at once."""
    status = 503
    while status == 503:
        status = api.call(method, path, body, **caller)[0]
    return status


def audited(key, path):
    found = redis.cli("--raw", "XRANGE", key, "-", "+").decode().split("\n")
    return sum(field == "p" and value == path
               for field, value in zip(found, found[1:]))


def roles_at_once(admin):
    api.staff("many@example.com", "site0=viewer")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: insist(
            "PUT", f"sites/site{i}/staff/many@example.com",
            {"role": "editor"}, token=admin), range(1, SITES)))
    tap.ok(set(answers) == {200}, "roles given at once are all taken", answers)
    expected = {f"site{i}": "editor" for i in range(1, SITES)}
    tap.ok(account("many@example.com")["sites"]
           == {"site0": "viewer", **expected}, "and are all there",
           account("many@example.com")["sites"])
    counts = [audited(f"loyalty:s:{{site{i}}}:audit",
                      "staff/many@example.com") for i in range(1, SITES)]
    tap.ok(set(counts) == {1}, "each is once in its site's audit, also where "
           "it had to be tried again", counts)


def password_while_disabled(admin):
    kept = []
    for i in range(ROUNDS):
        email = f"leaving{i}@example.com"
        api.staff(email, "demo=editor")
        session = api.sign_in(email, WORD)
        with ThreadPoolExecutor(2) as pool:
            changed = pool.submit(insist, "PUT", "session/password",
                                  {"current": WORD, "password": WORD + "!"},
                                  session=session)
            disabled = pool.submit(insist, "PATCH", f"staff/{email}",
                                   {"disabled": True}, token=admin)
        kept.append((account(email)["disabled"], disabled.result(),
                     changed.result() in (200, 401)))
    tap.ok(set(kept) == {(True, 200, True)}, "a new password does not undo "
           "that the account was disabled meanwhile", kept)


def offers_at_once(admin):
    """Each editor another offer of one document; then all by its ETag."""
    def offer(i, body, method="PUT", **headers):
        status = 503
        while status == 503:
            status = api.call(method, f"sites/demo/offers{i}", body,
                              session={"Authorization": f"Bearer {admin}",
                                       **headers})[0]
        return status

    api.call("PUT", "sites/demo/settings", {"currency": "GBP"}, token=admin)
    for i in range(SITES):
        offer("", {"id": f"o{i}", "type": "reward"}, "POST")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: offer(
            f"/o{i}", {"type": "reward", "loyalty_price": 100 + i}),
            range(SITES)))
    shown = json.loads(api.call("GET", "sites/demo/offers", token=admin)[2])
    tap.ok(set(answers) == {200}
           and {offer["id"]: offer["loyalty_price"]
                for offer in shown["offers"]}
           == {f"o{i}": 100 + i for i in range(SITES)},
           "editors of different offers undo nothing", (answers, shown))

    etag = api.call("GET", "sites/demo/offers", token=admin)[1]["ETag"]
    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(lambda i: offer(
            "/o1", {"type": "reward", "loyalty_price": i},
            **{"If-Match": etag}), range(1, 9)))
    tap.ok(answers == [200] + [412] * 7, "of editors of one offer who read "
           "the same version, one is taken", answers)


def corrections(admin):
    """The ledger says which account took points back, not "system"."""
    api.call("PUT", "sites/desk/settings", {
        "currency": "GBP", "active": True}, token=admin)
    api.staff("clerk@example.com", "desk=editor")
    clerk = api.sign_in("clerk@example.com", WORD)

    def call(body, path="", **who):
        return api.call("POST", f"sites/desk/orders{path}", body, **who)[0]

    order = {"member_id": "zoe", "status": "completed", "total": 1000,
             "lines": []}
    answers = [call({**order, "order_id": "shop"}, token=admin),
               call({**order, "order_id": "desk"}, session=clerk),
               call({"id": "r", "amount": 300, "reason": "a scratch"},
                    "/shop/refunds", session=clerk),
               call({"reason": "lost"}, "/shop/cancel", session=clerk),
               call({"reason": "lost"}, "/desk/cancel", token=admin)]
    ledger = json.loads(api.call("GET", "sites/desk/members/zoe/ledger",
                                 token=admin)[2])
    tap.ok(answers == [201] * 5
           and [(entry["amount"], entry["by"])
                for entry in reversed(ledger["entries"])]
           == [(10, "system"), (10, "clerk@example.com"),
               (-3, "clerk@example.com"), (-7, "clerk@example.com"),
               (-10, "admin")],
           "who corrects an order stands in the ledger", (answers, ledger))


admin = api.token("admin", "--scopes", "read,write,admin")
try:
    roles_at_once(admin)
    password_while_disabled(admin)
    offers_at_once(admin)
    corrections(admin)
    tap.ok(api.complaints() == [], "nothing alarming in the log",
           "\n".join(api.complaints()))
finally:
    api.stop()
    redis.stop()
    folder.remove()
tap.done()
