"""The parts: what a hostile client sends, again and again, and what it holds."""

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from endurance.streams import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS
from endurance.streams import WINDOW_UPDATE, frame, literal

PRIORITY, CONTINUATION, UNKNOWN = 2, 9, 0x42
PADDED = 8
# A head that both take: below 16 KiB, and no more than 100 lines.
HEAD_BYTES = 14_000
BLOB = 65_536


@dataclass
class Part:
    """`pieces` makes what one connection sends; where it ends, the next connection begins once something was answered."""

    name: str
    pieces: Callable[[], Iterator[bytes]]
    port: str = "front"
    connections: int = 1
    # Where HAProxy has nothing like it.
    alone: bool = False


@dataclass
class Held:
    """What each of so many connections sends before it falls silent, and holds."""

    name: str
    sent: bytes
    port: str = "front"
    connections: int = 400
    handshake: bool = False
    alone: bool = False


def head(path="/here", *lines, method="GET"):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: h.test", *lines, "", "")).encode()


def lines(count, size=HEAD_BYTES):
    return [f"x-{number:02}: {'v' * (size // count - 8)}" for number in range(count)]


def again(request):
    """The same for ever, many in a piece."""
    blob = request * max(1, BLOB // len(request))
    return lambda: itertools.repeat(blob)


def once(*pieces):
    return lambda: iter(pieces)


def first_then(first, repeated):
    blob = repeated * max(1, BLOB // len(repeated))
    return lambda: itertools.chain([first], itertools.repeat(blob))


def dripping(request):
    """One byte a piece."""
    return lambda: itertools.cycle([bytes([byte]) for byte in request])


UPLOAD = head("/", "Transfer-Encoding: chunked", method="POST")
HTTP_1 = [
    Part("requests, small, pipelined", again(head())),
    Part("requests, small, each on a connection", once(head("/here", "Connection: close"))),
    Part("heads of 95 lines", again(head("/here", *lines(95)))),
    Part("heads of 95 lines of 3 bytes", again(head("/here", *["a:b"] * 95))),
    Part("heads with a line of 14 KB", again(head("/here", *lines(1)))),
    Part("heads with a path of 14 KB", again(head("/here" + "a" * HEAD_BYTES))),
    Part("heads with 14 KB of cookies", again(head("/here", "Cookie: " + "; ".join(f"c{n}=v" for n in range(1_800))))),
    Part(
        "heads with 14 KB of cookies, by policy",
        again(head("/cookie", "Cookie: " + "; ".join(f"c{n}=v" for n in range(1_800)))),
    ),
    Part("heads with a key of 14 KB, by policy", again(head("/hash", f"X-Key: {'k' * HEAD_BYTES}"))),
    Part("heads too large", once(head("/here", *lines(90, 40_000)))),
    Part("heads with too many lines", once(head("/here", *["a: b"] * 400))),
    Part("heads malformed at their end", once(head("/here", *lines(95), "no colon"))),
    Part("empty lines before a request", lambda: itertools.repeat(b"\r\n" * 1000)),
    Part("a byte at a time", dripping(head("/here", *lines(10, 1000))), connections=200),
    Part("a path against (a+)+$", again(head("/" + "a" * 4_000 + "!"))),
    Part("a head in the log", again(head("/" + "a" * 4_000, "User-Agent: " + '"\\' * 2_000)), port="logged"),
    Part("chunks of a byte", first_then(UPLOAD, b"1\r\nx\r\n")),
    Part("chunks with an extension", first_then(UPLOAD, b"1;n=v\r\nx\r\n")),
    Part("chunks with an extension of 200 bytes", first_then(UPLOAD, b"1;" + b"n" * 200 + b"\r\nx\r\n")),
    Part("chunks with many zeros", first_then(UPLOAD, b"000000000000001\r\nx\r\n")),
    Part("chunks of a byte, a byte at a time", lambda: itertools.chain([UPLOAD], dripping(b"1\r\nx\r\n")()), connections=200),
    Part(
        "trailers of 10 KB",
        again(UPLOAD + b"0\r\n" + "".join(f"{line}\r\n" for line in lines(90, 10_000)).encode() + b"\r\n"),
    ),
    Part("trailers of 3 bytes", again(UPLOAD + b"0\r\n" + b"a:b\r\n" * 90 + b"\r\n")),
    Part("uploads of a byte, through to a server", again(UPLOAD + b"1\r\nx\r\n0\r\n\r\n")),
]

# HTTP/2, in clear text.


def fields(path=b"/here", method=b"GET"):
    return (
        literal(b":method", method)
        + literal(b":scheme", b"http")
        + literal(b":authority", b"h.test")
        + literal(b":path", path)
    )


OPEN = PREFACE + frame(SETTINGS, 0, 0)
FULL = END_HEADERS | END_STREAM


def streams(make, first=b"", most=1 << 20):
    """`make` of each stream's number, in pieces of some."""

    def pieces():
        yield OPEN + first
        for base in range(1, 2 * most, 128):
            yield b"".join(make(stream) for stream in range(base, base + 128, 2))

    return pieces


def on_connection(repeated, first=b""):
    return first_then(OPEN + first, repeated)


def request(stream, path=b"/here"):
    return frame(HEADERS, FULL, stream, fields(path))


def reset(stream, code=8):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def indexed_literal(name, value):
    """A field that goes into the table (RFC 7541, section 6.2.1), with a length below 16,510."""
    return b"\x40" + length(len(name)) + name + length(len(value)) + value


def length(number):
    if number < 127:
        return bytes([number])
    rest, out = number - 127, b"\x7f"
    while rest >= 128:
        out, rest = out + bytes([rest & 127 | 128]), rest >> 7
    return out + bytes([rest])


def bomb(stream):
    """The first puts 3.9 KB into the table; each then names it 8,000 times with a byte."""
    if stream == 1:
        return frame(HEADERS, FULL, stream, fields() + indexed_literal(b"x", b"v" * 3_900))
    return frame(HEADERS, FULL, stream, fields() + b"\xbe" * 8_000)


def small_bomb(stream):
    """The same with as little as a field can be: 33 bytes of a head's size each."""
    if stream == 1:
        return frame(HEADERS, FULL, stream, fields() + indexed_literal(b"x", b""))
    return frame(HEADERS, FULL, stream, fields() + b"\xbe" * 400)


POST = frame(HEADERS, END_HEADERS, 1, fields(b"/", b"POST"))
WHOLE_WINDOW = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 65_536))
ONE = struct.pack(">I", 1)
HTTP_2 = [
    Part("h2: requests", streams(request)),
    Part("h2: requests, reset at once", streams(lambda stream: request(stream, b"/") + reset(stream))),
    Part(
        "h2: requests, reset at once, on a connection for 30",
        streams(lambda stream: request(stream, b"/") + reset(stream), most=30),
    ),
    Part(
        "h2: heads that are malformed",
        streams(lambda stream: frame(HEADERS, FULL, stream, fields() + literal(b"Upper", b"x"))),
    ),
    Part(
        "h2: CONTINUATION without an end",
        on_connection(frame(CONTINUATION, 0, 1, literal(b"a", b"b")), frame(HEADERS, 0, 1, fields())),
    ),
    Part("h2: CONTINUATION that is empty", on_connection(frame(CONTINUATION, 0, 1), frame(HEADERS, 0, 1, fields()))),
    Part("h2: SETTINGS", on_connection(frame(SETTINGS, 0, 0))),
    Part("h2: SETTINGS of 1,000 entries", on_connection(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535) * 1_000))),
    Part("h2: PING", on_connection(frame(PING, 0, 0, bytes(8)))),
    Part("h2: PING, acknowledged unasked", on_connection(frame(PING, ACK, 0, bytes(8)))),
    Part("h2: WINDOW_UPDATE by 1", on_connection(frame(WINDOW_UPDATE, 0, 0, ONE))),
    Part("h2: WINDOW_UPDATE by 1, of a stream", on_connection(frame(WINDOW_UPDATE, 0, 1, ONE), POST)),
    Part("h2: PRIORITY", on_connection(frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 9)))),
    Part("h2: frames of an unknown kind", on_connection(frame(UNKNOWN, 0, 0))),
    Part("h2: RST_STREAM of streams that are over", on_connection(reset(1), request(1))),
    Part("h2: GOAWAY", on_connection(frame(GOAWAY, 0, 0, bytes(8)))),
    Part("h2: DATA of a byte", on_connection(frame(DATA, 0, 1, b"x"), POST)),
    Part("h2: DATA that is empty", on_connection(frame(DATA, 0, 1), POST)),
    Part("h2: DATA of padding", on_connection(frame(DATA, PADDED, 1, b"\xff" + bytes(255)), POST)),
    Part(
        "h2: heads with 14 KB of fields",
        streams(
            lambda stream: frame(
                HEADERS, FULL, stream, fields() + b"".join(literal(b"x-%02d" % n, b"v" * 120) for n in range(90))
            )
        ),
    ),
    Part(
        "h2: heads with fields of 2 bytes",
        streams(lambda stream: frame(HEADERS, FULL, stream, fields() + literal(b"a", b"b") * 90)),
    ),
    Part(
        "h2: heads whose fields are all put into the table",
        streams(lambda stream: frame(HEADERS, FULL, stream, fields() + indexed_literal(b"a", b"b") * 90)),
    ),
    Part("h2: a field of 3.9 KB named by a byte, 8,000 times", streams(bomb)),
    Part("h2: a field of a byte named by a byte, 400 times", streams(small_bomb)),
    Part(
        "h2: updates of the table's size",
        streams(lambda stream: frame(HEADERS, FULL, stream, b"\x20\x3f\xe1\x1f" + fields())),
    ),
    Part(
        "h2: updates of the table's size, 1,000 a head",
        streams(lambda stream: frame(HEADERS, FULL, stream, b"\x20\x3f\xe1\x1f" * 1000 + fields())),
    ),
    Part(
        "h2: a frame's bytes one at a time",
        lambda: itertools.chain([OPEN], dripping(frame(PING, ACK, 0, bytes(8)))()),
        connections=200,
    ),
]

