//! `[resolvers.NAME]`, and `servers = { from = … }`: servers that come from elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::address::{self, NoName};
use super::diagnostics::Problem;
use super::keys::Scope;
use super::model::discovery::{
    Consul, ConsulTls, Family, FileFormat, NameServer, Resolution, Resolvers, Source, Template, Token,
};
use super::model::tls::{PemFile, Spot};
use super::model::{Server, ServerAddress};
use super::read::{bad_name, duration, interval, is_name, is_visible};
use super::section::{Complaint, Section, Value};
use super::tls;
use crate::span::Span;
use crate::suggest;

/// The resolvers that need no section: the system's name servers.
const SYSTEM: &str = "system";

/// How long Consul may hold back an answer where nobody says.
const WAIT: Duration = Duration::from_secs(300);

const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Consul cuts what is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The most slots of a backend.
const MOST_SLOTS: usize = 4_096;

/// The kinds of sources.
const SOURCES: [&str; 4] = ["dns", "srv", "file", "consul"];

/// The resolvers of a file, by name.
pub(super) type Known = HashMap<String, Arc<Resolvers>>;

/// `[resolvers.*]`, and those that need no section.
pub(super) fn resolvers(file: &Section<'_>) -> Known {
    let mut known = Known::from([(SYSTEM.to_owned(), Arc::default())]);
    for (name, span, value) in file.read("resolvers", Value::named).unwrap_or_default() {
        if !is_name(name) {
            let complaint = bad_name("resolvers section", name);
            value.reading.report(Problem::error(span.clone(), complaint.message).help(complaint.help));
        }
        if name == SYSTEM {
            let message = "`system` is the name of the system's own resolvers";
            value.reading.report(Problem::error(span.clone(), message).help("take another name"));
        }
        let title = format!("resolvers `{}`", name.escape_debug());
        if let Some(section) = value.section_of(Scope::Resolvers, title, span) {
            known.insert(name.to_owned(), Arc::new(section_of_resolvers(&section)));
        }
    }
    known
}

fn section_of_resolvers(section: &Section<'_>) -> Resolvers {
    let plain = Resolvers::default();
    let timeout = section.read("timeout", Value::section);
    let hold = section.read("hold", Value::section);
    let (timeout, hold) = (timeout.as_ref(), hold.as_ref());
    let (min_ttl, max_ttl) = (section.read("min_ttl", interval), section.read("max_ttl", interval));
    if let (Some(min), Some(max)) = (min_ttl, max_ttl)
        && min > max
    {
        let problem = Problem::error(section.span_of("min_ttl"), "`min_ttl` is longer than `max_ttl`");
        section.report(problem.help("make it shorter, or `max_ttl` longer"));
    }
    // One that is given counts, whatever the other one is where it is not.
    let max_ttl = max_ttl.unwrap_or(plain.max_ttl.max(min_ttl.unwrap_or_default()));
    Resolvers {
        nameservers: section.read("nameservers", nameservers).unwrap_or_default(),
        timeout: timeout.and_then(|table| table.read("retry", interval)).unwrap_or(plain.timeout),
        retries: section.read("resolve_retries", |value| value.integer(0..=100)).unwrap_or(plain.retries),
        min_ttl: min_ttl.unwrap_or(plain.min_ttl.min(max_ttl)),
        max_ttl,
        hold_nx: hold.and_then(|table| table.read("nx", duration)).unwrap_or(plain.hold_nx),
        hold_obsolete: hold.and_then(|table| table.read("obsolete", duration)).unwrap_or(plain.hold_obsolete),
    }
}

fn nameservers(value: Value<'_>) -> Option<Vec<NameServer>> {
    let values = value.elements()?;
    if values.is_empty() {
        let help = "name one, or leave `nameservers` out for those of the system";
        value.refuse(Complaint::new("there is nobody to ask", help));
    }
    Some(values.into_iter().filter_map(|value| value.accept(nameserver(value.text()?))).collect())
}

