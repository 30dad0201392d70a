"""Servers that refuse, break off, or answer what is no HTTP."""

import time

from configurations import FRESH, LONE_REFUSES_REDISPATCH, ONE_REFUSES, ONE_REFUSES_REDISPATCH, REFUSES, SHORT, SHORT_RETRIES
from twin.suite import case, exchange, get, ok, then_close, then_reset

# Before the headers are complete
exchange("closes-before-headers", SHORT, get(), then_close(b""))
exchange(
    "closes-before-headers-post", SHORT, get("/", "Content-Length: 5", method="POST", body=b"hello"), then_close(b"")
)
exchange("resets-before-headers", SHORT, get(), then_reset(b""))
exchange("closes-before-headers-fresh", FRESH, get(), then_close(b""))
exchange("resets-before-headers-fresh", FRESH, get(), then_reset(b""))
exchange("closes-in-status-line", SHORT, get(), then_close(b"HTTP/1.1 20"))
exchange("closes-in-headers", SHORT, get(), then_close(b"HTTP/1.1 200 OK\r\nContent-Le"))
exchange("closes-after-a-header", SHORT, get(), then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"))
exchange("resets-in-headers", SHORT, get(), then_reset(b"HTTP/1.1 200 OK\r\nContent-Le"))
exchange("closes-after-100", SHORT, get(), then_close(b"HTTP/1.1 100 Continue\r\n\r\n"))

# Within the body
exchange("closes-in-body-length", SHORT, get(), then_close(ok("Content-Length: 10", length=False, body=b"half.")))
exchange("closes-before-body-length", SHORT, get(), then_close(ok("Content-Length: 10", length=False, body=b"")))
exchange(
    "closes-in-body-chunked",
    SHORT,
    get(),
    then_close(ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n")),
)
exchange(
    "closes-in-chunk", SHORT, get(), then_close(ok("Transfer-Encoding: chunked", length=False, body=b"a\r\nhello"))
)
exchange(
    "closes-in-chunk-size",
    SHORT,
    get(),
    then_close(ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n1")),
)
exchange(
    "closes-before-last-line-of-chunks",
    SHORT,
    get(),
    then_close(ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n0\r\n")),
)
exchange("resets-in-body-length", SHORT, get(), then_reset(ok("Content-Length: 10", length=False, body=b"half.")))
exchange("resets-in-body-unframed", SHORT, get(), then_reset(ok(length=False, body=b"half.")))
exchange(
    "closes-in-body-to-http10",
    SHORT,
    get(version="HTTP/1.0"),
    then_close(ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n")),
)

# Answers that are no HTTP
for name, answer in {
    "rubbish": b"what is this?\r\n\r\n",
    "rubbish-without-end": b"rubbish",
    "rubbish-binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "rubbish-before-status": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-letters": b"HTTP/1.1 abc OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-000": b"HTTP/1.1 000 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-099": b"HTTP/1.1 099 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-600": b"HTTP/1.1 600 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "version-2": b"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "version-0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "version-lower-case": b"http/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "version-other-protocol": b"ICY 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "status-bare-lf": b"HTTP/1.1 200\nContent-Length: 3\r\n\r\nok\n",
    "two-spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nok\n",
    "bare-cr": b"HTTP/1.1 200 OK\rContent-Length: 3\r\n\r\nok\n",
    "header-without-colon": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nno colon here\r\n\r\nok\n",
    "header-word-without-colon": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nword\r\n\r\nok\n",
    "header-space-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A : b\r\n\r\nok\n",
    "header-empty-name": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n: b\r\n\r\nok\n",
    "header-folded": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: one\r\n two\r\n\r\nok\n",
    "header-folded-first": b"HTTP/1.1 200 OK\r\n X-A: one\r\nContent-Length: 3\r\n\r\nok\n",
    "header-nul": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: a\0b\r\n\r\nok\n",
    "header-control": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: a\x01b\x7f\r\n\r\nok\n",
    "length-conflict": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nok\n",
    "length-conflict-list": b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nok\n",
    "length-negative": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nok\n",
    "length-plus": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nok\n",
    "length-letters": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nok\n",
    "length-empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok\n",
    "length-huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok\n",
    "chunked-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked-not-last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunk-size-letters": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
    "chunk-size-letters-later": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\nok\r\n0\r\n\r\n",
    "chunk-size-empty": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n",
    "chunk-size-negative": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    "chunk-size-huge": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "chunk-without-line-end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokxx0\r\n\r\n",
    "head-too-large": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: " + b"a" * 17_000 + b"\r\n\r\nok\n",
    "too-many-headers": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
    + b"".join(b"X-%d: a\r\n" % n for n in range(120))
    + b"\r\nok\n",
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
    "more-than-length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\nsurplus",
}.items():
    exchange(f"answers-{name}", SHORT, get(), then_close(answer))


def later(*pieces):
    """A script: sends the pieces one by one, so that what is wrong comes after the client has the head."""

    def script(connection, _request):
        for piece in pieces:
            connection.send(piece)
            time.sleep(0.05)
        return False

    return script


CHUNKED = ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n")
exchange("answers-late-chunk-size-letters", SHORT, get(), later(CHUNKED, b"xyz\r\nhello\r\n0\r\n\r\n"))
exchange("answers-late-chunk-without-line-end", SHORT, get(), later(CHUNKED, b"5\r\nhelloxx0\r\n\r\n"))
exchange("answers-late-trailer-without-colon", SHORT, get(), later(CHUNKED, b"0\r\nword\r\n\r\n"))
exchange("answers-late-surplus", SHORT, get(), later(ok(), b"surplus"))
exchange("answers-late-100", SHORT, get(), later(b"HTTP/1.1 100 Continue\r\n\r\n", ok()))
exchange("answers-late-rubbish-after-100", SHORT, get(), later(b"HTTP/1.1 100 Continue\r\n\r\n", b"rubbish\r\n\r\n"))
exchange("answers-head-just-fits", SHORT, get(), ok("X-A: " + "a" * 15_228))
exchange("answers-head-just-too-large", SHORT, get(), ok("X-A: " + "a" * 15_229))

# Connections that never come about
exchange("refuses", REFUSES, get())
for count, configuration in SHORT_RETRIES.items():
    exchange(f"refuses-retries-{count}", configuration, get())
exchange("refuses-post", REFUSES, get("/", "Content-Length: 5", method="POST", body=b"hello"))


@case("refuses-keep-alive", REFUSES, logs=2)
def refuses_keep_alive(world):
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2"))
    client.end()


@case("one-refuses", ONE_REFUSES, logs=3)
def one_refuses(world):
    for number in range(3):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}"))
        client.end()


@case("one-refuses-redispatch", ONE_REFUSES_REDISPATCH, logs=3)
def one_refuses_redispatch(world):
    for number in range(3):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}"))
        client.end()


@case("lone-refuses-redispatch", LONE_REFUSES_REDISPATCH)
def lone_refuses_redispatch(world):
    client = world.client()
    client.request(get("/"))
    client.end()


@case("one-refuses-redispatch-cookie", ONE_REFUSES_REDISPATCH)
def one_refuses_redispatch_cookie(world):
    client = world.client()
    client.request(get("/", "Cookie: SERVER=web-a"))
    client.end()


@case("one-refuses-cookie", ONE_REFUSES)
def one_refuses_cookie(world):
    client = world.client()
    client.request(get("/", "Cookie: SERVER=web-a"))
    client.end()


# A kept connection that the server closes
@case("reused-connection-was-closed", SHORT, logs=3)
def reused_connection_was_closed(world):
    client = world.client()
    client.request(get("/1", "Cookie: SERVER=web-a"))
    world["web-a"].drop_connections()
    time.sleep(0.1)
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.request(get("/3", "Cookie: SERVER=web-a"))
    client.end()


@case("reused-connection-closes-under-request", SHORT, logs=2)
def reused_connection_closes_under_request(world):
    world["web-a"].answers(ok(), then_close(b""))
    client = world.client()
    client.request(get("/1", "Cookie: SERVER=web-a"))
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.end()


@case("reused-connection-closes-under-post", SHORT, logs=2)
def reused_connection_closes_under_post(world):
    world["web-a"].answers(ok(), then_close(b""))
    client = world.client()
    client.request(get("/1", "Cookie: SERVER=web-a"))
    client.request(get("/2", "Cookie: SERVER=web-a", "Content-Length: 5", method="POST", body=b"hello"))
    client.end()


@case("reused-connection-resets-under-request", SHORT, logs=2)
def reused_connection_resets_under_request(world):
    world["web-a"].answers(ok(), then_reset(b""))
    client = world.client()
    client.request(get("/1", "Cookie: SERVER=web-a"))
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.end()
