"""curl, nghttp and h2load through lb: which protocol is spoken, and whether large bodies arrive as they were."""

import hashlib
import re
import subprocess

from kit.origin import content
from kit.wire import Wrong
from kit.world import World

SIZE = 32_000_003  # bytes of a large body


def run(*words: str, stdin: bytes = b"", patience: int = 60) -> bytes:
    """Runs a command that must succeed. Gives what it wrote to standard output."""
    ended = subprocess.run(words, input=stdin, capture_output=True, timeout=patience)
    if ended.returncode:
        raise Wrong(f"{words[0]} ended with {ended.returncode}: {ended.stderr.decode(errors='replace')[-500:]}")
    return ended.stdout


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise Wrong(f"{what}: {got} instead of {wanted}")


class Urls:
    """How each address is reached by curl."""

    def __init__(self, world: World):
        self.world = world
        self.clear = "http://%s:%d" % world.clear
        self.secure = "https://site.test:%d" % world.secure[1]
        self.strict = "https://site.test:%d" % world.strict[1]
        self.words = ["curl", "--silent", "--show-error", "--max-time", "50", "--cacert", str(world.directory / "ca.pem"),
                      "--resolve", "site.test:%d:%s" % (world.secure[1], world.secure[0]),
                      "--resolve", "site.test:%d:%s" % (world.strict[1], world.strict[0])]

    def curl(self, *words: str, stdin: bytes = b"") -> bytes:
        return run(*self.words, *words, stdin=stdin)


def spoken(world: World, url: str, option: str, version: str) -> None:
    """curl with this option speaks this version."""
    urls = Urls(world)
    body = urls.curl(option, "--write-out", "|%{http_version}|%{response_code}", getattr(urls, url) + "/")
    expect("curl's", body.decode(), f"fine|{version}|200")


def moved(world: World, url: str, option: str) -> None:
    """Large bodies pass both ways, with their length and without, and arrive as they were."""
    urls, base = Urls(world), getattr(Urls(world), url)
    sent = world.directory / "large"
    sent.write_bytes(content(SIZE))
    wanted = hashlib.sha256(sent.read_bytes()).hexdigest()
    for path in (f"/bytes/{SIZE}", f"/chunked/{SIZE}"):
        expect(path, hashlib.sha256(urls.curl(option, base + path)).hexdigest(), wanted)
    expect("an upload's sum", urls.curl(option, "--upload-file", str(sent), base + "/sum").decode(), wanted)
    got = urls.curl(option, "--upload-file", "-", base + "/sum", stdin=sent.read_bytes())
    expect("the sum of an upload of unknown length", got.decode(), wanted)
    got = urls.curl(option, "--data-binary", f"@{sent}", "--header", "expect:", base + "/echo")
    expect("the echo's sum", hashlib.sha256(got).hexdigest(), wanted)


def head_and_status(world: World, url: str, option: str) -> None:
    """HEAD, a status without a body, and an error pass."""
    urls, base = Urls(world), getattr(Urls(world), url)
    head = urls.curl(option, "--head", base + "/bytes/77").decode().lower()
    expect("HEAD's content-length", re.search(r"content-length: (\d+)", head)[1], "77")
    for status in (204, 304, 404, 500):
        got = urls.curl(option, "--output", "/dev/null", "--write-out", "%{response_code}", f"{base}/status/{status}")
        expect("the status", got.decode(), str(status))


def together(world: World, url: str, option: str) -> None:
    """curl has fifty transfers at once over one connection of HTTP/2."""
    urls, base = Urls(world), getattr(Urls(world), url)
    got = urls.curl(option, "--parallel", "--parallel-max", "50", "--write-out", "%{num_connects} %{response_code}\n",
                    *(word for _ in range(50) for word in ("--output", "/dev/null", base + "/bytes/100000")))
    lines = [line.split() for line in got.decode().splitlines()]
    expect("the answers", [line[1] for line in lines], ["200"] * 50)
    if sum(int(line[0]) for line in lines) > 10:
        raise Wrong(f"{sum(int(line[0]) for line in lines)} connections were opened")


def upgraded(world: World) -> None:
    """An upgrade to h2c, which is gone since RFC 9113, is not followed: the request is answered by HTTP/1.1."""
    urls = Urls(world)
    got = urls.curl("--http2", "--write-out", "|%{http_version}", urls.clear + "/")
    expect("curl's", got.decode(), "fine|1.1")


def nghttp(world: World, url: str) -> None:
    """nghttp, which checks frames, gets a page and a hundred copies of another."""
    base = ("http://%s:%d" % world.clear) if url == "clear" else "https://%s:%d" % world.secure
    said = run("nghttp", "--null-out", "--stat", "--no-verify-peer", "--multiply=100", base + "/bytes/50000").decode()
    if said.count(" 200 ") != 100:
        raise Wrong(f"{said.count(' 200 ')} of 100 answers: {said[-400:]}")


def h2load(world: World, url: str, requests: int, streams: int, path: str, *more: str) -> None:
    """h2load has all of its requests answered."""
    base = ("http://%s:%d" % world.clear) if url == "clear" else "https://%s:%d" % world.secure
    said = run("h2load", f"--requests={requests}", "--clients=4", "--threads=1", f"--max-concurrent-streams={streams}",
               *more, base + path).decode()
    line = re.search(r"requests: (.*)", said)[1]
    if f"{requests} succeeded, 0 failed, 0 errored" not in line:
        raise Wrong(line)


def cases(world: World):
    """Name and code of each."""
    ways = [("clear", "--http1.1", "1.1"), ("clear", "--http2-prior-knowledge", "2"), ("secure", "--http1.1", "1.1"),
            ("secure", "--http2", "2")]
    for url, option, version in ways:
        yield f"curl {option} [{url}]", lambda url=url, option=option, version=version: spoken(world, url, option, version)
        yield (f"curl {option}: HEAD and statuses [{url}]",
               lambda url=url, option=option: head_and_status(world, url, option))
        yield (f"curl {option}: {SIZE} bytes both ways, by SHA-256 [{url}]",
               lambda url=url, option=option: moved(world, url, option))
        if option == "--http2":
            # With prior knowledge, Debian's curl 7.88 fails at this, whoever serves.
            yield f"curl {option}: fifty at once [{url}]", lambda url=url, option=option: together(world, url, option)
    yield "curl --http2 in clear text stays with HTTP/1.1", lambda: upgraded(world)
    yield "curl --http2 where ALPN offers http/1.1 alone", lambda: spoken(world, "strict", "--http2", "1.1")
    body = world.directory / "body"
    body.write_bytes(content(20_000))
    for url in ("clear", "secure"):
        yield f"nghttp: a hundred streams [{url}]", lambda url=url: nghttp(world, url)
        yield f"h2load: small answers [{url}]", lambda url=url: h2load(world, url, 2000, 100, "/")
        yield f"h2load: large answers [{url}]", lambda url=url: h2load(world, url, 100, 20, "/bytes/1000000")
        yield f"h2load: bodies [{url}]", lambda url=url: h2load(world, url, 400, 50, "/sum", f"--data={body}")
