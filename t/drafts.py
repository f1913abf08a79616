#!/usr/bin/env python3
"""Previews of a draft while Redis or the compiler takes its time: how many at
once, and who does not wait for the answer."""

import base64
import hashlib
import hmac
import http.client
import signal
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from demo import Tap
from edge import Edge, Folder, Redis, program_bytes, publish, store, wait
from redis_client import free_port

SECRET = b"0123456789abcdef0123456789abcdef"
AT_ONCE = 4
BANNER = "Preview of the draft"

HTTP = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            loyalty on;
            loyalty_site demo;
            loyalty_page tier secret={folder}/secret;
        }}
    }}"""

tap = Tap()


def token():
    """As core/loyalty_token.h has it, for an hour."""
    head = struct.pack(">BBQ", 1, 1, int((time.time() + 3600) * 1000))
    mac = hmac.new(SECRET, head + struct.pack(">H", 4) + b"demo" + b"draft",
                   hashlib.sha256).digest()
    return base64.urlsafe_b64encode(head + b"draft" + mac).rstrip(b"=").decode()


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/?preview={token()}")
    return connection


def answer(connection):
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def at_once(redis, port):
    redis.signal(signal.SIGSTOP)
    asked = [ask(port) for _ in range(AT_ONCE)]
    time.sleep(0.2)
    began = time.monotonic()
    refused = [answer(ask(port))[0] for _ in range(3)]
    took = time.monotonic() - began
    redis.signal(signal.SIGCONT)
    shown = [answer(connection) for connection in asked]
    tap.ok(refused == [503] * 3 and took < 1,
           f"more than {AT_ONCE} at a time are asked to try again, at once",
           (refused, took))
    tap.ok(all(status == 200 and BANNER in body for status, body in shown),
           f"those {AT_ONCE} have the draft when Redis answers", shown)


def leave_reading(redis, port):
    redis.signal(signal.SIGSTOP)
    asked = [ask(port) for _ in range(AT_ONCE)]
    time.sleep(0.2)
    for connection in asked:
        connection.close()
    time.sleep(0.2)
    stays = ask(port)
    time.sleep(0.2)
    redis.signal(signal.SIGCONT)
    tap.ok(answer(stays)[0] == 200,
           "who leaves while Redis is asked gives the place to another")


def leave_compiling(redis, port):
    css = "a { color: #123456; }\n" * 2900
    store(redis, "loyalty:dr:{demo}", program_bytes(designs=[
        {"id": f"design-{n}", "css": css} for n in range(45)]))
    for pause in range(40):
        asked = [ask(port) for _ in range(AT_ONCE)]
        time.sleep(pause / 1000)
        for connection in asked:
            connection.close()
    tap.ok(wait(lambda: answer(ask(port))[0] == 200, 20),
           "who leaves while it is compiled gives it back as well")


def main():
    folder = Folder()
    redis = Redis(folder)
    edge = None
    try:
        folder.file("secret", SECRET.decode())
        publish(redis)
        store(redis, "loyalty:dr:{demo}", program_bytes())
        port = free_port()
        edge = Edge(folder, redis.address, workers=1,
                    redis="timeout=5s",
                    http=HTTP.format(port=port, folder=folder.path))
        wait(lambda: edge.see()[1] == "HIT")
        at_once(redis, port)
        leave_reading(redis, port)
        leave_compiling(redis, port)
        tap.ok(not edge.errors(), "nothing worse than an error in the log",
               "\n".join(edge.errors()))
        edge.stop()
        edge = None
    finally:
        if edge:
            edge.stop()
        redis.stop()
        folder.remove()
    tap.done()


main()
