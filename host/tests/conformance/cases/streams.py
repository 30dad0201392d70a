"""Streams, their states, their numbers and their windows: RFC 9113, sections 5 and 6.9."""

import select

from kit.cases import Document
from kit.wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
                      MAX_CONCURRENT_STREAMS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, Wrong, code_name, frame, ping,
                      reset, settings, window_update)

from .frames import WEIGHT, head, opened

rfc = Document("RFC 9113")
LARGEST = (1 << 31) - 1


def closed(c) -> bytes:
    """A stream on which all has been said."""
    c.request(1)
    c.served(1)
    return b""


def held(peer, c, stream: int = 1) -> str:
    """A stream whose request is whole and whose answer waits. Gives the gate's name."""
    name = peer.path().strip("/").replace("/", "-")
    c.request(stream, f"/held/{name}")
    return name


# Section 5.1: states.

rfc.breaks("PROTOCOL_ERROR", [
    ("5.1", "DATA on an idle stream", lambda c: [frame(DATA, END_STREAM, 1, b"x")]),
    ("5.1", "WINDOW_UPDATE on an idle stream", lambda c: [window_update(1, 1)]),
    ("5.1", "RST_STREAM on an idle stream above others", lambda c: [head(c), reset(3)]),
    ("5.1", "CONTINUATION on an idle stream", lambda c: [head(c), frame(CONTINUATION, END_HEADERS, 3, b"\x82")]),
    ("5.1", "WINDOW_UPDATE on a stream of this end that it never opened", lambda c: [window_update(2, 1)]),
    ("5.1", "DATA on a stream of this end that it never opened", lambda c: [frame(DATA, 0, 2, b"x")]),
    ("5.1", "RST_STREAM on a stream of this end that it never opened", lambda c: [reset(2)]),
])

for title, words in (("DATA", lambda c: frame(DATA, 0, 1, b"x")), ("HEADERS", lambda c: head(c)),
                     ("empty DATA that ends it again", lambda c: frame(DATA, END_STREAM, 1))):
    @rfc("5.1", f"{title} behind a request's end: stream error STREAM_CLOSED")
    def half_closed(peer, words=words):
        c = peer.settled()
        held(peer, c)
        c.send(words(c))
        c.stream_error(1, "STREAM_CLOSED")

for title, words in (("WINDOW_UPDATE", window_update(1, 1)), ("PRIORITY", frame(PRIORITY, 0, 1, WEIGHT))):
    @rfc("5.1", f"{title} behind a request's end: ignored")
    def half_closed_may(peer, words=words):
        c = peer.settled()
        name = held(peer, c)
        c.send(words)
        c.alive()
        peer.world.origin.gate(name).set()
        c.served()


@rfc("5.1", "CONTINUATION behind a request's end: connection error PROTOCOL_ERROR or STREAM_CLOSED")
def half_closed_continuation(peer):
    c = peer.settled()
    held(peer, c)
    c.send(frame(CONTINUATION, END_HEADERS, 1, b"\x82"))
    c.connection_error("PROTOCOL_ERROR", "STREAM_CLOSED")


def may_break(c, *codes: str) -> None:
    """An error of one of these types, of the stream or the connection; or nothing."""
    token = b"may pass"
    c.send(ping(token))
    while (got := c.next()) is not None:
        if got.type in (GOAWAY, RST_STREAM) and code_name(got.error_code) not in codes:
            raise Wrong(f"{code_name(got.error_code)} instead of {' or '.join(codes)}")
        if got.type == PING and got.opaque_data == token:
            return


for when, close in (("closed", closed), ("that its client has reset", lambda c: c.send(opened(c), reset(1)))):
    for title, codes, words in (("DATA", ("STREAM_CLOSED",), lambda c: frame(DATA, 0, 1, b"x")),
                                ("HEADERS", ("STREAM_CLOSED", "PROTOCOL_ERROR"), head),
                                ("WINDOW_UPDATE", ("STREAM_CLOSED",), lambda c: window_update(1, 1)),
                                ("RST_STREAM", ("STREAM_CLOSED",), lambda c: reset(1)),
                                ("PRIORITY", (), lambda c: frame(PRIORITY, 0, 1, WEIGHT))):
        also = f"at most an error {' or '.join(codes)}" if codes else "ignored"

        @rfc("5.1", f"{title} on a stream {when}: {also}")
        def late(peer, close=close, words=words, codes=codes):
            c = peer.settled()
            close(c)
            c.send(words(c))
            may_break(c, *codes)


