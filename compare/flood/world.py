"""lb or HAProxy with one thread, set up alike, behind it a server that is as hostile as it is asked to be."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from fault.servers import end_with_parent
from twin.proxy import PORTS, Failed, find_haproxy

from . import guests
from .origin import Origin

SERVERS = 4
# No client is as slow as this: what a part costs is to be seen, not when it is thrown out.
PATIENCE = "60s"
HAPROXY = """global
  nbthread 1
  maxconn 4000
  log stdout format raw local0
defaults
  mode http
  timeout connect 1s
  timeout client {patience}
  timeout server {patience}
  timeout http-request {patience}
  timeout http-keep-alive {patience}
frontend front
  bind 127.0.0.1:{front}
  http-request return status 200 content-type text/plain string "ok" if {{ path -m beg /here }}
  http-request deny if {{ path_reg ^/(a+)+$ }}
  use_backend hash if {{ path -m beg /hash }}
  use_backend cookie if {{ path -m beg /cookie }}
  use_backend h2 if {{ path -m beg /h2 }}
  default_backend back
frontend logged
  bind 127.0.0.1:{logged}
  log global
  option httplog
  capture request header user-agent len 1024
  http-request return status 200 content-type text/plain string "ok"
frontend secure
  bind 127.0.0.1:{secure} ssl crt {directory}/site.pem alpn h2,http/1.1
  http-request return status 200 content-type text/plain string "ok" if {{ path -m beg /here }}
  default_backend back
backend back
  balance roundrobin
{servers}
backend hash
  balance hdr(x-key)
{servers}
backend h2
  server s 127.0.0.1:{origin} proto h2
backend cookie
  balance roundrobin
  cookie SERVER insert indirect nocache
{cookie_servers}
"""
LB = """[global]
nbthread = 1
maxconn = 4000
[defaults]
timeout = {{ connect = "1s", client = "{patience}", server = "{patience}", http_request = "{patience}", http_keep_alive = "{patience}" }}
[frontends.front]
bind = ["127.0.0.1:{front}"]
default_backend = "back"
rules = [
  {{ when = {{ path_prefix = "/here" }}, respond = {{ status = 200, content_type = "text/plain", body = "ok" }} }},
  {{ when = {{ path_regex = "^/(a+)+$" }}, deny = true }},
  {{ when = {{ path_prefix = "/hash" }}, use_backend = "hash" }},
  {{ when = {{ path_prefix = "/cookie" }}, use_backend = "cookie" }},
  {{ when = {{ path_prefix = "/h2" }}, use_backend = "h2" }},
{guest_rules}
]
[frontends.logged]
bind = ["127.0.0.1:{logged}"]
log = {{ target = "stdout" }}
httplog = true
capture = {{ request = [{{ header = "user-agent", len = 1024 }}] }}
rules = [{{ respond = {{ status = 200, content_type = "text/plain", body = "ok" }} }}]
default_backend = "back"
[frontends.secure]
bind = [{{ address = "127.0.0.1:{secure}", tls = {{ crt = "site.pem" }} }}]
rules = [{{ when = {{ path_prefix = "/here" }}, respond = {{ status = 200, content_type = "text/plain", body = "ok" }} }}]
default_backend = "back"
[backends.back]
balance = "roundrobin"
servers = [{servers}]
[backends.hash]
balance = {{ policy = "hash", key = "header", name = "x-key" }}
servers = [{servers}]
[backends.h2]
servers = [{{ name = "s", address = "127.0.0.1:{origin}", proto = "h2" }}]
[backends.cookie]
balance = "roundrobin"
cookie = {{ name = "SERVER", insert = true, indirect = true, nocache = true }}
servers = [{cookie_servers}]
"""


class World:
    def __init__(self, name, lb):
        self.name = name
        self.directory = tempfile.TemporaryDirectory(prefix="lb-floods-")
        place = Path(self.directory.name)
        self.front, self.logged, self.secure = (PORTS.take(1) for _ in range(3))
        self.origin = Origin(PORTS.take(1))
        self._certificate(place)
        haproxy = name == "haproxy"
        path = place / ("haproxy.cfg" if haproxy else "lb.toml")
        path.write_text(self._haproxy() if haproxy else self._lb(place))
        command = [find_haproxy(), "-db", "-f", path] if haproxy else [lb, "run", path]
        self.complaints = (place / "stderr").open("wb")
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=self.complaints, preexec_fn=end_with_parent
        )
        self._wait_listening()

    @staticmethod
    def _certificate(place):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
             "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test", "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=place, check=True, capture_output=True,
        )  # fmt: skip
        (place / "site.pem").write_bytes((place / "cert.pem").read_bytes() + (place / "key.pem").read_bytes())

    def _haproxy(self):
        lines = [f"  server s{number} 127.0.0.1:{self.origin.port}" for number in range(SERVERS)]
        return HAPROXY.format(
            patience=PATIENCE, front=self.front, logged=self.logged, secure=self.secure,
            origin=self.origin.port, directory=self.directory.name,
            servers="\n".join(lines), cookie_servers="\n".join(f"{line} cookie s{n}" for n, line in enumerate(lines)),
        )  # fmt: skip

    def _lb(self, place):
        tables = [f'name = "s{number}", address = "127.0.0.1:{self.origin.port}"' for number in range(SERVERS)]
        text = LB.format(
            patience=PATIENCE, front=self.front, logged=self.logged, secure=self.secure,
            origin=self.origin.port,
            servers=", ".join(f"{{ {table} }}" for table in tables),
            cookie_servers=", ".join(f'{{ {table}, cookie = "s{n}" }}' for n, table in enumerate(tables)),
            guest_rules="\n".join(f'  {{ when = {{ path_prefix = "/{name}" }}, use_backend = "{name}" }},' for name in guests.ALL),
        )  # fmt: skip
        for name, component in guests.ALL.items():
            (place / f"{name}.wasm").write_bytes(component)
            text += f'[backends.{name}]\nbalance = "./{name}.wasm"\nservers = [{", ".join(f"{{ {table} }}" for table in tables)}]\n'
        return text

    def _wait_listening(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.secure), 1):
                time.sleep(0.2)
                return
            time.sleep(0.05)
        text = (Path(self.directory.name) / "stderr").read_text(errors="replace")
        self.close()
        raise Failed(f"{self.name} does not start:\n{text}")

    def cpu_ns(self):
        """Processor time so far, as the scheduler counts it."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        total = 0
        for task in tasks.iterdir():
            # A thread may end meanwhile.
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def memory(self, field="RssAnon"):
        """In bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise Failed(f"the kernel does not tell {field}")

    def is_alive(self):
        return self.process.poll() is None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.origin.close()
        self.complaints.close()
        self.directory.cleanup()
