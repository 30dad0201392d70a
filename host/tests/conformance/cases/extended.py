"""WebSocket over a stream: extended CONNECT, RFC 8441."""

import os
import struct
import time

from kit.cases import Document
from kit.wire import (DATA, ENABLE_CONNECT_PROTOCOL, END_HEADERS, GOAWAY, HEADERS, PATIENCE, RST_STREAM, Wrong, block,
                      frame, reset, settings)

rfc = Document("RFC 8441")
VERSION = (b"sec-websocket-version", b"13")


def fields(c, path: bytes, protocol: bytes = b"websocket", *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b":method", b"CONNECT"), (b":protocol", protocol), (b":scheme", c.scheme), (b":path", path),
            (b":authority", b"site.test"), VERSION, *more]


def opened(peer, path: str = "/socket/echo", *more: tuple[bytes, bytes], stream: int = 1, connection=None):
    """A WebSocket on a stream, and the head of the answer."""
    c = connection or peer.settled()
    c.send(frame(HEADERS, END_HEADERS, stream, block(*fields(c, path.encode(), b"websocket", *more))))
    got = c.until("the answer", lambda got: got.stream_id == stream)
    if got.type != HEADERS or dict(got.fields)[b":status"] != b"200" or "END_STREAM" in got.flags:
        raise Wrong(c.told())
    return c, dict(got.fields)


def message(text: bytes, opcode: int = 1) -> bytes:
    """A frame of RFC 6455, as clients mask it."""
    length = bytes([128 | len(text)]) if len(text) < 126 else bytes([254]) + struct.pack(">H", len(text))
    mask = os.urandom(4)
    return bytes([128 | opcode]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))


def heard(c, expected: bytes, stream: int = 1) -> None:
    """These bytes come on the stream."""
    came = b""
    while len(came) < len(expected):
        came += c.until(f"{expected!r}", lambda got: got.type == DATA and got.stream_id == stream).data
    if came != expected:
        raise Wrong(f"{came!r} came instead of {expected!r}")


def unmasked(text: bytes, opcode: int = 1) -> bytes:
    return bytes([128 | opcode, len(text)]) + text


@rfc("3", "the setting of extended CONNECT is 1 from the first SETTINGS on")
def setting(peer):
    c = peer.connect()
    first = c.next()
    if first.settings.get(ENABLE_CONNECT_PROTOCOL) != 1:
        raise Wrong(f"{first.settings}")


rfc.ignores([("3", "the same setting from a client", lambda c: [settings((ENABLE_CONNECT_PROTOCOL, 1))])])


@rfc("5", "a WebSocket opens, and words pass both ways")
def words(peer):
    c, answer = opened(peer)
    odd = {b"sec-websocket-accept", b"connection", b"upgrade", b"transfer-encoding", b"content-length"} & set(answer)
    if odd:
        raise Wrong(f"the answer has {odd}")
    for text in (b"hello", b"there", b"x" * 100):
        c.data(1, message(text))
        heard(c, unmasked(text))


@rfc("5", "subprotocols are agreed on by the fields that HTTP/1.1 has")
def subprotocol(peer):
    _, answer = opened(peer, "/socket/echo", (b"sec-websocket-protocol", b"other, chat"))
    if answer.get(b"sec-websocket-protocol") != b"chat":
        raise Wrong(f"the answer has {answer}")


@rfc("5", "a close is said by both, then the stream ends without an error")
def close(peer):
    c, _ = opened(peer, "/socket/close/4001")
    c.data(1, message(b"x"))
    heard(c, unmasked(struct.pack(">H", 4001) + b"as asked", 8))
    c.data(1, message(struct.pack(">H", 4001), 8))
    end = c.until("the end", lambda got: got.stream_id == 1)
    if end.type == RST_STREAM or "END_STREAM" not in end.flags:
        raise Wrong(c.told())
    c.alive()


for title, leave in (("END_STREAM", lambda c: c.data(1, b"", end=True)), ("RST_STREAM CANCEL", lambda c: c.send(reset(1)))):
    @rfc("5", f"{title} in the midst of it ends the server's connection")
    def left(peer, leave=leave):
        path = f"/socket/echo?{peer.path()}"
        c, _ = opened(peer, path)
        c.data(1, message(b"hello"))
        heard(c, unmasked(b"hello"))
        leave(c)
        end = time.monotonic() + PATIENCE
        while not any(code[0] == path for code in peer.world.sockets.codes):
            if time.monotonic() > end:
                raise Wrong("the server still waits")
            time.sleep(0.01)
        c.request(3)
        c.served(3)


@rfc("5", "WebSockets beside requests on one connection")
def beside(peer):
    c, _ = opened(peer)
    for stream in range(3, 20, 4):
        opened(peer, stream=stream, connection=c)
        c.request(stream + 2, "/bytes/1000")
        c.served(stream + 2)
    for stream in (1, *range(3, 20, 4)):
        c.data(stream, message(b"on %d" % stream))
        heard(c, unmasked(b"on %d" % stream), stream)


@rfc("5", "a server that knows no WebSocket: its answer passes")
def no_socket(peer):
    c = peer.settled()
    c.send(frame(HEADERS, END_HEADERS, 1, block(*fields(c, b"/status/404"))))
    got = c.until("the answer", lambda got: got.stream_id == 1)
    if got.type != HEADERS or dict(got.fields)[b":status"] != b"404":
        raise Wrong(c.told())
    c.alive()


def without(*names: bytes):
    return lambda c: [(name, value) for name, value in fields(c, b"/socket/echo") if name not in names]


for title, make in (
        ("no :path", without(b":path")), ("no :scheme", without(b":scheme")), ("no :authority", without(b":authority")),
        (":protocol without CONNECT", lambda c: [(name, b"GET" if name == b":method" else value)
                                                 for name, value in fields(c, b"/socket/echo")]),
        ("two :protocol", lambda c: [(b":protocol", b"websocket"), *fields(c, b"/socket/echo")]),
        ("an empty :protocol", lambda c: fields(c, b"/socket/echo", b"")),
        (":protocol behind other fields", lambda c: [*without(b":protocol")(c), (b":protocol", b"websocket")]),
        ("a protocol that is not known", lambda c: fields(c, b"/socket/echo", b"connect-udp")),
        ("a protocol with CR LF", lambda c: fields(c, b"/socket/echo", b"websocket\r\nx: y")),
        ("upgrade beside it", lambda c: fields(c, b"/socket/echo", b"websocket", (b"upgrade", b"websocket"))),
        ("connection beside it", lambda c: fields(c, b"/socket/echo", b"websocket", (b"connection", b"upgrade")))):
    @rfc("4", f"extended CONNECT with {title}: refused")
    def refused(peer, make=make):
        c = peer.settled()
        c.send(frame(HEADERS, END_HEADERS, 1, block(*make(c))))
        got = c.until("the answer", lambda got: got.stream_id == 1 or got.type == GOAWAY)
        refusal = got.type == HEADERS and dict(got.fields)[b":status"][:1] in (b"4", b"5")
        if not refusal and (got.type == HEADERS or got.error_code not in (1, 10)):
            raise Wrong(c.told())
        c.request(3)
        c.served(3)
