#!/usr/bin/env python3
"""Customer groups: found by a filter, frozen, given to, written to, expired and
deleted; each member once, through kills."""

import csv
import email
import email.policy
import io
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import SITE, Backend
from demo import ROOT, Tap

TAP = Tap()
MEMBERS = 1000
DAY = 86400
SENDER = {"sender_address": "shop@example.com"}

# Every second member has an e-mail address, every fourth consents to e-mail,
# every fifth to text messages; all have a phone.
PEOPLE = [{"id": f"m{i:04}", "name": f"Member {i}", "phone": f"+4477009{i:05}",
           **({"email": f"m{i:04}@example.com"} if i % 2 == 0 else {}),
           "consent": {"email": i % 4 == 0, "sms": i % 5 == 0}}
          for i in range(MEMBERS)]
FIRST = [person["id"] for person in PEOPLE[:100]]
FILTER = {"and": [{"field": "id", "op": "prefix", "value": "m00"},
                  {"field": "deleted", "op": "eq", "value": False}]}


def kills(backend):
    return [backend.kill_workers, backend.kill_redis]


def act(backend, path, body, kills=()):
    """Asks for a job and waits for it: the status, the job."""
    status, body = backend.call("POST", path, body)
    if status != 202:
        return status, body
    return status, backend.finish(body["id"], kills)[0]


def group(backend, name, filter=FILTER, kills=()):
    _, made = backend.call("POST", "groups", {"name": name, "filter": filter})
    backend.finish(made["job"], kills)
    return backend.call("GET", f"groups/{made['id']}")[1]


def ids(backend, group):
    found, cursor = [], ""
    while True:
        _, page = backend.call(
            "GET", f"groups/{group}/members?limit=60{cursor}")
        found += page["members"]
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


def entries(backend, member, kind="l"):
    return int(backend.redis("xlen", f"loyalty:{kind}:{{{SITE}}}:{member}"))


def mails(backend, subject):
    found = []
    for file in (backend.dir / "mail").glob("*.eml"):
        mail = email.message_from_bytes(file.read_bytes(),
                                        policy=email.policy.default)
        if mail["Subject"] == subject:
            found.append(mail["To"])
    return sorted(found)


def texts(backend, word):
    found = []
    for file in (backend.dir / "mail").glob("*.json"):
        if word in file.read_text():
            found.append(file)
    return found


def arrives(backend, find, count, name):
    deadline = time.monotonic() + 30
    while len(find()) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    TAP.ok(len(find()) == count and len(set(find())) == count, name, find())


def test_made(backend):
    made = group(backend, "First hundred", kills=kills(backend))
    TAP.ok(made["state"] == "ready" and made["count"] == 100
           and made["name"] == "First hundred" and made["filter"] == FILTER,
           "a group is found through two kills, and counted", made)
    TAP.ok(ids(backend, made["id"]) == FIRST, "it lists its members in pages")
    _, member = backend.call("GET", "members/m0007")
    TAP.ok(member["groups"] == [made["id"]] and member["version"] == 2,
           "a member knows the group", member)

    backend.call("POST", "members", {"id": "m00x", "name": "Late"})
    TAP.ok(len(ids(backend, made["id"])) == 100
           and backend.call("GET", f"groups/{made['id']}")[1]["count"] == 100,
           "who comes later is not in it")
    _, listed = backend.call("GET", "groups")
    TAP.ok([g["id"] for g in listed["groups"]] == [made["id"]], "it is listed",
           listed)
    return made["id"]


