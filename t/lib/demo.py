"""Starts the demo for a test, kills parts of it, reads what it holds."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data" / "online-retail"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tap:
    """ok and not ok, as scripts/test counts them."""

    def __init__(self):
        self.count = self.bad = 0

    def ok(self, passed, name, detail=""):
        self.count += 1
        self.bad += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name}",
              flush=True)
        if not passed and detail:
            for line in str(detail).splitlines()[:20]:
                print(f"# {line}", flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.bad else 0)


def skip_without_data():
    if not DATA.is_dir():
        print(f"1..0 # skip the real orders are not in {DATA}")
        sys.exit(0)


class Demo:
    """scripts/run in a folder and on ports of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="loyalty-")
        self.run = Path(self.folder.name)
        self.ports = {"EDGE_PORT": str(free_port()),
                      "BACKEND_PORT": str(free_port())}
        self.environment = {**os.environ, **self.ports, "RUN": str(self.run)}

    def __enter__(self):
        self.log = open(self.run / "run.log", "wb")
        self.process = subprocess.Popen(
            [ROOT / "scripts" / "run"], env=self.environment, cwd=ROOT,
            stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 180
        while not (self.run / "env").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("scripts/run: "
                                   + (self.run / "run.log").read_text()[-2000:])
            time.sleep(0.1)
        self.env = dict(line.split("=", 1) for line in
                        (self.run / "env").read_text().splitlines())
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()
        self.folder.cleanup()

    def get(self, path):
        """GET of the API; None while it does not answer 200."""
        connection = http.client.HTTPConnection(
            urlsplit(self.env["API_URL"]).netloc, timeout=20)
        try:
            connection.request(
                "GET", f"/v1/sites/{self.env['SITE']}/{path}",
                headers={"Authorization": f"Bearer {self.env['API_TOKEN']}"})
            answer = connection.getresponse()
            body = answer.read()
            return json.loads(body) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def post(self, path, body):
        """POST to the API; the status and the answer."""
        connection = http.client.HTTPConnection(
            urlsplit(self.env["API_URL"]).netloc, timeout=20)
        try:
            connection.request(
                "POST", f"/v1/sites/{self.env['SITE']}/{path}",
                json.dumps(body),
                {"Authorization": f"Bearer {self.env['API_TOKEN']}",
                 "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def members(self):
        """member -> the figures that t/lib/expected.py gives too."""
        found, cursor = {}, ""
        while cursor is not None:
            page = self.get("members?limit=200"
                            + (f"&cursor={cursor}" if cursor else ""))
            if page is None:
                return None
            for member in page["members"]:
                found[member["id"]] = {
                    "order_count": member["order_count"],
                    "spent_total": member["spent_total"],
                    "points": member["points"]["active"],
                    "status": member["status"] and member["status"]["id"]}
            cursor = page.get("next_cursor")
        return found

    def replay(self, files):
        return subprocess.Popen(
            [ROOT / "scripts" / "replay", *files], env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def redis(self, *command, socket=None):
        return subprocess.run(
            ["redis-cli", "-s", socket or self.env["REDIS_SOCKET"], *command],
            capture_output=True, text=True, timeout=20).stdout

    def workers(self, name):
        """Pids of the nginx workers of `edge` or `backend`."""
        try:
            master = (self.run / f"{name}.pid").read_text().strip()
        except OSError:
            return []
        found = subprocess.run(["pgrep", "-P", master],
                               capture_output=True, text=True).stdout
        return [int(pid) for pid in found.split()]

    def redis_pid(self):
        for line in self.redis("info", "server").splitlines():
            if line.startswith("process_id:"):
                return [int(line.split(":")[1])]
        return []


class Killer(threading.Thread):
    """kill -9 of edge workers, back-end workers and Redis at random moments."""

    def __init__(self, demo, kills, over, seed):
        super().__init__(daemon=True)
        self.demo, self.kills, self.over = demo, kills, over
        self.random = random.Random(seed)
        self.done = {"edge": 0, "backend": 0, "redis": 0}
        self.stop = threading.Event()

    def run(self):
        pause = self.over / self.kills
        while sum(self.done.values()) < self.kills and not self.stop.is_set():
            self.stop.wait(self.random.uniform(0.2, 1.8) * pause)
            what = self.random.choice(("edge", "edge", "backend", "redis"))
            pids = (self.demo.redis_pid() if what == "redis"
                    else self.demo.workers(what))
            if pids:
                try:
                    os.kill(self.random.choice(pids), signal.SIGKILL)
                    self.done[what] += 1
                except ProcessLookupError:
                    pass


def expected(files):
    text = subprocess.run(
        [sys.executable, ROOT / "t" / "lib" / "expected.py", *files],
        capture_output=True, text=True, check=True).stdout
    return json.loads(text)


def differences(wanted, found):
    lines = []
    for member in sorted(set(wanted) | set(found)):
        if wanted.get(member) != found.get(member):
            lines.append(f"{member}: expected {wanted.get(member)}, "
                         f"found {found.get(member)}")
    return lines


def settle(demo, wanted, seconds):
    """Waits until the members are as wanted, or stop changing for 20 s."""
    deadline = time.monotonic() + seconds
    last, since, found = None, time.monotonic(), {}
    while time.monotonic() < deadline:
        found = demo.members() or {}
        if not differences(wanted, found):
            break
        if found != last:
            last, since = found, time.monotonic()
        elif time.monotonic() - since > 20:
            break
        time.sleep(0.5)
    return differences(wanted, found)


def replay_test(tap, files, kills, seed, over):
    """Replays `files` with kills; every figure must come out."""
    wanted = expected(files)
    print(f"# seed {seed}, {kills} kills, {len(wanted)} members")
    with Demo() as demo:
        killer = Killer(demo, kills, over, seed) if kills else None
        if killer:
            killer.start()
        process = demo.replay(files)
        text = process.communicate()[0]
        if killer:
            killer.join(over * 2)
            killer.stop.set()
            print(f"# killed {killer.done}")
        for line in text.splitlines():
            print(f"# {line}")
        tap.ok(process.returncode == 0, "every order and return was answered",
               text)
        off = settle(demo, wanted, 180)
        tap.ok(not off, "members, orders, spend, points and statuses equal an "
               "independent computation", "\n".join(off))
        if killer:
            tap.ok(sum(killer.done.values()) >= kills,
                   f"{kills} kills took place", killer.done)
        else:
            process = demo.replay(files)
            process.communicate()
            time.sleep(3)
            off = settle(demo, wanted, 60)
            tap.ok(process.returncode == 0 and not off,
                   "replayed again, nothing changes", "\n".join(off))
        for name in ("edge", "backend"):
            log = (demo.run / "logs" / f"{name}.log").read_text(
                errors="replace")
            loud = [line for line in log.splitlines()
                    if "[alert]" in line or "[emerg]" in line
                    or "[crit]" in line]
            # The master reports each worker we killed; that line is ours.
            loud = [line for line in loud if "exited on signal 9" not in line]
            tap.ok(not loud, f"nothing alarming in the log of the {name}",
                   "\n".join(loud))
