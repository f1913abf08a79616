#!/usr/bin/env python3
"""Reward messages: what fires, what is blocked, withdrawn, capped and sent, and
that nothing is lost or doubled where workers and Redis are killed."""

import email
import email.policy
import http.server
import json
import random
import signal
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend import Backend
from demo import ROOT, Tap

TAP = Tap()
HOUR = 3600
KEPT = 100000  # members of whom it is known what was blocked

TEMPLATES = [
    {"id": "hello", "channel": "email",
     "subject": {"en": "Hello {{member.name}}", "fr": "Bonjour {{member.name}}"},
     "text": "{{points}} points for {{order.id}} ({{order.total}})\n",
     "html": "<html><body><p>{{member.name}}</p>"
             "<a href=\"https://shop.example/?a=1&amp;b=2\">shop</a>"
             "<a href=\"{{unsubscribe_url}}\">bye</a></body></html>"},
    {"id": "plain", "channel": "email", "subject": "Plain", "text": "Plain"},
    {"id": "code", "channel": "email", "subject": "{{offer.name}}",
     "text": "{{offer.code}}"},
    {"id": "text", "channel": "sms", "text": "Hi"},
    {"id": "line", "channel": "line", "text": "Hi {{member.name}} & co"}]


def rule(name, kind, threshold, **more):
    return {"id": name, "type": kind, "threshold": threshold, "filter": "all",
            "channel": "email", "template": "plain",
            "sender_address": "shop@example.com", **more}


class Shop:
    """A site with rules, and orders for it."""

    def __init__(self, backend, rules, messages=None, offers=()):
        self.backend, self.rules, self.n = backend, rules, 0
        self.settings = {"id": "demo", "currency": "GBP", "active": True,
                         "locales": ["en", "fr"], "messages": messages or {}}
        self.put(self.settings)
        for kind, items in (("templates", TEMPLATES), ("offers", offers),
                            ("rules", rules)):
            for item in items:
                status, body = backend.call("POST", kind, item)
                if status not in (200, 201):
                    raise RuntimeError(f"{kind}: {status} {body}")

    def put(self, settings):
        status, body = self.backend.call("PUT", "settings", settings)
        if status not in (200, 201):
            raise RuntimeError(body)

    def member(self, name, **fields):
        status, body = self.backend.call("POST", "members", {
            "id": name, "name": name.title(), "registered": True,
            "email": f"{name}@example.com", **fields})
        if status not in (200, 201):
            raise RuntimeError(body)

    def order(self, member, status="completed", order=None, total=1000,
              lines=(("A", 1),), **more):
        self.n += 1
        order = order or f"o{self.n}"
        event = {"order_id": order, "member_id": member, "status": status,
                 "currency": "GBP", **more}
        if status not in ("cancelled", "refunded"):
            event |= {"total": total, "lines": [
                {"sku": sku, "quantity": n, "unit_price": "1.00"}
                for sku, n in lines]}
        code, body = self.backend.call("POST", "orders", event)
        if code not in (200, 201):
            raise RuntimeError(body)
        return order

    def messages(self, query=""):
        return self.backend.call("GET", f"messages?limit=200&{query}")[1][
            "messages"]

    def of(self, member, state=None):
        found = self.backend.call(
            "GET", f"members/{member}/messages?limit=200")[1]["messages"]
        return {m["rule_id"]: m for m in found
                if state is None or m["state"] == state}

    def blocked(self, member):
        return {m["rule_id"]: m["reason"]
                for m in self.messages(f"state=blocked&member={member}")}

    def numbers(self, name=None):
        path = f"rules/{name}/stats" if name else "stats/messages"
        return self.backend.call("GET", path)[1]

    def points(self, member):
        return self.backend.call("GET", f"members/{member}")[1]["points"][
            "active"]

    def wait(self, condition, name, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)
        TAP.ok(condition(), name, json.dumps(self.messages(), indent=1))


MAILBOX = "loyalty_delivery mailbox=FOLDER/mail secret=FOLDER/secret;"
SECRET = {"secret": "0123456789abcdef0123456789abcdef\n"}


