"""Clients that never rest, and what they saw: each request ends as a status, or as the way in which it broke."""

import asyncio
import collections
import time

PATIENCE_SECONDS = 6.0


class Load:
    """`clients` connections that send one request after the other until they are told to stop, each at its own pace: so
    that who answers faster, a page of its own even, is not asked more often."""

    def __init__(self, port, clients, body=b"", pause=0.01, path="/", keep=True):
        self.port, self.body, self.pause, self.keep = port, body, pause, keep
        self.seen = collections.Counter()
        self.slowest = 0.0
        self.going = True
        method = b"POST" if body else b"GET"
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        closing = b"" if keep else b"Connection: close\r\n"
        self.request = b"%s %s HTTP/1.1\r\nHost: example.test\r\n%s%s\r\n" % (method, path.encode(), length, closing)
        self.tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def stop(self):
        self.going = False
        await asyncio.gather(*self.tasks)
        return self.seen

    async def _client(self):
        stream = None
        while self.going:
            began = time.monotonic()
            try:
                if stream is None:
                    stream = await asyncio.open_connection("127.0.0.1", self.port)
                status, stays = await asyncio.wait_for(self._exchange(*stream), PATIENCE_SECONDS)
                self.seen[str(status)] += 1
            except TimeoutError:
                self.seen["silence"] += 1
                stays = False
            except (OSError, asyncio.IncompleteReadError) as error:
                # A kept connection may be closed while it rests; no request is lost where none was answered.
                partial = getattr(error, "partial", b"")
                self.seen["cut" if partial else "closed"] += 1
                stays = False
            self.slowest = max(self.slowest, time.monotonic() - began)
            if not (stays and self.keep) and stream:
                stream[1].close()
                stream = None
            if self.pause:
                await asyncio.sleep(self.pause)
        if stream:
            stream[1].close()

    async def _exchange(self, reader, writer):
        writer.write(self.request + self.body)
        return await read_answer(reader)


async def read_answer(reader):
    """Reads one answer; its status, and whether the connection stays."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
    if length is None:
        body = await reader.read()
    else:
        body = await reader.readexactly(length)
    if body.startswith(b"whole") and not body.endswith(b"end"):
        raise asyncio.IncompleteReadError(head, None)
    return int(head[9:12]), b"connection: close" not in lines and length is not None
