"""lb with its servers, as they are for an hour of trouble: its configuration, which is another one each time it is
written, its process, and its log."""

import collections
import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from fault.servers import Server, end_with_parent
from twin.proxy import PORTS, Failed

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
FAULTY = ("resets", "closes-early", "slow", "silent", "half", "well")
SECRET = "0123456789abcdef0123456789abcdef"
BALANCERS = (
    '"roundrobin"', '"leastconn"', '"source"', '"random"', '"weighted-random"', '"peak-ewma"', '"least-time"',
    '{ policy = "first", maxconn = 100 }', '{ policy = "hash", key = "client" }', '{ policy = "maglev", key = "client" }',
    '"./own.wasm"', '["./own.wasm", "leastconn"]',
)  # fmt: skip
# Those that want no settings, so that any of them may stand in own.wasm.
OWN = ("roundrobin", "leastconn", "source", "random", "weighted-random", "peak-ewma", "least-time")
PERSISTENCE = (
    "",
    'cookie = { name = "SERVER", insert = true, indirect = true, nocache = true }',
    f'persistence = {{ policy = "hash-cookie", name = "id", secret = "{SECRET}" }}',
    'persistence = { policy = "header", name = "x-session", instances = "shared" }',
)
MISTAKES = (
    'balance = "no-such-policy"', 'balance = "./half.wasm"', "no_such_key = 1", "retries = -1",
    "balance = { policy = \"roundrobin\", no_such_setting = 1 }", "= nonsense",
)  # fmt: skip
RULES = (
    "",
    '[[frontends.plain.rules]]\nwhen = { path_regex = "^/never/[a-z]+$" }\ndeny = true\n',
    '[[frontends.plain.rules]]\nrequest = { set_header = { x-soak = "yes" } }\n',
    '[[frontends.plain.limits]]\nname = "many"\nrequests = 1000000\nper = "1s"\n',
)
LB = """[global]
watch = true
log = {{ target = "stderr" }}
admin = {{ bind = "127.0.0.1:{admin}" }}
tune.pool_idle_timeout = "3s"
[defaults]
log = {{ target = "stdout", format = "raw" }}
httplog = true
timeout = {{ connect = "1s", client = "10s", http_request = "3s", http_keep_alive = "60s", server = "10s", queue = "3s", tunnel = "30s" }}
retries = 3
redispatch = true
default_server = {{ check = true, inter = "500ms", fall = 2, rise = 1 }}
httpchk = "GET /status"
[frontends.plain]
bind = [{plain}]
default_backend = "steady"
rules = [
  {{ when = {{ path_prefix = "/found/" }}, use_backend = "found" }},
  {{ when = {{ path_prefix = "/churn/" }}, use_backend = "churn" }},
  {{ when = {{ path_prefix = "/faulty/" }}, use_backend = "faulty" }},
{rules}]
{limits}
[frontends.secure]
bind = [{{ address = "127.0.0.1:{secure}", tls = {{ crt = "site.pem" }} }}]
default_backend = "steady"
[backends.steady]
{balance}
{persistence}
servers = [{steady}]
[backends.found]
balance = "leastconn"
servers = {{ from = "file:servers.toml", max = 8, name = "f" }}
[backends.churn]
balance = "{churn_balance}"
timeout.server = "700ms"
default_server = {{ check = true, inter = "200ms", fall = 1, rise = 1 }}
servers = [{churn}]
[backends.faulty]
balance = "roundrobin"
timeout.server = "700ms"
{faulty_retries}
servers = [{faulty}]
"""