def mails(backend, member):
    found = []
    for file in sorted((backend.dir / "mail").glob("*.eml")):
        mail = email.message_from_bytes(file.read_bytes(),
                                        policy=email.policy.default)
        if mail["To"] == f"{member}@example.com":
            found.append(mail)
    return found


def count(backend, suffix):
    return len(list((backend.dir / "mail").glob(f"*{suffix}")))


def test_one_message(backend):
    shop = Shop(backend, [
        rule("first", "order_count", 1, template="hello",
             gives={"points": 50}),
        rule("rich", "spent_all", 10000)],
        {"track_url": "https://shop.example/t"})
    shop.put({**shop.settings, "time_zone": "Pacific/Auckland"})
    shop.member("ada", locale="fr")
    order = shop.order("ada", total=1500)
    shop.wait(lambda: shop.of("ada", "sent"), "the first order sends a message")
    message = shop.of("ada")["first"]
    TAP.ok(message["order_id"] == order and message["tries"] == 1
           and message["channel"] == "email", "and is in the log", message)
    TAP.ok(shop.blocked("ada") == {"rich": "criteria"},
           "what is not reached yet is blocked", shop.blocked("ada"))
    mail = mails(backend, "ada")[0]
    html = mail.get_body(("html",)).get_content()
    text = mail.get_body(("plain",)).get_content()
    TAP.ok(mail["Subject"] == "Bonjour Ada"
           and text.startswith(f"50 points for {order} (15,00"),
           "in the member's language", (mail["Subject"], text))
    TAP.ok("https://shop.example/?a=1" not in html
           and html.count("https://shop.example/t/c/") == 1
           and html.count("https://shop.example/t/o/") == 1
           and html.count("https://shop.example/t/u/") == 1
           and html.index("/t/o/") < html.index("</body>"),
           "its links are tracked", html)
    TAP.ok(mail["List-Unsubscribe"].startswith("<https://shop.example/t/u/"),
           "and it can be unsubscribed from", mail["List-Unsubscribe"])
    TAP.ok(shop.points("ada") == 15 + 50, "the points came with it",
           shop.points("ada"))

    shop.order("ada", status="shipped", order=order, total=1500)
    shop.order("ada", order=order, total=1500)
    time.sleep(1)
    TAP.ok(len(mails(backend, "ada")) == 1 and shop.points("ada") == 65
           and shop.numbers("first")["sent"] == 1,
           "completed, shipped, and said twice: sent once")
    numbers = shop.numbers()
    TAP.ok(numbers["sent"] == 1 and numbers["pending"] == 0,
           "the numbers over all", numbers)
    there = datetime.fromisoformat(shop.of("ada")["first"]["sent_at"]
                                   .replace("Z", "+00:00")
                                   ).astimezone(ZoneInfo("Pacific/Auckland"))
    monday = there.date() - timedelta(days=there.weekday())
    TAP.ok(numbers["sent_per_week"] == [{"week": str(monday), "sent": 1}],
           "by the site's own weeks, from Monday on", numbers)
    backend.call("DELETE", "rules/first")
    TAP.ok(shop.numbers("first")["sent"] == 1, "they outlive the rule")
    TAP.ok(backend.call("GET", "rules/none/stats")[0] == 404, "no rule: 404")


