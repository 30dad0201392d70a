"""What the cases are run in: certificates, servers to balance over, and lb in front of them."""

import http.client
import os
import re
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from .origin import Origin
from .sockets import Sockets
from .wire import PATIENCE, Connection, Wrong

CONFIGURATION = """
[global]
nbthread = 2
log = "stdout"

[defaults]
timeout = {{ connect = "5s", client = "60s", server = "60s", http_request = "60s", tunnel = "60s" }}

[frontends.web]
bind = ["127.0.0.1:0", {{ address = "127.0.0.2:0", tls = {{ crt = ["site.pem", "other.pem"] }} }}]
default_backend = "app"

[[frontends.web.rules]]
when = {{ path_prefix = "/socket" }}
use_backend = "sockets"

[frontends.strict]
default_backend = "app"

[[frontends.strict.bind]]
address = "127.0.0.3:0"
tls = {{ crt = "site.pem", strict_sni = true, min_version = "1.3", alpn = "http/1.1" }}

[backends.app]
balance = "roundrobin"
servers = [{{ name = "a", address = "{origin}" }}]

[backends.sockets]
balance = "roundrobin"
servers = [{{ name = "a", address = "{sockets}" }}]
"""


def openssl(*words: str) -> None:
    ended = subprocess.run(["openssl", *words], text=True, capture_output=True)
    if ended.returncode:
        raise RuntimeError(f"openssl {' '.join(words)}: {ended.stderr}")


class World:
    """lb, in front of servers that answer as their paths say. To be used with `with`."""

    def __init__(self, lb: str):
        self.files = tempfile.TemporaryDirectory(prefix="lb-conformance-")
        self.directory = Path(self.files.name)
        self.origin = Origin()
        self.sockets = Sockets()
        self.number = 0
        self._certificates()
        text = CONFIGURATION.format(origin=self.origin.address, sockets=self.sockets.address)
        (self.directory / "lb.toml").write_text(text)
        self.said = (self.directory / "said").open("w+b")
        self.process = subprocess.Popen([lb, "run", str(self.directory / "lb.toml")], stdin=subprocess.DEVNULL,
                                        stdout=self.said, stderr=self.said, cwd=self.directory,
                                        env={**os.environ, "RUST_BACKTRACE": "1"})
        try:
            self.addresses = self._ready()
        except BaseException:
            self.__exit__()
            raise
        self.clear, self.secure, self.strict = (self.addresses[f"127.0.0.{number}"] for number in (1, 2, 3))

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.origin.close()
        self.sockets.close()
        self.files.cleanup()

    def _certificates(self) -> None:
        """An authority, and what it signs: `site.test` with an ECDSA key, `other.test` with an RSA key."""
        at = self.directory
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                "-subj", "/CN=authority of the suite", "-keyout", f"{at}/ca.key", "-out", f"{at}/ca.pem")
        for name, key in (("site", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("other", ["rsa:2048"])):
            (at / "ext").write_text(f"subjectAltName=DNS:{name}.test\nextendedKeyUsage=serverAuth\n")
            openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}.test", "-keyout", f"{at}/{name}.key",
                    "-out", f"{at}/{name}.csr")
            openssl("x509", "-req", "-in", f"{at}/{name}.csr", "-CA", f"{at}/ca.pem", "-CAkey", f"{at}/ca.key",
                    "-CAcreateserial", "-days", "90", "-extfile", f"{at}/ext", "-out", f"{at}/{name}.crt")
            (at / f"{name}.pem").write_text((at / f"{name}.crt").read_text() + (at / f"{name}.key").read_text())

    def _ready(self) -> dict[str, tuple[str, int]]:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"ready addresses=(.*)", self.output()):
                pairs = re.findall(r"(127\.0\.0\.\d):(\d+)", found[1])
                return {host: (host, int(port)) for host, port in pairs}
            time.sleep(0.05)
        raise RuntimeError(f"lb does not run:\n{self.output()}")

    def output(self) -> str:
        return (self.directory / "said").read_text(errors="replace")

    def tls(self, *alpn: str) -> ssl.SSLContext:
        """A client's settings: trusts the authority, and offers these protocols."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        context.set_alpn_protocols(list(alpn))
        return context

    # What is left of lb after a case.

    def still_serves(self) -> None:
        """Another client is served, and the process has not said anything of a panic."""
        if self.process.poll() is not None:
            raise Wrong(f"lb has ended:\n{self.output()[-2000:]}")
        other = http.client.HTTPConnection(*self.clear, timeout=PATIENCE)
        other.request("GET", "/")
        status = other.getresponse().status
        other.close()
        if status != 200:
            raise Wrong(f"another client got {status}")

    def resident(self) -> int:
        """Its memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files_open(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Peer:
    """A transport, for the cases that are run over each of them."""

    def __init__(self, world: World, name: str):
        self.world, self.name = world, name
        self.address = world.secure if name == "TLS" else world.clear
        self.context = world.tls("h2") if name == "TLS" else None
        self.open: list[Connection] = []

    def connect(self, *words: bytes, **more) -> Connection:
        """A connection; with words, those in the place of the preface and the settings."""
        if words:
            more["begin"] = b"".join(words)
        connection = Connection(self.address, self.context, **more)
        self.open.append(connection)
        return connection

    def settled(self, **more) -> Connection:
        """A connection on which both ends' settings have come."""
        connection = self.connect(**more)
        connection.settled()
        return connection

    def path(self) -> str:
        """A path that nobody else has, to find a request at the servers by."""
        self.world.number += 1
        return f"/case/{self.world.number}"

    def close(self) -> None:
        for connection in self.open:
            connection.close()
        self.open.clear()

