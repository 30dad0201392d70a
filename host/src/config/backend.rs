//! `[backends.NAME]` and its servers.

use std::collections::HashMap;
use std::time::Duration;

use super::address;
use super::diagnostics::Problem;
use super::frontend::warn_of_missing_timeouts;
use super::keys::Scope;
use super::layer::{Layers, ServerOptions};
use super::model::{Backend, Check, CheckKind, Server, Span};
use super::policy;
use super::read::{Switch, bad_name, is_name, is_visible};
use super::section::{Complaint, Section, Value};

/// The backend that `section` describes.
pub(super) fn read(name: &str, section: &Section<'_>, defaults: &Layers) -> Backend {
    let layers = Layers::read(section).over(defaults);
    let persistent = matches!(layers.persistence, Some(Switch::On(_)));
    let servers = section.require("servers", |value| servers(value, &layers.default_server, persistent));
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
        servers: servers.unwrap_or_default(),
        check: proxy.httpchk.and_then(Switch::on).map_or(CheckKind::Tcp, CheckKind::Http),
        forwardfor: proxy.forwardfor.and_then(Switch::on),
        retries: proxy.retries.unwrap_or(3),
        redispatch: proxy.redispatch.unwrap_or(false),
        timeout: timeout.of_server(),
        rules: Default::default(),
    }
}

fn servers(value: Value<'_>, defaults: &ServerOptions, persistent: bool) -> Option<Vec<Server>> {
    let values = value.elements()?;
    if values.is_empty() {
        value.refuse("a backend without servers cannot serve".to_owned());
    }
    let mut named = HashMap::new();
    Some(values.into_iter().filter_map(|value| server(value, defaults, persistent, &mut named)).collect())
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
    let options = ServerOptions::read(&section).over(defaults);
    if let (false, Some(span)) = (persistent, section.span_of("cookie")) {
        let problem = Problem::warning(span, "this cookie has no effect: the backend has no persistence");
        section.report(problem.help("add `cookie = { name = …, insert = true }` to the backend"));
    }
    if options.check != Some(true) {
        warn_of_idle_check_options(&section);
    }
    Some(Server {
        name: name?.0.into(),
        address: address?,
        weight: options.weight.unwrap_or(1),
        maxconn: options.maxconn.filter(|limit| *limit > 0),
        backup: options.backup.unwrap_or(false),
        disabled: options.disabled.unwrap_or(false),
        check: options.check.unwrap_or(false).then(|| check(&options)),
        cookie,
        labels,
    })
}

fn check(options: &ServerOptions) -> Check {
    let inter = options.inter.unwrap_or(Duration::from_secs(2));
    Check {
        addr: options.addr,
        port: options.port,
        inter,
        fastinter: options.fastinter.unwrap_or(inter),
        downinter: options.downinter.unwrap_or(inter),
        fall: options.fall.unwrap_or(3),
        rise: options.rise.unwrap_or(2),
    }
}

/// `fall = 1` on a server that is never checked does not do what was meant.
fn warn_of_idle_check_options(section: &Section<'_>) {
    for key in ["addr", "port", "inter", "fastinter", "downinter", "fall", "rise"] {
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