def test_kinds(backend):
    """Each kind, against a count by hand."""
    shop = Shop(backend, [
        rule("pair", "bogo", 2, products=["A", "B"], repeat=True),
        rule("once", "bogo", 2, products=["A"]),
        rule("second", "order_count", 2),
        rule("spent", "spent_all", 3000),
        rule("mean", "spent_average", 2000),
        rule("large", "spent_one_order", 5000),
        rule("units", "product_order_count", 5, products=["A", "B"]),
        rule("every", "product_order_count", 6),
        rule("kept", "order_count", 1, delay=HOUR, enabled=False)])
    shop.member("bob")
    # Units of A and B, of all; orders with A or B, with A; spend, orders.
    steps = [
        ((("A", 9),), 1000, {"units", "every"}),
        ((("C", 1),), 1000, {"second"}),          # bogo: one order so far
        ((("A", 1), ("B", 1)), 1000, {"pair", "once", "spent"}),
        ((("B", 1),), 500, set()),                # pair: three orders
        ((("B", 1),), 9000, {"pair", "mean", "large"}),  # four; 12500 / 5
        ((("A", 1),), 9000, set())]
    for number, (lines, total, fired) in enumerate(steps):
        before = {m["id"] for m in shop.messages("member=bob")}
        order = shop.order("bob", total=total, lines=lines)
        new = {m["rule_id"] for m in shop.messages("member=bob")
               if m["id"] not in before and m["order_id"] == order}
        TAP.ok(new == fired, f"order {number + 1} fires {sorted(fired)}", new)

    # In one batch, and of a member with a history before the rule.
    shop.member("cyd")
    lines = [json.dumps({
        "order_id": f"c{i}", "member_id": "cyd", "status": "completed",
        "currency": "GBP", "total": 100, "lines": [
            {"sku": sku, "quantity": 1, "unit_price": "1.00"}]})
        for i, sku in enumerate("ABCAD")]
    status, _ = backend.call("POST", "orders/batch", "\n".join(lines),
                             "application/x-ndjson")
    found = shop.of("cyd")
    TAP.ok(status == 200 and {k: m["order_id"] for k, m in found.items()}
           == {"pair": "c1", "second": "c1", "once": "c3"},
           "a batch fires order by order", found)
    status, body = backend.call("POST", "rules", rule(
        "late", "bogo", 3, products=["A", "B"]))
    shop.order("cyd", lines=(("D", 1),))
    TAP.ok("late" not in shop.of("cyd"), "an order without the products does "
           "not count", shop.of("cyd"))
    shop.order("cyd", lines=(("A", 1),))
    TAP.ok("late" in shop.of("cyd"), "what was ordered before the rule counts",
           shop.of("cyd"))


def test_blocked_pages(backend, shop):
    """Two members, one after the other, their rules one a page; and more
    members than are kept, of whom the oldest go."""
    shop.member("eli", registered=False)
    shop.order("eli")
    found, cursor = [], ""
    while len(found) < 20:
        _, page = backend.call(
            "GET", f"messages?state=blocked&limit=1{cursor}")
        found += [(m["member_id"], m["rule_id"]) for m in page["messages"]]
        if "next_cursor" not in page:
            break
        cursor = f"&cursor={page['next_cursor']}"
    TAP.ok([member for member, _ in found] == ["eli"] * 4 + ["eve"] * 4
           and {rule for _, rule in found[:4]} == {rule for _, rule in found[4:]}
           == {"soon", "opted", "known", "text"}, "a rule a page", found)

    old = [f"old{i}" for i in range(KEPT)]
    backend.redis("--pipe", data="".join(
        f"zadd loyalty:mb:{{demo}} {i + 1} \"\\x00{name}\"\r\n"
        f"hset loyalty:br:{{demo}} {name} \"1gone\\x00\"\r\n"
        for i, name in enumerate(old)))
    for _ in range(3):
        shop.order("eli", lines=(("Z", 1),))
    counts = [backend.redis("zcard", "loyalty:mb:{demo}"),
              backend.redis("hlen", "loyalty:br:{demo}")]
    TAP.ok(counts[0] == counts[1] and KEPT - 1 <= int(counts[0]) <= KEPT
           and backend.redis("hexists", "loyalty:br:{demo}", "old0") == "0"
           and shop.blocked("eve") and shop.blocked("eli"),
           "the newest members are kept", counts)
    backend.redis("del", "loyalty:mb:{demo}", "loyalty:br:{demo}")


