#!/usr/bin/env python3
"""The journal and the shipper from outside: whatever is killed, filled up or
flushed, every order that was answered is in the stream.  Prints TAP."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MODULE = os.environ.get("LOYALTY_MODULE",
                        os.path.abspath("build/ngx_http_loyalty_module.so"))
NGINX = os.environ.get("TEST_NGINX_BINARY", "nginx")
PORT = int(os.environ.get("JOURNAL_PORT", "25100"))
STREAM = "loyalty:s:{demo}:orders"
PROGRAM = {"version": 1, "settings": {
    "id": "demo", "name": "Demo", "currency": "GBP",
    "time_zone": "Europe/London", "locales": ["en"], "active": True}}

CONF = """
load_module %(module)s;
user root;
worker_processes 2;
worker_shutdown_timeout 10s;
error_log %(dir)s/error.log notice;
pid %(dir)s/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    default_type application/json;
    loyalty_redis unix:%(dir)s/redis.sock timeout=%(timeout)s;
    loyalty_zone members 4m;
    loyalty_journal %(journal)s %(options)s;
    server {
        listen 127.0.0.1:%(shop)d;
        location / {
            return 201 '{"order_id":"$arg_id","lines":[{"sku":"A","quantity":2,"unit_price":"1.50"}]}';
        }
        location /large {
            return 201 '{"order_id":"$arg_id","lines":[%(lines)s]}';
        }
        location /bad { return 201 '{"order_id":"$arg_id"}'; }
        location /slow {
            limit_rate 20;
            return 201 '{"order_id":"$arg_id","total":"1.00"}';
        }
    }
    server {
        listen 127.0.0.1:%(port)d;
        loyalty on;
        loyalty_site demo;
        loyalty_member $arg_m;
        location / {
            loyalty_order json;
            proxy_pass http://127.0.0.1:%(shop)d;
            proxy_ignore_client_abort on;
        }
        location /posted {
            loyalty_order json;
            loyalty_order_post /crm/orders;
            proxy_pass http://127.0.0.1:%(shop)d/;
        }
        location /crm/ {
            internal;
            proxy_pass http://127.0.0.1:%(crm)d;
        }
        location /metrics { loyalty off; loyalty_metrics; }
    }
}
"""

count = 0
failed = 0


def ok(good, name, note=""):
    global count, failed
    count += 1
    failed += not good
    print("%sok %d - %s" % ("" if good else "not ", count, name))
    if not good and note:
        print("# " + str(note)[:2000].replace("\n", "\n# "))
    sys.stdout.flush()


class Site:
    """A Redis, an edge and a shop in a folder of their own."""

    def __init__(self, options="retain=1h", journal=None, redis=True):
        self.tmp = tempfile.TemporaryDirectory(prefix="loyalty-journal-")
        self.dir = self.tmp.name
        self.journal = journal or self.dir + "/journal"
        os.chmod(self.dir, 0o755)
        self.conf = CONF % {"module": MODULE, "dir": self.dir,
                            "journal": self.journal, "options": options,
                            "port": PORT, "shop": PORT + 1,
                            "crm": PORT + 2,
                            "timeout": os.environ.get("LOYALTY_REDIS_TIMEOUT",
                                                      "200ms"),
                            "lines": ",".join(
                                '{"sku":"A%d","quantity":1,"unit_price":"1"}'
                                % line for line in range(80))}
        with open(self.dir + "/nginx.conf", "w") as out:
            out.write(self.conf)
        self.redis_process = None
        if redis:
            self.redis_start()
            self.program()
        self.nginx_start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.nginx_stop()
        self.redis_stop()
        self.tmp.cleanup()

    def redis_start(self):
        self.redis_process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket",
             self.dir + "/redis.sock", "--save", "", "--appendonly", "no",
             "--dir", self.dir], stdout=subprocess.DEVNULL)
        until(lambda: self.redis("ping") == "PONG", 5)

    def redis_stop(self, how=signal.SIGKILL):
        if self.redis_process:
            self.redis_process.send_signal(how)
            self.redis_process.wait()
            self.redis_process = None

    def redis(self, *command):
        return subprocess.run(
            ["redis-cli", "-s", self.dir + "/redis.sock", *command],
            capture_output=True, text=True, timeout=20).stdout.strip()

    def program(self):
        self.redis("set", "loyalty:p:{demo}", json.dumps(PROGRAM))

    def nginx_start(self):
        subprocess.run([NGINX, "-p", self.dir, "-c",
                        self.dir + "/nginx.conf"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        until(lambda: self.order("warm", member="") in (201, 200), 5)

    def master(self):
        with open(self.dir + "/nginx.pid") as pid:
            return int(pid.read())

    def workers(self):
        return [int(p) for p in subprocess.run(
            ["pgrep", "-P", str(self.master())], capture_output=True,
            text=True).stdout.split()]

    def tell(self, how):
        os.kill(self.master(), how)

    def nginx_stop(self, how=signal.SIGTERM):
        try:
            pids = [self.master()] + self.workers()
        except OSError:
            return
        if how == signal.SIGKILL:
            for pid in pids:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            os.unlink(self.dir + "/nginx.pid")
        else:
            os.kill(pids[0], how)
        until(lambda: not any(alive(pid) for pid in pids), 10)

    def order(self, order, member="bob", path="/", timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", PORT,
                                                timeout=timeout)
        try:
            connection.request("GET", "%s?m=%s&id=%s" % (path, member, order))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def stream(self):
        """How often each order is in the stream."""
        seen = {}
        for line in self.redis("xrange", STREAM, "-", "+").split("\n"):
            if line.startswith("{"):
                order = json.loads(line)["order_id"]
                seen[order] = seen.get(order, 0) + 1
        return seen

    def log(self):
        with open(self.dir + "/error.log") as log:
            return log.read()

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return [line for line in text.split("\n") if line[:1] == "l"]

    def metric(self, name):
        return sum(float(line.split()[-1]) for line in self.metrics()
                   if line.split("{")[0].split(" ")[0] == name)

    def clean(self):
        """No alert, no crit, no emerg that is not expected."""
        return not any(level in self.log() for level in
                       ("[alert]", "[emerg]", "[crit]"))


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def until(done, seconds):
    end = time.time() + seconds
    while time.time() < end:
        if done():
            return True
        time.sleep(0.05)
    return done()


class Load(threading.Thread):
    """Orders one after another; what was answered is remembered."""

    def __init__(self, site, name):
        super().__init__()
        self.site = site
        self.prefix = name
        self.answered = []
        self.refused = 0
        self.stop = False

    def run(self):
        n = 0
        while not self.stop:
            n += 1
            order = "%s-%d" % (self.prefix, n)
            if self.site.order(order) == 201:
                self.answered.append(order)
            else:
                self.refused += 1


def under_load(site, action, threads=4, before=0.5, after=0.5):
    loads = [Load(site, "o%d" % i) for i in range(threads)]
    for load in loads:
        load.start()
    time.sleep(before)
    action()
    time.sleep(after)
    for load in loads:
        load.stop = True
    for load in loads:
        load.join()
    return ([order for load in loads for order in load.answered],
            sum(load.refused for load in loads))


def missing(site, answered):
    seen = site.stream()
    return [order for order in answered if order not in seen]


def arrive(site, answered, seconds=15):
    until(lambda: not missing(site, answered), seconds)
    return missing(site, answered)


def killed_workers():
    with Site() as site:
        def kill():
            for _ in range(6):
                for pid in site.workers()[:1]:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.4)
        answered, _ = under_load(site, kill)
        lost = arrive(site, answered)
        ok(len(answered) > 50 and not lost,
           "kill -9 of workers loses no answered order", lost or answered)


def killed_everything():
    with Site() as site:
        answered, _ = under_load(
            site, lambda: (site.redis_stop(), time.sleep(0.5),
                           site.nginx_stop(signal.SIGKILL)), after=0)
        site.redis_start()
        site.program()
        site.nginx_start()
        lost = arrive(site, answered)
        ok(len(answered) > 50 and not lost,
           "kill -9 of Redis and of every nginx process loses none",
           (len(answered), lost))


def redis_away():
    with Site() as site:
        def away():
            site.redis_stop()
            time.sleep(1)
            site.redis_start()
            site.program()
        answered, refused = under_load(site, away)
        lost = arrive(site, answered)
        ok(refused == 0, "Redis away: every order is answered", refused)
        ok(not lost, "Redis back, empty: what was before and during arrives",
           (len(lost), lost[:9], site.log()))
        ok("may have lost orders" in site.log() and site.clean(),
           "the log says that another server answers", site.log())


def redis_hung():
    """More than is kept in memory waits meanwhile, in files of 1 MB."""
    with Site("retain=1h max_size=16m") as site:
        answered = []

        def orders(kind, n, path):
            for i in range(n):
                order = "%s-%d" % (kind, i)
                if site.order(order, path=path) == 201:
                    answered.append(order)

        orders("before", 20, "/")
        site.redis_process.send_signal(signal.SIGSTOP)
        # 80 lines are 5 KB of an event, and 2 workers have a megabyte each.
        orders("meanwhile", 700, "/large")
        ok(len(answered) == 720, "Redis hangs: every order is answered",
           len(answered))
        site.redis_process.send_signal(signal.SIGCONT)
        orders("after", 20, "/")
        lost = arrive(site, answered, 30)
        ok(not lost, "Redis goes on: what was kept and what was on disk alone "
           "arrives", (len(lost), lost[:9]))
        orders("then", 200, "/")
        lost = arrive(site, answered)
        ok(not lost and len(answered) == 940, "and so do those that follow",
           (len(lost), lost[:9]))
        ok("damaged" not in site.log() and site.clean(),
           "the log tells of no damage", site.log()[-2000:])


def bad_orders():
    """A shop whose every answer is wrong does not fill the log."""
    with Site() as site:
        end = time.time() + 3
        bad = 0
        while time.time() < end:
            bad += site.order("bad-%d" % bad, path="/bad") == 201
        lines = site.log().count("not captured")
        ok(bad > 100 and 2 <= lines <= 8,
           "each of two workers tells of bad orders once a second at most",
           (bad, lines))
        unsaid = sum(int(line.split(" orders before unsaid")[0].split()[-1])
                     for line in site.log().split("\n")
                     if "orders before unsaid" in line)
        ok(unsaid > bad / 4, "and how many it did not tell of", (bad, unsaid))
        counted = sum(float(line.split()[-1]) for line in site.metrics()
                      if "not_captured_total" in line and "invalid" in line)
        ok(counted >= bad, "all are counted", (bad, counted))


def flushed():
    with Site() as site:
        answered, _ = under_load(site, lambda: None)
        ok(not arrive(site, answered), "orders arrive")
        # The count of entries ever added is watched; it must have been seen.
        time.sleep(6)
        site.redis("flushall")
        site.program()
        lost = arrive(site, answered)
        ok(not lost, "FLUSHALL: the journal sends again", lost)
        ok(site.metric("loyalty_orders_resent_total") >= len(answered),
           "and counts it")


def reloads():
    with Site() as site:
        def reload():
            for _ in range(8):
                site.tell(signal.SIGHUP)
                time.sleep(0.25)
        answered, refused = under_load(site, reload)
        lost = arrive(site, answered)
        ok(refused == 0, "a loop of reloads fails no order", refused)
        ok(not lost, "and loses none", lost)
        until(lambda: len(site.workers()) == 2, 15)
        sets = len([name for name in os.listdir(site.journal)])
        ok(sets <= 8, "sets are used again", sets)
        ok(site.clean(), "no alert", site.log())


def stopped_and_started():
    with Site() as site:
        answered, _ = under_load(site, site.redis_stop)
        site.nginx_stop(signal.SIGQUIT)
        site.redis_start()
        site.program()
        site.nginx_start()
        lost = arrive(site, answered)
        ok(not lost, "what a worker left at exit is taken over", lost)
        answered, _ = under_load(site, lambda: None)
        ok(not arrive(site, answered), "and new orders follow")


def damaged():
    with Site() as site:
        site.redis_stop()
        for n in range(20):
            site.order("d%d" % n)
        site.nginx_stop(signal.SIGKILL)
        for folder, _, names in os.walk(site.journal):
            for name in names:
                if name.endswith(".log"):
                    with open(folder + "/" + name, "r+b") as log:
                        bytes_ = log.read()
                        at = bytes_.find(b'"d3"')
                        if at > 0:
                            log.seek(at)
                            log.write(b"\xff")
                        if b'"d19"' in bytes_:
                            log.truncate(len(bytes_.rstrip(b"\0")) - 5)
        site.redis_start()
        site.program()
        site.nginx_start()
        expected = ["d%d" % n for n in range(19) if n != 3]
        lost = arrive(site, expected)
        seen = site.stream()
        ok(not lost, "a damaged record and a torn tail cost themselves only",
           (lost, seen))
        ok("d3" not in seen and "d19" not in seen and
           "damaged bytes passed over" in site.log(), "and the log says so",
           seen)


def retained():
    with Site("retain=1s") as site:
        answered, _ = under_load(site, lambda: None)
        arrive(site, answered)
        site.tell(signal.SIGHUP)

        def logs():
            return [name for _, _, names in os.walk(site.journal)
                    for name in names if name.endswith(".log")]
        ok(until(lambda: not logs(), 15),
           "files go when they are delivered and retain has passed", logs())


def max_size():
    with Site("max_size=1m") as site:
        site.redis_stop()
        answers = [site.order("f%d" % n + "x" * 100) for n in range(400)]
        until(lambda: "max_size" in site.log(), 1)
        while "max_size" not in site.log() and len(answers) < 8000:
            answers.append(site.order("f%d" % len(answers) + "x" * 100))
        ok(all(a == 201 for a in answers),
           "a full journal: the answer still goes out", len(answers))
        log = site.log()
        ok(log.count("reached its max_size") <= 2
           and "[crit]" in log and log.count("are being lost") <= 2,
           "said once a worker", log[-2000:])
        site.redis_start()
        site.program()
        ok(until(lambda: site.order("again") == 201
                 and "again" in site.stream(), 10),
           "Redis back: orders go directly, or by a journal that has room")


def full_disk():
    folder = tempfile.mkdtemp(prefix="loyalty-full-")
    mounted = os.getuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", folder],
        stderr=subprocess.DEVNULL).returncode == 0
    if not mounted:
        os.rmdir(folder)
        ok(True, "full disk # SKIP no tmpfs to fill")
        return
    try:
        with open(folder + "/ballast", "wb") as ballast:
            ballast.write(bytes(4 * 1024 * 1024 - 128 * 1024))
        with Site(journal=folder + "/journal") as site:
            answers = [site.order("n%d" % n) for n in range(50)]
            ok(all(a == 201 for a in answers),
               "a full disk: the answer still goes out", answers)
            lost = missing(site, ["n%d" % n for n in range(50)])
            ok(not lost, "the order has gone directly to Redis", lost)
            log = site.log()
            ok(1 <= log.count("can not be written") <= 2, "said once a worker",
               log)
            ok(site.metric("loyalty_orders_direct_total") == 50
               and site.metric("loyalty_journal_failures_total") >= 50,
               "and counted")
            os.unlink(folder + "/ballast")
            site.nginx_stop()
    finally:
        subprocess.run(["umount", folder])
        os.rmdir(folder)


def unusable():
    """The journal's folder is there, but no folder."""
    with Site() as site:
        site.nginx_stop()
        subprocess.run(["rm", "-rf", site.journal], check=True)
        with open(site.journal, "w"):
            pass
        site.nginx_start()
        answers = [site.order("z%d" % n) for n in range(10)]
        lost = arrive(site, ["z%d" % n for n in range(10)])
        ok(all(a == 201 for a in answers) and not lost,
           "a folder of no use: orders go directly", (answers, lost))
        ok("can not be used" in site.log(), "and the log says so", site.log())


