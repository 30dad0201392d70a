//! Which policies are compared, and what makes them: names on a command line become balancers that were proven.

use std::path::PathBuf;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::config;
use crate::config::model::{self, Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use crate::policy::{self, Runtime, SimulatedPolicies};
use crate::suggest;

/// A list of policies to be simulated, as `hash+leastconn` or `random,draws=3`.
#[derive(Debug, Clone)]
pub struct Contender {
    /// What it is called.
    pub name: String,
    /// The policies, in the order in which they are asked.
    pub specs: Vec<PolicySpec>,
}

/// A setting for all policies that have it, or for one: `draws=3`, `random.draws=3`.
#[derive(Debug, Clone)]
pub struct Given {
    policy: Option<String>,
    name: String,
    value: RawValue,
}

impl std::str::FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Given, String> {
        let (name, value) = setting(text)?;
        let (policy, name) = match name.rsplit_once('.') {
            Some((policy, name)) => (Some(policy.to_owned()), name),
            None => (None, name),
        };
        Ok(Given { policy, name: name.to_owned(), value })
    }
}

impl std::str::FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Contender, String> {
        let specs: Result<Vec<PolicySpec>, String> = text.split('+').map(spec).collect();
        Ok(Contender { name: text.to_owned(), specs: specs? })
    }
}

fn spec(text: &str) -> Result<PolicySpec, String> {
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or_default();
    let source = if name.contains('/') || name.ends_with(".wasm") {
        PolicySource::File(PathBuf::from(name))
    } else if policy::built_ins().any(|known| known == name) {
        PolicySource::BuiltIn(name.to_owned())
    } else {
        let help = suggest::help(name, policy::built_ins());
        return Err(format!(
            "there is no built-in policy `{name}`; {help}; one of your own goes by its path, as in `./{name}.wasm`"
        ));
    };
    let settings: Result<Vec<RawSetting>, String> = parts
        .map(|part| {
            let (name, value) = setting(part)?;
            Ok(raw(name, value))
        })
        .collect();
    Ok(PolicySpec { source, instances: Instances::PerWorker, settings: settings?, span: 0..0 })
}

fn raw(name: &str, value: RawValue) -> RawSetting {
    RawSetting { name: name.to_owned(), name_span: 0..0, value, value_span: 0..0 }
}

/// Reads `key=value`: a value of TOML, or else a string without its quotes.
fn setting(text: &str) -> Result<(&str, RawValue), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no setting; write its name and its value, as in `draws=3`"))?;
    let line = format!("value = {value}");
    let parsed = DeTable::parse(&line).ok().and_then(|table| {
        let (_, value) = table.into_inner().into_iter().next()?;
        match value.into_inner() {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(RawValue::Integer)
            }
            DeValue::Float(number) => number.as_str().parse().ok().map(RawValue::Number),
            DeValue::Boolean(boolean) => Some(RawValue::Boolean(boolean)),
            DeValue::String(text) => Some(RawValue::Text(text.into_owned())),
            DeValue::Array(items) => {
                let text = |item: &toml::Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
                items.iter().map(text).collect::<Option<Vec<String>>>().map(RawValue::Texts)
            }
            DeValue::Datetime(_) | DeValue::Table(_) => None,
        }
    });
    Ok((name, parsed.unwrap_or_else(|| RawValue::Text(value.to_owned()))))
}

/// So many servers: `s1`, `s2` …, each of weight 1.
pub fn servers(count: usize) -> Arc<[model::Server]> {
    (0..count).map(server).collect()
}

fn server(number: usize) -> model::Server {
    // 10.0.0.1 and on.
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0001 + number as u32);
    model::Server {
        name: format!("s{}", number + 1).into(),
        address: model::ServerAddress::Ip((address, 80).into()),
        weight: 1,
        maxconn: None,
        backup: false,
        disabled: false,
        check: None,
        cookie: None,
        tls: None,
        labels: Vec::new(),
        protocol: Default::default(),
        resolution: Default::default(),
        slowstart: None,
        circuit_breaker: None,
    }
}