class World:
    """All of it. What `trouble` does to it is done by one thread, for servers end with the thread that starts them."""

    def __init__(self, lb, directory):
        self.directory = Path(directory)
        self.plain, self.secure, self.admin, self.spare = (PORTS.take(1) for _ in range(4))
        self.good = [Server(PORTS.take(1)) for _ in range(4)]
        self.churning = [Server(PORTS.take(1)) for _ in range(3)]
        self.faulty = [Server(PORTS.take(1), behaviour) for behaviour in FAULTY]
        self.cache = self.directory / "cache"
        self._certificates()
        self.put_policy("roundrobin")
        self._write("half.wasm", (PLUGINS / "leastconn.wasm").read_bytes()[:10_000])
        self.list_servers(self.good)
        self.write_configuration()
        self.complaints = (self.directory / "stderr").open("wb")
        self.process = subprocess.Popen(
            [lb, "run", self.directory / "lb.toml"], stdout=subprocess.PIPE, stderr=self.complaints,
            env=dict(os.environ, XDG_CACHE_HOME=str(self.cache)), preexec_fn=end_with_parent,
        )  # fmt: skip
        self.log = Log(self.process.stdout)
        self._wait_listening()

    def _wait_listening(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.metrics()
                return
            time.sleep(0.05)
        self.close()
        raise Failed(f"lb does not start:\n{self.said().decode(errors='replace')}")

    def said(self):
        """What lb wrote of itself."""
        return (self.directory / "stderr").read_bytes()

    def metrics(self):
        """Each metric's sum over its labels."""
        sums = collections.Counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    sums[name.partition("{")[0]] += float(value)
        return sums

    def _certificates(self):
        """Two to take turns."""
        for name in ("one", "two"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90",
                 "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test", "-keyout", "key.pem",
                 "-out", "cert.pem"], cwd=self.directory, check=True, capture_output=True,
            )  # fmt: skip
            parts = [(self.directory / part).read_bytes() for part in ("cert.pem", "key.pem")]
            (self.directory / f"{name}.pem").write_bytes(b"".join(parts))
        self.put_certificate("one")

    def put_certificate(self, name):
        self._write("site.pem", (self.directory / f"{name}.pem").read_bytes())

    def put_policy(self, name, fresh=False):
        """Puts a built-in policy's component into the place of own.wasm; one that nobody has seen before where `fresh`."""
        component = (PLUGINS / f"{name}.wasm").read_bytes()
        if fresh:
            # A custom section: its number, its length, its name's length and name, and what it holds.
            held = b"\x04soak" + os.urandom(16)
            component += b"\0" + bytes([len(held)]) + held
        self._write("own.wasm", component)

    def list_servers(self, servers):
        lines = [
            f'[[servers]]\naddress = "127.0.0.1:{server.port}"\nweight = {random.randint(1, 20)}\n' for server in servers
        ]
        self._write("servers.toml", "".join(lines).encode())

    def put_nonsense_for_servers(self):
        self._write("servers.toml", b"[[servers]]\naddress = nowhere\n")

    def write_configuration(self, draw=None, mistake=False):
        """The first configuration again, or one drawn by chance."""
        choose = draw.choice if draw else lambda choices: choices[0]
        good = draw.sample(self.good, draw.randint(2, len(self.good))) if draw else self.good
        weights = [choose((1, 5, 20)) for _ in good]
        plain = [f'"127.0.0.1:{self.plain}"', *([f'"127.0.0.1:{self.spare}"'] if draw and draw.random() < 0.3 else [])]
        extra = choose(RULES)
        in_list = "" if not extra or "limits" in extra else re.sub(r"\[\[.*\]\]", "", extra).strip()
        text = LB.format(
            admin=self.admin, secure=self.secure, plain=", ".join(plain),
            rules=f"  {{ {in_list.replace(chr(10), ', ')} }},\n" if in_list else "",
            limits=extra if "limits" in extra else "",
            balance=draw.choice(MISTAKES) if mistake else f"balance = {choose(BALANCERS)}",
            persistence=choose(PERSISTENCE),
            steady=servers_of(good, weights), churn=servers_of(self.churning), faulty=servers_of(self.faulty),
            churn_balance=choose(("leastconn", "roundrobin", "peak-ewma")),
            faulty_retries=choose(("", 'retry_on = ["all-retryable-errors"]', 'retry_on = "none"')),
        )  # fmt: skip
        self._write("lb.toml", text.encode())

    def _write(self, name, content):
        """As a whole, as an editor does."""
        new = self.directory / f"{name}.new"
        new.write_bytes(content)
        new.rename(self.directory / name)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        for server in (*self.good, *self.churning, *self.faulty):
            with contextlib.suppress(ProcessLookupError):
                server.signal(signal.SIGCONT)
            server.stop()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.complaints.close()


def servers_of(servers, weights=None):
    """The port makes the name, so that a server keeps it wherever it stands in the list."""
    weights = weights or [1] * len(servers)
    return ", ".join(
        f'{{ name = "s{server.port}", address = "127.0.0.1:{server.port}", weight = {weight} }}'
        for server, weight in zip(servers, weights, strict=True)
    )


class Log:
    """Reads lb's lines of exchanges and counts them by backend, status and termination state; stands still when told to."""

    LINE = re.compile(rb"\] (?:plain|secure)~? (\S+?)/\S+ \S+ (\S+) \S+ \S+ \S+ (\S{4}) ")

    def __init__(self, pipe):
        self.pipe = pipe
        self.counts = collections.Counter()
        self.others = 0
        self.reading = threading.Event()
        self.reading.set()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.pipe:
            self.reading.wait()
            if found := self.LINE.search(line):
                self.counts[found.groups()] += 1
            else:
                self.others += 1
