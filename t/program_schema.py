#!/usr/bin/env python3
"""The published JSON Schema and the parser agree.

Good programs are broken in every place in every way of a list; schema and
parser must agree on each result.  The parser alone knows what ties parts of a
program together: CROSS lists all it may refuse that the schema allows.
Programs the parser takes are also written out and read again (t/program/
check.c).  Prints TAP.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "ngx_loyalty_module" / "core"

# What the message of a rule across parts says, and an example of it.
CROSS = {
    r"^is the id of ": "ids are unique in their list",
    r"^is no id in ": "references lead somewhere",
    r"^is that of /statuses/": "thresholds differ",
    r"^is the code of ": "codes differ without case",
    r"^must come after starts_at": "a window ends after it starts",
    r"of ISO 4217": "the currency is on the list",
    r"^must be an instant": "the day is in the calendar",
    r"^line \d+: ": "a template is Mustache",
    r"of the pattern$": "a pattern is PCRE2",
    r"^is for another channel": "a rule's template is of its channel",
    r"^is missing, here and in the template": "an email has a subject",
    r"^is a promotion": "a promotion is in no wallet",
    r"^has been deleted": "a rule gives what can still be had",
}

SETTINGS = {"id": "s", "currency": "EUR", "criterion": "orders"}

STATUSES = [
    {"id": "one", "name": {"fr": "Un", "en": "One"}, "threshold": 0,
     "description": "First\nof all", "color": "#12abEF",
     "image": "https://cdn.example/1.png", "multiplier": "1.50"},
    {"id": "two", "threshold": 7, "multiplier": 2}]

DESIGN = {
    "id": "plain", "name": "Plain", "colors": {"text": "#000000"},
    "fonts": {"body": "Inter, sans-serif", "heading": "'PT Serif'"},
    "logo": "/logo.svg", "css": "h1 > b {}\n",
    "template": "{{#status}}{{name}}{{/status}}"}

TEMPLATES = [
    {"id": "mail", "name": "Mail", "channel": "email",
     "subject": {"en": "Hello", "fr": "Bonjour"}, "html": "<p>{{a}}</p>",
     "text": "{{a}}"},
    {"id": "short", "channel": "sms", "text": "{{a}}"},
    {"id": "bare", "channel": "email", "text": "{{a}}"}]

SALE = {
    "id": "sale", "type": "promotion", "name": "Sale",
    "description": {"fr": "Soldes"}, "image": "/sale.png", "state": "draft",
    "deleted": False,
    "starts_at": "2026-01-01T00:00:00+01:00", "ends_at": 1800000000000,
    "priority": -3, "exclusive": True,
    "scope": {"kind": "categories", "values": ["home", "a/b"]},
    "condition_scope": {"kind": "site", "values": []},
    "discount": {"kind": "percent", "percent": "12.50"},
    "max_discount": 5000, "reward_points": 10, "min_spend": 1000,
    "min_quantity": 2, "min_after_discounts": True, "order_number": 3,
    "statuses": ["two"], "segments": ["vip", "new"], "groups": ["g 1"],
    "limit_total": 100, "limit_per_member": 1, "budget_total": 100000}

COUPON = {
    "id": "gift", "type": "coupon", "loyalty_price": 100,
    "scope": {"kind": "products", "values": ["85123A", "71053"],
              "patterns": ["8.*"]},
    "discount": {"kind": "amount_each", "amount": 100, "max_quantity": 3},
    "code": "GIFT-2026", "code_pattern": "G-@@@###"}

PUNCHCARD = {
    "id": "card", "type": "punchcard", "stamps_required": 10,
    "stamp_per": "unit",
    "discount": {"kind": "buy_x_get_y", "buy_quantity": 2, "get_quantity": 1,
                 "percent": "50", "max_repeats": 2,
                 "buy_scope": {"kind": "site"},
                 "get_scope": {"kind": "products", "patterns": ["x+"]}}}

RULES = [
    {"id": "third", "name": "Third order", "enabled": False,
     "filter": "registered", "type": "bogo", "threshold": 3, "repeat": True,
     "products": ["71053", "85123A"], "channel": "email",
     "sender_name": "The shop", "sender_address": "shop@example.com",
     "subject": "Three", "template": "bare", "delay": 3600,
     "gives": {"points": 50, "points_expire_days": 30}},
    {"id": "rich", "type": "spent_all", "threshold": 100000,
     "channel": "sms", "template": "short", "gives": {"offer": "gift"}}]

# Good programs, and the part of each that is broken; small, for speed.
GOOD = [
    ((), {"version": 7, "settings": {
        "id": "shop-1", "name": "A Shop", "currency": "EUR",
        "time_zone": "Europe/Paris", "locales": ["fr", "en-GB"],
        "active": True, "earn_rate": "1.25", "points_expire_days": 365,
        "points_pending_days": 14, "return_policy": "unlimited",
        "criterion": "orders",
        "window": {"kind": "rolling", "days": 365, "grace_days": 30,
                   "never_drop": False},
        "segments": {"new": 30, "recurring": 90, "at_risk": 60, "vip": 500},
        "attribution_days": 5, "messages": {
            "track_url": "https://shop.example/m", "test_to": "a@b.example",
            "cap": 3, "cap_days": 30},
        "design": "plain",
        "sign_in_url": "/login?next=/", "tier_page_title": "Le club",
        "webhooks": [
            {"id": "crm", "url": "https://shop.example/hook?a=1",
             "events": ["order.applied", "message.opened"]},
            {"id": "erp", "url": "http://[::1]:8080", "enabled": False,
             "events": ["status.down"]}]},
        "designs": [{"id": "plain"}]}),
    ((), {"settings": {"id": "s", "currency": "JPY", "criterion": "segment"},
          "statuses": [{"id": "best", "segment": "vip"},
                       {"id": "rest", "segment": "new", "name": "Rest"}]}),
    (("statuses",), {"settings": SETTINGS, "statuses": STATUSES}),
    (("designs",), {"settings": SETTINGS, "designs": [DESIGN]}),
    (("templates",), {"settings": SETTINGS, "templates": TEMPLATES}),
    (("categories",), {"settings": SETTINGS, "categories": [
        {"pattern": "8\\d+[A-Z]?", "category": "home/lighting"}]}),
    (("offers",), {"settings": SETTINGS, "statuses": STATUSES,
                   "offers": [SALE]}),
    (("offers",), {"settings": SETTINGS, "offers": [COUPON]}),
    (("offers",), {"settings": SETTINGS, "offers": [PUNCHCARD]}),
    (("offers",), {"settings": SETTINGS, "offers": [
        {"id": "off", "type": "reward",
         "discount": {"kind": "amount", "amount": 500}},
        {"id": "club", "type": "clubcard", "discount": {"kind": "none"}}]}),
    (("rules",), {"settings": SETTINGS, "templates": TEMPLATES,
                  "offers": [COUPON, SALE | {"statuses": []}],
                  "rules": RULES}),
]

# What breaking one value at a time does not come upon.
MORE = [
    ("a code twice", {"settings": SETTINGS, "offers": [
        {"id": "a", "type": "coupon", "code": "Gift"},
        {"id": "b", "type": "coupon", "code": "gIFT"}]}),
    ("a promotion given", {
        "settings": SETTINGS, "templates": TEMPLATES,
        "offers": [SALE | {"statuses": []}],
        "rules": [RULES[1] | {"gives": {"offer": "sale"}}]}),
    ("a deleted offer given", {
        "settings": SETTINGS, "templates": TEMPLATES,
        "offers": [COUPON | {"deleted": True}], "rules": [RULES[1]]}),
]

VALUES = [
    None, True, False, -1, 0, 1, 2, 1.5, 100, 101, 366, 36500, 36501,
    10**9 + 1, 10**12, 10**12 + 1, 10**15, 10**15 + 1, 2**63 - 1, -2**63,
    "", " ", "x", "-", "/", "//a", "a/b", "/a", "a//b", "#fff", "#00ff00",
    "0", "1", "1.5", "-1", "1.555", "100.01", "007.5", "1.5000", "1e3", ".5",
    "5.", "EUR", "XYZ", "eur", "fr", "fr-CA", "e", "Etc/GMT+5", "no zone",
    "2026-02-28T12:00:00Z", "2026-02-30T12:00:00Z", "2026-13-01T00:00:00Z",
    "9999-01-01t00:00:00.123-23:59", "2026-01-01", "one", "two", "vip",
    "percent", "amount", "amount_each", "buy_x_get_y", "none", "site",
    "categories", "products", "reward", "coupon", "punchcard", "clubcard",
    "promotion", "draft", "order", "unit", "email", "sms", "spend", "segment",
    "lifetime", "rolling", "bogo", "all", "ABC###@@@", "abc######", "AB**",
    "{{#a}}", "(", "a b", "tab\there", "line\nbreak", "bell\x07", "é",
    "a@b", "a@b@c", "<a@b>", "a{}</StYle>", "x;y", "javascript:x",
    "https://a.example/b?c#d", "https://a.example/b", "https://a.example/", "https:///a", "http://a.example/",
    "a" * 35, "a" * 64, "a" * 65, "a" * 129, "é" * 200, "é" * 201,
    "a" * 257, "a" * 513, "a" * 4001, "/" + "a" * 2047, "/" + "a" * 2048,
    [], ["vip"], ["one"], ["x", "x"], [1], [""], ["a"] * 70, {},
    {"en": "x"}, {"en": ""}, {"no locale": "x"}, {"kind": "site"},
    {"kind": "products"}, {"kind": "percent"}, {"text": "#000000"},
]


def places(value, path=()):
    """Every place in a document, as a path of keys."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], path + (key,))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], path + (index,))