def test_mistakes(backend, id):
    status, body = backend.call("POST", "groups", {
        "name": "", "filter": {"field": "shoe", "op": "eq", "value": 1}})
    TAP.ok(status == 422 and {d["pointer"] for d in body["error"]["details"]}
           == {"/name", "/filter/field"}, "a bad group is refused", body)
    for method, path in (("GET", "groups/none"), ("DELETE", "groups/none"),
                         ("GET", "groups/none/members")):
        TAP.ok(backend.call(method, path)[0] == 404, f"{method} {path}: 404")
    for path, body in (("points", {"amount": 0}),
                       ("points", {"amount": 1, "filter": FILTER}),
                       ("credits", {}),
                       ("broadcasts", {"channels": ["email"]}),
                       ("broadcasts", {"channels": ["pigeon"], "title": "x",
                                       "content": "x"}),
                       ("broadcasts", {"channels": ["sms"],
                                       "content": "{{#open}}"}),
                       ("broadcasts", {"channels": ["sms"], "content": "x",
                                       "at": "2020-01-01T00:00:00Z"}),
                       ("reach", {"channels": []}),
                       ("export", {"format": "xls"})):
        status, answer = backend.call("POST", f"groups/{id}/{path}", body)
        TAP.ok(status == 422 and all(
            d["pointer"] == "" or d["pointer"][0] == "/"
            for d in answer["error"]["details"]) and answer["error"]["details"],
               f"{path} {json.dumps(body)[:40]}: 422, with the place", answer)
    status, _ = backend.call("POST", "groups/none/points", {"amount": 1})
    TAP.ok(status == 404, "points to no group: 404")

    mine, backend.token = backend.token, subprocess.run(
        [ROOT / "scripts" / "token", "--redis",
         f"unix:{backend.dir}/redis.sock", "--name", "other", "--sites",
         "other"], check=True, capture_output=True, text=True).stdout.strip()
    for method, path, body in (
            ("GET", "groups", None), ("GET", f"groups/{id}", None),
            ("DELETE", f"groups/{id}", None), ("GET", "broadcasts", None),
            ("GET", f"groups/{id}/members", None),
            ("POST", f"groups/{id}/points", {"amount": 1}),
            ("POST", "broadcasts", {})):
        status, answer = backend.call(method, path, body)
        TAP.ok(status in (403, 404) and id not in json.dumps(answer),
               f"another site's token: {method} {path.split('/')[-1]}",
               (status, answer))
    backend.token = mine


def test_reach(backend, id):
    _, job = act(backend, f"groups/{id}/reach",
                 {"channels": ["email", "sms"]})
    TAP.ok(job["result"] == {
        "reach": {"email": 25, "sms": 20},
        "blocked": {"email": {"consent": 75}, "sms": {"consent": 80}}},
        "whom each channel reaches, with consent", job)
    _, job = act(backend, f"groups/{id}/reach",
                 {"channels": ["email", "sms"], "consent": "all"})
    TAP.ok(job["result"] == {"reach": {"email": 50, "sms": 100},
                             "blocked": {"email": {"no_address": 50}}},
           "and without", job)


def test_grants(backend, id):
    status, job = act(backend, f"groups/{id}/points", {
        "amount": 30, "reason": "thanks", "notify": {
            "channels": ["email"], "title": "Thirty points",
            "content": "Dear {{member.name}}", **SENDER}}, kills(backend))
    TAP.ok(status == 202 and job["state"] == "done"
           and job["result"]["granted"] == 100
           and job["result"]["reach"] == {"email": 25},
           "points to all of them, through two kills", job)
    TAP.ok({entries(backend, m) for m in FIRST[:20]} == {1}
           and entries(backend, "m0100") == 0 == entries(backend, "m00x"),
           "one entry each, none to others")
    arrives(backend, lambda: mails(backend, "Thirty points"), 25,
            "those who consent are told, once")

    backend.call("DELETE", "members/m0001")
    backend.call("DELETE", "members/m0002?erase=true")
    _, job = act(backend, f"groups/{id}/credits", {
        "amount": 500, "expires_at": "2099-01-01T00:00:00Z"})
    TAP.ok(job["result"]["granted"] == 99 and job["failed"] == 1
           and [e["at"] for e in job["result"]["errors"]] == ["m0002"]
           and entries(backend, "m0001", "c") == 1,
           "the deleted get theirs, the erased do not", job)

    _, job = act(backend, f"groups/{id}/export", {"format": "csv"})
    _, text = backend.call("GET", f"jobs/{job['id']}/file")
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    TAP.ok([row["id"] for row in rows]
           == [m for m in FIRST if m not in ("m0001", "m0002")],
           "an export leaves the deleted out", len(rows))


def test_assigned(backend, id):
    backend.call("POST", "offers", {"id": "club", "type": "clubcard",
                                    "state": "published"})
    status, job = act(backend, "offers/club/assign", {"group": id},
                      kills(backend))
    held = [m for m in FIRST + ["m0100"] for e in backend.call(
        "GET", f"members/{m}")[1].get("entitlements", ()) if e["offer_id"] == "club"]
    TAP.ok(status == 202 and job["result"]["granted"] == 99
           and held == [m for m in FIRST if m != "m0002"],
           "an offer to all of a group, once through two kills, but the "
           "erased", (job, len(held)))
    wrong = [backend.call("POST", "offers/club/assign", body)[0] for body in (
        {"group": "none"}, {"group": 1}, {"group": id, "members": ["m0001"]},
        {"group": id, "all": True})]
    TAP.ok(wrong == [404, 422, 422, 422], "not to what is no group", wrong)


