"""Servers that behave until they are told otherwise. Each runs in a process of its own, so that it can be stopped."""

import asyncio
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
# Found before there is a process to be prepared: between fork and exec little is safe in a program with threads.
LIBC = ctypes.CDLL(None)
BODY_BYTES = 100


class Server:
    """A server's process. `behaviour` is one of those of [`Serving`]."""

    def __init__(self, port, behaviour="well"):
        self.port = port
        self.process = None
        self.start(behaviour)

    def start(self, behaviour="well"):
        self.process = subprocess.Popen([sys.executable, __file__, str(self.port), behaviour], preexec_fn=end_with_parent)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("a server does not start")

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill()


def end_with_parent():
    """Has the kernel end this process, about to start, when the one that starts it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def body_of(size):
    """A body that shows where it was cut."""
    return b"whole" + b"." * (size - 8) + b"end"


class Serving:
    """What a server does with a request; health checks, on /status, it always answers well but where it is silent.

    Answers have 100 bytes, those to `/b/SIZE` as many as that says. Where an upgrade is asked for, each byte comes back.
    """

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.count = 0

    async def connection(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                if any(line.startswith(b"upgrade:") for line in lines):
                    await self.echo(reader, writer)
                    break
                if b"transfer-encoding: chunked" in lines:
                    await read_chunks(reader)
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                if not await self.answer(reader, writer, head, length):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def echo(reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()

    async def answer(self, reader, writer, head, length):
        """Whether the connection stays."""
        path = head.split(b" ", 2)[1]
        if path == b"/status":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True
        while length > 0:
            piece = await reader.read(min(length, 65536))
            if not piece:
                return False
            length -= len(piece)
        self.count += 1
        body = body_of(int(path.rpartition(b"/")[2]) if b"/b/" in path else BODY_BYTES)
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        match self.behaviour:
            case "resets":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            case "closes-early":
                # The answer is whole; that the connection ends is not said.
                writer.write(whole)
                return self.count % 3 != 0
            case "slow":
                await asyncio.sleep(0.1)
                writer.write(whole)
            case "silent":
                # Until the other side has had enough: so its connections do not pile up here.
                await reader.read(1)
                return False
            case "half":
                writer.write(whole[:-20])
                return False
            case _:
                writer.write(whole)
        await writer.drain()
        return True


async def read_chunks(reader):
    """Reads a chunked body to its end."""
    while size := int((await reader.readline()).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    while (await reader.readline()).strip():
        pass


async def serve(port, behaviour):
    serving = Serving(behaviour)
    server = await asyncio.start_server(serving.connection, "127.0.0.1", port, reuse_address=True, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
    except KeyboardInterrupt:
        pass
