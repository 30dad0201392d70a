"""One proxy with origins of its own, in one configuration: the scripted world in which cases run.

Both proxies get a world each, built alike, so that neither sees what the other causes.
"""

import socket
import time
import traceback

from . import kernel, log_line
from .client import Client
from .configuration import BACKEND, FRONTEND
from .origin import Origin
from .proxy import PORTS
from .record import Record
from .wire import PATIENCE_SECONDS, Stream

# How long to wait for log lines that the case expects, and for lines that nobody expects.
LOG_SECONDS = 4.0
LEAST_LOG_SECONDS = 0.25
SURPLUS_SECONDS = 0.03
# How long a proxy may take to log and to forget a client that is gone.
SETTLE_SECONDS = 0.3
# Between closing a socket and counting one connection less there are a few instructions of the proxy.
COUNTED_SECONDS = 0.002
ALIGN = b"GET /align HTTP/1.1\r\nHost: align\r\nConnection: close\r\n\r\n"


class World:
    def __init__(self, start, configuration):
        self.configuration = configuration
        self.origins = {name: Origin(name, configuration.health_path) for name in configuration.servers}
        self.record, self.clients = Record(), []
        for origin in self.origins.values():
            origin.begin(self.record)
        self.port = PORTS.take(2)
        for name in configuration.refusing:
            self.origins[name].refuse()
        for name in configuration.hanging:
            self.origins[name].hang()
        addresses = {name: f"127.0.0.1:{origin.port}" for name, origin in self.origins.items()}
        self.log_seconds = LOG_SECONDS
        self.start = lambda: start(configuration, self.port, addresses)
        self._start()
        for origin in self.origins.values():
            if configuration.checked and not configuration.tcp_checked:
                origin.wait_checks(1)

    def _start(self):
        self.proxy = self.start()
        self._wait_forgotten(self.proxy.first_connection)
        time.sleep(SURPLUS_SECONDS)

    def __getitem__(self, name):
        return self.origins[name]

    def answer(self, *scripts):
        """Every origin goes through the same scripts."""
        for origin in self.origins.values():
            origin.answers(*scripts)

    def always(self, script):
        for origin in self.origins.values():
            origin.always(script)

    def client(self, label="client", port=0, source=None):
        """A new connection; what earlier clients did that are gone has been logged and forgotten by then."""
        for earlier in self.clients:
            self.settle(earlier)
        client = Client(self.record, label, self.port + port, source)
        self.clients.append(client)
        return client

    def settle(self, client):
        """Waits until a client's responses are logged and, where it has closed, the proxy has closed as well.

        Otherwise order and counts of connections in the log would depend on which thread is faster.
        """
        if client.settled:
            return
        self.proxy.wait_lines(self.lines_before + sum(one.finals for one in self.clients), SETTLE_SECONDS)
        if client.closed:
            self._wait_forgotten(client.ends)
            client.settled = True

    @staticmethod
    def _wait_forgotten(ends):
        deadline = time.monotonic() + SETTLE_SECONDS
        while kernel.holds(*ends) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(COUNTED_SECONDS)

    def seen(self, count, patience=PATIENCE_SECONDS):
        """Waits until the origins have seen `count` requests of this case in all."""
        deadline = time.monotonic() + patience
        while sum(origin.seen for origin in self.origins.values()) < count and time.monotonic() < deadline:
            time.sleep(0.002)

    def run(self, case):
        """Runs one case and gives back its record."""
        for client in self.clients:
            if not client.settled:
                self._wait_forgotten(client.ends)
        for origin in self.origins.values():
            origin.begin(Record())
        if self.configuration.align:
            self._align()
        self.record, self.clients = Record(), []
        for origin in self.origins.values():
            origin.begin(self.record)
        self.lines_before, self.others_before = len(self.proxy.lines), len(self.proxy.others)
        self.complaints_before = len(self.proxy.complaints)
        try:
            case.run(self)
        except Exception as error:
            self.record.add("the case broke", f"{error!r}\n{traceback.format_exc(limit=-3)}")
        for client in self.clients:
            self.settle(client)
            client.close()
        self._collect_log(self.lines_before, case)
        self._look_after_proxy()
        return self.record

    def _align(self):
        """Sends requests until the first server is the next in turn, whatever the case before left behind."""
        last = list(self.origins.values())[-1]
        for _ in range(2 * len(self.origins)):
            before, lines = last.seen, len(self.proxy.lines)
            self._probe()
            self.proxy.wait_lines(lines + 1, 1.0)
            if last.seen > before:
                return

    def _probe(self):
        stream = Stream(socket.create_connection(("127.0.0.1", self.port), 5))
        ends = stream.sock.getpeername(), stream.sock.getsockname()
        stream.send(ALIGN)
        stream.to_end(2.0)
        stream.close()
        self._wait_forgotten(ends)

    def _collect_log(self, before, case):
        if self.proxy.wait_lines(before + case.logs, self.log_seconds):
            self.proxy.wait_lines(before + case.logs + 1, SURPLUS_SECONDS)
        else:
            # A proxy that does not log would hold up every case.
            self.log_seconds = max(self.log_seconds / 2, LEAST_LOG_SECONDS)
        lines = self.proxy.lines[before:]
        if case.unordered:
            lines = sorted(lines, key=lambda line: line.partition('"')[2])
        self.record.add("lines logged", len(lines))
        for number, line in enumerate(lines, 1):
            for name, value in log_line.parse(line).items():
                if name in case.uncompared:
                    continue
                self.record.add(f"log {number} {name}", value)
        for line in self.proxy.others[self.others_before :]:
            if notice := log_line.notice(line, BACKEND):
                self.record.add(f"notice on {notice[0]}", notice[1])
            elif f" {FRONTEND} " in line:
                self.record.add("log line not understood", line)
        self.record.log = lines

    def _look_after_proxy(self):
        """A proxy that panicked or died fails the case; the next one gets a new proxy."""
        said = self.proxy.complaints[self.complaints_before :]
        if any("panicked" in line for line in said):
            self.record.add("the proxy panicked", "\n".join(said))
        if self.proxy.process.poll() is not None:
            self.record.add("the proxy died", f"exit code {self.proxy.process.returncode}\n" + "\n".join(said))
            self.proxy.stop()
            self._start()

    def close(self):
        self.proxy.stop()
        for origin in self.origins.values():
            origin.close()
