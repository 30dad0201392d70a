"""Sends a part's bytes to a proxy and reads what it cost."""

import array
import contextlib
import fcntl
import select
import socket
import ssl
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from .origin import ANSWERS

SEND_BUFFER = 65_536
# Where /proc/net/tcp has the two addresses.
LOCAL, REMOTE = 1, 2
# A connection that cannot send more and hears nothing has said what it had to say.
SILENCE_SECONDS = 0.3


@dataclass
class Cost:
    """Of one part: what was sent in how many connections, and what the proxy spent on it."""

    sent: int
    connections: int
    cpu_ns: int
    memory: int
    answers: int = 0

    @property
    def per_byte(self):
        return self.cpu_ns / max(self.sent, 1)


class Client:
    """One connection after the other that sends a part's pieces."""

    def __init__(self, part, port):
        self.part, self.port = part, port
        self.gone = 0
        self.made = 0
        self.answers = 0
        self._connect()

    def _connect(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", self.port))
        self.sock.setblocking(False)
        self.pieces = self.part.pieces()
        self.pending = memoryview(b"")
        self.over = False
        self.made += 1
        self.since = time.monotonic()

    def fileno(self):
        return self.sock.fileno()

    def again(self):
        # Without this thousands of ports wait for their end, and soon there are none.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()
        self._connect()

    def wants_to_send(self):
        return not self.over

    def send(self):
        if not self.pending:
            piece = next(self.pieces, None)
            if piece is None:
                self.over = True
                return
            self.pending = memoryview(piece)
        try:
            count = self.sock.send(self.pending)
        except BlockingIOError:
            return
        except OSError:
            self.again()
            return
        self.gone += count
        self.pending = self.pending[count:]
        self.since = time.monotonic()

    def receive(self):
        try:
            piece = self.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self.answers += piece.count(b"HTTP/1.1 ")
        self.since = time.monotonic()
        if not piece:
            self.again()

    def tend(self, now):
        """Begins anew where all has been said."""
        if self.over and now - self.since > SILENCE_SECONDS:
            self.again()

    def unread(self):
        """What was sent and not acknowledged."""
        waiting = array.array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0]


def flood(world, part, seconds):
    port = getattr(world, part.port)
    clients = [Client(part, port) for _ in range(part.connections)]
    base, begun = watch_memory(world), world.cpu_ns()
    deadline = time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        poll = select.poll()
        by_number = {}
        for client in clients:
            by_number[client.fileno()] = client
            poll.register(client.fileno(), select.POLLIN | (select.POLLOUT if client.wants_to_send() else 0))
        for number, events in poll.poll(20):
            client = by_number[number]
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                client.receive()
            elif events & select.POLLOUT:
                client.send()
        for client in clients:
            client.tend(now)
    spent = world.cpu_ns() - begun
    unread = sum(client.unread() for client in clients) + waiting_at(port)
    cost = Cost(
        sum(client.gone for client in clients) - unread, sum(client.made for client in clients), spent,
        world.memory("VmHWM") - base, sum(client.answers for client in clients),
    )  # fmt: skip
    for client in clients:
        client.sock.close()
    time.sleep(0.2)
    return cost


def watch_memory(world):
    """Has the kernel note the most that is used from now on; what is used now."""
    Path(f"/proc/{world.process.pid}/clear_refs").write_text("5")
    return world.memory("VmRSS")


def waiting_at(port, end=LOCAL):
    """Bytes that wait in sockets with this port to be read."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[end].rpartition(":")[2], 16) == port and words[3] == "01":
            total += int(words[4].rpartition(":")[2], 16)
    return total


@dataclass
class Answer:
    """A server's hostile answer, asked for again and again."""

    answer: str
    alone: bool = False
    connections: int = 1

    @property
    def name(self):
        return f"a server's answer: {self.answer}"

    def play(self, world, seconds):
        request = b"GET /server/%s HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n" % self.answer.encode()
        base, begun = watch_memory(world), world.cpu_ns()
        deadline, count = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            with socket.create_connection(("127.0.0.1", world.front), 10) as sock:
                sock.sendall(request)
                with contextlib.suppress(OSError):
                    while sock.recv(1 << 20) and time.monotonic() < deadline:
                        pass
            count += 1
        sent = count * len(ANSWERS[self.answer.encode()])
        return Cost(sent, count, world.cpu_ns() - begun, world.memory("VmHWM") - base)


@dataclass
class ServersFlood:
    """What a server sends by HTTP/2 once it is asked for something."""

    flood: str
    alone: bool = False
    connections: int = 1

    @property
    def name(self):
        return f"a server's h2: {self.flood}"

    def play(self, world, seconds):
        before = world.origin.flood(self.flood)
        base, begun = watch_memory(world), world.cpu_ns()
        deadline, count = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            with socket.create_connection(("127.0.0.1", world.front), 10) as sock:
                sock.settimeout(left)
                sock.sendall(b"GET /h2 HTTP/1.1\r\nHost: h.test\r\n\r\n")
                # Until it is answered for good, or all the time: interim answers may go on and on.
                with contextlib.suppress(OSError):
                    while sock.recv(1 << 20) and time.monotonic() < deadline:
                        pass
            count += 1
        spent = world.cpu_ns() - begun
        sent = world.origin.flood(self.flood) - before - waiting_at(world.origin.port, REMOTE)
        return Cost(sent, count, spent, world.memory("VmHWM") - base)


def hold(world, held):
    """Memory of the process for each of connections that are held, in bytes; and the files that it opened for them."""
    port = getattr(world, held.port)
    before, descriptors = settled_memory(world), world.descriptors()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connections = []
    for _ in range(held.connections):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        sock.connect(("127.0.0.1", port))
        if held.handshake:
            sock = context.wrap_socket(sock)
        sock.settimeout(5)
        with contextlib.suppress(OSError):
            sock.sendall(held.sent)
        connections.append(sock)
    after = settled_memory(world)
    stayed = world.descriptors() - descriptors
    for sock in connections:
        sock.close()
    time.sleep(0.5)
    return (after - before) / held.connections, stayed


def settled_memory(world):
    """Once it does not change any more."""
    last = -1
    for _ in range(30):
        now = world.memory()
        if now == last:
            break
        last = now
        time.sleep(0.15)
    return last
