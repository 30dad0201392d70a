//! What HTTP says for all of its versions (RFC 9110): what may stand in a field, which host counts, what a head says of the
//! connection and of the body's end. Codecs read heads off their wires; what those mean is decided here, so that no two of
//! them can disagree. A head whose meaning could be read in two ways is refused, not repaired.

use super::head::{self, Field, Framing, Known, RequestHead, ResponseHead, Version};
use super::target::{self, Form};
use super::upgrade;

/// A head that cannot be accepted; says why, for the debug log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Who has the last word on a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    Client,
    Rules,
}

/// Reads what the lines say of the connection and of the body's end.
pub(super) fn interpret_request(head: &mut RequestHead) -> Result<(), Malformed> {
    let (mut length, mut chunked, mut hosts) = (None, false, 0);
    let mut connection = Connection::default();
    let (mut upgrades, mut binds) = (false, false);
    for Field { value, known, .. } in head.lines.iter() {
        match known {
            Known::ContentLength => {
                let earlier = length.replace(content_length(value)?);
                if earlier.is_some() {
                    return Err(Malformed("more than one Content-Length"));
                }
            }
            Known::TransferEncoding => {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("a Transfer-Encoding other than chunked"));
                }
                chunked = true;
            }
            Known::Host => hosts += 1,
            Known::Connection => connection.read(value),
            Known::Upgrade => upgrades |= upgrade::passable(value).next().is_some(),
            Known::Authorization => binds |= head::binds_connection(value),
            _ => {}
        }
    }
    if hosts > 1 {
        return Err(Malformed("more than one Host"));
    }
    if chunked && (length.is_some() || head.version == Version::Http10) {
        return Err(Malformed("Transfer-Encoding beside Content-Length, or in HTTP/1.0"));
    }
    head.framing = match length {
        _ if chunked => Framing::Chunked,
        None | Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
    };
    head.keep_alive = connection.keeps(head.version);
    head.upgrade = upgrades && connection.upgrade && head.version == Version::Http11;
    head.nominates = connection.nominates;
    head.binds_connection = binds;
    Ok(())
}

pub(super) fn interpret_response(head: &mut ResponseHead, to_head: bool) -> Result<(), Malformed> {
    let (mut length, mut chunked, mut unpassable, mut binds) = (None, false, false, false);
    let mut connection = Connection::default();
    for Field { value, known, .. } in head.lines.iter() {
        match known {
            Known::ContentLength => {
                let new = same_lengths(value)?;
                if length.replace(new).is_some_and(|old| old != new) {
                    return Err(Malformed("conflicting Content-Length"));
                }
            }
            Known::TransferEncoding => {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("a Transfer-Encoding other than chunked"));
                }
                chunked = true;
            }
            Known::Connection => connection.read(value),
            Known::Upgrade => unpassable |= !upgrade::is_all_passable(value),
            Known::Challenge => binds |= tokens(value).any(head::binds_connection),
            _ => {}
        }
    }
    // RFC 9112, section 6.3: a Transfer-Encoding overrides a Content-Length, which then is not passed on.
    head.framing = match length {
        _ if to_head || matches!(head.status, 100..=199 | 204 | 304) => Framing::None,
        _ if chunked => Framing::Chunked,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    // HTTP/1.0 knows no chunks: who sends them all the same may mean anything by what comes behind.
    let trusted = head.framing != Framing::Close && !(chunked && head.version == Version::Http10);
    head.keep_alive = connection.keeps(head.version) && trusted;
    head.upgrade = connection.upgrade && !unpassable;
    head.nominates = connection.nominates;
    head.binds_connection = binds;
    Ok(())
}