def aborted():
    with Site() as site:
        for n in range(5):
            connection = socket.create_connection(("127.0.0.1", PORT))
            connection.sendall(("GET /slow?m=bob&id=a%d HTTP/1.1\r\n"
                                "Host: shop\r\n\r\n" % n).encode())
            time.sleep(0.3)
            connection.close()
        lost = arrive(site, ["a%d" % n for n in range(5)])
        ok(not lost, "a shopper who leaves does not take the order along",
           lost)
        ok(site.clean(), "no alert", site.log())


def everysec():
    with Site("sync=everysec") as site:
        answered, _ = under_load(site, lambda: None)
        ok(not arrive(site, answered), "sync=everysec")
        syncs = site.metric("loyalty_journal_syncs_total")
        ok(syncs < 20, "a sync a second", syncs)
        ok(until(lambda: site.metric("loyalty_journal_syncs_total") > 0, 3),
           "at least one")


def unknown():
    """Redis away from the start: nobody knows the site's currency."""
    with Site(redis=False) as site:
        answers = [site.order("u%d" % n) for n in range(10)]
        ok(all(a == 201 for a in answers), "no Redis at all: answered",
           answers)
        site.nginx_stop(signal.SIGKILL)
        site.nginx_start()
        site.redis_start()
        site.program()
        lost = arrive(site, ["u%d" % n for n in range(10)])
        ok(not lost and '"total":300' in
           site.redis("xrange", STREAM, "-", "+"),
           "the events are made when the site is known",
           (lost, site.stream(), site.log()))
        ok(site.clean(), "no alert", site.log())


