//! Between a client's bytes and hyper: what header fields say is looked at before hyper sees it.
//!
//! hyper takes paths by a grammar of its own. One that it does not take has the stream reset, or the whole connection ended,
//! without an answer and without a line in the log; a fragment it cuts off. For a name or a value that no field may have it
//! ends the connection too, and with it what others may ask on it, although the fault is one request's alone (RFC 9113,
//! section 8.1.1). HTTP/1.1 and HTTP/2 have to give one answer, so what hyper would not take reaches it as something that it
//! does take, and a field with a name that nobody else knows says what it was: [`meant`] reads it. A block that comes in
//! several frames goes on in one, or in frames that end where fields end: where a frame ends within a field, the h2 library
//! forgets that it has seen a field that no request may have, and takes the rest for a request. All other bytes pass as they
//! are, and are not copied.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::PREFACE;
use super::hpack::{Found, Literal, Name, Replaced, Table, field_length, write_string};
use crate::http::target;

/// The name of the field that says what was replaced. No client can send it: no client can know it.
pub(super) static MEANT: LazyLock<HeaderName> = LazyLock::new(|| {
    let name = format!("meant-{:016x}", RandomState::new().hash_one(0_u8));
    HeaderName::try_from(name).unwrap_or(HeaderName::from_static("meant"))
});

/// What stands in a path for a byte that hyper does not take there.
const MARK: u8 = b'|';
const MALFORMED: &[u8] = b"malformed";

/// The head of a frame, and the kinds and flags that matter here (RFC 9113, sections 4.1 and 6).
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// What a frame may hold whatever the settings are.
const MIN_FRAME: usize = 16 * 1024;

/// A look at each of a client's header blocks.
#[derive(Debug)]
pub(super) struct Screen {
    table: Table,
    state: State,
    /// The largest frame that hyper takes.
    max_frame: usize,
    /// How much of a block in several frames is waited for.
    max_held: usize,
}

#[derive(Debug)]
enum State {
    /// So many bytes pass.
    Passing(usize),
    /// The head of a frame comes.
    Between,
    /// A block is in several frames, and these have come.
    Within(Held),
    /// Everything passes: what has come is an error, and hyper is to say so.
    Blind,
}

/// The first frames of a block.
#[derive(Debug)]
struct Held {
    /// As they came.
    frames: Vec<u8>,
    /// The block in them.
    block: Vec<u8>,
    stream: [u8; 4],
    flags: u8,
    priority: Vec<u8>,
}

/// What is to be done with the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many of them go on. How many did is told by [`Screen::passed`].
    Pass(usize),
    /// In place of so many these go on.
    Instead(usize, Vec<u8>),
    /// More have to come.
    More,
}

impl Screen {
    /// A look at a connection from its first byte on.
    pub(super) fn new(max_frame: usize, max_header_list: usize) -> Screen {
        // So much is looked at by hyper before it ends the connection.
        let max_held = max_header_list.saturating_mul(4).saturating_add(MIN_FRAME);
        Screen { table: Table::default(), state: State::Passing(PREFACE.len()), max_frame, max_held }
    }

