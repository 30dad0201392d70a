"""A recording origin: a raw listener whose every answer, good or bad, is scripted by the case.

Health checks (the path /status) are answered by `health` and kept apart from traffic. A script is either
the bytes of an answer or a function of the connection and the request that does what it likes.
"""

import queue
import socket
import threading

from .wire import Ended, Stream, read_body, request_framing

HEALTHY = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"


class Connection(Stream):
    """One connection that a proxy opened to the origin."""

    def __init__(self, sock, origin):
        super().__init__(sock)
        self.origin = origin
        self.request = None

    def read_request_body(self, expected=True):
        """Reads and records the body; a script that answers early leaves it out."""
        label = self.request.label
        try:
            body, trailers = read_body(self, self.request.head, request_framing(self.request.head))
            if body or expected:
                self.origin.record.add_body(label, body, trailers)
        except Ended as end:
            self.origin.record.add(f"{label} body cut", self.ended(end))
            raise

    def wait_closed(self):
        """Records that the proxy let this connection go, as soon as it does."""
        _, how = self.to_end(2.0)
        self.origin.record.add(f"{self.request.label} connection", self.ended(Ended(how)))

    @staticmethod
    def ended(end):
        """How a proxy lets go of a server, by FIN or by RST, is its own affair."""
        return "open" if end.how == "silence" else "closed"


class Request:
    def __init__(self, head, label):
        self.head = head
        self.label = label
        self.path = head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b""


class Origin:
    """Listens on a loopback port from `open` to `close`; `name` is the server's name in both configurations."""

    def __init__(self, name, health_path="/status"):
        self.name = name
        self.health_path = health_path.encode()
        self.health = HEALTHY
        self.scripts = queue.SimpleQueue()
        self.default = None
        self.record = None
        self.seen = 0
        self.checks = []
        self.changed = threading.Condition()
        self.connections = set()
        self.listener = None
        self.port = None
        self.open()

    def open(self):
        listener = self._bind()
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _bind(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port or 0))
        return sock

    def close(self):
        """Stops listening, so that connections are refused; closes the open ones."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed before
        self.listener.close()
        self.drop_connections()

    def refuse(self):
        """From now on connections are refused; the port stays taken, so that nobody else gets it."""
        self.close()
        self.placeholder = self._bind()

    def open_again(self):
        self.placeholder.close()
        self.open()

    def hang(self):
        """From now on connections neither come about nor fail: the backlog is full and nobody accepts."""
        self.close()
        self.placeholder = self._bind()
        self.placeholder.listen(0)
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)

    def drop_connections(self):
        for connection in list(self.connections):
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def begin(self, record):
        self.record = record
        self.seen = 0
        self.scripts = queue.SimpleQueue()
        self.default = self.plain_answer

    def answers(self, *scripts):
        """One script a request, in order; when they run out, the plain answer."""
        for script in scripts:
            self.scripts.put(script)

    def always(self, script):
        self.default = script

    def wait_checks(self, count, patience=20.0):
        """Waits until `count` more health checks have been answered."""
        with self.changed:
            goal = len(self.checks) + count
            if not self.changed.wait_for(lambda: len(self.checks) >= goal, patience):
                raise Ended("no health check")

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Connection(sock, self),), daemon=True).start()

    def _serve(self, connection):
        self.connections.add(connection)
        try:
            while self._serve_one(connection):
                pass
        except (Ended, OSError):
            pass
        finally:
            self.connections.discard(connection)
            connection.close()

    def _serve_one(self, connection):
        head = connection.head(3600)
        if head.split(b" ", 2)[1:2] == [self.health_path]:
            return self._check(connection, head)
        with self.changed:
            self.seen += 1
            label = f"{self.name} request {self.seen}"
            self.changed.notify_all()
        connection.request = Request(head, label)
        if not connection.request.path.startswith(b"/align"):
            self.record.add_head(label, head)
        try:
            script = self.scripts.get_nowait()
        except queue.Empty:
            script = self.default
        if callable(script):
            return script(connection, connection.request)
        connection.read_request_body(expected=False)
        connection.send(script)
        return True

    def _check(self, connection, head):
        body = b""
        if request_framing(head) != "none":
            body, _ = read_body(connection, head, request_framing(head))
        if self.health is None:
            connection.to_end()
        elif callable(self.health):
            self.health(connection)
        else:
            connection.send(self.health)
        with self.changed:
            self.checks.append(head + body)
            self.changed.notify_all()
        return False

    @staticmethod
    def plain_answer(connection, _request):
        """The answer of a case that says nothing else: 200, the server's name as its body."""
        connection.read_request_body(expected=False)
        body = connection.origin.name.encode() + b"\n"
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return True
