"""A server of HTTP/1.1 that answers as the path says, and remembers what it was asked."""

import functools
import hashlib
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

PIECE = 64 * 1024


@functools.lru_cache(8)  # Those who wait for another answer shall not wait for this.
def content(length: int) -> bytes:
    """Bytes that are no repetition of one piece, the same each time."""
    piece = hashlib.shake_256(b"content").digest(min(length, 1 << 20))
    return b"".join(bytes([block & 255]) + piece[1:] for block in range(-(-length // max(1, len(piece)))))[:length]


class Origin:
    """`/` says "fine", `/bytes/N` has N bytes, `/chunked/N` too but says not how many, `/echo` gives the body back,
    `/sum` its SHA-256, `/trailers` has trailers, `/status/N` that status, `/held/NAME` waits until it is released."""

    def __init__(self):
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.released: dict[str, threading.Event] = {}
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.origin = self
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        for event in self.released.values():
            event.set()
        self.server.shutdown()
        self.server.server_close()

    def gate(self, name: str) -> threading.Event:
        return self.released.setdefault(name, threading.Event())

    def saw(self, path: str) -> list[tuple[str, str, dict[str, str]]]:
        """The requests for this path: method, path, fields."""
        return [request for request in list(self.requests) if request[1] == path]


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def handle_error(self, request, address):
        """Clients that leave are what some cases are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = PIECE

    def log_message(self, *_: object) -> None:
        pass

    def _body(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while length := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("content-length", 0))
        while left and (piece := self.rfile.read(min(left, PIECE))):
            left -= len(piece)
            yield piece

    def _answer(self, status: int, body: bytes, *more: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in more:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _chunks(self, pieces, trailers: bytes = b"") -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n" + trailers + b"\r\n")

    def _any(self) -> None:
        origin: Origin = self.server.origin
        origin.requests.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        what, _, rest = self.path[1:].partition("/")
        number = int(re.sub(r"\D", "", rest) or 0)
        if what == "echo":
            length = self.headers.get("content-length")
            if length is None:
                self._chunks(self._body())
            else:
                self.send_response(200)
                self.send_header("content-length", length)
                self.end_headers()
                for piece in self._body():
                    self.wfile.write(piece)
        elif what == "early":
            self._answer(200, b"early", ("connection", "close"))
            self.close_connection = True
        else:
            if what == "held":
                origin.gate(rest).wait(60)
            sum = hashlib.sha256()
            for piece in self._body():
                sum.update(piece)
            if what == "sum":
                self._answer(200, sum.hexdigest().encode())
            elif what == "bytes":
                self._answer(200, content(number), ("content-type", "application/octet-stream"))
            elif what == "chunked":
                body = content(number)
                self._chunks(body[at:at + PIECE] for at in range(0, number, PIECE))
            elif what == "trailers":
                self._chunks([b"body"], b"x-sum: 7\r\n")
            elif what == "status":
                self._answer(number, b"")
            else:
                self._answer(200, b"fine")
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_OPTIONS = do_DELETE = _any
