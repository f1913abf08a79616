#!/usr/bin/env python3
"""Carts priced twice: by core/, and by a second reading of DOMAIN.md.

The model below is slow and plain: fractions instead of integers, and gifts
given unit by unit.  Random carts and the shared cases must come out alike.
Gifts come first in the random carts, since DOMAIN.md does not say how a
discount on a line lies on its units.  Prints TAP; the seed is printed, and
CART_MODEL_SEED and CART_MODEL_CARTS set it and the number of carts.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from fractions import Fraction
from math import floor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "ngx_loyalty_module" / "core"
SHARED = Path(os.environ.get("SHARED", ROOT / ".." / "shared"))
SEED = int(os.environ.get("CART_MODEL_SEED", "1"))
CARTS = int(os.environ.get("CART_MODEL_CARTS", "3000"))

SITE = {"kind": "site"}
TYPES = ["promotion", "clubcard", "punchcard", "reward", "coupon"]
ENDLESS = 10 ** 18


def half_up(value):
    return floor(value + Fraction(1, 2))


def covers(scope, line):
    if scope["kind"] == "site":
        return True
    if scope["kind"] == "products":
        return line["sku"] in scope["values"]
    category = line.get("category", "")
    return any(category == above or category.startswith(above + "/")
               for above in scope["values"])


def largest_remainder(amount, weights):
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    parts = [floor(part) for part in exact]
    order = sorted(range(len(weights)),
                   key=lambda i: (parts[i] - exact[i], i))
    for i in order[:amount - sum(parts)]:
        parts[i] += 1
    return parts


def spread(amount, weights, room):
    """{line: part}; what a line cannot take moves on to the others."""
    given = {line: 0 for line in weights}
    lines = [line for line in weights if weights[line] > 0]
    while lines and amount > 0:
        parts = dict(zip(lines, largest_remainder(
            amount, [weights[line] for line in lines])))
        full = [line for line in lines if parts[line] > room[line]]
        if not full:
            return given | parts
        for line in full:
            given[line] = room[line]
            amount -= room[line]
        lines = [line for line in lines if line not in full]
    return given


class Model:
    def __init__(self, given):
        self.given = given
        self.lines = given["lines"]
        self.full = [line["quantity"] * line["unit_price"]
                     for line in self.lines]
        self.left = list(self.full)
        self.floors = [min(line.get("minimum_price", 0), line["unit_price"])
                       * line["quantity"] for line in self.lines]
        self.units = [i for i, line in enumerate(self.lines)
                      for _ in range(line["quantity"])]
        self.rejected = set()

    def covered(self, scope):
        return [i for i, line in enumerate(self.lines) if covers(scope, line)]

    def room(self, i):
        return self.left[i] - self.floors[i]

    def gift_units(self, offer):
        """(units that qualify, units that are discounted) or None."""
        discount, scope = offer["discount"], offer.get("scope", SITE)
        buy = self.covered(discount.get("buy_scope", scope))
        get = self.covered(discount.get("get_scope", scope))
        price = [line["unit_price"] for line in self.lines]
        most = min(discount.get("max_repeats", ENDLESS), len(self.units))
        for groups in range(most, 0, -1):
            want = groups * discount["get_quantity"]
            spare = sum(unit in get for unit in self.units) - want
            rest, bought = list(self.units), []
            for unit in sorted((u for u in self.units if u in buy),
                               key=lambda u: (-price[u], u in get, u)):
                if len(bought) == groups * discount["buy_quantity"]:
                    break
                if unit in get and spare <= 0:
                    continue
                spare -= unit in get
                bought.append(unit)
                rest.remove(unit)
            free = sorted((u for u in rest if u in get),
                          key=lambda u: (price[u], -u))[:want]
            if (len(bought) == groups * discount["buy_quantity"]
                    and len(free) == want):
                return bought, free
        return None

    def discount(self, offer):
        """({line: part}, units used up) or None where no group is whole."""
        discount = offer["discount"]
        lines = self.covered(offer.get("scope", SITE))
        cap = offer.get("max_discount", ENDLESS)
        left = {i: self.left[i] for i in lines}
        room = {i: self.room(i) for i in range(len(self.lines))}
        kind = discount["kind"]

        if kind == "percent":
            amount = half_up(sum(left.values())
                             * Fraction(discount["percent"]) / 100)
            return spread(min(amount, cap), left, room), []

        if kind == "amount":
            amount = min(discount["amount"], sum(left.values()), cap)
            return spread(amount, left, room), []

        if kind == "amount_each":
            units = discount.get("max_quantity", ENDLESS)
            if "max_quantity" in discount:
                lines.sort(key=lambda i: (self.lines[i]["unit_price"], i))
            parts = {}
            for i in (i for i in lines if room[i] > 0):
                line = self.lines[i]
                each = min(discount["amount"], line["unit_price"])
                parts[i] = min(min(line["quantity"], units) * each, room[i],
                               cap - sum(parts.values()))
                units -= min(line["quantity"], units)
            return parts, []

        sides = self.gift_units(offer)
        if sides is None:
            return None
        worth = {}
        for unit in sorted(sides[1]):
            worth[unit] = (worth.get(unit, 0)
                           + self.lines[unit]["unit_price"])
        amount = half_up(sum(worth.values())
                         * Fraction(discount["percent"]) / 100)
        return spread(min(amount, cap), worth, {
            i: min(worth[i], room[i]) for i in worth}), sum(sides, [])

    def cart_reason(self, offer, spend):
        scope = offer.get("scope", SITE)
        lines = self.covered(offer.get("condition_scope", scope))
        if not lines or not self.covered(scope):
            return "scope_mismatch"
        if sum(spend[i] for i in lines) < offer.get("min_spend", 0):
            return "min_spend"
        if (sum(self.lines[i]["quantity"] for i in lines)
                < offer.get("min_quantity", 0)):
            return "min_quantity"
        return None

    def gift_reason(self, offer):
        """A gift needs a whole group of the cart as it came."""
        discount, scope = offer["discount"], offer.get("scope", SITE)
        if discount["kind"] != "buy_x_get_y" or self.gift_units(offer):
            return None
        for side in ("buy_scope", "get_scope"):
            if not any(self.lines[i]["quantity"]
                       for i in self.covered(discount.get(side, scope))):
                return "scope_mismatch"
        return "min_quantity"

    def reason(self, offer):
        at, member = self.given.get("at", 0), self.given.get("member", {})
        usage = self.given.get("usage", {}).get(offer["id"], {})
        groups = set(offer.get("groups", []))
        if at < offer.get("starts_at", -ENDLESS):
            return "not_started"
        if at >= offer.get("ends_at", ENDLESS):
            return "expired"
        if offer.get("state") == "draft":
            return "not_published"
        if offer.get("statuses") \
                and member.get("status") not in offer["statuses"]:
            return "status"
        if groups and not groups & set(member.get("groups", [])):
            return "group"
        if not offer.get("min_after_discounts") or offer.get("exclusive"):
            reason = self.cart_reason(offer, self.full)
            if reason:
                return reason
        reason = self.gift_reason(offer)
        if reason:
            return reason
        if usage.get("total", 0) >= offer.get("limit_total", ENDLESS):
            return "limit_total"
        if usage.get("member", 0) >= offer.get("limit_per_member", ENDLESS):
            return "limit_per_member"
        return None

    def reject(self, offer, reason):
        self.rejected.add((offer["id"], reason))

    def candidates(self):
        typed = {code.lower() for code in self.given.get("codes", [])}
        known = {offer.get("code", "").lower(): offer
                 for offer in self.given["offers"]
                 if offer["type"] == "coupon"}
        self.rejected |= {(code, "not_found") for code in typed - set(known)}
        return sorted((offer for offer in self.given["offers"]
                       if offer["type"] == "promotion"
                       or offer.get("code", "").lower() in typed),
                      key=lambda o: (-o.get("priority", 0),
                                     TYPES.index(o["type"]), o["id"]))

    def alone(self, offers):
        """The exclusive offer that applies alone, or None."""
        best = None
        for offer in (o for o in offers if o.get("exclusive")):
            amount = sum(self.discount(offer)[0].values())
            rank = (offer.get("priority", 0), amount)
            if amount > 0 and (best is None or rank > best[0]):
                best = rank, offer
        return best and best[1]

    def evaluate(self):
        eligible, discounts = [], []
        for offer in self.candidates():
            reason = self.reason(offer)
            if reason:
                self.reject(offer, reason)
            else:
                eligible.append(offer)

        alone = self.alone(eligible)
        for offer in eligible:
            if alone and offer is not alone:
                self.reject(offer, "excluded_by")
                continue
            if offer.get("min_after_discounts") and not alone:
                reason = self.cart_reason(offer, self.left)
                if reason:
                    self.reject(offer, reason)
                    continue
            parts, used = self.discount(offer) or ({}, [])
            if sum(parts.values()) == 0:
                self.reject(offer, "nothing_left")
                continue
            for i, part in parts.items():
                self.left[i] -= part
            for unit in used:
                self.units.remove(unit)
            discounts.append((offer["id"], sum(parts.values())))

        earning = self.given.get("earning", {})
        return {
            "subtotal": sum(self.full), "total": sum(self.left),
            "lines": [a - b for a, b in zip(self.full, self.left)],
            "discounts": discounts, "rejected": self.rejected,
            "points_to_earn": floor(
                Fraction(sum(self.left), 100)
                * Fraction(earning.get("rate", "1"))
                * Fraction(earning.get("multiplier", "1"))),
        }


CATEGORIES = ["a", "a/b", "a/b/c", "d", "d/e", "ab"]


def random_scope(dice):
    return dice.choice([
        SITE,
        {"kind": "products",
         "values": dice.sample([f"s{i}" for i in range(6)],
                               dice.randint(1, 4))},
        {"kind": "categories",
         "values": dice.sample(CATEGORIES, dice.randint(1, 2))}])


def random_discount(dice, offer):
    kind = dice.choice(["percent", "amount", "amount_each", "buy_x_get_y"])
    if kind == "percent":
        return {"kind": kind, "percent":
                f"{dice.randint(0, 99)}.{dice.choice([0, 50, 33]):02d}"}
    if kind == "amount":
        return {"kind": kind, "amount": dice.randint(1, 4000)}
    if kind == "amount_each":
        most = {"max_quantity": dice.randint(1, 6)}
        return {"kind": kind, "amount": dice.randint(1, 900)} \
            | dice.choice([{}, most])
    offer["priority"] += 10
    discount = {"kind": kind, "buy_quantity": dice.randint(1, 3),
                "get_quantity": dice.randint(1, 2),
                "percent": dice.choice(["100", "50", "33.33"])}
    for name, value in (("max_repeats", dice.randint(1, 2)),
                        ("buy_scope", random_scope(dice)),
                        ("get_scope", random_scope(dice))):
        if dice.random() < .4:
            discount[name] = value
    return discount


def random_offer(dice, i):
    offer = {"id": f"o{i}", "priority": dice.randint(0, 2),
             "type": dice.choice(["promotion", "promotion", "coupon"])}
    offer["discount"] = random_discount(dice, offer)
    if offer["type"] == "coupon":
        offer["code"] = f"Code{i}"
    for name, chance, value in (
            ("scope", .7, random_scope(dice)),
            ("condition_scope", .2, random_scope(dice)),
            ("min_spend", .25, dice.randint(0, 6000)),
            ("min_quantity", .2, dice.randint(1, 6)),
            ("max_discount", .25, dice.randint(1, 1500)),
            ("limit_total", .1, dice.randint(1, 3)),
            ("limit_per_member", .1, dice.randint(1, 2)),
            ("groups", .1, ["g1"]), ("statuses", .1, ["gold"]),
            ("starts_at", .1, dice.choice([999, 1000, 1001])),
            ("ends_at", .1, dice.choice([1000, 1002]) + 1),
            ("state", .05, "draft"), ("exclusive", .07, True),
            ("min_after_discounts", .2, True)):
        if dice.random() < chance:
            offer[name] = value
    if offer.get("ends_at", ENDLESS) <= offer.get("starts_at", 0):
        del offer["ends_at"]
    return offer


def random_line(dice, i):
    line = {"id": f"l{i}", "sku": f"s{dice.randrange(6)}",
            "category": dice.choice(CATEGORIES),
            "quantity": dice.randint(0, 5),
            "unit_price": dice.choice([dice.randint(0, 2000), 500, 1000])}
    if dice.random() < .2:
        line["minimum_price"] = dice.randint(0, 1200)
    return line


def random_cart(dice):
    return {
        "currency": "USD", "at": dice.choice([1000, 1001]),
        "member": {"id": "m", "groups": [dice.choice(["g1", "g2"])],
                   "status": dice.choice(["gold", "silver"])},
        "codes": dice.sample(["CODE0", "code1", "Code2", "nope"],
                             dice.randint(0, 3)),
        "usage": {f"o{i}": {"total": dice.randint(0, 3),
                            "member": dice.randint(0, 2)}
                  for i in range(3) if dice.random() < .3},
        "earning": {"rate": dice.choice(["1", "0.5", "2.25"]),
                    "multiplier": dice.choice(["1", "1.5"])},
        "lines": [random_line(dice, i) for i in range(dice.randint(1, 6))],
        "offers": [random_offer(dice, i) for i in range(dice.randint(1, 5))]}


def priced(carts):
    """What core/ makes of the carts."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/price"
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-g",
             "-O1", f"-I{CORE}", str(ROOT / "t" / "program" / "price.c"),
             *map(str, sorted(CORE.glob("*.c"))), "-o", program,
             "-ljansson", "-lpcre2-8", "-lcrypto"], check=True)
        answer = subprocess.run([program], capture_output=True, text=True,
                                check=True, input="".join(
                                    json.dumps(cart) + "\n"
                                    for cart in carts))
    return [json.loads(line) for line in answer.stdout.splitlines()]


