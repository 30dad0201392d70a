//! `when`, and what stands in its `all`, `any` and `not`.

use regex::bytes::{Regex, RegexBuilder};
use toml::de::DeValue;

use super::Reader;
use crate::config::keys::Scope;
use crate::config::read::{boolean, is_token};
use crate::config::section::{Complaint, Section, Value};
use crate::http::target;
use crate::rules::{Condition, HostPattern, Pattern, Test, ValueTest};

/// What a pattern may take when it is compiled; one that needs more is no pattern for a path.
const PATTERN_BYTES: usize = 1 << 20;

impl Reader {
    /// A table of conditions, all of which hold.
    pub(in crate::config) fn condition(&self, value: Value<'_>) -> Option<Condition> {
        let section = value.section_of(Scope::Condition, "the condition".to_owned(), value.span())?;
        let mut tests = Vec::new();
        tests.extend(section.read("host", |value| many(value, host)).map(Test::Host));
        tests.extend(section.read("host_regex", patterns).map(Test::HostRegex));
        tests.extend(section.read("path", |value| many(value, path)).map(Test::Path));
        tests.extend(section.read("path_prefix", |value| many(value, path)).map(Test::PathPrefix));
        tests.extend(section.read("path_suffix", |value| many(value, text)).map(Test::PathSuffix));
        tests.extend(section.read("path_regex", patterns).map(Test::PathRegex));
        tests.extend(section.read("method", |value| many(value, method)).map(Test::Method));
        tests.extend(self.networks(&section, "from", "from_file").map(Test::From));
        tests.extend(section.read("port", |value| many(value, ports)).map(Test::Port));
        tests.extend(section.read("tls", boolean).map(Test::Tls));
        tests.extend(section.read("sni", |value| many(value, host)).map(Test::Sni));
        tests.extend(
            named(&section, "header", true).into_iter().map(|(name, value)| Test::Header(name, value)),
        );
        tests.extend(
            named(&section, "cookie", false).into_iter().map(|(name, value)| Test::Cookie(name, value)),
        );
        tests.extend(
            named(&section, "query", false).into_iter().map(|(name, value)| Test::Query(name, value)),
        );
        let mut all: Vec<Condition> = tests.into_iter().map(Condition::Test).collect();
        let nested = |value: Value<'_>| many(value, |value| self.condition(value));
        all.extend(
            section.read("all", |value| value.elements().and_then(|_| nested(value))).map(Condition::All),
        );
        all.extend(
            section.read("any", |value| value.elements().and_then(|_| nested(value))).map(Condition::Any),
        );
        for condition in section.read("not", nested).unwrap_or_default() {
            all.push(Condition::Not(Box::new(condition)));
        }
        Some(Condition::All(all))
    }
}

/// One or many of a kind, but not none.
fn many<T>(value: Value<'_>, read: impl Fn(Value<'_>) -> Option<T>) -> Option<Vec<T>> {
    let values = value.one_or_many();
    if values.is_empty() {
        value.unfit("this is empty, and so nothing would fit");
    }
    Some(values.into_iter().filter_map(read).collect())
}

fn text(value: Value<'_>) -> Option<Box<[u8]>> {
    let text = value.text()?;
    if text.is_empty() {
        value.unfit("this is empty");
        return None;
    }
    Some(text.as_bytes().into())
}

/// A path, or how one begins.
fn path(value: Value<'_>) -> Option<Box<[u8]>> {
    let text = value.text()?;
    if text != "*" && !text.starts_with('/') {
        let message = format!("no path begins with `{}`", text.escape_debug());
        value.refuse(Complaint::new(message, format!("write `/{}`", text.escape_debug())));
        return None;
    }
    if let Some(at) = text.find(['?', '#']) {
        let (path, rest) = text.split_at(at);
        let message =
            format!("a path ends where its query begins: `{}` is never part of it", rest.escape_debug());
        value.refuse(Complaint::new(message, format!("write `{}`, and use `query`", path.escape_debug())));
        return None;
    }
    Some(text.as_bytes().into())
}

fn method(value: Value<'_>) -> Option<Box<[u8]>> {
    let text = value.text()?;
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let upper = text.to_ascii_uppercase();
    if known.contains(&&*upper) && upper != text {
        value.refuse(Complaint::new(
            format!("`{text}` is no method"),
            format!("methods have capitals: `{upper}`"),
        ));
        return None;
    }
    if !is_token(text) {
        value.unfit(format!("`{}` is none", text.escape_debug()));
        return None;
    }
    Some(text.as_bytes().into())
}