def test_pending(backend):
    shop = Shop(backend, [
        rule("soon", "bogo", 2, products=["A"], repeat=True, delay=HOUR),
        rule("opted", "order_count", 1, filter="opted_in"),
        rule("known", "order_count", 1, filter="registered"),
        rule("text", "order_count", 1, channel="line", template="line",
             sender_address=None)])
    shop.member("eve", registered=False)
    shop.order("eve")
    TAP.ok(shop.blocked("eve") == {"soon": "criteria", "opted": "consent",
                                   "known": "filter", "text": "no_address"},
           "why not", shop.blocked("eve"))
    test_blocked_pages(backend, shop)
    order = shop.order("eve")
    TAP.ok(set(shop.of("eve", "pending")) == {"soon"}
           and shop.numbers("soon")["pending"] == 1
           and "soon" not in shop.blocked("eve"),
           "due in an hour", shop.of("eve"))
    shop.order("eve", status="cancelled", order=order)
    TAP.ok(not shop.of("eve") and shop.numbers("soon")["pending"] == 0
           and backend.redis("zcard", "loyalty:ob:{demo}:email") == "0",
           "a cancelled order takes it back", shop.of("eve"))
    order = shop.order("eve")
    TAP.ok(set(shop.of("eve", "pending")) == {"soon"}, "and it fires again")
    messages = shop.of("eve")
    backend.redis("zadd", "loyalty:ob:{demo}:email", "1",
                  messages["soon"]["id"])
    shop.wait(lambda: set(shop.of("eve", "sent")) == {"soon"}, "sent when due")
    shop.order("eve", status="cancelled", order=order)
    shop.order("eve")
    TAP.ok(set(shop.of("eve", "sent")) == {"soon"}
           and len(shop.messages("member=eve")) == 1,
           "what was sent stays, and does not fire for the same count again",
           shop.of("eve"))

    shop.member("fay")
    shop.order("fay")
    shop.order("fay")
    backend.call("DELETE", "members/fay")
    message = shop.messages("rule=soon&state=pending")[0]
    backend.redis("zadd", "loyalty:ob:{demo}:email", "1", message["id"])
    shop.wait(lambda: {"rule_id": "soon", "reason": "deleted"}.items()
              <= (shop.messages("state=blocked&member=fay&rule=soon")
                  or [{}])[0].items(), "a deleted member gets nothing")


def test_cap_and_test_mode(backend):
    shop = Shop(backend, [rule(f"r{i}", "order_count", i) for i in (1, 2, 3)],
                {"cap": 2, "cap_days": 7})
    shop.member("gus")
    for _ in range(3):
        shop.order("gus")
    shop.wait(lambda: len(shop.of("gus", "sent")) == 2
              and "frequency_cap" in shop.blocked("gus").values(),
              "two a week, the third is blocked")
    shop.put({**shop.settings, "messages": {"test_to": "test@example.com"}})
    shop.member("hal")
    shop.order("hal")
    shop.wait(lambda: mails(backend, "test"), "test mode: to one address")
    TAP.ok(not mails(backend, "hal") and mails(backend, "test")[0]["Subject"]
           == "[test, email to hal@example.com] Plain", "and says for whom",
           mails(backend, "test")[0]["Subject"])
    backend.call("POST", "rules", rule("line", "order_count", 1, channel="line",
                                       template="line", sender_address=None))
    shop.member("liv", line_id="U7")
    shop.order("liv")
    shop.wait(lambda: any(m["Subject"].startswith("[test, line to U7]")
                          for m in mails(backend, "test")),
              "other channels, too")
    TAP.ok(not count(backend, ".json"), "and nothing by those",
           shop.of("liv"))


def test_offer(backend):
    shop = Shop(backend, [rule("gift", "order_count", 1, template="code",
                               gives={"offer": "five"})],
                offers=[{"id": "five", "type": "coupon", "name": "Five off",
                         "state": "published",
                         "discount": {"kind": "amount", "amount": 500},
                         "code_pattern": "G-######"}])
    shop.member("ida")
    shop.order("ida")
    shop.wait(lambda: mails(backend, "ida"), "an offer is sent")
    wallet = backend.call("GET", "members/ida")[1]["entitlements"]
    mail = mails(backend, "ida")[0]
    TAP.ok(mail["Subject"] == "Five off" and len(wallet) == 1
           and mail.get_content().strip() == wallet[0]["code"] != "",
           "its code is the one in the wallet", (wallet, mail.get_content()))
    TAP.ok(backend.redis("hexists", "loyalty:cd:{demo}", wallet[0]["code"])
           == "1", "and can be typed at a checkout")


