#!/usr/bin/env python3
"""Jobs: each member exactly once, whatever dies in the middle.

Back-end workers and Redis are killed (kill -9) while a job runs; what it did
is then counted in the members' own ledgers.
"""

import csv
import io
import json
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import Tap
from redis_client import wait


def seed(backend, count):
    """Members by one order of 10.00 each: 10 points."""
    lines = [json.dumps({"order_id": f"o{i}", "member_id": f"m{i:05}",
                         "status": "completed", "currency": "GBP",
                         "total": 1000, "lines": []}) for i in range(count)]
    status, text = backend.call("POST", "orders/batch", "\n".join(lines),
                                "application/x-ndjson")
    assert status == 200 and text.count(b'"applied"') == count, (status, text)


def members(backend):
    found, cursor = {}, ""
    while cursor is not None:
        _, page = backend.call("GET", "members?limit=1000" + (
            f"&cursor={cursor}" if cursor else ""))
        found.update((member["id"], member) for member in page["members"])
        cursor = page.get("next_cursor")
    return found


def entries(backend, ids, kind="l"):
    """How many entries each member's ledger has, as Redis counts them."""
    script = "\n".join(f"XLEN loyalty:{kind}:{{{SITE}}}:{id}" for id in ids)
    return [int(line) for line in backend.redis(data=script).split()]


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                         time.gmtime(time.time() + seconds))


def bulk_by_filter(tap, backend, count):
    _, job = backend.call("POST", "members/bulk", {
        "filter": {"field": "order_count", "op": "gte", "value": 1},
        "action": "points", "amount": 7, "reason": "thanks",
        "expires_at": instant(30)})  # not before they are looked at
    job, killed = backend.finish(job["id"], [
        backend.kill_workers, backend.kill_redis, backend.kill_workers])
    tap.ok(job["state"] == "done" and killed == 3,
           "points to whom a filter finds, with three kills", job)
    tap.ok(job["total"] == job["done"] == count and job["failed"] == 0
           and job["result"] == {"granted": count}, "all are counted", job)
    found = members(backend)
    tap.ok({m["points"]["active"] for m in found.values()} == {17},
           "each has 10 and 7")
    tap.ok(set(entries(backend, found)) == {2}, "by two entries, no more")


def bulk_by_list(tap, backend, count):
    ids = [f"m{i:05}" for i in range(0, count, 2)]
    _, job = backend.call("POST", "members/bulk", {
        "members": ids + ids + ["nobody"], "action": "credits",
        "amount": 250, "reason": "sorry"})
    job, _ = backend.finish(job["id"], [backend.kill_redis,
                                        backend.kill_workers])
    tap.ok(job["state"] == "done" and job["done"] == len(ids) + 1
           and job["failed"] == 1
           and [e["at"] for e in job["result"]["errors"]] == ["nobody"],
           "credits to a list, its doubles once, strangers named", job)
    found = members(backend)
    tap.ok(all(m["credits"]["active"] == (250 if id in set(ids) else 0)
               for id, m in found.items()), "each of them 2.50")
    tap.ok(set(entries(backend, ids, "c")) == {1}, "by one entry")
    tap.ok(backend.redis("exists", f"loyalty:jm:{{{SITE}}}:{job['id']}")
           == "0", "the list is not kept")


