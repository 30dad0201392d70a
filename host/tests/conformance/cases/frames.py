"""The connection's beginning, the frames' form, and each type of frame: RFC 9113, sections 3, 4 and 6."""

import struct

from kit.cases import Document
from kit.wire import (ACK, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM, GOAWAY,
                      HEADERS, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE,
                      MAX_HEADER_LIST_SIZE, PADDED, PING, PREFACE, PRIORITISED, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
                      WINDOW_UPDATE, Wrong, block, frame, ping, reset, settings, window_update)

rfc = Document("RFC 9113")
UNKNOWN = 0xB7  # a type of frame that nobody has defined
WEIGHT = b"\0\0\0\0\x10"


def head(c, stream: int = 1, flags: int = END_HEADERS | END_STREAM, path: str = "/", pad: bytes = b"",
         more: bytes = b"") -> bytes:
    return frame(HEADERS, flags, stream, pad + block(*c.fields(path)) + more)


def opened(c, stream: int = 1) -> bytes:
    """A request whose body is still to come."""
    return frame(HEADERS, END_HEADERS, stream, block(*c.fields("/sum", b"POST")))


# Section 3.4: the preface.

@rfc("3.4", "the first frame of this end is SETTINGS")
def first_frame(peer):
    first = peer.connect().next()
    if first is None or first.type != SETTINGS or "ACK" in first.flags or first.stream_id:
        raise Wrong(f"it is {first}")


@rfc("3.4", "settings are legal, and say that streams are bounded and extended CONNECT is known")
def own_settings(peer):
    said = peer.settled().settings
    legal = (said.get(ENABLE_PUSH, 0) == 0 and said.get(INITIAL_WINDOW_SIZE, 0) < 1 << 31
             and 1 << 14 <= said.get(MAX_FRAME_SIZE, 1 << 14) < 1 << 24
             and said.get(MAX_CONCURRENT_STREAMS, 0) > 0 and said.get(MAX_HEADER_LIST_SIZE, 0) > 0
             and said.get(ENABLE_CONNECT_PROTOCOL) == 1)
    if not legal:
        raise Wrong(f"they are {said}")


@rfc("3.4", "a request may follow the preface at once")
def request_at_once(peer):
    c = peer.connect()
    c.request()
    c.served()


@rfc("3.4", "the preface may come byte by byte")
def preface_in_pieces(peer):
    c = peer.connect(begin=b"")
    for byte in PREFACE + settings():
        c.send(bytes([byte]))
    c.request()
    c.served()


def raw_end(c) -> None:
    """Whatever comes, it ends. GOAWAY may be left out."""
    c.socket.settimeout(10)
    try:
        while c.socket.recv(65536):
            pass
    except ConnectionError:
        pass


for title, words in (("of which the end is wrong", PREFACE[:-8] + b"XX\r\n\r\n"),
                     ("of which the version is wrong", PREFACE.replace(b"2.0", b"3.0"))):
    @rfc("3.4", f"a preface {title}: the connection ends")
    def wrong_preface(peer, words=words):
        raw_end(peer.connect(words, settings()))


for title, first in (("PING", ping()), ("WINDOW_UPDATE", window_update(0, 9)), ("DATA", frame(DATA, 0, 1, b"x")),
                     ("an acknowledgement", settings(flags=ACK))):
    @rfc("3.4", f"{title} in the place of the client's first SETTINGS: connection error PROTOCOL_ERROR")
    def first_is_not_settings(peer, first=first):
        c = peer.connect(PREFACE, first)
        got = None
        while (frame_ := c.next()) is not None:
            got = frame_ if frame_.type == GOAWAY else got
        if got is not None and got.error_code != 1:
            raise Wrong(f"GOAWAY with {got.error_code}")


# Section 4: frames.

