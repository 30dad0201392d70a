"""Requests and responses as HTTP/2 has them: RFC 9113, section 8. A malformed request is a stream error PROTOCOL_ERROR,
or is answered with 4xx (section 8.1.1); no server sees it."""

from kit.cases import Document
from kit.wire import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Wrong, block, frame, reset

rfc = Document("RFC 9113")
METHOD, SCHEME, AUTHORITY = (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"site.test")
POST = (b":method", b"POST")


def malformed(section: str, title: str, fields=lambda path: [], more=lambda path: [], body: tuple[bytes, ...] = (),
              unseen: bool = True, ends: bool = True) -> None:
    """A case of a request that is none. `fields` are all of its fields, or `more` what stands behind good ones; `body`
    are the frames behind; `ends` says whether the last of them ends the stream."""
    def run(peer):
        c = peer.settled()
        path = peer.path()
        own = path.encode()
        # What follows is the scheme of the connection, so that only the fault is wrong.
        good = [POST if body else METHOD, (b":scheme", c.scheme), (b":path", own), AUTHORITY]
        whole = [(name, c.scheme if (name, value) == SCHEME else value)
                 for name, value in (fields(own) or good + more(own))]
        flags = END_HEADERS | (END_STREAM if ends and not body else 0)
        last = len(body) - 1
        c.send(frame(HEADERS, flags, 1, block(*whole)),
               *(frame(DATA, END_STREAM if ends and number == last else 0, 1, piece) for number, piece in enumerate(body)))
        goes_on = c.stream_error(1, "PROTOCOL_ERROR", answer=True)
        if unseen and any(path in seen[1] for seen in list(peer.world.origin.requests)):
            raise Wrong("the server saw it")
        if goes_on:
            c.request(3)
            c.served(3)
    rfc.add(section, f"{title}: malformed", run)


def field(name: bytes, value: bytes):
    return lambda path: [(name, value)]


# Section 8.2.1: names and values.

malformed("8.2.1", "a name with an upper-case letter", more=field(b"X-upper", b"1"))
malformed("8.2.1", "an empty name", more=field(b"", b"1"))
for byte in (0x00, 0x01, 0x0A, 0x0D, 0x20, 0x22, 0x28, 0x2C, 0x2F, 0x3A, 0x40, 0x5B, 0x7B, 0x7F, 0x80, 0xFF):
    malformed("8.2.1", f"a name with the byte {byte:#04x} in it", more=field(b"x" + bytes([byte]) + b"y", b"1"))
for byte in (0x00, 0x0A, 0x0D):
    for title, value in (("in", b"a%cb"), ("in front of", b"%cab"), ("behind", b"ab%c")):
        malformed("8.2.1", f"the byte {byte:#04x} {title} a value", more=field(b"x", value % byte))
malformed("8.2.1", "CR LF and another field in a value", more=field(b"x", b"a\r\nx-admin: 1"))
for title, value in (("a space in front of", b" a"), ("a space behind", b"a "), ("a tab in front of", b"\ta"),
                     ("a tab behind", b"a\t"), ("nothing but a space as", b" ")):
    malformed("8.2.1", f"{title} a value", more=field(b"x", value))


@rfc("8.2.1", "an empty value, and bytes above 0x7f in a value, pass as they are")
def odd_values(peer):
    c = peer.settled()
    path = peer.path()
    c.request(1, path, b"GET", (b"x-empty", b""), (b"x-high", b"caf\xc3\xa9"), (b"x-tab", b"a\tb"))
    c.served()
    seen = peer.world.origin.saw(path)[0][2]
    if (seen["x-empty"], seen["x-high"], seen["x-tab"]) != ("", "caf\u00c3\u00a9", "a\tb"):
        raise Wrong(f"the server saw {seen}")


# Section 8.2.2: what belongs to a connection.

for name, value in ((b"connection", b"keep-alive"), (b"connection", b"x"), (b"connection", b"close"),
                    (b"keep-alive", b"timeout=5"), (b"proxy-connection", b"keep-alive"), (b"transfer-encoding", b"chunked"),
                    (b"transfer-encoding", b"identity"), (b"upgrade", b"websocket"), (b"upgrade", b"h2c"),
                    (b"te", b"gzip"), (b"te", b"trailers, deflate")):
    malformed("8.2.2", f"{name.decode()}: {value.decode()}", more=field(name, value))
