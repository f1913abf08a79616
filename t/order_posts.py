#!/usr/bin/env python3
"""An order post from the edge to the merchant while the merchant is down: the
edge tries, the back end goes on, and the order arrives once, by one key."""

import functools
import http.client
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import merchant
from backend import SITE, Backend
from demo import Tap, free_port
from edge import Edge, Folder
from merchant import Merchant, deliveries, serve, soon

TAP = Tap()
wait = functools.partial(merchant.wait, TAP)
URI = "/crm/orders?from=edge"
STREAM = f"loyalty:s:{{{SITE}}}:posts"

CONF = """
    loyalty_journal FOLDER/journal;
    server {
        listen 127.0.0.1:%(shop)d;
        default_type application/json;
        location / {
            return 201 '{"order_id":"$arg_id","lines":[],"total":"12.50"}';
        }
    }
    server {
        listen 127.0.0.1:%(edge)d;
        loyalty on;
        loyalty_site %(site)s;
        loyalty_member $arg_m;
        location / {
            loyalty_order json;
            loyalty_order_post /crm/orders?from=edge;
            proxy_pass http://127.0.0.1:%(shop)d;
            proxy_ignore_client_abort on;
        }
        location /crm/ {
            internal;
            proxy_pass http://127.0.0.1:%(crm)d;
        }
    }
"""


def buy(port, order):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/?m=ada&id={order}")
    status = connection.getresponse().status
    connection.close()
    return status


def posts(order):
    """Those of an order: the key of each, and what it said."""
    return [(headers["Idempotency-Key"], headers, body)
            for _, headers, body in Merchant.at(URI)
            if json.loads(body)["order_id"] == order]


def of_orders(backend, state):
    return [one for one in deliveries(backend, state)
            if one["type"] == "order.post"]


def test_up(backend, edge):
    TAP.ok(buy(edge, "up") == 201, "an order")
    wait(lambda: len(posts("up")) == 1, "is posted by the edge")
    TAP.ok(backend.redis("exists", STREAM) == "0"
           and not deliveries(backend), "and the back end hears nothing of it")


def test_down(backend, edge):
    Merchant.down = True
    TAP.ok([buy(edge, f"down{n}") for n in range(5)] == [201] * 5,
           "a merchant who is down is no matter to shoppers")
    wait(lambda: len(of_orders(backend, "pending")) == 5
         and all(one.get("error") == "status 503"
                 for one in of_orders(backend, "pending")),
         "his orders are the back end's, which tried too")
    TAP.ok(all(one["uri"] == URI for one in of_orders(backend, "pending"))
           and backend.redis("xlen", STREAM) == "0", "by the edge's URI",
           of_orders(backend, "pending"))
    backend.kill_workers()
    Merchant.down = False
    backend.wait_for(lambda: backend.call("GET", "settings")[0] == 200,
                     "the back end does not come back")
    soon(backend)
    wait(lambda: len(of_orders(backend, "done")) == 5
         and not of_orders(backend, "pending"),
         "when he is back they arrive, kills or not", 30)

    tries = {order: posts(order) for order in
             (f"down{n}" for n in range(5))}
    keys = {order: {key for key, *_ in found}
            for order, found in tries.items()}
    TAP.ok(all(len(found) == 1 for found in keys.values())
           and len(set.union(*keys.values())) == 5,
           "each by one key, the edge's, of its own", keys)
    # The kill is the edge's workers' too, who post again what they posted in
    # the second before.
    ours = {order: ["Loyalty-Site" in headers for _, headers, _ in found]
            for order, found in tries.items()}
    TAP.ok(all(not found[0] and found.count(True) == 2
               for found in ours.values()),
           "a try of the edge, one in vain, one that was taken", ours)
    TAP.ok(all(len({body for *_, body in found}) == 1
               for found in tries.values()),
           "and says the same each time", tries)
    _, headers, body = [post for post in tries["down0"]
                        if "Loyalty-Site" in post[1]][-1]
    event = json.loads(body)
    TAP.ok(event.items() >= {"order_id": "down0", "member_id": "ada",
                             "total": 1250, "currency": "GBP"}.items()
           and headers["Loyalty-Site"] == SITE,
           "the order as the edge has it", event)

    before = len(Merchant.at(URI))
    soon(backend)
    time.sleep(2)
    TAP.ok(len(Merchant.at(URI)) == before, "and none comes again")


def main():
    edge, crm, folder = free_port(), serve(), Folder()
    conf = CONF % {"shop": free_port(), "edge": edge, "crm": crm,
                   "site": SITE}
    with Backend(parameters=f"order_post=http://127.0.0.1:{crm}") as backend:
        # Apart: an edge that is killed may post again what it has posted.
        server = Edge(folder, f"unix:{backend.dir}/redis.sock",
                      http=conf.replace("FOLDER", str(folder.path)))
        test_up(backend, edge)
        test_down(backend, edge)
        server.stop()
        TAP.ok(not server.errors() and not backend.alarms(),
               "nothing in the logs but the kills",
               server.errors() + backend.alarms())
    folder.remove()
    TAP.done()


main()
