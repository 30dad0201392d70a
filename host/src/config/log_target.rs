//! `log`: where log lines go and how they are framed.

use super::address;
use super::diagnostics::Problem;
use super::model::tls::{PemFile, Spot};
use super::model::{LogDestination, LogFormat, LogFraming, LogLevel, LogPeer, LogStream, LogTarget, LogTls};
use super::read::is_visible;
use super::section::{Complaint, Reading, Section, Value};
use super::tls;
use crate::suggest;

/// The port of syslog over UDP (RFC 5426, section 3.3).
const SYSLOG_PORT: u16 = 514;

/// That of syslog over TCP (RFC 3195 has it as `syslog-conn`), and over TLS (RFC 5425, section 4.1).
const TCP_PORT: u16 = 601;
const TLS_PORT: u16 = 6514;

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

/// Parts of the program, by the names that `log_levels` has for them: where their messages come from.
const MODULES: &[(&str, &[&str])] = &[
    ("control", &["lb_host::control"]),
    ("health", &["lb_host::backend"]),
    ("log", &["lb_host::log"]),
    ("names", &["lb_host::backend::resolve"]),
    ("policy", &["lb_host::policy", "lb::policy"]),
    ("worker", &["lb_host::worker"]),
];

/// `log_levels`: targets and levels of `tracing`.
pub(super) fn levels(value: Value<'_>) -> Option<Vec<(&'static str, &'static str)>> {
    const NAMES: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let mut levels = Vec::new();
    for (name, span, value) in value.named()? {
        let level = value.one_of(&NAMES.map(|name| (name, name)));
        let Some((_, targets)) = MODULES.iter().find(|(module, _)| *module == name) else {
            let message = format!("`{name}` is no part of the program that speaks");
            let help = suggest::help(name, MODULES.iter().map(|(module, _)| *module));
            value.reading.report(Problem::error(span, message).help(help));
            continue;
        };
        levels.extend(level.into_iter().flat_map(|level| targets.iter().map(move |target| (*target, level))));
    }
    Some(levels)
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
    let framing = table.read("framing", |value| {
        value.one_of(&[("octets", LogFraming::Octets), ("lines", LogFraming::Lines)])
    });
    let said = SaidOfTls::read(&table);
    let mut plain = of(target?);
    if let LogDestination::Stream(stream) = &mut plain.destination {
        stream.framing = framing.unwrap_or_else(|| framing_of(format.unwrap_or(plain.format)));
    } else if framing.is_some() {
        let message = "`log.framing` is for connections: `tcp@`, `tls@` and `stream@`";
        table.report(Problem::error(table.span_of("framing"), message));
    }
    said.apply(&table, &mut plain.destination);
    Some(LogTarget {
        format: format.unwrap_or(plain.format),
        facility: facility.unwrap_or(plain.facility),
        level: level.unwrap_or(plain.level),
        tag: tag.unwrap_or(plain.tag),
        length: length.map(|length| length as usize),
        destination: plain.destination,
    })
}

/// What a target says of TLS.
struct SaidOfTls {
    ca_file: Option<PemFile>,
    verify: Option<bool>,
    sni: Option<String>,
}

impl SaidOfTls {
    fn read(table: &Section<'_>) -> SaidOfTls {
        SaidOfTls {
            ca_file: table.read("ca_file", tls::pem_file),
            verify: table.read("verify", |value| value.one_of(&[("required", true), ("none", false)])),
            sni: table.read("sni", tag),
        }
    }

    fn apply(self, table: &Section<'_>, destination: &mut LogDestination) {
        if let LogDestination::Stream(LogStream { peer: LogPeer::Tls(tls), .. }) = destination {
            tls.verify = self.verify.unwrap_or(true);
            (tls.ca_file, tls.sni) = (self.ca_file, self.sni);
            return;
        }
        for key in ["ca_file", "verify", "sni"] {
            if let Some(span) = table.span_of(key) {
                let message = format!("`log.{key}` is for `tls@` targets");
                table.report(Problem::error(span, message));
            }
        }
    }
}

/// What the receivers of a format expect: syslog daemons lengths, everybody else lines.
fn framing_of(format: LogFormat) -> LogFraming {
    match format {
        LogFormat::Local | LogFormat::Rfc3164 | LogFormat::Rfc5424 | LogFormat::Priority => {
            LogFraming::Octets
        }
        LogFormat::Raw | LogFormat::Short | LogFormat::Timed | LogFormat::Iso => LogFraming::Lines,
    }
}

/// A target of which only the destination is given.
fn of(destination: LogDestination) -> LogTarget {
    let format = match destination {
        LogDestination::Stdout | LogDestination::Stderr | LogDestination::File(_) => LogFormat::Raw,
        LogDestination::Udp(_) | LogDestination::Unix(_) => LogFormat::Local,
        LogDestination::Stream(_) => LogFormat::Rfc5424,
    };
    let tag = "lb".to_owned();
    LogTarget { destination, format, facility: LOCAL0, level: LogLevel::Debug, tag, length: None }
}

fn destination(value: Value<'_>) -> Option<LogDestination> {
    let mut destination = value.accept(parse_destination(value.text()?, value.reading))?;
    if let LogDestination::Stream(LogStream { peer: LogPeer::Tls(tls), .. }) = &mut destination {
        tls.spot = Spot(value.span());
    }
    Some(destination)
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
    let stream = |peer| LogDestination::Stream(LogStream { peer, framing: LogFraming::Octets });
    if let Some(socket) = text.strip_prefix("stream@") {
        return Ok(stream(LogPeer::Unix(path(socket)?)));
    }
    if let Some(host) = text.strip_prefix("udp@") {
        return Ok(LogDestination::Udp(with_port(host, SYSLOG_PORT)?));
    }
    if let Some(host) = text.strip_prefix("tcp@") {
        return Ok(stream(LogPeer::Tcp(with_port(host, TCP_PORT)?)));
    }
    if let Some(host) = text.strip_prefix("tls@") {
        let address = with_port(host, TLS_PORT)?;
        return Ok(stream(LogPeer::Tls(LogTls {
            address,
            ca_file: None,
            verify: true,
            sni: None,
            spot: Spot(0..0),
        })));
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
        _ if text.contains(':') => with_port(text, SYSLOG_PORT).map(LogDestination::Udp),
        _ => {
            let meant = suggest::nearest(text, ["stdout", "stderr", "global"]);
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    "there are `stdout`, `stderr`, `file:PATH`, `udp@HOST:PORT`, `tcp@HOST:PORT`, `tls@HOST:PORT`, \
                     `unix@PATH` and `stream@PATH`"
                        .to_owned()
                }
            };
            Err(Complaint::new(format!("`{text}` is not a log target"), help))
        }
    }
}

/// `host:port`, with this port where none is said.
fn with_port(host: &str, port: u16) -> Result<String, Complaint> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let text = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    address::server(&text, |path| path.into()).map(|_| text)
}

fn tag(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_visible(text) {
        value.unfit("this has something else in it");
        return None;
    }
    Some(text.to_owned())
}
