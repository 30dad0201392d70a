//! Readers of the smaller things: each makes one type of a [`Value`], or reports why it cannot.

use std::fmt;
use std::time::Duration;

use super::section::{Complaint, Value};
use super::units::{parse_duration, parse_size};

/// Something that a section can switch off after `[defaults]` switched it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Switch<T> {
    /// `false`.
    Off,
    /// So.
    On(T),
}

impl<T> Switch<T> {
    /// What it is switched on to.
    pub(super) fn on(self) -> Option<T> {
        match self {
            Switch::Off => None,
            Switch::On(value) => Some(value),
        }
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: Value<'_>) -> Option<bool> {
    value.boolean()
}

/// A limit, of which 0 means that there is none.
pub(super) fn limit(value: Value<'_>) -> Option<u32> {
    value.integer(0..=u32::MAX)
}

/// A count that is at least 1 and small enough to add to another.
pub(super) fn count(value: Value<'_>) -> Option<u32> {
    value.integer(1..=65_535)
}

/// A duration, which may be 0.
pub(super) fn duration(value: Value<'_>) -> Option<Duration> {
    if let Some(integer) = value.toml().as_integer() {
        let number = integer.as_str();
        let message = format!("`{number}` has no unit");
        let help = format!(
            "write it in quotes and with its unit: \"{number}s\" for seconds, \"{number}ms\" for milliseconds"
        );
        value.refuse(Complaint::new(message, help));
        return None;
    }
    value.accept(parse_duration(value.text()?))
}

/// A duration that is longer than 0.
pub(super) fn interval(value: Value<'_>) -> Option<Duration> {
    let duration = duration(value)?;
    if duration.is_zero() {
        value.unfit("too short");
    }
    Some(duration).filter(|duration| !duration.is_zero())
}

/// A size of this many bytes: an integer, or a string with a unit.
pub(super) fn size(value: Value<'_>, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
    if value.toml().is_integer() {
        return value.integer(range);
    }
    let size = value.accept(parse_size(value.text()?))?;
    if !range.contains(&size) {
        value.unfit("out of range");
    }
    Some(size).filter(|size| range.contains(size))
}

/// Whether `text` can be part of a log line or a message: visible ASCII and no space.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `name` can name a frontend, a backend or a server.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// Whether `name` can name a header: a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The complaint about a name that [`is_name`] does not let pass.
pub(super) fn bad_name(what: impl fmt::Display, name: &str) -> Complaint {
    let message = format!("`{}` cannot name a {what}", name.escape_debug());
    Complaint::new(message, "a name has letters, digits, `-`, `_`, `.` and `:`, and nothing else")
}
