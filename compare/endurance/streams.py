"""A client's connection of HTTP/2, as little of it as a load needs: its own heads are never compressed, and of an answer's
head it reads whether the status is 200."""

import asyncio
import contextlib
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE, WINDOW = 4, 1 << 20
# The static table of RFC 7541 has `:status: 200` under 8; as an index that is one byte. An update of the table's size may
# stand before it.
STATUS_200, SIZE_UPDATE = 0x88, 0x20


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field that is not to be indexed, with a length below 127 each."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


class Connection:
    def __init__(self, reader, writer, scheme):
        self.reader, self.writer, self.scheme = reader, writer, scheme
        self.next_stream = 1
        self.open = {}
        self.leaving = False
        writer.write(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW)))
        writer.write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW)))
        self.task = asyncio.create_task(self._read())

    def takes(self, most):
        """Whether another request may go on it, of so many in all."""
        return not self.leaving and self.next_stream < 2 * most

    async def request(self, path, body=b"", reset_after=None):
        """How it ended: `200`, `other` status, `reset` or `closed`. With `reset_after` seconds it is given up then."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        done = self.open[stream] = asyncio.get_running_loop().create_future()
        done.status = None
        head = literal(b":method", b"POST" if body else b"GET") + literal(b":scheme", self.scheme)
        head += literal(b":authority", b"example.test") + literal(b":path", path)
        self.writer.write(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, head))
        if body:
            self.writer.write(frame(DATA, END_STREAM, stream, body))
        if reset_after is not None:
            await asyncio.sleep(reset_after)
            if not done.done():
                self.writer.write(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
                del self.open[stream]
            return "given up"
        return await done

    async def close(self):
        self.writer.close()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def _read(self):
        try:
            while True:
                head = await self.reader.readexactly(9)
                length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
                self._take(kind, flags, stream, await self.reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.leaving = True
            for done in self.open.values():
                if not done.done():
                    done.set_result("closed")
            self.open.clear()

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.leaving = True
        elif kind == DATA and payload:
            increment = struct.pack(">I", len(payload))
            self.writer.write(frame(WINDOW_UPDATE, 0, 0, increment))
        done = self.open.get(stream)
        if done is None:
            return
        if kind == HEADERS and done.status is None:
            fields = payload[1:] if payload[:1] == bytes([SIZE_UPDATE]) else payload
            done.status = "200" if fields[:1] == bytes([STATUS_200]) else "other"
        if kind == RST_STREAM:
            self._end(stream, "reset")
        elif kind in (HEADERS, DATA) and flags & END_STREAM:
            self._end(stream, done.status)

    def _end(self, stream, how):
        done = self.open.pop(stream)
        if not done.done():
            done.set_result(how)
