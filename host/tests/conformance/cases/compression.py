"""Compressed heads: RFC 7541. What cannot be decoded is a connection error COMPRESSION_ERROR (RFC 9113, section 4.3)."""

from hpack import Encoder
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from kit.cases import Document
from kit.wire import (END_HEADERS, END_STREAM, HEADERS, HEADER_TABLE_SIZE, PREFACE, Wrong, block, frame, integer, literal,
                      settings)

rfc = Document("RFC 7541")
# GET of / by the static table, and the host as a literal that is not indexed.
STATIC = b"\x82\x86\x84\x01" + integer(9, 7) + b"site.test"


def indexed(index: int) -> bytes:
    return integer(index, 7, 128)


def resized(size: int) -> bytes:
    return integer(size, 5, 32)


def kept(name: bytes, value: bytes) -> bytes:
    """A literal that enters the table (section 6.2.1)."""
    return b"\x40" + integer(len(name), 7) + name + integer(len(value), 7) + value


def coded(bits: str) -> bytes:
    """A value of these bits, said to be Huffman-coded."""
    whole = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return b"\0" + integer(1, 7) + b"x" + integer(len(whole), 7, 128) + whole


def request(fields: bytes, stream: int = 1) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, fields)


A = "00011"  # Huffman's code of "a"

BROKEN = [
    ("2.3.3", "an index beyond both tables", STATIC + indexed(62)),
    ("2.3.3", "an index far beyond both tables", STATIC + indexed(100_000)),
    ("2.3.3", "a literal whose name is beyond both tables", STATIC + integer(70, 6, 64) + b"\1x"),
    ("2.3.3", "an unindexed literal whose name is beyond both tables", STATIC + integer(70, 4) + b"\1x"),
    ("6.1", "an index of 0", STATIC + indexed(0)),
    ("4.2", "a table size above the limit", resized(4097) + STATIC),
    ("4.2", "a table size of 2^32", resized(1 << 32) + STATIC),
    ("4.2", "a table size behind a field", b"\x82" + resized(0) + STATIC[1:]),
    ("4.2", "a table size at the end of a head", STATIC + resized(0)),
    ("5.1", "an integer above 2^64", STATIC + b"\xff" + b"\xff" * 12 + b"\x01"),
    ("5.1", "an integer that never ends", STATIC + b"\xff" + b"\x80" * 200),
    ("5.1", "an integer that is cut off", STATIC + b"\xff\x80"),
    ("5.1", "a length above 2^64", STATIC + b"\0\x7f" + b"\xff" * 12 + b"\x01"),
    ("5.2", "a name that is longer than the head", STATIC + b"\0" + integer(200, 7) + b"x"),
    ("5.2", "a value that is longer than the head", STATIC + b"\0\1x" + integer(200, 7) + b"y"),
    ("5.2", "a literal without a value", STATIC + b"\0\1x"),
    ("5.2", "a Huffman-coded string that is longer than the head", STATIC + b"\0\1x" + integer(100, 7, 128) + b"\x1f"),
    ("5.2", "Huffman padding of 8 bits", STATIC + coded(A + "1" * 11)),
    ("5.2", "Huffman padding of 30 bits, which is EOS", STATIC + coded(A + "1" * 35)),
    ("5.2", "Huffman padding of zeros", STATIC + coded(A + "000")),
    ("5.2", "EOS in a Huffman-coded string", STATIC + coded(A + "1" * 30 + A)),
    ("5.2", "nothing but Huffman padding", STATIC + coded("1" * 8)),
    ("5.2", "a Huffman code that is cut off", STATIC + coded("11111110")),
]
rfc.breaks("COMPRESSION_ERROR", [(section, title, lambda c, fields=fields: [request(fields)])
                                 for section, title, fields in BROKEN])


@rfc("2.3.3", "an index of the table that is gone with a new size: connection error COMPRESSION_ERROR")
def evicted(peer):
    c = peer.settled()
    c.send(request(STATIC + kept(b"x-kept", b"1")))
    c.served(1)
    c.send(request(resized(0) + STATIC + indexed(62), 3))
    c.connection_error("COMPRESSION_ERROR")


@rfc("4.4", "an entry larger than the table empties it: connection error COMPRESSION_ERROR at the next use")
def emptied(peer):
    c = peer.settled()
    c.send(request(STATIC + kept(b"x-kept", b"1") + kept(b"x-large", b"y" * 4096)))
    c.served(1)
    c.send(request(STATIC + indexed(62), 3))
    c.connection_error("COMPRESSION_ERROR")


@rfc("6.3", "a size that this end has lowered would have to be followed; it lowers none")
def own_size(peer):
    if peer.settled().settings.get(HEADER_TABLE_SIZE, 4096) < 4096:
        raise Wrong("it does")


