"""A server of WebSockets, by the package `websockets`: says back what it hears, and notes how each of them ended."""

import asyncio
import threading

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Sockets:
    """`/socket/echo` says everything back, `/socket/close/CODE` closes at the first word."""

    def __init__(self):
        self.codes: list[tuple[str, int, str]] = []
        self.pongs = 0
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),), daemon=True).start()
        self.ready.wait(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.end.set)

    async def _serve(self) -> None:
        self.end = asyncio.Event()
        async with serve(self._answer, "127.0.0.1", 0, subprotocols=["chat"], select_subprotocol=self._choose,
                         max_size=64 << 20, ping_interval=None) as server:
            self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.end.wait()

    @staticmethod
    def _choose(_: ServerConnection, offered: list[str]) -> str | None:
        return "chat" if "chat" in offered else None

    async def _answer(self, socket: ServerConnection) -> None:
        path = socket.request.path
        try:
            async for message in socket:
                if path.startswith("/socket/close/"):
                    await socket.close(int(path.rpartition("/")[2]), "as asked")
                elif message == "ping me":
                    await (await socket.ping(b"from the server"))
                    self.pongs += 1
                    await socket.send("pong came")
                else:
                    await socket.send(message)
        except ConnectionClosed:
            pass
        self.codes.append((path, socket.close_code, socket.close_reason))
