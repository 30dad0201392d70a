"""The two proxies under comparison, as processes: start, wait until they listen, capture the log, stop."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import log_line

START_SECONDS = 15
FIRST_PORT, LAST_PORT, BLOCK_PORTS = 20_000, 32_000, 2_000


class Failed(Exception):
    """The comparison cannot be made."""


def find_haproxy():
    """HAProxy's path; installs the package where it is absent."""
    if path := shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin"):
        return path
    print("haproxy is absent: installing it", flush=True)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "haproxy"]):
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        if result.returncode:
            raise Failed(
                f"{' '.join(command)} failed, and without HAProxy there is nothing to compare with:\n{result.stderr}"
            )
    path = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not path:
        raise Failed("the package haproxy brought no program haproxy")
    return path


class Ports:
    """Hands out free ports below the range of outgoing connections, none twice in one run.

    Two proxies with SO_REUSEPORT would share a port without a word, and between a look whether it is free and
    the proxy's bind another run may look too: so each run takes a block of ports for itself first, by the name
    of an abstract socket, which the kernel takes back when the run ends.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.claim = None

    def take(self, count):
        """The first of `count` consecutive ports."""
        with self.lock:
            if not self.claim:
                self._claim_block()
            for _ in range(BLOCK_PORTS):
                first = self.next
                self.next += count
                if self.next > self.last:
                    self.next = self.first
                elif all(is_free(port) for port in range(first, first + count)):
                    return first
        raise Failed(f"no {count} free ports in a row")

    def _claim_block(self):
        for first in range(FIRST_PORT, LAST_PORT, BLOCK_PORTS):
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0lb-compare-{first}")
            except OSError:
                claim.close()
                continue
            self.claim, self.first, self.next, self.last = claim, first, first, first + BLOCK_PORTS
            return
        raise Failed("too many comparisons run at once")


def is_free(port):
    with socket.socket() as sock:
        try:
            sock.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False


PORTS = Ports()


class Proxy:
    """A running proxy. `lines` are the httplog lines so far, `others` what else it logged, `complaints` its stderr."""

    def __init__(self, command, suffix, configuration, port):
        self.lines, self.others, self.complaints = [], [], []
        self.changed = threading.Condition()
        self.directory = tempfile.TemporaryDirectory(prefix="lb-compare-")
        path = Path(self.directory.name) / f"configuration{suffix}"
        path.write_text(configuration)
        self.port = port
        self.process = subprocess.Popen(
            [*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        atexit.register(self.stop)
        threading.Thread(target=self._read_log, daemon=True).start()
        threading.Thread(target=self._read_complaints, daemon=True).start()
        self._wait_listening()

    def _read_log(self):
        for raw in self.process.stdout:
            line = raw.decode("latin-1").rstrip("\n")
            with self.changed:
                (self.lines if log_line.parse(line) else self.others).append(line)
                self.changed.notify_all()

    def _read_complaints(self):
        for raw in self.process.stderr:
            self.complaints.append(raw.decode("latin-1").rstrip("\n"))

    def _wait_listening(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise Failed(f"{self.process.args[0]} ended at once:\n" + "\n".join(self.complaints + self.others))
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                    self.first_connection = sock.getpeername(), sock.getsockname()
                return
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise Failed(f"{self.process.args[0]} does not listen after {START_SECONDS} s")

    def wait_lines(self, count, patience):
        """Waits until there are `count` lines in all; says whether they came."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.lines) >= count, patience)

    def stop(self):
        atexit.unregister(self.stop)
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()