    /// Says what is to be done with the bytes that come next, of which there is at least one.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        match &self.state {
            State::Passing(count) => return Step::Pass(bytes.len().min(*count)),
            State::Blind => return Step::Pass(bytes.len()),
            State::Between | State::Within(_) => {}
        }
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Step::More };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let is_block = matches!(head[3], HEADERS | PUSH_PROMISE | CONTINUATION);
        if matches!(self.state, State::Between) && !is_block {
            return self.pass(HEAD + length, bytes);
        }
        let begins = matches!(self.state, State::Between);
        let expected = if begins { HEADERS } else { CONTINUATION };
        if head[3] != expected || length > self.max_frame.min(self.max_held) {
            return self.give_up(0, &[]);
        }
        let Some(payload) = rest.get(..length) else { return Step::More };
        match std::mem::replace(&mut self.state, State::Between) {
            State::Within(held) => self.go_on(held, head, payload),
            _ => self.begin(head, payload),
        }
    }

    /// Notes that so many bytes went on.
    pub(super) fn passed(&mut self, count: usize) {
        if let State::Passing(left) = &mut self.state {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.state = State::Between;
            }
        }
    }

    /// Nothing more comes: what has come goes on.
    pub(super) fn ended(&mut self) {
        self.state = State::Blind;
    }

    fn pass(&mut self, count: usize, bytes: &[u8]) -> Step {
        self.state = State::Passing(count);
        Step::Pass(bytes.len().min(count))
    }

    /// Lets go of what was held, and looks at nothing any more. hyper ends the connection for it.
    fn give_up(&mut self, count: usize, also: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Blind) {
            State::Within(held) => Step::Instead(count, [&held.frames, also].concat()),
            _ => Step::Instead(count, also.to_vec()),
        }
    }

    /// Looks at a HEADERS frame.
    fn begin(&mut self, head: &[u8; HEAD], payload: &[u8]) -> Step {
        let whole = HEAD + payload.len();
        let flags = head[4];
        let Some((priority, block)) = parts(flags, payload) else {
            return self.give_up(whole, &[head, payload].concat());
        };
        let stream = [head[5], head[6], head[7], head[8]];
        if flags & END_HEADERS == 0 {
            let frames = [head, payload].concat();
            let (block, priority) = (block.to_vec(), priority.to_vec());
            self.state = State::Within(Held { frames, block, stream, flags, priority });
            return Step::Instead(whole, Vec::new());
        }
        match self.table.follow(block, judge) {
            Ok(found) if found.replaced.is_empty() => {
                self.state = State::Passing(whole);
                Step::Pass(whole)
            }
            Ok(found) => Step::Instead(whole, frames(stream, flags, priority, &amended(block, &found))),
            Err(_) => self.give_up(whole, &[head, payload].concat()),
        }
    }

    /// Looks at a CONTINUATION frame.
    fn go_on(&mut self, mut held: Held, head: &[u8; HEAD], payload: &[u8]) -> Step {
        let whole = HEAD + payload.len();
        held.frames.extend_from_slice(head);
        held.frames.extend_from_slice(payload);
        held.block.extend_from_slice(payload);
        let is_ours = held.stream == head[5..];
        if !is_ours || held.frames.len() > self.max_held {
            self.state = State::Within(held);
            return self.give_up(whole, &[]);
        }
        if head[4] & END_HEADERS == 0 {
            self.state = State::Within(held);
            return Step::Instead(whole, Vec::new());
        }
        match self.table.follow(&held.block, judge) {
            Ok(found) => {
                let made;
                let block = if found.replaced.is_empty() {
                    &held.block
                } else {
                    made = amended(&held.block, &found);
                    &made
                };
                Step::Instead(whole, frames(held.stream, held.flags, &held.priority, block))
            }
            Err(_) => {
                self.state = State::Within(held);
                self.give_up(whole, &[])
            }
        }
    }
}

/// A HEADERS frame's priority, as it stands there, and its part of the block.
fn parts(flags: u8, payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (padding, rest) = match flags & PADDED {
        0 => (0, payload),
        _ => payload.split_first().map(|(padding, rest)| (usize::from(*padding), rest))?,
    };
    let (priority, rest) = if flags & PRIORITY == 0 { (&[][..], rest) } else { rest.split_at_checked(5)? };
    Some((priority, &rest[..rest.len().checked_sub(padding)?]))
}

/// What is to stand in the place of a field, where hyper would not take it, and what it means.
fn judge(field: Literal<'_>) -> Option<(Vec<u8>, Replaced)> {
    let value = field.value;
    let is_fine = match field.name {
        // An empty one has no other of its length; hyper refuses the stream.
        _ if value.is_empty() => true,
        Name::Path => return judge_path(value),
        Name::Authority => target::authority(value).is_some(),
        Name::Scheme => target::is_scheme(value),
        Name::Method => HeaderName::from_bytes(value).is_ok(),
        Name::Other => value.iter().all(|byte| matches!(byte, b'\t' | b' '..) && *byte != 0x7f),
        // These two hyper knows as well, and judges itself.
        Name::OfField => {
            matches!(value, b":protocol" | b":status") || HeaderName::from_lowercase(value).is_ok()
        }
    };
    let replaced = if field.name == Name::OfField { Replaced::MalformedName } else { Replaced::Malformed };
    if is_fine { None } else { Some((vec![b'x'; value.len()], replaced)) }
}