fn nameserver(text: &str) -> Result<NameServer, Complaint> {
    let (tcp, rest) = match text.split_once('@') {
        None | Some(("udp", _)) => (false, text.trim_start_matches("udp@")),
        Some(("tcp", rest)) => (true, rest),
        Some((other, _)) => {
            let message = format!("name servers are not asked over `{}`", other.escape_debug());
            return Err(Complaint::new(message, "there are `udp@` and `tcp@`"));
        }
    };
    if rest.parse::<std::net::IpAddr>().is_ok() {
        return Err(Complaint::new(format!("`{rest}` has no port"), "that of DNS is 53"));
    }
    let (host, port) = address::host_and_port(rest)?;
    let ip = host.parse().map_err(|_| {
        let message = format!("`{}` is not an IP address", host.escape_debug());
        Complaint::new(message, "a name server has no name that could be asked for")
    })?;
    Ok(NameServer { address: SocketAddr::new(ip, address::port(port)?), tcp })
}

/// The resolvers that a server names.
pub(super) fn named(value: Value<'_>) -> Option<Arc<Resolvers>> {
    let name = value.text()?;
    let known = value.reading.resolvers();
    let found = known.get(name).cloned();
    if found.is_none() {
        let mut names: Vec<_> = known.keys().map(String::as_str).collect();
        names.sort_unstable();
        let message = format!("there are no resolvers `{}`", name.escape_debug());
        value.refuse(Complaint::new(message, suggest::help(name, names)));
    }
    found
}

pub(super) fn family(value: Value<'_>) -> Option<Family> {
    value.one_of(&[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)])
}

/// A template's own keys; those of its servers are read by the caller.
pub(super) struct Read {
    /// What it follows.
    pub(super) source: Source,
    /// `from`, as it is written.
    pub(super) text: String,
    name: String,
    max: usize,
    hold: Option<Duration>,
}

/// Reads a template's own keys.
pub(super) fn template(section: &Section<'_>) -> Option<Read> {
    let name = section.require("name", prefix);
    let max = section.require("max", |value| value.integer(1..=MOST_SLOTS as u32));
    let hold = section.read("hold", duration);
    let wait = section.read("wait", wait);
    let token_file = section.read("token_file", |value| Some(Token::File(value.reading.path(value.text()?))));
    let token_env = section.read("token_env", variable);
    if let (Some(_), Some(_), span) = (&token_file, &token_env, section.span_of("token_env")) {
        section.report(Problem::error(span, "`token_file` and `token_env` both say where the token is"));
    }
    let source_ca_file = section.read("source_ca_file", tls::pem_file);
    let from = section.require("from", |value| {
        let text = value.text()?;
        let mut source = value.accept(source(text, |path| value.reading.path(path)))?;
        if let Source::Consul(consul) = &mut source {
            (consul.wait, consul.token) = (wait.unwrap_or(WAIT), token_file.or(token_env));
            trust(section, text, source_ca_file, consul, value.span());
        } else {
            refuse_consul_keys(section);
        }
        Some((source, text.to_owned()))
    });
    let (source, text) = from?;
    Some(Read { source, text, name: name?.to_owned(), max: max? as usize, hold })
}

impl Read {
    /// The slots, like `prototype` in all but their names, and what fills them.
    pub(super) fn slots(self, prototype: Server, persistent: bool) -> (Vec<Server>, Template) {
        let text: Arc<str> = self.text.into();
        let slot = |number: usize| {
            let name = format!("{}{number}", self.name);
            let cookie = persistent.then(|| name.clone());
            let address = ServerAddress::Slot(text.clone());
            Server { name: name.into(), address, cookie, ..prototype.clone() }
        };
        let slots = (1..=self.max).map(slot).collect();
        let resolution =
            Resolution { resolvers: prototype.resolution.resolvers.clone(), ..prototype.resolution };
        let by_dns = matches!(self.source, Source::Addresses(..) | Source::Services(_));
        let resolvers = resolution.resolvers.as_deref().filter(|_| by_dns).cloned().unwrap_or_default();
        let hold = self.hold.unwrap_or(resolvers.hold_nx);
        (slots, Template { text, source: self.source, resolution, hold })
    }
}

/// What every slot's name begins with.
fn prefix<'a>(value: Value<'a>) -> Option<&'a str> {
    let name = value.text()?;
    if !is_name(name) {
        value.refuse(bad_name("server", name));
        return None;
    }
    Some(name)
}

fn wait(value: Value<'_>) -> Option<Duration> {
    let wait = duration(value)?;
    if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&wait) {
        value.unfit("out of range");
        return None;
    }
    Some(wait)
}

