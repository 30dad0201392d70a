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
BODY = b"whole" + b"." * 92 + b"end"


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
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Serving:
    """What a server does with a request; health checks, on /status, it always answers well but where it is silent."""

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.count = 0

    async def connection(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                if not await self.answer(reader, writer, head, length):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, reader, writer, head, length):
        """Whether the connection stays."""
        if b" /status " in head.split(b"\r\n")[0]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True
        await reader.readexactly(length)
        self.count += 1
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
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
                await asyncio.sleep(3600)
            case "half":
                writer.write(whole[:-20])
                return False
            case _:
                writer.write(whole)
        await writer.drain()
        return True


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
