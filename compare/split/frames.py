"""Frames of HTTP/2 as bytes, right or not, and a client that says what became of each stream."""

import socket
import struct
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, prefix, first=0):
    """An integer of HPACK, with what else is in its first byte."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def literal(name, value):
    """A field as it is, without a table and without Huffman's code: any byte can be in it."""
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


@dataclass
class Stream:
    fields: list = field(default_factory=list)
    is_over: bool = False

    @property
    def status(self):
        """Of the final answer; 0 where there is none."""
        found = dict(self.fields).get(b":status", b"")
        return int(found) if found.isdigit() else 0


class Client:
    """One connection, on which streams are sent as bytes."""

    def __init__(self, port, idle_seconds, decoder):
        self.decoder = decoder
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(idle_seconds)
        self.received = b""
        self.block = b""
        self.streams = {}
        self.end = "open"
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.end = "closed"

    def wait_for(self, number):
        """Reads until this stream is over, or the connection, or nothing comes any more."""
        stream = self.streams.setdefault(number, Stream())
        while not stream.is_over and self.end == "open":
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                break
            except OSError:
                piece = b""
            if not piece:
                self.end = "closed"
            self.received += piece
            while len(self.received) >= 9:
                length = int.from_bytes(self.received[:3], "big")
                if len(self.received) < 9 + length:
                    break
                kind, flags, at = struct.unpack(">BBI", self.received[3:9])
                payload, self.received = self.received[9 : 9 + length], self.received[9 + length :]
                self._take(kind, flags, at, payload)
        return stream

    def _take(self, kind, flags, number, payload):
        stream = self.streams.setdefault(number, Stream())
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == GOAWAY and payload[4:8] != b"\0\0\0\0":
            self.end = "refused"
        elif kind == RST_STREAM:
            stream.is_over = True
        elif kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(self.block, raw=True)]
                self.block = b""
                # An interim answer is followed by another, and trailers are no answer.
                if dict(fields).get(b":status", b"1")[:1] != b"1":
                    stream.fields = fields
        # The proxies here neither pad nor give priorities, and windows are larger than any answer.
        stream.is_over |= bool(kind in (DATA, HEADERS) and flags & END_STREAM)

    def close(self):
        self.socket.close()
