#!/usr/bin/python3
"""Delivery against a real mail server (aiosmtpd, TLS and passwords) and HTTP
stand-ins that answer slowly, wrongly, 429 and 5xx."""

import asyncio
import email
import email.policy
import email.utils
import http.server
import json
import os
import signal
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword  # noqa: E402
from demo import ROOT, Tap, free_port  # noqa: E402

TAP = Tap()
MODULE = ROOT / "ngx_loyalty_module"


def build(folder):
    program = folder / "deliver"
    sources = [ROOT / "t/lib/deliver.c", MODULE / "backend/loyalty_address.c",
               MODULE / "backend/loyalty_transfer.c",
               MODULE / "backend/loyalty_couriers.c",
               MODULE / "backend/loyalty_crew.c",
               *sorted((MODULE / "backend").glob("loyalty_delivery*.c")),
               *sorted((MODULE / "core").glob("*.c"))]
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-w",
                    "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", f"-I{MODULE}/core",
                    f"-I{MODULE}/backend", *sources, "-o", program,
                    "-ljansson", "-lpcre2-8", "-lcrypto", "-licuuc", "-lcurl",
                    "-pthread"], check=True)
    return program


class Deliver:
    """One running deliver; send() gives its answer."""

    def __init__(self, program, folder, channels):
        file = folder / f"delivery-{time.monotonic_ns()}.json"
        file.write_text(json.dumps(channels))
        self.process = subprocess.Popen([program, file], text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def post(self, **envelope):
        self.process.stdin.write(json.dumps({
            "channel": "email", "id": "m1", "to": "ada@example.com",
            "sender_name": "Lantern & Loom",
            "sender_address": "shop@example.com", "subject": "Hello",
            "text": "Hello, Ada", **envelope}) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def send(self, **envelope):
        self.post(**envelope)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        TAP.ok(self.process.wait(20) == 0, "it ends cleanly, nothing leaks")
        self.process.stdout.close()


# Mail.

class Post:
    """What the mail server got; refuses by the address."""

    def __init__(self):
        self.mails = []
        self.slow = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later"):
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos[0].startswith("spam"):
            return "554 5.7.1 looks like spam"
        if self.slow:
            await asyncio.sleep(self.slow)
        self.mails.append((session.ssl is not None, session.authenticated,
                           envelope))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (isinstance(data, LoginPassword) and data.login == b"loyalty"
            and data.password == b"s3cret")
    return AuthResult(success=good, handled=good)


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class Server(Controller):
    """STARTTLS required before AUTH, AUTH before mail."""

    def __init__(self, handler, context, **options):
        self.context = context
        self.options = options
        super().__init__(handler, hostname="127.0.0.1", port=free_port())

    def factory(self):
        return SMTP(self.handler, tls_context=self.context, timeout=60,
                    enable_SMTPUTF8=False, **self.options)


SUBJECTS = [
    "Hello",
    "Grüße aus Köln, Ihr Gutschein über 5 £ ist da und wartet schon auf Sie",
    "特別なご案内です。" * 12,
    "a " * 200 + "end",
    "x" * 190,
    "=?utf-8?q?not_encoded?=",
    "🎁" * 60,
    "two  blanks  inside",
]

TEXTS = [
    "Hello\n.\n..two dots\n.\nend",
    "line ends with blank \nand tab\t\n",
    "no line end",
    "=3D is not an equals sign; 100% = 1\r\nCRLF\rCR\nLF",
    "Grüße\n" + "ü" * 300,
    "ご案内" * 200,
    "w" * 2000,
    "From here\n--\n=_not-a-boundary\n--=_\n",
]


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def test_smtp(program, folder):
    context = certificate(folder)
    post = Post()
    server = Server(post, context, require_starttls=True, auth_required=True,
                    authenticator=authenticate)
    server.start()
    (folder / "password").write_text("s3cret\n")
    (folder / "wrong").write_text("guess\n")
    smtp = {"url": f"smtp://localhost:{server.port}", "ca_file": "cert.pem",
            "user": "loyalty", "password_file": "password",
            "helo": "shop.example"}

    with Deliver(program, folder, {"email": {"smtp": smtp}}) as deliver:
        answer = deliver.send(
            id="welcome.1f3a.1", html="<p>Hello, <b>Ada</b></p>",
            unsubscribe_url="https://shop.example/loyalty/t/u/" + "A" * 180)
        TAP.ok(answer["result"] == "sent", "a mail is sent", answer)
        secure, known, envelope = post.mails[-1]
        raw = envelope.original_content or envelope.content
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        TAP.ok(secure and known, "under TLS, with the password")
        TAP.ok(envelope.mail_from == "shop@example.com"
               and envelope.rcpt_tos == ["ada@example.com"], "sender, receiver",
               envelope.mail_from)
        TAP.ok(mail["List-Unsubscribe"] == "<https://shop.example/loyalty/t/u/"
               + "A" * 180 + ">" and mail["List-Unsubscribe-Post"]
               == "List-Unsubscribe=One-Click", "one click unsubscribes",
               str(mail))
        TAP.ok(mail["Message-ID"] == "<welcome.1f3a.1.demo@example.com>",
               "the Message-ID is the message's", mail["Message-ID"])
        TAP.ok(mail["Date"] == "Wed, 01 Jan 2025 12:00:00 +0000", "Date",
               mail["Date"])
        TAP.ok(mail["From"] == '"Lantern & Loom" <shop@example.com>'
               or str(mail["From"].addresses[0].display_name)
               == "Lantern & Loom", "From", mail["From"])
        parts = [p for p in mail.walk() if not p.is_multipart()]
        TAP.ok([p.get_content_type() for p in parts]
               == ["text/plain", "text/html"]
               and mail.get_content_type() == "multipart/alternative"
               and parts[0].get_content().rstrip() == "Hello, Ada"
               and parts[1].get_content().rstrip()
               == "<p>Hello, <b>Ada</b></p>",
               "text and HTML are alternatives", str(mail))

        for subject in SUBJECTS:
            deliver.send(subject=subject)
            raw = post.mails[-1][2].original_content
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            TAP.ok(mail["Subject"] == subject
                   and all(len(line) <= 998 for line in raw.split(b"\r\n"))
                   and all(len(line) <= 78 for line in
                           raw.split(b"\r\n\r\n")[0].split(b"\r\n")
                           if line.startswith((b"Subject", b" "))),
                   f"a subject comes through: {subject[:30]}", mail["Subject"])

        for text in TEXTS:
            deliver.send(text=text)
            raw = post.mails[-1][2].original_content
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            TAP.ok(lines(mail.get_content()) == lines(text)
                   and b"\n" not in raw.replace(b"\r\n", b"")
                   and all(len(line) <= 78 for line in raw.split(b"\r\n")),
                   f"a text comes through: {text[:20]!r}",
                   repr(mail.get_content())[:300])

        for field, value in (
                ("subject", "Hi\r\nBcc: eve@example.com\r\n\r\nbody"),
                ("sender_name", "Shop\r\nBcc: eve@example.com"),
                ("sender_name", 'Quote " and \\ it'),
                ("sender_name", "Käse & Söhne, GmbH")):
            deliver.send(**{field: value})
            mail = email.message_from_bytes(post.mails[-1][2].original_content,
                                            policy=email.policy.default)
            TAP.ok(mail["Bcc"] is None and lines(mail.get_content())
                   == "Hello, Ada" and mail["To"] == "ada@example.com",
                   f"{field} begins no header", str(mail))
        TAP.ok(mail["From"].addresses[0].display_name == "Käse & Söhne, GmbH",
               "a name with anything in it", mail["From"])

        count = len(post.mails)
        for bad in ("ada@example.com\r\nRCPT TO:<eve@example.com>",
                    "ada@example.com>\r\nDATA", "ada@example.com, b@c.d",
                    "no-at-sign", "a@b@c", "ä@example.com", "@example.com",
                    "a" * 255 + "@example.com"):
            answer = deliver.send(to=bad)
            TAP.ok(answer["result"] == "permanent"
                   and len(post.mails) == count,
                   f"{bad[:24]!r} is no address", answer)

        answer = deliver.send(to="gone@example.com")
        TAP.ok(answer["result"] == "permanent" and "no such" in answer["error"],
               "550 is for good, and the log says what was said", answer)
        answer = deliver.send(to="spam@example.com")
        TAP.ok(answer["result"] == "permanent" and "spam" in answer["error"],
               "so is 554 of the mail itself", answer)
        answer = deliver.send(to="later@example.com")
        TAP.ok(answer["result"] == "passing", "451 may pass", answer)
        answer = deliver.send()
        TAP.ok(answer["result"] == "sent", "and the next mail goes out", answer)

        post.slow = 0.3
        answer = deliver.send(copies=24)
        TAP.ok(answer["most"] == 8 and 900 <= answer["ms"] < 4000,
               "eight at once, by connections that are kept", answer)

        post.slow = 30
        deliver.post(copies=8)
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(deliver.process.pid, signal.SIGUSR1)
        answer = deliver.answer()
        took = time.monotonic() - began
        TAP.ok(answer["result"] == "stopped" and took < 1.2,
               "told to stop, it does within a second", (answer, took))
        began = time.monotonic()
    TAP.ok(time.monotonic() - began < 1, "and waits for no good-bye")
    post.slow = 0

    for change, wanted, name in (
            ({"password_file": "wrong"}, "passing", "a wrong password is the "
             "operator's to mend"),
            ({"ca_file": None}, "passing", "an unknown certificate, too")):
        conf = {k: v for k, v in {**smtp, **change}.items() if v is not None}
        count = len(post.mails)
        with Deliver(program, folder, {"email": {"smtp": conf}}) as deliver:
            answer = deliver.send()
            TAP.ok(answer["result"] == wanted and len(post.mails) == count,
                   name, answer)
    server.stop()

    with Deliver(program, folder, {"email": {"smtp": smtp}}) as deliver:
        answer = deliver.send()
        TAP.ok(answer["result"] == "passing", "no server: it may pass", answer)

    whole = Controller(post, hostname="127.0.0.1", port=free_port(),
                       ssl_context=context)
    whole.start()
    smtps = {"url": f"smtps://localhost:{whole.port}", "ca_file": "cert.pem"}
    with Deliver(program, folder, {"email": {"smtp": smtps}}) as deliver:
        answer = deliver.send(text="over TLS")
        TAP.ok(answer["result"] == "sent" and b"over TLS"
               in post.mails[-1][2].content, "TLS from the start", answer)
    whole.stop()

    plain = Server(post, None)
    plain.start()
    smtp = {"url": f"smtp://127.0.0.1:{plain.port}"}
    for tls, wanted in (("required", "passing"), ("optional", "sent"),
                        ("off", "sent")):
        with Deliver(program, folder,
                     {"email": {"smtp": {**smtp, "tls": tls}}}) as deliver:
            answer = deliver.send()
            TAP.ok(answer["result"] == wanted,
                   f"a server without TLS, TLS {tls}: {wanted}", answer)
    plain.stop()


class Script(socketserver.StreamRequestHandler):
    """A mail server that says what it is told to: {command: reply}; "" hangs
    up, and "mail" is what it says to the mail itself."""

    says = {}

    def reply(self, command, usual):
        said = self.says.get(command, usual)
        if not said:
            raise ConnectionError
        self.wfile.write(said.encode() + b"\r\n")
        return said.startswith("3")

    def handle(self):
        try:
            self.reply("greeting", "220 mail.example")
            for line in self.rfile:
                command = line.split()[0].upper().decode()
                if self.reply(command, "354 go on" if command == "DATA"
                              else "250 OK"):
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                    self.reply("mail", "250 taken")
        except ConnectionError:
            pass


def test_refusals(program, folder):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Script)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    conf = {"email": {"smtp": {"tls": "off", "url": "smtp://127.0.0.1:"
                               f"{server.server_address[1]}"}}}
    helo = {"EHLO": "502 what?"}  # which HELO recovers from
    for says, wanted, said in (
            ({}, "sent", ""),
            (helo, "sent", ""),
            ({**helo, "RCPT": "550 no such mailbox"}, "permanent", "550"),
            ({**helo, "RCPT": "451 later"}, "passing", "451"),
            ({**helo, "MAIL": ""}, "passing", ""),
            ({**helo, "RCPT": ""}, "passing", ""),
            ({**helo, "DATA": ""}, "passing", ""),
            ({**helo, "mail": ""}, "passing", ""),
            ({**helo, "HELO": ""}, "passing", "502"),
            ({"EHLO": ""}, "passing", ""),
            ({"greeting": ""}, "passing", ""),
            ({"greeting": "554 not you"}, "passing", "554"),
            ({"greeting": "421 busy"}, "passing", "421"),
            ({**helo, "HELO": "550 not you"}, "passing", "550"),
            ({"MAIL": "553 whose address is that"}, "permanent", "553"),
            ({"MAIL": "530 authenticate first"}, "passing", "530"),
            ({"MAIL": "534 too weak"}, "passing", "534"),
            ({"MAIL": "535 wrong password"}, "passing", "535"),
            ({"MAIL": "538 encrypt first"}, "passing", "538"),
            ({"RCPT": "530 authenticate first"}, "passing", "530"),
            ({"RCPT": "421 shutting down"}, "passing", "421"),
            ({"DATA": "554 no valid recipients"}, "permanent", "554"),
            ({"DATA": "451 later"}, "passing", "451"),
            ({"mail": "554 spam"}, "permanent", "554"),
            ({"mail": "452 disk full"}, "passing", "452")):
        Script.says = says
        with Deliver(program, folder, conf) as deliver:
            answer = deliver.send()
        TAP.ok(answer["result"] == wanted and said in answer["error"]
               and ("502" in answer["error"]) == (said == "502"),
               f"{says}: {wanted}", answer)
    server.shutdown()
    server.server_close()


# HTTP.

class Provider(http.server.BaseHTTPRequestHandler):
    """Answers as the receiver's address says: a status, or a habit."""

    protocol_version = "HTTP/1.1"
    seen = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        text = body.decode()
        to = (json.loads(text)["to"] if text.startswith("{") else
              urllib.parse.parse_qs(text)["To"][0])
        habit, _, detail = to.partition(":")
        if habit == "slow":
            time.sleep(float(detail))
            habit = "200"
        if habit == "hang":
            time.sleep(5)
            self.close_connection = True
            return
        if habit == "cut":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            return
        if habit == "garbage":
            self.close_connection = True
            self.wfile.write(b"\x00\xffnonsense\r\n\r\n")
            return
        if habit == "long":
            answer = b"x" * (1 << 20)
            habit = "200"
        elif habit == "html":
            answer = b"<html>It works!</html>"
            habit = "200"
        elif habit == "letters":
            answer, habit = ("x" + "\u3042" * 100).encode(), "400"
        elif habit == "latin":
            answer, habit = b"\xe9t\xe9", "400"
        elif habit == "code":
            answer = json.dumps({"code": int(detail)}).encode()
            habit = "400"
        else:
            answer = json.dumps({"sid": "SM1", "id": "x"}).encode()
        self.send_response(int(habit) if habit.isdigit() else 200)
        if detail.startswith("after="):
            self.send_header("Retry-After", detail[6:])
        if habit.startswith("3"):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        try:
            self.wfile.write(answer)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def adapted(folder, name, port, **changes):
    """A ready adapter that talks to the stand-in."""
    adapter = json.loads((ROOT / "conf/adapters" / f"{name}.json").read_text())
    url = urllib.parse.urlsplit(adapter["url"])
    adapter["url"] = f"http://127.0.0.1:{port}{url.path}"
    adapter.update(changes)
    (folder / f"{name}.json").write_text(json.dumps(adapter))
    return f"{name}.json"


def test_http(program, folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    (folder / "secret").write_text("t0ken\n")
    values = {"account": "AC/1", "from": "+15005550006"}
    channels = {
        "sms": {"adapter": adapted(folder, "twilio", port, rate=0),
                "secret_file": "secret", "values": values, "timeout": 2},
        "line": {"adapter": adapted(folder, "line", port, rate=5),
                 "secret_file": "secret", "timeout": 2}}

    with Deliver(program, folder, channels) as deliver:
        text = 'Hi "Ada" & co \\ <b>\n{{x}} 20 % £'
        answer = deliver.send(channel="sms", to="+4479460000", text=text)
        path, headers, body = Provider.seen[-1]
        form = urllib.parse.parse_qs(body.decode())
        TAP.ok(answer["result"] == "sent" and answer["reference"] == "SM1",
               "an SMS is sent; the provider's id is kept", answer)
        TAP.ok(path == "/2010-04-01/Accounts/AC%2F1/Messages.json",
               "a value in the URL is escaped", path)
        TAP.ok(headers["Authorization"] == "Basic QUMvMTp0MGtlbg==",
               "the secret goes as the provider wants it", headers)
        TAP.ok(form == {"To": ["+4479460000"], "From": ["+15005550006"],
                        "Body": [text]},
               "the form says what it should, and nothing empty", form)

        answer = deliver.send(channel="line", id="m/1", to="200:U1", text=text)
        path, headers, body = Provider.seen[-1]
        TAP.ok(json.loads(body) == {"to": "200:U1", "messages": [
            {"type": "text", "text": text}]}, "JSON, whatever is in the text",
            body)
        key = headers["X-Line-Retry-Key"]
        deliver.send(channel="line", id="m/1", to="409:U1", text=text)
        again = Provider.seen[-1][1]["X-Line-Retry-Key"]
        deliver.send(channel="line", id="m/2", to="200:U1", text=text)
        other = Provider.seen[-1][1]["X-Line-Retry-Key"]
        TAP.ok(key == again != other and len(key) == 36,
               "the key is the message's, a UUID", (key, again, other))
        TAP.ok(headers["Authorization"] == "Bearer t0ken", "bearer", headers)

        for to, channel, wanted in (
                ("200", "sms", "sent"), ("201", "sms", "sent"),
                ("409", "line", "sent"), ("400", "line", "permanent"),
                ("400", "sms", "permanent"), ("404", "sms", "permanent"),
                ("401", "sms", "passing"), ("403", "sms", "passing"),
                ("408", "sms", "passing"), ("429", "sms", "passing"),
                ("500", "sms", "passing"), ("503", "sms", "passing"),
                ("302", "sms", "passing"), ("code:21211", "sms", "permanent"),
                ("code:20429", "sms", "passing"), ("html", "sms", "passing"),
                ("cut", "sms", "passing"), ("garbage", "sms", "passing"),
                ("long", "sms", "passing"), ("hang", "sms", "passing"),
                ("slow:0.5", "sms", "sent")):
            answer = deliver.send(channel=channel, to=to)
            TAP.ok(answer["result"] == wanted and answer["ms"] < 3000,
                   f"{to}: {wanted}", answer)
            TAP.ok("t0ken" not in answer["error"], "no secret is told", answer)

        said = [deliver.send(channel="sms", to=to)["error"]
                for to in ("letters", "latin")]
        TAP.ok(said == ["status 400: x" + "\u3042" * 66 + "?",
                        "status 400: ?t?"],
               "what the provider says can be read, cut off or no UTF-8", said)

        answer = deliver.send(channel="sms", to="429:after=7")
        TAP.ok(answer["retry_after"] == 7000, "Retry-After in seconds", answer)
        date = email.utils.formatdate(time.time() + 30, usegmt=True)
        answer = deliver.send(channel="sms", to=f"503:after={date}")
        TAP.ok(25000 <= answer["retry_after"] <= 31000, "and as a date", answer)
        answer = deliver.send(channel="sms", to="503:after=99999999")
        TAP.ok(answer["retry_after"] == 86400000, "within a day", answer)

        answer = deliver.send(channel="messenger", to="1")
        TAP.ok(answer["result"] == "permanent" and "messenger" in
               answer["error"], "a channel that is not configured", answer)

        began = time.monotonic()
        for _ in range(6):
            deliver.send(channel="line", to="200", wait=True)
        took = time.monotonic() - began
        TAP.ok(took >= 1, "no more than the rate", took)

        answer = deliver.send(channel="sms", to="slow:0.3", copies=24)
        TAP.ok(answer["most"] == 8 and 900 <= answer["ms"] < 2400,
               "eight at once", answer)

        deliver.post(channel="sms", to="slow:1.9", copies=8)
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(deliver.process.pid, signal.SIGUSR1)
        answer = deliver.answer()
        TAP.ok(answer["result"] == "stopped"
               and time.monotonic() - began < 1, "stops at once", answer)

    adapted(folder, "messenger", port)
    with Deliver(program, folder, {"messenger": {
            "adapter": "messenger.json", "secret_file": "secret",
            "values": {"page": "42"}}}) as deliver:
        Provider.seen.clear()
        deliver.post(channel="messenger", to="77", text="Hi")
        time.sleep(0.5)
    path, headers, body = Provider.seen[-1]
    TAP.ok(path == "/v19.0/42/messages" and json.loads(body) == {
        "recipient": {"id": "77"}, "messaging_type": "UPDATE",
        "message": {"text": "Hi"}}, "Messenger", (path, body))
    server.shutdown()


def test_mailbox(program, folder):
    box = folder / "box"
    box.mkdir()
    with Deliver(program, folder, {"email": {"mailbox": "box"},
                                   "sms": {"mailbox": "box"}}) as deliver:
        deliver.send(id="r.1")
        deliver.send(id="r.1")
        deliver.send(channel="sms", id="../../etc/x", to="+1", text="Grüße")
        names = sorted(p.name for p in box.iterdir())
        TAP.ok(names == ["demo-.._.._etc_x.json", "demo-r.1.eml"],
               "a file a message, whatever its id", names)
        sms = json.loads((box / "demo-.._.._etc_x.json").read_text())
        TAP.ok(sms["to"] == "+1" and sms["text"] == "Grüße"
               and sms["channel"] == "sms", "a text message as JSON", sms)


def refused(program, folder, conf):
    file = folder / "bad.json"
    file.write_text(conf if isinstance(conf, str) else json.dumps(conf))
    done = subprocess.run([program, file], input="", text=True,
                          capture_output=True, timeout=20)
    return done.stderr if done.returncode == 1 else ""


def test_configuration(program, folder):
    good = {"url": "https://api.example/{{to}}", "json": {"a": ["{{text}}"]}}
    smtp = {"url": "smtp://mail.example"}
    (folder / "empty").write_text("")
    for conf, wanted in (
            ("{", "line 1"),
            ("[]", "a JSON object"),
            ({}, "names no channel"),
            ({"fax": {}}, '"fax" is not known'),
            ({"email": {}}, "needs one of"),
            ({"email": {"mailbox": "a", "smtp": {}}}, "needs one of"),
            ({"sms": {"smtp": {}}}, "for e-mail"),
            ({"email": {"smtp": {"url": "http://x"}}}, "smtp://HOST"),
            ({"email": {"smtp": {"url": "smtp://a@b"}}}, "smtp://HOST"),
            ({"email": {"smtp": {**smtp, "user": "x"}}}, "go together"),
            ({"email": {"smtp": {**smtp, "tls": "maybe"}}}, "required, opt"),
            ({"email": {"smtp": {**smtp, "user": "x", "tls": "off",
                                 "password_file": "secret"}}}, "password"),
            ({"email": {"smtp": {**smtp, "user": "x",
                                 "password_file": "empty"}}}, "no secret"),
            ({"email": {"smtp": {**smtp, "user": "x",
                                 "password_file": "none"}}}, "be opened"),
            ({"email": {"smtp": smtp, "timeout": 121}}, "1 to 120"),
            ({"email": {"smtp": smtp, "rate": -1}}, "whole number"),
            ({"email": {"smtp": smtp, "concurrency": 0}}, "1 to 64"),
            ({"email": {"smtp": smtp, "concurrency": 65}}, "1 to 64"),
            ({"email": {"smtp": smtp, "sender": {"address": "x"}}}, "none"),
            ({"sms": {"adapter": "none.json"}}, "be opened"),
            ({**good, "url": "http://api.example/"}, "https://"),
            ({**good, "url": "https://{{to}}/"}, "https://"),
            ({**good, "url": "http://localhost.evil.example/"}, "https://"),
            ({**good, "json": {"a": "{{#open}}"}}, "template"),
            ({**good, "form": {}}, "not both"),
            ({**good, "headers": {"A b": "x"}}, "no name of a header"),
            ({**good, "headers": {"A": "x\r\nB: y"}}, "control character"),
            ({**good, "success": {"pointer": "sid"}}, "JSON Pointer"),
            ({**good, "permanent": [{"status": [99]}]}, "100 to 599"),
            ({**good, "permanent": [{}]}, "a test has"),
            ({**good, "permanent": [{"status": [400]}] * 65}, "at most 64"),
            ({**good, "headers": {f"A{i}": "x" for i in range(65)}},
             "at most 64"),
            ({**good, "auth": {"user": "x"}}, '"auth" needs'),
            ({**good, "description": "x" * 262144}, "more than 262144")):
        if "url" in conf and isinstance(conf, dict):
            (folder / "adapter.json").write_text(json.dumps(conf))
            conf = {"sms": {"adapter": "adapter.json"}}
        said = refused(program, folder, conf)
        TAP.ok(wanted in said, f"refused: {wanted}", said)
    values = {f"v{i}": "x" for i in range(65)}
    (folder / "adapter.json").write_text(json.dumps(good))
    said = refused(program, folder, {"sms": {"adapter": "adapter.json",
                                             "values": values}})
    TAP.ok("at most 64" in said, "65 values", said)


def main():
    with tempfile.TemporaryDirectory(prefix="loyalty-") as name:
        folder = Path(name)
        program = build(folder)
        test_smtp(program, folder)
        test_refusals(program, folder)
        test_http(program, folder)
        test_mailbox(program, folder)
        test_configuration(program, folder)
    TAP.done()


main()