fn judge_path(path: &[u8]) -> Option<(Vec<u8>, Replaced)> {
    let is_taken = |byte: u8| !matches!(byte, b'"' | b'<' | b'>' | b'`');
    if !(path[0] == b'/' || path == b"*") || !path.iter().all(|byte| target::is_in_target(*byte)) {
        let mut other = vec![b'x'; path.len()];
        other[0] = b'/';
        return Some((other, Replaced::Malformed));
    }
    if path.iter().all(|byte| is_taken(*byte)) {
        return None;
    }
    let is_marked = |byte: &u8| !is_taken(*byte) || *byte == MARK;
    let other = path.iter().map(|byte| if is_marked(byte) { MARK } else { *byte }).collect();
    Some((other, Replaced::Path(path.iter().copied().filter(is_marked).collect())))
}

/// The block with what is to stand in it, and with the field that says what that means.
fn amended(block: &[u8], found: &Found) -> Vec<u8> {
    let mut amended = Vec::with_capacity(block.len() + 128);
    let mut from = 0;
    for replacement in &found.replacements {
        amended.extend_from_slice(&block[from..replacement.range.start]);
        write_string(&replacement.value, &mut amended);
        from = replacement.range.end;
    }
    amended.extend_from_slice(&block[from..]);
    // A literal that nobody's table holds.
    amended.push(0);
    write_string(MEANT.as_str().as_bytes(), &mut amended);
    let meant = found.replaced.iter().find(|replaced| !matches!(***replaced, Replaced::Path(_)));
    match meant.or(found.replaced.first()).map(|replaced| &**replaced) {
        Some(Replaced::Path(bytes)) => write_string(bytes, &mut amended),
        _ => write_string(MALFORMED, &mut amended),
    }
    amended
}

/// A block in as many frames as it takes. Each ends where a field ends, but for those that are full of one field.
fn frames(stream: [u8; 4], flags: u8, priority: &[u8], block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(priority.len() + block.len() + 2 * HEAD);
    let (mut kind, mut flags, mut priority) = (HEADERS, flags & !(PADDED | END_HEADERS), priority);
    // Where the next frame begins in the block, and where the field ends that has been looked at last.
    let (mut start, mut field_end) = (0, 0);
    loop {
        let most = start + MIN_FRAME - priority.len();
        let mut end = start;
        while field_end <= most && end < block.len() {
            end = field_end;
            field_end += field_length(&block[end..]).unwrap_or(block.len());
        }
        if end == start {
            end = most.min(block.len());
        }
        let last = if end == block.len() { END_HEADERS } else { 0 };
        out.extend_from_slice(&((priority.len() + end - start) as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[kind, flags | last]);
        out.extend_from_slice(&stream);
        out.extend_from_slice(priority);
        out.extend_from_slice(&block[start..end]);
        if last != 0 {
            return out;
        }
        (kind, flags, priority, start) = (CONTINUATION, 0, &[], end);
    }
}

/// The path that a client sent, of which `path` reached hyper; `None` where the request is none.
pub(super) fn meant<'p>(path: &'p str, said: &HeaderValue) -> Option<Cow<'p, str>> {
    if said == MALFORMED {
        return None;
    }
    let mut bytes = said.as_bytes().iter();
    let put_back = |byte: u8| if byte == MARK { bytes.next().copied().unwrap_or(MARK) } else { byte };
    String::from_utf8(path.bytes().map(put_back).collect()).ok().map(Cow::Owned)
}

/// Whether a trailer is none of the client's, but says that what the client sent is none.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    *name == *MEANT
}

