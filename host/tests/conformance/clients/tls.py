"""TLS as docs/tls.md promises it, by openssl's client and by the scanner sslyze."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from kit.wire import Wrong
from kit.world import World

# All that rustls knows and this program allows.
CIPHERS = {
    "tls_1_3_cipher_suites": {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
    "tls_1_2_cipher_suites": {f"TLS_ECDHE_{key}_WITH_{cipher}" for key in ("ECDSA", "RSA") for cipher in
                              ("AES_256_GCM_SHA384", "AES_128_GCM_SHA256", "CHACHA20_POLY1305_SHA256")},
}
# What no client may agree on, in openssl's words: it is let offer them, and must be refused.
WEAK = ["aNULL", "eNULL", "EXPORT", "RC4", "3DES", "DES", "MD5", "PSK", "SRP", "CAMELLIA", "ARIA", "AESCCM", "kRSA",
        "DHE+AES", "ECDHE+AES128+SHA1", "AES256+SHA", "SHA256:!AESGCM:!CHACHA20:!AESCCM", "NULL"]
# Without these, openssl does not even offer them.
SECRETS = {"PSK": ["-psk", "c0ffee"], "SRP": ["-srpuser", "a", "-srppass", "pass:b"]}
VERSIONS = [("-ssl3", "SSLv3"), ("-tls1", "TLS 1.0"), ("-tls1_1", "TLS 1.1")]


def openssl(world: World, address: tuple[str, int], *words: str, name: str | None = "site.test",
            stdin: bytes = b"") -> str:
    """What s_client says of a handshake."""
    sni = ["-servername", name] if name else ["-noservername"]
    command = ["openssl", "s_client", "-connect", "%s:%d" % address, "-CAfile", str(world.directory / "ca.pem"), *sni]
    ended = subprocess.run([*command, *words], input=stdin, capture_output=True, timeout=30)
    return (ended.stdout + ended.stderr).decode(errors="replace")


def agreed(said: str) -> str | None:
    """Version and cipher; nothing where there was no agreement."""
    found = re.search(r"^New, (\S+), Cipher is (\S+)|^Reused, (\S+), Cipher is (\S+)", said, re.M)
    words = [word for word in found.groups() if word] if found else []
    return " ".join(words) if words and words[1] != "(NONE)" else None


def refused(world: World, *words: str) -> None:
    said = openssl(world, world.secure, *words)
    if agreed(said):
        raise Wrong(f"agreed on {agreed(said)}")
    if "alert number" not in said:
        raise Wrong(f"lb did not refuse it: {said[-300:]}")


def offered(words: str) -> bool:
    """Whether this openssl has such ciphers at all."""
    command = ["openssl", "ciphers", "-s", "-tls1_2", f"{words}:@SECLEVEL=0"]
    return not subprocess.run(command, capture_output=True).returncode


def taken(world: World, wanted: str, *words: str, name: str = "site.test") -> None:
    said = openssl(world, world.secure, *words, name=name)
    if wanted not in (agreed(said) or ""):
        raise Wrong(f"{agreed(said)} instead of {wanted}")
    if "Verify return code: 0 (ok)" not in said and "Verification: OK" not in said:
        raise Wrong("the certificate is not good")


def alpn(world: World, offer: str, wanted: str) -> None:
    said = openssl(world, world.secure, "-alpn", offer)
    got = re.search(r"ALPN protocol: (\S+)", said)
    if (got[1] if got else "") != wanted:
        raise Wrong(f"{got and got[1]} instead of {wanted}")


def no_alpn(world: World, offer: str) -> None:
    """RFC 7301, section 3.2: where nothing is spoken by both, there is no connection."""
    said = openssl(world, world.secure, "-alpn", offer)
    if agreed(said) and "no application protocol" not in said:
        raise Wrong("it went on without one")


def certificate(world: World, name: str | None, subject: str) -> None:
    said = openssl(world, world.secure, name=name)
    got = re.search(r"subject=\s*CN ?= ?(\S+)", said)
    if not got or got[1] != subject:
        raise Wrong(f"{got and got[1]} instead of {subject}")


def strict(world: World) -> None:
    for name in ("unknown.test", None):
        if agreed(openssl(world, world.strict, name=name)):
            raise Wrong(f"{name} got a connection")
    if not agreed(openssl(world, world.strict)):
        raise Wrong("a known name got none")
    if agreed(openssl(world, world.strict, "-tls1_2")):
        raise Wrong("TLS 1.2 got a connection where 1.3 is the least")


def resumed(world: World, version: str, *words: str) -> None:
    """A session is taken up again, on another connection."""
    session = world.directory / "session"
    session.unlink(missing_ok=True)
    request = b"GET / HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n"
    first = openssl(world, world.secure, version, "-ign_eof", "-sess_out", str(session), *words, stdin=request)
    if not agreed(first) or not session.exists():
        raise Wrong("there is no session")
    for _ in range(4):
        said = openssl(world, world.secure, version, "-ign_eof", "-sess_in", str(session), *words, stdin=request)
        if "\nReused, " not in said or "fine" not in said:
            raise Wrong("it was not taken up again")


def renegotiation(world: World) -> None:
    """A client's wish for another handshake within a connection is not granted."""
    said = openssl(world, world.secure, "-tls1_2", stdin=b"R\n")
    if "RENEGOTIATING" not in said or "no renegotiation" not in said:
        raise Wrong(said[-300:])