fn variable(value: Value<'_>) -> Option<Token> {
    let name = value.text()?;
    if !is_visible(name) || name.contains('=') {
        value.refuse(format!("`{}` cannot name a variable", name.escape_debug()));
        return None;
    }
    Some(Token::Variable(name.to_owned()))
}

/// Whom Consul's certificate must come from, where it is asked by TLS.
fn trust(section: &Section<'_>, url: &str, ca_file: Option<PemFile>, consul: &mut Consul, span: Span) {
    if url.starts_with("consul:https://") {
        consul.tls = Some(ConsulTls { ca_file, spot: Spot(span) });
    } else if let Some(span) = section.span_of("source_ca_file") {
        let problem = Problem::error(
            span,
            "`source_ca_file` is for `consul:https://` alone: there is no certificate here",
        );
        section.report(problem.help("leave it out, or ask Consul by `https`"));
    }
}

fn refuse_consul_keys(section: &Section<'_>) {
    for key in ["wait", "token_file", "token_env", "source_ca_file"] {
        if let Some(span) = section.span_of(key) {
            section.report(Problem::error(span, format!("`{key}` is for `consul:` alone")));
        }
    }
}

fn source(text: &str, path: impl Fn(&str) -> PathBuf) -> Result<Source, Complaint> {
    let Some((kind, rest)) = text.split_once(':') else {
        let help = "write `dns:NAME:PORT`, `srv:NAME`, `file:PATH` or `consul:URL`";
        return Err(Complaint::new(
            format!("`{}` does not say what kind of source it is", text.escape_debug()),
            help,
        ));
    };
    match kind {
        "dns" => match address::server(rest, |path| PathBuf::from(path))? {
            ServerAddress::Name(name, port) => Ok(Source::Addresses(name, port)),
            _ => {
                let message = format!("`{}` is not the name of anything", rest.escape_debug());
                Err(Complaint::new(message, "servers whose addresses are known are written as an array"))
            }
        },
        "srv" => match address::host_name(rest) {
            Ok(()) => Ok(Source::Services(rest.to_owned())),
            Err(NoName::Size(complaint)) => Err(complaint),
            Err(NoName::Other) => {
                let message = format!("`{}` cannot be the name of a service", rest.escape_debug());
                Err(Complaint::new(message, "write `srv:_http._tcp.app.example`, without a port"))
            }
        },
        "file" => file(rest, path),
        "consul" => consul(rest),
        _ => {
            let message = format!("there is no source of the kind `{}`", kind.escape_debug());
            Err(Complaint::new(message, suggest::help(kind, SOURCES)))
        }
    }
}

fn file(text: &str, path: impl Fn(&str) -> PathBuf) -> Result<Source, Complaint> {
    match Path::new(text).extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(Source::File(path(text), FileFormat::Toml)),
        Some("json") => Ok(Source::File(path(text), FileFormat::Json)),
        _ => {
            let message = format!("`{}` is neither TOML nor JSON by its extension", text.escape_debug());
            Err(Complaint::new(message, "call the file `servers.toml` or `servers.json`"))
        }
    }
}

/// `http://HOST:PORT/v1/health/…`, or with `https`.
fn consul(url: &str) -> Result<Source, Complaint> {
    let example = "write `consul:http://127.0.0.1:8500/v1/health/service/web?passing`, or wherever it is";
    let complaint = |what: &str| Complaint::new(format!("`{}` {what}", url.escape_debug()), example);
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| complaint("is not a URL of Consul's"))?;
    let (authority, path) = rest.split_once('/').ok_or_else(|| complaint("has no path"))?;
    if !path.starts_with("v1/health/") {
        return Err(complaint("is not a part of Consul's health API"));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(complaint("has characters that must be encoded, as in `%20`"));
    }
    let query = path.split_once('?').map_or("", |(_, query)| query);
    if query.split('&').any(|pair| pair.starts_with("index=") || pair.starts_with("wait=")) {
        let help = "leave it out: `index` follows Consul's answers, and there is a key `wait`";
        return Err(Complaint::new("`index` and `wait` are not yours to ask for", help));
    }
    match address::server(authority, |path| PathBuf::from(path))? {
        ServerAddress::Ip(_) | ServerAddress::Name(..) => {}
        _ => return Err(complaint("has no host")),
    }
    let (authority, target) = (authority.to_owned(), format!("/{path}"));
    Ok(Source::Consul(Consul { authority, tls: None, target, wait: WAIT, token: None }))
}
