#!/usr/bin/env python3
"""What ops look at: advice about Redis when the back end starts and by GET
redis, readiness, and what is waiting as Prometheus text."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from backend_api import Api
from demo import ROOT, Tap, free_port
from redis_client import Folder, Redis, wait

tap = Tap()

GOOD = {"appendonly": "yes", "appendfsync": "always",
        "maxmemory-policy": "noeviction", "maxmemory": "0",
        "min-replicas-to-write": "0"}

# A setting, and what is said of it.
WRONG = [
    ("appendonly", "no", "error", "Redis has appendonly no: orders are lost "
     "when Redis restarts; set \"appendonly yes\""),
    ("appendfsync", "everysec", "error", "Redis has appendfsync everysec: "
     "orders acknowledged in the last second are lost when Redis is killed; "
     "set \"appendfsync always\""),
    ("maxmemory-policy", "allkeys-lru", "error", "Redis has maxmemory-policy "
     "allkeys-lru: members and orders are thrown away when memory runs out; "
     "set \"maxmemory-policy noeviction\""),
    ("maxmemory", "1mb", "warning", "MB of its maxmemory"),
]


def advice(api, token):
    status, _, text = api.call("GET", "redis", token=token)
    assert status == 200, text
    return [(one["level"], one["message"])
            for one in json.loads(text)["advice"]]


def check_advice(redis, api, token):
    tap.ok(advice(api, token) == [], "our own configuration: no advice",
           advice(api, token))
    for name, value, level, said in WRONG:
        redis.cli("CONFIG", "SET", name, value)
        found = advice(api, token)
        redis.cli("CONFIG", "SET", name, GOOD[name])
        tap.ok(len(found) == 1 and found[0][0] == level
               and said in found[0][1], f"{name} {value} is said", found)


def said(api, text):
    return [line for line in api.log.read_text().splitlines() if text in line]


def check_start(redis, folder):
    """In the log at start-up, once, whatever becomes of the connection."""
    redis.cli("CONFIG", "SET", "appendfsync", "everysec")
    api = Api(folder, redis, "")
    try:
        wait(lambda: said(api, "Redis has appendfsync"), 10)
        for _ in range(3):
            redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(0.3)
            wait(api.answers, 5)
        tap.ok(len(said(api, "Redis has appendfsync")) == 1,
               "said once in the log, not with each connection",
               said(api, "Redis has"))
    finally:
        api.stop()
        shutil.rmtree(api.folder)
        redis.cli("CONFIG", "SET", "appendfsync", "always")


def check_replica(redis, api, token, folder):
    """A replica of ours; then ours is one itself."""
    port = free_port()
    home = folder.path / "replica"
    home.mkdir()
    other = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save",
         "", "--dir", home, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        wait(lambda: subprocess.run(
            ["redis-cli", "-p", str(port), "ping"], capture_output=True,
            text=True).stdout.strip() == "PONG", 10)
        redis.cli("REPLICAOF", "127.0.0.1", str(port))
        found = advice(api, token)
        redis.cli("REPLICAOF", "NO", "ONE")
        tap.ok(any(level == "error" and "is a replica and takes no writes"
                   in text for level, text in found),
               "a replica is said", found)
        subprocess.run(["redis-cli", "-p", str(port), "replicaof", "127.0.0.1",
                        str(redis.port)], capture_output=True)
        wait(lambda: advice(api, token), 10)
        found = advice(api, token)
        redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        mended = advice(api, token)
        redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        tap.ok(len(found) == 1 and "min-replicas-to-write 1" in found[0][1]
               and not mended, "replicas without min-replicas-to-write",
               found + mended)
    finally:
        other.terminate()
        other.wait(20)


def check_cluster(folder):
    port = next(port for port in iter(free_port, None) if port < 55000)
    redis = Redis(folder, "--appendonly", "yes", "--appendfsync", "always",
                  "--cluster-enabled", "yes", "--maxmemory-policy",
                  "noeviction", port=port)
    api = None
    try:
        redis.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait(lambda: b"cluster_state:ok" in redis.cli("CLUSTER", "INFO"), 20)
        api = Api(folder, redis, "")
        wait(lambda: said(api, "cluster=on"), 10)
        tap.ok(len(said(api, 'add "cluster=on"')) == 1,
               "a cluster without cluster=on is said")
    finally:
        if api:
            api.stop()
            shutil.rmtree(api.folder)
        redis.stop()


def metrics(api, token):
    status, headers, text = api.call("GET", "metrics", token=token)
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    return dict(re.findall(r"^(loyalty_\S+) (-?\d+)$", text, re.M)), text


def check_metrics(redis, api, token):
    for site in ("demo", "other"):
        api.call("PUT", f"sites/{site}/settings",
                 {"currency": "GBP", "active": True}, token=token)
    order = {"order_id": "o1", "member_id": "anna", "status": "completed",
             "currency": "GBP", "total": 100, "lines": []}
    for _ in range(2):
        api.call("POST", "sites/demo/orders", order, token=token)
    later = 4102444800000
    for name, score in (("due", 1), ("later", later)):
        # one that is due would be taken
        redis.cli("ZADD", "loyalty:x:{demo}:deliveries", str(later), name)
        for channel in ("email", "sms", "messenger", "line"):
            redis.cli("ZADD", f"loyalty:ob:{{demo}}:{channel}", str(score),
                      f"{channel}-{name}")
            redis.cli("ZADD", "loyalty:ml:{demo}:pending", "1",
                      f"{channel}-{name}")
    redis.cli("XADD", "loyalty:s:{demo}:dead", "*", "e", "{}")
    found, text = metrics(api, token)
    wanted = {"members": 1, "orders_applied_total": 1,
              "orders_duplicates_total": 1, "dead_letters": 1,
              "deliveries_pending": 2, "messages_due": 4,
              "messages_pending": 8, "orders_lag": 0}
    got = {name: found.get(f'loyalty_site_{name}{{site="demo"}}')
           for name in wanted}
    tap.ok(got == {name: str(value) for name, value in wanted.items()},
           "what a site has waiting", got)
    tap.ok(found.get('loyalty_site_members{site="other"}') == "0"
           and "anna" not in text, "by site, and of no member")
    only, _ = metrics(api, api.token("other", "--sites", "other", "--scopes",
                                     "read"))
    tap.ok(only and not any("demo" in name for name in only),
           "a token of one site: that one alone", only)
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text,
                                 capture_output=True, text=True)
        tap.ok(checked.returncode == 0, "promtool has nothing against them",
               checked.stdout + checked.stderr)
    rules = (ROOT / "conf/prometheus/loyalty.rules.yml").read_text()
    named = set(re.findall(r"loyalty_site_\w+", rules))
    tap.ok(named and all(f'{name}{{site="demo"}}' in found for name in named),
           "the alerts are about metrics that there are", named)


def check_health(redis, api):
    status, _, text = api.call("GET", "health")
    tap.ok(status == 200 and json.loads(text) == {"status": "ok"},
           "ready, for anybody who asks", text)
    redis.stop()
    status, headers, text = api.call("GET", "health")
    tap.ok(status == 503 and headers["Retry-After"] == "1"
           and str(redis.port) not in text, "not ready without Redis", text)


def main():
    folder = Folder()
    redis = Redis(folder, *(word for name, value in GOOD.items()
                            for word in (f"--{name}", value)),
                  port=free_port())
    api = None
    try:
        check_start(redis, folder)
        check_cluster(folder)
        api = Api(folder, redis, "")
        token = api.token("all", "--scopes", "read,write,admin")
        check_advice(redis, api, token)
        check_metrics(redis, api, token)
        check_replica(redis, api, token, folder)
        check_health(redis, api)
    finally:
        if api:
            api.stop()
        redis.stop()
        folder.remove()
    tap.done()


main()