def seen(peer, c, path: str, stream: int, name: str) -> str | None:
    c.served(stream)
    return peer.world.origin.saw(path)[-1][2].get(name)


def served(title: str, section: str, make) -> None:
    """A case of a head whose field `x` arrives at the server as "aaaa"."""
    def run(peer):
        c = peer.settled()
        path = peer.path()
        base = b"\x82\x86" + literal(b":path", path.encode()) + literal(b":authority", b"site.test")
        if peer.name == "TLS":
            base = b"\x82\x87" + base[2:]
        for number, (fields, expected) in enumerate(make(base)):
            c.send(request(fields, 2 * number + 1))
            got = seen(peer, c, path, 2 * number + 1, "x")
            if got != expected:
                raise Wrong(f"request {number + 1}: the server saw {got}")
    rfc.add(section, title, run)


def huffman(text: bytes) -> bytes:
    whole = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text)
    return integer(len(whole), 7, 128) + whole


served("a literal that is not indexed", "6.2.2", lambda base: [(base + literal(b"x", b"aaaa"), "aaaa")])
served("a literal that is never to be indexed", "6.2.3", lambda base: [(base + b"\x10\1x\4aaaa", "aaaa")])
served("a literal that is indexed, and its index in the next request", "6.2.1",
       lambda base: [(base + kept(b"x", b"aaaa"), "aaaa"), (base + indexed(62), "aaaa"), (base, None)])
served("a name from the table, with other values", "6.2.1",
       lambda base: [(base + kept(b"x", b"1"), "1"), (base + integer(62, 4) + b"\1" + b"2", "2"),
                     (base + integer(62, 6, 64) + b"\1" + b"3", "3"), (base + indexed(62), "3"), (base + indexed(63), "1")])
served("Huffman-coded names and values", "5.2", lambda base: [(base + b"\0" + huffman(b"x") + huffman(b"aaaa"), "aaaa")])
served("Huffman padding of 7 bits, and of none", "5.2",
       lambda base: [(base + coded(A * 5 + "1" * 7), "aaaaa"), (base + coded(A * 8), "aaaaaaaa")])
served("an integer with needless zeros", "5.1",
       lambda base: [(base + b"\0\1x" + integer(127, 7) + b"a" * 127, "a" * 127), (base + b"\0\1x\x04aaaa", "aaaa")])
served("table sizes of 0 and then 4096 at the head's beginning", "4.2",
       lambda base: [(resized(0) + resized(4096) + base + kept(b"x", b"aaaa"), "aaaa"), (base + indexed(62), "aaaa")])
served("a smaller table forgets the oldest", "4.3",
       lambda base: [(resized(80) + base + kept(b"x", b"1") + kept(b"y", b"2"), "1"), (base + indexed(63), "1")])
served("entries that push others out are the first of the table", "4.4",
       lambda base: [(base + b"".join(kept(b"fill", b"%d" % n * 1000) for n in range(5)) + kept(b"x", b"aaaa"), "aaaa"),
                     (base + indexed(62), "aaaa")])


@rfc("2.3.2", "a request that is refused still fills the table (RFC 9113, section 4.3)")
def refused_but_decoded(peer):
    c = peer.settled()
    c.send(request(STATIC + kept(b"x", b"aaaa") + literal(b"host", b"other.test")))
    c.stream_error(1, "PROTOCOL_ERROR", answer=True)
    path = peer.path()
    c.send(request(block(*c.fields(path)) + indexed(62), 3))
    if seen(peer, c, path, 3, "x") != "aaaa":
        raise Wrong("the field is lost")


@rfc("6", "a hundred requests of another implementation's encoder, which resizes its table between them")
def encoder(peer):
    c = peer.settled()
    theirs = Encoder()
    for number in range(100):
        theirs.header_table_size = (4096, 200, 0, 1000)[number // 5 % 4]
        path = peer.path()
        fields = [*c.fields(path), (b"x", b"%d" % (number // 3)), (b"cookie", b"a=1"), (b"accept", b"*/*")]
        c.send(request(theirs.encode(fields, huffman=number % 2 == 0), 2 * number + 1))
        if seen(peer, c, path, 2 * number + 1, "x") != str(number // 3):
            raise Wrong(f"request {number}")


@rfc("4.2", "a small table of the client's is kept to")
def small_table(peer):
    c = peer.connect(begin=PREFACE + settings((HEADER_TABLE_SIZE, 100)))
    c.settled()
    c.decoder.max_allowed_table_size = 100
    for stream in range(1, 20, 2):
        c.request(stream, f"/bytes/{stream}")
        c.served(stream)
