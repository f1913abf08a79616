#!/usr/bin/env python3
"""TLS to Redis, and names through nginx's resolver: real redis-server with
certificates made here, a DNS server of a few lines."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
from demo import Tap
from redis_client import Folder, Mock, Nginx, Redis, free_port, polite, wait

tap = Tap()
folder = Folder()


def finish(name, nginx, *servers):
    nginx.stop()
    clean, bad = nginx.clean()
    tap.ok(clean, f"{name}: a clean log", bad)
    for server in servers:
        server.stop()


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], capture_output=True,
                   check=True, cwd=folder.path)


def authority(name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem")
    return folder.path / f"{name}.pem"


def certificate(name, ca, names):
    folder.file(f"{name}.ext", f"subjectAltName={names}\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr",
            "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder.path / f"{name}.pem", folder.path / f"{name}.key"


ours = authority("ours")
theirs = authority("theirs")
cert, key = certificate("server", "ours", "DNS:redis.shop,IP:127.0.0.1")
client, client_key = certificate("client", "ours", "DNS:edge.shop")
named, named_key = certificate("named", "ours", "DNS:redis.shop")


def tls_redis(cert, key, *options):
    port = free_port()
    server = Redis(folder, "--tls-port", port, "--tls-cert-file", cert,
                   "--tls-key-file", key, "--tls-ca-cert-file", ours, *options)
    server.port = port
    return server


redis = tls_redis(cert, key, "--tls-auth-clients", "no")
base = f"127.0.0.1:{redis.port} tls=on"

nginx = Nginx(folder, f"{base} tls_ca={ours}")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "a trusted certificate, for the address", nginx.log())
tap.ok(wait(lambda: nginx.events()[-1] == "up"), "tracked over TLS")
nginx.command("SET", "k", "x" * 50)
tap.ok(nginx.command("GET", "k", at="/many")
       == "\n".join(["$" + "x" * 50] * 1000), "a thousand replies over TLS")
redis.stop()
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"), "lost")
port, redis.port = redis.port, 0
redis.start()
redis.port = port
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"), "and back",
       nginx.log())
nginx.reload()
time.sleep(0.3)
finish("TLS", nginx)

for name, more, reason in (
        ("another authority", f"tls_ca={theirs}",
         "its certificate is not trusted (19: self-signed certificate in"),
        ("no authority of ours", "", "its certificate is not trusted"),
        ("another name", f"tls_ca={ours} tls_name=other.shop",
         'its certificate is not for "other.shop", set tls_name=NAME')):
    nginx = Nginx(folder, f"{base} {more}")
    tap.ok(wait(lambda: nginx.command("GET", "k") == "declined"),
           f"{name}: declined")
    time.sleep(0.5)
    tap.ok(nginx.said(reason) == 1, f"{name}: said once", nginx.log())
    finish(name, nginx)

nginx = Nginx(folder, f"{base} tls_ca={ours} tls_name=redis.shop")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "the name in tls_name", nginx.log())
finish("tls_name", nginx, redis)

redis = tls_redis(named, named_key, "--tls-auth-clients", "no")
nginx = Nginx(folder, f"127.0.0.1:{redis.port} tls=on tls_ca={ours}")
tap.ok(wait(lambda: nginx.said('not for "127.0.0.1"') == 1),
       "a certificate without the address is not for it", nginx.log())
finish("no address", nginx, redis)

redis = tls_redis(cert, key, "--tls-auth-clients", "yes")
base = f"127.0.0.1:{redis.port} tls=on tls_ca={ours}"
nginx = Nginx(folder, base)
tap.ok(wait(lambda: nginx.command("GET", "k") in ("declined", "lost")),
       "a server that wants a certificate of ours: declined", nginx.log())
finish("no client certificate", nginx)
nginx = Nginx(folder, f"{base} tls_cert={client} tls_key={client_key}")
tap.ok(wait(lambda: nginx.command("SET", "k", "1") == "+OK"),
       "and with one", nginx.log())
finish("client certificate", nginx, redis)

# A server that speaks no TLS, one that hangs in the handshake.

plain = Redis(folder, port=free_port())
nginx = Nginx(folder, f"{plain.address} tls=on tls_ca={ours}")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined", 4),
       "a server without TLS: declined", nginx.log())
tap.ok(nginx.said("loyalty: Redis at") == 1, "said once", nginx.log())
finish("no TLS", nginx, plain)

mute = Mock(lambda connection: connection.file.read())
nginx = Nginx(folder, f"{mute.address} tls=on tls_ca={ours}")
tap.ok(wait(lambda: nginx.command("GET", "k") == "declined", 4),
       "a handshake without an answer: declined", nginx.log())
finish("mute", nginx, mute)


# Names.

class Dns:
    """Answers A queries out of a table: name -> address, or None."""

    def __init__(self, table):
        self.table = table
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            self.asked += 1
            end = query.index(b"\0", 12)
            name, at = [], 12
            while query[at]:
                name.append(query[at + 1:at + 1 + query[at]].decode())
                at += query[at] + 1
            address = self.table.get(".".join(name))
            question = query[12:end + 5]
            if address is None:
                self.socket.sendto(query[:2] + struct.pack(
                    ">HHHHH", 0x8183, 1, 0, 0, 0) + question, peer)
            elif address:
                self.socket.sendto(query[:2] + struct.pack(
                    ">HHHHH", 0x8180, 1, 1, 0, 0) + question + struct.pack(
                    ">HHHIH", 0xc00c, 1, 1, 1, 4) + socket.inet_aton(address),
                    peer)


def plainly(connection):
    while True:
        if not polite(connection, connection.readcommand()):
            connection.send(b"+OK\r\n")


mock = Mock(plainly)
dns = Dns({"redis.shop": "127.0.0.1", "silent.shop": ""})
resolver = (f"resolver {dns.address} ipv6=off valid=1s; "
            "resolver_timeout 500ms;")

nginx = Nginx(folder, f"redis.shop:{mock.port}", http=resolver)
tap.ok(wait(lambda: nginx.command("GET", "k") == "+OK"),
       "a name through the resolver", nginx.log())
tap.ok(dns.asked >= 1, "which was asked")
dns.table["redis.shop"] = None
mock.stop()
finish("a name", nginx)

for name, reason in (("none.shop", "Host not found"),
                     ("silent.shop", "Operation timed out")):
    nginx = Nginx(folder, f"{name}:6379", http=resolver)
    tap.ok(wait(lambda: nginx.command("GET", "k") == "declined", 3),
           f"{name}: declined", nginx.log())
    tap.ok(wait(lambda: nginx.said(reason) == 1), f"{name}: said once",
           nginx.log())
    finish(name, nginx)

# A sentinel that names its master: the resolver again.

mock = Mock(plainly)
dns.table["redis.shop"] = "127.0.0.1"


def sentinel(connection):
    while True:
        if connection.readcommand()[0] == b"SENTINEL":
            connection.send(b"*2\r\n$10\r\nredis.shop\r\n$%d\r\n%d\r\n"
                            % (len(str(mock.port)), mock.port))


watch = Mock(sentinel)
nginx = Nginx(folder, f"{watch.address} sentinel=shop", http=resolver)
tap.ok(wait(lambda: nginx.said("type 5") == 1 or nginx.said("ROLE") == 1),
       "a master by name is reached (and asked for its role)", nginx.log())
finish("a master by name", nginx, mock, watch)

folder.remove()
tap.done()
