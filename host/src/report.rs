//! What `lb check` and `lb policy inspect` say: the resolved configuration and a policy's own words, as text
//! for people.

use std::fmt::Write;
use std::path::PathBuf;

use crate::config::model::{Backend, BindAddress, CheckKind, Frontend, PolicySource, Server, ServerAddress};
use crate::control::Checked;
use crate::policy::{LoadError, Policy, Runtime, Setting};

/// What a configuration would run.
pub(crate) fn configuration(checked: &Checked) -> String {
    let config = &checked.loaded.config;
    let mut out = String::new();
    for name in config.frontends.iter().map(|frontend| frontend_line(frontend, &config.backends)) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(out, "{name}");
    }
    for (backend, proven) in config.backends.iter().zip(&checked.policies) {
        let _ = writeln!(out, "backend {}", backend.name);
        for (role, policy, settings) in proven.policies() {
            let description = policy.description();
            let settings: Vec<String> =
                settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            let settings =
                if settings.is_empty() { String::new() } else { format!(": {}", settings.join(", ")) };
            let (role, name, version) = (role.name(), &description.name, &description.version);
            let _ = writeln!(out, "    {role} {name} {version}{settings}");
        }
        let check = match &backend.check {
            CheckKind::Tcp => "accepts a connection".to_owned(),
            CheckKind::Http(check) => format!("{} {} {}", check.method, check.uri, check.version),
        };
        for server in &backend.servers {
            let _ = writeln!(out, "    server {}", server_line(server, &check));
        }
    }
    out
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

/// Loads a policy, by a file's path or a built-in's name, and says what it is.
///
/// # Errors
/// Why it is no policy.
pub(crate) fn policy(runtime: &Runtime, name: &str) -> Result<String, LoadError> {
    let built_in = crate::policy::built_ins().any(|known| known == name);
    let source = if built_in {
        PolicySource::BuiltIn(name.to_owned())
    } else {
        PolicySource::File(PathBuf::from(name))
    };
    Ok(describe(&*runtime.load(&source)?))
}

fn describe(policy: &Policy) -> String {
    let description = policy.description();
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let mut out = format!(
        "{} {}: {}\n  worlds   {}\n  exports  {}\n  imports  {}\n  size     {} bytes\n",
        description.name,
        description.version,
        description.summary,
        policy.worlds().join(", "),
        list(policy.exports()),
        list(policy.imports()),
        policy.bytes(),
    );
    let _ =
        writeln!(out, "  settings {}", if description.settings.is_empty() { "none" } else { "" }.trim_end());
    for setting in &description.settings {
        let _ = writeln!(out, "    {}", setting_line(setting));
    }
    out
}

fn setting_line(setting: &Setting) -> String {
    let mut line = format!("{}: {}", setting.name, setting.kind.wanted());
    if setting.required {
        line.push_str(", required");
    }
    if let Some(default) = &setting.default {
        let _ = write!(line, ", default {default}");
    }
    if !setting.choices.is_empty() {
        let _ = write!(line, ", one of {}", setting.choices.join(", "));
    }
    let _ = write!(line, "; {}", setting.doc);
    line
}