malformed("8.2.2", "transfer-encoding beside a body", more=field(b"transfer-encoding", b"chunked"), body=(b"0\r\n\r\n",))


@rfc("8.2.2", "te: trailers is allowed")
def te_trailers(peer):
    c = peer.settled()
    c.request(1, "/", b"GET", (b"te", b"trailers"))
    c.served()


@rfc("8.2.2", "responses have none of a connection's fields, and names in lower case")
def clean_responses(peer):
    c = peer.settled()
    for stream, path in ((1, "/chunked/10"), (3, "/early"), (5, "/bytes/3")):
        c.request(stream, path)
        _, fields, _ = c.response(stream)
        bad = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection"} & set(fields)
        if bad or any(name != name.lower() for name in fields):
            raise Wrong(f"{path}: {fields}")


@rfc("8.2.3", "cookies in fields of their own reach the server as one")
def cookies(peer):
    c = peer.settled()
    path = peer.path()
    c.request(1, path, b"GET", (b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"x", b"y"), (b"cookie", b"e=f"))
    c.served()
    if peer.world.origin.saw(path)[0][2].get("cookie") != "a=b; c=d; e=f":
        raise Wrong(f"the server saw {peer.world.origin.saw(path)}")


# Section 8.3: pseudo-header fields.

def path_of(path: bytes) -> tuple[bytes, bytes]:
    return (b":path", path)


