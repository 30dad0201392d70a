//! What lines show of headers and cookies.

use super::record::Record;
use crate::config::model::Capture;
use crate::http::cookies;
use crate::http::head::{Known, Lines};

/// What is kept of a header: the last line of its name.
pub(super) fn header<'a>(lines: Option<&'a Lines>, capture: &Capture) -> Option<&'a [u8]> {
    last_line(lines?, capture.name.as_bytes()).map(|value| &value[..value.len().min(capture.length)])
}

/// The last line of this name, in any case.
pub(super) fn last_line<'a>(lines: &'a Lines, name: &[u8]) -> Option<&'a [u8]> {
    lines.iter().filter(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value).last()
}

/// What is kept of the cookie in the request: `name=value`.
pub(super) fn request_cookie<'a>(record: &Record<'a>, capture: &Capture) -> Option<&'a [u8]> {
    let lines = record.request?.lines();
    lines.known(Known::Cookie).find_map(|line| {
        let pair = cookies::pairs(line).find(|pair| pair.name == capture.name.as_bytes())?;
        Some(&line[pair.start..pair.end.min(pair.start + capture.length)])
    })
}

/// What is kept of the cookie in the response: `name=value`.
pub(super) fn response_cookie<'a>(record: &Record<'a>, capture: &Capture) -> Option<&'a [u8]> {
    record.response?.lines().known(Known::SetCookie).find_map(|line| {
        let pair = line[..memchr::memchr(b';', line).unwrap_or(line.len())].trim_ascii();
        let equals = memchr::memchr(b'=', pair)?;
        (pair[..equals].trim_ascii() == capture.name.as_bytes())
            .then(|| &pair[..pair.len().min(capture.length)])
    })
}
