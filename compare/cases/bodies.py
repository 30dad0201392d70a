"""Bodies both ways: framings, trailers, sizes, Expect."""

import time

from configurations import SEED, SHORT
from twin.suite import case, exchange, get, ok

BIG = bytes(range(256)) * (20 * 1024)  # 5 MB that repeat, so that a lost or doubled piece shows in the hash


def chunked(*pieces, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


CHUNKED = "Transfer-Encoding: chunked"

# Requests
exchange("post", SEED, get("/", "Content-Length: 5", method="POST", body=b"hello"))
exchange("post-empty", SEED, get("/", "Content-Length: 0", method="POST"))
exchange("post-without-length", SEED, get("/", method="POST"))
exchange("get-with-body", SEED, get("/", "Content-Length: 5", body=b"hello"))
exchange("delete-with-body", SEED, get("/", "Content-Length: 5", method="DELETE", body=b"hello"))
exchange(
    "head-with-body", SEED, get("/", "Content-Length: 5", method="HEAD", body=b"hello"), ok(body=b""), method="HEAD"
)
exchange("post-http10", SEED, get("/", "Content-Length: 5", method="POST", version="HTTP/1.0", body=b"hello"))
exchange("post-http10-without-length", SEED, get("/", method="POST", version="HTTP/1.0"))
exchange("request-chunked", SEED, get("/", CHUNKED, method="POST", body=chunked(b"hello", b" ", b"world")))
exchange("request-chunked-empty", SEED, get("/", CHUNKED, method="POST", body=chunked()))
exchange(
    "request-chunked-trailers",
    SEED,
    get("/", CHUNKED, "Trailer: X-Sum", method="POST", body=chunked(b"hello", trailers=b"X-Sum: 1\r\nX-More: 2\r\n")),
)
OF_HEADS = (
    b"X-Sum: 1\r\nHost: other.test\r\nContent-Length: 5\r\nConnection: x-sum\r\nTE: gzip\r\nKeep-Alive: timeout=5\r\n"
    b"Authorization: Basic eDp5\r\nSet-Cookie: a=b\r\n"
)
exchange(
    "request-trailers-of-heads",
    SEED,
    get("/", CHUNKED, method="POST", body=chunked(b"hello", trailers=OF_HEADS + b"X_Under: 1\r\n")),
)
exchange("request-chunked-get", SEED, get("/", CHUNKED, body=chunked(b"hello")))
exchange(
    "request-chunk-extension", SEED, get("/", CHUNKED, method="POST", body=b"5;name=value\r\nhello\r\n0;last\r\n\r\n")
)
exchange("request-chunk-upper-case-hex", SEED, get("/", CHUNKED, method="POST", body=b"00A\r\n0123456789\r\n0\r\n\r\n"))
exchange(
    "request-chunked-upper-case", SEED, get("/", "Transfer-Encoding: Chunked", method="POST", body=chunked(b"hello"))
)


@case("request-body-slow", SEED)
def request_body_slow(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST"))
    for piece in (b"01234", b"567", b"89"):
        time.sleep(0.03)
        client.send(piece)
    client.response()
    client.end()


@case("request-chunked-slow", SEED)
def request_chunked_slow(world):
    client = world.client()
    client.send(get("/", CHUNKED, method="POST"))
    for piece in (b"5\r", b"\nhel", b"lo\r\n0\r\n", b"X-T: 1\r\n", b"\r\n"):
        time.sleep(0.03)
        client.send(piece)
    client.response()
    client.end()


# Responses
exchange("answer-chunked", SEED, get(), ok(CHUNKED, length=False, body=chunked(b"hello", b" ", b"world")))
exchange("answer-chunked-empty", SEED, get(), ok(CHUNKED, length=False, body=chunked()))
exchange(
    "answer-chunked-trailers",
    SEED,
    get(),
    ok(CHUNKED, "Trailer: X-Sum", length=False, body=chunked(b"hello", trailers=b"X-Sum: 1\r\nX-More: 2\r\n")),
)
exchange("answer-trailers-of-heads", SEED, get(), ok(CHUNKED, length=False, body=chunked(b"hello", trailers=OF_HEADS)))
exchange(
    "answer-chunk-extension", SEED, get(), ok(CHUNKED, length=False, body=b"5;name=value\r\nhello\r\n0;last\r\n\r\n")
)
exchange("answer-chunked-and-length", SEED, get(), ok(CHUNKED, body=chunked(b"hello")))
exchange("answer-length-0", SEED, get(), ok(body=b""))
exchange("answer-length-twice-same", SEED, get(), ok("Content-Length: 3"))
exchange("answer-length-list-same", SEED, get(), ok("Content-Length: 3, 3", length=False))


@case("answer-chunked-slow", SEED)
def answer_chunked_slow(world):
    def script(connection, _request):
        connection.send(ok(CHUNKED, length=False, body=b""))
        for piece in (b"5\r", b"\nhel", b"lo\r\n0\r\n", b"X-T: 1\r\n", b"\r\n"):
            time.sleep(0.03)
            connection.send(piece)
        return True

    world.answer(script)
    client = world.client()
    client.request(get())
    client.end()


# Sizes
exchange("big-request", SEED, get("/", f"Content-Length: {len(BIG)}", method="POST", body=BIG))
exchange(
    "big-request-chunked",
    SEED,
    get("/", CHUNKED, method="POST", body=chunked(*[BIG[at : at + 50_000] for at in range(0, len(BIG), 50_000)])),
)
exchange("big-answer", SEED, get(), ok(body=BIG))
exchange(
    "big-answer-chunked",
    SEED,
    get(),
    ok(CHUNKED, length=False, body=chunked(*[BIG[at : at + 50_000] for at in range(0, len(BIG), 50_000)])),
)
exchange("big-both-ways", SEED, get("/", f"Content-Length: {len(BIG)}", method="POST", body=BIG), ok(body=BIG))


@case("answer-before-request-body", SHORT)
def answer_before_request_body(world):
    def script(connection, _request):
        connection.send(ok(status="413 Payload Too Large"))
        connection.wait_closed()
        return False

    world.answer(script)
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"01234"))
    client.response()
    client.end(1.5)


@case("answer-before-request-body-then-rest", SHORT)
def answer_before_request_body_then_rest(world):
    def script(connection, _request):
        connection.send(ok(status="413 Payload Too Large"))
        connection.read_request_body()
        return True

    world.answer(script)
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"01234"))
    client.response()
    client.send(b"56789")
    client.end(1.5)


@case("answer-and-close-before-request-body", SHORT)
def answer_and_close_before_request_body(world):
    def script(connection, _request):
        connection.send(ok("Connection: close", status="413 Payload Too Large"))
        return False

    world.answer(script)
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"01234"))
    client.response()
    client.end(1.5)


# Expect
@case("expect-continue", SEED)
def expect_continue(world):
    def script(connection, _request):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_request_body()
        connection.send(ok())
        return True

    world.answer(script)
    client = world.client()
    client.send(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    client.record.add_head("client continue", client.head())
    client.send(b"hello")
    client.response()
    client.end()


@case("expect-continue-refused", SEED)
def expect_continue_refused(world):
    def script(connection, _request):
        connection.send(ok("Connection: close", status="417 Expectation Failed"))
        return False

    world.answer(script)
    client = world.client()
    client.request(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"), "POST")
    client.end()


exchange(
    "expect-continue-with-body",
    SEED,
    get("/", "Expect: 100-continue", "Content-Length: 5", method="POST", body=b"hello"),
)
exchange("expect-other", SEED, get("/", "Expect: miracles"))