def changed(document, path, value=None, remove=False):
    document = copy.deepcopy(document)
    node = document
    for key in path[:-1]:
        node = node[key]
    if remove:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document


def at(document, path):
    for key in path:
        document = document[key]
    return document


def variants(part, document):
    yield "as it is", document
    for path in places(at(document, part), part):
        where = "/" + "/".join(map(str, path))
        node = at(document, path)
        if isinstance(node, dict):
            yield where + " + x-more", changed(document, path + ("x-more",), 1)
        if isinstance(node, list) and node:
            yield where + " twice", changed(document, path, node + node[:1])
        if not path:
            continue
        yield where + " removed", changed(document, path, remove=True)
        for value in VALUES:
            yield f"{where} = {json.dumps(value)[:40]}", changed(
                document, path, value)


def build(folder):
    checker = os.path.join(folder, "check")
    command = [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-g",
               "-O1", "-fsanitize=address,undefined",
               "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror",
               f"-I{CORE}", str(ROOT / "t" / "program" / "check.c"),
               *map(str, sorted(CORE.glob("*.c"))), "-o", checker,
               "-ljansson", "-lpcre2-8", "-lcrypto", "-licuuc"]
    subprocess.run(command, check=True)
    return checker


def parse_all(checker, documents):
    lines = "".join(json.dumps(d) + "\n" for d in documents)
    result = subprocess.run([checker], input=lines, capture_output=True,
                            text=True, timeout=300)
    if result.returncode != 0:
        sys.exit(f"not ok - check.c ended with {result.returncode}\n"
                 + result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def only_cross(problems, seen):
    """Whether each problem is one that the schema cannot know."""
    for problem in problems:
        rule = next((r for r in CROSS if re.search(r, problem["message"])),
                    None)
        if rule is None:
            return False
        seen.add(rule)
    return True


def report(number, good, name, details=()):
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    for line in details:
        print("#  ", line)


def main():
    schema = json.loads((CORE / "program.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    report(1, True, "the schema is one of draft 2020-12")

    cases = MORE + [case for part, document in GOOD
                    for case in variants(part, document)]
    with tempfile.TemporaryDirectory() as folder:
        results = parse_all(build(folder), [case[1] for case in cases])

    taken = [case[0] for case, result in zip(cases, results) if not result]
    report(2, len(results) == len(cases) and taken.count("as it is") == len(GOOD),
           "the good programs are read, and read again from their writing")

    seen, disagree = set(), []
    for (name, document), problems in zip(cases, results):
        valid = validator.is_valid(document)
        if valid and problems and not only_cross(problems, seen):
            disagree.append(f"{name}: only the parser: {problems}")
        elif not valid and not problems:
            error = next(validator.iter_errors(document))
            disagree.append(f"{name}: only the schema: {error.json_path} "
                            f"{error.message[:200]}")
    report(3, not disagree,
           f"schema and parser agree on {len(cases)} programs, "
           f"{len(taken)} of them good", disagree[:40])

    unused = [CROSS[rule] for rule in CROSS if rule not in seen]
    report(4, not unused, "every rule across parts was met alone", unused)
    print("1..4")
    return 1 if disagree or unused else 0


if __name__ == "__main__":
    sys.exit(main())
