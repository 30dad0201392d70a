"""Nearly right requests over HTTP/2, for servers of HTTP/1: what does not mean there what it meant here splits a request.

A case is the frames of one stream; the follower comes on another one, when the first is over.
"""

import random
from dataclasses import dataclass

from . import frames, grammar

ODD_METHODS = [
    *grammar.ODD_METHODS, b"GET\r\n", b"GET /x HTTP/1.1\r\nX: y\r\n\r\nGET", b"GET\n", b"GET\x00", b"CONNECT", b"G:T",
]  # fmt: skip
ODD_PATHS = [
    *grammar.ODD_TARGETS, b"/a HTTP/1.1\r\nX: y", b"/a HTTP/1.1\r\nHost: b\r\n\r\nGET /b", b"/a\r\nb", b"/a\nb", b" /a",
    b"/a ", b"/a HTTP/1.1", b"/a HTTP/1.0", b"\t/a", b"/a\x01", b"/a\x80", b"/a?b#c", b"/a?\r\n", b"*?", b"**", b"//", b"/*",
]  # fmt: skip
ODD_SCHEMES = [
    b"https", b"ftp", b"", b"HTTP", b"Https", b"http:", b"http://a/x?", b"ht tp", b"http\r\nX: y", b"http\x00", b"1", b"\xe9",
    b"javascript", b"http://evil.test",
]  # fmt: skip
ODD_AUTHORITIES = [
    b"", b"a b", b"a/b", b"a@b", b"user:secret@example.test", b"a:80:80", b"a:", b"a:x", b"a:99999", b"[::1]:80", b"[::1",
    b"a, b", b"EXAMPLE.test", b"example.test.", b"example.test:80", b"a\r\nX: y", b"a\nb", b"a\x00", b"%65xample.test", b"a?b",
    b"a#b", b"a\\b", b" example.test", b"example.test ", b"\xe9.test", b"http://a", b"a\tb", b"example.test\r\n\r\nGET /b",
]  # fmt: skip
HOSTS = [
    [b"example.test"], [b"other.test"], [b"EXAMPLE.test"], [b"example.test:80"], [b""], [b"a", b"b"], [b"a b"], [b"a, b"],
    [b"example.test", b"example.test"], [b"a\r\nX: y"], [b"example.test", b"other.test"], [b"a/b"], [b"a@b"],
]  # fmt: skip
ODD_NAMES = [
    b"X-Upper", b"x-uPper", b"Cookie", b"", b"x y", b"x:", b":x", b":", b"x\x00", b"x\r\ny", b"x\xe9", b"x_y", b"x.y", b"x(",
    b" x", b"x ", b"x\t", b"x: y\r\nz", b"content_length", b"transfer_encoding", b"x_forwarded_for", b"content-length ",
    b"transfer-encoding:", b"Transfer-Encoding", b"Content-Length", b"host:", b"x\x7f", b"\"x\"", b"x/y", b"x@y", b"x\n",
]  # fmt: skip
ODD_VALUES = [
    b"a\r\nb: c", b"a\nb: c", b"a\rb", b"a\x00b", b" a", b"a ", b"\ta", b"a\t", b"", b"\xe9", b"a\x7f", b"a\x01b", b"a\x0bb",
    b"a\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n", b"a\r\n b", b"a" * 3000, b"\r\n", b"\n", b"\x00", b" ", b"a\r",
]  # fmt: skip
OF_CONNECTIONS = [
    (b"connection", b"close"), (b"connection", b"keep-alive"), (b"connection", b"x-odd"), (b"connection", b""),
    (b"keep-alive", b"timeout=5"), (b"proxy-connection", b"close"), (b"transfer-encoding", b"chunked"),
    (b"transfer-encoding", b"identity"), (b"transfer-encoding", b""), (b"transfer-encoding", b"gzip, chunked"),
    (b"upgrade", b"h2c"), (b"upgrade", b"websocket"), (b"te", b"trailers"), (b"te", b"gzip"), (b"te", b"trailers, deflate"),
    (b"te", b"Trailers"), (b"te", b""), (b"te", b"trailers;q=1"), (b"http2-settings", b"AAMAAABk"), (b"expect", b"100-continue"),
    (b"expect", b"x"), (b"trailer", b"content-length"), (b"x-forwarded-for", b"1.2.3.4"), (b"forwarded", b"for=1.2.3.4"),
]  # fmt: skip
COOKIES = [
    [b"a=b", b"c=d"], [b"a=b; c=d"], [b"a=b; c=d", b"e=f"], [b"a=b;"], [b"a=b;", b"c=d"], [b"", b"a=b"], [b"a=b", b""],
    [b"; a=b"], [b"a"], [b"a=b", b"a=c"], [b"a=\"b; c\""], [b"a=b\r\nX: y"], [b"a=b\x00"], [b" a=b ", b" c=d"], [b"a=b,c=d"],
]  # fmt: skip
TRAILERS = [
    [(b"x-trailer", b"y")], [(b"content-length", b"5")], [(b"content-length", b"50")], [(b"transfer-encoding", b"chunked")],
    [(b"host", b"evil")], [(b":path", b"/b")], [(b":status", b"200")], [(b"X-Trailer", b"y")], [(b"x", b"a\r\nb: c")],
    [(b"x", b"a\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n")], [(b"connection", b"close")], [(b"x\r\ny", b"z")], [(b"", b"")],
    [(b"x", b"\x00")], [(b"authorization", b"x")], [(b"x y", b"z")], [(b"te", b"trailers")], [], [(b"cookie", b"a=b")],
]  # fmt: skip
PSEUDO = [b":method", b":scheme", b":authority", b":path"]
ODD_PSEUDO = [(b":x", b"y"), (b":status", b"200"), (b":Path", b"/"), (b":protocol", b"websocket"), (b":", b""), (b":host", b"a")]
KINDS = [
    "method", "path", "path", "scheme", "authority", "authority", "host", "host", "without", "twice", "late", "pseudo", "name",
    "name", "value", "value", "connection", "connection", "cookie", "length", "length", "length twice", "data", "trailers",
    "trailers", "connect", "protocol", "frames", "none",
]  # fmt: skip


