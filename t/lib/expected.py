#!/usr/bin/env python3
"""What the members must have after the real orders: a second implementation.

    expected.py FILE...      one JSON object: member -> figures

Shares no code with the module or with scripts/replay.  Rules: DOMAIN.md
sections 3-5 under the sample programme (default statuses by spend, one point a
pound, no expiry) and DESIGN.md's rules for matching returns.
"""

import gzip
import json
import sys
from fractions import Fraction

LADDER = [(1_000_00, "bronze"), (5_000_00, "silver"), (10_000_00, "gold")]


def pence(units, price):
    exact = Fraction(price) * units * 100
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


class Line:
    def __init__(self, row):
        self.sku, self.price = row["sku"], Fraction(row["unit_price"])
        self.units = row["quantity"]
        self.amount = pence(self.units, self.price)
        self.returned = 0

    def give_back(self, units):
        was = pence(self.returned, self.price)
        self.returned += units
        return pence(self.returned, self.price) - was


class Order:
    def __init__(self, row):
        self.at = row["placed_at"]
        self.lines = [Line(line) for line in row["lines"]]
        self.total = sum(line.amount for line in self.lines)
        self.earned = self.total // 100
        self.returned = 0
        self.revoked = 0

    def refund(self, value):
        if value == 0:
            return
        self.returned += value
        if self.returned == self.total:
            self.revoked = self.earned
        else:
            self.revoked = self.earned * self.returned // self.total

    @property
    def counts(self):
        return self.total == 0 or self.returned < self.total


def rows(paths):
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)


def apply_return(orders, row):
    """One refund for each order that something of this invoice came from."""
    value = {}
    for line in row["lines"]:
        wanted = -line["quantity"]
        price = Fraction(line["unit_price"])
        # Newest first; of two placed in the same minute, the later arrived.
        for order in sorted(reversed(orders), key=lambda o: o.at, reverse=True):
            if order.at > row["placed_at"]:
                continue
            for own in order.lines:
                if own.sku != line["sku"] or own.price != price:
                    continue
                units = min(wanted, own.units - own.returned)
                if units > 0:
                    value.setdefault(id(order), [order, 0])[1] += \
                        own.give_back(units)
                    wanted -= units
    for order, amount in value.values():
        order.refund(amount)


def figures(orders):
    spent = sum(order.total - order.returned for order in orders)
    status = None
    for threshold, name in LADDER:
        if spent >= threshold:
            status = name
    points = sum(order.earned - order.revoked for order in orders)
    return {"order_count": sum(order.counts for order in orders),
            "spent_total": spent, "points": points, "status": status}


def main():
    members = {}
    for row in rows(sys.argv[1:]):
        member = row["customer_id"]
        if not member:
            continue
        if row["order_id"].startswith("C"):
            if member in members:
                apply_return(members[member], row)
        else:
            members.setdefault(member, []).append(Order(row))
    json.dump({member: figures(orders)
               for member, orders in members.items()}, sys.stdout)


if __name__ == "__main__":
    main()
