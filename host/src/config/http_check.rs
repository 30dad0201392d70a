//! `httpchk`: what a health check asks, and which answers pass.

use toml::de::DeValue;

use super::diagnostics::Problem;
use super::model::HttpCheck;
use super::read::{Switch, is_token};
use super::section::{Complaint, Value};

const VERSIONS: &[(&str, &str)] = &[("HTTP/1.0", "HTTP/1.0"), ("HTTP/1.1", "HTTP/1.1")];

/// As HAProxy asks if it is told nothing else.
fn plain() -> HttpCheck {
    HttpCheck {
        method: "OPTIONS".to_owned(),
        uri: "/".to_owned(),
        version: "HTTP/1.0".to_owned(),
        headers: Vec::new(),
        expect: vec![(200, 399)],
    }
}

pub(super) fn read(value: Value<'_>) -> Option<Switch<HttpCheck>> {
    let check = match value.toml() {
        DeValue::Boolean(false) => return Some(Switch::Off),
        DeValue::Boolean(true) => plain(),
        DeValue::String(text) => value.accept(request_line(text))?,
        _ => table(value)?,
    };
    if check.version == "HTTP/1.1" && !check.headers.iter().any(|(name, _)| name == "host") {
        let help = "add `headers = { host = \"…\" }`, or ask in HTTP/1.0";
        let problem =
            Problem::warning(value.span(), "a check in HTTP/1.1 without a `host` header may be refused");
        value.reading.report(problem.help(help));
    }
    Some(Switch::On(check))
}

/// `[METHOD] URI [VERSION]`.
fn request_line(text: &str) -> Result<HttpCheck, Complaint> {
    let mut words: Vec<_> = text.split_ascii_whitespace().collect();
    if words.len() == 1 {
        words.insert(0, "OPTIONS");
    }
    let (method, uri, version) = match *words {
        [method, uri] => (method, uri, "HTTP/1.0"),
        [method, uri, version] => (method, uri, version),
        _ => {
            let help = "write a method, a path and possibly a version, as in `GET /status HTTP/1.1`";
            return Err(Complaint::new(format!("`{text}` is not a request"), help));
        }
    };
    let help = format!("there are {} and {}", VERSIONS[0].0, VERSIONS[1].0);
    if !VERSIONS.iter().any(|(known, _)| *known == version) {
        return Err(Complaint::new(format!("`{version}` is not a version of HTTP to check in"), help));
    }
    let version = version.to_owned();
    Ok(HttpCheck { method: method_of(method)?, uri: uri_of(uri)?, version, ..plain() })
}

fn table(value: Value<'_>) -> Option<HttpCheck> {
    let table = value.section()?;
    let plain = plain();
    Some(HttpCheck {
        method: table.read("method", |value| value.accept(method_of(value.text()?))).unwrap_or(plain.method),
        uri: table.read("uri", |value| value.accept(uri_of(value.text()?))).unwrap_or(plain.uri),
        version: table.read("version", |value| value.one_of(VERSIONS)).map_or(plain.version, str::to_owned),
        headers: table.read("headers", headers).unwrap_or(plain.headers),
        expect: table.read("expect", statuses).unwrap_or(plain.expect),
    })
}

fn method_of(text: &str) -> Result<String, Complaint> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Ok(text.to_owned());
    }
    let help = if is_token(text) { format!("write `{}`", text.to_ascii_uppercase()) } else { String::new() };
    Err(Complaint::new(format!("`{text}` is not a method"), help))
}

fn uri_of(text: &str) -> Result<String, Complaint> {
    let begins = text.starts_with('/') || text == "*";
    if begins && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(text.to_owned());
    }
    let help =
        if begins { "encode spaces and what is not ASCII, as in `%20`" } else { "a path begins with `/`" };
    Err(Complaint::new(format!("`{text}` is not a path"), help))
}

fn headers(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut lines = Vec::new();
    for (name, span, value) in value.named()? {
        if !is_token(name) {
            let message = format!("`{}` cannot name a header", name.escape_debug());
            value.reading.report(Problem::error(span, message));
        }
        for value in value.one_or_many() {
            let Some(text) = value.text() else { continue };
            if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                value.refuse(format!("the header `{name}` cannot have control characters in it"));
            }
            lines.push((name.to_ascii_lowercase(), text.trim_matches([' ', '\t']).to_owned()));
        }
    }
    Some(lines)
}

/// Statuses and ranges of them, in one string or in an array.
fn statuses(value: Value<'_>) -> Option<Vec<(u16, u16)>> {
    let mut ranges = Vec::new();
    for value in value.one_or_many() {
        if value.toml().is_integer() {
            ranges.extend(value.integer(100..=599).map(|status: u16| (status, status)));
            continue;
        }
        let Some(text) = value.text() else { continue };
        for range in text.split(',') {
            ranges.extend(value.accept(status_range(range.trim())));
        }
    }
    if ranges.is_empty() && value.toml().as_array().is_some_and(|array| array.is_empty()) {
        value.refuse("`httpchk.expect` names no status, so that no check could pass".to_owned());
    }
    Some(ranges)
}

fn status_range(text: &str) -> Result<(u16, u16), Complaint> {
    let status = |text: &str| {
        let status = text.parse().ok().filter(|status| (100..=599).contains(status) && text.len() == 3);
        status
            .ok_or_else(|| Complaint::new(format!("`{text}` is not a status"), "statuses go from 100 to 599"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    if first > last {
        return Err(Complaint::new(
            format!("the range `{text}` runs backwards"),
            format!("write `{last}-{first}`"),
        ));
    }
    Ok((first, last))
}
