"""A back end for a test: Redis as our configuration has it, and nginx with two
workers, its API on a Unix socket."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from demo import ROOT

SITE = "demo"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Backend:
    """`http` is put into the http block; FOLDER in it is the test's folder.
    `parameters` are those of loyalty_backend, `redis` options of Redis,
    `server` is what plays Redis."""

    def __init__(self, http="", files=None, parameters="", redis=(),
                 server="redis-server"):
        self.http, self.files = http, files or {}
        self.parameters, self.redis_options = parameters, redis
        self.server = server

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="loyalty-")
        self.dir = Path(self.folder.name)
        self.dir.chmod(0o755)
        (self.dir / "logs").mkdir()
        for name, text in self.files.items():
            (self.dir / name).write_text(text)
        self.start_redis()
        self.token = subprocess.run(
            [ROOT / "scripts" / "token", "--redis",
             f"unix:{self.dir}/redis.sock", "--name", "test"],
            check=True, capture_output=True, text=True).stdout.strip()
        module = os.environ.get(
            "LOYALTY_MODULE", ROOT / "build" / "ngx_http_loyalty_module.so")
        (self.dir / "nginx.conf").write_text(f"""
            load_module {module};
            worker_processes 2;
            error_log {self.dir}/logs/error.log notice;
            pid {self.dir}/nginx.pid;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path {self.dir}/body;
                proxy_temp_path {self.dir}/proxy;
                fastcgi_temp_path {self.dir}/fastcgi;
                uwsgi_temp_path {self.dir}/uwsgi;
                scgi_temp_path {self.dir}/scgi;
                loyalty_redis unix:{self.dir}/redis.sock timeout=500ms;
                {self.http.replace("FOLDER", str(self.dir))}
                server {{
                    listen unix:{self.dir}/api.sock;
                    location /v1/ {{ loyalty_backend {self.parameters}; }}
                }}
            }}""")
        self.nginx = subprocess.Popen(
            [os.environ.get("TEST_NGINX_BINARY", "nginx"), "-p", self.dir,
             "-c", "nginx.conf", "-g", "daemon off;"],
            stderr=subprocess.DEVNULL)
        self.wait_for(lambda: self.call("PUT", "settings", {
            "id": SITE, "currency": "GBP", "active": True})[0] in (200, 201),
            "the back end does not come up")
        return self

    def __exit__(self, kind, *_):
        self.nginx.terminate()
        self.nginx.wait(20)
        self.redis_process.terminate()
        self.redis_process.wait(20)
        alarms = self.alarms()
        if not os.environ.get("KEEP"):
            self.folder.cleanup()
        if alarms and kind is None:
            raise RuntimeError("\n".join(alarms[:5]))

    def alarms(self):
        """What the log says of something broken; our own kills are not."""
        log = (self.dir / "logs" / "error.log").read_text(errors="replace")
        return [line for line in log.splitlines()
                if re.search(r"\[(alert|crit|emerg)\]|Sanitizer", line)
                and "exited on signal 9" not in line]

    def start_redis(self):
        self.redis_process = subprocess.Popen(
            [self.server, ROOT / "conf" / "redis.conf", "--unixsocket",
             f"{self.dir}/redis.sock", "--unixsocketperm", "777", "--dir",
             self.dir, *self.redis_options], stdout=subprocess.DEVNULL)
        self.wait_for(lambda: self.redis("ping") == "PONG",
                      "Redis does not come up")

    def redis(self, *command, data=None):
        return subprocess.run(
            ["redis-cli", "-s", f"{self.dir}/redis.sock", *command],
            capture_output=True, text=True, errors="replace", timeout=20,
            input=data
        ).stdout.strip()

    def wait_for(self, condition, complaint, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(complaint)
            time.sleep(0.05)

    def call(self, method, path, body=None, content_type="application/json",
             site=SITE, **more):
        """The status and the answer; 0 and None while nobody answers."""
        connection = UnixConnection(f"{self.dir}/api.sock")
        headers = {"Authorization": f"Bearer {self.token}", **more}
        if body is not None:
            headers["Content-Type"] = content_type
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
        try:
            connection.request(method, f"/v1/sites/{site}/{path}", body,
                               headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, (json.loads(text) if text and "json" in kind
                               and "nd" not in kind else text)

    def workers(self):
        return {int(pid) for pid in subprocess.run(
            ["pgrep", "-P", str(self.nginx.pid)],
            capture_output=True, text=True).stdout.split()}

    def kill_workers(self):
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill_redis(self):
        self.redis_process.kill()
        self.redis_process.wait(20)
        self.start_redis()

    def finish(self, job, kills=(), seconds=60):
        """Waits for the job, killing in turn as it makes progress."""
        kills = list(kills)
        killed, seen = 0, -1
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, body = self.call("GET", f"jobs/{job}")
            if status == 200:
                if body["state"] not in ("queued", "running"):
                    return body, killed
                if kills and body["done"] > seen:
                    seen = body["done"]
                    kills.pop(0)()
                    killed += 1
            time.sleep(0.01)
        raise RuntimeError(f"job {job} does not end: {body}")
