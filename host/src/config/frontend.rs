//! `[frontends.NAME]`.

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostics::Problem;
use super::layer::Layers;
use super::log_target::LogChoice;
use super::logging;
use super::model::tls::{ClientVerify, Spot};
use super::model::{Account, Bind, BindAddress, Frontend, Global, Http2, LogTarget, SocketAccess};
use super::read::{Switch, is_visible, limit};
use super::section::{Complaint, Section, Value};
use super::{address, tls};
use crate::span::Span;

/// What the kernel's own limit is on most systems, and enough for a burst while all workers are busy.
const BACKLOG: u32 = 4_096;

/// A frontend whose backend is still a name.
#[derive(Debug)]
pub(super) struct Named {
    /// Its listeners, each with where it is named.
    pub(super) binds: Vec<(Bind, Span)>,
    /// Its backend's name.
    pub(super) default_backend: Option<Spanned<String>>,
    frontend: Frontend,
}

impl Named {
    /// With the index of its backend.
    pub(super) fn resolve(self, default_backend: usize) -> Frontend {
        let bind = self.binds.into_iter().map(|(bind, _)| bind).collect();
        Frontend { bind, default_backend, ..self.frontend }
    }
}

/// The frontend that `section` describes.
pub(super) fn read(name: &str, section: &Section<'_>, defaults: &Layers, global: &Global) -> Named {
    let own = Layers::read(section);
    let mut binds = section.require("bind", binds).unwrap_or_default();
    let (own_format, own_httplog) = (own.proxy.log_format.is_some(), own.proxy.httplog.is_some());
    let Layers { proxy, timeout, errorfile, .. } = own.over(defaults);
    if proxy.default_backend.is_none() {
        section.require("default_backend", |_| Some(()));
    }
    if timeout.client.is_none() {
        warn_of_missing_timeouts(section, &["client"]);
    }
    let logging = logging::resolve(section, &proxy, own_format, own_httplog);
    let log = proxy.log.unwrap_or_default();
    if global.log.is_empty() && log.contains(&LogChoice::Global) {
        let message = format!("frontend `{name}` logs to the targets of [global], which has none");
        let help = "add one, as in `[global] log = \"stdout\"`";
        section.report(Problem::warning(section.span(), message).help(help));
    }
    let asks = |bind: &Bind| bind.tls.as_ref().is_some_and(|tls| tls.verify != ClientVerify::None);
    let frontend = Frontend {
        name: name.into(),
        bind: Vec::new(),
        maxconn: proxy.maxconn.filter(|limit| *limit > 0),
        backlog: proxy.backlog.unwrap_or(BACKLOG),
        default_backend: 0,
        forwardfor: proxy.forwardfor.and_then(Switch::on),
        log: log_targets(log, global),
        logging,
        dontlognull: proxy.dontlognull.unwrap_or(false),
        http2: proxy.h2.map_or_else(|| Some(Http2::default()), Switch::on),
        timeout: timeout.of_client(),
        errorfile,
        limits: Vec::new(),
        hsts: proxy.hsts.and_then(Switch::on),
        asks_certificates: binds.iter().any(|(bind, _)| asks(bind)),
        redirect_https: proxy.redirect_https.and_then(Switch::on),
        strict_sni_host: proxy.strict_sni_host.unwrap_or(false),
        unusual_names: proxy.headers_with_underscores.unwrap_or_default(),
        rules: Default::default(),
        access: None,
    };
    if frontend.http2.is_none() {
        // What is not spoken is not offered.
        let offers = binds.iter_mut().filter_map(|(bind, _)| bind.tls.as_mut());
        offers.for_each(|tls| tls.alpn.retain(|protocol| protocol != "h2"));
    }
    Named { binds, default_backend: proxy.default_backend, frontend }
}

fn log_targets(choices: Vec<LogChoice>, global: &Global) -> Vec<LogTarget> {
    let mut targets = Vec::new();
    for choice in choices {
        match choice {
            LogChoice::Global => targets.extend(global.log.iter().cloned()),
            LogChoice::Target(target) => targets.push(target),
        }
    }
    targets
}

fn binds(value: Value<'_>) -> Option<Vec<(Bind, Span)>> {
    let values = value.one_or_many();
    if values.is_empty() {
        value.refuse("a frontend without an address cannot be reached".to_owned());
    }
    Some(values.into_iter().filter_map(bind).flatten().collect())
}

/// One entry of `bind`: an address, or a table with one.
fn bind(value: Value<'_>) -> Option<Vec<(Bind, Span)>> {
    let (addresses, span, maxconn, tls, access) = if value.toml().is_table() {
        let table = value.section()?;
        let address = table.require("address", |value| Some((addresses(value)?, value.span())));
        let maxconn = table.read("maxconn", limit).filter(|limit| *limit > 0);
        let tls = table.read("tls", tls::bind);
        let access = SocketAccess {
            mode: table.read("mode", mode),
            user: table.read("user", account),
            group: table.read("group", account),
        };
        let (addresses, span) = address?;
        if !matches!(addresses[..], [BindAddress::Unix(_)]) {
            for key in ["mode", "user", "group"] {
                if let Some(span) = table.span_of(key) {
                    let message = format!("`bind.{key}` has no effect: it is for Unix sockets that lb makes");
                    table.report(Problem::warning(span, message).help("leave it out"));
                }
            }
        }
        (addresses, span, maxconn, tls, access)
    } else {
        (addresses(value)?, value.span(), None, None, SocketAccess::default())
    };
    let spot = Spot(span.clone());
    let bind = |address| {
        let (tls, spot, access) = (tls.clone(), spot.clone(), access.clone());
        (Bind { address, maxconn, tls, spot, access }, span.clone())
    };
    Some(addresses.into_iter().map(bind).collect())
}

fn addresses(value: Value<'_>) -> Option<Vec<BindAddress>> {
    value.accept(address::bind(value.text()?, |path| value.reading.path(path)))
}

/// Permissions as `chmod` takes them: octal digits, in quotes or behind `0o`, for others would be read as decimal.
fn mode(value: Value<'_>) -> Option<u32> {
    let text = match value.toml() {
        DeValue::Integer(number) if number.radix() == 8 => number.as_str(),
        _ => value.text()?,
    };
    let is_octal =
        !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    if mode.is_none() {
        let message = format!("`{}` are no permissions of a socket", text.escape_debug());
        value.refuse(Complaint::new(message, "write three octal digits, as in `\"660\"`"));
    }
    mode
}

/// A user or a group: a name, or a number.
fn account(value: Value<'_>) -> Option<Account> {
    if value.toml().is_integer() {
        // The largest number stands for none (chown(2)).
        return value.integer(0..=u32::MAX - 1).map(Account::Number);
    }
    let text = value.text()?;
    if let Ok(number) = text.parse::<u32>()
        && number < u32::MAX
    {
        return Some(Account::Number(number));
    }
    if !is_visible(text) {
        value.unfit("no name of a user or a group");
        return None;
    }
    Some(Account::Name(text.to_owned(), Spot(value.span())))
}

/// HAProxy warns of these too: a peer that goes silent would hold its connection for ever.
pub(super) fn warn_of_missing_timeouts(section: &Section<'_>, missing: &[&str]) {
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    let lines: Vec<_> = missing.iter().map(|name| format!("{name} = \"10s\"")).collect();
    let message = format!("{} has no {} timeout", section.title(), names.join(" and no "));
    let help = format!("set it here or in [defaults], as in `timeout = {{ {} }}`", lines.join(", "));
    section.report(Problem::warning(section.span(), message).help(help));
}
