"""Reading HTTP/1 off a raw socket without trusting it.

Both ends of the comparison stand on this: the scripted client and the recording origin. Nothing here
normalises what it reads; heads are kept byte for byte, and how a stream ended is always said.
"""

import socket
import struct
import time

PATIENCE_SECONDS = 4.0


class Ended(Exception):
    """The stream stopped before what was being read was complete."""

    def __init__(self, how, partial=b""):
        super().__init__(f"{how} after {len(partial)} bytes")
        self.how = how
        self.partial = partial


class Stream:
    """A socket with a read buffer. `how` of an end is "fin", "reset" or "silence"."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.sendall(data)

    def fill(self, patience=PATIENCE_SECONDS):
        self.sock.settimeout(max(patience, 0.001))
        try:
            piece = self.sock.recv(65536)
        except TimeoutError:
            raise Ended("silence", self.buffer) from None
        except OSError:
            raise Ended("reset", self.buffer) from None
        if not piece:
            raise Ended("fin", self.buffer)
        self.buffer += piece

    def until(self, mark, patience=PATIENCE_SECONDS):
        """The bytes up to and including `mark`."""
        deadline = time.monotonic() + patience
        while mark not in self.buffer:
            self.fill(deadline - time.monotonic())
        end = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:end], self.buffer[end:]
        return taken

    def head(self, patience=PATIENCE_SECONDS):
        return self.until(b"\r\n\r\n", patience)

    def exactly(self, count):
        pieces, missing = [], count
        while missing:
            if not self.buffer:
                try:
                    self.fill()
                except Ended as end:
                    raise Ended(end.how, b"".join(pieces)) from None
            piece, self.buffer = self.buffer[:missing], self.buffer[missing:]
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def chunked(self):
        """The decoded body and the raw trailer lines."""
        pieces = []
        while True:
            try:
                size = int(self.until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    return b"".join(pieces), self._trailers()
                pieces.append(self.exactly(size))
                self.until(b"\r\n")
            except Ended as end:
                raise Ended(end.how, b"".join(pieces)) from None

    def _trailers(self):
        lines = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            lines += line
        return lines

    def to_end(self, patience=PATIENCE_SECONDS):
        """Everything until the stream ends, and how it ended."""
        pieces, self.buffer = [self.buffer], b""
        while True:
            try:
                self.fill(patience)
            except Ended as end:
                return b"".join(pieces), end.how
            pieces.append(self.buffer)
            self.buffer = b""

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def header(head, name):
    """The values of a header in a raw head, in order."""
    wanted = name.lower().encode()
    values = []
    for line in head.split(b"\r\n")[1:]:
        field, colon, value = line.partition(b":")
        if colon and field.strip().lower() == wanted:
            values.append(value.strip())
    return values


def request_framing(head):
    if header(head, "transfer-encoding"):
        return "chunked"
    if header(head, "content-length"):
        return "length"
    return "none"


def response_framing(head, method):
    status = int(head.split(b" ", 2)[1][:3])
    if method == "HEAD" or status < 200 or status in (204, 304):
        return "none"
    if method == "CONNECT" and status < 300:
        return "none"
    if header(head, "transfer-encoding"):
        return "chunked"
    if header(head, "content-length"):
        return "length"
    return "close"


def read_body(stream, head, framing):
    """The body and trailers, as `framing` tells where they end."""
    if framing == "chunked":
        return stream.chunked()
    if framing == "length":
        return stream.exactly(int(header(head, "content-length")[0])), b""
    if framing == "close":
        body, how = stream.to_end()
        if how != "fin":
            raise Ended(how, body)
        return body, b""
    return b"", b""
