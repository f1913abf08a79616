"""A client of HTTP/2 that decides when it reads what, on Debian's python3-h2."""

import select
import socket
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings

INITIAL_WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE


@dataclass
class Stream:
    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: bool = False
    slow: bool = False
    owed: int = 0  # of the window


class Client:
    """Without TLS, by prior knowledge.  A stream that is not slow is given back
    at once what it has read; a slow one waits for allow()."""

    def __init__(self, path, window=65535):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="latin-1"))
        self.streams = {}
        self.closed = False
        self.h2.initiate_connection()
        self.h2.update_settings({INITIAL_WINDOW: window})
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, path, method="GET", slow=False, headers=()):
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream(slow=slow)
        self.h2.send_headers(number, [
            (":method", method), (":scheme", "http"), (":authority", "shop"),
            (":path", path), *headers], end_stream=True)
        self.flush()
        return number

    def allow(self, number, size):
        """Lets a slow stream have so many bytes more."""
        self.h2.increment_flow_control_window(size, number)
        self.flush()

    def abort(self, number):
        self.h2.reset_stream(number)
        self.flush()

    def read(self, seconds=10.0, until=None):
        """Reads until that holds, or by default until all streams have ended."""
        until = until or (lambda: all(s.ended or s.reset
                                      for s in self.streams.values()))
        end = time.monotonic() + seconds
        while not until() and not self.closed:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                break
            data = self.socket.recv(65536)
            self.closed = not data
            for event in self.h2.receive_data(data):
                self.take(event)
            for number, stream in self.streams.items():
                if stream.owed and not (stream.ended or stream.reset):
                    self.h2.increment_flow_control_window(stream.owed, number)
                stream.owed = 0
            self.flush()
        return bool(until())

    def take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = dict(event.headers)
            stream.status = int(stream.headers.pop(":status"))
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            size = event.flow_controlled_length
            if size:
                self.h2.increment_flow_control_window(size)
            stream.owed += 0 if stream.slow else size
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset) and stream:
            stream.reset = True

    def get(self, path, **options):
        number = self.ask(path, **options)
        self.read(until=lambda: self.streams[number].ended
                  or self.streams[number].reset)
        return self.streams[number]

    def close(self):
        self.socket.close()
