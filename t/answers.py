#!/usr/bin/env python3
"""What the API answers at its edges: ids that are too long, texts that are cut
off, files that are gone or break off, and nothing of one site in another."""

import csv
import http.client
import io
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend_api import Api, Unix
from demo import Tap
from redis_client import Folder, Redis

WORD = "correct horse battery"
LONG = "a" * 600  # longer than any key may be
SITES = 1000      # of one account, and of one token
LINE = "x" * 20000 + "\n"

tap = Tap()
folder = Folder()
redis = Redis(folder)
api = Api(folder, redis, WORD)
admin = api.token("admin", "--scopes", "read,write,admin")


def call(method, path, body=None, **more):
    status, _, text = api.call(method, path, body, token=admin, **more)
    return status, json.loads(text) if text.startswith("{") else text


def long_ids():
    """No route has a key of its own for what nobody made."""
    paths = json.loads(api.call("GET", "openapi.json")[2])["paths"]
    asked = [(method.upper(), re.sub(r"\{\w+\}", LONG, path.replace(
                 "{site}", "demo"))[4:])
             for path, methods in paths.items() if "/{site}/" in path
             and path.count("{") > 1 for method in methods]
    found = {f"{method} {path}".replace(LONG, "ID"): call(
                 method, path, {} if method in ("POST", "PUT", "PATCH")
                 else None)[0] for method, path in asked}
    tap.ok(len(found) > 60 and set(found.values()) <= {404, 422},
           "an id that nothing can have is none, on every route",
           {path: status for path, status in found.items()
            if status not in (404, 422)} or len(found))
    tap.ok([path for path, status in found.items() if status != 404
            and path.startswith(("GET", "DELETE"))] == [],
           "and is not found", found)
    status, answer = call("GET", f"sites/demo/messages?member={LONG}")
    tap.ok((status, answer["error"]["code"]) == (422, "invalid_member"),
           "nor are messages of such a member", answer)


def cut_texts():
    """A message quotes what was sent, up to some byte of a letter."""
    for before in range(3):
        pattern = "x" * before + "\u3042" * 170
        body = {"pattern": pattern, "category": "home"}
        first = call("POST", "sites/demo/categories", body)[0]
        status, answer = call("POST", "sites/demo/categories", body)
        tap.ok(first == 201 and status == 409
               and answer["error"]["code"] == "exists", "an error that "
               f"quotes {len(pattern.encode())} bytes is one", (first, answer))


def done_export(job, form, lines, exported):
    redis.cli("HSET", f"loyalty:j:{{demo}}:{job}", "kind", "export", "state",
              "done", "params", json.dumps({"format": form}), "result",
              json.dumps({"exported": exported}))
    for begin in range(0, len(lines), 100):
        redis.cli("RPUSH", f"loyalty:jf:{{demo}}:{job}",
                  *lines[begin:begin + 100])


def read_slowly(path, meanwhile):
    """How much of an answer comes, and whether it comes to an end, when its
    first piece is on its way and then something happens."""
    connection = Unix(api.socket)
    connection.request("GET", f"/v1/{path}",
                       headers={"Authorization": f"Bearer {admin}"})
    answer = connection.getresponse()
    data = answer.read(1000)
    meanwhile()
    try:
        while more := answer.read(1 << 16):
            data += more
        return answer.status, data, True
    except (OSError, http.client.HTTPException):
        return answer.status, data, False
    finally:
        connection.close()


def files():
    """A piece has 500 lines: 10 MB wait for who reads slowly."""
    lines = [LINE] * 700
    path = "sites/demo/jobs/{}/file"
    done_export("whole", "ndjson", lines, len(lines))
    got = read_slowly(path.format("whole"), lambda: None)
    tap.ok(got[0] == 200 and got[2] and got[1] == "".join(lines).encode(),
           "a file comes in pieces", (got[0], len(got[1]), got[2]))

    done_export("gone", "ndjson", lines, len(lines))
    got = read_slowly(path.format("gone"), lambda: redis.cli(
        "DEL", "loyalty:jf:{demo}:gone"))
    tap.ok(got[0] == 200 and not got[2] and b"error" not in got[1],
           "one that goes meanwhile breaks off", (got[0], len(got[1]), got[2]))
    done_export("bad", "ndjson", lines, len(lines))

    def spoil():
        redis.cli("DEL", "loyalty:jf:{demo}:bad")
        redis.cli("SET", "loyalty:jf:{demo}:bad", "x")

    got = read_slowly(path.format("bad"), spoil)
    tap.ok(got[0] == 200 and not got[2] and b"error" not in got[1],
           "so does one whose next piece cannot be read, and no error is in it",
           (got[0], len(got[1]), got[2]))

    answers = {}
    for form, exported in (("csv", 0), ("ndjson", 3), ("ndjson", 0)):
        job = f"{form}{exported}"
        done_export(job, form, [], exported)
        answers[job] = call("GET", path.format(job))[0]
    tap.ok(answers == {"csv0": 404, "ndjson3": 404, "ndjson0": 200},
           "a file that is gone is not an empty one", answers)


