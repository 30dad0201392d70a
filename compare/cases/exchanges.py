"""One request and its response: heads, versions, methods, reuse of the client's connection."""

import time

from configurations import SEED
from twin.suite import case, exchange, get, ok, then_close

exchange("plain", SEED, get())


@case("plain-second-port", SEED)
def plain_second_port(world):
    client = world.client(port=1)
    client.request(get())
    client.end()


@case("alternation", SEED, logs=7)
def alternation(world):
    for number in range(7):
        client = world.client(f"client {number}", port=number % 2)
        client.request(get(f"/{number}"))
        client.close()


@case("keep-alive-many", SEED, logs=12)
def keep_alive_many(world):
    client = world.client()
    for number in range(12):
        client.request(get(f"/{number}"))
    client.end()


@case("keep-alive-last-closes", SEED, logs=3)
def keep_alive_last_closes(world):
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2"))
    client.request(get("/3", "Connection: close"))
    client.end()


@case("pipelined", SEED, logs=4)
def pipelined(world):
    client = world.client()
    client.send(
        get("/1")
        + get("/2", "Content-Length: 4", method="POST", body=b"abcd")
        + get("/3")
        + get("/4", "Connection: close")
    )
    for _ in range(4):
        client.response()
    client.end()


@case("pipelined-after-close", SEED, logs=1)
def pipelined_after_close(world):
    client = world.client()
    client.send(get("/1", "Connection: close") + get("/2"))
    client.response()
    client.end()


@case("slowly-sent-head", SEED)
def slowly_sent_head(world):
    client = world.client()
    for piece in (b"GE", b"T / HTTP/1.1\r", b"\nHost: exam", b"ple.test\r\n\r", b"\n"):
        client.send(piece)
        time.sleep(0.02)
    client.response()
    client.end()


@case("slowly-sent-answer", SEED)
def slowly_sent_answer(world):
    def script(connection, _request):
        for piece in (b"HTTP/1.1 20", b"0 OK\r\nContent-Le", b"ngth: 6\r\n", b"\r\nab", b"cd", b"ef"):
            connection.send(piece)
            time.sleep(0.02)
        return True

    world.answer(script)
    client = world.client()
    client.request(get())
    client.end()


