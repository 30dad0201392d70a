"""A connection of HTTP/2 at which every byte is ours: frames as they are asked for, right or wrong."""

import socket
import ssl
import struct
import time

from hpack import Decoder
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATIENCE = 10  # seconds that anything may take

# RFC 9113, section 6.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED, PRIORITISED = 4, 8, 32
# Section 6.5.2, and RFC 8441, section 3.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
ENABLE_CONNECT_PROTOCOL = 8
# Section 7.
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
         "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"]


class Wrong(Exception):
    """What came is not what the document demands."""


def code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else hex(code)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame; `length` where it shall name another one than it has."""
    named = len(payload) if length is None else length
    return struct.pack(">I", named)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs: tuple[int, int], flags: int = 0, stream: int = 0) -> bytes:
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(payload: bytes = b"\0" * 8, flags: int = 0, stream: int = 0) -> bytes:
    return frame(PING, flags, stream, payload)


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """An integer with a prefix of so many bits (RFC 7541, section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    rest, out = value - limit, [first | limit]
    while rest >= 128:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


def literal(name: bytes, value: bytes) -> bytes:
    """A field that is not to be indexed, without Huffman coding (RFC 7541, section 6.2.2)."""
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(*fields: tuple[bytes, bytes]) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


class Connection:
    """A connection to lb, in clear text or by TLS. What it reads it holds against hyperframe and hpack."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, begin: bytes = PREFACE + settings()):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme = b"http"
        if tls:
            self.scheme = b"https"
            self.socket = tls.wrap_socket(self.socket, server_hostname="site.test")
            if self.socket.selected_alpn_protocol() != "h2":
                raise Wrong("h2 was not agreed on")
        self.held = b""
        self.decoder = Decoder()
        self.seen: list[Frame] = []
        self.settings: dict[int, int] = {}
        self.acknowledged = 0
        self.broken = ""
        if begin:
            self.send(begin)

    def close(self) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Sends, unless the other end has closed already: what it said before is still to be read."""
        try:
            self.socket.sendall(b"".join(pieces))
        except (ConnectionError, ssl.SSLError, TimeoutError) as error:
            self.broken = str(error)

    def _exactly(self, count: int, end: float) -> bytes | None:
        while len(self.held) < count:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                came = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                self.broken = str(error)
                came = b""
            except TimeoutError:
                raise Wrong(f"nothing more came; before that: {self.told()}") from None
            if not came:
                return None
            self.held += came
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def next(self, patience: float = PATIENCE) -> Frame | None:
        """The next frame; nothing at the connection's end. Settings are acknowledged on the way."""
        end = time.monotonic() + patience
        head = self._exactly(9, end)
        if head is None:
            return None
        got, length = Frame.parse_frame_header(memoryview(head))
        body = self._exactly(length, end) if length else b""
        if body is None:
            return None
        got.parse_body(memoryview(body))
        got.fields = None
        self.seen.append(got)
        if got.type in (HEADERS, CONTINUATION):
            if "END_HEADERS" not in got.flags:
                raise Wrong("a head in more than one frame, which these cases never cause")
            got.fields = self.decoder.decode(got.data, raw=True)
        elif got.type == SETTINGS and "ACK" in got.flags:
            self.acknowledged += 1
        elif got.type == SETTINGS:
            self.settings |= got.settings
            self.send(settings(flags=ACK))
        return got

    def until(self, what: str, wanted) -> Frame:
        """The first frame that is wanted, from here on."""
        while True:
            got = self.next()
            if got is None:
                raise Wrong(f"the connection ended before {what}; {self.told()}")
            if wanted(got):
                return got

    def told(self) -> str:
        """What came, for people."""
        def one(got: Frame) -> str:
            name = type(got).__name__.removesuffix("Frame")
            more = f" {code_name(got.error_code)}" if got.type in (RST_STREAM, GOAWAY) else ""
            more += f" {dict(got.fields).get(b':status', b'').decode()}" if got.fields else ""
            return f"{name}{more} on {got.stream_id}"
        shown = [one(got) for got in self.seen[-8:]]
        return ", ".join(shown + ([self.broken] if self.broken else [])) or "nothing came"

    # Requests.

    def fields(self, path: str = "/", method: bytes = b"GET", *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        return [(b":method", method), (b":scheme", self.scheme), (b":path", path.encode()),
                (b":authority", b"site.test"), *more]

    def request(self, stream: int = 1, path: str = "/", method: bytes = b"GET", *more: tuple[bytes, bytes],
                end: bool = True) -> None:
        """Sends a request's head, with the stream's end where there is no body."""
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.send(frame(HEADERS, flags, stream, block(*self.fields(path, method, *more))))

    def data(self, stream: int, payload: bytes, end: bool = False) -> None:
        self.send(frame(DATA, END_STREAM if end else 0, stream, payload))

    # What the documents demand.

    def settled(self) -> None:
        """Both ends' settings have come and been acknowledged (section 3.4)."""
        while not (self.acknowledged and self.settings):
            self.until("the settings", lambda got: got.type == SETTINGS)

    def alive(self) -> None:
        """The connection goes on: it answers a ping."""
        token = struct.pack(">Q", time.monotonic_ns())
        self.send(ping(token))
        self.until("a ping's answer",
                   lambda got: got.type == PING and "ACK" in got.flags and got.opaque_data == token)

    def response(self, stream: int = 1) -> tuple[int, dict[bytes, bytes], bytes]:
        """A whole response: status, fields, body. Trailers are among the fields."""
        status, fields, body = 0, {}, []
        while True:
            got = self.until(f"the response on {stream}", lambda got: got.stream_id == stream)
            if got.type == RST_STREAM:
                raise Wrong(f"stream {stream} was reset: {code_name(got.error_code)}")
            if got.type == HEADERS:
                fields |= dict(got.fields)
                status = int(fields[b":status"])
            if got.type == DATA:
                body.append(got.data)
                if got.flow_controlled_length and "END_STREAM" not in got.flags:
                    self.send(window_update(0, got.flow_controlled_length),
                              window_update(stream, got.flow_controlled_length))
            if "END_STREAM" in got.flags:
                return status, fields, b"".join(body)

    def served(self, stream: int = 1, status: int = 200) -> bytes:
        """The response has this status."""
        got, _, body = self.response(stream)
        if got != status:
            raise Wrong(f"{got} instead of {status}")
        return body

    def connection_error(self, *codes: str) -> None:
        """A connection error of one of these types: GOAWAY with it, and the connection ends (section 5.4.1)."""
        goaway = None
        while (got := self.next()) is not None:
            # With NO_ERROR first, where that is how the end begins.
            if got.type == GOAWAY and (goaway is None or code_name(goaway.error_code) == "NO_ERROR"):
                goaway = got
        if goaway is None:
            raise Wrong(f"the connection ended without GOAWAY; {self.told()}")
        if code_name(goaway.error_code) not in codes:
            raise Wrong(f"GOAWAY with {code_name(goaway.error_code)} instead of {' or '.join(codes)}; {self.told()}")

    def ended(self) -> None:
        """The connection ends, with whatever was said before."""
        while self.next() is not None:
            pass

    def stream_error(self, stream: int, *codes: str, answer: bool = False) -> bool:
        """A stream error of one of these types: the stream is reset and the connection goes on, or, as section 5.4.1
        allows, the same as a connection error. With `answer`, a 4xx may come instead (section 8.1.1).
        Says whether the connection goes on."""
        got = self.until(f"stream {stream} is reset", lambda got: got.type == GOAWAY or got.stream_id == stream
                         and (got.type == RST_STREAM or got.type == HEADERS))
        if got.type == GOAWAY:
            if code_name(got.error_code) not in codes:
                raise Wrong(f"GOAWAY with {code_name(got.error_code)} instead of {' or '.join(codes)}")
            self.ended()
            return False
        if got.type == HEADERS:
            status = dict(got.fields).get(b":status", b"")
            if not (answer and status.startswith(b"4")):
                raise Wrong(f"answered with {status.decode()} instead of {' or '.join(codes)}")
        elif code_name(got.error_code) not in codes:
            raise Wrong(f"reset with {code_name(got.error_code)} instead of {' or '.join(codes)}")
        self.alive()
        return True
