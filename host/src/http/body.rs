//! Bodies: where one ends, and how it is written on. Nothing is taken on trust: a body that is not framed
//! as its head says is an error of the side that sent it.

use std::io::Write;
use std::ops::Range;

use super::head::Framing;
use super::semantics::Malformed;
use super::trailers::{self, Sender, Trailers};

/// The most bytes of a chunk's size line, extensions included, its end not.
const MAX_SIZE_LINE: u16 = 4096;

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
    /// The end: `used` bytes more. [`Decoder::trailers`] has what lines came with it.
    End {
        /// How many bytes are dealt with.
        used: usize,
    },
    /// Nothing can be said before more comes.
    More,
}

/// Reads a body off the bytes that come in.
///
/// What it makes of them does not depend on how they come: it looks at each byte once, and keeps what it needs of those
/// that are dealt with.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    sender: Sender,
    /// Once there are any, or names that are withheld from them.
    trailers: Option<Box<Trailers>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UpToClose,
    /// As far as the message goes, by a protocol that frames it.
    Message,
    ChunkSize(SizeLine),
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Done,
}

/// A chunk's size line, as far as it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SizeLine {
    size: u64,
    length: u16,
    part: SizePart,
}

/// What comes next of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SizePart {
    /// The size's first digit.
    #[default]
    Start,
    /// More digits, or what may stand behind them.
    Digits,
    /// Behind white space, an extension.
    Blank,
    /// An extension, or the line's end.
    Extension,
    /// The line feed.
    End,
}

impl Decoder {
    /// A decoder for a body that is framed like this, and comes from that side.
    pub fn new(framing: Framing, sender: Sender) -> Decoder {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize(SizeLine::default()),
            Framing::Close => State::UpToClose,
        };
        Decoder { state, sender, trailers: None }
    }

    /// A decoder for a body whose end is told by [`Decoder::end_message`].
    pub fn of_message(sender: Sender) -> Decoder {
        Decoder { state: State::Message, sender, trailers: None }
    }

    /// The message has come to its end, with these trailers: lines with their ends.
    ///
    /// # Errors
    /// Where they are none.
    pub fn end_message(&mut self, trailers: &[u8]) -> Result<(), Malformed> {
        debug_assert_eq!(self.state, State::Message);
        self.state = State::Done;
        if !trailers.is_empty() {
            self.trailers_mut().take(trailers)?;
            self.trailers_mut().take(b"\r\n")?;
        }
        Ok(())
    }

    /// Whether the end is told by [`Decoder::end_message`].
    pub fn is_message(&self) -> bool {
        self.state == State::Message
    }

    /// Has trailers of these names, which are in lower case, stay behind: for this program alone says what they say.
    pub fn withhold<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        if !matches!(self.state, State::ChunkSize(_) | State::Message) {
            return;
        }
        for name in names {
            // Most need no memory to be kept out.
            if !trailers::stays_behind(self.sender, name.as_bytes()) {
                self.trailers_mut().withhold(name);
            }
        }
    }

    /// The trailers that go on, once the end has been met: lines with their ends, names in lower case. Asked for again,
    /// there are none.
    pub fn trailers(&mut self) -> Vec<u8> {
        self.trailers.as_mut().map(|trailers| trailers.finish()).unwrap_or_default()
    }

    fn trailers_mut(&mut self) -> &mut Trailers {
        self.trailers.get_or_insert_with(|| Box::new(Trailers::new(self.sender)))
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
            State::Done => Ok(Piece::End { used: 0 }),
            _ if bytes.is_empty() => Ok(Piece::More),
            State::UpToClose | State::Message => Ok(Piece::Data { range: 0..bytes.len(), used: bytes.len() }),
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
                        self.state = State::ChunkSize(SizeLine::default());
                    }
                    [] | [b'\r'] => return Ok(used_so_far(at)),
                    _ => return Err(Malformed("a chunk longer than its size")),
                },
                State::ChunkSize(mut line) => {
                    let (used, ended) = line.take(rest)?;
                    at += used;
                    self.state = match (ended, line.size) {
                        (false, _) => State::ChunkSize(line),
                        (true, 0) => State::Trailers,
                        (true, size) => State::ChunkData(size),
                    };
                    if !ended {
                        return Ok(used_so_far(at));
                    }
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
                    // Most bodies have none.
                    let none = self.trailers.is_none() && rest.starts_with(b"\r\n");
                    let (used, ended) = if none { (2, true) } else { self.trailers_mut().take(rest)? };
                    at += used;
                    if !ended {
                        return Ok(used_so_far(at));
                    }
                    self.state = State::Done;
                    return Ok(Piece::End { used: at });
                }
                State::Length(_) | State::UpToClose | State::Message | State::Done => return Ok(Piece::More),
            }
        }
    }
}