def test_tracks(backend):
    """What the edge would put into the stream, and the orders after it."""
    shop = Shop(backend, [rule("one", "order_count", 1, filter="opted_in"),
                          rule("two", "order_count", 2, filter="opted_in"),
                          rule("nine", "order_count", 9, filter="all")],
                {"track_url": "https://shop.example/t"})
    now = int(time.time() * 1000)

    def track(kind, message, at=now, *machine):
        stream = "unsubscribes" if kind == "u" else "tracks"
        backend.redis("xadd", f"loyalty:s:{{demo}}:{stream}", "*", "k", kind,
                      "i", message, "t", str(at), *machine)

    def at(ms):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))

    shop.member("jan", consent={"email": True})
    shop.order("jan", total=0)
    shop.wait(lambda: shop.of("jan", "sent"), "sent")
    one = shop.of("jan")["one"]["id"]
    day = 86_400_000
    track("o", one, now - 3 * day, "b", "1")
    track("o", one, now - 2 * day)
    track("o", one, now - 2 * day)
    track("c", one, now - day, "b", "1")
    track("x", "nonsense")
    track("o", "none.such")
    shop.wait(lambda: shop.numbers()["opens"] == 1, "opens are counted")
    message = shop.of("jan")["one"]
    TAP.ok((message["opens"], message["machine_opens"],
            message.get("clicks")) == (2, 1, None)
           and shop.numbers("one")["machine_opens"] == 1,
           "machines apart, a message once", message)
    bought = shop.order("jan", total=2500, placed_at=at(now))
    TAP.ok((shop.numbers("one")["conversions"],
            shop.numbers("one")["revenue"]) == (1, 2500),
           "an order after an open is its conversion", shop.numbers("one"))
    found = shop.messages("state=conversion")
    TAP.ok([(m["id"], m["order_id"]) for m in found] == [(one, bought)],
           "and in the log", found)
    shop.wait(lambda: "two" in shop.of("jan", "sent"), "the second is sent")
    two = shop.of("jan")["two"]["id"]
    track("c", two, now)
    shop.wait(lambda: shop.numbers("two")["clicks"] == 1, "a click is counted")
    shop.order("jan", total=900, placed_at=at(now + 1000))
    shop.order("jan", total=900, placed_at=at(now + 5 * day + 1000))
    shop.order("jan", total=900, placed_at=at(now - 5 * day))
    TAP.ok((shop.numbers("two")["revenue"], shop.numbers("one")["revenue"],
            shop.numbers()["revenue"]) == (900, 2500, 3400),
           "the last click wins, within five days of it", shop.numbers())
    shop.order("jan", status="cancelled", order=bought)
    TAP.ok((shop.numbers("one")["conversions"], shop.numbers("one")["revenue"],
            shop.numbers()["revenue"]) == (0, 0, 900)
           and len(shop.messages("state=conversion")) == 1,
           "a cancelled order is no conversion", shop.numbers())

    track("u", two)
    track("u", two)
    shop.wait(lambda: shop.numbers("two")["unsubscribes"] == 1,
              "an unsubscribe is counted once")
    consents = json.dumps(backend.call("GET", "members/jan/consents")[1])
    TAP.ok(backend.call("GET", "members/jan")[1]["consent"]["email"] is False
           and '"source": "unsubscribe"' in consents,
           "it ends the consent, with its history", consents)
    backend.call("PATCH", "members/jan", {"consent": {"email": True}})
    track("u", two)
    late = backend.redis("xadd", "loyalty:s:{demo}:unsubscribes", "*", "k",
                         "u", "i", two, "t", str(now - 1))
    shop.wait(lambda: backend.redis("get", "loyalty:x:{demo}:unsubscribes")
              == late, "all are applied")
    TAP.ok(backend.call("GET", "members/jan")[1]["consent"]["email"],
           "a consent given since is not ended by an old wish that comes late")
    track("u", two, now + 1)
    shop.wait(lambda: backend.call("GET", "members/jan")[1]["consent"]["email"]
              is False and shop.numbers("two")["unsubscribes"] == 1,
              "but by the same link, used again; that is counted once")
    for _ in range(5):
        shop.order("jan", total=0)
    shop.wait(lambda: shop.blocked("jan").get("nine") == "unsubscribed",
              "and later messages are blocked, whatever the filter")