def night(tap, backend, count):
    """The points of bulk_by_filter() expire; the 10 of the order do not."""
    backend.wait_for(lambda: members(backend)["m00000"]["points"]["active"]
                     == 10, "points do not expire", 60)
    _, job = backend.call("POST", "jobs", {"kind": "nightly"})
    job, killed = backend.finish(job["id"], [
        backend.kill_workers, backend.kill_redis, backend.kill_workers])
    tap.ok(job["state"] == "done" and job["done"] == count and killed == 3,
           "a night with three kills", job)
    found = members(backend)
    tap.ok({(m["points"]["active"], m["points"]["expired"])
            for m in found.values()} == {(10, 7)}, "7 points have expired")
    tap.ok(set(entries(backend, found)) == {3}, "by one entry each")
    _, job = backend.call("POST", "jobs", {"kind": "nightly"})
    backend.finish(job["id"])
    tap.ok(set(entries(backend, found)) == {3}, "and a second night by none")
    jobs = backend.call("GET", "jobs")[1]["jobs"]
    tap.ok([re.fullmatch("[0-9a-f]{32}", job["id"]) is not None
            for job in jobs if (job["kind"], job["by"])
            == ("nightly", "system")] == [True],
           "the run of the day was ordered once, under an id", jobs)


def cancelled(tap, backend, count):
    """Again as long as the job is over before it is cancelled."""
    for over in range(20):
        _, job = backend.call("POST", "members/bulk", {
            "filter": {"not": {"field": "id", "op": "eq", "value": ""}},
            "action": "points", "amount": 1})
        id = job["id"]
        backend.wait_for(lambda: backend.call("GET", f"jobs/{id}")[1]["done"]
                         > 0, "no progress")
        status, _ = backend.call("DELETE", f"jobs/{id}")
        if status == 204:
            break
    _, job = backend.call("GET", f"jobs/{id}")
    time.sleep(1)
    given = sum(n - 3 - over for n in entries(backend, members(backend)))
    tap.ok(status == 204 and job["state"] == "cancelled"
           and given == job["result"]["granted"] < count,
           "a cancelled job stops at once, and knows what it did",
           (status, job, given))


def imported(tap, backend, count):
    """A file with commas, quotes and formulas in it, twice."""
    people = [{"id": f"c{i:05}", "email": f"c{i}@example.com",
               "name": f'O\'Hara, "{i}"' if i % 7 == 0 else f"=Name {i}",
               "phone": f"+4477009{i:05}", "consent.email": "true",
               "attributes.shoe": str(30 + i % 15)} for i in range(count)]
    text = io.StringIO()
    writer = csv.DictWriter(text, people[0])
    writer.writeheader()
    writer.writerows(people)
    text = "\ufeff" + text.getvalue()

    _, job = backend.call("POST", "members/import", text.encode(), "text/csv")
    job, killed = backend.finish(job["id"], [
        backend.kill_workers, backend.kill_redis, backend.kill_workers])
    tap.ok(job["state"] == "done" and killed == 3 and job["total"] == count
           and job["result"] == {"created": count},
           "an import with three kills", job)
    _, found = backend.call("GET", "members?email=C2%40example.com")
    tap.ok(found["members"][0]["name"] == "=Name 2"
           and found["members"][0]["phone"] == "+447700900002"
           and found["members"][0]["attributes"] == {"shoe": "32"}
           and found["members"][0]["version"] == 1,
           "what it says is there, and found by it", found)
    _, found = backend.call("GET", "members/c00000/consents")
    tap.ok([(e["channel"], e["given"], e["by"], e["source"])
            for e in found["entries"]] == [("email", True, "test", "import")],
           "consent has its history", found)

    _, job = backend.call("POST", "members/import", text.encode(), "text/csv")
    job, _ = backend.finish(job["id"])
    tap.ok(job["result"] == {"unchanged": count},
           "the same again changes nobody", job)

    lines = ['{"id":"c00000","name":"New"}', "nonsense",
             '{"id":"","name":"x"}', "", '{"id":"c00001","email":"no"}',
             '{"id":"c00000","name":"Newer"}', '{"id":"m00000","shoe":1}']
    _, job = backend.call("POST", "members/import", "\n".join(lines),
                          "application/x-ndjson")
    job, _ = backend.finish(job["id"])
    tap.ok(job["total"] == job["done"] == 6 and job["failed"] == 4
           and job["result"]["updated"] == 2
           and [e["at"] for e in job["result"]["errors"]]
           == ["line 2", "line 3", "line 5", "line 7"],
           "bad lines are named, the others imported", job)
    _, found = backend.call("GET", "members/c00000")
    tap.ok(found["name"] == "Newer" and found["version"] == 3,
           "the later line of two counts", found)

    text = (b"id,name,clubs,attributes.shoe\r\nu1,\xff,,\r\nu2,,a;\xff,\r\n"
            b"u3,,,\xff\r\nu4,,a,9\r\n")
    _, job = backend.call("POST", "members/import", text, "text/csv")
    job, _ = backend.finish(job["id"])
    tap.ok([e["at"] for e in job["result"]["errors"]]
           == ["line 2", "line 3", "line 4"] and job["result"]["created"] == 1,
           "what is no UTF-8 is refused, not left out", job)

    now = str(int(time.time() * 1000))
    backend.redis("hset", f"loyalty:j:{{{SITE}}}:lost", "kind", "import",
                  "state", "queued", "params",
                  '{"format": "ndjson", "blocks": 1}', "total", "3", "done",
                  "0", "failed", "0", "by", "test", "created", now, "due", now)
    backend.redis("zadd", f"loyalty:x:{{{SITE}}}:jobs", now, "lost")
    job, _ = backend.finish("lost")
    tap.ok(job["state"] == "failed" and job["done"] == 0,
           "an import whose file is lost is not done", job)


