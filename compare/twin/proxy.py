"""The two proxies under comparison, as processes: start, wait until they listen, capture the log, stop."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from . import log_line

START_SECONDS = 15


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
            raise Failed(f"{' '.join(command)} failed, and without HAProxy there is nothing to compare with:\n{result.stderr}")
    path = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not path:
        raise Failed("the package haproxy brought no program haproxy")
    return path


def free_ports(count):
    """The first of `count` consecutive ports that nobody listens on, below the range of outgoing connections."""
    seed = int.from_bytes(os.urandom(2))
    for attempt in range(2000):
        first = 20000 + (seed + attempt * 7) % 12000
        sockets = []
        try:
            for port in range(first, first + count):
                sock = socket.socket()
                sockets.append(sock)
                sock.bind(("0.0.0.0", port))
            return first
        except OSError:
            continue
        finally:
            for sock in sockets:
                sock.close()
    raise Failed(f"no {count} free ports in a row")


class Proxy:
    """A running proxy. `lines` are the httplog lines so far, `others` what else it wrote."""

    def __init__(self, command, suffix, configuration, port):
        self.lines, self.others = [], []
        self.changed = threading.Condition()
        self.directory = tempfile.TemporaryDirectory(prefix="lb-compare-")
        path = Path(self.directory.name) / f"configuration{suffix}"
        path.write_text(configuration)
        self.port = port
        self.process = subprocess.Popen(
            [*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        self._wait_listening()

    def _read_log(self):
        for raw in self.process.stdout:
            line = raw.decode("latin-1").rstrip("\n")
            with self.changed:
                (self.lines if log_line.parse(line) else self.others).append(line)
                self.changed.notify_all()

    def _wait_listening(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise Failed(f"{self.process.args[0]} ended at once:\n" + "\n".join(self.others))
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
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.directory.cleanup()