rfc.ignores([
    ("4.1", "a frame of an unknown type", lambda c: [frame(UNKNOWN, 0xFF, 0, b"x" * 100)]),
    ("4.1", "a frame of an unknown type on a stream that is idle", lambda c: [frame(UNKNOWN, 0, 1, b"x")]),
    ("4.1", "an unknown frame of no length", lambda c: [frame(UNKNOWN, 0, 0)]),
    ("4.1", "the reserved bit of the stream's number", lambda c: [ping(stream=1 << 31)]),
    ("4.1", "undefined flags of PING", lambda c: [ping(flags=0xFE)]),
    ("4.1", "undefined flags of SETTINGS", lambda c: [settings(flags=0xFE)]),
    ("4.1", "undefined flags of WINDOW_UPDATE", lambda c: [frame(WINDOW_UPDATE, 0xFF, 0, b"\0\0\0\1")]),
    ("4.1", "undefined flags of HEADERS", lambda c: [head(c, flags=END_HEADERS | END_STREAM | 0x42)]),
    ("4.1", "undefined flags of DATA", lambda c: [opened(c), frame(DATA, END_STREAM | 0xC6, 1, b"x")]),
    ("5.5", "an unknown setting", lambda c: [settings((0xFFF0, 0xFFFFFFFF))]),
    ("5.5", "a setting whose number is zero", lambda c: [settings((0, 1))]),
])


@rfc("4.2", "a frame of 16384 bytes is taken")
def largest_frame(peer):
    c = peer.settled()
    c.request(1, "/sum", b"POST", end=False)
    c.data(1, b"x" * 16384, end=True)
    c.served()


def large(c) -> bytes:
    return b"x" * (c.settings.get(MAX_FRAME_SIZE, 16384) + 1)


rfc.breaks("FRAME_SIZE_ERROR", [
    ("4.2", "HEADERS above the largest size", lambda c: [frame(HEADERS, END_HEADERS, 1, large(c))]),
    ("4.2", "SETTINGS above the largest size", lambda c: [frame(SETTINGS, 0, 0, large(c) + b"xxxxx")]),
    ("4.2", "CONTINUATION above the largest size",
     lambda c: [head(c, flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 1, large(c))]),
    ("4.2", "GOAWAY above the largest size", lambda c: [frame(GOAWAY, 0, 0, large(c))]),
    ("4.2", "a length of which no byte ever comes", lambda c: [frame(DATA, 0, 1, b"", length=0xFFFFFF)]),
])
rfc.resets("FRAME_SIZE_ERROR", [
    ("4.2", "DATA above the largest size", lambda c: [opened(c), frame(DATA, 0, 1, large(c))]),
])


@rfc("4.2", "an unknown frame above the largest size: connection error FRAME_SIZE_ERROR")
def large_unknown(peer):
    c = peer.settled()
    c.send(frame(UNKNOWN, 0, 0, large(c)))
    c.connection_error("FRAME_SIZE_ERROR")


# Section 6.1 and 6.2: DATA and HEADERS.

rfc.breaks("PROTOCOL_ERROR", [
    ("6.1", "DATA on stream 0", lambda c: [frame(DATA, 0, 0, b"x")]),
    ("6.1", "DATA with as much padding as payload", lambda c: [opened(c), frame(DATA, PADDED, 1, b"\x05xxxx")]),
    ("6.1", "DATA with more padding than payload", lambda c: [opened(c), frame(DATA, PADDED, 1, b"\xffxxxx")]),
    ("6.2", "HEADERS on stream 0", lambda c: [head(c, 0)]),
    ("6.2", "HEADERS with more padding than payload",
     lambda c: [frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + block((b"x", b"y")))]),
])
rfc.breaks("PROTOCOL_ERROR FRAME_SIZE_ERROR", [
    ("6.1", "padded DATA without the padding's length", lambda c: [opened(c), frame(DATA, PADDED, 1)]),
    ("6.2", "padded HEADERS without the padding's length", lambda c: [frame(HEADERS, END_HEADERS | PADDED, 1)]),
    ("6.2", "HEADERS too short for their priority", lambda c: [frame(HEADERS, END_HEADERS | PRIORITISED, 1, b"\0\0\0")]),
    ("6.2", "HEADERS too short for padding and priority",
     lambda c: [frame(HEADERS, END_HEADERS | PRIORITISED | PADDED, 1, b"\0\0\0\0\0")]),
])


