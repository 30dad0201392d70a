//! The language in which a client's side of a connection is written, a line for each step, so that nearly right frames
//! with nearly right header blocks are what chance makes.
//!
//! Fields are collected until a frame takes them:
//!
//! | line | what it adds to the block |
//! |---|---|
//! | `+ NAME VALUE` | a literal that is entered into the table; `-` one that is not, `!` one that never is |
//! | `= 2` | the entry with this index |
//! | `u 0` | a change of the table's size |
//! | `r TEXT` | these bytes |
//!
//! `h` behind the first character has the value in Huffman's code, `H` the name too; a name `#4` is the one of this index.
//!
//! | line | frame |
//! |---|---|
//! | `H STREAM FLAGS` | HEADERS; of the flags `e` ends the stream, `p` pads, `y` adds a priority, `c` leaves half the block to `C` |
//! | `C STREAM FLAGS` | CONTINUATION |
//! | `D STREAM FLAGS TEXT` | DATA |
//! | `R STREAM CODE`, `W STREAM SIZE`, `S ID VALUE`, `G CODE`, `P` | RST_STREAM, WINDOW_UPDATE, SETTINGS, GOAWAY, PING |
//! | `F KIND FLAGS STREAM TEXT` | any |
//! | `B TEXT` | no frame: these bytes |
//!
//! STREAM is a number, `+` for the next one of a client, or `.` for the last one named. In a TEXT or VALUE `\n`, `\r`, `\\`
//! and `\x00` stand for the bytes that they do elsewhere. Anything else adds nothing. A text that begins with a `B` begins
//! the connection too; before all others go the preface and a frame of SETTINGS.

use super::hpack::{Coding, write_integer, write_string};
use crate::http2::PREFACE;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The bytes that a text stands for.
pub(super) fn bytes(text: &[u8]) -> Vec<u8> {
    let mut script = Script::default();
    if text.first() != Some(&b'B') {
        script.out.extend_from_slice(PREFACE);
        script.frame(SETTINGS, 0, 0, &[]);
    }
    text.split(|byte| *byte == b'\n').for_each(|line| script.line(line));
    script.out
}

#[derive(Default)]
struct Script {
    out: Vec<u8>,
    /// Of the block what no frame has taken yet.
    block: Vec<u8>,
    /// The last stream that a client began.
    newest: u32,
    /// The last stream that was named.
    named: u32,
}

impl Script {
    fn line(&mut self, line: &[u8]) {
        let (what, rest) = word(line);
        let coding = |mark: &[u8]| {
            if what.get(1).is_some_and(|byte| mark.contains(byte)) { Coding::Huffman } else { Coding::Plain }
        };
        match what.first() {
            Some(b'+') => self.literal(0x40, 6, rest, coding(b"H"), coding(b"hH")),
            Some(b'-') => self.literal(0, 4, rest, coding(b"H"), coding(b"hH")),
            Some(b'!') => self.literal(0x10, 4, rest, coding(b"H"), coding(b"hH")),
            Some(b'=') => write_integer(0x80, 7, number(rest), &mut self.block),
            Some(b'u') => write_integer(0x20, 5, number(rest), &mut self.block),
            Some(b'r') => self.block.extend(unescaped(rest)),
            Some(b'H') => self.headers(HEADERS, rest),
            Some(b'C') => self.headers(CONTINUATION, rest),
            Some(b'D') => {
                let (stream, rest) = self.stream(rest);
                let (flags, text) = word(rest);
                self.padded(DATA, flags, stream, &unescaped(text));
            }
            Some(b'R') => self.with_number(RST_STREAM, rest),
            Some(b'W') => self.with_number(8, rest),
            Some(b'S') => {
                let (id, value) = word(rest);
                let payload = [&(number(id) as u16).to_be_bytes()[..], &(number(value) as u32).to_be_bytes()];
                self.frame(SETTINGS, 0, 0, &payload.concat());
            }
            Some(b'G') => {
                let payload = [&0_u32.to_be_bytes()[..], &(number(rest) as u32).to_be_bytes()].concat();
                self.frame(7, 0, 0, &payload);
            }
            Some(b'P') => self.frame(6, 0, 0, &[0; 8]),
            Some(b'F') => {
                let (kind, rest) = word(rest);
                let (flags, rest) = word(rest);
                let (stream, text) = self.stream(rest);
                self.frame(number(kind) as u8, number(flags) as u8, stream, &unescaped(text));
            }
            Some(b'B') => self.out.extend(unescaped(rest)),
            _ => {}
        }
    }

    fn literal(&mut self, before: u8, prefix: u32, field: &[u8], name_coding: Coding, coding: Coding) {
        let (name, value) = word(field);
        match name.strip_prefix(b"#") {
            Some(index) => write_integer(before, prefix, number(index), &mut self.block),
            None => {
                self.block.push(before);
                write_string(&unescaped(name), name_coding, &mut self.block);
            }
        }
        write_string(&unescaped(value), coding, &mut self.block);
    }

    fn headers(&mut self, kind: u8, rest: &[u8]) {
        let (stream, rest) = self.stream(rest);
        let (flags, _) = word(rest);
        let mut fragment = std::mem::take(&mut self.block);
        if flags.contains(&b'c') {
            self.block = fragment.split_off(fragment.len() / 2);
        }
        if kind == HEADERS && flags.contains(&b'y') {
            fragment.splice(0..0, [0, 0, 0, 0, 16]);
        }
        self.padded(kind, flags, stream, &fragment);
    }

    /// A frame with the flags that these letters stand for, and padding where they say so.
    fn padded(&mut self, kind: u8, letters: &[u8], stream: u32, payload: &[u8]) {
        let has = |letter: u8, flag: u8| if letters.contains(&letter) { flag } else { 0 };
        let ends = if kind != DATA && !letters.contains(&b'c') { END_HEADERS } else { 0 };
        let flags = match kind {
            CONTINUATION => ends,
            HEADERS => has(b'e', END_STREAM) | has(b'p', PADDED) | has(b'y', PRIORITY) | ends,
            _ => has(b'e', END_STREAM) | has(b'p', PADDED),
        };
        if flags & PADDED == 0 {
            return self.frame(kind, flags, stream, payload);
        }
        self.frame(kind, flags, stream, &[&[3], payload, &[0; 3]].concat());
    }

    fn with_number(&mut self, kind: u8, rest: &[u8]) {
        let (stream, code) = self.stream(rest);
        self.frame(kind, 0, stream, &(number(code) as u32).to_be_bytes());
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        self.out.extend_from_slice(&[kind, flags]);
        self.out.extend_from_slice(&stream.to_be_bytes());
        self.out.extend_from_slice(payload);
    }

    /// The stream that comes first in a text, and what is behind it.
    fn stream<'t>(&mut self, text: &'t [u8]) -> (u32, &'t [u8]) {
        let (stream, rest) = word(text);
        self.named = match stream {
            b"+" if self.newest == 0 => 1,
            b"+" => self.newest + 2,
            b"." => self.named,
            digits => number(digits) as u32,
        };
        self.newest = self.newest.max(self.named & 0xffff);
        (self.named, rest)
    }
}

/// A text up to its first space, and what is behind that.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// The number that a text's digits make, within bounds.
fn number(text: &[u8]) -> usize {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| (number * 10 + usize::from(digit - b'0')).min(0xffff_ffff))
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let (byte, behind) = match (byte, behind) {
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default() as u8;
                (digit(high) << 4 | digit(low), behind)
            }
            _ => (*byte, behind),
        };
        out.push(byte);
        rest = behind;
    }
    out
}
