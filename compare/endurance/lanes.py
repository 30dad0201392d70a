"""What clients do all the while. A lane is one kind of request at one rate: when the next is due does not depend on what
becomes of those before, and what it must end as is part of the lane."""

import asyncio
import collections
import random
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fault.load import PATIENCE_SECONDS, read_answer

from . import streams

SMALL_BODY, LARGE_BODY = b"x" * 2000, b"x" * 200_000
LARGE_ANSWER, SLOW_ANSWER = 1_000_000, 300_000
STREAMS_A_CONNECTION = 500
REQUESTS_A_CONNECTION = 200
# Far below lb's `timeout.http_keep_alive`, so that no request meets a connection that is just being closed for its idleness.
IDLE_SECONDS = 10
RESET = struct.pack("ii", 1, 0)


@dataclass
class Lane:
    """`ends` are those that are no failure; `None`: any but silence."""

    name: str
    per_second: float
    play: Callable[..., Awaitable[str]]
    ends: tuple | None = ("200",)
    path: str = "/"


LANES = []


def lane(per_second, *paths, ends=("200",)):
    """A kind of request, as a lane for each path."""

    def add(play):
        for path in paths or ("/",):
            name = play.__name__.replace("_", " ") + (f" {path}" if path != "/" else "")
            LANES.append(Lane(name, per_second, play, ends, path))
        return play

    return add


class Clients:
    """Connections that are kept between requests, and how new ones are made."""

    def __init__(self, port, tls_port):
        self.port, self.tls_port = port, tls_port
        self.idle = {}
        self.multiplexed = {}
        self.retired = []
        self.tls = {protocol: self._context(protocol) for protocol in ("http/1.1", "h2")}

    @staticmethod
    def _context(protocol):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        return context

    async def connect(self, tls=None):
        if tls:
            return await asyncio.open_connection(
                "127.0.0.1", self.tls_port, ssl=self.tls[tls], server_hostname="example.test"
            )
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def kept(self, bytes_, key, tls=None):
        """A request on a connection that is kept, and was as a rule there before."""
        idle = self.idle.setdefault(key, collections.deque())
        now = time.monotonic()
        while idle and idle[0][2] < now - IDLE_SECONDS:
            idle.popleft()[0][1].close()
        stream, used, _ = idle.pop() if idle else (await self.connect(tls), 0, now)
        stays = False
        try:
            stream[1].write(bytes_)
            status, stays = await read_answer(stream[0])
            stays = stays and used < REQUESTS_A_CONNECTION
        finally:
            if stays:
                idle.append((stream, used + 1, time.monotonic()))
            else:
                stream[1].close()
        return str(status)

    async def stream(self, key, tls, *request, **options):
        """A stream on a connection of HTTP/2, of which there is one for each key until it has had its share."""
        made = self.multiplexed.get(key)
        if made is None or (made.done() and (made.exception() or not made.result().takes(STREAMS_A_CONNECTION))):
            if made and not made.exception():
                self.retired.append((time.monotonic(), made.result()))
            # Claimed before it is there, so that two that are due at once do not make one each.
            made = self.multiplexed[key] = asyncio.ensure_future(self._multiplexed(tls))
            while self.retired and self.retired[0][0] < time.monotonic() - PATIENCE_SECONDS:
                await self.retired.pop(0)[1].close()
        return await (await made).request(*request, **options)

    async def _multiplexed(self, tls):
        return streams.Connection(*await self.connect("h2" if tls else None), b"https" if tls else b"http")

    async def close(self):
        for idle in self.idle.values():
            for stream, *_ in idle:
                stream[1].close()
        made = [task.result() for task in self.multiplexed.values() if not task.exception()]
        for connection in [*made, *(connection for _, connection in self.retired)]:
            await connection.close()


def head(path, *lines, method="GET"):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: example.test", *lines, "", "")).encode()


def post(path, body):
    return head(path, f"Content-Length: {len(body)}", method="POST") + body


async def once(clients, bytes_, tls=None):
    """A request on a connection of its own."""
    reader, writer = await clients.connect(tls)
    try:
        writer.write(bytes_)
        return str((await read_answer(reader))[0])
    finally:
        writer.close()


# Where every request must be served, whatever happens meanwhile.


@lane(350, "/", "/found/")
async def kept(clients, path):
    return await clients.kept(
        head(path, f"Cookie: SERVER=s{random.randrange(3)}", f"X-Session: {random.randrange(50)}"), "kept"
    )


@lane(60)
async def new_connection(clients, path):
    return await once(clients, head(path, "Connection: close"))


@lane(100)
async def posted(clients, path):
    return await clients.kept(post(path, SMALL_BODY), "kept")


