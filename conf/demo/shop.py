#!/usr/bin/env python3
"""The demo shop: an upstream of its own that knows nothing of loyalty.

    shop.py SOCKET DATABASE

Listens on a unix socket.  Orders are kept in SQLite, so the same order_id
answers the same, also after a restart.
"""

import html
import json
import os
import re
import socketserver
import sqlite3
import sys
import threading
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

CURRENCY = "GBP"
BODY_MAX = 4 * 1024 * 1024
MEMBER = re.compile(r"[A-Za-z0-9_.@-]{1,128}")
CENT = Decimal("0.01")

PRODUCTS = [
    ("85123A", "White hanging heart T-light holder", "home/lighting", "2.55"),
    ("22423", "Regency cakestand, three tiers", "home/kitchen", "12.75"),
    ("84879", "Assorted colour bird ornament", "home/decoration", "1.69"),
    ("22386", "Jumbo bag, pink polkadot", "bags", "1.95"),
    ("21623", "Vintage union jack memoboard", "home/decoration", "9.95"),
    ("DIN-TBL", "Oak dining table, seats eight", "home/furniture", "1450.00"),
]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Lantern &amp; Loom</title>
<style>
:root {{ font: 16px/1.5 system-ui, sans-serif; color: #1d2530;
         background: #fbfaf7 }}
body {{ margin: 0 }}
header {{ display: flex; flex-wrap: wrap; gap: .5rem 1.5rem;
          align-items: center; padding: .75rem 1.25rem;
          background: #fff; border-bottom: 1px solid #e5e0d6 }}
header a {{ color: inherit; text-decoration: none }}
header .brand {{ font: 700 1.25rem Georgia, serif }}
nav {{ display: flex; gap: 1rem; flex: 1 }}
main {{ max-width: 64rem; margin: 0 auto; padding: 1.5rem 1.25rem }}
ul.products {{ list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
               grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)) }}
ul.products li, .card {{ background: #fff; border: 1px solid #e5e0d6;
                border-radius: .6rem; padding: 1rem }}
.price {{ font-weight: 600 }}
button {{ font: inherit; padding: .5rem 1rem; border: 0; border-radius: .4rem;
          background: #2d4a3e; color: #fff; cursor: pointer }}
input {{ font: inherit; padding: .4rem; width: 5rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; padding: .35rem .5rem;
          border-bottom: 1px solid #e5e0d6 }}
</style>
</head>
<body>
<header>
<a class="brand" href="/">Lantern &amp; Loom</a>
<nav><a href="/">Shop</a> <a href="/account">Account</a>
<a href="/loyalty/">Rewards</a></nav>
<loyalty-status></loyalty-status>
{session}
</header>
<main>
{body}
</main>
</body>
</html>
"""

BUY = """<script>
document.querySelector("form.buy")?.addEventListener("submit", async (e) => {
  e.preventDefault();
  const f = e.target;
  const answer = await fetch("/checkout", { method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ order_id: "web-" + crypto.randomUUID(),
      lines: [{ sku: f.dataset.sku, category: f.dataset.category,
                quantity: Number(f.quantity.value),
                unit_price: f.dataset.price }] }) });
  location = answer.ok ? "/account" : "/?failed";
});
</script>"""


class Refused(Exception):
    """A cart the shop does not take; the message goes to the shopper."""


def price_cart(cart):
    """The order as it will be stored: every amount a decimal string."""
    if not isinstance(cart, dict):
        raise Refused("send one JSON object")
    order_id = cart.get("order_id")
    if not isinstance(order_id, str) or not 1 <= len(order_id) <= 128:
        raise Refused("order_id: a string of 1 to 128 characters")
    lines = cart.get("lines")
    if not isinstance(lines, list) or not lines:
        raise Refused("lines: at least one")

    total = Decimal(0)
    priced = []
    for number, line in enumerate(lines):
        try:
            quantity = int(line["quantity"])
            price = Decimal(line["unit_price"])
            sku = str(line["sku"])
        except (KeyError, TypeError, ValueError, InvalidOperation):
            raise Refused(f"lines[{number}]: sku, quantity and unit_price "
                          "(a decimal string)") from None
        if quantity <= 0 or not price.is_finite() or price < 0:
            raise Refused(f"lines[{number}]: a positive quantity and a price")
        amount = (quantity * price).quantize(CENT, ROUND_HALF_UP)
        total += amount
        kept = {"sku": sku, "quantity": quantity,
                "unit_price": line["unit_price"], "amount": str(amount)}
        if line.get("category"):
            kept["category"] = str(line["category"])
        priced.append(kept)

    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"order_id": order_id, "placed_at": cart.get("placed_at") or now,
            "currency": CURRENCY, "lines": priced,
            "total": str(total.quantize(CENT))}


class Orders:
    """One row an order; the first answer is the answer for ever."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS orders "
                        "(id TEXT PRIMARY KEY, member TEXT, answer TEXT)")

    def place(self, order, member):
        with self.lock, self.db:
            self.db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?)",
                            (order["order_id"], member, json.dumps(order)))
            return self.db.execute("SELECT answer FROM orders WHERE id = ?",
                                   (order["order_id"],)).fetchone()[0]

    def of(self, member):
        with self.lock:
            rows = self.db.execute(
                "SELECT answer FROM orders WHERE member = ? "
                "ORDER BY rowid DESC LIMIT 20", (member,)).fetchall()
        return [json.loads(answer) for (answer,) in rows]


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo-shop"
    wbufsize = 64 * 1024

    def log_message(self, format, *args):
        pass

    def address_string(self):
        return "shopper"

    @property
    def member(self):
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        value = cookie["member"].value if "member" in cookie else ""
        return value if MEMBER.fullmatch(value) else ""

    def answer(self, status, body, kind="text/html; charset=utf-8", headers=()):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def page(self, title, body, status=200):
        member = html.escape(self.member)
        session = (f'<span>Hello, {member}. <a href="/logout">Sign out</a></span>'
                   if member else '<a href="/signin">Sign in</a>')
        self.answer(status, PAGE.format(title=html.escape(title), body=body,
                                        session=session))

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/":
            return self.home(failed=url.query == "failed")
        if url.path.startswith("/product/"):
            return self.product(url.path[len("/product/"):])
        if url.path == "/account":
            return self.account()
        if url.path == "/account.json":
            return self.account_json()
        if url.path == "/signin":
            return self.sign_in()
        if url.path == "/login":
            return self.login(parse_qs(url.query))
        if url.path == "/logout":
            return self.redirect("/", "member=; Path=/; Max-Age=0")
        return self.page("Not found", "<h1>There is no such page</h1>", 404)

    do_HEAD = do_GET

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            self.close_connection = True
            return self.answer(413, "too large\n", "text/plain")
        body = self.rfile.read(length)
        if urlsplit(self.path).path != "/checkout":
            return self.answer(404, "no such page\n", "text/plain")
        try:
            order = price_cart(json.loads(body))
        except (Refused, ValueError) as problem:
            return self.answer(422, json.dumps({"error": str(problem)}),
                               "application/json")
        stored = self.server.orders.place(order, self.member)
        return self.answer(201, stored, "application/json")

    def home(self, failed):
        notice = ("<p role=alert class=card>Your order did not go through. "
                  "Please try again.</p>" if failed else "")
        items = "".join(
            f'<li><a href="/product/{sku}">{html.escape(name)}</a><br>'
            f'<span class="price">£{price}</span></li>'
            for sku, name, _, price in PRODUCTS)
        self.page("Shop", f"{notice}<h1>New this week</h1>"
                  f"<ul class=products>{items}</ul>")

    def product(self, sku):
        for known, name, category, price in PRODUCTS:
            if known == sku:
                return self.page(name, f"""<h1>{html.escape(name)}</h1>
<p class="price">£{price}</p>
<form class="buy" data-sku="{sku}" data-price="{price}"
      data-category="{category}">
<label>Quantity <input name="quantity" type="number" min="1" value="1"></label>
<button>Buy now</button>
</form>{BUY}""")
        return self.page("Not found", "<h1>There is no such product</h1>", 404)

    def account(self):
        if not self.member:
            return self.page("Account", '<h1>Account</h1><p><a href="/signin">'
                             "Sign in</a> to see your orders.</p>")
        rows = "".join(
            f"<tr><td>{html.escape(order['order_id'])}</td>"
            f"<td>{html.escape(order['placed_at'][:10])}</td>"
            f"<td>£{order['total']}</td></tr>"
            for order in self.server.orders.of(self.member))
        self.page("Account", "<h1>Your orders</h1>" + (
            f"<table><tr><th>Order<th>Date<th>Total</tr>{rows}</table>"
            if rows else "<p>You have not ordered yet.</p>"))

    def account_json(self):
        self.answer(200, json.dumps({
            "member": self.member or None,
            "orders": [{"order_id": order["order_id"],
                        "total": order["total"]}
                       for order in self.server.orders.of(self.member)],
        }), "application/json")

    def sign_in(self):
        self.page("Sign in", """<h1>Sign in</h1>
<form action="/login"><p><label>Customer number
<input name="member" required value="17850"></label>
<button>Sign in</button></p></form>""")

    def login(self, query):
        member = query.get("member", [""])[0]
        to = query.get("to", ["/account"])[0]
        if not MEMBER.fullmatch(member):
            return self.page("Sign in", "<h1>Give a customer number</h1>", 400)
        if not re.fullmatch(r"/([A-Za-z0-9_.-]+/?)*", to):
            to = "/account"
        return self.redirect(
            to, f"member={member}; Path=/; HttpOnly; SameSite=Lax")

    def redirect(self, where, cookie):
        self.answer(303, "", headers=(("Location", where),
                                      ("Set-Cookie", cookie)))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512


def main():
    path, database = sys.argv[1:3]
    if os.path.exists(path):
        os.unlink(path)
    with Server(path, Shop) as server:
        server.orders = Orders(database)
        server.serve_forever()


if __name__ == "__main__":
    main()
