"""A merchant's system that is told by webhooks: a server that answers as the
path says, and what a test asks of the back end about it."""

import http.server
import json
import threading
import time

from backend import SITE
from demo import ROOT

EVENTS = ["order.applied", "status.up", "status.down", "points.added",
          "points.expired", "offer.redeemed", "message.sent",
          "message.opened", "message.clicked", "message.converted",
          "message.failed", "message.unsubscribed"]


class Merchant(http.server.BaseHTTPRequestHandler):
    """/ok, /slow (3 s), /late (the first one 3 s), /never, /held (until
    `release` is set), /flaky (every third is taken), /500, /429 (Retry-After),
    ..."""

    protocol_version = "HTTP/1.1"
    seen = []
    down = False  # 503, whatever the path
    release = threading.Event()
    lock = threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.seen.append((self.path, dict(self.headers), body))
            count = sum(path == self.path for path, *_ in self.seen)
        status = 503 if self.down else 200
        if self.path.startswith("/slow") or (self.path.startswith("/late")
                                             and count == 1):
            time.sleep(3)
        elif self.path == "/never":
            time.sleep(15)
        elif self.path.startswith("/held"):
            self.release.wait(60)
        elif self.path == "/flaky":
            status = 200 if count % 3 == 0 else 503
        elif self.path[1:4].isdigit():
            status = int(self.path[1:4])
        try:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 302:
                self.send_header("Location", "/ok")
            if status == 429:
                self.send_header("Retry-After", "100")
            self.end_headers()
        except OSError:
            pass

    def log_message(self, *_):
        pass

    @classmethod
    def at(cls, path):
        with cls.lock:
            return [seen for seen in cls.seen if seen[0] == path]


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Merchant)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def settings(backend, webhooks, **more):
    status, body = backend.call("PUT", "settings", {
        "id": SITE, "currency": "GBP", "active": True, "webhooks": webhooks,
        **more})
    if status != 200:
        raise RuntimeError(f"settings: {status} {body}")


def secret(backend, webhook):
    status, body = backend.call("POST", f"webhooks/{webhook}/secret")
    if status != 201:
        raise RuntimeError(f"secret: {status} {body}")
    return body["secret"]


def order(backend, name, member="anna", total=200000, status="completed",
          **more):
    return backend.call("POST", "orders", {
        "order_id": name, "member_id": member, "status": status,
        "currency": "GBP", "total": total, "lines": [], **more})[0]


def soon(backend):
    """What waits for another try is due now."""
    backend.redis("eval", "for _,d in ipairs(redis.call('zrange',KEYS[1],0,-1))"
                  " do redis.call('zadd',KEYS[1],'XX',1,d) end", "1",
                  f"loyalty:x:{{{SITE}}}:deliveries")


def deliveries(backend, state="", query=""):
    found, cursor = [], ""
    while True:
        body = backend.call("GET", f"webhooks/deliveries?state={state}"
                                   f"&limit=200{query}{cursor}")[1]
        found += body["deliveries"]
        if "next_cursor" not in body:
            return found
        cursor = f"&cursor={body['next_cursor']}"


def wait(tap, condition, name, seconds=15):
    deadline = time.monotonic() + seconds
    good = condition()
    while not good and time.monotonic() < deadline:
        time.sleep(0.1)
        good = condition()
    tap.ok(good, name, Merchant.seen[-3:])


def readme_example():
    """The function by which the README has merchants check a signature."""
    text = (ROOT / "README.md").read_text()
    found = {}
    exec(text.split("```python\n")[1].split("```")[0], found)
    return found["is_ours"]


IS_OURS = readme_example()


def is_signed(key, headers, body):
    """By its own key and no other, and nothing but what was signed."""
    header = headers["Loyalty-Signature"]
    second, _, rest = header[2:].partition(",")
    return (IS_OURS(key, header, body)
            and not IS_OURS(key + "x", header, body)
            and not IS_OURS(key, header, body + b" ")
            and not IS_OURS(key, f"t={int(second) - 1},{rest}", body))


def events(path):
    """What was told there, as (type, data)."""
    return [(event["type"], event["data"])
            for event in (json.loads(body) for *_, body in Merchant.at(path))]
