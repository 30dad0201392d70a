"""What a client may try in order to wear lb out: RFC 9113, section 10.5, and what has been seen since. Each may be borne or
may end its own connection; memory stays bounded, and others are served all the while."""

import select
import threading
import time

from kit.cases import Document
from kit.wire import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PADDED, PATIENCE,
                      PRIORITY, Wrong, block, code_name, frame, ping, reset, settings, window_update)

from .frames import WEIGHT, head, opened

rfc = Document("RFC 9113")
MEMORY = 48 << 20  # bytes that a flood may make lb take for good
BORNE = ("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "REFUSED_STREAM", "STREAM_CLOSED", "NO_ERROR",
         "INTERNAL_ERROR", "CANCEL", "COMPRESSION_ERROR")


def flood(title: str, count: int, make, begin=lambda c: b"", reads: bool = True, must_end: bool = False) -> None:
    """A case of `count` times what `make` makes of the connection and the round. Where it does not read, the answers
    fill the connection up; `must_end` says that it may not be borne."""
    def run(peer):
        c = peer.settled()
        before = peer.world.resident()
        c.send(begin(c))
        c.socket.settimeout(PATIENCE)
        served = []
        watched = threading.Thread(target=lambda: served.append(attempt(peer.world)))
        watched.start()
        goaway = None
        for number in range(count):
            if not reads and not select.select([], [c.socket], [], 0.5)[1]:
                break
            c.send(make(c, number))
            if c.broken:
                break
            while reads and goaway is None and number % 16 == 0 and (c.held or select.select([c.socket], [], [], 0)[0]):
                got = c.next()
                goaway = got if got is None or got.type == GOAWAY else None
                if got is None:
                    break
        watched.join()
        if served != [""]:
            raise Wrong(f"another client was not served meanwhile: {served}")
        if peer.world.resident() - before > MEMORY:
            raise Wrong(f"{(peer.world.resident() - before) >> 20} MB more are held")
        if must_end:
            c.ended()
        if goaway is not None and code_name(goaway.error_code) not in BORNE:
            raise Wrong(c.told())
    rfc.add("10.5", title, run)


def attempt(world) -> str:
    """Why another client is not served; nothing where it is."""
    try:
        for _ in range(5):
            world.still_serves()
            time.sleep(0.01)
    except (Wrong, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def stream(number: int) -> int:
    return 2 * number + 1


flood("requests that are reset at once (CVE-2023-44487): the connection ends", 5_000,
      lambda c, n: head(c, stream(n)) + reset(stream(n)), must_end=True)
flood("requests that this end is made to reset (CVE-2025-8671): the connection ends", 5_000,
      lambda c, n: opened(c, stream(n)) + window_update(stream(n), 0), must_end=True)
flood("malformed requests", 3_000,
      lambda c, n: frame(HEADERS, END_HEADERS | END_STREAM, stream(n), block((b"X", b"1"))))
flood("a head that never ends (CVE-2024-27316): the connection ends", 20_000,
      lambda c, n: frame(CONTINUATION, 0, 1, block((b"x%d" % n, b"y" * 500))),
      begin=lambda c: head(c, 1, END_STREAM), must_end=True)
flood("empty CONTINUATION without end: the connection ends", 200_000, lambda c, n: frame(CONTINUATION, 0, 1) * 10,
      begin=lambda c: head(c, 1, END_STREAM), must_end=True)
flood("pings (CVE-2019-9512)", 20_000, lambda c, n: ping() * 4)
flood("pings whose answers are not read", 50_000, lambda c, n: ping() * 100, reads=False)
flood("settings (CVE-2019-9515)", 20_000, lambda c, n: settings((INITIAL_WINDOW_SIZE, n + 1)))
flood("settings whose answers are not read", 50_000, lambda c, n: settings() * 100, reads=False)
flood("empty DATA (CVE-2019-9518)", 20_000, lambda c, n: frame(DATA, 0, 1) * 4, begin=opened)
flood("DATA of padding alone", 200, lambda c, n: frame(DATA, PADDED, 1, b"\x09" + b"\0" * 9) * 4, begin=opened)
flood("priorities (CVE-2019-9513)", 20_000, lambda c, n: frame(PRIORITY, 0, 2 * (n % 1000) + 1, WEIGHT) * 4)
flood("windows opened by one byte", 20_000, lambda c, n: window_update(0, 1) * 4)
flood("unknown frames", 5_000, lambda c, n: frame(0xB7, 0, 0, b"x" * 100) * 4)
flood("fields without a name (CVE-2019-9516)", 3_000,
      lambda c, n: frame(HEADERS, END_HEADERS | END_STREAM, stream(n), b"\0\0\0" * 50))
flood("heads that repeat one large entry of the table", 300,
      lambda c, n: frame(HEADERS, END_HEADERS | END_STREAM, stream(n), block(*c.fields()) + b"\xbe" * 4000),
      begin=lambda c: frame(HEADERS, END_HEADERS | END_STREAM, 1,
                            block(*c.fields()) + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000))
flood("large responses that are asked for and not read", 90, lambda c, n: head(c, stream(n), path="/bytes/20000000"),
      begin=lambda c: settings((INITIAL_WINDOW_SIZE, (1 << 31) - 1)) + window_update(0, (1 << 31) - 1 - 65535), reads=False)


@rfc("10.5", "a head list above what is announced: refused, and the connection or another goes on")
def large_head(peer):
    c = peer.settled()
    limit = c.settings[6]
    fields = block(*c.fields(), *((b"x-%d" % number, b"y" * 1000) for number in range(limit // 1000 + 1)))
    pieces = [fields[at:at + 16384] for at in range(0, len(fields), 16384)]
    c.send(frame(HEADERS, END_STREAM | (END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0]))
    for number, piece in enumerate(pieces[1:], 2):
        c.send(frame(CONTINUATION, END_HEADERS if number == len(pieces) else 0, 1, piece))
    c.stream_error(1, "PROTOCOL_ERROR", "ENHANCE_YOUR_CALM", "REFUSED_STREAM", "COMPRESSION_ERROR", answer=True)


@rfc("10.5", "a response that is taken byte by byte")
def byte_by_byte(peer):
    c = peer.settled()
    c.send(settings((INITIAL_WINDOW_SIZE, 1)))
    c.request(1, "/bytes/300")
    body = 0
    while body < 300:
        body += len(c.until("a byte", lambda got: got.type == DATA).data)
        c.send(window_update(1, 1))


@rfc("10.5", "hundred requests whose bodies never come do not keep others from being served")
def slow_bodies(peer):
    c = peer.settled()
    for number in range(100):
        c.request(stream(number), "/sum", b"POST", (b"content-length", b"10"), end=False)
        c.data(stream(number), b"x")
    c.alive()
    peer.world.still_serves()
