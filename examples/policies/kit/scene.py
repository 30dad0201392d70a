"""A balancer as a process in front of three small servers, and what each policy is expected to do with requests."""

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable

NAMES = "abc"
PATIENCE = 60  # seconds that anything may take


class Origins:
    """Three servers, a, b and c, that answer with their names, or with 500 where that is wanted."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), self.handler(name)) for name in NAMES]

    def handler(self, name: str) -> type[BaseHTTPRequestHandler]:
        failing = self.failing

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(500 if name in failing else 200)
                self.send_header("content-length", "1")
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def __enter__(self) -> "Origins":
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Balancer:
    """lb with a project's policy. At its end it says how often the policy decided, and that it never failed."""

    def __init__(self, lb: str, project: Path, origins: Origins, env: dict[str, str]):
        self.project, self.origins, self.asked = project, origins, 0
        self.configuration = project / "try.toml"
        self.configuration.write_text(self.configured())
        self.process = subprocess.Popen([lb, "run", str(self.configuration)], env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def configured(self) -> str:
        """The project's own configuration, or that of a new one, with ports that are free."""
        own = self.project / "lb.toml"
        text = own.read_text() if own.exists() else NEW.format(name=self.project.name)
        text = text.replace("127.0.0.1:8080", "127.0.0.1:0")
        for number, server in enumerate(self.origins.servers, 1):
            text = text.replace(f"127.0.0.1:500{number}", f"127.0.0.1:{server.server_port}")
        # Two workers, two instances.
        return '[global]\nnbthread = 2\nlog = { target = "stdout", format = "raw", facility = "local0" }\n\n' + text

    def __enter__(self) -> "Balancer":
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"ready addresses=127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return self
        sys.exit(f"{''.join(said)}\nFAIL: lb does not run {self.project}")

    def get(self, path: str = "/", **headers: str) -> str:
        """Which server answers."""
        self.asked += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def __exit__(self, kind: object, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=PATIENCE)[0]
        self.configuration.unlink()
        if kind is None:
            found = re.search(r"decided (\d+) times, with no fault", said)
            if found is None or int(found[1]) != self.asked:
                sys.exit(f"{said}\nFAIL: {self.project} did not decide {self.asked} times without a fault")


NEW = """[defaults]
mode = "http"
timeout = {{ connect = "5s", client = "10s", server = "10s" }}

[frontends.http]
bind = ["127.0.0.1:8080"]
default_backend = "app"

[backends.app]
balance = {{ policy = "./{name}.wasm" }}

[[backends.app.servers]]
name = "a"
address = "127.0.0.1:5001"

[[backends.app.servers]]
name = "b"
address = "127.0.0.1:5002"

[[backends.app.servers]]
name = "c"
address = "127.0.0.1:5003"
"""


def expect(what: str, true: bool, saw: object) -> str:
    """Ends everything where it is not true."""
    if not true:
        sys.exit(f"FAIL: {what}: {saw}")
    return what


def new(lb: Balancer) -> str:
    picked = "".join(lb.get() for _ in range(9))
    return expect("each server in its turn", picked == "abcabcabc", picked)


def first(lb: Balancer) -> str:
    picked = {lb.get() for _ in range(9)}
    return expect("the first serves everything", picked == {"a"}, picked)


def canary(lb: Balancer) -> str:
    users = [f"user-{number}" for number in range(200)]
    picked = {user: lb.get(x_user=user) for user in users}
    stay = all(lb.get(x_user=user) == picked[user] for user in users[:50])
    shares = Counter(picked.values())
    return expect("a fifth of the users on the canary, and all stay", 20 <= shares["a"] <= 60 and stay, shares)


def business_hours(lb: Balancer) -> str:
    shares = Counter(lb.get() for _ in range(40))
    right = shares in ({"a": 10, "b": 20, "c": 10}, {"a": 10, "b": 10, "c": 20})
    return expect("weights of the day, or of the night", right, shares)


def two_choices(lb: Balancer) -> str:
    shares = Counter(lb.get() for _ in range(300))
    return expect("even shares while idle", all(60 <= shares[name] <= 140 for name in NAMES), shares)


def zone(lb: Balancer) -> str:
    picked = "".join(lb.get() for _ in range(6))
    return expect("the zone's two servers in turn", picked == "ababab", picked)


def shard(lb: Balancer) -> str:
    shards = [{lb.get(f"/album-{number}/{photo}") for photo in range(3)} for number in range(60)]
    right = all(len(shard) == 1 for shard in shards) and set().union(*shards) == set(NAMES)
    return expect("one server for what is below a prefix, and all in use", right, shards)


def tenants(lb: Balancer) -> str:
    gold = {lb.get(x_tenant="acme") for _ in range(5)}
    others = [{lb.get(x_tenant=f"tenant-{number}") for _ in range(3)} for number in range(20)]
    right = gold == {"a"} and all(len(one) == 1 for one in others) and set().union(*others) == {"b", "c"}
    return expect("acme on its own server, the others on theirs", right, (gold, others))


def outlier(lb: Balancer) -> str:
    lb.origins.failing.add("b")
    # Each of two workers learns for itself: connections end up on either.
    for _ in range(60):
        lb.get()
    picked = Counter(lb.get() for _ in range(40))
    return expect("a server that answers 500 is left alone", picked["b"] <= 2, picked)


def expectations(project: str) -> Callable[[Balancer], str]:
    """What a project is expected to do."""
    return globals()[project.replace("-", "_")]