def exported(tap, backend):
    backend.call("DELETE", "members/c00004")
    everybody = members(backend)
    _, job = backend.call("POST", "members/export", {"format": "csv",
                                                     "bom": True})
    early, _ = backend.call("GET", f"jobs/{job['id']}/file")
    job, _ = backend.finish(job["id"], [backend.kill_redis,
                                        backend.kill_workers])
    _, text = backend.call("GET", f"jobs/{job['id']}/file")
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    tap.ok(early in (409, 200) and text.startswith(b"\xef\xbb\xbf")
           and len(rows) == len(everybody)
           and [row["id"] for row in rows] == sorted(everybody),
           "an export has everybody once, and not the deleted",
           (early, len(rows), len(everybody)))
    tap.ok(all((row["name"] or None) == (everybody[row["id"]]["name"] and (
                   "'" if everybody[row["id"]]["name"][0] in "=+-@" else "")
                   + everybody[row["id"]]["name"])
               and row["points"] == str(
                   everybody[row["id"]]["points"]["active"])
               for row in rows),
           "every cell is right, and none a formula")

    _, job = backend.call("POST", "members/import", text, "text/csv")
    job, _ = backend.finish(job["id"])
    tap.ok(job["result"] == {"unchanged": len(rows)},
           "an export can be imported, and says nothing new", job)

    _, job = backend.call("POST", "members/export", {
        "format": "ndjson",
        "filter": {"field": "id", "op": "prefix", "value": "c0001"}})
    job, _ = backend.finish(job["id"])
    _, text = backend.call("GET", f"jobs/{job['id']}/file")
    tap.ok([json.loads(line)["id"] for line in text.splitlines()]
           == [f"c{i:05}" for i in range(10, 20)],
           "a filter, as NDJSON", text[:300])


