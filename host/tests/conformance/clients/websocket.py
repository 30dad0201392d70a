"""WebSockets through lb: the package `websockets` over HTTP/1.1 and TLS, and `h2` over extended CONNECT (RFC 8441)."""

import asyncio
import os
import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, SettingsAcknowledged, StreamEnded, StreamReset
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import CLIENT, Protocol, State

from kit.wire import PATIENCE, Wrong
from kit.world import World


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Wrong(f"{what}: {str(got)[:200]} instead of {str(wanted)[:200]}")


class Client:
    """How a transport is reached."""

    def __init__(self, world: World, secure: bool):
        self.world, self.secure = world, secure
        self.host, self.port = world.secure if secure else world.clear

    def open(self, path: str = "/socket/echo", **more):
        more = {"max_size": 64 << 20, "ping_interval": None, "open_timeout": PATIENCE, "proxy": None} | more
        if self.secure:
            return connect(f"wss://site.test:{self.port}{path}", host=self.host, ssl=self.world.tls("http/1.1"), **more)
        return connect(f"ws://{self.host}:{self.port}{path}", **more)


async def echo(client: Client) -> None:
    async with client.open() as ws:
        for message in ("hello", "", "h\u00e9llo \u2713", b"", b"\0\xff" * 10, "x" * 125, "x" * 126, "x" * 65536):
            await ws.send(message)
            expect("the echo", await ws.recv(), message)


async def large(client: Client) -> None:
    async with client.open(compression=None) as ws:
        message = os.urandom(8 << 20)
        await ws.send(message)
        if await ws.recv() != message:
            raise Wrong("8 MiB came back as something else")


async def compressed(client: Client) -> None:
    async with client.open() as ws:
        if not ws.protocol.extensions:
            raise Wrong("permessage-deflate was not agreed on")
        await ws.send("abc" * 100_000)
        expect("the echo", await ws.recv(), "abc" * 100_000)


async def fragments(client: Client) -> None:
    async with client.open() as ws:
        await ws.send(str(number) for number in range(1000))
        expect("the echo", await ws.recv(), "".join(map(str, range(1000))))


async def pings(client: Client) -> None:
    async with client.open() as ws:
        for _ in range(10):
            await asyncio.wait_for(await ws.ping(os.urandom(100)), PATIENCE)
        before = client.world.sockets.pongs
        await ws.send("ping me")
        expect("the server's ping", await ws.recv(), "pong came")
        expect("pongs that the server had", client.world.sockets.pongs, before + 1)


async def closes(client: Client) -> None:
    for code in (1000, 1001, 1011, 3000, 4999):
        async with client.open(f"/socket/close/{code}") as ws:
            await ws.send("x")
            try:
                await ws.recv()
            except ConnectionClosed as closed:
                expect("the server's close", (closed.rcvd.code, closed.rcvd.reason), (code, "as asked"))
        path = f"/socket/echo?{os.urandom(4).hex()}"
        ws = await client.open(path)
        await ws.close(code, "good bye")
        await ended(client, path, code, "good bye")


async def ended(client: Client, path: str, code: int, reason: str) -> None:
    """The server has heard this close."""
    for _ in range(int(PATIENCE / 0.01)):
        seen = [entry for entry in client.world.sockets.codes if entry[0] == path]
        if seen:
            return expect("the client's close", seen[0], (path, code, reason))
        await asyncio.sleep(0.01)
    raise Wrong("the server heard no close")


async def vanishes(client: Client) -> None:
    path = f"/socket/echo?{os.urandom(4).hex()}"
    ws = await client.open(path)
    ws.transport.abort()
    await ended(client, path, 1006, "")


async def many(client: Client) -> None:
    async def one(number: int) -> None:
        async with client.open() as ws:
            for turn in range(10):
                await ws.send(f"{number} {turn}")
                expect("the echo", await ws.recv(), f"{number} {turn}")
    await asyncio.gather(*(one(number) for number in range(100)))


