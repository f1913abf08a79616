"""The edge beside what nginx people use today, in one run.

One nginx, one worker, pinned to core 0; wrk and the upstream on core 1.  Every
way of doing a job is a server of the same process, so that all carry the
same modules and answer the same request.  Rounds are interleaved; figures are medians over rounds, ratios
are taken within a round: of requests per second, and of the worker's processor
time (threads included), which other load on the machine disturbs less.

Orders are captured with the back end on hold, since in production it has a
machine of its own; Redis takes them meanwhile, on core 1, where the load is:
it too has another machine.  The upstream keeps as many connections as there
are clients: orders of one group are answered at once, and so the next ones
come at once.
"""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
import demo

ROUNDS = int(os.environ.get("ROUNDS", 5))
SECONDS = int(os.environ.get("SECONDS_EACH", 2))
MODULES = Path("/usr/lib/nginx/modules")
MEMBER = "17850"
MARKER = "<loyalty-status></loyalty-status>"

CONF = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
load_module {modules}/ngx_http_js_module.so;
load_module {module};
user root;
worker_processes 1;
worker_cpu_affinity 01;
daemon off;
pid {run}/bench.pid;
error_log {run}/bench.log notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/f; uwsgi_temp_path {run}/u; scgi_temp_path {run}/s;
    open_file_cache max=100;
    js_path {run};
    js_import bench.js;
    js_set $js_tier bench.tier;
    lua_shared_dict members 10m;
    init_by_lua_block {{
        ngx.shared.members:set("bench:17850", "silver,2500,recurring") }}

    loyalty_redis unix:{redis};
    loyalty_zone loyalty 64m;
    loyalty_journal {run}/journal;

    upstream shop {{ server unix:{run}/upstream.sock; keepalive 64; }}
    upstream auth {{ server unix:{run}/auth.sock; keepalive 32; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    loyalty_site demo;
    loyalty_member $cookie_member;
    root {run}/html;

    {servers}
}}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location / {{ {way} }}
    }}