def paged(tap, backend):
    """Members come and go, and change, between pages and during an export."""
    stay = set(members(backend))
    over = threading.Event()
    rounds = []

    def churn():
        while not over.is_set():
            n = len(rounds)
            for id in (f"a{n:05}", f"m00001x{n}", f"z{n:05}"):
                backend.call("POST", "members", {"id": id, "name": "Here"})
            backend.call("PATCH", f"members/m{n:05}", {"name": f"Now {n}"})
            if n > 0:
                backend.call("DELETE", f"members/m00001x{n - 1}")
            rounds.append(n)

    thread = threading.Thread(target=churn)
    thread.start()
    backend.wait_for(lambda: rounds, "no member comes")
    seen, cursor, began = [], "", len(rounds)
    while cursor is not None:
        _, page = backend.call("GET", "members?limit=100" + (
            f"&cursor={cursor}" if cursor else ""))
        seen += [member["id"] for member in page["members"]]
        cursor = page.get("next_cursor")
        turn = len(rounds)
        backend.wait_for(lambda: len(rounds) > turn, "no member comes")
    tap.ok(len(seen) == len(set(seen)) and stay <= set(seen)
           and len(rounds) > began,
           "pages have each who stays once, while others come and go",
           stay - set(seen))
    _, job = backend.call("POST", "members/export", {"format": "ndjson"})
    job, _ = backend.finish(job["id"])
    over.set()
    thread.join()
    _, text = backend.call("GET", f"jobs/{job['id']}/file")
    seen = [json.loads(line)["id"] for line in text.splitlines()]
    tap.ok(len(seen) == len(set(seen)) and stay <= set(seen),
           "and so has an export", stay - set(seen))
    for id in set(members(backend)) - stay:
        backend.call("DELETE", f"members/{id}")


def offered(tap, backend, count):
    """A coupon to many, each with a code of its own."""
    status, body = backend.call("POST", "offers", {
        "id": "thanks", "type": "coupon", "state": "published",
        "name": "Thanks", "code_pattern": "TY-######",
        "discount": {"kind": "percent", "percent": "10"}})
    assert status == 201, body
    _, job = backend.call("POST", "members/bulk", {
        "filter": {"field": "id", "op": "prefix", "value": "m0"},
        "action": "offer", "offer": "thanks"})
    job, killed = backend.finish(job["id"], [
        backend.kill_workers, backend.kill_redis, backend.kill_workers])
    found = members(backend)
    given = {id: m["entitlements"] for id, m in found.items()
             if id.startswith("m0")}
    codes = {e["code"] for list in given.values() for e in list}
    tap.ok(job["state"] == "done" and job["result"]["granted"] == count
           and killed == 3, "an offer to many, with three kills", job)
    tap.ok(all(len(list) == 1 for list in given.values())
           and len(codes) == count, "each has it once, with its own code")
    tap.ok(backend.redis("hlen", f"loyalty:cd:{{{SITE}}}") == str(count),
           "and no code of somebody who has not got it")


def opened_csv(tap, backend):
    """The same by the columns of a table."""
    table = ("id,opening.points,name,opening.credits\n"
             "table0,120,Ann,500\ntable1,,Bo,\ntable2,12x,Cy,\n"
             "table3,-1,Di,5\ntable4,7,Ed,\n")
    found = []
    for _ in range(2):
        _, job = backend.call("POST", "members/import", table, "text/csv")
        job, _ = backend.finish(job["id"])
        found.append((job["failed"], [e["at"] for e in
                                      job["result"]["errors"]]))
    shown = [backend.call("GET", f"members/table{i}") for i in range(5)]
    tap.ok(found == [(2, ["line 4", "line 5"])] * 2
           and [status for status, _ in shown] == [200, 200, 404, 404, 200]
           and [(member["points"]["active"], member["credits"]["active"])
                for status, member in shown if status == 200]
           == [(120, 500), (0, 0), (7, 0)],
           "a table has opening balances in columns", (found, shown))