fn host(value: Value<'_>) -> Option<HostPattern> {
    let text = value.text()?;
    let (star, name) = match text.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let complain = |message: String, help: &str| value.refuse(Complaint::new(message, help));
    let bracketed = name.starts_with('[') && name.ends_with(']');
    if !bracketed
        && let Some((host, port)) = name.rsplit_once(':')
        && !host.contains(':')
    {
        complain(
            format!("a host is compared without its port, and `{}` has one", text.escape_debug()),
            &format!("leave `:{}` out; there is `port` for it", port.escape_debug()),
        );
        return None;
    }
    let whole = if star { name.strip_prefix('.').unwrap_or(name) } else { name };
    if target::authority(whole.as_bytes()).is_none() {
        complain(
            format!("`{}` is no host", text.escape_debug()),
            "write `a.example`, or `*.example` for all that is below",
        );
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if star && !name.starts_with('.') {
        complain(
            format!("`{}` is no host", text.escape_debug()),
            "a star stands for whole labels: `*.example.com`",
        );
        return None;
    }
    let name = name.into_bytes().into();
    Some(if star { HostPattern::Under(name) } else { HostPattern::Exact(name) })
}

/// A port, or a range of them.
fn ports(value: Value<'_>) -> Option<(u16, u16)> {
    if value.toml().is_integer() {
        return value.integer(1..=u16::MAX).map(|port| (port, port));
    }
    let text = value.text()?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Some((first, last)),
        _ => {
            value.unfit(format!("`{}` is not", text.escape_debug()));
            None
        }
    }
}

/// A regular expression.
pub(super) fn regex(value: Value<'_>) -> Option<Regex> {
    let text = value.text()?;
    let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES).unicode(true).build();
    let complaint = |error: regex::Error| match error {
        regex::Error::CompiledTooBig(_) => {
            Complaint::new("this pattern is too large", "make its repetitions smaller")
        }
        // Of a message over several lines, the last one says it.
        other => {
            let said = other.to_string();
            let said = said.lines().last().unwrap_or_default();
            Complaint::new(
                format!("this is no regular expression: {}", said.trim_start_matches("error: ")),
                "",
            )
        }
    };
    value.accept(built.map_err(complaint))
}

fn patterns(value: Value<'_>) -> Option<Vec<Pattern>> {
    many(value, |value| regex(value).map(Pattern))
}

/// Tests of values by names.
fn named(section: &Section<'_>, key: &str, is_header: bool) -> Vec<(Box<str>, ValueTest)> {
    let tests = section.read(key, |value| {
        let entries = value.named()?;
        let read = entries.into_iter().filter_map(|(name, _, value)| {
            if is_header && !is_token(name) {
                value.refuse(format!("`{}` cannot name a header", name.escape_debug()));
                return None;
            }
            Some((Box::from(name), value_test(value)?))
        });
        Some(read.collect())
    });
    tests.unwrap_or_default()
}

fn value_test(value: Value<'_>) -> Option<ValueTest> {
    let whole = |value: Value<'_>| Some(Box::from(value.text()?.as_bytes()));
    match value.toml() {
        DeValue::Boolean(true) => Some(ValueTest::Present),
        DeValue::Boolean(false) => Some(ValueTest::Absent),
        DeValue::String(_) | DeValue::Array(_) => many(value, whole).map(ValueTest::Is),
        DeValue::Table(_) => {
            let entries = value.named()?;
            let [(how, _, inner)] = entries[..] else {
                value.unfit("a table here has one of `prefix`, `suffix`, `contains` and `regex`");
                return None;
            };
            match how {
                "prefix" => many(inner, text).map(ValueTest::Prefix),
                "suffix" => many(inner, text).map(ValueTest::Suffix),
                "contains" => many(inner, text).map(ValueTest::Contains),
                "regex" => patterns(inner).map(ValueTest::Regex),
                _ => {
                    inner.unfit(format!(
                        "`{}` is none of `prefix`, `suffix`, `contains` and `regex`",
                        how.escape_debug()
                    ));
                    None
                }
            }
        }
        _ => value.wrong_type(),
    }
}
