#!/usr/bin/env python3
"""Sentinel: the master is found, followed through a failover, and a replica
is never taken for it.  Real redis-sentinel; mocks for what it says wrongly."""

import os
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


def sentinel(master, *options):
    server = Redis(folder, *options, port=free_port(), sentinel=True)
    server.cli("SENTINEL", "MONITOR", "shop", "127.0.0.1", master.port, "1")
    server.cli("SENTINEL", "SET", "shop", "down-after-milliseconds", "500")
    server.cli("SENTINEL", "SET", "shop", "failover-timeout", "2000")
    return server


master = Redis(folder, port=free_port())
replica = Redis(folder, "--replicaof", "127.0.0.1", master.port,
                "--repl-diskless-sync-delay", "0", port=free_port())
one = sentinel(master)
dead = free_port()

nginx = Nginx(folder, f"127.0.0.1:{dead} {one.address} sentinel=shop")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "the master, by the second of two sentinels", nginx.log())
tap.ok(master.cli("GET", "k").strip() == b"1", "it is the master's data")
tap.ok(wait(lambda: nginx.events()[-1] == "up"), "tracked")

# Wait for sentinel to know the replica, then lose the master.

tap.ok(wait(lambda: b"state=online" in master.cli("INFO", "replication"), 20)
       and wait(lambda: b"num-slaves\n1\n" in one.cli(
           "SENTINEL", "MASTER", "shop"), 20), "the replica is known")
master.stop()
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
       "without a master commands are declined")
tap.ok(wait(lambda: nginx.command("SET", "k", "2") == "+OK", 20),
       "the promoted replica is used", nginx.log())
tap.ok(nginx.said(f"moved from 127.0.0.1:{master.port} "
                  f"to 127.0.0.1:{replica.port}") == 1, "said once",
       nginx.log())
tap.ok(wait(lambda: nginx.events()[-1] == "up")
       and nginx.events().count("down") == 1,
       "down once, then tracked again", nginx.events())
replica.cli("SET", "loyalty:p:{demo}", "x")
tap.ok(wait(lambda: nginx.events()[-1] == "invalidate loyalty:p:{demo}"),
       "by the new master", nginx.events())
tap.ok(len({e for e in nginx.events() if e.startswith("connected")}) == 2,
       "two run_ids are reported", nginx.events())

# A change of place while both live: SENTINEL FAILOVER.

master.start()
tap.ok(wait(lambda: b"role:slave" in master.cli("INFO", "replication"), 20),
       "the old master is a replica now")
wait(lambda: b"state=online" in replica.cli("INFO", "replication"), 20)
time.sleep(1)
wait(lambda: b"OK" in one.cli("SENTINEL", "FAILOVER", "shop"), 20, 0.5)
tap.ok(wait(lambda: nginx.said(f"to 127.0.0.1:{master.port}") == 1, 20),
       "a planned failover is followed", nginx.log())
tap.ok(wait(lambda: nginx.command("SET", "k", "3") == "+OK", 10), "and used")

# The sentinel goes: the master is kept.

one.stop()
time.sleep(0.3)
tap.ok(nginx.command("SET", "k", "4") == "+OK",
       "without a sentinel the master known last is used")
tap.ok(nginx.said(f"Sentinel at {one.address} is lost") == 1, "said once",
       nginx.log())
finish("failover", nginx, master, replica)


# A sentinel with a password.

secret = folder.file("secret", "secret")
master = Redis(folder, "--requirepass", "secret", port=free_port())
guarded = Redis(folder, "--requirepass", "secret", port=free_port(),
                sentinel=True)
auth = ["--pass", "secret", "--no-auth-warning"]
guarded.cli("SENTINEL", "MONITOR", "shop", "127.0.0.1", master.port, "1",
            options=auth)
nginx = Nginx(folder, f"{guarded.address} sentinel=shop "
                      f"password_file={secret}")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "a sentinel that wants the password gets it", nginx.log())
tap.ok(nginx.said("[error]") == 0, "without a word", nginx.log())
finish("password", nginx, guarded)

plain = sentinel(master)
nginx = Nginx(folder, f"{plain.address} sentinel=shop password_file={secret}")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "a sentinel without one is not given it", nginx.log())
finish("no password", nginx)

nginx = Nginx(folder, f"{plain.address} sentinel=other")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
       "an unknown master: declined")
tap.ok(nginx.said('knows no master "other"') == 1, "and said", nginx.log())
finish("unknown", nginx, plain, master)


# Sentinels that answer wrongly, and one that names a replica.

replica = Redis(folder, "--replicaof", "127.0.0.1", free_port(),
                port=free_port())

for name, answer, reason in (
        ("an integer", b":1\r\n", "type 3"),
        ("one element", b"*1\r\n$1\r\na\r\n", "type 2"),
        ("integers", b"*2\r\n:1\r\n:2\r\n", "type 2"),
        ("no port", b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\nx\r\n", "is none"),
        ("port 0", b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", "is none"),
        ("no host", b"*2\r\n$0\r\n\r\n$4\r\n6379\r\n", "is none"),
        ("a host too long", b"*2\r\n$300\r\n" + b"x" * 300 + b"\r\n"
                            b"$4\r\n6379\r\n", "is none"),
        ("a replica", b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (
            len(str(replica.port)), replica.port), "it is a slave"),
        ("a name, without a resolver", b"*2\r\n$4\r\nshop\r\n$4\r\n6379\r\n",
         "goes by a name")):

    def answers(connection, answer=answer):
        while True:
            if connection.readcommand()[0] == b"SENTINEL":
                connection.send(answer)

    mock = Mock(answers)
    nginx = Nginx(folder, f"{mock.address} sentinel=shop")
    tap.ok(wait(lambda: nginx.said(reason) == 1), f"{name}: said",
           nginx.log())
    tap.ok(nginx.command("GET", "k") == "declined", f"{name}: declined")
    finish(name, nginx, mock)

replica.stop()
folder.remove()
tap.done()