def opened(tap, backend):
    """Balances that members bring along: once, however often imported."""
    lines = [{"id": "open0", "opening": {"points": 120, "credits": 500},
              "clubs": ["tea"], "manual_status": "silver",
              "consent": {"email": True}},
             {"id": "open1", "opening": {"points": -5}},
             {"id": "open2", "opening": {"points": 10**12 + 1}},
             {"id": "open3", "opening": {"points": 7}},
             {"id": "m00000", "opening": {"points": 7}}]
    before = entries(backend, ["m00000"])
    text = "\n".join(json.dumps(line) for line in lines)
    found = []
    for _ in range(2):
        _, job = backend.call("POST", "members/import", text,
                              "application/x-ndjson")
        job, _ = backend.finish(job["id"])
        found.append((job["failed"], [e["at"] for e in
                                      job["result"]["errors"]]))
    tap.ok(found == [(2, ["line 2", "line 3"])] * 2,
           "an opening balance that is none is named by its line", found)
    shown = [backend.call("GET", f"members/open{i}") for i in range(4)]
    member = shown[0][1]
    tap.ok([status for status, _ in shown] == [200, 404, 404, 200]
           and (member["points"]["active"], member["points"]["life"],
                member["credits"]["active"], member["status"]["id"],
                member["clubs"], member["consent"]["email"])
           == (120, 120, 500, "silver", ["tea"], True)
           and shown[3][1]["points"]["active"] == 7,
           "the others have theirs, with status, club and consent", shown)
    tap.ok(entries(backend, ["open0", "open3"]) == [1, 1]
           and entries(backend, ["open0"], "c") == [1]
           and entries(backend, ["m00000"]) == before,
           "by one entry, and who was there before has none")


def settings(backend, active):
    status, body = backend.call("PUT", "settings", {
        "id": SITE, "currency": "GBP", "active": active})
    assert status == 200, body


def activated(tap, backend, count):
    """10.50 each while the site is not active; of the first, 3.00 returned:
    floor(10.5) = 10 points, and 10 - floor(10 * 3.00 / 10.50) = 8 at once."""
    settings(backend, False)
    lines = [json.dumps({"order_id": f"b{i}", "member_id": f"b{i % count:05}",
                         "status": "completed", "currency": "GBP",
                         "total": 1050, "lines": []})
             for i in range(2 * count)]
    lines += [json.dumps({"order_id": "b0", "status": "refunded",
                          "refund": {"id": "r", "amount": 300}})]
    status, text = backend.call("POST", "orders/batch", "\n".join(lines),
                                "application/x-ndjson")
    ids = [f"b{i:05}" for i in range(count)]
    tap.ok(text.count(b'"applied"') == len(lines)
           and set(entries(backend, ids)) == {0},
           "a site that is not active gives no points", text[-300:])

    settings(backend, True)
    _, job = backend.call("POST", "jobs", {"kind": "activation",
                                           "backfill": True})
    job, killed = backend.finish(job["id"], [
        backend.kill_workers, backend.kill_redis, backend.kill_workers])
    found = members(backend)
    tap.ok(job["state"] == "done" and killed == 3 and job["failed"] == 0
           and job["result"] == {"orders": 2 * count},
           "an activation that makes up for it, with three kills", job)
    tap.ok([found[id]["points"]["active"] for id in ids]
           == [18] + [20] * (count - 1), "each has the points of two orders")
    tap.ok(entries(backend, ids) == [2] * count,
           "by an entry each, whatever was returned")

    _, job = backend.call("POST", "jobs", {"kind": "activation",
                                           "backfill": True})
    job, _ = backend.finish(job["id"])
    tap.ok("result" not in job and entries(backend, ids) == [2] * count,
           "a second one gives nothing", job)
    backend.call("POST", "orders/b1/cancel", {"reason": "never delivered"})
    _, member = backend.call("GET", "members/b00001")
    tap.ok(member["points"]["active"] == 10, "and can be taken back", member)


