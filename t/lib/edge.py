"""The edge for a test: a Redis, members and programs in it, nginx with the
module in front of a page of its own."""

import http.client
import json
import os
import re
import subprocess

from redis_client import MODULES, ROOT, Folder, Redis, free_port, wait

__all__ = ["Edge", "Folder", "Redis", "member_bytes", "program_bytes",
           "publish", "put", "reads", "store", "wait"]


def member_bytes(member):
    """A member's Redis value, by t/lib/member.c."""
    return subprocess.run([helper(), json.dumps(member)], check=True,
                          capture_output=True).stdout


def helper():
    sources = [ROOT / "t/lib/member.c",
               *sorted((ROOT / "ngx_loyalty_module/core").glob("*.c"))]
    inputs = [*sources, *(ROOT / "ngx_loyalty_module/core").glob("*.h")]
    built = ROOT / "build/lib/member"
    if not built.exists() or any(p.stat().st_mtime > built.stat().st_mtime
                                 for p in inputs):
        built.parent.mkdir(parents=True, exist_ok=True)
        fresh = built.with_name(f"member.{free_port()}")
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-w",
                        f"-I{ROOT}/ngx_loyalty_module/core", *sources, "-o",
                        fresh, "-ljansson", "-lpcre2-8", "-lcrypto"],
                       check=True)
        fresh.rename(built)
    return built


def program_bytes(site="demo", version=1, **parts):
    settings = {"id": site, "name": "Lantern & Loom", "currency": "GBP",
                "time_zone": "Europe/London", "locales": ["en", "fr"],
                "active": True, **parts.pop("settings", {})}
    return json.dumps({"version": version, "settings": settings,
                       **parts}).encode()


class Edge:
    """nginx; every location answers 204 and says in headers who it saw."""

    def __init__(self, folder, address, zone="members 1m", redis="timeout=2s",
                 workers=2, http="", main=""):
        self.folder = folder.path / f"edge-{free_port()}"
        self.folder.mkdir()
        self.port = free_port()
        self.conf = self.folder / "nginx.conf"
        self.log = self.folder / "error.log"
        self.main = main
        self.address = address
        self.redis = redis
        self.zone = zone
        self.workers = workers
        self.http = http
        self.write()
        done = self.run()
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        wait(self.listens)

    def write(self):
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.conf.write_text(f"""
            user root;
            load_module {MODULES}/ngx_http_loyalty_module.so;
            {self.main}
            worker_processes {self.workers};
            worker_rlimit_nofile 16384;
            error_log {self.log} notice;
            pid {self.folder}/pid;
            events {{ worker_connections 4096; }}
            http {{
                {temp}
                access_log off;
                loyalty_redis {self.address} {self.redis};
                loyalty_zone {self.zone};
                {self.http}
                server {{
                    listen 127.0.0.1:{self.port} reuseport backlog=4096;
                    location / {{
                        loyalty on;
                        loyalty_site $arg_s;
                        loyalty_member $arg_m;
                        add_header X-Tier "$loyalty_tier";
                        add_header X-Cache "$loyalty_cache";
                        add_header X-Pid "$pid";
                        try_files /none =204;
                    }}
                    location = /metrics {{ loyalty_metrics; }}
                }}
            }}""")

    def run(self, *arguments):
        return subprocess.run(
            [os.environ.get("NGINX", "nginx"), "-p", str(self.folder), "-c", str(self.conf),
             *arguments], capture_output=True, check=False)

    def listens(self):
        try:
            return self.get("/metrics")[0] == 200
        except OSError:
            return False

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.headers, body.decode()

    def see(self, member="anna", site="demo"):
        """What the edge says of a member: (tier, where it came from)."""
        status, headers, _ = self.get(f"/?s={site}&m={member}")
        if status != 204:
            return status, None
        return headers["X-Tier"] or "", headers["X-Cache"]

    def everywhere(self, tier, member="anna"):
        """Whether all workers say so, in a few seconds."""
        said = set()

        def all_do():
            _, headers, _ = self.get(f"/?s=demo&m={member}")
            if headers["X-Tier"] == tier:
                said.add(headers["X-Pid"])
            return len(said) == self.workers

        return wait(all_do)

    def pids(self):
        return [int(pid) for pid in subprocess.run(
            ["ps", "-o", "pid=", "--ppid", self.pid()], capture_output=True,
            check=False).stdout.split()]

    def pid(self):
        return (self.folder / "pid").read_text().strip()

    def metric(self, name):
        text = self.get("/metrics")[2]
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found[1]) if found else None

    def linked(self, redis):
        """The links of all workers are up."""
        return wait(lambda: redis.cli("CLIENT", "LIST", "TYPE", "pubsub")
                    .count(b"flags=") == self.workers)

    def reload(self):
        before = set(self.pids())
        done = self.run("-s", "reload")
        assert done.returncode == 0, done.stderr
        wait(lambda: not before & set(self.pids())
             and len(self.pids()) == self.workers)

    def errors(self, *levels):
        levels = levels or ("alert", "crit", "emerg")
        return [line for line in self.log.read_text().splitlines()
                if any(f"[{level}]" in line for level in levels)]

    def stop(self):
        master = self.pid()
        self.run("-s", "stop")
        wait(lambda: not (self.folder / "pid").exists())
        wait(lambda: subprocess.run(["kill", "-0", master], check=False,
                                    capture_output=True).returncode)


def reads(redis):
    """GETs and MGETs the server has executed."""
    text = redis.cli("INFO", "commandstats").decode()
    return sum(int(n) for n in re.findall(r"cmdstat_m?get:calls=(\d+)", text))


def put(redis, member, site="demo", **fields):
    store(redis, f"loyalty:m:{{{site}}}:{member}",
          member_bytes({"id": member, **fields}))


def publish(redis, site="demo", **parts):
    store(redis, f"loyalty:p:{{{site}}}", program_bytes(site, **parts))


def store(redis, key, value):
    done = subprocess.run(["redis-cli", "-s", str(redis.socket), "-x", "SET",
                           key], input=value, capture_output=True, check=True)
    assert done.stdout.strip() == b"OK", done.stdout
