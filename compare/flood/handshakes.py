"""TLS: what comes before a request."""

import itertools
import socket
import ssl
import time
from dataclasses import dataclass

from .measure import Cost, flood, watch_memory
from .parts import Part, head

CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"


def context(version=ssl.TLSVersion.TLSv1_3):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    return made


def hello(version=ssl.TLSVersion.TLSv1_3):
    """A client's first bytes. They may be used again and again: it costs a client nothing."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(version).wrap_bio(incoming, outgoing, server_hostname="example.test")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake needs a server")


def records(bytes_, kind=b"\x16\x03\x01"):
    """A record for each byte."""
    return b"".join(kind + b"\0\1" + bytes([byte]) for byte in bytes_)


def padded_hello(size):
    """A hello of so many bytes, by an extension of zeros that nobody knows (a number for private use)."""
    plain = hello()[5:]
    # Behind the handshake's head: version, random, session, ciphers, compressions, and then the extensions' length.
    at = 4 + 2 + 32
    at += 1 + plain[at]
    at += 2 + int.from_bytes(plain[at : at + 2], "big")
    at += 1 + plain[at]
    extensions = plain[at + 2 :] + b"\xff\xaa" + size.to_bytes(2, "big") + bytes(size)
    body = plain[4:at] + len(extensions).to_bytes(2, "big") + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body


@dataclass
class Handshakes:
    """Whole handshakes, by a client that does its part of the arithmetic."""

    name: str
    version: ssl.TLSVersion
    alone: bool = False
    connections: int = 1

    def play(self, world, seconds):
        made = context(self.version)
        base, begun = watch_memory(world), world.cpu_ns()
        deadline, sent, count = time.monotonic() + seconds, 0, 0
        while time.monotonic() < deadline:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = made.wrap_bio(incoming, outgoing, server_hostname="example.test")
            with socket.create_connection(("127.0.0.1", world.secure), 10) as sock:
                while True:
                    try:
                        client.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        sent += len(said := outgoing.read())
                        sock.sendall(said)
                        incoming.write(sock.recv(65536))
                sent += len(said := outgoing.read())
                sock.sendall(said)
            count += 1
        return Cost(sent, count, world.cpu_ns() - begun, world.memory("VmHWM") - base)


@dataclass
class Encrypted:
    """Bytes of a request behind a handshake, in records of a size."""

    name: str
    said: bytes
    record: int
    alone: bool = False
    connections: int = 1

    def play(self, world, seconds):
        made = context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = made.wrap_bio(incoming, outgoing, server_hostname="example.test")
        sock = socket.create_connection(("127.0.0.1", world.secure), 10)
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        begun_memory, begun, deadline, sent = watch_memory(world), world.cpu_ns(), time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            for at in range(0, len(self.said), self.record):
                client.write(self.said[at : at + self.record])
            sent += len(said := outgoing.read())
            sock.sendall(said)
            # Its answer: so nothing is left unread when the time is over.
            sock.recv(65536)
        cost = Cost(sent, 1, world.cpu_ns() - begun, world.memory("VmHWM") - begun_memory)
        sock.close()
        return cost


class Blast(Part):
    """Bytes that are the same each time."""

    def play(self, world, seconds):
        return flood(world, self, seconds)


def blast(name, make, connections=1):
    return Blast(name, make, "secure", connections)


PARTS = [
    Handshakes("TLS 1.3: handshakes", ssl.TLSVersion.TLSv1_3),
    Handshakes("TLS 1.2: handshakes", ssl.TLSVersion.TLSv1_2),
    blast("TLS 1.3: hellos alone, always the same", lambda: iter([hello()]), 8),
    blast("TLS: hellos that are garbage", lambda: iter([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 505])),
    blast("TLS: no TLS", lambda: iter([head()])),
    blast("TLS 1.3: a hello in records of a byte", lambda: iter([records(hello()[5:])]), 8),
    blast("TLS 1.3: a hello of 15 KB in records of a byte", lambda: iter([records(padded_hello(15_000))]), 8),
    blast("TLS 1.3: a hello of 60 KB in records of a byte", lambda: iter([records(padded_hello(60_000))]), 8),
    blast("TLS 1.3: a hello, a byte at a time", lambda: iter([bytes([byte]) for byte in hello()]), 200),
    blast(
        "TLS 1.3: a hello, then ChangeCipherSpec",
        lambda: itertools.chain([hello()], itertools.repeat(CHANGE_CIPHER_SPEC * 1000)),
    ),
    Encrypted("TLS 1.3: requests, records of a byte", head() * 20, 1),
    Encrypted("TLS 1.3: requests, whole records", head() * 200, 16_384),
]
