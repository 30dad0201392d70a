"""The server behind the proxies, a process of its own. It answers `/server/NAME` as a hostile server would, everything else
with a few bytes once the request's last bytes are there. By HTTP/2 it answers any request with the flood that `/flood/NAME`
chose last; what that is answered with is how many bytes of floods have been sent in all."""

import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from endurance.streams import ACK, DATA, END_HEADERS, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal
from fault.servers import end_with_parent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LARGE_BYTES = 8 << 20
HEAD_BYTES = 12_000
SEND_BUFFER = 65_536


def many_lines(size):
    """Lines of a head, as many as there may be, and together of a size."""
    count = 90
    return b"".join(b"x-%02d: %s\r\n" % (number, b"v" * (size // count - 8)) for number in range(count))


BEGIN = b"HTTP/1.1 200 OK\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    b"large": BEGIN + b"Content-Length: %d\r\n\r\n" % LARGE_BYTES + b"x" * LARGE_BYTES,
    b"head-lines": BEGIN + many_lines(HEAD_BYTES) + b"Content-Length: 0\r\n\r\n",
    b"head-long-line": BEGIN + b"x: " + b"v" * HEAD_BYTES + b"\r\nContent-Length: 0\r\n\r\n",
    b"head-too-large": BEGIN + many_lines(60_000) + b"Content-Length: 0\r\n\r\n",
    b"chunks": CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n",
    b"chunk-extensions": CHUNKED + b"1;name=value\r\nx\r\n" * 10_000 + b"0\r\n\r\n",
    b"trailers": CHUNKED + b"0\r\n" + many_lines(HEAD_BYTES) + b"\r\n",
    b"interim": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2_000 + OK,
    b"continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000 + OK,
    b"cookies": BEGIN + b"Set-Cookie: SERVER=x; Path=/\r\n" * 90 + b"Content-Length: 0\r\n\r\n",
}

ANSWERS_OF_SERVERS = [name.decode() for name in ANSWERS if name != b"large"]


# Of HTTP/2, on the request's stream or beside it; first what comes once, then what is repeated.
ONE = struct.pack(">I", 1)
STATUS = literal(b":status", b"200")
CONTINUATION, PUSH_PROMISE, UNKNOWN = 9, 5, 0x42
FLOODS = {
    "PING": (b"", frame(PING, 0, 0, bytes(8))),
    "PING, acknowledged unasked": (b"", frame(PING, ACK, 0, bytes(8))),
    "SETTINGS": (b"", frame(SETTINGS, 0, 0)),
    "WINDOW_UPDATE by 1": (b"", frame(WINDOW_UPDATE, 0, 0, ONE)),
    "frames of an unknown kind": (b"", frame(UNKNOWN, 0, 0)),
    "RST_STREAM of streams that never were": (b"", frame(RST_STREAM, 0, 3, ONE)),
    "PUSH_PROMISE": (b"", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + STATUS)),
    "103": (b"", frame(HEADERS, END_HEADERS, 1, literal(b":status", b"103"))),
    "a head of CONTINUATION without an end": (frame(HEADERS, 0, 1, STATUS), frame(CONTINUATION, 0, 1, literal(b"a", b"b"))),
    "DATA of a byte": (frame(HEADERS, END_HEADERS, 1, STATUS), frame(DATA, 0, 1, b"x")),
    "DATA that is empty": (frame(HEADERS, END_HEADERS, 1, STATUS), frame(DATA, 0, 1)),
}


class Origin:
    """The process."""

    def __init__(self, port):
        self.port = port
        self.process = subprocess.Popen([sys.executable, __file__, str(port)], preexec_fn=end_with_parent)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server does not start")

    def flood(self, name):
        """Has it answer by HTTP/2 with this flood; how many bytes of floods it has sent so far."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            sock.sendall(b"GET /flood/%d HTTP/1.1\r\n\r\n" % list(FLOODS).index(name))
            return int(sock.recv(100))

    def close(self):
        self.process.kill()
        self.process.wait()


class Flood:
    """What is sent by HTTP/2, and how much of it was."""

    name = next(iter(FLOODS))
    sent = 0

    @classmethod
    def serve(cls, sock, held):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.sendall(frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
        # The request's head, on stream 1, is all that is waited for.
        while frame(HEADERS, 0, 1)[5:] not in held:
            piece = sock.recv(65536)
            if not piece:
                return
            held += piece
        first, repeated = FLOODS[cls.name]
        sock.sendall(first)
        threading.Thread(target=swallow, args=(sock,), daemon=True).start()
        blob = repeated * (SEND_BUFFER // len(repeated))
        while True:
            cls.sent += sock.send(blob)


def swallow(sock):
    try:
        while sock.recv(1 << 20):
            pass
    except OSError:
        pass


def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            # An upload's end is known by its last bytes, whatever it is made of; all uploads of the parts are chunked.
            held = b""
            while b"\r\n\r\n" not in held:
                piece = sock.recv(65536)
                if not piece:
                    return
                held += piece
            if held.startswith(b"PRI * "):
                Flood.serve(sock, held)
                return
            head, _, body = held.partition(b"\r\n\r\n")
            if b"chunked" in head.lower():
                # An empty line behind the last chunk or behind the trailers.
                while not (body.endswith(b"\r\n\r\n") and b"0\r\n" in body[-20_000:]):
                    piece = sock.recv(1 << 20)
                    if not piece:
                        return
                    body = body[-20_000:] + piece
            path, _, name = head.split(b" ", 2)[1].rpartition(b"/")
            if path == b"/flood":
                Flood.name = list(FLOODS)[int(name)]
                sock.sendall(b"%d" % Flood.sent)
                return
            sock.sendall(ANSWERS.get(name, OK))
    except OSError:
        pass
    finally:
        sock.close()


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=serve, args=(accepted,), daemon=True).start()