"""

LUA_INJECT = """
    header_filter_by_lua_block {{ ngx.header.content_length = nil }}
    body_filter_by_lua_block {{
        ngx.arg[1] = ngx.re.sub(ngx.arg[1] or "", "{marker}", '{badge}',
                                "jo") }}"""

NJS_INJECT = "js_body_filter bench.inject; js_header_filter bench.length;"

# A server each: the same request line, the same search for its location.
WAYS = {
    "static/off": "",
    "static/add_header": "add_header X-Status silver;",
    "static/loyalty_headers": """
        loyalty on; loyalty_headers on;
        add_header X-Status $loyalty_tier;""",
    "static/lua_headers": """
        access_by_lua_block {{
            local v = ngx.shared.members:get("bench:" ..
                                             ngx.var.cookie_member)
            local tier, points = v:match("([^,]*),([^,]*)")
            ngx.req.set_header("X-Loyalty-Tier", tier)
            ngx.req.set_header("X-Loyalty-Points", points)
            ngx.header["X-Status"] = tier }}""",
    "static/njs_headers": "add_header X-Status $js_tier;",
    "static/auth_request": """
        auth_request /auth;
        auth_request_set $tier $upstream_http_x_status;
        add_header X-Status $tier;
        location = /auth {{
            internal; auth_request off; proxy_pass http://auth; }}""",
    "static/loyalty_inject": "loyalty on; loyalty_inject html;",
    "static/sub_filter": "sub_filter '{marker}' '{badge}';",
    "static/lua_inject": LUA_INJECT,
    "static/njs_inject": NJS_INJECT,
    "proxied/off": "",
    "proxied/loyalty_inject": "loyalty on; loyalty_inject html;",
    "proxied/sub_filter": "sub_filter '{marker}' '{badge}';",
    "proxied/lua_inject": LUA_INJECT,
    "proxied/njs_inject": NJS_INJECT,
    "checkout/off": "",
    "checkout/loyalty_on": "loyalty on;",
    "checkout/capture": "loyalty on; loyalty_order json amounts=major;",
}

UPSTREAM = """
user root;
worker_processes 1;
worker_cpu_affinity 10;
daemon off;
pid {run}/upstream.pid;
error_log {run}/upstream.log notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    client_body_temp_path {run}/body2;
    proxy_temp_path {run}/proxy2;
    fastcgi_temp_path {run}/f2; uwsgi_temp_path {run}/u2; scgi_temp_path {run}/s2;
    server {{
        listen unix:{run}/upstream.sock;
        root {run}/html;
        location = /order {{
            default_type application/json;
            return 201 '{{"order_id":"$request_id","currency":"GBP",\
"lines":[{{"sku":"85123A","quantity":6,"unit_price":"2.55"}}],\
"total":"15.30"}}';
        }}
    }}
    server {{
        listen unix:{run}/auth.sock;
        location / {{ add_header X-Status silver; return 204; }}
    }}
}}
"""

NJS = """
const members = { '17850': 'silver' };
function tier(r) { return members[r.variables.cookie_member] || ''; }
function inject(r, data, flags) {
    r.sendBuffer(data.replace('MARKER', 'BADGE'), flags);
}
function length(r) { delete r.headersOut['Content-Length']; }
export default { tier, inject, length };
"""

GROUPS = {
    "headers": ("static/off", ["static/add_header", "static/loyalty_headers",
                               "static/lua_headers", "static/njs_headers",
                               "static/auth_request"]),
    "inject_static": ("static/off", ["static/loyalty_inject",
                                     "static/sub_filter", "static/lua_inject",
                                     "static/njs_inject"]),
    "inject_proxied": ("proxied/off", ["proxied/loyalty_inject",
                                       "proxied/sub_filter",
                                       "proxied/lua_inject",
                                       "proxied/njs_inject"]),
    "capture": ("checkout/off", ["checkout/loyalty_on", "checkout/capture"]),
}

CONNECTIONS = {"capture": 64}


def page():
    """7 KB of shop: the marker near the top, as in a header."""
    filler = "<p>A fine thing for the house, in oak, wool and brass.</p>\n"
    head = f"<!doctype html><html><body><header>{MARKER}</header>\n"
    tail = "</body></html>\n"
    return head + filler * ((7168 - len(head) - len(tail)) // len(filler)) + tail


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


class Bench:
    def __init__(self, environment):
        self.folder = tempfile.TemporaryDirectory(prefix="loyalty-bench-")
        self.run = Path(self.folder.name)
        (self.run / "html").mkdir()
        (self.run / "html" / "page.html").write_text(page())
        badge = ('<span class="loyalty-badge">Silver - 2 500 points, '
                 '2 500 to gold</span>')
        (self.run / "bench.js").write_text(
            NJS.replace("MARKER", MARKER).replace("BADGE", badge))
        self.ports = {name: demo.free_port() for name in WAYS}
        values = {"run": self.run, "modules": MODULES,
                  "module": os.environ["LOYALTY_MODULE"], "marker": MARKER,
                  "badge": badge, "redis": environment["REDIS_SOCKET"]}
        values["servers"] = "".join(SERVER.format(
            port=port, way=self.way(name).format(**values))
            for name, port in self.ports.items())
        self.processes = []
        for name, text in (("upstream", UPSTREAM), ("bench", CONF)):
            conf = self.run / f"{name}.conf"
            conf.write_text(text.format(**values))
            self.processes.append(subprocess.Popen(
                ["nginx", "-p", str(self.run), "-e", self.run / f"{name}.log",
                 "-c", str(conf)]))
        time.sleep(1)
        self.worker = int(subprocess.run(
            ["pgrep", "-P", (self.run / "bench.pid").read_text().strip(),
             "-o"], capture_output=True, text=True).stdout.split()[0])

    @staticmethod
    def way(name):
        passed = "" if name.startswith("static/") else "proxy_pass http://shop;"
        return WAYS[name] + passed

    def address(self, name):
        page = "order" if name.startswith("checkout/") else "page.html"
        return f"http://127.0.0.1:{self.ports[name]}/{page}"

    def close(self):
        for process in self.processes:
            process.terminate()
            process.wait(10)
        self.folder.cleanup()

    def warm(self):
        """Until the link to Redis is up and the member is known."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.check("static/loyalty_headers")[1]["X-Status"]:
                return
            time.sleep(0.1)

    def check(self, name):
        request = urllib.request.Request(
            self.address(name), headers={"Cookie": "member=17850"})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode(), answer.headers

    def load(self, name, connections=16):
        """(requests per second, user and system us per request)"""
        before = cpu_ticks(self.worker)
        text = subprocess.run(
            ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}",
             f"-d{SECONDS}s",
             "-H", "Cookie: member=17850",
             self.address(name)],
            capture_output=True, text=True, check=True).stdout
        after = cpu_ticks(self.worker)
        requests = int(re.search(r"(\d+) requests in", text)[1])
        if "Non-2xx" in text:
            raise RuntimeError(f"{name}: {text}")
        tick = 1e6 / os.sysconf("SC_CLK_TCK")
        return (float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
                (after[0] - before[0]) * tick / requests,
                (after[1] - before[1]) * tick / requests)


def seed(shop):
    """The member of all requests, with a status: two orders, applied."""
    for number in (1, 2):
        code, answer = shop.post("orders", {
            "order_id": f"bench-{number}", "member_id": MEMBER,
            "status": "completed", "currency": "GBP",
            "placed_at": f"2026-01-0{number}T10:00:00Z",
            "lines": [{"sku": "85123A", "quantity": 1,
                       "unit_price": "900.00", "amount": 90000}],
            "total": 90000})
        assert code in (200, 201, 202), answer
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        member = shop.get(f"members/{MEMBER}")
        if member and member["order_count"] == 2 and member["status"]:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the member has no status: {member}")


def measure(bench, group):
    base, others = GROUPS[group]
    rounds = {name: [] for name in [base, *others]}
    for _ in range(ROUNDS):
        for name in rounds:
            rounds[name].append(bench.load(name, CONNECTIONS.get(group, 16)))
    for name, results in rounds.items():
        label = f"{group}.{name.split('/')[1]}"
        ratio = statistics.median(
            mine[0] / plain[0]
            for mine, plain in zip(results, rounds[base]))
        print(f"{label}.rps {statistics.median(r[0] for r in results):.0f}")
        cpu = statistics.median(
            sum(plain[1:]) / sum(mine[1:])
            for mine, plain in zip(results, rounds[base]))
        print(f"{label}.ratio {ratio:.3f}")
        print(f"{label}.cpu_ratio {cpu:.3f}")
        print(f"{label}.user_us {statistics.median(r[1] for r in results):.2f}")
        print(f"{label}.system_us "
              f"{statistics.median(r[2] for r in results):.2f}", flush=True)


def hold(shop, wanted, what):
    if wanted:
        for pid in shop.workers("backend"):
            os.kill(pid, what)
        for pid in shop.redis_pid():
            subprocess.run(["taskset", "-a", "-p", "-c", "1", str(pid)],
                           capture_output=True, check=True)


def main():
    groups = os.environ.get("BENCH", " ".join(GROUPS)).split()
    with demo.Demo() as shop:
        seed(shop)
        bench = Bench(shop.env)
        try:
            bench.warm()
            for group in groups:
                for name in [GROUPS[group][0], *GROUPS[group][1]]:
                    body, headers = bench.check(name)
                    if "inject" in name or "sub_filter" in name:
                        assert MARKER not in body, f"{name} changed nothing"
                    elif group == "headers" and not name.endswith("/off"):
                        assert headers["X-Status"] is not None, name
                hold(shop, group == "capture", signal.SIGSTOP)
                measure(bench, group)
                hold(shop, group == "capture", signal.SIGCONT)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