class Merchant(http.server.ThreadingHTTPServer):
    """The merchant's own system: it keeps what it is sent."""

    allow_reuse_address = True

    def __init__(self, status=200, delay=0):
        self.got = []
        self.status = status
        self.delay = delay
        super().__init__(("127.0.0.1", PORT + 2), Receiver)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.delay)
        self.server.got.append((self.path, self.headers, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def posts(site):
    return site.redis("xrange", "loyalty:s:{demo}:posts", "-", "+")


def posted():
    with Merchant() as crm, Site() as site:
        for n in range(40):
            site.order("p%d" % n, path="/posted")
        ok(until(lambda: len(crm.got) >= 40, 5)
           and sorted(got[2]["order_id"] for got in crm.got)
           == sorted("p%d" % n for n in range(40)),
           "each order is posted to the merchant's location, once",
           len(crm.got))
        path, headers, event = crm.got[0]
        ok(path == "/crm/orders" and event["total"] == 300
           and event["member_id"] == "bob"
           and headers["Content-Type"] == "application/json"
           and len({got[1]["Idempotency-Key"] for got in crm.got}) == 40,
           "as an event, with a key of its own", str(headers))
        ok(posts(site) == "" and site.metric("loyalty_order_posts_total") == 40,
           "nothing is left to the back end")
        ok(site.clean(), "no alert", site.log())


def posted_slowly():
    with Merchant(delay=1) as crm, Site() as site:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        began = time.time()
        for n in range(5):
            connection.request("GET", "/posted?m=bob&id=s%d" % n)
            connection.getresponse().read()
        took = time.time() - began
        connection.close()
        ok(took < 0.8, "a slow merchant does not hold the shopper", took)
        ok(until(lambda: len(crm.got) == 5, 10), "and gets the orders")


def posted_in_vain():
    with Merchant(status=500) as crm, Site() as site:
        site.order("v1", path="/posted")
        ok(until(lambda: '"v1"' in posts(site), 5) and len(crm.got) == 1,
           "what the merchant refuses is left to the back end", posts(site))
        ok("\nu\n/crm/orders" in posts(site), "with its URI", posts(site))
    with Site() as site:
        site.order("v2", path="/posted")
        ok(until(lambda: '"v2"' in posts(site), 5),
           "and what it does not answer", posts(site))
        site.redis_stop()
        site.order("v3", path="/posted")
        site.nginx_stop(signal.SIGKILL)
        site.redis_start()
        site.program()
        with Merchant() as crm:
            site.nginx_start()
            ok(until(lambda: any(got[2]["order_id"] == "v3"
                                 for got in crm.got), 10),
               "a post survives kill -9 of nginx", crm.got)


TESTS = [unknown, posted, posted_slowly, posted_in_vain,
         killed_workers, killed_everything, redis_away, redis_hung,
         bad_orders, flushed, reloads, stopped_and_started, damaged, retained,
         max_size, full_disk, unusable, aborted, everysec]

wanted = sys.argv[1:]
for test in TESTS:
    if wanted and test.__name__ not in wanted:
        continue
    try:
        test()
    except Exception as error:  # a suite that dies is a failure
        ok(False, test.__name__, repr(error))
print("1..%d" % count)
sys.exit(failed != 0)
