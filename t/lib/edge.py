"""The edge for a test: a Redis, members and programs in it, nginx with the
module in front of a page of its own."""

import http.client
import json
import re
import selectors
import socket
import subprocess
import time

from redis_client import (MODULES, NGINX, ROOT, Folder, Redis, free_port,
                          wait)

__all__ = ["CLIENTS", "Edge", "Folder", "Redis", "ask_all", "fill", "herd",
           "member_bytes", "program_bytes", "publish", "put", "reads", "store",
           "wait"]

CLIENTS = 1000


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
                        fresh, "-ljansson", "-lpcre2-8", "-lcrypto",
                        "-licuuc"],
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
        # to a file: the daemon may keep a pipe open
        with open(self.folder / "out", "w+b") as out:
            done = subprocess.run(
                [NGINX, "-p", str(self.folder), "-c", str(self.conf),
                 *arguments], stdout=out, stderr=out, check=False)
            out.seek(0)
            done.stderr = out.read()
            return done

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

    def quit(self):
        """Ends as for an upgrade: connections that are left are told of."""
        self.stop("quit")

    def stop(self, how="stop"):
        master = self.pid()
        self.run("-s", how)
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


def fill(redis, value, members, site="demo"):
    """The same value for all of them, pipelined."""
    keys = (f"loyalty:m:{{{site}}}:{member}".encode() for member in members)
    pipe = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                    % (len(key), key, len(value), value) for key in keys)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(redis.socket))
        sock.sendall(pipe)
        left = 5 * len(members)
        while left > 0:
            left -= len(sock.recv(65536))
    time.sleep(0.3)


def herd(edge, path, clients=CLIENTS):
    """Connects all, then asks with all at once; the answers by content."""
    request = f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    sockets = []
    for _ in range(clients):
        sock = socket.create_connection(("127.0.0.1", edge.port), timeout=10)
        sockets.append(sock)
    time.sleep(0.2)
    for sock in sockets:
        sock.sendall(request)
        selector.register(sock, selectors.EVENT_READ)
    answers = {}
    pids = set()
    waiting = clients
    end = time.monotonic() + 10
    while waiting and time.monotonic() < end:
        for key, _ in selector.select(1):
            text = key.fileobj.recv(65536).decode()
            fields = dict(line.split(": ", 1) for line in
                          text.split("\r\n")[1:] if ": " in line)
            answer = (text[9:12], fields.get("X-Tier", ""))
            answers[answer] = answers.get(answer, 0) + 1
            pids.add(fields.get("X-Pid"))
            selector.unregister(key.fileobj)
            key.fileobj.close()
            waiting -= 1
    return answers, pids


def ask_all(edge, members, tier="bronze"):
    """Pipelined on one connection; how many are not of that status."""
    wrong = 0
    with socket.create_connection(("127.0.0.1", edge.port)) as sock:
        file = sock.makefile("rb")
        for start in range(0, len(members), 100):
            part = members[start:start + 100]
            sock.sendall(b"".join(
                f"GET /?s=demo&m={m} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()
                for m in part))
            for _ in part:
                status = file.readline()
                found = b""
                while (line := file.readline()) not in (b"\r\n", b""):
                    if line.startswith(b"X-Tier:"):
                        found = line.split(b":")[1].strip()
                wrong += (not status.startswith(b"HTTP/1.1 204")
                          or found != tier.encode())
    return wrong