@rfc("5.1", "HEADERS on a closed stream are no request")
def no_second_request(peer):
    c = peer.settled()
    closed(c)
    path = peer.path()
    c.send(head(c, path=path))
    may_break(c, "STREAM_CLOSED", "PROTOCOL_ERROR")
    if peer.world.origin.saw(path):
        raise Wrong("the server saw it")


@rfc("5.1", "a request that its client resets does not hold the others up")
def reset_under_way(peer):
    c = peer.settled()
    held(peer, c)
    c.request(3)
    c.served(3)
    c.send(reset(1))
    c.request(5)
    c.served(5)


# Section 5.1.1: numbers.

rfc.breaks("PROTOCOL_ERROR", [
    ("5.1.1", "a request on a stream of an even number", lambda c: [head(c, 2)]),
    ("5.1.1", "a request on an even stream behind others", lambda c: [head(c, 1), head(c, 4)]),
])
rfc.breaks("PROTOCOL_ERROR STREAM_CLOSED", [
    ("5.1.1", "a request on a lower number than the last", lambda c: [head(c, 5), head(c, 3)]),
])


@rfc("5.1.1", "numbers may be left out")
def gaps(peer):
    c = peer.settled()
    for stream in (1, 9, 1001, LARGEST):
        c.request(stream)
        c.served(stream)


# Section 5.1.2: how many at once.

@rfc("5.1.2", "one stream more than allowed: stream error REFUSED_STREAM or PROTOCOL_ERROR")
def too_many(peer):
    c = peer.settled()
    count = c.settings[MAX_CONCURRENT_STREAMS]
    name = held(peer, c)
    for number in range(1, count + 1):
        c.request(2 * number + 1, f"/held/{name}")
    c.stream_error(2 * count + 1, "REFUSED_STREAM", "PROTOCOL_ERROR")
    peer.world.origin.gate(name).set()
    c.served(1)


@rfc("5.1.2", "as many streams as are allowed, all served in whatever order")
def many(peer):
    c = peer.settled()
    for number in range(c.settings[MAX_CONCURRENT_STREAMS]):
        c.request(2 * number + 1, f"/bytes/{100 + number}")
    left = set(range(1, 2 * c.settings[MAX_CONCURRENT_STREAMS], 2))
    while left:
        left.discard(c.until("all", lambda got: "END_STREAM" in got.flags).stream_id)


# Section 6.9: windows.

