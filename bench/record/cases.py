"""The cases: a proxy's set-up, and what clients do to it."""

from dataclasses import dataclass

from .load import Load
from .peers import Setup

DEFAULT = Setup(log=True, cookie=True)
KB, MB = 1000, 1000 * 1000
# How far lb may go, in CPU per request by HAProxy's.
SMALL, OTHER = 0.85, 1.0


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    title: str
    setup: Setup
    load: Load
    goal: float = OTHER
    peers: tuple = ("haproxy", "nginx", "envoy")
    idle: int = 0
    short: bool = False


def small():
    """Small answers on connections that are kept."""
    for connections in (64, 1000):
        for name, setup in (
            ("plain", Setup()),
            ("log", Setup(log=True)),
            ("cookie", Setup(cookie=True)),
            ("default", DEFAULT),
        ):
            title = {"plain": "", "log": ", log", "cookie": ", cookie", "default": ", default: log and cookie"}[name]
            yield Case(
                f"small-{name}-{connections}", f"100 B, {connections} connections{title}", setup, Load(connections),
                SMALL, short=(name == "default"),
            )


def bodies():
    yield Case("new-connection", "a new connection for each request", Setup(), Load(close=True), short=True)
    yield Case("pipelined", "pipelined by 16", Setup(), Load(pipeline=True), short=True)
    yield Case("body-10k", "10 KB answers", Setup(), Load(path=f"/b/{10 * KB}"))
    yield Case("body-1m", "1 MB answers", Setup(), Load(16, f"/b/{MB}"))
    yield Case("body-100m", "100 MB answers", Setup(), Load(4, f"/b/{100 * MB}"), short=True)
    yield Case("upload-10k", "10 KB uploads", Setup(), Load(upload=10 * KB))
    yield Case("upload-1m", "1 MB uploads", Setup(), Load(16, upload=MB))
    yield Case("upload-100m", "100 MB uploads", Setup(), Load(4, upload=100 * MB), short=True)


def growth():
    for balance in ("roundrobin", "leastconn", "source"):
        for servers in (2, 100, 1000):
            yield Case(
                f"{balance}-{servers}", f"{servers} servers, {balance}", Setup(balance=balance, servers=servers), Load(),
                short=(servers == 1000 and balance == "leastconn"),
            )
    few = ("haproxy", "nginx")
    yield Case("frontends-100", "100 frontends and backends", Setup(frontends=100), Load(), peers=few)
    yield Case("idle-5000", "5,000 idle connections beside", Setup(), Load(), peers=few, idle=5000)


def encrypted():
    few = ("haproxy", "nginx")
    yield Case("tls-new", "TLS 1.3, a handshake for each request", Setup(tls=True), Load(close=True), peers=few, short=True)
    yield Case("tls-kept", "TLS 1.3, 64 connections", Setup(tls=True), Load(), peers=few)
    yield Case("tls-10k", "TLS 1.3, 10 KB answers", Setup(tls=True), Load(path=f"/b/{10 * KB}"), peers=few)
    yield Case("tls-1m", "TLS 1.3, 1 MB answers", Setup(tls=True), Load(16, f"/b/{MB}"), peers=few)
    yield Case("h2", "HTTP/2 over TLS, 8 connections of 16 streams", Setup(tls=True), Load(8, streams=16), peers=few, short=True)


def all_cases():
    return [*small(), *bodies(), *growth(), *encrypted()]
