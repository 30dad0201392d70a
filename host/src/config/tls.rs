//! TLS: `tls` of a `bind`, `hsts` and `redirect_https` of a frontend, and `ssl` and what goes with it of a server.
//! Files are named here and read where the configuration is put to the test.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::diagnostics::Problem;
use super::model::Protocol;
use super::model::tls::{
    BindTls, CertificateFile, ClientVerify, Hsts, HttpsRedirect, PemFile, ServerTls, Spot, TlsVersion,
};
use super::read::{Switch, duration};
use super::section::{Complaint, Section, Value};

/// The protocols that clients can be spoken to in, the most wanted first: what `alpn` offers them by default.
pub(crate) const CLIENT_PROTOCOLS: &[&str] = &["h2", "http/1.1"];

/// The protocols that servers can be spoken to in.
pub(crate) const SERVER_PROTOCOLS: &[&str] = &["h2", "http/1.1"];

const VERSIONS: &[(&str, TlsVersion)] = &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

const CLIENT_VERIFY: &[(&str, ClientVerify)] = &[
    ("none", ClientVerify::None),
    ("optional", ClientVerify::Optional),
    ("required", ClientVerify::Required),
];

const SERVER_PROTOCOL: &[(&str, Protocol)] = &[("h1", Protocol::Http1), ("h2", Protocol::Http2)];

const SERVER_VERIFY: &[(&str, bool)] = &[("none", false), ("required", true)];

/// What `redirect_https = true` answers, as HAProxy does.
const REDIRECT_STATUS: u16 = 302;
const HTTPS_PORT: u16 = 443;

/// `tls` of a `bind`.
pub(super) fn bind(value: Value<'_>) -> Option<BindTls> {
    let table = value.section()?;
    let mut crt = table.require("crt", certificates);
    let key = table.read("key", |value| Some((path(value)?, value.span())));
    match (&mut crt, key) {
        (Some(files), Some((key, _))) if files.len() == 1 => files[0].key = Some(key),
        (Some(_), Some((_, span))) => {
            let problem =
                Problem::error(span, "`bind.tls.key` is for one certificate, and there are several");
            table.report(problem.help("put each private key into the file of its certificate, or beside it"));
        }
        _ => {}
    }
    let min = table.read("min_version", |value| Some((value.one_of(VERSIONS)?, value.span())));
    let max_version = table.read("max_version", |value| value.one_of(VERSIONS)).unwrap_or(TlsVersion::Tls13);
    let min_version = min.as_ref().map_or(TlsVersion::Tls12, |(version, _)| *version);
    if let Some((_, span)) = min.filter(|_| min_version > max_version) {
        table.report(Problem::error(span, "`bind.tls.min_version` is above `bind.tls.max_version`"));
    }
    let verify = table.read("verify", |value| value.one_of(CLIENT_VERIFY)).unwrap_or_default();
    let ca_file = table.read("ca_file", pem_file);
    report_idle_or_missing_authorities(&table, verify, ca_file.as_ref());
    let strict_sni = table.read("strict_sni", Value::boolean).unwrap_or(false);
    let tickets = table.read("tickets", Value::boolean).unwrap_or(true);
    let alpn = table.read("alpn", |value| protocols(value, CLIENT_PROTOCOLS));
    let alpn = alpn.unwrap_or_else(|| CLIENT_PROTOCOLS.iter().map(|name| (*name).to_owned()).collect());
    Some(BindTls { crt: crt?, strict_sni, alpn, min_version, max_version, tickets, verify, ca_file })
}

fn report_idle_or_missing_authorities(table: &Section<'_>, verify: ClientVerify, ca_file: Option<&PemFile>) {
    match (verify, ca_file, table.span_of("verify")) {
        (ClientVerify::Optional | ClientVerify::Required, None, Some(span))
            if table.value("ca_file").is_none() =>
        {
            let message = "clients' certificates cannot be verified: `bind.tls` has no `ca_file`";
            table.report(
                Problem::error(span, message).help("name the authorities: `ca_file = \"clients.pem\"`"),
            );
        }
        (ClientVerify::None, Some(file), _) => {
            let message = "`ca_file` has no effect: clients are not asked for certificates";
            let problem = Problem::warning(file.spot.0.clone(), message);
            table.report(problem.help("add `verify = \"required\"` or `verify = \"optional\"`"));
        }
        _ => {}
    }
}

fn certificates(value: Value<'_>) -> Option<Vec<CertificateFile>> {
    let values = value.one_or_many();
    if values.is_empty() {
        value.refuse("a listener with TLS needs a certificate".to_owned());
    }
    let files = values.into_iter().map(certificate);
    files.collect()
}

pub(super) fn certificate(value: Value<'_>) -> Option<CertificateFile> {
    Some(CertificateFile { path: path(value)?, key: None, spot: Spot(value.span()) })
}

pub(super) fn pem_file(value: Value<'_>) -> Option<PemFile> {
    Some(PemFile { path: path(value)?, spot: Spot(value.span()) })
}

pub(super) fn path(value: Value<'_>) -> Option<PathBuf> {
    let text = value.text()?;
    if text.is_empty() {
        value.unfit("empty");
        return None;
    }
    Some(value.reading.path(text))
}

pub(super) fn server_protocols(value: Value<'_>) -> Option<Vec<String>> {
    protocols(value, SERVER_PROTOCOLS)
}

fn protocols(value: Value<'_>, known: &[&'static str]) -> Option<Vec<String>> {
    let names: Vec<_> = known.iter().map(|name| (*name, *name)).collect();
    let read = value.one_or_many().into_iter().map(|value| value.one_of(&names).map(str::to_owned));
    read.collect()
}

