#!/usr/bin/env python3
"""The API and its OpenAPI document: the document is well formed, every call
answers as it says, and every route lets in those it says and nobody else.

The walk takes each route from the document, which the back end makes from the
table that serves the calls: a new route is walked without being named here.
Prints TAP."""

import fnmatch
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import jsonschema

from backend_api import Api
from demo import Tap
from redis_client import ROOT, Folder, Redis, wait

import openapi_walk

tap = Tap()

WORD = "correct horse battery"
ROLES = ["nobody", "viewer", "editor", "owner", "owner of *"]
SCOPES = {"read": {"read"}, "write": {"write"}, "admin": {"admin"}}

# What a path's parameters stand for; nothing of it exists.
NAMES = {"{site}": "demo", "{id}": "none", "{entry}": "none"}

# Calls that are refused, as the document says of every route.
REFUSED = [
    ("GET", "sites/demo/statuses/none", None, 404),
    ("POST", "sites/demo/offers", {"id": "x", "type": "gift"}, 422),
    ("PUT", "sites/demo/settings", b"{", 400),
    ("GET", "sites/Demo/settings", None, 404),
    ("PATCH", "sites/demo/settings", {}, 405),
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
        expected = {"default", "429", "503"} | (
            set() if operation.get("security") == [] else {"401", "403"})
        if not expected <= set(operation["responses"]):
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
    tap.ok(served <= set(given), "every route is described",
           f"{sorted(served - set(given))[:9]}")


def closed(schema):
    """The same schema, in which no object has a field that it does not name:
    what we answer is to be in the document, all of it."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


def filled(value, names):
    """What earlier answers had, in a path, a command or a body."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
    elif isinstance(value, tuple):
        value = tuple(filled(item, names) for item in value)
    elif isinstance(value, dict):
        value = {key: filled(item, names) for key, item in value.items()}
    return value


def part(answer, where):
    for key in where if isinstance(where, tuple) else (where,):
        answer = answer[key]
    return answer


def finish(api, job, token):
    wait(lambda: json.loads(api.call("GET", f"sites/demo/jobs/{job}",
                                     token=token)[2])["state"] == "done", 20)


def check_body(document, operation, body):
    """What a route is sent here is what the document says it takes."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if isinstance(body, dict) and schema:
        jsonschema.Draft202012Validator(
            {"components": closed(document["components"]), **schema}
        ).validate(body)
    return schema is not None or "application/json" not in content


def complaint(document, method, path, answer):
    """What of an answer is not as the document says, and its operation."""
    status, headers, text = answer
    operation = find(document, method, path)
    responses = operation["responses"]
    if str(status) not in responses and status < 400:
        return operation, f"{status} is not in the document"
    response = responses.get(str(status), responses["default"])
    if "content" not in response:
        return operation, f"a body with {status}" if text else None
    if "application/json" not in response["content"]:
        kind = headers["Content-Type"].split(";")[0]
        known = any(fnmatch.fnmatch(kind, mask)
                    for mask in response["content"])
        return operation, None if known else f"its type {kind}"
    schema = response["content"]["application/json"]["schema"]
    try:
        jsonschema.Draft202012Validator(
            {"components": closed(document["components"]), **schema}
        ).validate(json.loads(text))
    except jsonschema.ValidationError as error:
        return operation, f"{list(error.absolute_path)} {error.message[:200]}"
    except ValueError:
        return operation, "is no JSON"
    return operation, None


def session_of(answer):
    _, headers, text = answer
    return {"Cookie": headers["Set-Cookie"].split(";")[0],
            "X-CSRF-Token": json.loads(text).get("csrf_token", "")}


def check_calls(api, redis, document, token):
    wrong, met, session = [], set(), None
    names = {"tomorrow": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                       time.gmtime(time.time() + 86400))}
    for method, path, body, *more in openapi_walk.CALLS:
        path, body = filled(path, names), filled(body, names)
        saves = more[0] if more else {}
        kind = more[1] if len(more) > 1 else "application/json"
        if method == openapi_walk.REDIS:
            redis.cli(*path)
            continue
        if method == openapi_walk.WAIT:
            finish(api, path, token)
            continue
        who = {"session": session} if session and path.startswith("session") \
            else {"token": token}
        answer = api.call(method, path, body, kind=kind, **who)
        if path.startswith("session") and method != "DELETE" \
                and answer[1]["Set-Cookie"]:
            session = session_of(answer)
        operation, what = complaint(document, method, path, answer)
        try:
            if not check_body(document, operation, body):
                what = "what it takes has no schema"
        except jsonschema.ValidationError as error:
            what = f"takes {list(error.absolute_path)} {error.message[:200]}"
        if answer[0] >= 400:
            what = f"{answer[0]} {answer[2][:200]}"
        else:
            met.add(operation["operationId"])
        if what:
            wrong.append(f"{method} {path}: {what}")
        for name, where in saves.items():
            try:
                names[name] = part(json.loads(answer[2]), where)
            except (KeyError, IndexError, ValueError):
                wrong.append(f"{method} {path}: no {where}")
    tap.ok(not wrong, "every call answers what the document says, and no more",
           "\n".join(wrong))
    missed = [f"{method} {path}" for method, path, operation
              in operations(document) if operation["operationId"] not in met]
    tap.ok(not missed, "and there is a call of every route",
           "\n".join(missed))

    wrong = []
    for method, path, body, status in REFUSED:
        answer = api.call(method, path, body, token=token)
        found = jsonschema.Draft202012Validator({
            "components": document["components"],
            "$ref": "#/components/schemas/Error"}).is_valid(
                json.loads(answer[2]))
        if answer[0] != status or not found:
            wrong.append(f"{method} {path}: {answer[0]} {answer[2][:200]}")
    tap.ok(not wrong, "what is refused is an Error", "\n".join(wrong))


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
        check_calls(api, redis, document, token)
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
