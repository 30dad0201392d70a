//! `lb route`: what the rules would make of a request, found out by the very code that traffic meets.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Error;
use crate::config;
use crate::config::diagnostics::{Diagnostics, Source};
use crate::config::model::limits::{Bound, Limit};
use crate::config::model::{BindAddress, Config, Frontend, UnusualNames};
use crate::control;
use crate::http::head::RequestHead;
use crate::http::{names, parse, target};
use crate::rules::{CERTIFICATE_LINES, Decision, Ending, Facts, HeaderEdit, Rule, Tls, reason};
use crate::suggest;

/// The request, and where its configuration is.
#[derive(Debug, Args)]
pub struct Options {
    /// The method
    pub method: String,
    /// A URL, as in https://a.example/path?query, or a path alone
    pub url: String,
    /// A header line, as in 'Name: value'
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    pub headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub from: IpAddr,
    /// The configuration
    #[arg(long, default_value = "lb.toml")]
    pub config: PathBuf,
    /// The frontend; the first of the file, if it is not given
    #[arg(long, value_name = "NAME")]
    pub frontend: Option<String>,
}

/// A URL in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Url<'u> {
    tls: bool,
    /// Host and port; empty where only a path is given.
    authority: &'u str,
    port: Option<u16>,
    target: String,
}

/// Says which rules a request meets, and what comes of it.
///
/// # Errors
/// When the configuration is wrong, or the request is none.
#[allow(clippy::print_stdout)]
pub fn route(options: &Options) -> Result<(), Error> {
    let loaded = load(&options.config)?;
    let frontend = frontend(&loaded.config, options.frontend.as_deref())?;
    print!("{}", explain(&loaded.config, frontend, &loaded.source, options)?);
    Ok(())
}

fn load(path: &Path) -> Result<config::Loaded, Error> {
    let loaded = config::load(path)?;
    let mut diagnostics = Diagnostics::new(loaded.source.clone());
    control::load_lists(&loaded, &mut diagnostics);
    if diagnostics.has_errors() { Err(diagnostics.into()) } else { Ok(loaded) }
}

fn frontend<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Frontend, Error> {
    let found = match name {
        Some(name) => config.frontends.iter().find(|frontend| *frontend.name == *name),
        None => config.frontends.first(),
    };
    found.ok_or_else(|| {
        let name = name.unwrap_or_default();
        let help = suggest::help(name, config.frontends.iter().map(|frontend| &*frontend.name));
        Error::Usage(format!("there is no frontend `{name}`; {help}"))
    })
}

/// What comes of a request, as text for people.
fn explain(
    config: &Config,
    frontend: &Frontend,
    source: &Source,
    options: &Options,
) -> Result<String, Error> {
    let url = split(&options.method, &options.url).map_err(Error::Usage)?;
    let mut head = request(options, &url)?;
    match frontend.unusual_names {
        UnusualNames::Drop => head.retain(names::is_plain),
        UnusualNames::Refuse if head.lines().has_unusual_names() => {
            return Err(Error::Usage(
                "this is no request: `headers_with_underscores` refuses it with 400".to_owned(),
            ));
        }
        UnusualNames::Refuse | UnusualNames::Allow => {}
    }
    if frontend.asks_certificates {
        head.forget(&CERTIFICATE_LINES);
    }
    let client = SocketAddr::new(options.from.to_canonical(), 0);
    let mut facts = Facts::new(&head, Some(client));
    let port = url.port.or_else(|| {
        frontend.bind.iter().find_map(|bind| match bind.address {
            BindAddress::Tcp(address) => Some(address.port()),
            _ => None,
        })
    });
    facts.local = port.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    // A client names the host in its handshake that it asks for.
    let sni = std::str::from_utf8(facts.head.host()).unwrap_or_default();
    facts.tls = url.tls.then_some(Tls { version: "TLSv1.3", sni, ..Tls::default() });

    let mut out = format!("frontend {}\n", frontend.name);
    if let Some(access) = &frontend.access
        && !access.permits(Some(client.ip()))
    {
        line(&mut out, "connection", &format!("closed: `allow` and `deny` keep {} out", client.ip()));
        return Ok(out);
    }
    counted(&mut out, &frontend.limits, &facts);
    let mut decision = Decision::default();
    let mut chosen_by = None;
    let rules = &frontend.rules;
    rules.decide(&facts, &mut decision, |rule| {
        let number = met(&mut out, rule, rules.rules(), source);
        let chooses = rule.use_backend.as_ref().is_some_and(|choice| choice.choose(&facts).is_some());
        chosen_by = chosen_by.or(chooses.then_some(number));
    });
    if decision.ending.is_none() {
        let index = decision.backend.unwrap_or(frontend.default_backend);
        if let Some(backend) = config.backends.get(index) {
            let why = chosen_by.map_or_else(
                || "the default_backend".to_owned(),
                |number| format!("chosen by rule {number}"),
            );
            let _ = writeln!(out, "backend {}: {why}", backend.name);
            let rules = &backend.rules;
            rules.decide(&facts, &mut decision, |rule| {
                met(&mut out, rule, rules.rules(), source);
            });
            if decision.ending.is_none() {
                counted(&mut out, &backend.limits, &facts);
            }
        }
    }
    outcome(&mut out, &decision, &facts);
    Ok(out)
}