def test_backlog(members=1000):
    """A channel held back by its rate holds up no other."""
    conf = {"email": {"mailbox": "mail"}, "sms": {"mailbox": "mail", "rate": 1}}
    with Backend("loyalty_delivery FOLDER/delivery.json;",
                 {"delivery.json": json.dumps(conf)}) as backend:
        shop = Shop(backend, [
            rule("text", "order_count", 1, channel="sms", template="text",
                 sender_address=None),
            rule("mail", "order_count", 2)])
        orders = []
        for i in range(members):
            shop.member(f"m{i}", phone=f"+4479460{i:05}")
            orders.append(json.dumps({
                "order_id": f"s{i}", "member_id": f"m{i}", "total": 0,
                "status": "completed", "currency": "GBP", "lines": []}))
        shop.member("ann")
        shop.order("ann")
        began = time.monotonic()
        status, body = backend.call("POST", "orders/batch", "\n".join(orders),
                                    "application/x-ndjson")
        TAP.ok(status == 200 and int(backend.redis(
            "zcard", "loyalty:ob:{demo}:sms")) > members - 10,
               f"{members} text messages wait", body)
        time.sleep(1)
        ordered = time.monotonic()
        shop.order("ann")
        shop.wait(lambda: mails(backend, "ann"), "an e-mail does not")
        took = time.monotonic() - ordered
        TAP.ok(took < 1.5, "it leaves at once", took)
        shop.member("bea", phone="+447946099999", consent={"sms": True})
        backend.call("POST", "broadcasts", {
            "members": ["bea"], "channels": ["sms"], "content": "Sale"})
        shop.wait(lambda: shop.messages("member=bea"), "a broadcast waits")
        message = shop.messages("member=bea")[0]
        backend.call("PATCH", "members/bea", {"consent": {"sms": False}})
        backend.redis("zadd", "loyalty:ob:{demo}:sms", "1", message["id"])
        shop.wait(lambda: shop.messages("member=bea&state=blocked"),
                  "and does not go where consent has ended")
        TAP.ok(shop.messages("member=bea&state=blocked")[0]["reason"]
               == "consent", "which is why")
        time.sleep(1)
        most = time.monotonic() - began + 1
        sent = count(backend, ".json")
        TAP.ok(2 <= sent <= most, "one text message a second", (sent, most))


def test_many_opens(opens=100_000):
    """Opens hold up neither messages nor unsubscribes."""
    with Backend(MAILBOX, SECRET) as backend:
        shop = Shop(backend, [rule("one", "order_count", 1),
                              rule("two", "order_count", 2)],
                    {"track_url": "https://shop.example/t"})
        for name in ("jan", "kim"):
            shop.member(name, consent={"email": True})
            shop.order(name)
        shop.wait(lambda: shop.of("jan", "sent") and shop.of("kim", "sent"),
                  "two are sent")
        one, now = shop.of("jan")["one"]["id"], str(int(time.time() * 1000))
        backend.redis("eval", "for i = 1, tonumber(ARGV[1]) do redis.call("
                      "'xadd', KEYS[1], '*', 'k', 'o', 'i', ARGV[2], 't', "
                      "ARGV[3]) end", "1", "loyalty:s:{demo}:tracks",
                      str(opens), one, now)
        backend.redis("xadd", "loyalty:s:{demo}:unsubscribes", "*", "k", "u",
                      "i", one, "t", now)
        began = time.monotonic()
        shop.order("kim")
        shop.wait(lambda: len(mails(backend, "kim")) == 2, "a message")
        took = time.monotonic() - began
        left = int(backend.redis("xlen", "loyalty:s:{demo}:tracks"))
        TAP.ok(took < 2 and left > opens / 10, f"is not held up by {left} opens",
               (took, left))
        shop.wait(lambda: backend.call("GET", "members/jan")[1]["consent"][
            "email"] is False, "an unsubscribe")
        left = int(backend.redis("xlen", "loyalty:s:{demo}:tracks"))
        TAP.ok(left > opens / 10, f"comes before {left} opens", left)
        shop.wait(lambda: shop.of("jan")["one"]["opens"] == opens,
                  "and every open is counted", 40)