/// Which HTTP a server is spoken to in.
pub(super) fn server_protocol(value: Value<'_>) -> Option<Protocol> {
    value.one_of(SERVER_PROTOCOL)
}

pub(super) fn server_verify(value: Value<'_>) -> Option<bool> {
    value.one_of(SERVER_VERIFY)
}

/// A name that a server can be asked for.
pub(super) fn sni(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    if rustls::pki_types::ServerName::try_from(text).is_err() {
        let message = format!("`{}` is neither a host name nor an IP address", text.escape_debug());
        let help =
            if text.contains(['(', ' ']) { "HAProxy's expressions are not supported here" } else { "" };
        value.refuse(Complaint::new(message, help));
        return None;
    }
    Some(text.to_owned())
}

/// What a server's keys come to; `ssl` is where it is switched on.
pub(super) struct ServerKeys {
    pub(super) ssl: Option<(bool, crate::span::Span)>,
    pub(super) verify: Option<bool>,
    pub(super) ca_file: Option<PemFile>,
    pub(super) sni: Option<String>,
    pub(super) crt: Option<CertificateFile>,
    pub(super) key: Option<PathBuf>,
    pub(super) alpn: Option<Vec<String>>,
    pub(super) check_ssl: Option<bool>,
    pub(super) protocol: Protocol,
    /// Whether checks go elsewhere than requests.
    pub(super) checked_elsewhere: bool,
}

/// The keys without which those of `ssl` have no effect.
pub(super) fn server(section: &Section<'_>, keys: ServerKeys) -> Option<ServerTls> {
    let on = keys.ssl.as_ref().filter(|(on, _)| *on).map(|(_, span)| span.clone());
    let Some(span) = on.or_else(|| section.span().filter(|_| keys.check_ssl == Some(true))) else {
        for key in ["verify", "ca_file", "sni", "crt", "key", "alpn"] {
            if let Some(span) = section.span_of(key) {
                let message = format!("`{key}` has no effect: the server is spoken to in clear");
                section.report(Problem::warning(span, message).help("add `ssl = true`"));
            }
        }
        return None;
    };
    let crt = keys.crt.map(|file| CertificateFile { key: keys.key.clone(), ..file });
    if let (None, Some(span)) = (&crt, section.span_of("key")) {
        section.report(Problem::error(span, "`key` is the private key of `crt`, which is not there"));
    }
    let spoken = if keys.protocol == Protocol::Http2 { "h2" } else { "http/1.1" };
    if let (Some(alpn), Some(span)) = (&keys.alpn, section.span_of("alpn")) {
        for other in alpn.iter().filter(|offered| *offered != spoken) {
            let message = format!("the server would be offered `{other}`, but is spoken to in `{spoken}`");
            let help = match keys.protocol {
                Protocol::Http1 => "say `proto = \"h2\"` for HTTP/2",
                Protocol::Http2 => "leave `alpn` out: `proto = \"h2\"` offers what it speaks",
            };
            section.report(Problem::error(span.clone(), message).help(help));
        }
    }
    let alpn = keys.alpn.unwrap_or_else(|| match keys.protocol {
        Protocol::Http1 => Vec::new(),
        Protocol::Http2 => vec![spoken.to_owned()],
    });
    Some(ServerTls {
        verify: keys.verify.unwrap_or(true),
        ca_file: keys.ca_file,
        sni: keys.sni,
        crt,
        alpn,
        requests: keys.ssl.is_some_and(|(on, _)| on),
        checks: keys.check_ssl.unwrap_or(!keys.checked_elsewhere),
        spot: Spot(span),
    })
}

pub(super) fn hsts(value: Value<'_>) -> Option<Switch<Hsts>> {
    let hsts = match value.toml() {
        DeValue::Boolean(flag) if !flag => return Some(Switch::Off),
        DeValue::Table(_) => {
            let table = value.section()?;
            let max_age = table.require("max_age", duration);
            let include_subdomains = table.read("include_subdomains", Value::boolean).unwrap_or(false);
            let preload = table.read("preload", Value::boolean).unwrap_or(false);
            Hsts { max_age: max_age?, include_subdomains, preload }
        }
        DeValue::String(_) => Hsts { max_age: duration(value)?, include_subdomains: false, preload: false },
        _ => return value.wrong_type(),
    };
    const YEAR: Duration = Duration::from_hours(365 * 24);
    if hsts.preload && (!hsts.include_subdomains || hsts.max_age < YEAR) {
        let message =
            "browsers will not build this in: `preload` wants `include_subdomains = true` and a year";
        value.reading.report(Problem::warning(value.span(), message));
    }
    Some(Switch::On(hsts))
}

pub(super) fn redirect(value: Value<'_>) -> Option<Switch<HttpsRedirect>> {
    let plain = HttpsRedirect { status: REDIRECT_STATUS, port: HTTPS_PORT };
    match value.toml() {
        DeValue::Boolean(false) => Some(Switch::Off),
        DeValue::Boolean(true) => Some(Switch::On(plain)),
        DeValue::Integer(_) => Some(Switch::On(HttpsRedirect { status: redirect_status(value)?, ..plain })),
        DeValue::Table(_) => {
            let table = value.section()?;
            Some(Switch::On(HttpsRedirect {
                status: table.read("code", redirect_status).unwrap_or(plain.status),
                port: table.read("port", |value| value.integer(1..=u16::MAX)).unwrap_or(plain.port),
            }))
        }
        _ => value.wrong_type(),
    }
}

fn redirect_status(value: Value<'_>) -> Option<u16> {
    let status: u16 = value.integer(301..=308)?;
    if ![301, 302, 307, 308].contains(&status) {
        value.unfit("no such redirect");
        return None;
    }
    Some(status)
}
