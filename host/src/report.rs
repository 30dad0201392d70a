//! What `lb check` says: the resolved configuration, as text for people.

use std::fmt::Write;

use crate::config::model::limits::{Bound, KeyPart, Limit};
use crate::config::model::pages::ErrorFile;
use crate::config::model::{Backend, BindAddress, CheckKind, Frontend, Server, ServerAddress};
use crate::control::Checked;
use crate::policy::SettingValue;

/// What a configuration would run.
pub(crate) fn configuration(checked: &Checked) -> String {
    let config = &checked.loaded.config;
    let mut out = String::new();
    for frontend in &config.frontends {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(out, "{}", frontend_line(frontend, &config.backends));
        write_guards(&frontend.limits, &frontend.errorfile, &mut out);
    }
    for (backend, proven) in config.backends.iter().zip(&checked.policies) {
        let _ = writeln!(out, "backend {}", backend.name);
        write_guards(&backend.limits, &backend.errorfile, &mut out);
        for (role, policy, settings) in proven.policies() {
            let description = policy.description();
            let settings: Vec<String> =
                settings.iter().map(|(name, value)| format!("{name} = {}", shown(name, value))).collect();
            let settings =
                if settings.is_empty() { String::new() } else { format!(": {}", settings.join(", ")) };
            let (role, name, version) = (role.name(), &description.name, &description.version);
            let _ = writeln!(out, "    {role} {name} {version}{settings}");
        }
        let check = match &backend.check {
            CheckKind::Tcp => "accepts a connection".to_owned(),
            CheckKind::Http(check) => format!("{} {} {}", check.method, check.uri, check.version),
        };
        if let (Some(_), [first, .., last]) = (&backend.template, &*backend.servers) {
            let _ = writeln!(out, "    servers {} to {}", first.name, server_line(last, &check));
            continue;
        }
        for server in &backend.servers {
            let _ = writeln!(out, "    server {}", server_line(server, &check));
        }
    }
    for pinned in checked.tls.pinned() {
        let _ = writeln!(out, "{pinned}");
    }
    out
}

/// Limits, and pages from files.
fn write_guards(limits: &[Limit], pages: &[ErrorFile], out: &mut String) {
    for limit in limits {
        let bound = match limit.bound {
            Bound::Requests(rate) => {
                format!("{} requests per {:?}, {} at once", rate.count, rate.per, rate.burst)
            }
            Bound::ConnectionRate(rate) => {
                format!("{} new connections per {:?}, {} at once", rate.count, rate.per, rate.burst)
            }
            Bound::Connections(most) => format!("{most} connections"),
        };
        let parts = limit.key.iter().map(|part| match part {
            KeyPart::All => "all together".to_owned(),
            KeyPart::Client => format!("client (/{}, /{})", limit.prefix_v4, limit.prefix_v6),
            KeyPart::Header(name) => format!("header {name}"),
            KeyPart::Cookie(name) => format!("cookie {name}"),
            KeyPart::Path => "path".to_owned(),
        });
        let key = parts.collect::<Vec<_>>().join(" and ");
        let end = match (limit.dry_run, limit.bound) {
            (true, _) => "only logged".to_owned(),
            (false, Bound::Requests(_)) => format!("else {}", limit.status),
            (false, _) => "else closed".to_owned(),
        };
        let some = if limit.when.0.is_some() { ", of some" } else { "" };
        let _ = writeln!(out, "    limit {}: {bound}, by {key}{some}, {end}", limit.name);
    }
    for page in pages {
        let _ = writeln!(out, "    errorfile {} from {}", page.status, page.path.display());
    }
}

/// A setting's value; of one that is a secret by its name, only that it is there.
fn shown(name: &str, value: &SettingValue) -> String {
    let is_secret = |word: &str| matches!(word, "secret" | "password" | "token" | "key");
    let is_text = matches!(value, SettingValue::Text(text) if !text.is_empty());
    if is_text && name != "key" && name.split(['_', '-']).any(is_secret) {
        "(hidden)".to_owned()
    } else {
        value.to_string()
    }
}

fn frontend_line(frontend: &Frontend, backends: &[Backend]) -> String {
    let addresses: Vec<String> = frontend.bind.iter().map(|bind| address(&bind.address)).collect();
    let backend = backends.get(frontend.default_backend).map_or("", |backend| &backend.name);
    format!("frontend {} on {}, to backend {backend}", frontend.name, addresses.join(", "))
}

fn address(address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp(address) => address.to_string(),
        BindAddress::Unix(path) => format!("unix@{}", path.display()),
        BindAddress::Fd(fd) => format!("fd@{fd}"),
    }
}

fn server_line(server: &Server, check: &str) -> String {
    let mut line = match &server.address {
        ServerAddress::Ip(address) => format!("{} at {address}", server.name),
        ServerAddress::Name(host, port) => format!("{} at {host}:{port}", server.name),
        ServerAddress::Unix(path) => format!("{} at unix@{}", server.name, path.display()),
        ServerAddress::Slot(source) => format!("{} from {source}", server.name),
    };
    if server.weight != 1 {
        let _ = write!(line, ", weight {}", server.weight);
    }
    if let Some(maxconn) = server.maxconn {
        let _ = write!(line, ", maxconn {maxconn}");
    }
    for (said, word) in [(server.backup, "backup"), (server.disabled, "disabled")] {
        if said {
            let _ = write!(line, ", {word}");
        }
    }
    match &server.check {
        None => line.push_str(", not checked"),
        Some(config) => {
            let (inter, fall, rise) = (config.inter, config.fall, config.rise);
            let _ = write!(line, ", checked every {inter:?} ({check}), fall {fall}, rise {rise}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = |text: &str| SettingValue::Text(text.to_owned());
        assert_eq!(shown("secret", &text("x")), "(hidden)");
        assert_eq!(shown("dynamic_key", &text("x")), "(hidden)");
        // What is hashed is no secret.
        assert_eq!(shown("key", &text("client")), "\"client\"");
        assert_eq!(shown("dynamic_key", &text("")), "\"\"");
        assert_eq!(shown("name", &text("SERVER")), "\"SERVER\"");
    }
}