@rfc("6.1", "padding is no part of the body")
def padding(peer):
    c = peer.settled()
    c.request(1, "/echo", b"POST", end=False)
    c.send(frame(DATA, PADDED, 1, b"\x05abc" + b"\0" * 5), frame(DATA, PADDED | END_STREAM, 1, b"\x03" + b"\0" * 3))
    if c.served() != b"abc":
        raise Wrong("the body is another one")


@rfc("6.2", "HEADERS with padding and priority are a request")
def all_of_headers(peer):
    c = peer.settled()
    c.send(head(c, 1, END_HEADERS | END_STREAM | PADDED | PRIORITISED, pad=b"\x04" + WEIGHT, more=b"\0" * 4))
    c.served()


# Section 6.3: PRIORITY, whose meaning is gone and whose form is not.

rfc.breaks("PROTOCOL_ERROR", [("6.3", "PRIORITY on stream 0", lambda c: [frame(PRIORITY, 0, 0, WEIGHT)])])
rfc.resets("FRAME_SIZE_ERROR", [
    ("6.3", "PRIORITY of four bytes", lambda c: [opened(c), frame(PRIORITY, 0, 1, WEIGHT[1:])]),
    ("6.3", "PRIORITY of six bytes", lambda c: [opened(c), frame(PRIORITY, 0, 1, WEIGHT + b"\0")]),
])
rfc.ignores([
    ("6.3", "PRIORITY on an idle stream", lambda c: [frame(PRIORITY, 0, 1, WEIGHT)]),
    ("6.3", "PRIORITY on a stream of this end", lambda c: [frame(PRIORITY, 0, 2, WEIGHT)]),
    ("6.3", "PRIORITY within a request's body",
     lambda c: [opened(c), frame(PRIORITY, 0, 1, WEIGHT), frame(DATA, END_STREAM, 1, b"x")]),
])


@rfc("5.3.2", "a stream that depends on itself: stream error PROTOCOL_ERROR (RFC 7540), or ignored")
def self_dependency(peer):
    c = peer.settled()
    c.send(opened(c), frame(PRIORITY, 0, 1, b"\0\0\0\x01\x10"), frame(DATA, END_STREAM, 1, b"x"))
    got = c.until("an answer or a reset", lambda got: got.stream_id == 1 or got.type == GOAWAY)
    if got.type in (RST_STREAM, GOAWAY) and got.error_code != 1:
        raise Wrong(f"another error: {got.error_code}")


# Section 6.4: RST_STREAM.

rfc.breaks("PROTOCOL_ERROR", [
    ("6.4", "RST_STREAM on stream 0", lambda c: [reset(0)]),
    ("6.4", "RST_STREAM on an idle stream", lambda c: [reset(1)]),
])
rfc.breaks("FRAME_SIZE_ERROR", [
    ("6.4", "RST_STREAM of three bytes", lambda c: [opened(c), frame(RST_STREAM, 0, 1, b"\0\0\0")]),
    ("6.4", "RST_STREAM of five bytes", lambda c: [opened(c), frame(RST_STREAM, 0, 1, b"\0\0\0\0\x08")]),
])
rfc.ignores([("7", "RST_STREAM with an unknown error code", lambda c: [opened(c), reset(1, 0xBEEF)])])

# Section 6.5: SETTINGS.