malformed("8.3", "an unknown pseudo-header field", lambda p: [METHOD, SCHEME, path_of(p), AUTHORITY, (b":foo", b"bar")])
malformed("8.3", "a response's pseudo-header field", lambda p: [METHOD, SCHEME, path_of(p), AUTHORITY, (b":status", b"200")])
malformed("8.3", "a pseudo-header field behind others", lambda p: [METHOD, SCHEME, AUTHORITY, (b"x", b"y"), path_of(p)])
malformed("8.3", ":authority behind other fields", lambda p: [METHOD, SCHEME, path_of(p), (b"x", b"y"), AUTHORITY])
malformed("8.3", "a pseudo-header field in upper case", lambda p: [(b":METHOD", b"GET"), SCHEME, path_of(p), AUTHORITY])
malformed("8.3", "no pseudo-header fields", lambda p: [(b"host", b"site.test"), (b"x", p)])
malformed("8.3.1", "no :method", lambda p: [SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "no :scheme", lambda p: [METHOD, path_of(p), AUTHORITY])
malformed("8.3.1", "no :path", lambda p: [METHOD, SCHEME, AUTHORITY, (b"x", p)])
malformed("8.3.1", "an empty :path", lambda p: [METHOD, SCHEME, path_of(b""), AUTHORITY, (b"x", p)])
malformed("8.3.1", "an empty :method", lambda p: [(b":method", b""), SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "an empty :scheme", lambda p: [METHOD, (b":scheme", b""), path_of(p), AUTHORITY])
malformed("8.3.1", "two :method", lambda p: [METHOD, METHOD, SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "two :scheme", lambda p: [METHOD, SCHEME, SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "two :path", lambda p: [METHOD, SCHEME, path_of(p), path_of(p), AUTHORITY])
malformed("8.3.1", "two :authority", lambda p: [METHOD, SCHEME, path_of(p), AUTHORITY, AUTHORITY])
malformed("8.3.1", "a :path that does not begin with /", lambda p: [METHOD, SCHEME, path_of(p[1:]), AUTHORITY])
malformed("8.3.1", "a :path of * with GET", lambda p: [METHOD, SCHEME, path_of(b"*"), AUTHORITY, (b"x", p)])
malformed("8.3.1", "a :path with a space", lambda p: [METHOD, SCHEME, path_of(p + b" HTTP/1.1"), AUTHORITY])
malformed("8.3.1", "a :path with CR LF", lambda p: [METHOD, SCHEME, path_of(p + b" HTTP/1.1\r\nx: y"), AUTHORITY])
malformed("8.3.1", "a :path with NUL", lambda p: [METHOD, SCHEME, path_of(p + b"\0"), AUTHORITY])
malformed("8.3.1", "a :path with a fragment", lambda p: [METHOD, SCHEME, path_of(p + b"#x"), AUTHORITY])
malformed("8.3.1", "a :method with a space", lambda p: [(b":method", b"GET /x"), SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "a :method with CR LF", lambda p: [(b":method", b"GET\r\n"), SCHEME, path_of(p), AUTHORITY])
malformed("8.3.1", "a :scheme with a space", lambda p: [METHOD, (b":scheme", b"ht tp"), path_of(p), AUTHORITY])
malformed("8.3.1", "a :scheme with CR LF", lambda p: [METHOD, (b":scheme", b"http\r\n"), path_of(p), AUTHORITY])
malformed("8.3.1", "userinfo in :authority", lambda p: [METHOD, SCHEME, path_of(p), (b":authority", b"me@site.test")])
malformed("8.3.1", "a space in :authority", lambda p: [METHOD, SCHEME, path_of(p), (b":authority", b"site .test")])
malformed("8.3.1", "CR LF in :authority", lambda p: [METHOD, SCHEME, path_of(p), (b":authority", b"site.test\r\nx: y")])
malformed("8.3.1", "a path in :authority", lambda p: [METHOD, SCHEME, path_of(p), (b":authority", b"site.test/x")])
malformed("8.3.1", "host beside another :authority", more=field(b"host", b"other.test"))
malformed("8.3.1", "neither :authority nor host", lambda p: [METHOD, SCHEME, path_of(p)])
malformed("8.3.1", "two host beside no :authority",
          lambda p: [METHOD, SCHEME, path_of(p), (b"host", b"site.test"), (b"host", b"site.test")])


@rfc("8.3.1", "host in the place of :authority, and beside the same")
def host(peer):
    c = peer.settled()
    path = peer.path().encode()
    rest = [METHOD, (b":scheme", c.scheme), path_of(path)]
    for stream, fields in ((1, [*rest, (b"host", b"site.test")]), (3, [*rest, AUTHORITY, (b"host", b"site.test")])):
        c.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(*fields)))
        c.served(stream)
    hosts = [seen[2].get("host") for seen in peer.world.origin.saw(path.decode())]
    if hosts != ["site.test", "site.test"]:
        raise Wrong(f"the server saw {hosts}")


@rfc("8.3.1", "OPTIONS of *")
def options(peer):
    c = peer.settled()
    c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1,
                 block((b":method", b"OPTIONS"), (b":scheme", c.scheme), (b":path", b"*"), AUTHORITY)))
    c.served()


# Section 8.1.1: the body's length.

def length(text: bytes):
    return field(b"content-length", text)


malformed("8.1.1", "a content-length above the body's", more=length(b"5"), body=(b"four",), unseen=False)
malformed("8.1.1", "a content-length above that of several frames", more=length(b"9"), body=(b"four", b"four"),
          unseen=False)
malformed("8.1.1", "a content-length below the body's", more=length(b"3"), body=(b"four",), unseen=False)
malformed("8.1.1", "a content-length below that of several frames", more=length(b"5"), body=(b"four", b"four"),
          unseen=False)
malformed("8.1.1", "a content-length of 0 and a body", more=length(b"0"), body=(b"x",), unseen=False)
malformed("8.1.1", "a content-length and no body", more=length(b"1"), unseen=False)
malformed("8.1.1", "a content-length that is no number", more=length(b"four"), body=(b"four",))
malformed("8.1.1", "a content-length with a sign", more=length(b"+4"), body=(b"four",))
malformed("8.1.1", "a negative content-length", more=length(b"-4"), body=(b"four",))
malformed("8.1.1", "a content-length that no machine can count", more=length(b"9" * 30), body=(b"four",))
malformed("8.1.1", "two content-lengths that differ", more=lambda p: length(b"4")(p) + length(b"5")(p), body=(b"four",))


@rfc("8.1.1", "a content-length that is right, of 0 too")
def right_length(peer):
    c = peer.settled()
    for stream, body in ((1, b"four"), (3, b"")):
        c.request(stream, "/echo", b"POST", (b"content-length", b"%d" % len(body)), end=False)
        c.data(stream, body, end=True)
        if c.served(stream) != body:
            raise Wrong("the body is another one")
    c.request(5, "/echo", b"POST", (b"content-length", b"0"))
    c.served(5)


# Section 8.1: trailers, and the order of frames.

def trailers(section: str, title: str, fields: list[tuple[bytes, bytes]], flags: int = END_HEADERS | END_STREAM) -> None:
    def run(peer):
        c = peer.settled()
        c.request(1, "/sum", b"POST", end=False)
        c.send(frame(DATA, 0, 1, b"body"), frame(HEADERS, flags, 1, block(*fields)))
        c.stream_error(1, "PROTOCOL_ERROR", answer=True)
    rfc.add(section, f"{title}: malformed", run)


trailers("8.1", "trailers that do not end the stream", [(b"x-sum", b"1")], END_HEADERS)
trailers("8.1", "trailers with a pseudo-header field", [(b":method", b"POST"), (b"x-sum", b"1")])
trailers("8.1", "trailers with :path", [(b":path", b"/")])
trailers("8.1", "trailers with :status", [(b":status", b"200")])
trailers("8.2.1", "trailers with an upper-case name", [(b"X-Sum", b"1")])
trailers("8.2.1", "trailers with CR LF in a value", [(b"x-sum", b"1\r\nx: y")])
trailers("8.2.2", "trailers with connection", [(b"connection", b"x-sum")])
trailers("8.2.2", "trailers with transfer-encoding", [(b"transfer-encoding", b"chunked")])


@rfc("8.1", "trailers behind a body, and without one")
def good_trailers(peer):
    c = peer.settled()
    for stream, data in ((1, [frame(DATA, 0, 1, b"body")]), (3, [])):
        c.request(stream, "/echo", b"POST", end=False)
        c.send(*data, frame(HEADERS, END_HEADERS | END_STREAM, stream, block((b"x-sum", b"1"))))
        if c.served(stream) != (b"body" if data else b""):
            raise Wrong("the body is another one")


@rfc("8.1", "a server's trailers come as the last HEADERS")
def server_trailers(peer):
    c = peer.settled()
    c.request(1, "/trailers")
    last = c.until("the end", lambda got: "END_STREAM" in got.flags)
    if last.type != HEADERS or last.fields != [(b"x-sum", b"7")]:
        raise Wrong(f"the last is {last}")


@rfc("8.1", "a response before the request's end is whole, and the stream may be reset with NO_ERROR")
def early(peer):
    c = peer.settled()
    c.request(1, "/early", b"POST", (b"content-length", b"100000"), end=False)
    c.data(1, b"x" * 1000)
    c.served()
    c.send(reset(1, 0))
    c.alive()


for status in (204, 304):
    @rfc("8.1", f"a response of {status} ends with its head")
    def bodyless(peer, status=status):
        c = peer.settled()
        c.request(1, f"/status/{status}")
        got = c.until("the head", lambda got: got.type == HEADERS)
        if "END_STREAM" not in got.flags:
            end = c.until("the end", lambda got: got.stream_id == 1)
            if end.type != DATA or end.data or "END_STREAM" not in end.flags:
                raise Wrong(f"then came {end}")


@rfc("8.1", "a response to HEAD has its length and no body")
def to_head(peer):
    c = peer.settled()
    c.request(1, "/bytes/500", b"HEAD")
    status, fields, body = c.response()
    if (status, fields.get(b"content-length"), body) != (200, b"500", b""):
        raise Wrong(f"{status} {fields} {body[:20]}")


# Section 8.5: CONNECT.

CONNECT = (b":method", b"CONNECT")
malformed("8.5", "CONNECT with :path", lambda p: [CONNECT, path_of(p), AUTHORITY])
malformed("8.5", "CONNECT with :scheme", lambda p: [CONNECT, SCHEME, AUTHORITY, (b"x", p)])
malformed("8.5", "CONNECT with both", lambda p: [CONNECT, SCHEME, path_of(p), AUTHORITY])
malformed("8.5", "CONNECT without :authority", lambda p: [CONNECT, (b"x", p)])


@rfc("8.5", "CONNECT to a server that does not know it is answered")
def connect(peer):
    c = peer.settled()
    c.send(frame(HEADERS, END_HEADERS, 1, block(CONNECT, (b":authority", b"site.test:443"))))
    got = c.until("an answer", lambda got: got.stream_id == 1)
    if got.type == RST_STREAM or not dict(got.fields)[b":status"].startswith((b"4", b"5")):
        raise Wrong(c.told())