/// Names the limits on requests that look at this one.
fn counted(out: &mut String, limits: &[Limit], facts: &Facts<'_>) {
    for limit in limits.iter().filter(|limit| matches!(limit.bound, Bound::Requests(_))) {
        if limit.when.0.as_ref().is_none_or(|when| when.holds(facts)) {
            line(out, "limit", &limit.name);
        }
    }
}

/// Says that a rule is met; gives its number in its section.
fn met(out: &mut String, rule: &Rule, set: &[Rule], source: &Source) -> usize {
    let number = set.iter().position(|other| std::ptr::eq(other, rule)).map_or(0, |index| index + 1);
    line(out, &format!("rule {number}"), &format!("{} ({})", what(rule), place(source, rule)));
    number
}

/// What the server, or the client, gets.
fn outcome(out: &mut String, decision: &Decision<'_>, facts: &Facts<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(ending) = decision.ending {
        let answered = match ending {
            Ending::Deny(status) => return line(out, "answer", &format!("{status} {}", reason(*status))),
            Ending::Tarpit(wait, status) => {
                return line(out, "answer", &format!("{status} {}, after {wait:?}", reason(*status)));
            }
            Ending::Redirect(redirect) => redirect.answer(facts),
            Ending::Respond(respond) => respond.answer(facts),
        };
        line(out, "answer", &format!("{} {}", answered.status, reason(answered.status)));
        for (name, value) in &answered.headers {
            line(out, "", &format!("{name}: {}", text(value)));
        }
        if !answered.body.is_empty() {
            line(out, "", &format!("and a body of {} bytes", answered.body.len()));
        }
        return;
    }
    if let Some(target) = &decision.target {
        line(out, "target", &text(target));
    }
    for (side, edits) in [("request", &decision.request), ("response", &decision.response)] {
        for edit in edits {
            let said = match edit {
                HeaderEdit::Remove(name) => format!("without {name}"),
                HeaderEdit::Set(name, value) => format!("{name}: {}", text(value)),
                HeaderEdit::Add(name, value) => format!("{name}: {} (one more)", text(value)),
            };
            line(out, side, &said);
        }
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "    {name:<10} {}", text.escape_debug());
}

