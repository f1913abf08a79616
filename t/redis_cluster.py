#!/usr/bin/env python3
"""Redis Cluster: three real nodes on loopback.  Keys go where they belong,
MOVED and ASK are followed, slots and masters move; mocks for what a node says
wrongly."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from demo import Tap
from redis_client import Folder, Mock, Nginx, Redis, free_port, polite, wait

tap = Tap()
folder = Folder()


def finish(name, nginx, *servers):
    nginx.stop()
    clean, bad = nginx.clean()
    tap.ok(clean, f"{name}: a clean log", bad)
    for server in servers:
        server.stop()


def node():
    # the bus is on port + 10000, or where told
    return Redis(folder, "--cluster-enabled", "yes", "--cluster-node-timeout",
                 "1000", "--cluster-port", free_port(),
                 "--repl-diskless-sync-delay", "0", port=free_port())


def manage(*args):
    return subprocess.run(["redis-cli", "--cluster", *map(str, args)],
                          capture_output=True, check=False)


def owner(key):
    return nodes[[b"MOVED" not in n.cli("GET", key) for n in nodes].index(True)]


nodes = [node() for _ in range(3)]
manage("create", *[n.address for n in nodes], "--cluster-yes")
formed = wait(lambda: all(b"cluster_state:ok" in n.cli("CLUSTER", "INFO")
                          for n in nodes), 20)
tap.ok(formed, "three nodes form a cluster")

nginx = Nginx(folder, f"{nodes[0].address} cluster=on")
tap.ok(nginx.command("SET", "first", "1") == "+OK",
       "the first command waits for the map", nginx.log())
tap.ok(wait(lambda: nginx.events()[-1] == "up"),
       "up, when each master has its tracking link", nginx.events())
tap.ok(len([e for e in nginx.events() if e.startswith("connected")]) == 3,
       "three run_ids are reported", nginx.events())

# Slots: our CRC16 and hash tags against the server's.  MOVED would say so.

keys = ["a", "123456789", "loyalty:m:{demo}:1", "{}x", "{a}{b}", "x{", "}y{z}",
        "{{q}}", "a{b}c", "", "\u00e9", "x" * 300]
wrong = [k for k in keys if nginx.command("SET", k, "v") != "+OK"]
tap.ok(wrong == [], "each key is written", wrong)
spread = {owner(k).port for k in keys if k}
tap.ok(len(spread) == 3, "to all three nodes", spread)
for n in nodes:
    n.cli("CONFIG", "RESETSTAT")
for k in keys:
    nginx.command("GET", k)
tap.ok(all(b"MOVED" not in n.cli("INFO", "errorstats") for n in nodes),
       "and read from the right node at once")
tap.ok(nginx.command("PING", at="/any") == "+PONG",
       "a command without a key goes to some master")

# Invalidations come from whichever master has the member.

for site in ("demo", "two", "three", "four"):
    owner(f"loyalty:m:{{{site}}}:1").cli("SET", f"loyalty:m:{{{site}}}:1", "x")
tap.ok(wait(lambda: {f"invalidate loyalty:m:{{{s}}}:1" for s in (
    "demo", "two", "three", "four")} <= set(nginx.events())),
    "members of all nodes are told of", nginx.events())

# A slot moves: ASK while it does, MOVED after, and the tracker is told.

source = owner("{demo}")
target = nodes[(nodes.index(source) + 1) % 3]
slot = int(source.cli("CLUSTER", "KEYSLOT", "{demo}"))
names = {n.port: n.cli("CLUSTER", "MYID").decode().strip() for n in nodes}
nginx.command("SET", "{demo}:here", "1")
target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
tap.ok(nginx.command("GET", "{demo}:here") == "$1",
       "a key that has not moved yet")
tap.ok(nginx.command("SET", "{demo}:new", "2") == "+OK",
       "a new key of a slot that moves: ASK is followed", nginx.log())
tap.ok(target.cli("CLUSTER", "COUNTKEYSINSLOT", slot).strip() == b"1",
       "to the importing node")
moving = source.cli("CLUSTER", "GETKEYSINSLOT", slot, "100").split()
source.cli("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS",
           *[k.decode() for k in moving])
downs = nginx.events().count("down")
for n in (target, source):
    n.cli("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])
tap.ok(nginx.command("GET", "{demo}:here") == "$1", "MOVED is followed",
       nginx.log())
tap.ok(wait(lambda: nginx.events().count("down") > downs
            and nginx.events()[-1] == "up"),
       "a moved slot is a down and an up", nginx.events())

# Without a command of ours the map is still kept up to date.

for key in target.cli("CLUSTER", "GETKEYSINSLOT", slot, "100").split():
    target.cli("DEL", key.decode())
downs = nginx.events().count("down")
for n in nodes:
    n.cli("CLUSTER", "SETSLOT", slot, "NODE", names[source.port])
tap.ok(wait(lambda: nginx.events().count("down") > downs, 4),
       "a slot that moves while nothing is asked is noticed", nginx.events())
for n in nodes:
    n.cli("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])
tap.ok(wait(lambda: nginx.command("SET", "{demo}:here", "1") == "+OK"),
       "and back again")

# A new node, then a replica promoted over its dead master.

fourth = node()
manage("add-node", fourth.address, nodes[0].address, "--cluster-slave",
       "--cluster-master-id", names[target.port])
tap.ok(wait(lambda: b"master_link_status:up" in fourth.cli(
    "INFO", "replication"), 20), "a replica joins")
time.sleep(1)
downs = nginx.events().count("down")
target.stop()
tap.ok(wait(lambda: nginx.command("GET", "{demo}:here") == "declined"),
       "keys of a lost master are declined")
tap.ok(wait(lambda: nginx.events().count("down") > downs),
       "one link lost is down", nginx.events())
tap.ok(wait(lambda: nginx.command("GET", "{demo}:here") == "$1", 20),
       "its replica takes over, and is asked", nginx.log())
tap.ok(wait(lambda: nginx.events()[-1] == "up"), "and tracked",
       nginx.events())
fourth.cli("SET", "loyalty:p:{demo}", "x")
tap.ok(wait(lambda: nginx.events()[-1] == "invalidate loyalty:p:{demo}"),
       "what changes there is told", nginx.events())

# All are lost, and come back.

for n in nodes + [fourth]:
    n.stop()
tap.ok(wait(lambda: nginx.command("GET", "{demo}:here") == "declined"),
       "all lost: declined")
for n in nodes + [fourth]:
    n.start()
tap.ok(wait(lambda: nginx.command("SET", "{demo}:here", "9") == "+OK", 20),
       "all back: found again", nginx.log())
finish("cluster", nginx, *nodes, fourth)


# No cluster at all.

redis = Redis(folder, port=free_port())
nginx = Nginx(folder, f"{redis.address} cluster=on")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
       "a server that is no cluster: declined")
tap.ok(nginx.said("cluster support disabled") == 1, "and said", nginx.log())
finish("no cluster", nginx, redis)


# Maps that make no sense.

def map_of(*ranges):
    return b"*%d\r\n" % len(ranges) + b"".join(ranges)


def slots(first, last, host, port):
    return (b"*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%s\r\n:%d\r\n"
            % (first, last, len(host), host, port))


for name, answer in (
        ("an integer", b":1\r\n"),
        ("ranges that are none", b"*1\r\n:1\r\n"),
        ("a short range", b"*1\r\n*1\r\n:1\r\n"),
        ("texts for slots", b"*1\r\n*3\r\n+a\r\n+b\r\n+c\r\n"),
        ("slots beyond the last", map_of(slots(0, 16384, b"127.0.0.1", 1))),
        ("slots below 0", map_of(slots(-1, 5, b"127.0.0.1", 1))),
        ("slots backwards", map_of(slots(5, 4, b"127.0.0.1", 1))),
        ("port 0", map_of(slots(0, 5, b"127.0.0.1", 0))),
        ("port 65536", map_of(slots(0, 5, b"127.0.0.1", 65536))),
        ("a host too long", map_of(slots(0, 5, b"x" * 256, 1))),
        ("more nodes than the limit", map_of(*[
            slots(i, i, b"127.1.%d.%d" % (i // 250, i % 250), 1)
            for i in range(1100)]))):

    def lies(connection, answer=answer):
        while True:
            command = connection.readcommand()
            if command[0] == b"CLUSTER":
                connection.send(answer)
            else:
                polite(connection, command)

    mock = Mock(lies)
    nginx = Nginx(folder, f"{mock.address} cluster=on")
    tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
           f"{name}: declined")
    time.sleep(0.5)
    tap.ok(nginx.said("makes no sense") + nginx.said("type 3") == 1,
           f"{name}: said once", nginx.log())
    finish(name, nginx, mock)


# Redirections without an end, and ones that are none.

for name, answer, shown in (
        ("MOVED for ever", b"-MOVED 1 127.0.0.1:%d\r\n", "-MOVED 1 "),
        ("ASK for ever", b"-ASK 1 127.0.0.1:%d\r\n", "-ASK 1 "),
        ("MOVED to the same host", b"-MOVED 1 :%d\r\n", "-MOVED 1 "),
        ("MOVED to nowhere", b"-MOVED 1 x\r\n", "-MOVED 1 x"),
        ("MOVED of no slot", b"-MOVED x 127.0.0.1:%d\r\n", "-MOVED x "),
        ("MOVED beyond", b"-MOVED 99999 127.0.0.1:%d\r\n", "-MOVED 99999 "),
        ("MOVED and no more", b"-MOVED \r\n", "-MOVED"),
        ("MOVED cut", b"-MOVED 1\r\n", "-MOVED 1"),
        ("CLUSTERDOWN", b"-CLUSTERDOWN no\r\n", "-CLUSTERDOWN no")):

    def redirects(connection, answer=answer):
        port = connection.socket.getsockname()[1]
        while True:
            command = connection.readcommand()
            if command[0] == b"CLUSTER":
                connection.send(map_of(slots(0, 16383, b"127.0.0.1", port)))
            elif not polite(connection, command):
                connection.send(answer % port if b"%d" in answer else answer)

    mock = Mock(redirects)
    nginx = Nginx(folder, f"{mock.address} cluster=on timeout=2s")
    got = nginx.command("GET", "k")
    tap.ok(got.startswith(shown), f"{name}: the error is the answer", got)
    finish(name, nginx, mock)

folder.remove()
tap.done()
