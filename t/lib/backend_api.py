"""A back end for a test of its API: nginx on a socket, tokens and staff made
by the scripts, calls as tokens and sessions."""

import http.client
import json
import re
import socket
import subprocess

from redis_client import MODULES, NGINX, ROOT, wait


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("api", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, folder, redis, word, parameters="", http=""):
        self.folder = folder.path / "backend"
        self.folder.mkdir()
        self.redis, self.word = redis, word
        self.log = self.folder / "error.log"
        self.socket = self.folder / "api.sock"
        secret = folder.file("secret", "0123456789abcdef" * 2 + "\n")
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "conf").write_text(f"""
            user root;
            load_module {MODULES}/ngx_http_loyalty_module.so;
            worker_processes 2;
            error_log {self.log} info;
            pid {self.folder}/pid;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                {temp}
                loyalty_redis {redis.address} timeout=2s;
                {http}
                server {{
                    listen unix:{self.socket};
                    location /v1/ {{
                        loyalty_backend preview_secret={secret} {parameters};
                    }}
                }}
            }}""")
        with open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(
                [NGINX, "-p", self.folder, "-c", self.folder / "conf",
                 "-g", "daemon off;"], stdout=out, stderr=out)
        if not wait(self.answers, 20):
            raise RuntimeError((self.folder / "out").read_text())

    def answers(self):
        try:
            return self.call("GET", "openapi.json")[0] == 200
        except OSError:
            return False

    def call(self, method, path, body=None, token=None, session=None,
             kind="application/json"):
        """(status, headers, body) of one call."""
        headers = dict(session or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = kind
            if not isinstance(body, bytes):
                body = json.dumps(body)
        connection = Unix(self.socket)
        try:
            connection.request(method, f"/v1/{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode(
                errors="replace")
        finally:
            connection.close()

    def token(self, name, *options):
        return subprocess.run(
            [ROOT / "scripts/token", "--redis", self.redis.address, "--name",
             name, *options], check=True, capture_output=True,
            text=True).stdout.strip()

    def staff(self, email, *roles):
        subprocess.run(
            [ROOT / "scripts/staff", "--redis", self.redis.address, "add",
             email, *roles], check=True, capture_output=True, text=True,
            input=self.word + "\n")

    def sign_in(self, email, word):
        """The headers of a session."""
        status, headers, text = self.call(
            "POST", "session", {"email": email, "password": word})
        assert status == 201, text
        return {"Cookie": headers["Set-Cookie"].split(";")[0],
                "X-CSRF-Token": json.loads(text)["csrf_token"]}

    def complaints(self):
        return [line for line in self.log.read_text().splitlines()
                if re.search(r"\[(alert|crit|emerg)\]|Sanitizer", line)]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