/// What a rule does, in a few words.
fn what(rule: &Rule) -> String {
    let ending = rule.ending.as_ref().map(|ending| match ending {
        Ending::Deny(_) => "deny",
        Ending::Tarpit(..) => "tarpit",
        Ending::Redirect(_) => "redirect",
        Ending::Respond(_) => "respond",
    });
    let words = [
        rule.use_backend.as_ref().map(|_| "use_backend"),
        ending,
        rule.rewrite_path.as_ref().map(|_| "rewrite_path"),
        rule.set_query.as_ref().map(|_| "set_query"),
        (!rule.request.is_empty()).then_some("request"),
        (!rule.response.is_empty()).then_some("response"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// File and line of a rule.
fn place(source: &Source, rule: &Rule) -> String {
    let before = source.text.get(..rule.span.start).unwrap_or_default();
    format!("{}:{}", source.name, before.matches('\n').count() + 1)
}

/// The request's head, read as any client's would be.
fn request(options: &Options, url: &Url<'_>) -> Result<RequestHead, Error> {
    // A path alone says nothing of a host, which HTTP/1.0 allows.
    let has_host = |line: &String| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("host:"));
    let version = if url.authority.is_empty() && !options.headers.iter().any(has_host) { 0 } else { 1 };
    let mut text = format!("{} {} HTTP/1.{version}\r\n", options.method, url.target);
    if !url.authority.is_empty() {
        text += &format!("host: {}\r\n", url.authority);
    }
    for line in &options.headers {
        if !line.contains(':') || line.contains(['\r', '\n']) {
            return Err(Error::Usage(format!(
                "`{}` is no header line: write 'Name: value'",
                line.escape_debug()
            )));
        }
        text += &format!("{line}\r\n");
    }
    text += "\r\n";
    let mut head = RequestHead::default();
    match parse::request(text.as_bytes(), 1_000, &mut head) {
        Ok(Some(length)) if length == text.len() => Ok(head),
        Err(reason) => {
            Err(Error::Usage(format!("this is no request: it would be answered with 400, for {reason}")))
        }
        Ok(_) => Err(Error::Usage("this is no request: it would be answered with 400".to_owned())),
    }
}

/// The parts of what stands on the command line; a CONNECT has a host and a port there.
fn split<'u>(method: &str, url: &'u str) -> Result<Url<'u>, String> {
    let plain = |authority| Url { tls: false, authority, port: port(authority), target: url.to_owned() };
    if method == "CONNECT" {
        return Ok(plain(url));
    }
    if url.starts_with('/') || url == "*" {
        return Ok(plain(""));
    }
    let Some(scheme) = target::scheme(url.as_bytes()) else {
        return Err(format!("`{url}` is neither a URL nor a path: write https://{url} or /{url}"));
    };
    let (scheme, rest) = (&url[..scheme], &url[scheme + "://".len()..]);
    let tls = match &*scheme.to_ascii_lowercase() {
        "http" => false,
        "https" => true,
        _ => return Err(format!("`{scheme}` is neither http nor https")),
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(Url { tls, authority, port: port(authority), target: format!("{slash}{target}") })
}

fn port(authority: &str) -> Option<u16> {
    target::authority(authority.as_bytes())?.port
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"[frontends.web]
bind = "*:80"
default_backend = "app"
deny = "192.0.2.0/24"
[[frontends.web.rules]]
when = { tls = false, host = "*.example" }
redirect = { scheme = "https", code = 301 }
[[frontends.web.rules]]
when = { path_prefix = "/api/", header = { x-key = true } }
use_backend = "api"
rewrite_path = { prefix = "/api/", with = "/" }
set_query = "${query}&v=1"
request = { set_header = { x-real-ip = "${src}" } }
[backends.app]
servers = [{ name = "a", address = "10.0.0.1:80" }]
[backends.api]
servers = [{ name = "a", address = "10.0.0.1:80" }]
limits = [{ requests = 9, when = { query = { x = true } } }, { name = "put", requests = 1, when = { method = "PUT" } }]
[[backends.api.rules]]
response = { del_header = "server" }
"#;

    fn said(method: &str, url: &str, headers: &[&str], from: &str) -> String {
        said_of(FILE, method, url, headers, from).expect("a request")
    }

    fn said_of(file: &str, method: &str, url: &str, headers: &[&str], from: &str) -> Result<String, Error> {
        let loaded = config::parse(file, "lb.toml").expect("a configuration");
        let options = Options {
            method: method.into(),
            url: url.into(),
            headers: headers.iter().map(|line| (*line).to_owned()).collect(),
            from: from.parse().expect("an address"),
            config: PathBuf::new(),
            frontend: None,
        };
        explain(&loaded.config, &loaded.config.frontends[0], &loaded.source, &options)
    }

    #[test]
    fn it_says_which_rules_are_met_where_they_stand_and_what_comes_of_them() {
        assert_eq!(
            said("GET", "https://a.example/api/v1?x", &["X-Key: 1"], "10.0.0.9"),
            "frontend web\n    rule 2     use_backend, rewrite_path, set_query, request (lb.toml:8)\n\
             backend api: chosen by rule 2\n    rule 1     response (lb.toml:19)\n    limit      limit-1\n    target     /v1?x&v=1\n    \
             request    x-real-ip: 10.0.0.9\n    response   without server\n"
        );
        assert_eq!(
            said("GET", "http://a.example/x", &[], "10.0.0.9"),
            "frontend web\n    rule 1     redirect (lb.toml:5)\n    answer     301 Moved Permanently\n               \
             location: https://a.example/x\n"
        );
        assert_eq!(said("GET", "/x", &[], "10.0.0.9"), "frontend web\nbackend app: the default_backend\n");
        let kept_out = said("GET", "/x", &[], "192.0.2.9");
        assert_eq!(kept_out, "frontend web\n    connection closed: `allow` and `deny` keep 192.0.2.9 out\n");
    }

    #[test]
    fn a_request_means_what_it_means_to_traffic() {
        let rule = "when = { sni = \"b.example\" }\ndeny = 421\n[[frontends.web.rules]]\n\
                    when = { header = { x-key = true } }\ndeny = true\n[backends.app]";
        let file = FILE.replace("[backends.app]", &format!("[[frontends.web.rules]]\n{rule}"));
        let said = |url: &str, headers: &[&str]| said_of(&file, "GET", url, headers, "10.0.0.9");
        assert!(said("https://b.example/", &[]).expect("a request").contains("421 Misdirected Request"));
        assert!(!said("http://b.example/", &[]).expect("a request").contains("421"));
        assert!(!said("/", &["X_Key: 1"]).expect("a request").contains("403"), "such lines are dropped");
        for (url, headers) in [
            ("http://evil.example:80@good.example/", &[][..]),
            ("http://a b/", &[]),
            ("*", &[]),
            ("/#x", &[]),
            ("http://a.example/", &["Host: b.example"]),
            ("/", &["Host: a@b"]),
        ] {
            assert!(said(url, headers).is_err(), "{url} {headers:?}");
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = split("GET", "https://a.example:8443?x").expect("a URL");
        assert_eq!(
            (url.tls, url.authority, url.port, &*url.target),
            (true, "a.example:8443", Some(8443), "/?x")
        );
        for url in ["a.example", "ftp://a/", "admin?://x", ".://x/y"] {
            assert!(split("GET", url).is_err(), "{url}");
        }
        let proxied = split("CONNECT", "a.example:443").expect("a host and a port");
        assert_eq!(
            (proxied.authority, proxied.port, &*proxied.target),
            ("a.example:443", Some(443), "a.example:443")
        );
    }
}
