"""The proxies, each with a WSGI server of its own behind it, and what came of a case: told by the server, and the client."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from twin.proxy import PORTS, Failed, find_haproxy

from . import frames, http2

HERE = Path(__file__).resolve().parent
START_SECONDS = 15
# How long nothing may come before a connection is called idle, and a case ended.
IDLE_SECONDS = 0.25

HAPROXY = """global
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
frontend front
  bind 127.0.0.1:{front}
  bind 127.0.0.1:{front2} proto h2
  default_backend back
backend back
  server one 127.0.0.1:{back}
"""
NGINX = """daemon off;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ }}
http {{
  access_log off;
  client_header_timeout 2s; client_body_timeout 2s; client_body_temp_path {directory}; proxy_temp_path {directory};
  fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};
  upstream back {{ server 127.0.0.1:{back}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{front};
    listen 127.0.0.1:{front2} http2;
    merge_slashes off;
    location / {{
      proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      add_header X-Upstream $upstream_status always;
    }}
  }}
}}
"""
LB = """[global]
nbthread = 1
[defaults]
timeout = {{ connect = "2s", client = "2s", server = "2s" }}
[frontends.front]
bind = ["127.0.0.1:{front}", "127.0.0.1:{front2}"]
default_backend = "back"
[backends.back]
servers = [{{ name = "one", address = "127.0.0.1:{back}" }}]
"""


@dataclass
class Outcome:
    """`requests` as the server was given them; `answers` as the client got them; `end` of its connection."""

    requests: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    end: str = "open"


@dataclass
class Answer:
    """A final answer: its status, and whether the server made it or the proxy itself."""

    status: int
    by_server: bool


class Peer:
    """A proxy and its server."""

    def __init__(self, name, command, configuration):
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix=f"lb-splits-{name}-"))
        self.front, self.front2, self.back = PORTS.take(1), PORTS.take(1), PORTS.take(1)
        self.notes = self.directory / "notes"
        self.notes.touch()
        self.read = 0
        text = configuration.format(
            front=self.front, front2=self.front2, back=self.back, directory=self.directory
        )
        path = self.directory / "configuration"
        path.write_text(text)
        environment = dict(os.environ, LB_SPLITS_NOTES=str(self.notes), PYTHONPATH=str(HERE))
        server = [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.back}", "--worker-class", "gthread",
            "--threads", "16", "--keep-alive", "60", "--header-map", "dangerous", "--log-level", "critical",
            "application:application",
        ]  # fmt: skip
        errors = (self.directory / "errors").open("wb")
        self.processes = [
            subprocess.Popen(server, env=environment, stdout=errors, stderr=errors, cwd=self.directory),
            subprocess.Popen([*command, str(path)], stdout=errors, stderr=errors),
        ]
        for port in (self.back, self.front, self.front2):
            self._wait_listening(port)

    def _wait_listening(self, port):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        errors = (self.directory / "errors").read_text()
        self.stop()
        raise Failed(f"{self.name}: nothing listens on port {port}\n{errors}")

    def outcome(self, case):
        """Sends a case, and waits until the connection ends or falls silent."""
        return self._outcome_http2(case) if isinstance(case, http2.Case) else self._outcome_http1(case)

    def _outcome_http1(self, case):
        answer, end = b"", "open"
        with socket.create_connection(("127.0.0.1", self.front), 5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if case.cut:
                    client.sendall(case.data[: case.cut])
                    time.sleep(0.01)
                client.sendall(case.data[case.cut :])
                client.settimeout(IDLE_SECONDS)
                while piece := client.recv(65536):
                    answer += piece
                end = "closed"
            except TimeoutError:
                pass
            except OSError:
                end = "closed"
        return Outcome(self._new_requests(), answers(answer), end)

    def _outcome_http2(self, case):
        """The follower is sent when the first stream is over, so that the server's notes have an order."""
        import hpack

        client = frames.Client(self.front2, IDLE_SECONDS, hpack.Decoder())
        try:
            client.send(case.data)
            streams = [client.wait_for(1)]
            client.send(http2.follower(case.number))
            streams.append(client.wait_for(3))
        finally:
            client.close()
        found = [Answer(stream.status, is_by_server(as_lines(stream.fields))) for stream in streams]
        # What a proxy has refused a server may still note when the case is over: that is told by its number.
        requests = [one for one in self._new_requests() if one["case"] in (None, str(case.number))]
        return Outcome(requests, found, client.end)

    def forget_notes(self):
        self._new_requests()

    def _new_requests(self):
        data = self.notes.read_bytes()[self.read :]
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def is_alive(self):
        return all(process.poll() is None for process in self.processes)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def answers(data):
    """The final answers in what a client got."""
    heads = re.finditer(rb"HTTP/1\.[01] (\d\d\d)(.*?)(?:\r\n\r\n|\Z)", data, re.DOTALL)
    found = [Answer(int(head[1]), is_by_server(head[2].lower() + b"\r\n")) for head in heads]
    return [answer for answer in found if answer.status >= 200]


def as_lines(fields):
    """As they would be written with HTTP/1. A stream without an answer has one line, of the proxy's own."""
    said = fields or [(b"cache-control", b"no-cache")]
    return b"\r\n" + b"".join(b"%s: %s\r\n" % (name, value.lower()) for name, value in said)


def is_by_server(lines):
    """lb and HAProxy mark pages of their own as not to be kept, gunicorn does not; nginx is told to mark the others."""
    return b"\r\nx-upstream: " in lines or not (b"\r\ncache-control: no-cache\r\n" in lines or b"\r\nserver: nginx" in lines)


def start(lb):
    """All three."""
    return [
        Peer("lb", [lb, "run"], LB),
        Peer("haproxy", [find_haproxy(), "-db", "-f"], HAPROXY),
        Peer("nginx", ["nginx", "-c"], NGINX),
    ]