/// Loads the policies of each contender, gives them what was `given`, and tries them with these servers.
///
/// # Errors
/// Everything that is wrong with them, a line each.
pub fn prove(
    runtime: &Runtime,
    contenders: &mut [Contender],
    given: &[Given],
    servers: &Arc<[model::Server]>,
) -> Result<Vec<SimulatedPolicies>, String> {
    give(runtime, contenders, given)?;
    let mut proven = Vec::new();
    let mut problems = Vec::new();
    for contender in contenders.iter() {
        let backend = backend(contender, servers)?;
        match runtime.prove(&backend) {
            Ok(policies) => proven.push(SimulatedPolicies::new(&policies, servers.clone())),
            Err(found) => problems.extend(found.into_iter().map(|problem| match problem.help {
                Some(help) => format!("{}: {}; {help}", contender.name, problem.message),
                None => format!("{}: {}", contender.name, problem.message),
            })),
        }
    }
    if problems.is_empty() { Ok(proven) } else { Err(problems.join("\n")) }
}

/// Hands out settings that were given for all.
fn give(runtime: &Runtime, contenders: &mut [Contender], given: &[Given]) -> Result<(), String> {
    for Given { policy, name, value } in given {
        let mut taken = false;
        let mut known: Vec<String> = Vec::new();
        for spec in contenders.iter_mut().flat_map(|contender| &mut contender.specs) {
            // What cannot be loaded is found when it is proven.
            let Ok(loaded) = runtime.load(&spec.source) else { continue };
            let description = loaded.description();
            if policy.as_ref().is_some_and(|policy| *policy != description.name) {
                continue;
            }
            known.extend(description.settings.iter().map(|setting| setting.name.clone()));
            if description.settings.iter().any(|setting| setting.name == *name) {
                taken = true;
                // One that stands with the policy itself counts more.
                if !spec.settings.iter().any(|setting| setting.name == *name) {
                    spec.settings.push(raw(name, value.clone()));
                }
            }
        }
        if !taken {
            let help = suggest::help(name, known.iter().map(String::as_str));
            let help = if help.is_empty() { "they take no settings".to_owned() } else { help };
            return Err(format!("none of these policies has a setting `{name}`; {help}"));
        }
    }
    Ok(())
}

/// A backend to prove policies with; what is not said here is as `lb.toml` has it by default.
fn backend(contender: &Contender, servers: &[model::Server]) -> Result<model::Backend, String> {
    const TEXT: &str = "[frontends.simulated]\nbind = \"127.0.0.1:0\"\ndefault_backend = \"simulated\"\n\
                        [backends.simulated]\n[[backends.simulated.servers]]\nname = \"s1\"\n\
                        address = \"127.0.0.1:80\"\n";
    let loaded = config::parse(TEXT, "simulated").map_err(|problems| problems.render(false))?;
    let mut backend = loaded.config.backends.into_iter().next().ok_or("there is no backend")?;
    backend.balance.clone_from(&contender.specs);
    backend.servers = servers.to_vec();
    Ok(backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_settings_are_read() {
        let contender: Contender = "source+leastconn".parse().expect("two policies");
        assert_eq!(contender.specs.len(), 2);
        let contender: Contender =
            "./my.wasm,draws=3,zones=[\"a\"],mode=soft,factor=1.5".parse().expect("one");
        assert_eq!(contender.specs[0].source, PolicySource::File("./my.wasm".into()));
        let settings: Vec<_> =
            contender.specs[0].settings.iter().map(|s| (&*s.name, s.value.clone())).collect();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            settings[..2],
            [("draws", RawValue::Integer(3)), ("zones", RawValue::Texts(vec![text("a")]))]
        );
        assert_eq!(
            settings[2..],
            [("mode", RawValue::Text(text("soft"))), ("factor", RawValue::Number(1.5))]
        );
    }

    #[test]
    fn a_name_that_is_none_gets_the_nearest() {
        let why = "leastcon".parse::<Contender>().expect_err("there is none");
        assert!(why.contains("did you mean `leastconn`?"), "{why}");
        assert!("leastconn,x".parse::<Contender>().expect_err("no value").contains("`x` is no setting"));
    }

    #[test]
    fn what_is_given_must_be_wanted() {
        let runtime = Runtime::new(None).expect("WebAssembly runs here");
        let mut contenders = vec!["roundrobin".parse::<Contender>().expect("a policy")];
        let given = ["nonsense=1".parse::<Given>().expect("a setting")];
        let why = prove(&runtime, &mut contenders, &given, &servers(3)).err().expect("nobody takes it");
        assert!(why.contains("none of these policies has a setting `nonsense`"), "{why}");
        let mut contenders = vec!["cookie,name=S".parse::<Contender>().expect("a policy")];
        let why = prove(&runtime, &mut contenders, &[], &servers(3)).err().expect("it is no balancer");
        assert!(why.contains("no balancer"), "{why}");
    }
}
