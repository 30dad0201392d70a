//! `[backends.NAME]` and its servers.

use std::collections::HashMap;
use std::time::Duration;

use super::address;
use super::care;
use super::diagnostics::Problem;
use super::discovery;
use super::frontend::warn_of_missing_timeouts;
use super::keys::Scope;
use super::layer::{Layers, ServerOptions};
use super::model::care::RetryOn;
use super::model::discovery::{Resolution, Template};
use super::model::tls::ServerTls;
use super::model::{AbortOnClose, Backend, Check, CheckKind, Server, ServerAddress};
use super::read::{Switch, bad_name, is_name, is_visible};
use super::section::{Complaint, Section, Value};
use super::{policy, tls};
use crate::span::Span;

/// The backend that `section` describes.
pub(super) fn read(name: &str, section: &Section<'_>, defaults: &Layers) -> Backend {
    let own = Layers::read(section);
    // What `[defaults]` has is the frontend's, and stands below what the frontend says itself.
    let errorfile = own.errorfile.clone();
    let layers = own.over(defaults);
    let persistent = matches!(layers.persistence, Some(Switch::On(_)));
    let servers = section.require("servers", |value| servers(value, &layers.default_server, persistent));
    let (servers, template) = servers.unwrap_or_default();
    let Layers { proxy, persistence, timeout, .. } = layers;

    let missing = [("connect", timeout.connect), ("server", timeout.server)];
    let missing: Vec<_> = missing.iter().filter(|(_, set)| set.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        warn_of_missing_timeouts(section, &missing);
    }
    Backend {
        name: name.into(),
        balance: proxy.balance.unwrap_or_else(|| vec![policy::default_balancer()]),
        persistence: persistence.and_then(Switch::on),
        servers,
        template,
        check: proxy.httpchk.and_then(Switch::on).map_or(CheckKind::Tcp, CheckKind::Http),
        forwardfor: proxy.forwardfor.and_then(Switch::on),
        retries: proxy.retries.unwrap_or(3),
        retry_on: RetryOn {
            any_method: proxy.retry_methods.unwrap_or(false),
            ..proxy.retry_on.unwrap_or_default()
        },
        retry_budget: proxy.retry_budget.and_then(Switch::on),
        circuit_breaker: proxy.circuit_breaker.and_then(Switch::on),
        redispatch: proxy.redispatch.unwrap_or(false),
        abortonclose: match proxy.abortonclose {
            None => AbortOnClose::WhileWaiting,
            Some(true) => AbortOnClose::Always,
            Some(false) => AbortOnClose::Never,
        },
        http_reuse: proxy.http_reuse.unwrap_or_default(),
        timeout: timeout.of_server(),
        errorfile,
        limits: Vec::new(),
        rules: Default::default(),
    }
}

/// The servers as they are listed, or the slots of a template and what fills them.
fn servers(
    value: Value<'_>,
    defaults: &ServerOptions,
    persistent: bool,
) -> Option<(Vec<Server>, Option<Template>)> {
    if value.toml().is_table() {
        let title = "the template of servers".to_owned();
        let section = value.section_of(Scope::Template, title, value.span())?;
        let (template, prototype) = (discovery::template(&section), prototype(&section, defaults));
        let (slots, template) = template?.slots(prototype, persistent);
        return Some((slots, Some(template)));
    }
    let values = value.elements()?;
    if values.is_empty() {
        value.refuse("a backend without servers cannot serve".to_owned());
    }
    let mut named = HashMap::new();
    let servers = values.into_iter().filter_map(|value| server(value, defaults, persistent, &mut named));
    Some((servers.collect(), None))
}

/// One server; `named` are those before it, each with where its name stands.
fn server<'a>(
    value: Value<'a>,
    defaults: &ServerOptions,
    persistent: bool,
    named: &mut HashMap<&'a str, Span>,
) -> Option<Server> {
    let title = match value.toml().get("name").and_then(|name| name.get_ref().as_str()) {
        Some(name) => format!("server `{}`", name.escape_debug()),
        None => "the server".to_owned(),
    };
    let section = value.section_of(Scope::Server, title, value.span())?;
    let name = section.require("name", server_name);
    if let Some((name, span)) = &name
        && let Some(first) = named.insert(name, span.clone())
    {
        let message = format!("there are two servers `{name}` in this backend");
        section.report(Problem::error(span.clone(), message).related(first, "this is the first"));
    }
    let address = section.require("address", |value| {
        value.accept(address::server(value.text()?, |path| value.reading.path(path)))
    });
    let cookie = section.read("cookie", cookie);
    let labels = section.read("labels", labels).unwrap_or_default();
    let prototype = prototype(&section, defaults);
    if let (false, Some(span)) = (persistent, section.span_of("cookie")) {
        let problem = Problem::warning(span, "this cookie has no effect: the backend has no persistence");
        section.report(problem.help("add `cookie = { name = …, insert = true }` to the backend"));
    }
    Some(Server { name: name?.0.into(), address: address?, cookie, labels, ..prototype })
}