/// More is needed, and `at` bytes are dealt with: an empty piece of data, or none.
fn used_so_far(at: usize) -> Piece {
    if at == 0 { Piece::More } else { Piece::Data { range: at..at, used: at } }
}

impl SizeLine {
    /// Takes what has come of it. Answers how many bytes that was, and whether the line has ended.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        for (at, byte) in bytes.iter().enumerate() {
            self.part = match (self.part, byte) {
                (SizePart::End, b'\n') => return Ok((at + 1, true)),
                (SizePart::Start | SizePart::Digits, digit) if digit.is_ascii_hexdigit() => {
                    self.size = self.size << 4 | u64::from(hex(*digit));
                    // Fifteen digits are more than any body is long.
                    if self.length == 15 {
                        return Err(Malformed("a chunk size that is too large"));
                    }
                    SizePart::Digits
                }
                (SizePart::Digits | SizePart::Extension, b'\r') => SizePart::End,
                (SizePart::Digits | SizePart::Blank, b'\t' | b' ') => SizePart::Blank,
                (SizePart::Digits | SizePart::Blank, b';') => SizePart::Extension,
                (SizePart::Extension, b'\t' | b' '..=0x7e | 0x80..) => SizePart::Extension,
                _ => return Err(Malformed("an invalid chunk size")),
            };
            self.length += 1;
            if self.length > MAX_SIZE_LINE && self.part != SizePart::End {
                return Err(Malformed("a chunk extension that is too long"));
            }
        }
        Ok((bytes.len(), false))
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
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
        let mut decoder = Decoder::new(framing, Sender::Client);
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
                Piece::End { used } => {
                    held.drain(..used);
                    return Ok((body, decoder.trailers(), [&held[..], &wire[fed..]].concat()));
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
                (&b"hello world"[..], &b"sum: 1\r\n"[..], &b"next"[..])
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
            "1 \r\na\r\n0\r\n\r\n",
            "1 \r\n;a\r\n0\r\n\r\n",
            "1\t x;y\r\na\r\n0\r\n\r\n",
            "1;a\nb\r\na\r\n0\r\n\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
            "0000000000000001\r\na\r\n0\r\n\r\n",
        ] {
            assert!(decode(Framing::Chunked, wire.as_bytes(), 64).is_err(), "{wire:?} was let in");
        }
    }

    #[test]
    fn an_extension_is_as_long_as_it_may_be_however_it_comes() {
        for (length, fits) in [(100, true), (4094, true), (4095, false), (5000, false)] {
            let wire = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length));
            for step in [1, 2, 3, 100, 4096, 4097, 5001, 8000] {
                assert_eq!(decode(Framing::Chunked, wire.as_bytes(), step).is_ok(), fits, "{length} {step}");
            }
        }
    }

    #[test]
    fn names_that_are_withheld_are_no_trailers() {
        let mut decoder = Decoder::new(Framing::Chunked, Sender::Server);
        decoder.withhold(["x-own"].into_iter());
        assert_eq!(decoder.next(b"0\r\nX-Own: 1\r\nX-A: 1\r\n\r\n"), Ok(Piece::End { used: 23 }));
        assert_eq!((decoder.trailers(), decoder.trailers()), (b"x-a: 1\r\n".to_vec(), Vec::new()));
    }

    proptest! {
        /// Nearly right ones, with every split in two, and byte by byte.
        #[test]
        fn however_chunks_come_they_are_read_the_same(
            chunks in proptest::collection::vec(
                "0{0,2}[1-3]([ \t]?;[a-z=\"]{0,5}| )?(\r\n|\r\n|\r\n|\r\n|\n)[a-z]{1,3}(\r\n|\r\n|\r\n|)", 0..4,
            ),
            trailers in "([a-zA-Z_-]{0,3}: ?[a-z]{0,3}(\r\n|\r\n|\n))?",
        ) {
            let wire = chunks.concat() + "0\r\n" + &trailers + "\r\nrest";
            let whole = decode(Framing::Chunked, wire.as_bytes(), wire.len());
            prop_assert_eq!(&whole.clone().map_err(drop), &decode(Framing::Chunked, wire.as_bytes(), 1).map_err(drop));
            for at in 1..wire.len() {
                let cut = decode(Framing::Chunked, wire.as_bytes(), at);
                prop_assert_eq!(whole.clone().map_err(drop), cut.map_err(drop), "{}", at);
            }
        }

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
