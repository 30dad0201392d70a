//! What is fuzzed: bytes from the network, bytes from files, answers from policies. Each target is a function of bytes
//! that panics where something does not hold that must.
//!
//! `cargo test` runs each target on its corpus, `fuzz/corpus`, and on mutations of it that a seed determines; the
//! programs in `fuzz/` look with coverage for as long as they are let. Inputs are written in a language of their own,
//! [`expand`]: random bytes never make a head, words of the protocol in nearly the right order do.

mod answers;
mod authority;
mod files;
mod http;
mod http2;
mod policies;

#[cfg(test)]
mod tests;

/// Something that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its corpus, and of its program in `fuzz/`.
    pub name: &'static str,
    /// The words that inputs are made of, at most [`MOST_WORDS`].
    words: &'static [&'static str],
    /// Panics where what must hold of these bytes does not.
    check: fn(&[u8]),
    /// In how many fewer mutations than others it is tried by `cargo test`: so many times.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    slowness: u64,
}

impl Target {
    const fn new(name: &'static str, words: &'static [&'static str], check: fn(&[u8])) -> Target {
        assert!(words.len() <= MOST_WORDS);
        Target { name, words, check, slowness: 1 }
    }

    /// One that takes so many times as long as others.
    const fn slow(self, slowness: u64) -> Target {
        Target { slowness, ..self }
    }

    /// Tries an input.
    ///
    /// # Panics
    /// Where something does not hold that must.
    pub fn run(&self, input: &[u8]) {
        match self.words {
            [] => (self.check)(input),
            words => (self.check)(&expand(input, words)),
        }
    }
}

/// The target of this name.
///
/// # Panics
/// Where there is none.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}

/// All targets.
pub const TARGETS: &[Target] = &[
    http::REQUEST,
    http::RESPONSE,
    http::CHUNKED,
    http::COOKIES,
    http2::HTTP2,
    authority::AUTHORITY,
    files::CONFIGURATION,
    files::LOG_FORMAT,
    files::PAGE,
    files::LISTS,
    files::SERVERS,
    files::COMPONENT,
    answers::AMENDMENT,
    policies::POLICY_ANSWERS,
];

/// The most words of a target.
pub const MOST_WORDS: usize = 127;
/// What stands for a byte that stands for a word, or for itself: the next byte is taken as it is.
const LITERAL: u8 = 0xff;

/// What an input says: bytes below 0x80 are themselves, those from 0x80 on are words, by their number. So ASCII text is
/// an input that says itself. 0xff puts the next byte as it is.
fn expand(input: &[u8], words: &[&str]) -> Vec<u8> {
    let mut text = Vec::with_capacity(input.len() * 2);
    let mut bytes = input.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            LITERAL => text.extend(bytes.next()),
            0x80.. => match words.get(usize::from(byte & 0x7f)) {
                Some(word) => text.extend_from_slice(word.as_bytes()),
                None => text.push(byte),
            },
            _ => text.push(byte),
        }
    }
    text
}
