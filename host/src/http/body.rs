//! Bodies: where one ends, and how it is written on. Nothing is taken on trust: a body that is not framed
//! as its head says is an error of the side that sent it.

use std::io::Write;
use std::ops::Range;

use super::head::Framing;
use super::parse::Malformed;

/// The most bytes of a chunk's size line, extensions included.
const MAX_SIZE_LINE: usize = 4096;
/// The most trailer lines.
const MAX_TRAILERS: usize = 64;

/// What stands at the front of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Body: the bytes in this range; `used` bytes in all are dealt with then.
    Data {
        /// The body's bytes.
        range: Range<usize>,
        /// How many bytes are dealt with.
        used: usize,
    },
    /// The end: `used` bytes more, trailer lines at this range among them.
    End {
        /// The trailer lines, without the blank line; empty where there are none.
        trailers: Range<usize>,
        /// How many bytes are dealt with.
        used: usize,
    },
    /// Nothing can be said before more comes.
    More,
}

/// Reads a body off the bytes that come in.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UpToClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Done,
}

impl Decoder {
    /// A decoder for a body that is framed like this.
    pub fn new(framing: Framing) -> Decoder {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::Close => State::UpToClose,
        };
        Decoder { state }
    }

    /// Whether the whole body has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the sender's closing is the body's end, and no accident.
    pub fn ends_by_close(&self) -> bool {
        self.state == State::UpToClose
    }

    /// How many bytes of body follow as they are, where that is known from the head: nothing needs to look at them.
    pub fn unframed(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            _ => 0,
        }
    }

    /// Notes that so many of the [`unframed`](Decoder::unframed) bytes have gone by.
    pub fn pass(&mut self, count: u64) {
        if let State::Length(left) = self.state {
            let left = left.saturating_sub(count);
            self.state = if left == 0 { State::Done } else { State::Length(left) };
        }
    }

    /// Says what the next bytes are. Whoever calls takes `used` bytes off the front before the next call.
    ///
    /// # Errors
    /// Where a chunk or a trailer is not as RFC 9112, section 7.1, has it.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, Malformed> {
        match self.state {
            State::Done => Ok(Piece::End { trailers: 0..0, used: 0 }),
            _ if bytes.is_empty() => Ok(Piece::More),
            State::UpToClose => Ok(Piece::Data { range: 0..bytes.len(), used: bytes.len() }),
            State::Length(left) => {
                let count = left.min(bytes.len() as u64) as usize;
                let left = left - count as u64;
                self.state = if left == 0 { State::Done } else { State::Length(left) };
                Ok(Piece::Data { range: 0..count, used: count })
            }
            _ => self.next_chunked(bytes),
        }
    }

    fn next_chunked(&mut self, bytes: &[u8]) -> Result<Piece, Malformed> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(used_so_far(at)),
                    _ => return Err(Malformed("a chunk longer than its size")),
                },
                State::ChunkSize => {
                    let Some((size, used)) = chunk_size(rest)? else { return Ok(used_so_far(at)) };
                    at += used;
                    self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                }
                State::ChunkData(left) => {
                    if rest.is_empty() {
                        return Ok(used_so_far(at));
                    }
                    let count = left.min(rest.len() as u64) as usize;
                    let left = left - count as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    return Ok(Piece::Data { range: at..at + count, used: at + count });
                }
                State::Trailers => {
                    let Some(used) = trailer_section(rest)? else { return Ok(used_so_far(at)) };
                    self.state = State::Done;
                    return Ok(Piece::End { trailers: at..at + used - 2, used: at + used });
                }
                State::Length(_) | State::UpToClose | State::Done => return Ok(Piece::More),
            }
        }
    }
}

/// More is needed, and `at` bytes are dealt with: an empty piece of data, or none.
fn used_so_far(at: usize) -> Piece {
    if at == 0 { Piece::More } else { Piece::Data { range: at..at, used: at } }
}