/// What `section` says of a server beside its name and address, its cookie and its labels.
fn prototype(section: &Section<'_>, defaults: &ServerOptions) -> Server {
    let options = ServerOptions::read(section).over(defaults);
    if options.check != Some(true) {
        warn_of_idle_check_options(section);
    }
    Server {
        name: "".into(),
        address: ServerAddress::Slot("".into()),
        weight: options.weight.unwrap_or(1),
        maxconn: options.maxconn.filter(|limit| *limit > 0),
        backup: options.backup.unwrap_or(false),
        disabled: options.disabled.unwrap_or(false),
        check: options.check.unwrap_or(false).then(|| check(section, &options)),
        cookie: None,
        labels: Vec::new(),
        tls: server_tls(section, &options),
        protocol: options.proto.unwrap_or_default(),
        resolution: Resolution {
            resolvers: options.resolvers,
            prefer: options.resolve_prefer.unwrap_or_default(),
        },
        slowstart: options.slowstart.filter(|over| !over.is_zero()),
        circuit_breaker: options.circuit_breaker.and_then(Switch::on),
    }
}

fn server_tls(section: &Section<'_>, options: &ServerOptions) -> Option<ServerTls> {
    let options = options.clone();
    tls::server(
        section,
        tls::ServerKeys {
            ssl: options.ssl,
            verify: options.verify,
            ca_file: options.ca_file,
            sni: options.sni,
            crt: options.crt,
            key: options.key,
            alpn: options.alpn,
            check_ssl: options.check_ssl,
            protocol: options.proto.unwrap_or_default(),
            checked_elsewhere: options.addr.is_some() || options.port.is_some(),
        },
    )
}

fn check(section: &Section<'_>, options: &ServerOptions) -> Check {
    for key in ["error_limit", "on_error"].into_iter().filter(|_| options.observe.is_none()) {
        if let Some(span) = section.span_of(key) {
            let problem = Problem::warning(span, format!("`{key}` has no effect: nothing is observed"));
            section.report(problem.help("add `observe = \"layer4\"` or `observe = \"layer7\"`"));
        }
    }
    let inter = options.inter.unwrap_or(Duration::from_secs(2));
    Check {
        addr: options.addr,
        port: options.port,
        inter,
        fastinter: options.fastinter.unwrap_or(inter),
        downinter: options.downinter.unwrap_or(inter),
        fall: options.fall.unwrap_or(3),
        rise: options.rise.unwrap_or(2),
        observe: care::observed(options),
    }
}

/// `fall = 1` on a server that is never checked does not do what was meant.
fn warn_of_idle_check_options(section: &Section<'_>) {
    let keys = ["addr", "port", "inter", "fastinter", "downinter", "fall", "rise"];
    for key in keys.into_iter().chain(["observe", "error_limit", "on_error"]) {
        if let Some(span) = section.span_of(key) {
            let problem = Problem::warning(span, format!("`{key}` has no effect: the server is not checked"));
            section.report(problem.help("add `check = true`"));
        }
    }
}

fn server_name<'a>(value: Value<'a>) -> Option<(&'a str, Span)> {
    let name = value.text()?;
    if !is_name(name) {
        value.refuse(bad_name("server", name));
        return None;
    }
    Some((name, value.span()))
}

/// A cookie's value: what RFC 6265, section 4.1.1, lets through.
fn cookie(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_visible(text) || text.contains(['"', ',', ';', '\\']) {
        let message = format!("`{}` cannot be a cookie's value", text.escape_debug());
        value.refuse(Complaint::new(
            message,
            "it takes visible ASCII characters except `\"`, `,`, `;` and `\\`",
        ));
        return None;
    }
    Some(text.to_owned())
}

fn labels(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut labels: Vec<_> = value
        .named()?
        .into_iter()
        .filter_map(|(name, _, value)| Some((name.to_owned(), value.text()?.to_owned())))
        .collect();
    labels.sort();
    Some(labels)
}