def garbage(world: World) -> None:
    """What is no TLS gets none, and others are served."""
    for words in (b"GET / HTTP/1.1\r\nhost: site.test\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70000,
                  b"\x16\x03\x01\0\0",
                  os.urandom(5000), b"\x80\x2e\x01\x03\x01" + b"\0" * 60, b"\x15\x03\x03\0\x02\x02\x28"):
        with socket.create_connection(world.secure, 10) as client:
            try:
                client.sendall(words)
                client.shutdown(socket.SHUT_WR)
                said = b"".join(iter(lambda: client.recv(4096), b""))
            except TimeoutError:
                raise Wrong("the connection stays") from None
            except OSError:
                continue
            if b"HTTP/" in said and b"400" not in said:
                raise Wrong(f"{said[:100]}")


class Scan:
    """What sslyze says, as its JSON has it. Scanned once."""

    def __init__(self, world: World):
        self.world = world
        self.kept: dict | None = None

    def result(self) -> dict:
        if self.kept is None:
            out = self.world.directory / "scan.json"
            host, port = self.world.secure
            program = Path(sys.executable).with_name("sslyze")
            scans = ["sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "reneg", "heartbleed",
                     "openssl_ccs", "robot", "elliptic_curves", "early_data", "ems", "certinfo"]
            command = [program, f"--json_out={out}", "--mozilla_config=disable", *(f"--{scan}" for scan in scans),
                       "--sni=site.test", f"--certinfo_ca_file={self.world.directory / 'ca.pem'}", f"{host}:{port}"]
            said = subprocess.run(command, capture_output=True, text=True, timeout=120)
            if not out.exists():
                raise Wrong(f"sslyze ended with {said.returncode}: {said.stderr[-400:]}")
            scanned = json.loads(out.read_text())["server_scan_results"][0]
            if scanned["scan_status"] != "COMPLETED":
                raise Wrong(f"the scan is {scanned['scan_status']}: {scanned.get('connectivity_error_trace')}")
            self.kept = scanned["scan_result"]
        return self.kept

    def of(self, command: str) -> dict:
        got = self.result()[command]
        if got["status"] != "COMPLETED":
            raise Wrong(f"{command} is {got['status']}: {got.get('error_trace')}")
        return got["result"]

    def ciphers(self, command: str) -> None:
        accepted = {suite["cipher_suite"]["name"] for suite in self.of(command)["accepted_cipher_suites"]}
        # The certificate that this name has is an ECDSA one.
        wanted = {suite for suite in CIPHERS.get(command, set()) if "_RSA_" not in suite}
        if accepted != wanted:
            raise Wrong(f"accepted are {sorted(accepted)}, promised {sorted(wanted)}")

    def all_of(self, command: str, **wanted: object) -> None:
        got = self.of(command)
        for name, value in wanted.items():
            if got[name] != value:
                raise Wrong(f"{name} is {got[name]}")

    def curves(self) -> None:
        names = {curve["name"] for curve in self.of("elliptic_curves")["supported_curves"] or []}
        if names != {"X25519", "secp256r1", "secp384r1"}:
            raise Wrong(f"they are {sorted(names)}")

    def chain(self) -> None:
        found = self.of("certificate_info")["certificate_deployments"][0]
        if not found["received_chain_has_valid_order"] or found["verified_chain_has_sha1_signature"]:
            raise Wrong("the chain is weak or out of order")