rfc.breaks("PROTOCOL_ERROR", [("6.9", "WINDOW_UPDATE of 0 for the connection", lambda c: [window_update(0, 0)])])
rfc.resets("PROTOCOL_ERROR", [("6.9", "WINDOW_UPDATE of 0 for a stream", lambda c: [opened(c), window_update(1, 0)])])
rfc.breaks("FRAME_SIZE_ERROR", [
    ("6.9", "WINDOW_UPDATE of three bytes", lambda c: [frame(WINDOW_UPDATE, 0, 0, b"\0\0\1")]),
    ("6.9", "WINDOW_UPDATE of five bytes", lambda c: [frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0\1")]),
])
rfc.breaks("FLOW_CONTROL_ERROR", [
    ("6.9.1", "a connection's window above 2^31-1", lambda c: [window_update(0, LARGEST), window_update(0, LARGEST)]),
    ("6.9.2", "a setting that takes a stream's window above 2^31-1",
     lambda c: [opened(c), window_update(1, LARGEST - 65535), settings((INITIAL_WINDOW_SIZE, 65536))]),
])
rfc.resets("FLOW_CONTROL_ERROR", [
    ("6.9.1", "a stream's window above 2^31-1", lambda c: [opened(c), window_update(1, LARGEST)]),
])
rfc.ignores([
    ("6.9.1", "a window of exactly 2^31-1", lambda c: [window_update(0, LARGEST - 65535)]),
    ("6.9", "the reserved bit of WINDOW_UPDATE", lambda c: [frame(WINDOW_UPDATE, 0, 0, b"\x80\0\0\1")]),
])


def came(c, count: int) -> None:
    """Exactly so many bytes of stream 1 come, and no more before a ping's answer."""
    body = sum(len(got.data) for got in c.seen if got.type == DATA)
    while body < count:
        body += len(c.until(f"{count} bytes", lambda got: got.type == DATA).data)
    c.alive()
    body = sum(len(got.data) for got in c.seen if got.type == DATA)
    if body != count:
        raise Wrong(f"{body} bytes came where the window allows {count}")


@rfc("6.9.1", "a window of 0: the head comes, no byte of the body does")
def no_window(peer):
    c = peer.settled()
    c.send(settings((INITIAL_WINDOW_SIZE, 0)))
    c.request(1, "/bytes/10")
    c.until("the head", lambda got: got.type == HEADERS)
    came(c, 0)
    c.send(window_update(1, 3))
    came(c, 3)
    c.send(settings((INITIAL_WINDOW_SIZE, 1)))
    came(c, 4)
    c.send(settings((INITIAL_WINDOW_SIZE, 65535)))
    came(c, 10)


@rfc("6.9.2", "a window that a setting makes negative")
def negative(peer):
    c = peer.settled()
    c.send(settings((INITIAL_WINDOW_SIZE, 30)))
    c.request(1, "/bytes/100")
    came(c, 30)
    c.send(settings((INITIAL_WINDOW_SIZE, 10)))
    came(c, 30)
    c.send(window_update(1, 20))
    came(c, 30)
    c.send(window_update(1, 1))
    came(c, 31)
    c.send(settings((INITIAL_WINDOW_SIZE, 79)))
    came(c, 100)


@rfc("6.9.1", "the connection's window holds for all streams together")
def connection_window(peer):
    c = peer.settled()
    c.send(settings((INITIAL_WINDOW_SIZE, LARGEST)))
    c.request(1, "/bytes/100000")
    came(c, 65535)
    c.request(3, "/bytes/0")
    c.served(3)
    c.send(window_update(0, 5))
    came(c, 65540)
    c.send(window_update(0, 1 << 20))
    came(c, 100000)


@rfc("6.9.1", "bytes of the body that nobody was allowed to send: error FLOW_CONTROL_ERROR")
def beyond_the_window(peer):
    c = peer.settled()
    name = peer.path().strip("/").replace("/", "-")
    c.request(1, f"/held/{name}", b"POST", end=False)
    piece = frame(DATA, 0, 1, b"x" * 16384)
    # What the systems' buffers on the way to the server hold is granted; then nothing is.
    for _ in range(4096):
        c.send(piece)
        if c.broken:
            break
        readable = bool(c.held) or select.select([c.socket], [], [], 0)[0]
        if readable and (got := c.next()) is not None and got.type in (RST_STREAM, GOAWAY):
            if code_name(got.error_code) != "FLOW_CONTROL_ERROR":
                raise Wrong(c.told())
            break
    else:
        raise Wrong("64 MB were taken")
    peer.world.origin.gate(name).set()


@rfc("6.9.1", "a body larger than all windows passes as windows are opened")
def upload(peer):
    c = peer.settled()
    c.request(1, "/echo", b"POST", end=False)
    size, sent = 400_000, 0
    window = {0: 65535, 1: c.settings.get(INITIAL_WINDOW_SIZE, 65535)}
    body = 0
    while body < size:
        while sent < size and (room := min(*window.values(), 16384, size - sent)) > 0:
            sent += room
            c.data(1, b"x" * room, end=sent == size)
            window = {stream: left - room for stream, left in window.items()}
        got = c.until("more room", lambda got: got.type in (WINDOW_UPDATE, DATA, RST_STREAM))
        if got.type == RST_STREAM:
            raise Wrong(c.told())
        if got.type == WINDOW_UPDATE:
            window[got.stream_id] = window.get(got.stream_id, 0) + got.window_increment
        else:
            body += len(got.data)
            c.send(window_update(0, max(1, len(got.data))), window_update(1, max(1, len(got.data))))
