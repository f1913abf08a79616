"""The Redis client of the edge, alone: nginx with the module of
t/lib/redis_client, real servers, and servers that lie."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = Path(os.environ.get("LOYALTY_MODULE",
                              ROOT / "build/ngx_http_loyalty_module.so")).parent
NGINX = os.environ.get("TEST_NGINX_BINARY", "nginx")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(condition, seconds=5.0, step=0.01):
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


class Folder:
    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="loyalty-redis-"))
        self.path.chmod(0o755)

    def file(self, name, text):
        path = self.path / name
        path.write_text(text)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Redis:
    """redis-server (or a sentinel) on a port or socket of its own."""

    def __init__(self, folder, *options, port=None, sentinel=False):
        self.folder = folder.path / f"redis-{free_port()}"
        self.folder.mkdir()
        self.port = port or 0
        self.socket = self.folder / "s"
        self.sentinel = sentinel
        self.options = [str(option) for option in options]
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}" if self.port else f"unix:{self.socket}"

    def start(self):
        conf = self.folder / "conf"
        if not conf.exists():
            conf.write_text("")
        command = ["redis-server", str(conf), "--port", str(self.port),
                   "--unixsocket", str(self.socket), "--bind", "127.0.0.1",
                   "--dir", str(self.folder), "--logfile", "log",
                   "--daemonize", "no"]
        if self.sentinel:
            command += ["--sentinel"]
        else:
            command += ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            command + self.options, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        if not wait(lambda: b"PONG" in self.cli("PING")
                    or b"NOAUTH" in self.cli("PING")):
            raise RuntimeError(f"redis-server: {self.folder}/log")

    def cli(self, *command, options=()):
        return subprocess.run(
            ["redis-cli", "-s", str(self.socket), *options,
             *map(str, command)], capture_output=True, check=False).stdout

    def pipe(self, commands):
        """All of them in one go; whether none was an error."""
        data = b"".join(
            b"*%d\r\n" % len(command) + b"".join(
                b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in
                (str(arg).encode() for arg in command))
            for command in commands)
        return b"errors: 0, replies: %d\n" % len(commands) in subprocess.run(
            ["redis-cli", "-s", str(self.socket), "--pipe"], input=data,
            capture_output=True, check=False).stdout

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class Mock:
    """A server that answers as `behave(connection)` says, by threads.
    A connection has readcommand() -> list of bytes, and send()."""

    class Connection:
        def __init__(self, sock):
            self.socket = sock
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.file = sock.makefile("rb")
            self.subscribed = False

        def readcommand(self):
            line = self.file.readline()
            if not line.startswith(b"*"):
                raise EOFError
            command = []
            for _ in range(int(line[1:])):
                length = int(self.file.readline()[1:])
                command.append(self.file.read(length + 2)[:-2])
            return command

        def send(self, data):
            self.socket.sendall(data)

        def close(self):
            self.socket.shutdown(socket.SHUT_RDWR)

    def __init__(self, behave):
        self.behave = behave
        self.accepted = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.one, args=(sock,),
                             daemon=True).start()

    def one(self, sock):
        try:
            self.behave(Mock.Connection(sock))
        except (OSError, EOFError, ValueError):
            pass
        sock.close()

    def stop(self):
        self.listener.close()


def polite(connection, command):
    """The answers of a healthy server to what the client asks by itself."""
    name = command[0].upper()
    if name == b"INFO":
        text = b"# Server\r\nrun_id:" + b"a" * 40 + b"\r\n"
        connection.send(b"$%d\r\n%s\r\n" % (len(text), text))
    elif name == b"PING":
        connection.send(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
                        if connection.subscribed else b"+PONG\r\n")
    elif name == b"CLIENT" and command[1].upper() == b"ID":
        connection.send(b":7\r\n")
    elif name == b"CLIENT":
        connection.send(b"+OK\r\n")
    elif name == b"SUBSCRIBE":
        connection.subscribed = True
        connection.send(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n"
                        % (len(command[1]), command[1]))
    else:
        return False
    return True


class Nginx:
    def __init__(self, folder, redis, http="", locations="", workers=1,
                 before=""):
        self.folder = folder.path / f"nginx-{free_port()}"
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.conf = self.folder / "nginx.conf"
        self.redis = redis
        self.http = http
        self.locations = locations
        self.workers = workers
        self.before = before
        self.write()
        done = self.run()
        if done.returncode:
            raise RuntimeError((self.folder / "out").read_text())
        wait(self.listens)

    def write(self):
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.conf.write_text(f"""
            user root;
            {self.before}
            load_module {MODULES}/ngx_http_redis_client_module.so;
            worker_processes {self.workers};
            error_log {self.folder}/error.log notice;
            pid {self.folder}/pid;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                {temp}
                redis_client {self.redis};
                {self.http}
                server {{
                    listen 127.0.0.1:{self.port};
                    location /events {{ redis_events; }}
                    location /command {{ redis_command 1; }}
                    location /any {{ redis_command 0; }}
                    location /many {{ redis_command 1 1000; }}
                    {self.locations}
                }}
            }}""")

    def run(self, *options):
        # to a file: the daemon may keep a pipe open
        with open(self.folder / "out", "wb") as out:
            return subprocess.run(
                [NGINX, "-p", str(self.folder), "-c", str(self.conf), *options],
                stdout=out, stderr=out, check=False)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path):
        with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode("latin-1")

    def command(self, *args, at="/command"):
        query = "&".join(urllib.parse.quote(str(arg), safe="") for arg in args)
        return self.get(f"{at}?{query}").strip()

    def events(self):
        return self.get("/events").split("\n")[:-1]

    def log(self):
        return (self.folder / "error.log").read_text()

    def said(self, text):
        return sum(text in line for line in self.log().splitlines())

    def clean(self):
        """Nothing in the log that says one of us is broken."""
        bad = [line for line in self.log().splitlines()
               if any(word in line for word in
                      ("[alert]", "[crit]", "[emerg]", "AddressSanitizer",
                       "runtime error", "open socket", "exited on signal"))]
        return bad == [], "\n".join(bad)

    def pid(self):
        return int((self.folder / "pid").read_text())

    def reload(self):
        os.kill(self.pid(), signal.SIGHUP)

    def stop(self):
        try:
            pid = self.pid()
        except (OSError, ValueError):
            return
        os.kill(pid, signal.SIGQUIT)
        if not wait(lambda: not (self.folder / "pid").exists()):
            os.kill(pid, signal.SIGTERM)