def codes():
    """Ids come from the shop, and a spreadsheet opens the file."""
    call("POST", "sites/demo/offers", {
        "id": "gift", "type": "coupon", "state": "published",
        "name": {"en": "Gift"}, "code_pattern": "GIFT-######",
        "discount": {"kind": "amount", "amount": 50}})
    buyer = '=cmd("x")'
    call("POST", "sites/demo/members", {"id": buyer})
    status, entry = call("POST", "sites/demo/members/"
                         + buyer.replace("=", "%3D").replace('"', "%22")
                         + "/entitlements", {"offer_id": "gift"})
    status, text = call("GET", "sites/demo/offers/gift/codes/export")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    tap.ok(status == 200
           and rows == [["code", "state", "member_id", "order_id"],
                        [entry["code"], "assigned", "'" + buyer, ""]],
           "no id is a formula in a list of codes", text)


def broadcasts():
    body = {"members": ["m"], "channels": ["email"], "title": "Hi",
            "content": "Hi", "sender_address": "shop"}
    status, answer = call("POST", "sites/demo/broadcasts", body)
    tap.ok(status == 422 and [d["pointer"] for d in answer["error"]["details"]]
           == ["/sender_address"], "a broadcast needs an address to come from",
           answer)
    status, _ = call("POST", "sites/demo/broadcasts",
                     {**body, "sender_address": "shop@example.com"})
    tap.ok(status == 202, "and goes out with one", status)


def roles():
    """The audit of a site is for its viewers, who know of no other site."""
    api.staff("both@example.com", "demo=viewer", "other=owner")
    call("PUT", "sites/demo/staff/both@example.com", {"role": "editor"})
    call("DELETE", "sites/demo/staff/both@example.com")
    entries = call("GET", "sites/demo/audit?limit=2")[1]["entries"]
    tap.ok([(e["before"], e["after"]) for e in entries]
           == [({"email": "both@example.com", "role": "editor"},
                {"email": "both@example.com"}),
               ({"email": "both@example.com", "role": "viewer"},
                {"email": "both@example.com", "role": "editor"})],
           "a role is in the audit of its site, and no role on another",
           entries)
    entries = call("GET", "audit?limit=1")[1]["entries"]
    call("PATCH", "staff/both@example.com", {"sites": {"demo": "viewer"}})
    entries = call("GET", "audit?limit=1")[1]["entries"]
    tap.ok(entries[0]["before"]["sites"] == {"other": "owner"}
           and entries[0]["after"]["sites"] == {"demo": "viewer"},
           "that of the installation has all of them", entries)


def many_sites():
    """As many as are allowed, each id as long as can be."""
    sites = [f"s{i:063}" for i in range(SITES)]
    status, _ = call("POST", "staff", {
        "email": "many@example.com", "name": "x" * 200, "password": WORD,
        "sites": {site: "editor" for site in sites}})
    session = api.sign_in("many@example.com", WORD)
    answer = json.loads(api.call("GET", "session", session=session)[2])
    tap.ok(status == 201 and len(answer["sites"]) == SITES,
           f"an account of {SITES} sites signs in", (status, len(answer)))
    answers = [call("PUT", f"sites/{site}/staff/many@example.com",
                    {"role": "viewer"})[0] for site in (sites[0], "demo")]
    tap.ok(answers == [200, 422], "and has a role on no more", answers)
    status, answer = call("POST", "tokens", {
        "name": "many", "sites": sites, "scopes": ["read"]})
    known = api.call("GET", "sites", token=answer["token"])[0]
    tap.ok((status, known) == (201, 200), f"so does a token of {SITES}",
           (status, known))


try:
    call("PUT", "sites/demo/settings", {"currency": "GBP", "active": True})
    long_ids()
    cut_texts()
    files()
    codes()
    broadcasts()
    roles()
    many_sites()
    tap.ok(api.complaints() == [], "nothing alarming in the log",
           "\n".join(api.complaints()))
finally:
    api.stop()
    redis.stop()
    folder.remove()
tap.done()