# Methods
exchange("head", SEED, get(method="HEAD"), ok("Content-Length: 1234", body=b"", length=False), method="HEAD")
exchange(
    "head-chunked", SEED, get(method="HEAD"), ok("Transfer-Encoding: chunked", body=b"", length=False), method="HEAD"
)
exchange("head-without-framing", SEED, get(method="HEAD"), ok(body=b"", length=False), method="HEAD")
exchange("options-star", SEED, get("*", method="OPTIONS"))
exchange("options-path", SEED, get("/x", method="OPTIONS"))
exchange("trace", SEED, get("/x", method="TRACE"))
exchange("delete", SEED, get("/x", method="DELETE"))
exchange("own-method", SEED, get("/x", method="FROBNICATE"))
exchange("lower-case-method", SEED, get("/x", method="get"))
exchange("connect", SEED, b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n", method="CONNECT")
exchange(
    "connect-refused-by-origin",
    SEED,
    b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n",
    ok(status="405 Method Not Allowed"),
    method="CONNECT",
)
exchange("connect-without-port", SEED, b"CONNECT example.test HTTP/1.1\r\nHost: example.test\r\n\r\n", method="CONNECT")

# Targets
exchange("absolute-form", SEED, b"GET http://example.test/a?b=c HTTP/1.1\r\nHost: example.test\r\n\r\n")
exchange("absolute-form-other-host", SEED, b"GET http://other.test/a HTTP/1.1\r\nHost: example.test\r\n\r\n")
exchange("absolute-form-default-port", SEED, b"GET http://example.test:80/a HTTP/1.1\r\nHost: example.test\r\n\r\n")
exchange("absolute-form-without-path", SEED, b"GET http://example.test HTTP/1.1\r\nHost: example.test\r\n\r\n")
exchange("absolute-form-without-host", SEED, b"GET http://example.test/a HTTP/1.1\r\n\r\n")
exchange("relative-target", SEED, get("no-slash"))
exchange("target-with-fragment", SEED, get("/a#b"))
exchange("target-with-quotes", SEED, get("/a\"b'c<d>"))
exchange("target-with-percent-and-dots", SEED, get("/a/../b/%2e%2E/%00/%zz//c"))
exchange("target-with-high-bytes", SEED, get("/caf\xe9"))
exchange("target-with-backslash-and-braces", SEED, get("/a\\b{c}|d^e`f"))
exchange("long-target", SEED, get("/" + "x" * 4000))
exchange("target-past-log-line", SEED, get("/" + "x" * 1100))

# Host
exchange("host-missing", SEED, get(host=False))
exchange("host-missing-http10", SEED, get(host=False, version="HTTP/1.0"))
exchange("host-twice-same", SEED, get("/", "Host: example.test"))
exchange("host-twice-different", SEED, get("/", "Host: other.test"))
exchange("host-empty", SEED, get("/", "Host:", host=False))
exchange("host-with-port", SEED, get("/", "Host: example.test:8080", host=False))
exchange("host-upper-case", SEED, get("/", "HOST: Example.TEST", host=False))

# Header lines
exchange(
    "header-names-mixed-case",
    SEED,
    get("/", "X-MiXeD-CaSe: Value", "ACCEPT: */*", "x-lower: v"),
    ok("X-MiXeD-CaSe: Value", 'ETAG: "x"', "x-lower: v"),
)
exchange(
    "header-value-spaces",
    SEED,
    get(
        "/",
        "X-A:no-space",
        "X-B:    many",
        "X-C: trailing   ",
        "X-D:\ttab\t",
        "X-E: in  the   middle",
        "X-F:",
        "X-G:   ",
    ),
    ok("X-A:no-space", "X-B:    many", "X-C: trailing   ", "X-D:\ttab\t", "X-E: in  the   middle", "X-F:", "X-G:   "),
)
exchange(
    "header-repeated",
    SEED,
    get("/", "X-A: 1", "X-B: 2", "X-A: 3", "x-a: 4"),
    ok("X-A: 1", "X-B: 2", "X-A: 3", "x-a: 4"),
)
exchange("header-high-bytes", SEED, get("/", "X-A: caf\xe9 \xff"), ok("X-A: caf\xe9 \xff"))
exchange(
    "header-odd-names",
    SEED,
    get("/", "X_Under: 1", "X.Dot: 2", "!#$%&'*+-.^_`|~: 3", "1: 4"),
    ok("X_Under: 1", "X.Dot: 2", "!#$%&'*+-.^_`|~: 3"),
)
exchange("header-long", SEED, get("/", "X-Long: " + "v" * 8000), ok("X-Long: " + "v" * 8000))
exchange("headers-60", SEED, get("/", *[f"X-{n}: {n}" for n in range(60)]), ok(*[f"X-{n}: {n}" for n in range(60)]))

# Versions
exchange("http10", SEED, get(version="HTTP/1.0"))
exchange("http10-close", SEED, get("/", "Connection: close", version="HTTP/1.0"))
exchange("http10-keep-alive", SEED, get("/", "Connection: keep-alive", version="HTTP/1.0"))
exchange(
    "http10-keep-alive-answer-close",
    SEED,
    get("/", "Connection: keep-alive", version="HTTP/1.0"),
    then_close(ok("Connection: close")),
)
exchange(
    "http10-client-chunked-answer",
    SEED,
    get(version="HTTP/1.0"),
    ok("Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", length=False),
)
exchange(
    "http10-keep-alive-chunked-answer",
    SEED,
    get("/", "Connection: keep-alive", version="HTTP/1.0"),
    ok("Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", length=False),
)
exchange(
    "http10-keep-alive-unframed-answer",
    SEED,
    get("/", "Connection: keep-alive", version="HTTP/1.0"),
    then_close(ok(body=b"until the end", length=False)),
)


@case("http10-keep-alive-two", SEED, logs=2)
def http10_keep_alive_two(world):
    client = world.client()
    client.request(get("/1", "Connection: keep-alive", version="HTTP/1.0"))
    client.request(get("/2", "Connection: Keep-Alive", version="HTTP/1.0"))
    client.end()


exchange("answer-http10", SEED, get(), then_close(ok(version="HTTP/1.0")))
exchange("answer-http10-unframed", SEED, get(), then_close(ok(version="HTTP/1.0", body=b"until the end", length=False)))
exchange("answer-http10-keep-alive", SEED, get(), ok("Connection: keep-alive", version="HTTP/1.0"))
exchange(
    "answer-http10-chunked",
    SEED,
    get(),
    then_close(ok("Transfer-Encoding: chunked", version="HTTP/1.0", body=b"5\r\nhello\r\n0\r\n\r\n", length=False)),
)
exchange("answer-http11-unframed", SEED, get(), then_close(ok(body=b"until the end", length=False)))
exchange(
    "answer-http11-unframed-to-http10",
    SEED,
    get(version="HTTP/1.0"),
    then_close(ok(body=b"until the end", length=False)),
)
exchange("answer-http12", SEED, get(), ok(version="HTTP/1.2"))
exchange("answer-connection-close", SEED, get(), then_close(ok("Connection: close")))
exchange("answer-connection-keep-alive", SEED, get(), ok("Connection: keep-alive", "Keep-Alive: timeout=5"))

# Statuses
for status in (
    "201 Created",
    "204 No Content",
    "205 Reset Content",
    "206 Partial Content",
    "301 Moved Permanently",
    "304 Not Modified",
    "400 Bad Request",
    "404 Not Found",
    "408 Request Timeout",
    "418 I'm a teapot",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
    "599 Odd",
    "999 Most",
):
    empty = status[:3] in ("204", "304")
    exchange(f"status-{status[:3]}", SEED, get(), ok(status=status, body=b"" if empty else b"body\n", length=not empty))
exchange("status-204-with-length-0", SEED, get(), ok(status="204 No Content", body=b""))
exchange("status-204-with-length-5", SEED, get(), b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
exchange("status-204-chunked", SEED, get(), b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
exchange(
    "status-304-with-length", SEED, get(), b'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n'
)
exchange("reason-empty", SEED, get(), ok(status="200 "))
exchange("reason-absent", SEED, get(), ok(status="200"))
exchange("reason-odd", SEED, get(), ok(status="200 Very   good \xe9 indeed "))
exchange("informational-100", SEED, get(), b"HTTP/1.1 100 Continue\r\n\r\n" + ok())
exchange("informational-103", SEED, get(), b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + ok())
exchange(
    "informational-102-103",
    SEED,
    get(),
    b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n" + ok(),
)
exchange("informational-to-http10", SEED, get(version="HTTP/1.0"), b"HTTP/1.1 100 Continue\r\n\r\n" + ok())
exchange("status-101-unasked", SEED, get(), then_close(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"))

# What the client says of itself
exchange("forwarded-for-present", SEED, get("/", "X-Forwarded-For: 10.1.2.3", "X-After: 1"))
exchange(
    "forwarded-for-several",
    SEED,
    get("/", "X-Forwarded-For: 10.1.2.3, 10.4.5.6", "X-Between: 1", "x-forwarded-for: 10.7.8.9"),
)
exchange("forwarded-for-empty", SEED, get("/", "X-Forwarded-For:"))
