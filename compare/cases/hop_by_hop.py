"""What concerns one connection only: Connection and what it names, Upgrade, tunnels."""

from configurations import SEED, SHORT
from twin.suite import case, exchange, get, ok, then_close
from twin.wire import Ended

exchange("connection-names-header", SEED, get("/", "Connection: foo", "Foo: bar"), ok("Connection: foo", "Foo: bar"))
exchange("connection-close-and-name", SEED, get("/", "Connection: close, foo", "Foo: bar"))
exchange("connection-keep-alive", SEED, get("/", "Connection: keep-alive"))
exchange("connection-keep-alive-and-name", SEED, get("/", "Connection: keep-alive, foo", "Foo: bar"))
exchange("connection-twice", SEED, get("/", "Connection: foo", "Connection: close", "Foo: bar"))
exchange("connection-close-upper-case", SEED, get("/", "Connection: CLOSE"))
exchange("connection-close-and-keep-alive", SEED, get("/", "Connection: close, keep-alive"))
exchange("connection-empty", SEED, get("/", "Connection:"))
exchange("keep-alive-header", SEED, get("/", "Keep-Alive: timeout=5, max=100"), ok("Keep-Alive: timeout=5, max=100"))
exchange("te-trailers", SEED, get("/", "TE: trailers", "Connection: TE"))
exchange("te-trailers-alone", SEED, get("/", "TE: trailers"))
exchange("te-gzip-and-trailers", SEED, get("/", "TE: gzip, trailers", "Connection: close, TE"))
exchange("te-gzip", SEED, get("/", "TE: gzip, trailers;q=0.5"))
exchange("trailer-header", SEED, get("/", "Trailer: X-Sum"))
exchange("proxy-connection", SEED, get("/", "Proxy-Connection: keep-alive"), ok("Proxy-Connection: keep-alive"))
exchange(
    "proxy-headers",
    SEED,
    get("/", "Proxy-Authorization: Basic eDp5", "Max-Forwards: 1", "Via: 1.1 before"),
    ok("Proxy-Authenticate: Basic", "Via: 1.1 behind", "Server: origin", "Date: Thu, 01 Jan 1970 00:00:00 GMT"),
)
exchange("upgrade-without-connection", SEED, get("/", "Upgrade: websocket"))
# HAProxy refuses an upgrade to WebSocket without a key, so that nothing else would be compared.
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
exchange("upgrade-without-key", SEED, get("/", "Connection: upgrade", "Upgrade: websocket"))
exchange("upgrade-and-name", SEED, get("/", "Connection: upgrade, foo", "Upgrade: websocket", "Foo: bar", KEY))
exchange("upgrade-of-two", SEED, get("/", "Connection: Upgrade", "Upgrade: frobnicate", "Upgrade: IRC/6.9"))
exchange(
    "upgrade-ignored-by-origin",
    SEED,
    get("/", "Connection: Upgrade", "Upgrade: websocket", KEY),
    ok("Upgrade: websocket", "Connection: Upgrade"),
)
exchange(
    "upgrade-required",
    SEED,
    get(),
    ok("Upgrade: frobnicate", "Connection: Upgrade", status="426 Upgrade Required"),
)
exchange(
    "upgrade-h2c",
    SEED,
    get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
)
exchange(
    "upgrade-h2c-and-websocket",
    SEED,
    get("/", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", KEY),
)
exchange("upgrade-h2c-in-list", SEED, get("/", "Connection: Upgrade", "Upgrade: h2c/1, websocket, H2C", KEY))
exchange("upgrade-with-http10", SEED, get("/", "Connection: Upgrade", "Upgrade: websocket", version="HTTP/1.0"))
exchange("answer-transfer-encoding-identity", SEED, get(), then_close(ok("Transfer-Encoding: identity")))
exchange("answer-transfer-encoding-gzip", SEED, get(), then_close(ok("Transfer-Encoding: gzip", length=False)))
exchange(
    "answer-transfer-encoding-gzip-chunked",
    SEED,
    get(),
    ok("Transfer-Encoding: gzip, chunked", length=False, body=b"2\r\nok\r\n0\r\n\r\n"),
)

HANDSHAKE = get(
    "/chat",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def echo_after(answer, close_after=None):
    """A script: answers, then echoes bytes until the end (or closes after so many)."""

    def script(connection, request):
        connection.send(answer)
        seen = b""
        while close_after is None or len(seen) < close_after:
            if not connection.buffer:
                try:
                    connection.fill()
                except Ended as end:
                    connection.origin.record.add(f"{request.label} tunnel", seen)
                    connection.origin.record.add(f"{request.label} tunnel end", connection.ended(end))
                    return False
            seen += connection.buffer
            connection.send(connection.buffer)
            connection.buffer = b""
        return False

    return script


@case("upgrade-websocket", SEED)
def upgrade_websocket(world):
    world.answer(echo_after(SWITCHED))
    client = world.client()
    client.request(HANDSHAKE)
    for data in (b"\x81\x05hello", b"\x00" * 70_000):
        client.send(data)
        client.record.add("client echo", "right" if client.exactly(len(data)) == data else "wrong")
    client.half_close()
    client.end(1.0)


@case("upgrade-websocket-origin-closes", SEED)
def upgrade_websocket_origin_closes(world):
    world.answer(echo_after(SWITCHED, close_after=5))
    client = world.client()
    client.request(HANDSHAKE)
    client.send(b"hello")
    client.record.add("client echo", client.exactly(5))
    client.end(1.0)


@case("upgrade-websocket-client-resets", SHORT)
def upgrade_websocket_client_resets(world):
    world.answer(echo_after(SWITCHED))
    client = world.client()
    client.request(HANDSHAKE)
    client.send(b"hello")
    client.record.add("client echo", client.exactly(5))
    client.reset()


@case("upgrade-websocket-idle", SHORT)
def upgrade_websocket_idle(world):
    world.answer(echo_after(SWITCHED))
    client = world.client()
    client.request(HANDSHAKE)
    client.send(b"hello")
    client.record.add("client echo", client.exactly(5))
    client.end(2.0)


@case("connect-tunnel", SEED)
def connect_tunnel(world):
    world.answer(echo_after(b"HTTP/1.1 200 Connection established\r\n\r\n"))
    client = world.client()
    client.request(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n", "CONNECT")
    client.send(b"hello")
    client.record.add("client echo", client.exactly(5))
    client.half_close()
    client.end(1.0)


def handshake(*headers, protocol="websocket"):
    """A request to upgrade, with `headers` instead of the usual ones where they are of the same name."""
    usual = {
        "Connection": "Upgrade",
        "Upgrade": protocol,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    usual.update(dict(line.split(": ", 1) for line in headers))
    return get("/chat", *(f"{name}: {value}" for name, value in usual.items()))


def upgraded(name, request, answer):
    """An upgrade with five bytes echoed, where it comes about."""

    def run(world):
        world.answer(echo_after(answer, close_after=5))
        client = world.client()
        if client.request(request) == 101:
            client.send(b"hello")
        client.raw_to_end()

    case(name, SHORT)(run)


ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
upgraded("upgrade-connection-list", handshake("Connection: keep-alive, Upgrade"), SWITCHED)
upgraded("upgrade-connection-lower-case", handshake("Connection: upgrade", "Upgrade: WebSocket"), SWITCHED)
upgraded("upgrade-accept-missing", handshake(), SWITCHED.replace(ACCEPT + b"\r\n", b""))
upgraded("upgrade-accept-wrong", handshake(), SWITCHED.replace(b"s3pPLMB", b"AAAAAAA"))
upgraded("upgrade-answer-without-connection", handshake(), SWITCHED.replace(b"Connection: Upgrade\r\n", b""))
upgraded("upgrade-other-protocol", handshake(protocol="frobnicate"), SWITCHED.replace(b"websocket", b"frobnicate"))
upgraded("upgrade-post", handshake().replace(b"GET", b"POST"), SWITCHED)
exchange("upgrade-refused", SEED, handshake(), ok(status="403 Forbidden"))
exchange("upgrade-answered-200", SEED, handshake(), ok())