async def subprotocol(client: Client) -> None:
    async with client.open(subprotocols=["other", "chat"]) as ws:
        expect("the subprotocol", ws.subprotocol, "chat")


class Streams:
    """WebSockets over the streams of one connection, by `h2`, with `websockets` for what is in them."""

    def __init__(self, world: World, secure: bool):
        self.socket = socket.create_connection(world.secure if secure else world.clear, PATIENCE)
        if secure:
            self.socket = world.tls("h2").wrap_socket(self.socket, server_hostname="site.test")
        self.scheme = "https" if secure else "http"
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.open: dict[int, Protocol] = {}
        self.statuses: dict[int, str] = {}
        self.ended: set[int] = set()
        self.known = False
        self.flush()
        while not self.known:
            self.turn()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def turn(self) -> None:
        """Takes what has come."""
        came = self.socket.recv(65536)
        if not came:
            raise Wrong("the connection ended")
        for event in self.h2.receive_data(came):
            if isinstance(event, SettingsAcknowledged):
                self.known = True
            elif isinstance(event, ResponseReceived):
                self.statuses[event.stream_id] = dict(event.headers)[b":status"].decode()
            elif isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.open[event.stream_id].receive_data(event.data)
            elif isinstance(event, StreamEnded):
                self.open[event.stream_id].receive_eof()
                self.ended.add(event.stream_id)
            elif isinstance(event, StreamReset) and (event.error_code or event.stream_id not in self.ended):
                raise Wrong(f"stream {event.stream_id} was reset: {event.error_code}")
        self.flush()

    def connect(self, path: str = "/socket/echo") -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", self.scheme),
                                      (":path", path), (":authority", "site.test"), ("sec-websocket-version", "13")])
        self.flush()
        self.open[stream] = Protocol(CLIENT, state=State.OPEN, max_size=64 << 20)
        while stream not in self.statuses:
            self.turn()
        expect("the status", self.statuses[stream], "200")
        return stream

    def send(self, stream: int) -> None:
        """Sends what the WebSocket has to say, as the windows allow."""
        for data in self.open[stream].data_to_send():
            while data:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if room <= 0:
                    self.turn()
                    continue
                self.h2.send_data(stream, data[:room])
                self.flush()
                data = data[room:]

    def message(self, stream: int) -> bytes:
        """The next message of the server's, whole."""
        whole = b""
        while True:
            for frame in self.open[stream].events_received():
                whole += frame.data
                if frame.fin:
                    return whole
            self.turn()


def over_streams(world: World, secure: bool) -> None:
    """Ten WebSockets over one connection: words, 300 KB, and a close."""
    c = Streams(world, secure)
    streams = [c.connect() for _ in range(10)]
    for stream in streams:
        c.open[stream].send_text(b"on %d" % stream)
        c.send(stream)
    for stream in streams:
        expect("the echo", c.message(stream), b"on %d" % stream)
    large = os.urandom(300_000)
    c.open[streams[3]].send_binary(large)
    c.send(streams[3])
    if c.message(streams[3]) != large:
        raise Wrong("300 KB came back as something else")
    for stream in streams:
        c.open[stream].send_close(1001, "good bye")
        c.send(stream)
    while not c.ended.issuperset(streams):
        c.turn()
    expect("the closes", {c.open[stream].close_code for stream in streams}, {1001})
    c.socket.close()


CASES = {"echoes of every size": echo, "8 MiB at once": large, "compressed messages": compressed, "fragments": fragments,
         "pings both ways": pings, "close codes both ways": closes, "a client that vanishes": vanishes,
         "a hundred at once": many, "a subprotocol": subprotocol}


def cases(world: World):
    """Name and code of each."""
    for secure in (False, True):
        name = "wss" if secure else "ws"
        for title, run in CASES.items():
            yield (f"{name}: {title}",
                   lambda run=run, secure=secure: asyncio.run(asyncio.wait_for(run(Client(world, secure)), 30)))
        yield (f"WebSocket over HTTP/2 by h2 and websockets [{'TLS' if secure else 'clear text'}]",
               lambda secure=secure: over_streams(world, secure))