rfc.breaks("PROTOCOL_ERROR", [
    ("6.5", "SETTINGS on a stream", lambda c: [settings(stream=1)]),
    ("6.5.2", "ENABLE_PUSH of 2", lambda c: [settings((ENABLE_PUSH, 2))]),
    ("6.5.2", "MAX_FRAME_SIZE of 16383", lambda c: [settings((MAX_FRAME_SIZE, 16383))]),
    ("6.5.2", "MAX_FRAME_SIZE of 16777216", lambda c: [settings((MAX_FRAME_SIZE, 1 << 24))]),
    ("6.5.2", "MAX_FRAME_SIZE of 0", lambda c: [settings((MAX_FRAME_SIZE, 0))]),
])
rfc.breaks("FRAME_SIZE_ERROR", [
    ("6.5", "an acknowledgement with a setting in it", lambda c: [settings((ENABLE_PUSH, 0), flags=ACK)]),
    ("6.5", "an acknowledgement with one byte in it", lambda c: [frame(SETTINGS, ACK, 0, b"\0")]),
    ("6.5", "SETTINGS of five bytes", lambda c: [frame(SETTINGS, 0, 0, b"\0\x03\0\0\0")]),
    ("6.5", "SETTINGS of seven bytes", lambda c: [frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64\0")]),
])
rfc.breaks("FLOW_CONTROL_ERROR", [
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", lambda c: [settings((INITIAL_WINDOW_SIZE, 1 << 31))]),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^32-1", lambda c: [settings((INITIAL_WINDOW_SIZE, (1 << 32) - 1))]),
])
rfc.ignores([
    ("6.5.2", "MAX_FRAME_SIZE of 16777215", lambda c: [settings((MAX_FRAME_SIZE, (1 << 24) - 1))]),
    ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31-1", lambda c: [settings((INITIAL_WINDOW_SIZE, (1 << 31) - 1))]),
    ("6.5.2", "MAX_CONCURRENT_STREAMS of 0, which is about pushes", lambda c: [settings((MAX_CONCURRENT_STREAMS, 0))]),
    ("6.5.2", "all settings at once", lambda c: [settings(*((number, 1 << 14) for number in (1, 3, 4, 5, 6)))]),
])


@rfc("6.5.3", "each SETTINGS is acknowledged, in order")
def acknowledged(peer):
    c = peer.settled()
    c.send(*(settings((INITIAL_WINDOW_SIZE, 1000 + number)) for number in range(5)))
    c.alive()
    if c.acknowledged != 6:
        raise Wrong(f"{c.acknowledged} of 6")


@rfc("6.5.3", "of a setting that is named twice, the last counts")
def last_counts(peer):
    c = peer.settled()
    c.send(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)))
    c.request()
    got = c.until("the body", lambda got: got.type == DATA)
    if len(got.data) != 1:
        raise Wrong(f"{len(got.data)} bytes came, of a window of 1")


@rfc("6.5.2", "HEADER_TABLE_SIZE of 0: heads come without a table")
def no_table(peer):
    c = peer.connect(begin=PREFACE + settings((HEADER_TABLE_SIZE, 0)))
    c.settled()
    c.decoder.max_allowed_table_size = 0
    for stream in (1, 3, 5):
        c.request(stream)
        c.served(stream)


@rfc("6.5.2", "frames of this end keep to MAX_FRAME_SIZE")
def frames_are_small(peer):
    c = peer.settled()
    c.request(1, "/bytes/300000")
    c.served()
    if max(len(got.data) for got in c.seen if got.type == DATA) > 16384:
        raise Wrong("a larger one came")


# Section 6.6: PUSH_PROMISE is not the client's.

