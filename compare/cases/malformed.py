"""Requests that are no HTTP/1, or nearly none."""

import time

from configurations import SHORT
from twin.suite import case, get

HOST = b"Host: example.test\r\n"


def malformed(name, request, logs=1):
    """Sends it, and writes down every byte that comes until the proxy closes (or keeps silent for a while)."""

    def run(world):
        client = world.client()
        client.send(request)
        client.response()
        client.end()

    case(f"malformed-{name}", SHORT, logs)(run)


def with_line(line, body=b"", method=b"GET"):
    return method + b" / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n" + body


def posted(line, body=b"hello"):
    return with_line(line, body, b"POST")


# Line ends and whitespace
malformed("bare-lf", b"GET / HTTP/1.1\nHost: example.test\n\n")
malformed("bare-lf-in-one-header", b"GET / HTTP/1.1\r\nX-A: b\n" + HOST + b"\r\n")
malformed("bare-cr-in-value", with_line(b"X-A: b\rc"))
malformed("bare-cr-after-line", b"GET / HTTP/1.1\rHost: example.test\r\n\r\n")
malformed("cr-cr-lf", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n")
malformed("folded", with_line(b"X-A: one\r\n two"))
malformed("folded-tab", with_line(b"X-A: one\r\n\ttwo"))
malformed("folded-first-header", b"GET / HTTP/1.1\r\n Host: example.test\r\n\r\n")
malformed("leading-empty-lines", b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("leading-bare-lf", b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("leading-space", b" GET / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("spaces-in-request-line", b"GET  /  HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("tab-in-request-line", b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n")
malformed("space-after-version", b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n")
malformed("space-in-target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("control-in-target", b"GET /a\x01b HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("nul-in-target", b"GET /a\0b HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("del-in-target", b"GET /a\x7fb HTTP/1.1\r\n" + HOST + b"\r\n")

# Header lines
malformed("nul-in-value", with_line(b"X-A: a\0b"))
malformed("control-in-value", with_line(b"X-A: a\x01b\x7fc"))
malformed("nul-in-name", with_line(b"X-\0A: b"))
malformed("space-before-colon", with_line(b"X-A : b"))
malformed("space-in-name", with_line(b"X A: b"))
malformed("high-byte-in-name", with_line(b"X-\xe9: b"))
malformed("bracket-in-name", with_line(b"X[A]: b"))
malformed("slash-in-name", with_line(b"X/A: b"))
malformed("no-colon", with_line(b"word"))
malformed("empty-name", with_line(b": b"))
malformed("too-many-headers", b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(120)) + b"\r\n")
malformed("headers-100", b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(99)) + b"\r\n")
malformed("headers-101", b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(100)) + b"\r\n")
malformed("headers-102", b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(101)) + b"\r\n")
malformed("head-15000", with_line(b"X-A: " + b"a" * 15_000))
malformed("head-15600", with_line(b"X-A: " + b"a" * 15_600))
# HAProxy keeps 1,024 bytes of its 16,384 for what it adds, and counts a head in its own representation:
# 28 bytes and the parts of the request line, 8 bytes and name and value for each header, 9 bytes: 15,312 in all.
malformed("head-just-fits", with_line(b"X-A: " + b"a" * 15_228))
malformed("head-just-too-large", with_line(b"X-A: " + b"a" * 15_229))
malformed("head-16300", with_line(b"X-A: " + b"a" * 16_300))
malformed("head-17000", with_line(b"X-A: " + b"a" * 17_000))
malformed("head-40000", with_line(b"X-A: " + b"a" * 40_000))
malformed("target-17000", b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("host-with-space", b"GET / HTTP/1.1\r\nHost: example test\r\n\r\n")
malformed("host-with-slash", b"GET / HTTP/1.1\r\nHost: example.test/a\r\n\r\n")
malformed("host-list", b"GET / HTTP/1.1\r\nHost: example.test, other.test\r\n\r\n")
malformed("host-with-user", b"GET / HTTP/1.1\r\nHost: example.test:80@other.test\r\n\r\n")
malformed("host-two-ports", b"GET / HTTP/1.1\r\nHost: example.test:80:81\r\n\r\n")
malformed("host-open-bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")
malformed("host-empty-port", b"GET / HTTP/1.1\r\nHost: example.test:\r\n\r\n")
malformed("host-port-of-https", b"GET https://example.test:443/ HTTP/1.1\r\nHost: example.test\r\n\r\n")

# Methods, versions, other protocols
malformed("method-brackets", b"G[E]T / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("method-high-byte", b"G\xc9T / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("method-missing", b"/ HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("method-long", b"M" * 300 + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("version-missing", b"GET /\r\n\r\n")
malformed("version-missing-with-headers", b"GET /\r\n" + HOST + b"\r\n")
malformed("version-missing-post", b"POST /\r\n\r\n")
malformed("version-0.9", b"GET / HTTP/0.9\r\n" + HOST + b"\r\n")
malformed("version-1.2", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n")
malformed("version-1.9", b"GET / HTTP/1.9\r\n" + HOST + b"\r\n")
malformed("version-2.0", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n")
malformed("version-3.0", b"GET / HTTP/3.0\r\n" + HOST + b"\r\n")
malformed("version-1", b"GET / HTTP/1\r\n" + HOST + b"\r\n")
malformed("version-11", b"GET / HTTP/1.11\r\n" + HOST + b"\r\n")
malformed("version-lower-case", b"GET / http/1.1\r\n" + HOST + b"\r\n")
malformed("version-other", b"GET / FTP/1.1\r\n" + HOST + b"\r\n")
malformed("version-rtsp", b"OPTIONS / RTSP/1.0\r\n" + HOST + b"\r\n")
malformed("preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
malformed("preface-part", b"PRI * HTTP/2.0\r\n\r\n")
malformed("preface-http11", b"PRI * HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("tls", bytes.fromhex("16030100c8010000c40303") + bytes(range(190)))
malformed("proxy-v1", b"PROXY TCP4 10.0.0.1 10.0.0.2 1000 80\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("rubbish", b"what is this?\r\n\r\n")
malformed("rubbish-binary", bytes(range(128, 256)) + b"\r\n\r\n")
malformed("nuls", b"\0" * 20)
malformed("connect-with-path", b"CONNECT /a HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("connect-other-host", b"CONNECT other.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
malformed("star-get", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("target-empty", b"GET  HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("target-authority", b"GET example.test:80 HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("target-scheme-in-query", b"GET admin?://x HTTP/1.1\r\nHost: x\r\n\r\n")
malformed("connect-other-port", b"CONNECT example.test:8080 HTTP/1.1\r\nHost: example.test\r\n\r\n")
malformed("target-scheme-only", b"GET http:// HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("target-other-scheme", b"GET ftp://example.test/a HTTP/1.1\r\n" + HOST + b"\r\n")
malformed("target-user", b"GET http://user:word@example.test/a HTTP/1.1\r\n" + HOST + b"\r\n")

# Lengths
malformed("length-negative", posted(b"Content-Length: -5"))
malformed("length-plus", posted(b"Content-Length: +5"))
malformed("length-hex", posted(b"Content-Length: 0x5"))
malformed("length-letters", posted(b"Content-Length: abc"))
malformed("length-empty", posted(b"Content-Length:"))
malformed("length-spaces-inside", posted(b"Content-Length: 5 5"))
malformed("length-leading-zeros", posted(b"Content-Length: 0005"))
malformed("length-huge", posted(b"Content-Length: 99999999999999999999"))
malformed("length-2-to-63", posted(b"Content-Length: 9223372036854775808"))
malformed("length-twice-same", posted(b"Content-Length: 5\r\nContent-Length: 5"))
malformed("length-twice-different", posted(b"Content-Length: 5\r\nContent-Length: 6"))
malformed("length-list-same", posted(b"Content-Length: 5, 5"))
malformed("length-list-different", posted(b"Content-Length: 5, 6"))
malformed("length-list-empty-member", posted(b"Content-Length: 5,"))
malformed("length-trailing-space", posted(b"Content-Length: 5   "))

# Transfer codings
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
malformed("chunked-and-length", posted(b"Transfer-Encoding: chunked\r\nContent-Length: 15", CHUNKS))
malformed("length-and-chunked", posted(b"Content-Length: 5\r\nTransfer-Encoding: chunked", CHUNKS))
malformed(
    "chunked-and-length-http10",
    b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n" + CHUNKS,
)
malformed("chunked-http10", b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS)
malformed("coding-identity", posted(b"Transfer-Encoding: identity"))
malformed("coding-identity-and-length", posted(b"Transfer-Encoding: identity\r\nContent-Length: 5"))
malformed("coding-gzip", posted(b"Transfer-Encoding: gzip"))
malformed("coding-gzip-chunked", posted(b"Transfer-Encoding: gzip, chunked", CHUNKS))
malformed("coding-chunked-gzip", posted(b"Transfer-Encoding: chunked, gzip", CHUNKS))
malformed("coding-chunked-chunked", posted(b"Transfer-Encoding: chunked, chunked", CHUNKS))
malformed("coding-chunked-twice", posted(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS))
malformed("coding-chunked-comma", posted(b"Transfer-Encoding: chunked,", CHUNKS))
malformed("coding-xchunked", posted(b"Transfer-Encoding: xchunked", CHUNKS))
malformed("coding-empty", posted(b"Transfer-Encoding:", CHUNKS))
malformed("coding-space-before-colon", posted(b"Transfer-Encoding : chunked", CHUNKS))
malformed("coding-vertical-tab", posted(b"Transfer-Encoding: \x0bchunked", CHUNKS))
malformed("coding-quoted", posted(b'Transfer-Encoding: "chunked"', CHUNKS))

# Chunks
CHUNKED = b"Transfer-Encoding: chunked"
malformed("chunk-size-letters", posted(CHUNKED, b"xyz\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-letters-later", posted(CHUNKED, b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-empty", posted(CHUNKED, b"\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-negative", posted(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-prefixed", posted(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-huge", posted(CHUNKED, b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-spaces", posted(CHUNKED, b"5  \r\nhello\r\n0\r\n\r\n"))
malformed("chunk-size-space-before", posted(CHUNKED, b" 5\r\nhello\r\n0\r\n\r\n"))
malformed("chunk-bare-lf", posted(CHUNKED, b"5\nhello\n0\n\n"))
malformed("chunk-without-line-end", posted(CHUNKED, b"5\r\nhelloxx0\r\n\r\n"))
malformed("chunk-extension-bare-lf", posted(CHUNKED, b"5;a\nb\r\nhello\r\n0\r\n\r\n"))
malformed("trailer-without-colon", posted(CHUNKED, b"5\r\nhello\r\n0\r\nword\r\n\r\n"))
malformed("trailer-forbidden", posted(CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 5\r\nHost: other.test\r\n\r\n"))


@case("malformed-second-request", SHORT, logs=2)
def malformed_second_request(world):
    client = world.client()
    client.request(get("/1"))
    client.request(b"what is this?\r\n\r\n")
    client.end()


@case("malformed-pipelined", SHORT, logs=2)
def malformed_pipelined(world):
    client = world.client()
    client.send(get("/1") + b"what is this?\r\n\r\n")
    client.response()
    client.response()
    client.end()


@case("malformed-after-surplus-body", SHORT, logs=2)
def malformed_after_surplus_body(world):
    client = world.client()
    client.send(get("/1", "Content-Length: 3", method="POST", body=b"hello"))
    client.response()
    client.response()
    client.end()


@case("malformed-connection-after-error", SHORT, logs=1)
def malformed_connection_after_error(world):
    client = world.client()
    client.request(b"what is this?\r\n\r\n")
    time.sleep(0.05)
    try:
        client.send(get("/2"))
    except OSError:
        pass
    client.raw_to_end()


def late(name, first, second, logs=1):
    """A body that goes wrong only after the origin has seen the head."""

    def run(world):
        client = world.client()
        client.send(first)
        world.seen(1)
        time.sleep(0.05)
        client.send(second)
        client.response()
        client.end(1.0)

    case(f"malformed-late-{name}", SHORT, logs)(run)


late("chunk-size-letters", posted(CHUNKED, b"5\r\nhello\r\n"), b"xyz\r\nhello\r\n0\r\n\r\n")
late("chunk-without-line-end", posted(CHUNKED, b"5\r\nhello\r\n"), b"5\r\nhelloxx0\r\n\r\n")
late("trailer-without-colon", posted(CHUNKED, b"5\r\nhello\r\n"), b"0\r\nword\r\n\r\n")
late("surplus-body", posted(b"Content-Length: 10"), b"hello and more", logs=2)