/// Sees that the target has one of the forms of RFC 9112, section 3.2, that a client of HTTP/1.1 names a host, and that a
/// target that names an authority and the Host line name the same one.
pub(super) fn check_target(head: &mut RequestHead, author: Author) -> Result<(), Malformed> {
    if head.method() == b"PRI" {
        return Err(Malformed("the method of HTTP/2's preface"));
    }
    let target = target::parse(head.method(), head.target())?;
    let line = head.lines.lines.iter().find(|line| line.known == Known::Host).map(|line| line.value);
    let line = match line {
        Some(place) => {
            let authority = target::authority(head.lines.slice(place));
            Some((place, authority.ok_or(Malformed("a Host line that names no host"))?.host))
        }
        None if author == Author::Client && head.version == Version::Http11 => {
            return Err(Malformed("HTTP/1.1 without a Host line"));
        }
        None => None,
    };
    if let (Some((named, _)), Some((place, _)), Author::Client) = (&target.authority, line, author) {
        let (whole, host) = (head.target(), head.lines.slice(place));
        let agrees = match target.form {
            Form::Authority => target::agrees_with_connect(whole, host),
            _ => {
                let scheme = target::scheme(whole).unwrap_or_default();
                target::same_authority(&whole[..scheme], &whole[named.clone()], host)
            }
        };
        if !agrees {
            return Err(Malformed("a Host line beside another authority"));
        }
    }
    head.is_for(&target, line);
    Ok(())
}

/// A length, perhaps repeated in a list: the same each time (RFC 9110, section 8.6).
fn same_lengths(value: &[u8]) -> Result<u64, Malformed> {
    let mut members = value.split(|b| *b == b',').map(|member| content_length(member.trim_ascii()));
    let first = members.next().unwrap_or(Err(Malformed("an empty Content-Length")))?;
    if members.all(|member| member == Ok(first)) {
        Ok(first)
    } else {
        Err(Malformed("conflicting Content-Length"))
    }
}

/// Digits and nothing else, in what 63 bits can hold.
fn content_length(value: &[u8]) -> Result<u64, Malformed> {
    let malformed = Malformed("a Content-Length that is not a number");
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// What the Connection lines ask for.
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    nominates: bool,
}

impl Connection {
    fn read(&mut self, value: &[u8]) {
        for token in tokens(value) {
            match token {
                _ if token.eq_ignore_ascii_case(b"close") => self.close = true,
                _ if token.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if token.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                _ => self.nominates = true,
            }
        }
    }

    fn keeps(&self, version: Version) -> bool {
        !self.close && (self.keep_alive || version == Version::Http11)
    }
}

/// What is to be said of a byte in a name: it is in no token, it is a capital, it is no letter, no digit and no `-`. All of
/// it is found out in one go over the name.
static CLASSES: [u8; 256] = classes();
const NO_TOKEN: u8 = 1;
const CAPITAL: u8 = 2;
const UNUSUAL: u8 = 4;

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut number = 0;
    while number < 256 {
        let byte = number as u8;
        let plain = byte.is_ascii_alphanumeric() || byte == b'-';
        let token = plain
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        classes[number] = if token { 0 } else { NO_TOKEN }
            | if byte.is_ascii_uppercase() { CAPITAL } else { 0 }
            | if plain { 0 } else { UNUSUAL };
        number += 1;
    }
    classes
}

fn class_of(text: &[u8]) -> u8 {
    text.iter().fold(0, |classes, byte| classes | CLASSES[usize::from(*byte)])
}

/// Whether it is a token (RFC 9110, section 5.6.2), as names of fields and protocols are.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && class_of(text) & NO_TOKEN == 0
}

/// Whether it is the name of a field as HTTP/2 and HTTP/3 send it, without capitals (RFC 9113, section 8.2.1); and whether
/// anything is in it but letters, digits and `-`.
pub(crate) fn lower_case_name(text: &[u8]) -> Option<IsUnusual> {
    let classes = class_of(text);
    (!text.is_empty() && classes & (NO_TOKEN | CAPITAL) == 0).then_some(classes & UNUSUAL != 0)
}

/// Whether a name has anything but letters, digits and `-`.
pub(crate) type IsUnusual = bool;

/// Whether it can be a field's value: no control characters but tabs.
pub fn is_field_value(text: &[u8]) -> bool {
    text.iter().fold(true, |all, byte| all & matches!(byte, b'\t' | b' '..=0x7e | 0x80..))
}

/// Whether white space stands around a value: where lines have no ends of their own, it is none of the value's and has no
/// place there (RFC 9113, section 8.2.1).
pub(crate) fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// The members of a list between commas, without the white space around them.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}
