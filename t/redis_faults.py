#!/usr/bin/env python3
"""Redis that lies, stalls, dies: the client never does more harm than to
decline, and recovers by itself.  Results come from t/lib/redis_client."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from demo import Tap
from redis_client import (Folder, Mock, Nginx, Redis, polite, signal, wait)

tap = Tap()
folder = Folder()

LIMIT_REPLY = 32 * 1024 * 1024
LIMIT_ELEMENTS = 256 * 1024


def mocked(answer, **options):
    """nginx against a server that greets well and answers by `answer`."""

    def behave(connection):
        while True:
            command = connection.readcommand()
            if not polite(connection, command):
                answer(connection, command)

    mock = Mock(behave)
    return mock, Nginx(folder, mock.address + options.pop("more", ""),
                       **options)


def finish(name, nginx, *servers):
    nginx.stop()
    clean, bad = nginx.clean()
    tap.ok(clean, f"{name}: a clean log", bad)
    for server in servers:
        server.stop()


# One reply in pieces, and two in one piece.

def pieces(connection, command):
    for byte in b"$5\r\nhe\r\nl\r\n":
        connection.send(bytes([byte]))
        time.sleep(0.001)


mock, nginx = mocked(pieces, more=" timeout=5s")
tap.ok(nginx.command("GET", "k") == "$he\r\nl", "a reply byte by byte")
finish("byte by byte", nginx, mock)


# Half a reply, then silence: a timeout; then a close: lost.

def half(connection, command):
    connection.send(b"$100\r\nhalf")
    if command[1] == b"close":
        time.sleep(0.01)
        connection.close()


mock, nginx = mocked(half)
began = time.monotonic()
tap.ok(nginx.command("GET", "k") == "timeout", "half a reply is a timeout")
took = time.monotonic() - began
tap.ok(0.045 <= took < 0.5, "after the configured 50 ms", took)
finish("half", nginx, mock)

mock, nginx = mocked(half, more=" timeout=2s")
tap.ok(nginx.command("GET", "close") == "lost", "half a reply and a close")
tap.ok(nginx.said("is lost: the connection was closed") == 1, "said once",
       nginx.log())
finish("half and close", nginx, mock)


# A late reply goes to nobody, and not to the next command.

def late(connection, command):
    if command[1] == b"slow":
        time.sleep(0.1)
    connection.send(b"$%d\r\n%s\r\n" % (len(command[1]), command[1]))


mock, nginx = mocked(late)
tap.ok(nginx.command("GET", "slow") == "timeout", "a slow reply is a timeout")
tap.ok(wait(lambda: nginx.command("GET", "next") == "$next", 2),
       "the next command gets its own reply")
tap.ok(mock.accepted == 2, "on the same connection", mock.accepted)
finish("late", nginx, mock)


# Every type comes through as it is; the caller checks.

TYPES = {
    b"error": (b"-ERR no\r\n", "-ERR no"),
    b"integer": (b":-42\r\n", ":-42"),
    b"nil": (b"$-1\r\n", "(nil)"),
    b"nilarray": (b"*-1\r\n", "(nil)"),
    b"empty": (b"*0\r\n", "[]"),
    b"nested": (b"*2\r\n*1\r\n+a\r\n:1\r\n", "[[+a],:1]"),
    b"binary": (b"$3\r\n\x01\r\n\r\n", "$\x01\r\n"),
}
mock, nginx = mocked(lambda c, command: c.send(TYPES[command[1]][0]))
for name, (_, shown) in TYPES.items():
    got = nginx.command("GET", name.decode())
    tap.ok(got == shown.strip(), f"a reply of type {name.decode()}", got)
finish("types", nginx, mock)


# What is no reply costs the connection, once, and nothing else.

BROKEN = {
    "no type": (b"hello\r\n", "cannot be read"),
    "a length that is none": (b"$abc\r\n", "cannot be read"),
    "a negative length": (b"$-7\r\n", "cannot be read"),
    "nested too deep": (b"*1\r\n" * 2000, "cannot be read"),
    "too many elements": (b"*%d\r\n" % (LIMIT_ELEMENTS + 1), "elements"),
    "elements beyond all memory": (b"*2147483647\r\n", "elements"),
    "elements in nested arrays": (
        b"*2\r\n*%d\r\n" % LIMIT_ELEMENTS, "elements"),
    "two for one": (b"+OK\r\n+OK\r\n", "nobody asked for"),
}
for name, (data, reason) in BROKEN.items():
    sent = threading.Event()

    def once(connection, command, data=data, sent=sent):
        if sent.is_set():
            connection.send(b"+fine\r\n")
        else:
            sent.set()
            connection.send(data)

    mock, nginx = mocked(once, more=" timeout=2s")
    got = nginx.command("GET", "k")
    tap.ok(got in ("lost", "+OK"), f"{name}: the command ends", got)
    tap.ok(wait(lambda: nginx.said(reason) == 1), f"{name}: said once",
           nginx.log())
    tap.ok(wait(lambda: nginx.command("GET", "k") == "+fine"),
           f"{name}: recovered")
    finish(name, nginx, mock)


# A reply past the limit of its size.

def huge(connection, command):
    connection.send(b"$%d\r\n" % (2 * LIMIT_REPLY))
    for _ in range(LIMIT_REPLY // 65536 + 2):
        connection.send(b"x" * 65536)


mock, nginx = mocked(huge, more=" timeout=5s")
tap.ok(nginx.command("GET", "k") == "lost", "a reply larger than the limit")
tap.ok(nginx.said("larger than") == 1, "said once", nginx.log())
finish("huge", nginx, mock)


# A server that accepts and says nothing: declined, and told once.

mute = Mock(lambda connection: connection.file.read())
nginx = Nginx(folder, mute.address)
tap.ok(nginx.command("GET", "k") == "timeout",
       "the first command waits for the first connection, its timeout at most")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined", 3),
       "a server that does not answer is away")
time.sleep(1.5)
tap.ok(nginx.said("no answer in") == 1, "said once", nginx.log())
finish("mute", nginx, mute)


# Commands are refused by the server: who, why.

def refuses(reply, first=b"INFO"):
    def behave(connection):
        while True:
            command = connection.readcommand()
            if command[0] == first:
                connection.send(reply)
            elif not polite(connection, command):
                connection.send(b"+OK\r\n")
    return behave


for name, behave, reason, state in (
        ("loading", refuses(b"-LOADING not yet\r\n", b"PING"),
         'PING is answered by "LOADING not yet"', "declined"),
        ("INFO is not allowed", refuses(b"-NOPERM no\r\n"), None, "+OK"),
        ("INFO without a run_id", refuses(b"$2\r\nhi\r\n"), None, "+OK"),
        ("PING of another type", refuses(b":1\r\n", b"PING"),
         "PING is answered by a reply of type 3", "declined")):
    mock = Mock(behave)
    nginx = Nginx(folder, mock.address)
    tap.ok(wait(lambda: nginx.command("GET", "k") == state), name,
           nginx.log())
    if reason:
        time.sleep(0.5)
        tap.ok(nginx.said(reason) == 1, f"{name}: said once", nginx.log())
    else:
        tap.ok(nginx.events()[0] == "connected ", f"{name}: no run_id",
               nginx.events())
    finish(name, nginx, mock)


# A server that is lost as soon as it is reached: no line each time.

def fleeting(connection):
    while True:
        command = connection.readcommand()
        polite(connection, command)
        if command[0] == b"PING":
            time.sleep(0.01)
            return


mock = Mock(fleeting)
nginx = Nginx(folder, mock.address)
time.sleep(2.5)
tap.ok(nginx.said("loyalty: Redis at") == 1, "reached and lost, again and "
       "again: one line", nginx.log())
tap.ok(6 <= mock.accepted <= 60, "the pauses grow", mock.accepted)
finish("fleeting", nginx, mock)


# Refused, lost, back: two lines for an outage, however long and busy.

redis = Redis(folder)
nginx = Nginx(folder, redis.address)
tap.ok(nginx.command("SET", "k", "1") == "+OK", "a command of a real server")
tap.ok(nginx.command("INCR", "k", at="/many").split()[-1] == ":1001",
       "a thousand commands at once come back in order")
redis.stop()
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"), "declined")
began = time.monotonic()
answers = {nginx.command("GET", "k") for _ in range(200)}
took = (time.monotonic() - began) / 200
tap.ok(answers == {"declined"} and took < 0.01, "at once", (answers, took))
redis.start()
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"), "and it is back")
tap.ok(wait(lambda: nginx.events()[-1] == "up"), "with its tracking",
       nginx.events())
tap.ok(wait(lambda: nginx.said("loyalty: Redis at") == 2), "two lines",
       nginx.log())
tap.ok(wait(lambda: nginx.said("loyalty: client tracking of") == 2),
       "and two of tracking", nginx.log())

# SIGSTOP: each command takes its timeout at most, soon none waits at all.

redis.signal(signal.SIGSTOP)
worst, got = 0, None
for _ in range(12):
    began = time.monotonic()
    got = nginx.command("GET", "k")
    worst = max(worst, time.monotonic() - began)
tap.ok(got == "declined", "a hung server is away", got)
tap.ok(worst < 0.3, "no command took longer than its timeout", worst)
tap.ok(nginx.said("has been silent") == 1, "said once", nginx.log())
redis.signal(signal.SIGCONT)
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"), "it goes on")
redis.signal(signal.SIGSTOP)
tap.ok(wait(lambda: nginx.said("no answer in 5000 ms"), 8)
       or wait(lambda: nginx.said("is lost"), 1),
       "hung for long: the connection is given up", nginx.log())
redis.signal(signal.SIGCONT)
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "and made anew when it goes on")

# Reload and quit leave nothing open.

for _ in range(3):
    nginx.reload()
    time.sleep(0.3)
tap.ok(wait(lambda: nginx.command("GET", "k") == "$1"),
       "the new worker has its own connection")
clients = redis.cli("CLIENT", "LIST").count(b"name=") - 1
tap.ok(wait(lambda: redis.cli("CLIENT", "LIST").count(b"name=") - 1 == 2,
            seconds=20),
       "the old workers have closed theirs", clients)
finish("outages", nginx, redis)


# Several servers: the one that is a master.

master = Redis(folder)
replica = Redis(folder, "--replicaof", "127.0.0.1", "1")
nginx = Nginx(folder, f"{replica.address} {master.address}")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "of two servers the master is used", nginx.log())
master.cli("REPLICAOF", "127.0.0.1", "1")
replica.cli("REPLICAOF", "NO", "ONE")
nginx.command("SET", "k", "1")
tap.ok(wait(lambda: nginx.command("SET", "k", "2") == "+OK"),
       "and the other one after they have changed places", nginx.log())
finish("two servers", nginx, master, replica)


# ACL user, password file, database.

secret = folder.file("secret", "p4ss word\n")
wrong = folder.file("wrong", "other\n")
acl = folder.file("acl", "user default off\nuser edge on >" + "p4ss word"
                  .replace(" ", "_") + " ~* &* +@all\n")
redis = Redis(folder, "--aclfile", acl)
secret.write_text("p4ss_word\n")
nginx = Nginx(folder, f"{redis.address} user=edge password_file={secret} db=3")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "an ACL user, its password from a file", nginx.log())
tap.ok(b" db=3 " in redis.cli("CLIENT", "LIST", options=[
    "--user", "edge", "--pass", "p4ss_word", "--no-auth-warning"]),
    "the database")
tap.ok("p4ss" not in nginx.log(), "the password is not logged")
finish("ACL", nginx)
nginx = Nginx(folder, f"{redis.address} user=edge password_file={wrong}")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
       "a wrong password: declined")
time.sleep(1)
tap.ok(nginx.said("WRONGPASS") == 1, "said once", nginx.log())
finish("wrong password", nginx, redis)

folder.remove()
tap.done()