/// Takes what was said out of a request's fields.
pub(super) fn take(headers: &mut HeaderMap) -> Option<HeaderValue> {
    headers.remove(&*MEANT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// A field as a literal that is entered into the table.
    fn field(name: &str, value: &[u8]) -> Vec<u8> {
        let mut block = vec![0x40];
        write_string(name.as_bytes(), &mut block);
        write_string(value, &mut block);
        block
    }

    /// What goes on of a connection that comes in such pieces.
    fn screened(bytes: &[u8], pieces: usize) -> Vec<u8> {
        let mut screen = Screen::new(MIN_FRAME, 16 * 1024);
        let (mut held, mut out) = (Vec::new(), Vec::new());
        for piece in [PREFACE, bytes].concat().chunks(pieces) {
            held.extend_from_slice(piece);
            loop {
                let step = if held.is_empty() { Step::More } else { screen.step(&held) };
                match step {
                    Step::Pass(count) => {
                        out.extend(held.drain(..count));
                        screen.passed(count);
                    }
                    Step::Instead(count, other) => {
                        held.drain(..count);
                        out.extend(other);
                    }
                    Step::More => break,
                }
            }
        }
        out.extend(held);
        assert!(out.starts_with(PREFACE));
        out.split_off(PREFACE.len())
    }

    /// The marker that ends a block which is amended.
    fn said(text: &[u8]) -> Vec<u8> {
        let mut block = vec![0];
        write_string(MEANT.as_str().as_bytes(), &mut block);
        write_string(text, &mut block);
        block
    }

    #[test]
    fn what_hyper_takes_passes_as_it_is_however_it_comes() {
        let block =
            [field(":path", b"/a?b=[c]|{d}"), field(":authority", b"a.test:80"), b"\x82\x86".to_vec()]
                .concat();
        let bytes = [
            frame(4, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, &block),
            frame(0, 1, 1, &[b'x'; 300]),
            frame(
                HEADERS,
                END_HEADERS | PADDED | PRIORITY,
                5,
                &[&b"\x02\0\0\0\0\x10\xbe"[..], b"\0\0"].concat(),
            ),
            frame(HEADERS, END_HEADERS, 7, b"\xbe")[..7].to_vec(),
        ]
        .concat();
        for pieces in [1, 2, 5, 9, 100, 10_000] {
            assert_eq!(screened(&bytes, pieces), bytes, "{pieces}");
        }
    }

    #[test]
    fn what_hyper_does_not_take_is_replaced_and_told() {
        let path = field(":path", b"/\"a|b?<c>`");
        let request = |flags, stream, block: &[u8]| frame(HEADERS, flags | END_HEADERS, stream, block);
        let bytes = [
            request(1, 1, &path),
            frame(
                HEADERS,
                PADDED | PRIORITY,
                3,
                &[&b"\x03\x01\x02\x03\x04\x05\x82\xbe"[..], b"\0\0\0"].concat(),
            ),
            frame(CONTINUATION, END_HEADERS, 3, b"\x86"),
            request(0, 5, b"\x82\x84\x86"),
        ]
        .concat();
        let told = said(b"\"|<>`");
        let expected = [
            request(1, 1, &[field(":path", b"/|a|b?|c||"), told.clone()].concat()),
            request(PRIORITY, 3, &[&b"\x01\x02\x03\x04\x05\x82\xbe\x86"[..], &told].concat()),
            request(0, 5, b"\x82\x84\x86"),
        ]
        .concat();
        for pieces in [1, 3, 10_000] {
            assert_eq!(screened(&bytes, pieces), expected, "{pieces}");
        }
        let told = HeaderValue::from_bytes(b"\"|<>`").unwrap();
        assert_eq!(meant("/|a|b?|c||", &told).unwrap(), "/\"a|b?<c>`");
    }

    #[test]
    fn what_is_no_request_reaches_hyper_as_one_and_is_told() {
        for (name, value) in [
            (":path", &b"/\xe9"[..]),
            (":path", b"/a#b"),
            (":path", b"/a b"),
            (":path", b"a"),
            (":path", b"*x"),
            (":authority", b"a@b"),
            (":authority", b"\xff"),
            (":scheme", b"1"),
            (":method", b"G(T"),
            ("x", b"a\r\nb: c"),
            ("x", b"\0"),
            ("cookie", b"a=\x7f"),
        ] {
            let bytes = frame(HEADERS, END_HEADERS, 1, &[field(name, value), b"\x82".to_vec()].concat());
            let mut other = vec![b'x'; value.len()];
            if name == ":path" {
                other[0] = b'/';
            }
            let block = [field(name, &other), b"\x82".to_vec(), said(MALFORMED)].concat();
            assert_eq!(screened(&bytes, 10_000), frame(HEADERS, END_HEADERS, 1, &block), "{name} {value:?}");
        }
        assert_eq!(meant("/x", &HeaderValue::from_static("malformed")), None);
    }

    #[test]
    fn a_request_without_a_path_is_none() {
        let request = |block: &[u8]| frame(HEADERS, END_HEADERS, 1, block);
        for block in [&b"\x82\x86"[..], b"\x82\x06\x01x", b"\x86\x82\x66\x03a.b"] {
            let expected = request(&[block, &said(MALFORMED)].concat());
            assert_eq!(screened(&request(block), 10_000), expected, "{block:?}");
        }
        for block in [&b"\x82\x86\x84"[..], b"\x82\x41\x03a.b", b"\x04\x01/\x86", b"\x0f\x10\x01x"] {
            assert_eq!(screened(&request(block), 10_000), request(block), "{block:?}");
        }
    }

    #[test]
    fn a_name_that_no_field_may_have_reaches_hyper_as_one_and_is_told() {
        for name in ["X", "x y", "x:", ":x", "x\r\ny", "caf\u{e9}"] {
            let bytes = frame(HEADERS, END_HEADERS, 1, &[field(name, b"a"), b"\x82".to_vec()].concat());
            let block = [field(&"x".repeat(name.len()), b"a"), b"\x82".to_vec(), said(MALFORMED)].concat();
            assert_eq!(screened(&bytes, 10_000), frame(HEADERS, END_HEADERS, 1, &block), "{name}");
        }
        let bytes = frame(
            HEADERS,
            END_HEADERS,
            1,
            &[field(":protocol", b"websocket"), field("x_y", b"a\xe9\tb")].concat(),
        );
        assert_eq!(screened(&bytes, 10_000), bytes);
    }

    #[test]
    fn a_block_that_grows_is_sent_in_as_many_frames_as_it_takes_and_none_ends_within_a_field() {
        let block = [field(":path", b"/<"), field("x", &[b'y'; MIN_FRAME - 20])].concat();
        let sent = screened(&frame(HEADERS, END_HEADERS | 1, 1, &block), 10_000);
        let first = [field(":path", b"/|"), field("x", &[b'y'; MIN_FRAME - 20])].concat();
        let second = said(b"<");
        assert_eq!(
            sent,
            [frame(HEADERS, 1, 1, &first), frame(CONTINUATION, END_HEADERS, 1, &second)].concat()
        );
    }

    #[test]
    fn a_block_in_several_frames_goes_on_in_one_where_it_fits_or_in_frames_that_end_with_fields() {
        let block = [field(":path", b"/"), b"\x82\x86".to_vec(), field("connection", b"close")].concat();
        let several = [
            frame(HEADERS, 1, 3, &block[..4]),
            frame(CONTINUATION, 0, 3, b""),
            frame(CONTINUATION, END_HEADERS, 3, &block[4..]),
        ]
        .concat();
        for pieces in [1, 10_000] {
            assert_eq!(screened(&several, pieces), frame(HEADERS, END_HEADERS | 1, 3, &block));
        }
        let long = field("x", &[b'y'; MIN_FRAME]);
        let (cut, rest) = long.split_at(MIN_FRAME);
        let sent = [
            frame(HEADERS, 0, 1, &block),
            frame(CONTINUATION, 0, 1, &long[..MIN_FRAME]),
            frame(CONTINUATION, END_HEADERS, 1, &[&long[MIN_FRAME..], &block].concat()),
        ]
        .concat();
        let came = [
            frame(HEADERS, 0, 1, &[&block[..], &cut[..5_000]].concat()),
            frame(CONTINUATION, 0, 1, &cut[5_000..]),
            frame(CONTINUATION, END_HEADERS, 1, &[rest, &block].concat()),
        ]
        .concat();
        assert_eq!(screened(&came, 10_000), sent);
    }

    #[test]
    fn what_is_an_error_is_left_to_hyper() {
        let path = frame(HEADERS, END_HEADERS, 9, &field(":path", b"/<"));
        for wrong in [
            frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
            frame(PUSH_PROMISE, END_HEADERS, 1, b"\x82"),
            frame(HEADERS, END_HEADERS, 1, b"\xff"),
            frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05\x82"),
            frame(HEADERS, END_HEADERS | PADDED, 1, b""),
            frame(HEADERS, END_HEADERS | PRIORITY, 1, b"\0\0\0\0"),
            frame(HEADERS, END_HEADERS, 1, &[0x82; MIN_FRAME + 1]),
            [frame(HEADERS, 0, 1, b"\x82"), frame(0, 0, 1, b"")].concat(),
            [frame(HEADERS, 0, 1, b"\x82"), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
            [frame(HEADERS, 0, 1, b"\x82"), frame(CONTINUATION, 0, 1, &[0x82; MIN_FRAME]).repeat(6)].concat(),
        ] {
            let bytes = [&wrong[..], &path].concat();
            for pieces in [1, 10_000] {
                assert_eq!(screened(&bytes, pieces), bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_is_lost(
            frames in proptest::collection::vec(
                (0u8..11, any::<u8>(), 0u8..4, proptest::collection::vec(any::<u8>(), 0..30)), 0..6),
            pieces in 1usize..50,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload)).collect();
            let sent = screened(&bytes, pieces);
            prop_assert_eq!(&sent, &screened(&bytes, 10_000), "what comes of it does not hang on how it comes");
        }
    }
}
