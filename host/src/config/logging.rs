//! How a frontend's exchanges become lines: `log_format`, `capture`, and which exchanges have a line.

use super::layer::Proxy;
use super::log_format;
use super::model::{Capture, Captures, LogLine, Logging, Sample};
use super::read::is_token;
use super::section::{Section, Value};

/// How much of a header is kept where that is not said.
const CAPTURE_LENGTH: usize = 64;
/// The most that can be kept of one.
const CAPTURE_MAX: u32 = 4_096;
/// The most headers of a message of which something is kept; each adds to every line.
const CAPTURES_MAX: usize = 32;

/// What `proxy` says of it, which is what `section` says over what `[defaults]` do. `own_format` and
/// `own_httplog` tell whether the section itself says either: the nearer one counts.
pub(super) fn resolve(section: &Section<'_>, proxy: &Proxy, own_format: bool, own_httplog: bool) -> Logging {
    let httplog = proxy.httplog.map(|httplog| if httplog { LogLine::Http } else { LogLine::Connect });
    let line = match (proxy.log_format.clone(), httplog) {
        (Some(_), Some(httplog)) if own_httplog && !own_format => httplog,
        (Some(format), _) => format,
        (None, httplog) => httplog.unwrap_or(LogLine::Connect),
    };
    let captures = proxy.capture.clone().unwrap_or_default();
    if let Some(complaint) = log_format::missing_capture(&line, &captures) {
        let problem = super::diagnostics::Problem::error(
            section.span_of("log_format").or_else(|| section.span()),
            complaint.message,
        );
        section.report(problem.help(complaint.help));
    }
    Logging {
        line,
        captures,
        only_errors: proxy.log_only.unwrap_or(false),
        separate_errors: proxy.log_separate_errors.unwrap_or(false),
        sample: proxy.log_sample.filter(|sample| sample.lines < sample.of),
    }
}

/// `log_only`: whether only exchanges with an error are logged.
pub(super) fn only(value: Value<'_>) -> Option<bool> {
    value.one_of(&[("all", false), ("errors", true)])
}

/// `log_sample`: `1:100`, or a share of 1 such as 0.01.
pub(super) fn sample(value: Value<'_>) -> Option<Sample> {
    if let Some(float) = value.toml().as_float() {
        let share: f64 = float.as_str().parse().unwrap_or_default();
        if !(share > 0.0 && share <= 1.0) {
            value.unfit("out of range");
            return None;
        }
        // Shares are told apart down to a millionth.
        let lines = (share * 1_000_000.0).round().max(1.0) as u32;
        let divisor = greatest_divisor(lines, 1_000_000);
        return Some(Sample { lines: lines / divisor, of: 1_000_000 / divisor });
    }
    let text = value.text()?;
    let numbers = text.split_once(':').and_then(|(lines, of)| Some((lines.parse().ok()?, of.parse().ok()?)));
    let sample = numbers.filter(|(lines, of)| (1..=*of).contains(lines) && *of <= 1_000_000);
    if sample.is_none() {
        value.unfit("this is not");
    }
    sample.map(|(lines, of): (u32, u32)| Sample { lines, of })
}

fn greatest_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// `capture`.
pub(super) fn captures(value: Value<'_>) -> Option<Captures> {
    let table = value.section()?;
    Some(Captures {
        request: table.read("request", headers).unwrap_or_default(),
        response: table.read("response", headers).unwrap_or_default(),
        cookie: table.read("cookie", cookie),
    })
}

fn headers(value: Value<'_>) -> Option<Vec<Capture>> {
    let values = value.one_or_many();
    if values.len() > CAPTURES_MAX {
        value.unfit("too many");
        return None;
    }
    Some(values.into_iter().filter_map(header).collect())
}

/// A header's name, or a table with it.
fn header(value: Value<'_>) -> Option<Capture> {
    if value.toml().is_str() {
        return Some(Capture { name: header_name(value)?, length: CAPTURE_LENGTH });
    }
    let table = value.section()?;
    let name = table.require("header", header_name);
    let length = table.read("len", length);
    Some(Capture { name: name?, length: length.unwrap_or(CAPTURE_LENGTH) })
}

fn cookie(value: Value<'_>) -> Option<Capture> {
    if value.toml().is_str() {
        return Some(Capture { name: token(value)?.into(), length: CAPTURE_LENGTH });
    }
    let table = value.section()?;
    let name = table.require("name", token);
    let length = table.read("len", length);
    Some(Capture { name: name?.into(), length: length.unwrap_or(CAPTURE_LENGTH) })
}

fn header_name(value: Value<'_>) -> Option<Box<str>> {
    token(value).map(|name| name.to_ascii_lowercase().into())
}

fn token<'a>(value: Value<'a>) -> Option<&'a str> {
    let text = value.text()?;
    if !is_token(text) {
        value.unfit(format!("`{text}` is not"));
    }
    Some(text).filter(|text| is_token(text))
}

fn length(value: Value<'_>) -> Option<usize> {
    value.integer(1..=CAPTURE_MAX).map(|length| length as usize)
}