/// A chunk's size and its line's length.
fn chunk_size(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let malformed = Err(Malformed("a chunk size that is none"));
    if digits > 15 || (digits == 0 && !bytes.is_empty()) {
        return malformed;
    }
    let size = bytes[..digits].iter().fold(0, |sum, digit| sum << 4 | u64::from(hex(*digit)));
    let rest = &bytes[digits..];
    let extension = rest.iter().take_while(|b| matches!(b, b'\t' | b' '..=0x7e | 0x80..)).count();
    if extension > 0 && !matches!(rest.trim_ascii_start().first(), Some(b';') | None | Some(b'\r')) {
        return malformed;
    }
    match &rest[extension..] {
        [] | [b'\r'] if bytes.len() > MAX_SIZE_LINE => Err(Malformed("a chunk extension that is too long")),
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some((size, digits + extension + 2))),
        _ => malformed,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The length of the trailer section, blank line included.
fn trailer_section(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    if bytes.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    let mut storage = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    match httparse::parse_headers(bytes, &mut storage) {
        Ok(httparse::Status::Complete((used, _))) if bytes[..used].ends_with(b"\r\n\r\n") => Ok(Some(used)),
        Ok(httparse::Status::Partial) => Ok(None),
        _ => Err(Malformed("a trailer that is none")),
    }
}

/// How a body is written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is: its end is known from a length or from the connection's end.
    Plain,
    /// In chunks.
    Chunked,
}

/// Writes a piece of a body.
pub fn write_data(encoding: Encoding, data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    if encoding == Encoding::Chunked {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:x}\r\n", data.len());
    }
    out.extend_from_slice(data);
    if encoding == Encoding::Chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a body's end, with the trailer lines, names in lower case, where its framing has a place for them.
pub fn write_end(encoding: Encoding, trailers: &[u8], out: &mut Vec<u8>) {
    if encoding == Encoding::Plain {
        return;
    }
    out.extend_from_slice(b"0\r\n");
    for line in trailers.split_inclusive(|b| *b == b'\n') {
        let name = memchr::memchr(b':', line).unwrap_or(0);
        out.extend(line[..name].iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(&line[name..]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, the trailers and what is left over.
    type Decoded = (Vec<u8>, Vec<u8>, Vec<u8>);

    /// Feeds `wire` in steps of `step` bytes.
    fn decode(framing: Framing, wire: &[u8], step: usize) -> Result<Decoded, Malformed> {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut held, mut fed) = (Vec::new(), Vec::new(), 0);
        loop {
            match decoder.next(&held)? {
                Piece::Data { range, used } => {
                    body.extend_from_slice(&held[range]);
                    held.drain(..used);
                    if decoder.is_done() {
                        return Ok((body, Vec::new(), [&held[..], &wire[fed..]].concat()));
                    }
                }
                Piece::End { trailers, used } => {
                    let trailers = held[trailers].to_vec();
                    held.drain(..used);
                    return Ok((body, trailers, [&held[..], &wire[fed..]].concat()));
                }
                Piece::More if fed == wire.len() => return Err(Malformed("cut off")),
                Piece::More => {
                    let to = (fed + step).min(wire.len());
                    held.extend_from_slice(&wire[fed..to]);
                    fed = to;
                }
            }
        }
    }

    #[test]
    fn chunks_are_read_whatever_the_steps() {
        let wire = b"5\r\nhello\r\n006;x=\"y\"\r\n world\r\n0\r\nSum: 1\r\n\r\nnext";
        for step in 1..=wire.len() {
            let (body, trailers, rest) = decode(Framing::Chunked, wire, step).unwrap();
            assert_eq!(
                (&body[..], &trailers[..], &rest[..]),
                (&b"hello world"[..], &b"Sum: 1\r\n"[..], &b"next"[..])
            );
        }
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let (body, _, rest) = decode(Framing::Length(3), b"abcdef", 2).unwrap();
        assert_eq!((&body[..], &rest[..]), (&b"abc"[..], &b"def"[..]));
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for wire in [
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\nab",
            "1\r\nab\r\n",
            "1 x\r\na\r\n",
            "\r\n",
            "ffffffffffffffff\r\n",
            "1;\0\r\n",
            "1\ra",
            "0\r\nbad trailer\r\n\r\n",
            "0\r\na: b\n\n",
        ] {
            assert!(decode(Framing::Chunked, wire.as_bytes(), 64).is_err(), "{wire:?} was let in");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_chunks_is_read_back(
            body in proptest::collection::vec(any::<u8>(), 0..2000), cut in 1usize..500, step in 1usize..700,
        ) {
            let mut wire = Vec::new();
            for piece in body.chunks(cut) {
                write_data(Encoding::Chunked, piece, &mut wire);
            }
            write_end(Encoding::Chunked, b"A: b\r\n", &mut wire);
            let (read, trailers, rest) = decode(Framing::Chunked, &wire, step).unwrap();
            prop_assert_eq!(read, body);
            prop_assert_eq!(trailers, b"a: b\r\n".to_vec());
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1usize..50) {
            let _ = decode(Framing::Chunked, &bytes, step);
        }
    }
}
