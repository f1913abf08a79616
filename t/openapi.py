#!/usr/bin/env python3
"""The API and its OpenAPI document: the document is well formed, every call
answers as it says, and every route lets in those it says and nobody else.

The walk takes each route from the document, which the back end makes from the
table that serves the calls: a new route is walked without being named here.
Prints TAP."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import jsonschema

from backend_api import Api
from demo import Tap
from redis_client import ROOT, Folder, Redis

tap = Tap()

WORD = "correct horse battery"
ROLES = ["nobody", "viewer", "editor", "owner", "owner of *"]
SCOPES = {"read": {"read"}, "write": {"write"}, "admin": {"admin"}}

# What a path's parameters stand for; nothing of it exists.
NAMES = {"{site}": "demo", "{id}": "none", "{entry}": "none"}

ORDER = {"order_id": "o1", "member_id": "anna", "status": "completed",
         "placed_at": "2011-01-01T00:00:00Z",
         "occurred_at": "2011-01-01T00:00:00Z", "currency": "GBP",
         "total": 1000, "lines": [{"sku": "A", "quantity": 1, "amount": 1000}]}

# Calls whose answers are compared with the schemas: the first of each route
# and status, in this order.
CALLS = [
    ("PUT", "sites/demo/settings", {"currency": "GBP", "name": "Demo",
                                    "active": True}),
    ("GET", "sites/demo/settings", None),
    ("GET", "sites/demo/statuses", None),
    ("GET", "sites/demo/statuses/gold", None),
    ("POST", "sites/demo/statuses/gold/copy", None),
    ("POST", "sites/demo/statuses/order",
     {"ids": ["bronze", "silver", "gold-copy", "gold"]}),
    ("POST", "sites/demo/designs", {"id": "plain", "css": "h1 {}"}),
    ("GET", "sites/demo/designs", None),
    ("POST", "sites/demo/offers", {"id": "ten", "type": "reward",
                                   "loyalty_price": 10}),
    ("PUT", "sites/demo/offers/ten", {"type": "reward", "state": "draft",
                                      "loyalty_price": 20}),
    ("POST", "sites/demo/offers/ten/publish", None),
    ("POST", "sites/demo/offers/ten/unpublish", None),
    ("GET", "sites/demo/offers", None),
    ("POST", "sites/demo/templates", {"id": "hi", "channel": "sms",
                                      "text": "Hi"}),
    ("POST", "sites/demo/rules", {"id": "first", "type": "order_count",
                                  "threshold": 1, "channel": "sms",
                                  "template": "hi"}),
    ("GET", "sites/demo/templates", None),
    ("GET", "sites/demo/rules", None),
    ("POST", "sites/demo/categories", {"pattern": "A.*", "category": "a/b"}),
    ("GET", "sites/demo/categories", None),
    ("PUT", "sites/demo/draft", {"settings": {"id": "demo",
                                              "currency": "GBP"}}),
    ("GET", "sites/demo/draft", None),
    ("POST", "sites/demo/draft/publish", None),
    ("GET", "sites/demo/versions", None),
    ("GET", "sites/demo/versions/2", None),
    ("POST", "sites/demo/versions/2/restore", None),
    ("POST", "sites/demo/deactivate", None),
    ("POST", "sites/demo/activate", {}),
    ("POST", "sites/demo/preview-links", {"days": 2}),
    ("POST", "sites/demo/members", {"id": "anna", "email": "a@example.com"}),
    ("GET", "sites/demo/members", None),
    ("GET", "sites/demo/members/anna", None),
    ("PATCH", "sites/demo/members/anna", {"name": "Anna"}),
    ("POST", "sites/demo/orders", ORDER),
    ("GET", "sites/demo/members/anna/orders", None),
    ("GET", "sites/demo/members/anna/ledger", None),
    ("GET", "sites/demo/orders/o1", None),
    ("POST", "sites/demo/quotes", {
        "member_id": "anna", "currency": "GBP",
        "lines": [{"sku": "A", "quantity": 1, "unit_price": 1000}]}),
    ("POST", "sites/demo/jobs", {"kind": "nightly"}),
    ("GET", "sites/demo/jobs", None),
    ("GET", "sites/demo/audit", None),
    ("GET", "sites/demo/stats", None),
    ("GET", "sites/demo/dead-letters", None),
    ("GET", "sites/demo/images", None),
    ("GET", "sites/demo/staff", None),
    ("POST", "staff", {"email": "new@example.com", "password": WORD}),
    ("GET", "staff", None),
    ("PATCH", "staff/new@example.com", {"name": "New"}),
    ("PUT", "sites/demo/staff/new@example.com", {"role": "editor"}),
    ("GET", "tokens", None),
    ("POST", "tokens", {"name": "t", "sites": ["demo"], "scopes": ["read"]}),
    ("GET", "sites", None),
    ("GET", "audit", None),
    ("POST", "session", {"email": "root@example.com", "password": WORD}),
    ("DELETE", "sites/demo/statuses/gold-copy", None),
    ("GET", "sites/demo/statuses/none", None),
    ("POST", "sites/demo/offers", {"id": "x", "type": "gift"}),
]


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def find(document, method, path):
    """The operation that a call is of: most words alike, as the table."""
    words = ["v1", *path.split("?")[0].split("/")]
    best = None
    for of, template, operation in operations(document):
        parts = template.strip("/").split("/")
        if of == method and len(parts) == len(words) and all(
                a == b or a.startswith("{") for a, b in zip(parts, words)):
            alike = sum(a == b for a, b in zip(parts, words))
            if best is None or alike > best[0]:
                best = alike, operation
    return best[1] if best else None


def check_document(document):
    wrong = []
    validator = jsonschema.Draft202012Validator
    ids = [o["operationId"] for _, _, o in operations(document)]
    if len(set(ids)) != len(ids):
        wrong.append("an operationId stands twice")
    for name, schema in document["components"]["schemas"].items():
        try:
            validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            wrong.append(f"{name}: {error.message}")
    known = document["components"]["schemas"]
    text = json.dumps(document)
    for part in text.split('"#/components/schemas/')[1:]:
        if part.split('"')[0] not in known:
            wrong.append(f"no schema {part.split(chr(34))[0]}")
    for method, path, operation in operations(document):
        named = {"{" + p["name"] + "}" for p in operation["parameters"]
                 if p["in"] == "path"}
        if named != {w for w in path.split("/") if w.startswith("{")}:
            wrong.append(f"{method} {path}: its parameters")
        if "default" not in operation["responses"]:
            wrong.append(f"{method} {path}: no errors")
    tap.ok(not wrong, "the document is well formed", "; ".join(wrong[:9]))


def check_details(document):
    """No detail is of a route that there is not; what has none is said."""
    given = json.loads((ROOT / "ngx_loyalty_module/backend/openapi.json")
                       .read_text())["operations"]
    served = set()
    for method, path, _ in operations(document):
        path = path.removeprefix("/v1/")
        for name in NAMES:
            path = path.replace(name, "*")
        served.add(f"{method} {path}")
    tap.ok(set(given) <= served, "no schema is of a route there is not",
           f"{sorted(set(given) - served)[:9]}")
    for route in sorted(served - set(given)):
        print(f"# without a schema: {route}")


def check_calls(api, document, token):
    wrong, met = [], set()
    store = {"components": document["components"]}
    for method, path, body in CALLS:
        status, _, text = api.call(method, path, body, token=token)
        operation = find(document, method, path)
        responses = operation["responses"]
        answer = responses.get(str(status), responses["default"])
        if str(status) not in responses and status < 400:
            wrong.append(f"{method} {path}: {status} is not in the document")
            continue
        met.add(operation["operationId"])
        if "content" not in answer:
            if text:
                wrong.append(f"{method} {path}: a body with {status}")
            continue
        schema = answer["content"]["application/json"]["schema"]
        try:
            jsonschema.Draft202012Validator({**store, **schema}).validate(
                json.loads(text))
        except (jsonschema.ValidationError, ValueError) as error:
            wrong.append(f"{method} {path}: {status} {str(error)[:300]}")
    tap.ok(not wrong, f"{len(CALLS)} calls answer as the document says",
           "; ".join(wrong[:5]))
    total = len(list(operations(document)))
    print(f"# {len(met)} of {total} routes have an answer checked")


def at(path, site):
    names = {**NAMES, "{site}": site}
    for name, value in names.items():
        path = path.replace(name, value)
    return path.removeprefix("/v1/")


def body_of(operation):
    """What a route takes: nothing of it is valid, but of the right type."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {}, "application/json"
    if "application/x-ndjson" in content:
        return b"", "application/x-ndjson"
    return (b"x", "image/png") if content else (None, None)