GUESTS = [
    Part("a pick, roundrobin", again(head("/"))),
    Part("a pick, hostile: first", again(head("/guest-first")), alone=True),
    Part("a pick, hostile: traps", again(head("/guest-trap")), alone=True),
    Part("a pick, hostile: spins", again(head("/guest-spin")), alone=True),
    Part("a pick, hostile: grows to its limit", again(head("/guest-grow")), alone=True),
    Part("a pick, hostile: recurses", again(head("/guest-recurse")), alone=True),
]

MANY_STREAMS = b"".join(request(stream, b"/server/large") for stream in range(1, 201, 2))
NO_WINDOW = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
HELLO_BYTES = 16_000
HELD = [
    Held("connected, nothing sent", b""),
    Held("a request answered, idle", head()),
    Held("a byte of a head", b"G"),
    Held("14 KB of a head", head("/here", *lines(95))[:-2]),
    Held("an upload that stalls", UPLOAD + b"8000\r\n" + bytes(30_000)),
    Held("8 MB unread", head("/server/large"), connections=100),
    Held("TLS: connected, nothing sent", b"", "secure"),
    Held("TLS: half a hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), "secure"),
    Held(
        "TLS: 16 KB of a hello of 60 KB", b"\x16\x03\x01\x3e\x80\x01\x00\xea\x60\x03\x03" + bytes(HELLO_BYTES - 6), "secure"
    ),
    Held("TLS: a handshake, idle", b"", "secure", handshake=True),
    Held("TLS: a request answered, idle", head(), "secure", handshake=True),
    Held("h2: idle", OPEN),
    Held("h2: a request answered, idle", OPEN + request(1)),
    Held(
        "h2: a head of 14 KB without an end",
        OPEN + frame(HEADERS, 0, 1, fields() + b"".join(literal(b"x-%02d" % n, b"v" * 120) for n in range(100))),
    ),
    Held(
        "h2: a table that is full",
        OPEN + frame(HEADERS, FULL, 1, fields() + b"".join(indexed_literal(b"x-%02d" % n, b"v" * 100) for n in range(30))),
    ),
    Held("h2: 100 answers of 8 MB without a window", NO_WINDOW + MANY_STREAMS, connections=8),
    Held("h2: 100 answers of 8 MB, unread", OPEN + WHOLE_WINDOW + MANY_STREAMS, connections=8),
    Held(
        "h2: 100 uploads that stall",
        OPEN
        + b"".join(
            frame(HEADERS, END_HEADERS, s, fields(b"/", b"POST")) + frame(DATA, 0, s, bytes(2_000)) for s in range(1, 201, 2)
        ),
        connections=8,
    ),
]
