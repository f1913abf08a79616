"""A Redis client of the standard library alone, for scripts/backup and
scripts/restore: pipelines, AUTH, TLS, and in a cluster the node of a key."""

import socket
import ssl


def options(parser):
    parser.add_argument("--redis", default="127.0.0.1:6379",
                        metavar="unix:PATH|HOST:PORT")
    parser.add_argument("--db", type=int, default=0)
    parser.add_argument("--user", default="")
    parser.add_argument("--password-file")
    parser.add_argument("--prefix", default="loyalty")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--tls-ca")


class RedisError(Exception):
    pass


class Client:
    def __init__(self, arguments, address=None):
        self.arguments = arguments
        self.address = address or arguments.redis
        try:
            self.connect(self.address)
        except OSError as error:
            raise RedisError(f"no Redis at {self.address}: "
                             f"{error.strerror or error}") from None
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rb")
        if arguments.password_file:
            with open(arguments.password_file, encoding="utf-8") as file:
                password = file.read().rstrip("\n")
            self.call("AUTH", *filter(None, [arguments.user]), password)
        if arguments.db:
            self.call("SELECT", str(arguments.db))

    def connect(self, address):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address[5:])
            return
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise RedisError(f"'{address}' is no address of Redis: write "
                             "HOST:PORT or unix:PATH")
        self.socket = socket.create_connection((host.strip("[]"), int(port)))
        if self.arguments.tls:
            context = ssl.create_default_context(cafile=self.arguments.tls_ca)
            self.socket = context.wrap_socket(self.socket,
                                              server_hostname=host.strip("[]"))

    def at(self, key):
        """A client at the node that has the key."""
        try:
            self.call("TYPE", key)
            return self
        except RedisError as error:
            words = str(error).split()
            if words[0] != "MOVED":
                raise
            return Client(self.arguments, words[2])

    def another(self):
        """A connection of its own to the same node."""
        return Client(self.arguments, self.address)

    def call(self, *command):
        return self.pipeline([command])[0]

    def send(self, commands):
        out = bytearray()
        for command in commands:
            out += b"*%d\r\n" % len(command)
            for word in command:
                word = word if isinstance(word, bytes) else str(word).encode()
                out += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(out)

    def pipeline(self, commands):
        """The replies; the first error is raised when all have come."""
        replies = self.replies(commands)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def replies(self, commands):
        """The replies, errors among them."""
        self.send(commands)
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline()
        if not line:
            raise RedisError("Redis has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        count = int(rest)
        if count < 0:
            return None
        if kind == b"$":
            return self.file.read(count + 2)[:-2]
        return [self.read() for _ in range(count)]