def readable(quote):
    """A quote in the model's words."""
    if "error" in quote:
        return quote
    return {
        "subtotal": quote["subtotal"], "total": quote["total"],
        "lines": [line["discount"] for line in quote["lines"]],
        "discounts": [(discount["offer_id"], discount["amount"])
                      for discount in quote["discounts"]
                      if discount["amount"]],
        "rejected": {(each.get("offer_id") or each["code"].lower(),
                      each["reason"]) for each in quote["rejected"]},
        "points_to_earn": quote["points_to_earn"]}


def compare(number, name, carts, quotes):
    differences = [(i, cart, mine, theirs)
                   for i, (cart, mine, theirs) in enumerate(
                       zip(carts, (Model(cart).evaluate() for cart in carts),
                           map(readable, quotes)))
                   if mine != theirs]
    print(f"{'not ok' if differences else 'ok'} {number} - {name}: "
          f"{len(carts)} carts, {len(differences)} apart")
    for i, cart, mine, theirs in differences[:3]:
        print(f"# {i}: {json.dumps(cart)}\n#   model {mine}\n#   core  "
              f"{theirs}")
    return not differences


def main():
    cases = SHARED / "cases" / "examples.json"
    shared = [case["given"] for case in json.loads(cases.read_text())["cart"]
              ] if cases.exists() else []
    dice = random.Random(SEED)
    carts = [random_cart(dice) for _ in range(CARTS)]
    print(f"# seed {SEED}")
    quotes = priced(shared + carts)
    good = compare(1, "the shared cases", shared, quotes[:len(shared)])
    good &= compare(2, "random carts", carts, quotes[len(shared):])
    print("1..2")
    sys.exit(not good)


main()
