"""Requests that are nearly right: each a valid one with one or two parts replaced by what parsers disagree about.

A case is the bytes of one connection: such a request, then a plain one, the follower. Where the first one's end is not
one thing for certain, a proxy and its server may take different bytes for the second: that is what is looked for.
"""

import random
from dataclasses import dataclass

HOST = b"example.test"
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"HEAD"]
ODD_METHODS = [b"get", b"G\x00T", b"GE T", b"", b"TRACE", b"FOO", b"GET\t", b"M-SEARCH", b"PRI", b"GET/", b"(GET)"]
TARGETS = [b"/", b"/a/b?c=d", b"/a%20b", b"/%2e%2e/x", b"/a;b=c", b"/a//b", b"/?", b"/a?b?c", b"/~x/*", b"/a:b@c"]
ODD_TARGETS = [
    b"*", b"x", b"", b"//evil.test/x", b"http://example.test/x", b"http://example.test", b"HTTP://EXAMPLE.TEST/x",
    b"http://user@example.test/x", b"http://example.test:80/x", b"http://other.test/x", b"https://example.test/x",
    b"http:///x", b"http:/x", b"http:x", b"a?://example.test/x", b"example.test:80", b"/a#b", b"/a b", b"/a\tb",
    b"/a\x00b", b"/a\x7fb", b"/a\xe9b", b"/a\"b", b"/a<b>", b"/a\\b", b"/a`b", b"/a^b{c}|d", b"?a=b", b"/a\rb",
    b"http://[::1]/x", b"http://[::1/x", b"http://a:b:c/x", b"http://example.test?x", b"ftp://example.test/x",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0"]
ODD_VERSIONS = [
    b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.1 ", b"",
    b"HTTP/1.1\t", b"HTP/1.1", b" HTTP/1.1", b"HTTP/1,1", b"HTTP/1.1 HTTP/1.1",
]  # fmt: skip
ODD_HOSTS = [
    [], [b"Host:"], [b"Host: a", b"Host: b"], [b"Host: a, b"], [b"Host: a b"], [b"Host: a/b"], [b"Host: a@b"],
    [b"Host: a:80:80"], [b"Host: [::1"], [b"Host: [::1]:80"], [b"Host: a:"], [b"Host: a:x"], [b"Host: a:99999"],
    [b"Host : a"], [b"Host\t: a"], [b"Host:\x0ba"], [b"host: EXAMPLE.test"], [b"Host: a\x00b"], [b"Host: a#b"],
    [b"Host: example.test", b"Host: example.test"], [b"Host: example.test."], [b"Host: %65xample.test"], [b"Host: a?b"],
    [b"X: y", b" Host: a"], [b"Host: a\\b"],
]  # fmt: skip
ODD_LINES = [
    b"X: a\n b", b"X: a\r\n b", b"X: a\r\n\tb", b"X : a", b" X: a", b"X\x00: a", b"X: a\x00b", b"X: a\rb", b"X", b": a",
    b"X_Y: a", b"X.Y: a", b"X\xe9: a", b"X: \xe9", b"X: a\x7f", b"Content_Length: 5", b"Transfer_Encoding: chunked",
    b"Connection: close, content-length", b"Connection: host", b"Connection: transfer-encoding", b"Expect: 100-continue",
    b"Expect: x", b"Upgrade: h2c", b"Upgrade: websocket", b"Connection: upgrade", b"Trailer: content-length",
    b"TE: trailers", b"X-Forwarded-For: 1.2.3.4", b"X_Forwarded_For: 1.2.3.4", b"Cookie: a=b; c", b"X:", b"X:\t a \t",
    b"\"X\": a", b"X(: a", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Content-Type: text/plain",
]  # fmt: skip
LENGTHS = [
    b"5", b"0", b"+5", b"-5", b"05", b"5 ", b" 5", b"5, 5", b"5,5", b"5, 6", b"0x5", b"5\x0b", b"5\x00", b"\"5\"", b"",
    b"5e0", b"5.0", b"99999999999999999999", b"18446744073709551621", b"4294967301", b"5;x", b"\xd9\xa5", b"5_0", b"3",
]  # fmt: skip
CODINGS = [
    b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b"\tchunked", b"chunked, chunked", b"gzip, chunked", b"identity",
    b"chunked, identity", b"xchunked", b"chunkedx", b"chunked;q=1", b"\"chunked\"", b"", b",chunked", b"chunked,",
    b"chu\x00nked", b"\x0bchunked", b"chunked\x0b", b"x, chunked", b"identity, chunked", b"c hunked",
]  # fmt: skip
SIZES = [
    b"5", b"05", b"0000000000000005", b"00000000000000005", b"5;x", b"5;x=y", b"5 ;x", b"5 ", b" 5", b"5\t", b"0x5", b"+5",
    b"-5", b"5;\"\r\n\"", b"5;a\nb", b"5;a\rb", b"5\x00", b"5,", b"5 x", b"fffffffffffffffb", b"10000000000000005",
    b"5;" + b"x" * 200, b"",
]  # fmt: skip
CHUNK_ENDS = [b"\r\n", b"\n", b"\r", b"", b"\r\r\n", b"xx", b" \r\n"]
TRAILERS = [
    b"", b"X: y\r\n", b"X: y\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil\r\n", b"X\r\n",
    b" X: y\r\n", b"X : y\r\n", b"X: y\r\n z\r\n", b"X_Y: z\r\n", b"X: \x00\r\n", b"GET /smuggled HTTP/1.1\r\n", b": y\r\n",
    b"Authorization: x\r\n", b"Connection: close\r\n",
]  # fmt: skip
LINE_ENDS = [b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\n\r\n", b"\x00\r\n"]
BEFORE = [b"", b"", b"", b"", b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\x00"]


@dataclass
class Case:
    """Some bytes, and where they are cut into two sends (0: they are not)."""

    number: int
    data: bytes
    cut: int

    def __str__(self):
        return f"{self.data!r}, cut at {self.cut}"


def chunked(rng, odd):
    """A body of five bytes in one chunk, with parts that are odd where `odd` says so."""

    def part(name, choices):
        return rng.choice(choices) if name == odd else choices[0]

    size, end = part("size", SIZES), part("chunk end", CHUNK_ENDS)
    last = rng.choice([b"0", b"00", b"0;x", b"0 ", b"-0", b"+0", b"0x0"]) if odd == "last" else b"0"
    return size + part("size end", CHUNK_ENDS) + b"hello" + end + last + b"\r\n" + part("trailers", TRAILERS) + b"\r\n"


def request(rng, marker):
    """One request with one odd part, at times two. Its path, where it is an ordinary one, holds the marker."""
    kinds = [
        "method", "target", "version", "host", "line", "line", "length", "coding", "both", "length twice",
        "coding twice", "size", "size end", "chunk end", "last", "trailers", "line end", "before", "none",
    ]  # fmt: skip
    odd = {rng.choice(kinds) for _ in range(rng.choice([1, 1, 1, 2]))}
    method = rng.choice(ODD_METHODS) if "method" in odd else rng.choice(METHODS)
    target = rng.choice(ODD_TARGETS) if "target" in odd else rng.choice(TARGETS)
    if target.startswith(b"/") and not target.startswith(b"//"):
        target = b"/" + marker + target
    version = rng.choice(ODD_VERSIONS) if "version" in odd else rng.choice(VERSIONS)
    lines = list(rng.choice(ODD_HOSTS)) if "host" in odd else [b"Host: " + HOST]
    if "line" in odd:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(ODD_LINES))
    body = b""
    with_body = odd & {"size", "size end", "chunk end", "last", "trailers", "coding", "coding twice", "both"}
    length = b"Content-Length: " + (rng.choice(LENGTHS) if odd & {"length", "both"} else b"5")
    coding = b"Transfer-Encoding: " + (rng.choice(CODINGS) if odd & {"coding", "both"} else b"chunked")
    if with_body:
        lines.append(coding)
        body = chunked(rng, next(iter(sorted(odd & {"size", "size end", "chunk end", "last", "trailers"})), None))
        if "coding twice" in odd:
            lines.append(b"Transfer-Encoding: " + rng.choice(CODINGS))
        if "both" in odd:
            lines.insert(rng.randrange(len(lines) + 1), length)
            body = rng.choice([body, b"hello"])
    elif odd & {"length", "length twice"} or rng.random() < 0.3:
        lines.append(length)
        body = b"hello"
        if "length twice" in odd:
            lines.append(b"Content-Length: " + rng.choice(LENGTHS))
    rng.shuffle(lines)
    ends = [rng.choice(LINE_ENDS) if "line end" in odd else b"\r\n" for _ in range(len(lines) + 2)]
    head = b" ".join([method, target, version]) + ends[0]
    head += b"".join(line + end for line, end in zip(lines, ends[1:], strict=False)) + ends[-1]
    return (rng.choice(BEFORE) if "before" in odd else b"") + head + body


def case(seed, number):
    """The case of this number, always the same for a seed."""
    rng = random.Random(f"{seed}/{number}")
    first = request(rng, b"m%d" % number)
    follower = b"GET /follower-%d HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (number, HOST)
    data = first + follower
    return Case(number, data, rng.randrange(1, len(data)) if rng.random() < 0.5 else 0)