@dataclass
class Case:
    number: int
    data: bytes
    said: str
    # The fields of its head, as they are however many frames they come in.
    block: bytes

    def __str__(self):
        return self.said


def case(seed, number):
    """The case of this number, always the same for a seed."""
    rng = random.Random(f"{seed}/http2/{number}")
    odd = {rng.choice(KINDS) for _ in range(rng.choice([1, 1, 1, 2]))}
    fields = head(rng, odd, b"%d" % number)
    lengths, body = content(rng, odd)
    for length in lengths:
        fields.insert(behind_pseudo(rng, fields), (b"content-length", length))
    trailers = rng.choice(TRAILERS) if "trailers" in odd else None
    pieces = [body] if len(body) < 2 or rng.random() < 0.7 else [body[:2], body[2:]]
    if "frames" in odd and rng.random() < 0.3:
        pieces.insert(rng.randrange(len(pieces) + 1), b"")
    ends = "frames" not in odd or rng.random() < 0.8
    said = f"{fields!r}, {pieces if body else 'no data'}, trailers {trailers!r}{'' if ends else ', and no end'}"
    with_data = bool(body) or "frames" in odd and rng.random() < 0.3
    data = headers(rng, odd, fields, ends and not with_data and trailers is None)
    if with_data:
        for at, piece in enumerate(pieces):
            last = ends and trailers is None and at + 1 == len(pieces)
            data += data_frame(rng, odd, piece, last)
    if trailers is not None:
        data += headers(rng, set(), trailers, ends and rng.random() < 0.9)
    return Case(number, data, said, frames.block(fields))


