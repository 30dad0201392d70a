"""A scripted client: sends exactly the bytes it is told to, and writes down exactly what comes back."""

import socket

from .wire import Ended, Stream, read_body, response_framing

# How long a connection must stay silent to be called open.
OPEN_SECONDS = 0.08


class Client(Stream):
    def __init__(self, record, label, port, source=None):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source:
            sock.bind((source, 0))
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        super().__init__(sock)
        # The connection as the proxy has it: its own end, then ours.
        self.ends = sock.getpeername(), sock.getsockname()
        self.closed = self.settled = False
        self.finals = 0
        self.record = record
        self.label = label
        self.responses = 0

    def request(self, data, method="GET"):
        self.send(data)
        return self.response(method)

    def send_last(self, data):
        """Sends `data` and the end of the stream in one segment, so that the proxy sees both at once."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.send(data)
        self.half_close()

    def response(self, method="GET"):
        """Reads and records one final response and the 1xx before it; its status, or 0 where none came whole."""
        while True:
            self.responses += 1
            label = f"{self.label} response {self.responses}"
            try:
                head = self.head()
            except Ended as end:
                self.record.add(f"{label} missing", f"{end.how} after {end.partial!r}")
                return 0
            self.record.add_head(label, head)
            if not head.startswith(b"HTTP/1.1 1") or head.startswith(b"HTTP/1.1 101"):
                self.finals += 1
                break
        try:
            body, trailers = read_body(self, head, response_framing(head, method))
            self.record.add_body(label, body, trailers)
        except Ended as end:
            self.record.add_body(f"{label} cut ({end.how})", end.partial)
            return 0
        return int(head.split(b" ", 2)[1])

    def raw_to_end(self):
        """Records whatever comes until the end, for answers that are no HTTP/1."""
        data, how = self.to_end()
        self.record.add(f"{self.label} bytes", data)
        self.record.add(f"{self.label} end", how)

    def end(self, patience=OPEN_SECONDS):
        """Records whether the proxy closed, and closes."""
        data, how = self.to_end(patience)
        if data:
            self.record.add(f"{self.label} surplus", data)
        self.record.add(f"{self.label} end", "open" if how == "silence" else how)
        self.close()

    def close(self):
        self.closed = True
        super().close()

    def reset(self):
        self.closed = True
        super().reset()