class Provider(http.server.BaseHTTPRequestHandler):
    """Honours its key; slow, and every third request fails."""

    protocol_version = "HTTP/1.1"
    taken, requests, random = {}, 0, random.Random(1)
    refuses = steady = False
    pause = 0.02

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["X-Line-Retry-Key"]
        Provider.requests += 1
        time.sleep(self.pause)
        if self.refuses:
            self.answer(400)
        elif not self.steady and self.random.random() < 0.2:
            self.answer(503)
        elif key in self.taken:
            self.answer(409)
        else:
            self.taken[key] = body["to"]
            if not self.steady and self.random.random() < 0.1:
                self.close_connection = True  # taken, and nobody hears of it
            else:
                self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "2")
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        try:
            self.wfile.write(b"{}")
        except OSError:
            pass

    def log_message(self, *_):
        pass


def adapter(port, timeout=1):
    made = json.loads((ROOT / "conf/adapters/line.json").read_text())
    made["url"] = f"http://127.0.0.1:{port}/push"
    made["rate"] = 0
    return {"line.json": json.dumps(made), "token": "t0ken\n",
            "delivery.json": json.dumps({
                "email": {"mailbox": "mail", "timeout": 1},
                "line": {"adapter": "line.json", "secret_file": "token",
                         "timeout": timeout}})}


def soon(backend):
    """What waits for a second try or a dead sender's claim is due now."""
    backend.redis("eval", "for _,m in ipairs(redis.call('zrange',KEYS[1],0,-1))"
                  " do redis.call('zadd',KEYS[1],'XX',1,m) end", "1",
                  "loyalty:ob:{demo}:line")


def provider():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_retry():
    """What a provider refused for good is sent again by hand."""
    server = provider()
    Provider.refuses = True
    with Backend("loyalty_delivery FOLDER/delivery.json;",
                 adapter(server.server_address[1])) as backend:
        shop = Shop(backend, [rule("hi", "order_count", 1, channel="line",
                                   template="line", sender_address=None,
                                   gives={"points": 7})])
        names = [f"m{i}" for i in range(4)]
        for name in names:
            shop.member(name, line_id=f"U-{name}")
            shop.order(name, total=0)
        shop.wait(lambda: shop.numbers("hi")["failed"] == 4, "four fail")
        failed = shop.of("m0")["hi"]
        TAP.ok("status 400" in failed["error"], "and say why", failed)
        Provider.refuses = False
        path = f"messages/{failed['id']}/retry"
        status, body = backend.call("POST", path)
        TAP.ok(status == 202 and body == {"id": failed["id"],
                                          "state": "pending"},
               "one is sent again", body)
        again, _ = backend.call("POST", path)
        TAP.ok(again in (202, 409), "asked twice, it goes once", again)
        deadline = time.monotonic() + 20
        while not shop.of("m0", "sent") and time.monotonic() < deadline:
            time.sleep(0.3)
            soon(backend)
        message = shop.of("m0", "sent")["hi"]
        TAP.ok("error" not in message and shop.points("m0") == 7,
               "it is sent, and gives once", message)
        TAP.ok(backend.call("POST", path)[0] == 409, "what is sent stays sent")

        before = shop.of("m1")["hi"]["created_at"]
        day = "2020-01-01T00:00:00Z"
        status, body = backend.call("POST", f"messages/retry?to={day}")
        TAP.ok((status, body) == (202, {"retried": 0, "more": False}),
               "none of another period", body)
        status, body = backend.call("POST", f"messages/retry?from={before}")
        TAP.ok((status, body) == (202, {"retried": 3, "more": False}),
               "all of a period", body)
        status, body = backend.call("POST", f"messages/retry?from={before}")
        TAP.ok(body == {"retried": 0, "more": False}, "once", body)
        deadline = time.monotonic() + 20
        while (shop.numbers("hi")["sent"] < 4 and time.monotonic() < deadline):
            time.sleep(0.3)
            soon(backend)
        numbers = shop.numbers("hi")
        TAP.ok((numbers["sent"], numbers["failed"], numbers["pending"])
               == (4, 0, 0), "they are sent, and the numbers say so", numbers)
        TAP.ok(sorted(Provider.taken.values()) == [f"U-{n}" for n in names],
               "each taken once", Provider.taken)
        entries = json.dumps(backend.call("GET", "audit")[1])
        TAP.ok('"retried": 3' in entries and failed["id"] in entries,
               "and the audit has it", entries)
    server.shutdown()
    Provider.taken.clear()


