#!/usr/bin/env python3
"""Carts priced twice: by core/, and by a second reading of DOMAIN.md.

The model below is slow and plain: fractions instead of integers, and gifts
given unit by unit.  Random carts, with wallets, codes, limits and budgets, and
the cases of other engines must come out alike.  Gifts come first in the random
carts, since DOMAIN.md does not say how a discount on a line lies on its units.
Prints TAP; the seed is printed, and CART_MODEL_SEED and CART_MODEL_CARTS set it
and the number of carts.
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
EXPONENTS = {"USD": 100, "EUR": 100, "GBP": 100, "INR": 100, "DKK": 100,
             "EGP": 100, "JPY": 1, "KWD": 1000}


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


def waits(offer):
    return offer.get("min_after_discounts") and not offer.get("exclusive")


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
        self.points = given.get("member", {}).get("points")
        self.applied = []
        self.rejected = []

    def covered(self, scope):
        return [i for i, line in enumerate(self.lines)
                if line["quantity"] > 0 and covers(scope, line)]

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
        discount = offer.get("discount", {"kind": "none"})
        lines = self.covered(offer.get("scope", SITE))
        cap = offer.get("max_discount", ENDLESS)
        left = {i: self.left[i] for i in lines}
        room = {i: self.room(i) for i in range(len(self.lines))}
        kind = discount["kind"]

        if kind == "none":
            return {}, []

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

    def cart_reason(self, offer):
        """What the cart as it came is short of."""
        scope = offer.get("scope", SITE)
        gift = self.gift_reason(offer)
        if not self.covered(offer.get("condition_scope", scope)) \
                or not self.covered(scope) or gift == "scope_mismatch":
            return "scope_mismatch"
        return self.too_little(offer, self.full) or gift

    def too_little(self, offer, spend):
        lines = self.covered(offer.get("condition_scope",
                                       offer.get("scope", SITE)))
        if sum(spend[i] for i in lines) < offer.get("min_spend", 0):
            return "min_spend"
        if (sum(self.lines[i]["quantity"] for i in lines)
                < offer.get("min_quantity", 0)):
            return "min_quantity"
        return None

    def gift_reason(self, offer):
        """A gift needs a whole group of the cart as it came."""
        discount, scope = offer.get("discount", {}), offer.get("scope", SITE)
        if discount.get("kind") != "buy_x_get_y" or self.gift_units(offer):
            return None
        for side in ("buy_scope", "get_scope"):
            if not self.covered(discount.get(side, scope)):
                return "scope_mismatch"
        return "min_quantity"

    def standing(self, offer, entry):
        """What speaks against the offer or the entry, whatever the cart."""
        at, member = self.given.get("at", 0), self.given.get("member")
        known = member or {}
        orders = known.get("order_count", 0) if member is not None else None
        if at < offer.get("starts_at", -ENDLESS):
            return "not_started"
        if at >= min(offer.get("ends_at", ENDLESS),
                     (entry or {}).get("expires_at", ENDLESS)):
            return "expired"
        if entry is None and offer.get("state") == "draft":
            return "not_published"
        if entry and entry.get("redeemed"):
            return "already_redeemed"
        if entry and entry.get("held"):
            return "held_elsewhere"
        if offer.get("statuses") \
                and known.get("status") not in offer["statuses"]:
            return "status"
        for each in ("segments", "groups"):
            if offer.get(each) and not set(offer[each]) & set(
                    known.get(each, [])):
                return each[:-1]
        if "order_number" in offer and (
                orders is None or orders + 1 != offer["order_number"]):
            return "order_number"
        return None

    def limit(self, offer):
        """The uses there were, and those of this cart."""
        usage = self.given.get("usage", {}).get(offer["id"], {})
        here = sum(each["id"] == offer["id"] for each, _ in self.applied)
        for name, uses in (("limit_total", "total"),
                           ("limit_per_member", "member")):
            if usage.get(uses, 0) + here >= offer.get(name, ENDLESS):
                return name
        return None

    def over_budget(self, offer, amount):
        usage = self.given.get("usage", {}).get(offer["id"], {})
        here = sum(amount for each, amount in self.applied
                   if each["id"] == offer["id"])
        return usage.get("spent", 0) + here + amount \
            > offer.get("budget_total", ENDLESS)

    def too_dear(self, offer, entry):
        """A code costs points where its offer has a price; an entry is paid."""
        return entry is None and self.points is not None \
            and offer.get("loyalty_price", 0) > self.points

    def reason(self, offer, entry):
        """Before any offer applies; some wait for their turn besides."""
        reason = self.standing(offer, entry) or self.cart_reason(offer)
        if reason or waits(offer):
            return reason
        reason = self.limit(offer)
        if reason is None and self.over_budget(offer, self.worth(offer)):
            reason = "budget"
        return reason

    def worth(self, offer):
        parts, _ = self.discount(offer) or ({}, [])
        return sum(parts.values())

    def reject(self, offer, entry, reason):
        self.rejected.append((offer["id"], (entry or {}).get("id"), reason))

    def brought(self):
        """(offer, entry) of the wallet, and the codes that brought none."""
        offers = {offer["id"]: offer for offer in self.given["offers"]}
        typed = list(dict.fromkeys(
            "".join(code.split()).lower()
            for code in self.given.get("codes", [])))
        found, codes = [], set()
        for entry in self.given.get("member", {}).get("entitlements", []):
            offer = offers.get(entry["offer_id"])
            if offer is None:
                self.reject({"id": entry["offer_id"]}, entry, "not_found")
                continue
            own = entry.get("code", "").lower()
            code = next((code for code in typed if code == own
                         or (code == offer.get("code", "").lower()
                             and not entry.get("redeemed")
                             and code not in codes)), None)
            if (offer["type"] == "clubcard"
                    or offer["type"] == "punchcard" and entry["uses"] > 0
                    or offer["type"] in ("reward", "coupon")
                    and (entry["applied"] or code)):
                found.append((offer, entry))
                codes.add(code)
        return found, [code for code in typed if code not in codes]

    def candidates(self):
        found, codes = self.brought()
        coupons = {offer["code"].lower(): offer
                   for offer in self.given["offers"]
                   if offer["type"] == "coupon" and "code" in offer}
        for code in codes:
            offer = coupons.get(code)
            if offer is None:
                self.rejected.append((code, None, "not_found"))
            elif not any(each is offer for each, _ in found):
                found.append((offer, None))
        found += [(offer, None) for offer in self.given["offers"]
                  if offer["type"] == "promotion"]
        return sorted(found, key=lambda each: (
            -each[0].get("priority", 0), TYPES.index(each[0]["type"]),
            each[0]["id"], (each[1] or {}).get("id", "")))

    def alone(self, found):
        """The exclusive offer that applies alone, or None."""
        best = None
        for offer, entry in found:
            if not offer.get("exclusive") or self.too_dear(offer, entry):
                continue
            amount = self.worth(offer)
            rank = (offer.get("priority", 0), amount)
            if (amount > 0 or offer.get("reward_points")) \
                    and not self.over_budget(offer, amount) \
                    and (best is None or rank > best[0]):
                best = rank, (offer, entry)
        return best and best[1]

    def apply(self, offer, entry):
        """Takes it off, or says why not."""
        if waits(offer):
            reason = self.too_little(offer, self.left)
            if reason:
                return reason
        reason = self.limit(offer)
        if reason:
            return reason
        parts, used = self.discount(offer) or ({}, [])
        amount = sum(parts.values())
        if self.over_budget(offer, amount):
            return "budget"
        if amount == 0 and not offer.get("reward_points"):
            return "nothing_left"
        if self.too_dear(offer, entry):
            return "insufficient_points"
        if entry is None and self.points is not None:
            self.points -= offer.get("loyalty_price", 0)
        for i, part in parts.items():
            self.left[i] -= part
        for unit in used:
            self.units.remove(unit)
        self.applied.append((offer, amount))
        return None

    def evaluate(self):
        eligible = []
        for offer, entry in self.candidates():
            reason = self.reason(offer, entry)
            if reason:
                self.reject(offer, entry, reason)
            else:
                eligible.append((offer, entry))

        alone = self.alone(eligible)
        for offer, entry in eligible:
            if alone and (offer, entry) != alone:
                reason = waits(offer) and self.limit(offer) or "excluded_by"
            else:
                reason = self.apply(offer, entry)
            if reason:
                self.reject(offer, entry, reason)

        earning = self.given.get("earning", {})
        return {
            "subtotal": sum(self.full), "total": sum(self.left),
            "lines": [a - b for a, b in zip(self.full, self.left)],
            "discounts": [(offer["id"], amount)
                          for offer, amount in self.applied],
            "rejected": sorted(self.rejected, key=str),
            "points_to_earn": sum(offer.get("reward_points", 0)
                                  for offer, _ in self.applied) + floor(
                Fraction(sum(self.left), EXPONENTS[self.given["currency"]])
                * Fraction(earning.get("rate", "1"))
                * Fraction(earning.get("multiplier", "1"))),
        }


SEGMENTS = ["new", "recurring", "at_risk", "vip"]
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
             "type": dice.choice(["promotion", "promotion", *TYPES])}
    if dice.random() < .1:
        offer["reward_points"] = dice.randint(1, 50)
    if dice.random() < .95 or "reward_points" not in offer:
        offer["discount"] = random_discount(dice, offer)
    if offer["type"] == "coupon" and dice.random() < .8:
        offer["code"] = f"Code{i}"
    if offer["type"] == "punchcard":
        offer["stamps_required"] = 3
    if offer["type"] in ("reward", "coupon") and dice.random() < .3:
        offer["loyalty_price"] = dice.randint(1, 60)
    for name, chance, value in (
            ("scope", .7, random_scope(dice)),
            ("condition_scope", .2, random_scope(dice)),
            ("min_spend", .25, dice.randint(0, 6000)),
            ("min_quantity", .2, dice.randint(1, 6)),
            ("max_discount", .25, dice.randint(1, 1500)),
            ("limit_total", .1, dice.randint(1, 3)),
            ("limit_per_member", .1, dice.randint(1, 2)),
            ("budget_total", .15, dice.randint(1, 3000)),
            ("order_number", .05, dice.randint(1, 2)),
            ("segments", .08, dice.sample(SEGMENTS, 2)),
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


def random_entry(dice, i, offers):
    """An entry of the wallet, in rare cases of an offer that is not there."""
    kept = [offer for offer in offers if offer["type"] != "promotion"]
    offer = dice.choice(kept) if kept and dice.random() < .98 \
        else {"id": "gone", "type": "reward"}
    entry = {"id": f"e{i}", "offer_id": offer["id"],
             "applied": dice.random() < .7, "uses": dice.randint(0, 2)}
    if offer["type"] == "coupon" and dice.random() < .4:
        entry["code"] = f"Own{i}"
    for name, chance, value in (("redeemed", .1, True), ("held", .1, True),
                                ("expires_at", .2, dice.randint(999, 1002))):
        if dice.random() < chance:
            entry[name] = value
    return entry


def random_member(dice, offers):
    member = {"id": "m", "groups": [dice.choice(["g1", "g2"])],
              "status": dice.choice(["gold", "silver"]),
              "segments": dice.sample(SEGMENTS, dice.randint(0, 2)),
              "entitlements": [random_entry(dice, i, offers)
                               for i in range(dice.choice([0, 1, 2, 4]))]}
    if dice.random() < .6:
        member["points"] = dice.randint(0, 80)
    if dice.random() < .6:
        member["order_count"] = dice.randint(0, 2)
    return member


def random_line(dice, i):
    line = {"id": f"l{i}", "sku": f"s{dice.randrange(6)}",
            "category": dice.choice(CATEGORIES),
            "quantity": dice.randint(0, 5),
            "unit_price": dice.choice([dice.randint(0, 2000), 500, 1000])}
    if dice.random() < .2:
        line["minimum_price"] = dice.randint(0, 1200)
    return line


def random_cart(dice):
    offers = [random_offer(dice, i) for i in range(dice.randint(1, 6))]
    cart = {
        "currency": dice.choice(["USD", "USD", "JPY", "KWD"]),
        "at": dice.choice([1000, 1001]),
        "codes": dice.sample(["CODE0 ", "code1", " Co de2", "nope", "OWN0",
                              "\xa0own1", "CODE1"], dice.randint(0, 3)),
        "usage": {f"o{i}": {"total": dice.randint(0, 3),
                            "member": dice.randint(0, 2),
                            "spent": dice.randint(0, 1500)}
                  for i in range(4) if dice.random() < .3},
        "earning": {"rate": dice.choice(["1", "0.5", "2.25"]),
                    "multiplier": dice.choice(["1", "1.5"])},
        "lines": [random_line(dice, i) for i in range(dice.randint(1, 6))],
        "offers": offers}
    if dice.random() < .9:
        cart["member"] = random_member(dice, offers)
    return cart


def priced(carts):
    """What core/ makes of the carts."""
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/price"
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-g",
             "-O1", f"-I{CORE}", str(ROOT / "t" / "program" / "price.c"),
             *map(str, sorted(CORE.glob("*.c"))), "-o", program,
             "-ljansson", "-lpcre2-8", "-lcrypto", "-licuuc"], check=True)
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
                      for discount in quote["discounts"]],
        "rejected": sorted(
            ((each.get("offer_id") or "".join(each["code"].split()).lower(),
              each.get("entitlement_id"), each["reason"])
             for each in quote["rejected"]), key=str),
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
    shared = [case["given"]
              for cases in (SHARED / "cases" / "examples.json",
                            ROOT / "t" / "data" / "published.json")
              if cases.exists()
              for case in json.loads(cases.read_text())["cart"]]
    dice = random.Random(SEED)
    carts = [random_cart(dice) for _ in range(CARTS)]
    print(f"# seed {SEED}")
    quotes = priced(shared + carts)
    good = compare(1, "the cases of other engines", shared, quotes[:len(shared)])
    good &= compare(2, "random carts", carts, quotes[len(shared):])
    print("1..2")
    sys.exit(not good)


main()