def walk(document, allowed, call, say):
    wrong = []
    for method, path, operation in operations(document):
        if "security" in operation:
            continue
        if path == "/v1/session" and method == "DELETE":
            continue
        status = call(method, path, operation)
        if (status != 403) != allowed(operation) or status == 401 \
                or status >= 500:
            wrong.append(f"{method} {path}: {status}")
    tap.ok(not wrong, say, "; ".join(wrong[:9]))


def may(role, operation):
    wanted = operation["x-role"]
    return wanted == "any" or ROLES.index(role) >= ROLES.index(wanted)


def walk_all(api, document):
    """Nobody, the wrong site, each role, each scope, on every route."""
    def plain(**who):
        def call(method, path, operation):
            body, kind = body_of(operation)
            return api.call(method, at(path, "demo"), body, kind=kind,
                            **who)[0]
        return call

    wrong = []
    for method, path, operation in operations(document):
        body, kind = body_of(operation)
        status = api.call(method, at(path, "demo"), body, kind=kind)[0]
        if (status == 401) == (operation.get("security") == []) \
                and path != "/v1/session":
            wrong.append(f"{method} {path}: {status}")
    tap.ok(not wrong, "without a token: 401 on every route but the public",
           "; ".join(wrong[:9]))

    foreign = api.token("foreign", "--sites", "other", "--scopes",
                        "read,write,admin")
    walk(document, lambda o: o["x-role"] == "any" and "x-scope" in o,
         plain(token=foreign), "another site's token: 403 on every route")

    for scope in ("read", "write", "admin"):
        token = api.token(scope, "--scopes", scope)
        walk(document, lambda o, s=scope: o.get("x-scope") in (s, "any"),
             plain(token=token), f"a token to {scope}: that, and no more")

    for role in ROLES:
        site = {"nobody": "other=owner", "owner of *": "*=owner"}.get(
            role, f"demo={role}")
        email = role.replace(" ", "").replace("*", "all") + "@example.com"
        api.staff(email, site)
        session = api.sign_in(email, WORD)
        walk(document, lambda o, r=role: may(r, o), plain(session=session),
             f"a session of {role}: what the role allows, and no more")
        bare = {**session, "X-CSRF-Token": "forged"}
        walk(document, lambda o: False, lambda m, p, o, b=bare:
             403 if m == "GET" else plain(session=b)(m, p, o),
             f"a forged request of {role}: nothing at all")


def main():
    folder = Folder()
    redis = api = None
    try:
        redis = Redis(folder, "--appendonly", "yes", "--appendfsync",
                      "always", "--maxmemory-policy", "noeviction")
        api = Api(folder, redis, WORD)
        token = api.token("all", "--scopes", "read,write,admin")
        status, headers, text = api.call("GET", "openapi.json")
        document = json.loads(text)
        tap.ok(status == 200 and document["openapi"] == "3.1.0"
               and headers["Content-Type"] == "application/json",
               "the document is served to anybody", text[:200])
        check_document(document)
        check_details(document)
        api.staff("root@example.com", "*=owner")
        check_calls(api, document, token)
        walk_all(api, document)
        tap.ok(not api.complaints(), "nothing in the error log",
               "\n".join(api.complaints()[:5]))
    except subprocess.CalledProcessError as error:
        tap.ok(False, "the set-up", str(error))
    finally:
        if api:
            api.stop()
        if redis:
            redis.stop()
        folder.remove()
    tap.done()


main()