def lame_order(tap, backend):
    """The second of three orders cannot be read while the points are made up
    for: the others' are given, it is named, and gets its own later."""
    settings(backend, False)
    lines = [json.dumps({"order_id": f"lame{i}", "member_id": "lame",
                         "status": "completed", "currency": "GBP",
                         "total": 1000 * 10 ** i, "lines": []})
             for i in range(3)]
    backend.call("POST", "orders/batch", "\n".join(lines),
                 "application/x-ndjson")
    settings(backend, True)
    key = f"loyalty:o:{{{SITE}}}:lame1"
    backend.redis("rename", key, f"kept:{{{SITE}}}")
    backend.redis("set", key, "garbage")
    _, job = backend.call("POST", "jobs", {"kind": "activation",
                                           "backfill": True})
    job, _ = backend.finish(job["id"])
    _, member = backend.call("GET", "members/lame")
    tap.ok(job["state"] == "done" and job["failed"] == 1
           and job["result"]["orders"] == 2
           and [e["at"] for e in job["result"]["errors"]] == ["lame1"],
           "an order that cannot be read is named", job)
    tap.ok(member["points"]["active"] == 10 + 1000
           and entries(backend, ["lame"]) == [2],
           "its neighbours have their points and entries", member)
    backend.redis("rename", f"kept:{{{SITE}}}", key)
    _, job = backend.call("POST", "jobs", {"kind": "activation",
                                           "backfill": True})
    job, _ = backend.finish(job["id"])
    _, member = backend.call("GET", "members/lame")
    tap.ok(job["result"] == {"orders": 1}
           and member["points"]["active"] == 1110
           and entries(backend, ["lame"]) == [3],
           "mended, it gets its own, and nobody else", (job, member))


def forgotten(tap, backend):
    """After 90 days, as a new worker sees when it first looks."""
    made = str(int((time.time() - 91 * 86400) * 1000))
    key = f"loyalty:{{}}:{{{{{SITE}}}}}{{}}".format
    backend.redis("hset", key("j", ":old"), "kind", "broadcast", "state",
                  "done", "params", "{}", "created", made)
    for name in ("joblist", "broadcasts"):
        backend.redis("zadd", key("x", f":{name}"), made, "old")
    backend.kill_workers()
    gone = wait(lambda: backend.redis("exists", key("j", ":old")) == "0", 20)
    left = [backend.redis("zscore", key("x", f":{name}"), "old")
            for name in ("joblist", "broadcasts")]
    tap.ok(gone and left == ["", ""], "an old broadcast is forgotten, and "
           "listed no more", left)


def check(backend):
    status, job = backend.call("POST", "check")
    job, _ = backend.finish(job["id"])
    return {(e["at"], e["code"]) for e in job["result"].get("errors", [])}


def checked(tap, backend):
    tap.ok(check(backend) == set(), "after all of this, nothing is off",
           check(backend))

    key = "loyalty:{}:{{{}}}{}".format
    backend.redis(data=f'zrem {key("ie", SITE, "")} '
                       r'"c1@example.com\x00c00001"')
    backend.redis("zadd", key("in", SITE, ""), "0", "ghost")
    entry = backend.redis("xrange", key("l", SITE, ":m00001"), "-", "+",
                          "count", "1").split()[0]
    backend.redis("xdel", key("l", SITE, ":m00001"), entry)
    backend.redis("zrem", key("mo", SITE, ":m00002"), "o2")
    backend.redis("set", key("m", SITE, ":m00003"), "garbage")
    backend.redis("del", key("m", SITE, ":m00004"))
    found = check(backend)
    tap.ok(found >= {("c00001", "index"), ("m00001", "entries"), ("m00002", "totals"),
                     ("m00003", "record"), ("m00004", "record"),
                     ("names", "index")}, "what is broken is named", found)


def main():
    tap = Tap()
    count = 4000
    with Backend() as backend:
        seed(backend, count)
        bulk_by_filter(tap, backend, count)
        bulk_by_list(tap, backend, count)
        night(tap, backend, count)
        cancelled(tap, backend, count)
        imported(tap, backend, 3000)
        opened(tap, backend)
        opened_csv(tap, backend)
        exported(tap, backend)
        paged(tap, backend)
        offered(tap, backend, count)
        activated(tap, backend, 300)
        lame_order(tap, backend)
        forgotten(tap, backend)
        checked(tap, backend)
    tap.done()


main()