def test_reload(members=48):
    """A reload waits for nobody's provider, and loses no outcome."""
    server = provider()
    Provider.steady, Provider.pause = True, 0.7
    with Backend("loyalty_delivery FOLDER/delivery.json;",
                 adapter(server.server_address[1], timeout=30)) as backend:
        shop = Shop(backend, [rule("hi", "order_count", 1, channel="line",
                                   template="line", sender_address=None)])
        for i in range(members):
            shop.member(f"m{i:02}", line_id=f"U{i:02}")
        for i in range(members):
            shop.order(f"m{i:02}", total=0)
        old, began = backend.workers(), time.monotonic()
        backend.nginx.send_signal(signal.SIGHUP)
        backend.wait_for(lambda: not old & backend.workers(), "old workers")
        took = time.monotonic() - began
        TAP.ok(took < 2.5, "old workers go, whatever is on its way", took)
        deadline = time.monotonic() + 30
        while (shop.numbers()["sent"] < members
               and time.monotonic() < deadline):
            time.sleep(1.5)
            soon(backend)
        numbers = shop.numbers("hi")
        TAP.ok((numbers["sent"], numbers["pending"], numbers["failed"])
               == (members, 0, 0), "each is recorded once", numbers)
        TAP.ok(sorted(Provider.taken.values())
               == [f"U{i:02}" for i in range(members)],
               "every member gets it", sorted(Provider.taken.values()))
    server.shutdown()
    Provider.steady, Provider.pause = False, 0.02
    Provider.taken.clear()


def test_kills(members=60):
    server = provider()
    with Backend("loyalty_delivery FOLDER/delivery.json;",
                 adapter(server.server_address[1])) as backend:
        shop = Shop(backend, [rule("hi", "order_count", 1, channel="line",
                                   template="line", sender_address=None,
                                   gives={"points": 7})])
        for i in range(members):
            shop.member(f"m{i:02}", line_id=f"U{i:02}")
        for i in range(members):
            shop.order(f"m{i:02}", total=0)
            if i % 15 == 7:
                backend.kill_workers()
                backend.wait_for(lambda: backend.call("GET", "settings")[0]
                                 == 200, "the back end does not come back")
            if i == 40:
                backend.kill_redis()
        deadline = time.monotonic() + 40
        while (shop.numbers()["sent"] < members
               and time.monotonic() < deadline):
            time.sleep(0.5)
            soon(backend)
        TAP.ok(sorted(Provider.taken.values())
               == [f"U{i:02}" for i in range(members)],
               "every member gets it, and a key is taken once",
               sorted(Provider.taken.values()))
        numbers = shop.numbers("hi")
        TAP.ok((numbers["sent"], numbers["pending"], numbers["failed"])
               == (members, 0, 0), "each is recorded once", numbers)
        given = [shop.points(f"m{i:02}") for i in range(members)]
        TAP.ok(given == [7] * members, "and gives once", given)
        TAP.ok(Provider.requests > members, "though some were tried again",
               Provider.requests)
    server.shutdown()


def main():
    for test in (test_one_message, test_kinds, test_pending,
                 test_cap_and_test_mode, test_offer, test_tracks):
        with Backend(MAILBOX, SECRET) as backend:
            test(backend)
    test_backlog()
    test_many_opens()
    test_retry()
    test_reload()
    test_kills()
    TAP.done()


main()
