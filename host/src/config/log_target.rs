//! `log`: where log lines go and how they are framed.

use super::address;
use super::model::{LogDestination, LogFormat, LogLevel, LogTarget};
use super::read::is_visible;
use super::section::{Complaint, Reading, Value};
use super::suggest;

/// The port of syslog over UDP (RFC 5426, section 3.3).
const SYSLOG_PORT: u16 = 514;

/// The number of `local0`.
const LOCAL0: u8 = 16;

const FORMATS: &[(&str, LogFormat)] = &[
    ("raw", LogFormat::Raw),
    ("local", LogFormat::Local),
    ("rfc3164", LogFormat::Rfc3164),
    ("rfc5424", LogFormat::Rfc5424),
    ("short", LogFormat::Short),
    ("priority", LogFormat::Priority),
    ("timed", LogFormat::Timed),
    ("iso", LogFormat::Iso),
];

const LEVELS: &[(&str, LogLevel)] = &[
    ("emerg", LogLevel::Emerg),
    ("alert", LogLevel::Alert),
    ("crit", LogLevel::Crit),
    ("err", LogLevel::Err),
    ("warning", LogLevel::Warning),
    ("notice", LogLevel::Notice),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

/// By number, with HAProxy's names.
const FACILITIES: &[(&str, u8)] = &[
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("auth2", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("audit", 13),
    ("alert", 14),
    ("cron2", 15),
    ("local0", LOCAL0),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// A target as a frontend or `[defaults]` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogChoice {
    /// Those of `[global]`.
    Global,
    /// One of its own.
    Target(LogTarget),
}

/// The `log` of a frontend or of `[defaults]`.
pub(super) fn choices(value: Value<'_>) -> Option<Vec<LogChoice>> {
    let choice = |value: Value<'_>| match value.toml().as_str() {
        Some("global") => Some(LogChoice::Global),
        _ => target(value).map(LogChoice::Target),
    };
    Some(value.one_or_many().into_iter().filter_map(choice).collect())
}

/// The `log` of `[global]`.
pub(super) fn targets(value: Value<'_>) -> Option<Vec<LogTarget>> {
    Some(value.one_or_many().into_iter().filter_map(target).collect())
}

fn target(value: Value<'_>) -> Option<LogTarget> {
    if value.toml().is_str() {
        return destination(value).map(of);
    }
    let table = value.section()?;
    let target = table.require("target", destination);
    let format = table.read("format", |value| value.one_of(FORMATS));
    let facility = table.read("facility", |value| value.one_of(FACILITIES));
    let level = table.read("level", |value| value.one_of(LEVELS));
    let tag = table.read("tag", tag);
    let length = table.read("length", |value| value.integer(80..=65_535_u32));
    let plain = of(target?);
    Some(LogTarget {
        format: format.unwrap_or(plain.format),
        facility: facility.unwrap_or(plain.facility),
        level: level.unwrap_or(plain.level),
        tag: tag.unwrap_or(plain.tag),
        length: length.map(|length| length as usize),
        destination: plain.destination,
    })
}

/// A target of which only the destination is given.
fn of(destination: LogDestination) -> LogTarget {
    let format = match destination {
        LogDestination::Stdout | LogDestination::Stderr | LogDestination::File(_) => LogFormat::Raw,
        LogDestination::Udp(_) | LogDestination::Unix(_) => LogFormat::Local,
    };
    let tag = "lb".to_owned();
    LogTarget { destination, format, facility: LOCAL0, level: LogLevel::Debug, tag, length: None }
}

fn destination(value: Value<'_>) -> Option<LogDestination> {
    value.accept(parse_destination(value.text()?, value.reading))
}

fn parse_destination(text: &str, reading: &Reading) -> Result<LogDestination, Complaint> {
    let path = |path: &str| match path {
        "" => Err(Complaint::from(format!("`{text}` has no path"))),
        _ => Ok(reading.path(path)),
    };
    if let Some(file) = text.strip_prefix("file:") {
        return Ok(LogDestination::File(path(file)?));
    }
    if let Some(socket) = text.strip_prefix("unix@") {
        return Ok(LogDestination::Unix(path(socket)?));
    }
    if let Some(host) = text.strip_prefix("udp@") {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        return if has_port { udp(host) } else { udp(&format!("{host}:{SYSLOG_PORT}")) };
    }
    match text {
        "stdout" => Ok(LogDestination::Stdout),
        "stderr" => Ok(LogDestination::Stderr),
        "global" => Err(Complaint::new(
            "`global` is what other sections call the targets of [global]",
            "write where they are, as in `stdout`",
        )),
        _ if text.starts_with('/') => Err(Complaint::new(
            format!("`{text}` may be a file or a socket"),
            format!(
                "write `file:{text}` for a file that is appended to, or `unix@{text}` for the socket of syslog"
            ),
        )),
        _ if text.contains(':') => udp(text),
        _ => {
            let meant = suggest::nearest(text, ["stdout", "stderr", "global"]);
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    "there are `stdout`, `stderr`, `file:PATH`, `udp@HOST:PORT` and `unix@PATH`".to_owned()
                }
            };
            Err(Complaint::new(format!("`{text}` is not a log target"), help))
        }
    }
}

fn udp(text: &str) -> Result<LogDestination, Complaint> {
    let path = |path: &str| path.into();
    address::server(text, path).map(|_| LogDestination::Udp(text.to_owned()))
}

fn tag(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_visible(text) {
        value.unfit("this has something else in it");
        return None;
    }
    Some(text.to_owned())
}