def head(rng, odd, marker):
    """The fields of a request's head."""
    method = rng.choice(ODD_METHODS if "method" in odd else grammar.METHODS)
    path = rng.choice(ODD_PATHS if "path" in odd else grammar.TARGETS)
    if path.startswith(b"/") and not path.startswith(b"//"):
        path = b"/m" + marker + path
    scheme = rng.choice(ODD_SCHEMES) if "scheme" in odd else b"http"
    authority = rng.choice(ODD_AUTHORITIES) if "authority" in odd else grammar.HOST
    fields = [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path), (b"x-case", marker)]
    if "connect" in odd:
        kept = {b":method", b":authority", *rng.choice([[], [], [b":path"], [b":scheme"], [b":path", b":scheme"]])}
        target = rng.choice([b"example.test:80", b"example.test", b"example.test:443", b"", b"/", b"a b:80", b"a@b:80"])
        of_connect = {b":method": b"CONNECT", b":authority": target}
        fields = [(name, of_connect.get(name, value)) for name, value in fields if name not in PSEUDO or name in kept]
    if "protocol" in odd:
        fields[:1] = [(b":method", rng.choice([b"CONNECT", b"CONNECT", b"GET"])), (b":protocol", rng.choice([b"websocket", b"x", b"a\r\nb"]))]
    if "host" in odd:
        if rng.random() < 0.5:
            fields = [one for one in fields if one[0] != b":authority"]
        fields += [(b"host", host) for host in rng.choice(HOSTS)]
    if "without" in odd:
        gone = rng.choice(PSEUDO)
        fields = [one for one in fields if one[0] != gone]
    if "twice" in odd:
        name, value = rng.choice([one for one in fields if one[0] in PSEUDO])
        fields.insert(rng.randrange(4), (name, rng.choice([value, b"/other", b"other.test", b"POST", b"https"])))
    if "late" in odd:
        late = rng.choice([one for one in fields if one[0] in PSEUDO])
        fields.remove(late)
        fields.append(late)
    if "pseudo" in odd:
        fields.insert(rng.randrange(len(fields) + 1), rng.choice(ODD_PSEUDO))
    if "name" in odd:
        fields.append((rng.choice(ODD_NAMES), rng.choice([b"a", b"5", b"chunked"])))
    if "value" in odd:
        fields.append((rng.choice([b"x-odd", b"x-odd", b"content-type", b"user-agent", b"referer"]), rng.choice(ODD_VALUES)))
    if "connection" in odd:
        fields.append(rng.choice(OF_CONNECTIONS))
        fields.append((b"x-odd", b"y"))
    if "cookie" in odd:
        for cookie in rng.choice(COOKIES):
            fields.insert(behind_pseudo(rng, fields), (b"cookie", cookie))
    return fields


def behind_pseudo(rng, fields):
    return rng.randrange(min(4, len(fields)), len(fields) + 1)


def content(rng, odd):
    """What Content-Length says, each time that it does, and the body."""
    if not odd & {"length", "length twice", "data", "trailers", "frames", "connect"} and rng.random() < 0.7:
        return [], b""
    body = b"hello" if "data" not in odd else rng.choice([b"", b"hel", b"hello more", b"0\r\n\r\n", b"x" * 3000])
    if "data" in odd:
        return [b"5"], body
    if "length twice" in odd:
        return [b"5", rng.choice(grammar.LENGTHS)], body
    if "length" in odd:
        return [rng.choice(grammar.LENGTHS)], rng.choice([body, body, b""])
    return rng.choice([[], [b"5"]]), body


def headers(rng, odd, fields, end):
    """The frames of a block of fields: one, or where frames are odd, several or with more around them."""
    data, flags = frames.block(fields), frames.END_STREAM if end else 0
    if "frames" not in odd or rng.random() < 0.3:
        return frames.frame(frames.HEADERS, flags | frames.END_HEADERS, 1, data)
    cut = rng.randrange(len(data) + 1)
    first, rest = data[:cut], data[cut:]
    if rng.random() < 0.4:
        first, flags = b"\0\0\0\0\x10" + first, flags | frames.WITH_PRIORITY
    if rng.random() < 0.4:
        length = rng.choice([0, 1, 40, 255])
        first, flags = bytes([length]) + first + bytes(length), flags | frames.PADDED
    between = rng.choice([b"", b"", b"", b"", frames.frame(frames.CONTINUATION, 0, 1), frames.frame(frames.PING, 0, 0, bytes(8))])
    return frames.frame(frames.HEADERS, flags, 1, first) + between + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, rest)


def data_frame(rng, odd, piece, end):
    flags = frames.END_STREAM if end else 0
    if "frames" in odd and rng.random() < 0.5:
        length = rng.choice([0, 1, 40, 255])
        return frames.frame(frames.DATA, flags | frames.PADDED, 1, bytes([length]) + piece + bytes(length))
    return frames.frame(frames.DATA, flags, 1, piece)


def follower(number):
    fields = [
        (b":method", b"GET"), (b":scheme", b"http"), (b":authority", grammar.HOST), (b":path", b"/follower-%d" % number),
        (b"x-case", b"%d" % number),
    ]  # fmt: skip
    return frames.frame(frames.HEADERS, frames.END_STREAM | frames.END_HEADERS, 3, frames.block(fields))