def cases(world: World):
    """Name and code of each."""
    # Not every openssl is built with every version.
    known = subprocess.run(["openssl", "s_client", "-help"], capture_output=True, text=True).stderr
    for option, name in VERSIONS:
        if f"{option} " in known:
            yield (f"openssl: {name} is refused",
                   lambda option=option: refused(world, option, "-cipher", "ALL:@SECLEVEL=0"))
    for words in WEAK:
        if offered(words):
            offer = ["-tls1_2", "-cipher", f"{words}:@SECLEVEL=0", *SECRETS.get(words, [])]
            yield f"openssl: TLS 1.2 with no cipher but {words} is refused", lambda offer=offer: refused(world, *offer)
    for version, suite in (("1.3", "TLS_AES_256_GCM_SHA384"), ("1.3", "TLS_AES_128_GCM_SHA256"),
                           ("1.3", "TLS_CHACHA20_POLY1305_SHA256")):
        yield (f"openssl: TLS {version} with {suite}",
               lambda suite=suite: taken(world, suite, "-tls1_3", "-ciphersuites", suite))
    for key, name in (("ECDSA", "site.test"), ("RSA", "other.test")):
        for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"):
            suite = f"ECDHE-{key}-{cipher}"
            yield (f"openssl: TLS 1.2 with {suite}",
                   lambda suite=suite, name=name: taken(world, suite, "-tls1_2", "-cipher", suite, name=name))
    for offer, wanted in (("h2", "h2"), ("http/1.1", "http/1.1"), ("http/1.1,h2", "h2"), ("h2,http/1.1", "h2"),
                          ("foo,http/1.1", "http/1.1")):
        yield f"openssl: ALPN of {offer} is {wanted}", lambda offer=offer, wanted=wanted: alpn(world, offer, wanted)
    yield "openssl: ALPN of unknown protocols is refused", lambda: no_alpn(world, "foo,bar")
    for name, subject in (("site.test", "site.test"), ("other.test", "other.test"), ("OTHER.test", "other.test"),
                          ("unknown.test", "site.test"), (None, "site.test")):
        yield f"openssl: SNI {name} gets {subject}", lambda name=name, subject=subject: certificate(world, name, subject)
    yield "openssl: with strict_sni and min_version, others get nothing", lambda: strict(world)
    for version in ("-tls1_2", "-tls1_3"):
        yield (f"openssl: a session of {version[1:]} is taken up again, by ticket",
               lambda version=version: resumed(world, version))
    yield ("openssl: a session of tls1_2 is taken up again, by its number",
           lambda: resumed(world, "-tls1_2", "-no_ticket"))
    yield "openssl: no renegotiation", lambda: renegotiation(world)
    yield "what is no TLS", lambda: garbage(world)
    scan = Scan(world)
    for command in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"):
        yield f"sslyze: {command}", lambda command=command: scan.ciphers(f"{command}_cipher_suites")
    yield "sslyze: no compression", lambda: scan.all_of("tls_compression", supports_compression=False)
    yield "sslyze: no Heartbleed", lambda: scan.all_of("heartbleed", is_vulnerable_to_heartbleed=False)
    yield "sslyze: no CCS injection", lambda: scan.all_of("openssl_ccs_injection", is_vulnerable_to_ccs_injection=False)
    yield "sslyze: no ROBOT", lambda: scan.all_of("robot", robot_result="NOT_VULNERABLE_RSA_NOT_SUPPORTED")
    yield ("sslyze: no renegotiation by clients",
           lambda: scan.all_of("session_renegotiation", is_vulnerable_to_client_renegotiation_dos=False,
                               supports_secure_renegotiation=True))
    yield "sslyze: no early data", lambda: scan.all_of("tls_1_3_early_data", supports_early_data=False)
    yield "sslyze: extended master secret", lambda: scan.all_of("tls_extended_master_secret", supports_ems_extension=True)
    yield "sslyze: curves", scan.curves
    yield "sslyze: the certificates in order, without SHA-1", scan.chain