@lane(20)
async def chunked(clients, path):
    return await clients.kept(
        head(path, "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n" * 20 + b"0\r\n\r\n", "kept"
    )


@lane(5)
async def large_upload(clients, path):
    return await clients.kept(post(path, LARGE_BODY), "kept")


@lane(3)
async def large_answer(clients, path):
    return await clients.kept(head(f"/b/{LARGE_ANSWER}"), "kept")


@lane(10)
async def pipelined(clients, path):
    reader, writer = await clients.connect()
    try:
        writer.write(head(path) * 4)
        return str(max([(await read_answer(reader))[0] for _ in range(4)]))
    finally:
        writer.close()


@lane(150, "/", "/found/")
async def h2(clients, path):
    return await clients.stream(("h2", random.randrange(3)), False, path.encode())


@lane(20)
async def h2_posted(clients, path):
    return await clients.stream(("h2", random.randrange(3)), False, path.encode(), SMALL_BODY)


@lane(80)
async def tls_kept(clients, path):
    return await clients.kept(head(path), "tls", "http/1.1")


@lane(8)
async def tls_new(clients, path):
    return await once(clients, head(path), "http/1.1")


@lane(60)
async def tls_h2(clients, path):
    return await clients.stream(("tls", random.randrange(2)), True, path.encode())


@lane(1.5)
async def tunnel(clients, path):
    """Some seconds of bytes to and fro."""
    reader, writer = await clients.connect()
    try:
        writer.write(head(path, "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))  # fmt: skip
        status = (await reader.readuntil(b"\r\n\r\n"))[9:12]
        if status != b"101":
            return status.decode()
        for number in range(random.randrange(10, 60)):
            said = b"%08d" % number * 16
            writer.write(said)
            if await reader.readexactly(len(said)) != said:
                return "other bytes"
            await asyncio.sleep(0.1)
        return "200"
    finally:
        writer.close()


@lane(1)
async def slow_upload(clients, path):
    reader, writer = await clients.connect()
    try:
        writer.write(head(path, "Content-Length: 20000", method="POST"))
        for _ in range(20):
            writer.write(b"x" * 1000)
            await asyncio.sleep(0.1)
        return str((await read_answer(reader))[0])
    finally:
        writer.close()


@lane(1)
async def slow_reader(clients, path):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", clients.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=8192)
    try:
        writer.write(head(f"/b/{SLOW_ANSWER}"))
        status, left = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode(), SLOW_ANSWER
        while left:
            piece = await reader.read(8192)
            if not piece:
                return "cut"
            left -= len(piece)
            await asyncio.sleep(0.03)
        return status
    finally:
        writer.close()


# Where servers are killed, stopped, restarted: ends that are not 200 need such a cause nearby.


@lane(150, "/churn/")
async def churned(clients, path):
    return await clients.kept(head(path), "churn")


@lane(20, "/churn/")
async def churned_post(clients, path):
    return await clients.kept(post(path, SMALL_BODY), "churn")


@lane(20, "/churn/")
async def churned_h2(clients, path):
    return await clients.stream("churn", False, path.encode())


# Where servers do wrong all the time: anything but silence.


@lane(30, "/faulty/", ends=None)
async def faulty(clients, path):
    return await clients.kept(head(path), "faulty")


@lane(5, "/faulty/", ends=None)
async def faulty_post(clients, path):
    return await once(clients, post(path, SMALL_BODY))


@lane(10, "/faulty/", ends=None)
async def faulty_h2(clients, path):
    return await clients.stream("faulty", False, path.encode())


# Clients that do wrong themselves.


@lane(5, ends=("400",))
async def malformed(clients, path):
    return await once(
        clients, head(path, random.choice(("Content-Length: x", "Transfer-Encoding: gzip", "no colon", "a b: c")))
    )


@lane(2, ends=("408", "closed"))
async def slow_head(clients, path):
    """A byte now and then, until lb has had enough."""
    reader, writer = await clients.connect()
    try:
        answer = asyncio.create_task(read_answer(reader))
        for byte in head(path):
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.2)
        return str((await answer)[0])
    finally:
        writer.close()


@lane(15, "/", "/churn/", "/faulty/", ends=None)
async def aborted(clients, path):
    """Leaves within the head, within the body, or before the answer; at times by a reset."""
    reader, writer = await clients.connect()
    whole = random.choice((post(path, LARGE_BODY), post(path, SMALL_BODY), head(path), head(f"{path}b/{LARGE_ANSWER}")))
    writer.write(random.choice((whole, whole[: random.randrange(len(whole))])))
    await asyncio.sleep(random.choice((0, 0.002, 0.05)))
    if random.random() < 0.5:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    else:
        writer.close()
    return "given up"


@lane(10, "/", "/faulty/", ends=None)
async def aborted_h2(clients, path):
    return await clients.stream(("aborted", path), False, path.encode(), reset_after=random.choice((0, 0.002, 0.02)))


@lane(2, ends=None)
async def aborted_tls(clients, path):
    """Leaves within the handshake."""
    reader, writer = await clients.connect()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    writer.write(hello[: random.randrange(1, len(hello))])
    await asyncio.sleep(0.01)
    writer.close()
    return "given up"