def test_broadcasts(backend, id):
    _, job = act(backend, f"groups/{id}/broadcasts", {
        "channels": ["email", "sms"], "title": "Sale", "content": "Sale now",
        **SENDER},
        kills(backend))
    TAP.ok(job["result"]["reach"] == {"email": 25, "sms": 20}
           and job["result"]["blocked"]["email"]["deleted"] == 2,
           "a broadcast knows whom it reaches", job)
    arrives(backend, lambda: mails(backend, "Sale"), 25, "e-mails come once")
    arrives(backend, lambda: texts(backend, "Sale now"), 20,
            "text messages too")

    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
    _, preset = backend.call("POST", f"groups/{id}/broadcasts", {
        "channels": ["email"], "title": "Later", "content": "x", "at": at,
        **SENDER})
    _, gone = backend.call("POST", f"groups/{id}/broadcasts", {
        "channels": ["email"], "title": "Never", "content": "x", "at": at,
        **SENDER})
    backend.call("DELETE", f"jobs/{gone['id']}")
    TAP.ok(mails(backend, "Later") == [], "a preset one waits")

    status, _ = backend.call("DELETE", f"groups/{id}")
    TAP.ok(status == 204 and backend.call("GET", f"groups/{id}")[0] == 404
           and backend.call("GET", "groups")[1]["groups"] == [],
           "the group is deleted")
    backend.wait_for(lambda: backend.call("GET", "members/m0099")[1]["groups"]
                     == [], "the member does not forget the group")
    arrives(backend, lambda: mails(backend, "Later"), 25,
            "the preset broadcast goes out all the same")
    TAP.ok(mails(backend, "Never") == [], "a cancelled one does not")
    _, listed = backend.call("GET", "broadcasts")
    TAP.ok([(b["params"]["title"], b["state"]) for b in listed["broadcasts"]]
           == [("Never", "cancelled"), ("Later", "done"), ("Sale", "done")],
           "broadcasts are listed", listed)

    _, job = act(backend, "broadcasts", {
        "members": ["m0104", "m0105", "nobody"], "channels": ["email"],
        "consent": "all", "title": "Two", "content": "x", **SENDER})
    TAP.ok(job["result"]["reach"] == {"email": 1} and job["failed"] == 1,
           "a broadcast without a group", job)
    _, job = act(backend, "reach", {"filter": FILTER, "channels": ["email"]})
    TAP.ok(job["result"]["reach"] == {"email": 25}, "reach of a filter", job)


def test_expired(backend):
    """In 180 days; here the group is made older."""
    made = group(backend, "Old")
    key = f"loyalty:g:{{{SITE}}}:{made['id']}"
    created = int(backend.redis("hget", key, "created"))
    backend.redis("hset", key, "created", str(created - 180 * DAY * 1000 + 60000))
    TAP.ok(backend.call("GET", f"groups/{made['id']}")[1]["state"] == "ready",
           "a minute before the 180 days are over it is ready")
    backend.redis("hset", key, "created", str(created - 180 * DAY * 1000))
    _, shown = backend.call("GET", f"groups/{made['id']}")
    TAP.ok(shown["state"] == "expired" and shown["count"] == 99,
           "then it is shown as expired", shown)
    for path, body in (("points", {"amount": 1}), ("export", {"format": "csv"}),
                       ("reach", {"channels": ["sms"]}),
                       ("broadcasts", {"channels": ["sms"], "content": "x"})):
        status, answer = backend.call("POST", f"groups/{made['id']}/{path}",
                                      body)
        TAP.ok(status == 409 and answer["error"]["code"] == "expired",
               f"and {path} are refused", answer)
    status, answer = backend.call("POST", "offers/club/assign",
                                  {"group": made["id"]})
    TAP.ok(status == 409 and answer["error"]["code"] == "expired",
           "and so is an offer", answer)


def main():
    with Backend("loyalty_delivery mailbox=FOLDER/mail secret=FOLDER/secret;",
                 {"secret": "0123456789abcdef0123456789abcdef\n"}) as backend:
        _, job = backend.call("POST", "members/import", "\n".join(
            json.dumps(person) for person in PEOPLE), "application/x-ndjson")
        backend.finish(job["id"])
        id = test_made(backend)
        test_mistakes(backend, id)
        test_reach(backend, id)
        test_grants(backend, id)
        test_assigned(backend, id)
        test_broadcasts(backend, id)
        test_expired(backend)
    TAP.done()


main()
