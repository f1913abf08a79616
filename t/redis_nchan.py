#!/usr/bin/env python3
"""nchan exports a hiredis of its own, and nginx opens modules RTLD_GLOBAL:
with nchan loaded first our calls must still land in our copy."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from demo import Tap
from redis_client import MODULES, Folder, Nginx, Redis, wait

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

tap = Tap()


def symbols(path, *options):
    out = subprocess.run(["nm", "-D", *options, str(path)],
                         capture_output=True, check=True).stdout.decode()
    return {line.split()[-1] for line in out.splitlines()}


def hiredis(names):
    return sorted(n for n in names if n.startswith(("redis", "sds", "freeReply")))


if not NCHAN.exists():
    print("1..0 # skip nchan is not installed")
    sys.exit(0)

theirs = hiredis(symbols(NCHAN, "--defined-only"))
tap.ok("redisReaderCreate" in theirs, "nchan exports its hiredis", theirs)

for name in ("ngx_http_loyalty_module", "ngx_http_redis_client_module"):
    so = MODULES / f"{name}.so"
    asked = hiredis(symbols(so, "--undefined-only"))
    tap.ok(asked == [], f"{name} asks nobody for hiredis", asked)
    given = hiredis(symbols(so, "--defined-only"))
    tap.ok(given == [], f"{name} gives no hiredis to others", given)
    relocated = subprocess.run(
        ["readelf", "-W", "-r", str(so)], capture_output=True,
        check=True).stdout.decode()
    bad = [line for line in relocated.splitlines() if " redis" in line]
    tap.ok(bad == [], f"{name} has nothing of it left to relocate", bad)

# And at work.

folder = Folder()
redis = Redis(folder)
nginx = Nginx(folder, redis.address, before=f"load_module {NCHAN};\n"
              f"load_module {MODULES}/ngx_http_loyalty_module.so;",
              http=f"loyalty_redis {redis.address};")
tap.ok(wait(lambda: nginx.command("SET", "k", "v") == "+OK"),
       "a command with nchan loaded first", nginx.log())
tap.ok(nginx.command("GET", "k", at="/many") == "\n".join(["$v"] * 1000),
       "a thousand commands")
tap.ok(wait(lambda: redis.cli("CLIENT", "LIST").count(b"cmd=ping") >= 2),
       "the edge module has its connection too",
       redis.cli("CLIENT", "LIST"))
nginx.stop()
clean, bad = nginx.clean()
tap.ok(clean, "a clean log", bad)
redis.stop()
folder.remove()
tap.done()
