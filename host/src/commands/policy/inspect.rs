//! What `lb policy inspect` says of a policy.

use std::fmt::Write;

use serde_json::{Value, json};

use super::timed_ms;
use crate::commands::{self, Error};
use crate::config::model::PolicySource;
use crate::policy::{Policy, Runtime, Setting, SettingValue};

/// What getting hold of a policy takes, in milliseconds.
pub(super) struct Times {
    /// From its bytes.
    compile_ms: f64,
    /// Once it has been compiled and kept.
    load_ms: f64,
}

impl Times {
    /// Loads the policy once without a cache, and once more from it.
    pub(super) fn take(source: &PolicySource) -> Result<Times, Error> {
        let failed = |error| Error::Other(anyhow::Error::from(error));
        let fresh = Runtime::new(None).map_err(anyhow::Error::from)?;
        let (compiled, compile_ms) = timed_ms(|| fresh.load(source));
        compiled.map_err(failed)?;
        let (loaded, load_ms) = {
            let cached = commands::policies()?;
            timed_ms(|| cached.load(source))
        };
        loaded.map_err(failed)?;
        Ok(Times { compile_ms, load_ms })
    }
}

/// What an import lets a policy see or do; `None`: it is no capability.
fn capability(import: &str) -> Option<&'static str> {
    let interface = import.split('@').next().unwrap_or(import);
    match interface {
        "lb:policy/request" => Some("reads the head of the request that it decides on"),
        "lb:policy/response" => Some("reads the head of the response that it amends"),
        "lb:policy/candidates" => Some("sees how many requests each candidate has in flight"),
        "lb:policy/servers" => Some("sees whether a server is usable"),
        "lb:policy/log" => Some("writes to the host's log, ten lines a second at most"),
        _ if interface.starts_with("lb:policy/") => None,
        "wasi:cli/stdout" | "wasi:cli/stderr" => Some("empty sandbox: what it prints goes to the host's log"),
        _ if interface.starts_with("wasi:clocks/") => Some("empty sandbox: the time, nothing to wait for"),
        _ if interface.starts_with("wasi:random/") => Some("empty sandbox: random numbers"),
        _ if interface.starts_with("wasi:cli/") => {
            Some("empty sandbox: no arguments, no environment, no input")
        }
        _ if interface.starts_with("wasi:io/") => Some("empty sandbox: streams with nothing behind them"),
        _ if interface.starts_with("wasi:filesystem/") => Some("empty sandbox: no file, no directory"),
        _ => Some("empty sandbox: there by name, and a trap when called"),
    }
}

/// What it can do, in the order in which the host would ask.
fn roles(policy: &Policy) -> [(&'static str, bool); 3] {
    [
        ("balances", policy.is_balancer()),
        ("persists", policy.is_persistence()),
        ("wants feedback", policy.wants_feedback()),
    ]
}

/// The version of the interface that it was built for.
fn interface(policy: &Policy) -> &str {
    let mut versions = policy.exports().iter().filter_map(|export| export.strip_prefix("lb:policy/setup@"));
    versions.next_back().unwrap_or("unknown")
}

pub(super) fn text(policy: &Policy, times: &Times) -> String {
    let description = policy.description();
    let mut out = format!("{} {}: {}\n", description.name, description.version, description.summary);
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(out, "  {name:10} {value}");
    };
    line("worlds", &policy.worlds().join(", "));
    line("interface", &format!("lb:policy@{}", interface(policy)));
    let roles: Vec<&str> = roles(policy).into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect();
    line("does", &roles.join(", "));
    line("exports", &policy.exports().join(", "));
    for (index, import) in policy.imports().iter().enumerate() {
        let what = capability(import).unwrap_or("types alone, no capability");
        line(if index == 0 { "imports" } else { "" }, &format!("{import:34} {what}"));
    }
    if policy.imports().is_empty() {
        line("imports", "nothing");
    }
    line("size", &format!("{} bytes", policy.bytes()));
    line(
        "time",
        &format!("compiled in {:.1} ms, loaded in {:.1} ms once kept", times.compile_ms, times.load_ms),
    );
    line("options", if description.settings.is_empty() { "none" } else { "" });
    for setting in &description.settings {
        let _ = writeln!(out, "    {}", setting_line(setting));
    }
    out.replace(" \n", "\n")
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

pub(super) fn json(policy: &Policy, times: &Times) -> Value {
    let description = policy.description();
    let import = |import: &String| {
        let capability = capability(import);
        json!({
            "name": import,
            "capability": capability.is_some(),
            "sandboxed": import.starts_with("wasi:"),
            "means": capability,
        })
    };
    let roles = roles(policy).map(|(role, has)| (role.replace(' ', "_"), Value::Bool(has)));
    json!({
        "name": description.name,
        "version": description.version,
        "summary": description.summary,
        "worlds": policy.worlds(),
        "interface": interface(policy),
        "roles": Value::Object(roles.into_iter().collect()),
        "exports": policy.exports(),
        "imports": policy.imports().iter().map(import).collect::<Value>(),
        "bytes": policy.bytes(),
        "compile_ms": times.compile_ms,
        "load_ms": times.load_ms,
        "options": description.settings.iter().map(option).collect::<Value>(),
    })
}

fn option(setting: &Setting) -> Value {
    let default = setting.default.as_ref().map(|value| match value {
        SettingValue::Text(text) => json!(text),
        SettingValue::Integer(integer) => json!(integer),
        SettingValue::Number(number) => json!(number),
        SettingValue::Boolean(boolean) => json!(boolean),
        SettingValue::Texts(texts) => json!(texts),
    });
    json!({
        "name": setting.name,
        "kind": setting.kind.to_string(),
        "required": setting.required,
        "default": default,
        "choices": setting.choices,
        "doc": setting.doc,
    })
}
