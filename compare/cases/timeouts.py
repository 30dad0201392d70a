"""Each timeout, on each side, in each phase."""

import time

from configurations import CONNECT_HANGS, HTTP_TIMEOUTS, SHORT
from twin.suite import case, exchange, get, ok, then_silence

# The server's side
exchange("server-silent", SHORT, get(), then_silence())
exchange("server-silent-in-headers", SHORT, get(), then_silence(b"HTTP/1.1 200 OK\r\nContent-Le"))
exchange("server-silent-after-100", SHORT, get(), then_silence(b"HTTP/1.1 100 Continue\r\n\r\n"))
exchange(
    "server-silent-in-body-length", SHORT, get(), then_silence(ok("Content-Length: 10", length=False, body=b"half."))
)
exchange(
    "server-silent-in-body-chunked",
    SHORT,
    get(),
    then_silence(ok("Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n")),
)
exchange("server-silent-in-body-unframed", SHORT, get(), then_silence(ok(length=False, body=b"half.")))
exchange("server-silent-to-post", SHORT, get("/", "Content-Length: 5", method="POST", body=b"hello"), then_silence())
exchange("connect-hangs", CONNECT_HANGS, get())
exchange("connect-hangs-post", CONNECT_HANGS, get("/", "Content-Length: 5", method="POST", body=b"hello"))


@case("server-silent-keep-alive-goes-on", SHORT, logs=2)
def server_silent_keep_alive_goes_on(world):
    world["web-a"].answers(then_silence())
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2"))
    client.end()


@case("server-slow-within-timeout", SHORT)
def server_slow_within_timeout(world):
    def script(connection, _request):
        time.sleep(0.2)
        connection.send(ok("Content-Length: 6", length=False, body=b""))
        for piece in (b"ab", b"cd", b"ef"):
            time.sleep(0.2)
            connection.send(piece)
        return True

    world.answer(script)
    client = world.client()
    client.request(get())
    client.end()


# The client's side
@case("client-silent", SHORT, logs=0)
def client_silent(world):
    client = world.client()
    client.raw_to_end()


@case("client-silent-in-request-line", SHORT)
def client_silent_in_request_line(world):
    client = world.client()
    client.send(b"GET / HT")
    client.response()
    client.end(1.0)


@case("client-silent-in-headers", SHORT)
def client_silent_in_headers(world):
    client = world.client()
    client.send(b"GET / HTTP/1.1\r\nHost: example.test\r\n")
    client.response()
    client.end(1.0)


@case("client-drips-headers", SHORT)
def client_drips_headers(world):
    client = world.client()
    client.send(b"GET / HTTP/1.1\r\n")
    for _ in range(4):
        time.sleep(0.2)
        try:
            client.send(b"X-A: b\r\n")
        except OSError:
            break
    client.response()
    client.end(1.0)


@case("client-silent-in-body", SHORT)
def client_silent_in_body(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"half."))
    client.response()
    client.end(1.0)


@case("client-silent-in-chunked-body", SHORT)
def client_silent_in_chunked_body(world):
    client = world.client()
    client.send(get("/", "Transfer-Encoding: chunked", method="POST", body=b"5\r\nhello\r\n"))
    client.response()
    client.end(1.0)


@case("client-silent-in-body-server-waits-longer", HTTP_TIMEOUTS)
def client_silent_in_body_server_waits_longer(world):
    client = world.client()
    client.send(get("/", "Content-Length: 10", method="POST", body=b"half."))
    client.response()
    client.end(1.0)


@case("client-idle-after-response", SHORT)
def client_idle_after_response(world):
    client = world.client()
    client.request(get())
    started = time.monotonic()
    client.end(2.0)
    client.record.add("client closed within", "in time" if 0.5 < time.monotonic() - started < 0.8 else "not in time")


@case("client-silent-in-second-head", SHORT, logs=2)
def client_silent_in_second_head(world):
    client = world.client()
    client.request(get())
    client.send(b"GET / HT")
    client.response()
    client.end(1.0)


@case("http-request-timeout", HTTP_TIMEOUTS)
def http_request_timeout(world):
    client = world.client()
    client.send(b"GET / HTTP/1.1\r\n")
    for _ in range(4):
        time.sleep(0.1)
        try:
            client.send(b"X-A: b\r\n")
        except OSError:
            break
    client.response()
    client.end(1.0)


@case("http-keep-alive-timeout", HTTP_TIMEOUTS)
def http_keep_alive_timeout(world):
    client = world.client()
    client.request(get())
    started = time.monotonic()
    client.end(2.0)
    client.record.add("client closed within", "in time" if 0.1 < time.monotonic() - started < 0.3 else "not in time")


@case("http-request-timeout-second-head", HTTP_TIMEOUTS, logs=2)
def http_request_timeout_second_head(world):
    client = world.client()
    client.request(get())
    client.send(b"GET / HT")
    client.response()
    client.end(1.0)


@case("client-does-not-read", HTTP_TIMEOUTS, uncompared=("bytes",))
def client_does_not_read(world):
    world.answer(ok(body=b"x" * 30_000_000))
    client = world.client()
    client.send(get())
    client.record.add_head("client response 1", client.head())
    time.sleep(2.0)
    body, how = client.to_end(1.0)
    client.record.add("client body", "cut" if len(body) < 30_000_000 else "whole")
    client.record.add("client end", how)