rfc.breaks("PROTOCOL_ERROR", [
    ("6.6", "PUSH_PROMISE on an open stream",
     lambda c: [opened(c), frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + block(*c.fields()))]),
    ("6.6", "PUSH_PROMISE on stream 0", lambda c: [frame(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\x02\x82")]),
])

# Section 6.7: PING.

rfc.breaks("PROTOCOL_ERROR", [("6.7", "PING on a stream", lambda c: [ping(stream=1)])])
rfc.breaks("FRAME_SIZE_ERROR", [
    ("6.7", "PING of six bytes", lambda c: [ping(b"\0" * 6)]),
    ("6.7", "PING of nine bytes", lambda c: [ping(b"\0" * 9)]),
    ("6.7", "PING of no bytes", lambda c: [ping(b"")]),
])


@rfc("6.7", "pings are answered in order, with what they hold; answers are not")
def pings(peer):
    c = peer.settled()
    sent = [struct.pack(">Q", number) for number in range(20)]
    c.send(ping(b"answered", flags=ACK), *map(ping, sent))
    c.alive()
    came = [got.opaque_data for got in c.seen if got.type == PING]
    if came[:-1] != sent or any("ACK" not in got.flags for got in c.seen if got.type == PING):
        raise Wrong(f"{came}")


# Section 6.8: GOAWAY.

rfc.breaks("PROTOCOL_ERROR", [("6.8", "GOAWAY on a stream", lambda c: [frame(GOAWAY, 0, 1, b"\0" * 8)])])
rfc.breaks("FRAME_SIZE_ERROR", [("6.8", "GOAWAY of seven bytes", lambda c: [frame(GOAWAY, 0, 0, b"\0" * 7)])])

for title, payload in (("GOAWAY", b"\0" * 8), ("GOAWAY with words", b"\0" * 8 + b"good bye"),
                       ("GOAWAY with an unknown error code", b"\0\0\0\0\0\0\xbe\xef")):
    @rfc("6.8", f"{title}: what is under way is served")
    def leaving(peer, payload=payload):
        c = peer.settled()
        name = peer.path().strip("/").replace("/", "-")
        c.request(1, f"/held/{name}")
        c.send(frame(GOAWAY, 0, 0, payload))
        peer.world.origin.gate(name).set()
        c.served()


# Section 6.10: CONTINUATION.

def split(c, count: int, last: int = END_HEADERS, path: str = "/") -> list[bytes]:
    """A request of so many frames."""
    fields = block(*c.fields(path))
    size = -(-len(fields) // count)
    pieces = [fields[at:at + size] for at in range(0, len(fields), size)]
    return [frame(HEADERS, END_STREAM, 1, pieces[0]), *(frame(CONTINUATION, 0, 1, piece) for piece in pieces[1:-1]),
            frame(CONTINUATION, last, 1, pieces[-1])]


rfc.breaks("PROTOCOL_ERROR", [
    ("6.10", "CONTINUATION behind a head that is whole",
     lambda c: [head(c), frame(CONTINUATION, END_HEADERS, 1, b"\x82")]),
    ("6.10", "CONTINUATION without a head", lambda c: [frame(CONTINUATION, END_HEADERS, 1, b"\x82")]),
    ("6.10", "CONTINUATION on stream 0", lambda c: [split(c, 2)[0], frame(CONTINUATION, END_HEADERS, 0, b"\x82")]),
    ("6.10", "CONTINUATION on another stream", lambda c: [split(c, 2)[0], frame(CONTINUATION, END_HEADERS, 3, b"\x82")]),
    ("6.10", "CONTINUATION behind DATA",
     lambda c: [opened(c), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, END_HEADERS, 1, b"\x82")]),
    ("4.3", "DATA within a head", lambda c: [split(c, 2)[0], frame(DATA, 0, 1, b"x")]),
    ("4.3", "HEADERS of another stream within a head", lambda c: [split(c, 2)[0], head(c, 3)]),
    ("4.3", "PING within a head", lambda c: [split(c, 2)[0], ping()]),
    ("4.3", "SETTINGS within a head", lambda c: [split(c, 2)[0], settings()]),
    ("4.3", "RST_STREAM within a head", lambda c: [split(c, 2)[0], reset(1)]),
    ("4.3", "PRIORITY within a head", lambda c: [split(c, 2)[0], frame(PRIORITY, 0, 1, WEIGHT)]),
    ("4.3", "WINDOW_UPDATE within a head", lambda c: [split(c, 2)[0], window_update(1, 1)]),
    ("5.5", "an unknown frame within a head", lambda c: [split(c, 2)[0], frame(UNKNOWN, 0, 1, b"x")]),
])

for count in (2, 3, 5):
    @rfc("6.10", f"a head in {count} frames is a request")
    def in_pieces(peer, count=count):
        c = peer.settled()
        c.send(*split(c, count))
        c.served()


@rfc("6.10", "an empty CONTINUATION may end a head")
def empty_continuation(peer):
    c = peer.settled()
    c.send(head(c, flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 1))
    c.served()
