"""A proxy, lb or HAProxy, with two servers, set up for a scene."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twin.proxy import PORTS, Failed, find_haproxy

from .servers import Server, end_with_parent

LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
MEMORY_CGROUPS = [
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max"),
]  # fmt: skip
HAPROXY = """global
  nbthread 1
  {log_global}
defaults
  mode http
  {log}
  timeout connect 500ms
  timeout client 3s
  timeout server 700ms
  timeout queue 3s
  retries 3
  option redispatch
frontend front
  bind 127.0.0.1:{front}
  default_backend back
backend back
  balance roundrobin
  {check}
"""
LB = """[global]
nbthread = 1
{log_global}
[defaults]
{log}
timeout = {{ connect = "500ms", client = "3s", server = "700ms", queue = "3s" }}
retries = 3
redispatch = true
[frontends.front]
bind = ["127.0.0.1:{front}"]
default_backend = "back"
[backends.back]
balance = "roundrobin"
{check}
"""


class World:
    def __init__(self, scene, name, lb):
        self.name = name
        self.directory = tempfile.TemporaryDirectory(prefix="lb-faults-")
        self.port = PORTS.take(1)
        self.servers = [Server(PORTS.take(1), behaviour) for behaviour in scene.behaviours]
        of_haproxy = name == "haproxy"
        path = Path(self.directory.name) / ("haproxy.cfg" if of_haproxy else "lb.toml")
        path.write_text(self._haproxy(scene) if of_haproxy else self._lb(scene))
        command = [find_haproxy(), "-W", "-db", "-f", path] if of_haproxy else [lb, "run", path]
        self.log = Path(self.directory.name) / "log"
        output = {"full": Path("/dev/full"), "file": self.log}.get(scene.log, Path("/dev/null")).open("wb")
        self.cgroup = memory_cgroup(scene.memory) if scene.memory else None
        self.process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.DEVNULL, preexec_fn=lambda: self._prepare(scene),
            env=dict(os.environ, **self._clock()) if scene.clock else None,
        )  # fmt: skip
        output.close()
        self._wait_listening()

    def _prepare(self, scene):
        end_with_parent()
        if self.cgroup:
            (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
        if scene.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (scene.descriptors, scene.descriptors))

    def _clock(self):
        """libfaketime's environment: the time of day as a file says it, and timers as they are."""
        self.jump(0)
        return {
            "LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._time()), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def _time(self):
        return Path(self.directory.name) / "time"

    def jump(self, seconds):
        """It is so many seconds later than it is, or earlier."""
        new = self._time().with_suffix(".new")
        new.write_text(f"{seconds:+}s\n")
        new.rename(self._time())

    def lines_logged(self):
        return self.log.read_bytes().count(b"\n")

    def _haproxy(self, scene):
        check = "option httpchk GET /status\n" if scene.checked else ""
        option = "check inter 200ms fall 1 rise 1" if scene.checked else ""
        for index, server in enumerate(self.servers):
            check += f"  server s{index} 127.0.0.1:{server.port} {option} {scene.server[0]}\n"
        logged = scene.log != "null"
        return HAPROXY.format(
            front=self.port, check=check,
            log_global="log stdout format raw local0" if logged else "", log="log global\n  option httplog" if logged else "",
        )  # fmt: skip

    def _lb(self, scene):
        check = 'httpchk = "GET /status"\n' if scene.checked else ""
        option = 'check = true\ninter = "200ms"\nfall = 1\nrise = 1' if scene.checked else ""
        for index, server in enumerate(self.servers):
            check += f'[[backends.back.servers]]\nname = "s{index}"\naddress = "127.0.0.1:{server.port}"\n{option}\n'
            check += f"{scene.server[1]}\n"
        logged = scene.log != "null"
        return LB.format(
            front=self.port, check=check,
            log_global='log = "stdout"' if logged else "", log='log = "global"\nhttplog = true' if logged else "",
        )  # fmt: skip

    def _wait_listening(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                # Checks have begun by then.
                time.sleep(0.3)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.close()
        raise Failed(f"{self.name} does not start")

    def reload(self):
        os.kill(self.process.pid, signal.SIGUSR2 if self.name == "haproxy" else signal.SIGHUP)

    def is_alive(self):
        return self.process.poll() is None

    def close(self):
        for server in self.servers:
            server.stop()
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.cgroup:
            with contextlib.suppress(OSError):
                self.cgroup.rmdir()
        self.directory.cleanup()


def memory_cgroup(mebibytes):
    """A control group whose processes may have so much memory together, of either version of them."""
    name, limit = f"lb-faults-{os.getpid()}-{time.monotonic_ns()}", str(mebibytes << 20)
    for root, file in MEMORY_CGROUPS:
        group = root / name
        with contextlib.suppress(OSError):
            group.mkdir()
            (group / file).write_text(limit)
            return group
        with contextlib.suppress(OSError):
            group.rmdir()
    return None


def what_is_missing(scene):
    """Why this scene cannot be played here, if it cannot."""
    if scene.clock and not LIBFAKETIME:
        return "no libfaketime"
    if scene.memory:
        group = memory_cgroup(scene.memory)
        if not group:
            return "no control group of memory may be made"
        group.rmdir()
    return None
