//! `balance`, `persistence` and `cookie`: which policies a backend has, and their settings as written. Whether
//! the settings are right is for the policy to say, once it is loaded.

use toml::de::DeValue;

use super::diagnostics::Problem;
use super::model::{Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use super::read::Switch;
use super::section::{Complaint, Reading, Section, Value};
use super::{BUILT_IN, Role};
use crate::span::Span;
use crate::suggest;

const INSTANCES: &[(&str, Instances)] =
    &[("per_worker", Instances::PerWorker), ("shared", Instances::Shared)];

/// The policy of a backend that names none.
pub(super) fn default_balancer() -> PolicySpec {
    built_in("roundrobin", 0..0)
}

/// `balance`.
pub(super) fn balancers(value: Value<'_>) -> Option<Vec<PolicySpec>> {
    let values = value.one_or_many();
    if values.is_empty() {
        value.refuse(Complaint::new("`balance` names no policy", "leave it out for `roundrobin`"));
    }
    Some(values.into_iter().filter_map(|value| spec(value, Role::Balancer)).collect())
}

/// `persistence`, or its short form `cookie`.
pub(super) fn persistence(section: &Section<'_>) -> Option<Switch<PolicySpec>> {
    let long = section.read("persistence", |value| switch(value, |value| spec(value, Role::Persistence)));
    let short = section.read("cookie", |value| switch(value, cookie));
    if let (Some(long), Some(short)) = (section.value("persistence"), section.span_of("cookie")) {
        let problem = Problem::error(short, "`cookie` and `persistence` say the same twice")
            .related(long.span(), "this is the long form")
            .help("keep one of them");
        long.reading.report(problem);
    }
    long.or(short)
}

fn switch<'a>(
    value: Value<'a>,
    read: impl FnOnce(Value<'a>) -> Option<PolicySpec>,
) -> Option<Switch<PolicySpec>> {
    match value.toml() {
        DeValue::Boolean(false) => Some(Switch::Off),
        DeValue::Boolean(true) => value.wrong_type(),
        _ => read(value).map(Switch::On),
    }
}

fn spec(value: Value<'_>, role: Role) -> Option<PolicySpec> {
    if let Some(name) = value.toml().as_str() {
        let source = value.accept(source(name, role, value.reading))?;
        let spec = PolicySpec { source, ..built_in("", value.span()) };
        require_cookie_name(&spec, value);
        return Some(spec);
    }
    let table = value.open_section()?;
    let source = table.require("policy", |value| {
        Some((value.accept(source(value.text()?, role, value.reading))?, value.span()))
    });
    let instances = table.read("instances", |value| value.one_of(INSTANCES));
    let (source, span) = source?;
    let spec =
        PolicySpec { source, instances: instances.unwrap_or_default(), settings: settings(&table), span };
    require_cookie_name(&spec, value);
    Some(spec)
}

fn cookie(value: Value<'_>) -> Option<PolicySpec> {
    let table = value.open_section()?;
    let spec = PolicySpec { settings: settings(&table), ..built_in("cookie", value.span()) };
    require_cookie_name(&spec, value);
    Some(spec)
}

fn built_in(name: &str, span: Span) -> PolicySpec {
    let source = PolicySource::BuiltIn(name.to_owned());
    PolicySpec { source, instances: Instances::PerWorker, settings: Vec::new(), span }
}

/// The component that `name` means in this role: a file, or one that is embedded.
fn source(name: &str, role: Role, reading: &Reading) -> Result<PolicySource, Complaint> {
    if name.contains('/') || name.ends_with(".wasm") || name.ends_with(".wat") {
        return Ok(PolicySource::File(reading.path(name)));
    }
    let key = |role| match role {
        Role::Balancer => "balance",
        Role::Persistence => "persistence",
    };
    match BUILT_IN.iter().find(|(known, _)| *known == name) {
        Some((_, at)) if *at == role => Ok(PolicySource::BuiltIn(name.to_owned())),
        Some((_, at)) => {
            let help = format!("it can stand in `{}`", key(*at));
            Err(Complaint::new(format!("`{name}` is no policy for `{}`", key(role)), help))
        }
        None => {
            let peers = BUILT_IN.iter().filter(|(_, at)| *at == role).map(|(known, _)| *known);
            let help = match suggest::nearest(name, peers.clone()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "{}; one of your own goes by its path, as in `./{name}.wasm`",
                    suggest::help(name, peers)
                ),
            };
            Err(Complaint::new(format!("there is no built-in policy `{name}`"), help))
        }
    }
}

/// Cookies have names, and the embedded policy cannot guess one.
fn require_cookie_name(spec: &PolicySpec, value: Value<'_>) {
    let is_cookie = spec.source == PolicySource::BuiltIn("cookie".to_owned());
    if is_cookie && !spec.settings.iter().any(|setting| setting.name == "name") {
        value.refuse(Complaint::new("the cookie has no `name`", "add one, as in `name = \"SERVER\"`"));
    }
}

fn settings(table: &Section<'_>) -> Vec<RawSetting> {
    table
        .others()
        .map(|(name, name_span, node)| RawSetting {
            name: name.to_owned(),
            name_span,
            value: raw(node.get_ref()),
            value_span: node.span(),
        })
        .collect()
}

fn raw(value: &DeValue<'_>) -> RawValue {
    let made = match value {
        DeValue::String(text) => Some(RawValue::Text(text.to_string())),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(RawValue::Integer)
        }
        DeValue::Float(float) => float.as_str().parse().ok().map(RawValue::Number),
        DeValue::Boolean(boolean) => Some(RawValue::Boolean(*boolean)),
        DeValue::Array(array) => {
            let texts: Option<_> =
                array.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map(RawValue::Texts)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    };
    made.unwrap_or(RawValue::Other(value.type_str()))
}
