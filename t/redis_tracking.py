#!/usr/bin/env python3
"""Client tracking on one self-redirected connection: what changed, what was
flushed, when it cannot be trusted; and servers that send what they must not."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from demo import Tap
from redis_client import Folder, Mock, Nginx, Redis, polite, signal, wait

tap = Tap()
folder = Folder()


def finish(name, nginx, *servers):
    nginx.stop()
    clean, bad = nginx.clean()
    tap.ok(clean, f"{name}: a clean log", bad)
    for server in servers:
        server.stop()


def reported(nginx, *events):
    return wait(lambda: nginx.events()[-len(events):] == list(events))


# A real server.

redis = Redis(folder)
nginx = Nginx(folder, redis.address)
tap.ok(reported(nginx, "up"), "up", nginx.events())

redis.cli("SET", "loyalty:m:{demo}:1", "x")
tap.ok(reported(nginx, "invalidate loyalty:m:{demo}:1"), "a member changed")
redis.cli("DEL", "loyalty:m:{demo}:1")
tap.ok(reported(nginx, "invalidate loyalty:m:{demo}:1",
                "invalidate loyalty:m:{demo}:1"), "a member is gone")
redis.cli("SET", "loyalty:p:{demo}", "x")
tap.ok(reported(nginx, "invalidate loyalty:p:{demo}"), "a program changed")
redis.cli("SET", "loyalty:p:{demo}", "x", "PX", "30")
tap.ok(wait(lambda: nginx.events().count("invalidate loyalty:p:{demo}") >= 3),
       "a program expired", nginx.events())

before = nginx.events()
redis.cli("XADD", "loyalty:s:{demo}:orders", "*", "e", "x")
redis.cli("SET", "loyalty:mo:{demo}:1", "x")
redis.cli("SET", "other:m:{demo}:1", "x")
redis.cli("SET", "loyalty:m:{demo}:2", "x")
tap.ok(wait(lambda: len(nginx.events()) > len(before)), "a change after others")
tap.ok(nginx.events()[len(before):] == ["invalidate loyalty:m:{demo}:2"],
       "nothing else is told of", nginx.events())

redis.cli("MSET", *sum(([f"loyalty:m:{{demo}}:{i}", "x"]
                        for i in range(1000, 1500)), []))
tap.ok(wait(lambda: sum("demo}:1" in e for e in nginx.events()) >= 500),
       "500 members at once")
redis.cli("FLUSHALL")
tap.ok(reported(nginx, "flush"), "FLUSHALL is a flush", nginx.events()[-3:])

# The link is killed: down, then up again, with another connection.

killed = redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
tap.ok(killed.strip() == b"1", "one connection is subscribed", killed)
tap.ok(reported(nginx, "flush", "down", "up"), "a lost link is down, then up",
       nginx.events()[-3:])

# The command connection is killed: its tracking is made anew too, since
# there may be another server behind the address.

redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
tap.ok(wait(lambda: nginx.events()[-3:] in (
    ["down", "connected " + nginx.events()[0][10:], "up"],)),
    "with the commands' connection", nginx.events()[-4:])

# Silence: PING finds out.

redis.signal(signal.SIGSTOP)
began = time.monotonic()
tap.ok(wait(lambda: nginx.events()[-1] == "down", 4), "a silent link is down")
took = time.monotonic() - began
tap.ok(took < 2.2, "in two seconds", took)
redis.signal(signal.SIGCONT)
tap.ok(wait(lambda: nginx.events()[-1] == "up"), "and up again")
tap.ok(wait(lambda: nginx.said("client tracking of Redis at") == 4),
       "each outage has its two lines", nginx.log())
finish("a real server", nginx, redis)


# Two workers: each has a link of its own.

redis = Redis(folder)
nginx = Nginx(folder, redis.address, workers=2)
tap.ok(wait(lambda: redis.cli("PUBSUB", "NUMSUB", "__redis__:invalidate")
            .split()[-1] == b"2"), "each worker has a link")
finish("two workers", nginx, redis)


# Rights that do not include tracking: said, not silently stale.

acl = folder.file("acl", "user default off\nuser edge on >secret ~* &* +@all "
                  "-client|tracking\n")
secret = folder.file("secret", "secret")
redis = Redis(folder, "--aclfile", acl)
nginx = Nginx(folder, f"{redis.address} user=edge password_file={secret}")
tap.ok(wait(lambda: nginx.said("NOPERM") == 1), "no right to track: said",
       nginx.log())
time.sleep(0.5)
tap.ok("up" not in nginx.events(), "and never up", nginx.events())
tap.ok(nginx.command("SET", "k", "1") == "+OK", "commands are answered")
tap.ok(nginx.said("NOPERM") == 1, "said once")
finish("no right", nginx, redis)


# Servers that do not track (old ones, Dragonfly): entries live for their ttl.

def untracked(connection):
    while True:
        command = connection.readcommand()
        if command[0] == b"CLIENT" and command[1] == b"TRACKING":
            connection.send(b"-ERR unknown subcommand 'TRACKING'\r\n")
        elif not polite(connection, command):
            connection.send(b"+OK\r\n")


mock = Mock(untracked)
nginx = Nginx(folder, mock.address)
tap.ok(reported(nginx, "up"), "no tracking: up, for the ttl")
tap.ok(nginx.said("changes are seen when the ttl") == 1, "said once")
time.sleep(2.5)
tap.ok(nginx.events().count("down") == 0, "and stays up", nginx.events())
finish("untracked", nginx, mock)


# Messages that make no sense: down, the worker lives, up again.

CHANNEL = b"$20\r\n__redis__:invalidate\r\n"
MESSAGE = b"*3\r\n$7\r\nmessage\r\n" + CHANNEL

LIES = {
    "an integer": b":1\r\n",
    "an error": b"-ERR what\r\n",
    "a status, +PONG": b"+PONG\r\n",
    "nil": b"*-1\r\n",
    "an empty array": b"*0\r\n",
    "one element": b"*1\r\n$7\r\nmessage\r\n",
    "integers for texts": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "an array for a name": b"*3\r\n*0\r\n" + CHANNEL + b"*0\r\n",
    "another kind": b"*3\r\n$8\r\nmassages\r\n" + CHANNEL + b"*0\r\n",
    "another channel": b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n*0\r\n",
    "a subscription more": b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:2\r\n",
    "an unsubscription": b"*3\r\n$11\r\nunsubscribe\r\n" + CHANNEL + b":0\r\n",
    "unsubscribed of nil": b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
    "a text for keys": MESSAGE + b"$1\r\nk\r\n",
    "an integer for keys": MESSAGE + b":1\r\n",
    "an integer among keys": MESSAGE + b"*2\r\n$1\r\nk\r\n:1\r\n",
    "nil among keys": MESSAGE + b"*1\r\n$-1\r\n",
    "an array among keys": MESSAGE + b"*1\r\n*0\r\n",
    "more keys than the limit": MESSAGE + b"*300000\r\n",
    "no protocol": b"GET / HTTP/1.0\r\n\r\n",
}

for name, lie in LIES.items():
    told = threading.Event()

    def lies(connection, lie=lie, told=told):
        while True:
            command = connection.readcommand()
            polite(connection, command)
            if command[0] == b"SUBSCRIBE" and not told.is_set():
                told.set()
                connection.send(lie)

    mock = Mock(lies)
    nginx = Nginx(folder, mock.address)
    tap.ok(wait(lambda: [e for e in nginx.events() if e in ("up", "down")]
                in (["up", "down", "up"],)), f"{name}: down, then up",
           nginx.events())
    tap.ok(wait(lambda: nginx.said("client tracking of Redis") == 2),
           f"{name}: two lines", nginx.log())
    finish(name, nginx, mock)


# PONG in one read with an invalidation, whichever comes first; and strangely
# cut.  Nothing is lost, nothing is down.

PONG = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"


def key(name):
    return MESSAGE + b"*1\r\n$%d\r\n%s\r\n" % (len(name), name)


def together(connection):
    mixed = False
    while True:
        command = connection.readcommand()
        if command[0] == b"PING" and connection.subscribed and not mixed:
            connection.send(key(b"before") + PONG + key(b"after"))
            mixed = True
        else:
            polite(connection, command)
            if command[0] == b"SUBSCRIBE":
                for byte in key(b"cut"):
                    connection.send(bytes([byte]))
                    time.sleep(0.0005)


mock = Mock(together)
nginx = Nginx(folder, mock.address)
tap.ok(wait(lambda: nginx.events()[-4:] == [
    "up", "invalidate cut", "invalidate before", "invalidate after"], 3),
    "PONG among invalidations", nginx.events())
finish("PONG", nginx, mock)


# A subscription that is refused or answered by nonsense.

for name, answer in (("an error", b"-NOPERM no channel\r\n"),
                     ("a status", b"+OK\r\n"),
                     ("too short", b"*1\r\n$9\r\nsubscribe\r\n"),
                     ("another channel", b"*3\r\n$9\r\nsubscribe\r\n"
                                         b"$1\r\nx\r\n:1\r\n")):

    def refuses(connection, answer=answer):
        while True:
            command = connection.readcommand()
            if command[0] == b"SUBSCRIBE":
                connection.send(answer)
            else:
                polite(connection, command)

    mock = Mock(refuses)
    nginx = Nginx(folder, mock.address)
    tap.ok(wait(lambda: nginx.said("SUBSCRIBE is answered") == 1),
           f"SUBSCRIBE answered by {name}", nginx.log())
    time.sleep(0.3)
    tap.ok("up" not in nginx.events() and
           nginx.said("SUBSCRIBE is answered") == 1,
           f"SUBSCRIBE answered by {name}: not up, said once")
    finish(name, nginx, mock)

folder.remove()
tap.done()
