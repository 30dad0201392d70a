//! What a policy must do before it may decide anything: start, take its settings, and answer a trial call.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Key;
use super::component::Policy;
use super::fault::Fault;
use super::instance::{Arrival, Refusal};
use super::record::Role;
use super::seat::{self, Failure};
use super::settings::{Problem, Settings};
use super::voice::Voice;
use crate::backend::server::Server;
use crate::backend::{Backend, Candidate};
use crate::config::model::{self, PolicySpec};
use crate::http::head::RequestHead;

/// A backend to try policies on: as it will be, with none of the state of one that serves.
pub(super) fn backend_of(config: &model::Backend) -> Arc<Backend> {
    let servers = Server::all(&config.servers);
    Backend::new(config.clone(), servers)
}

/// Whether the policy can stand where it is named.
pub(super) fn check_role(policy: &Policy, spec: &PolicySpec, role: Role) -> Result<(), Vec<Problem>> {
    let fit = match role {
        Role::Balance => policy.is_balancer(),
        Role::Persistence => policy.is_persistence(),
    };
    if fit {
        return Ok(());
    }
    let name = &policy.description().name;
    let (lack, other) = match role {
        Role::Balance => ("no balancer", Role::Persistence),
        Role::Persistence => ("no persistence", Role::Balance),
    };
    Err(vec![
        Problem::at(&spec.span, format!("the policy {name} is {lack}"))
            .help(format!("it can stand under `{}`", other.name())),
    ])
}

/// Starts an instance, configures it, and has it decide once. Gives the place of its key.
pub(super) fn run(
    policy: &Policy,
    settings: &Settings,
    spec: &PolicySpec,
    role: Role,
    backend: &Arc<Backend>,
) -> Result<Option<Key>, Problem> {
    let name = &policy.description().name;
    let voice = Arc::new(Voice::new(name, &backend.config.name));
    let (mut instance, key) = seat::start(policy, settings, backend, &voice).map_err(|why| match why {
        Failure::Refusal(refusal) => refused(name, refusal, spec),
        Failure::Fault(fault) => failed(name, "when it was configured", &fault, spec),
    })?;
    if role == Role::Balance {
        let candidates = everyone(&backend.config.servers);
        if !candidates.is_empty() {
            instance
                .update(&candidates)
                .map_err(|fault| failed(name, "when it was told the candidates", &fault, spec))?;
            let arrival =
                Arrival { sequence: 0, time_ms: 0, client: IpAddr::V4(Ipv4Addr::LOCALHOST), failed: None };
            instance
                .pick(&Arc::new(RequestHead::default()), arrival)
                .map_err(|fault| failed(name, "when it was to pick a server, for a trial", &fault, spec))?;
        }
    }
    Ok(key)
}

/// All servers that may ever be candidates together.
fn everyone(servers: &[model::Server]) -> Arc<[Candidate]> {
    let weighty = servers.iter().zip(0..).filter(|(server, _)| server.weight > 0);
    weighty.map(|(server, index)| Candidate { server: index, weight: server.weight }).collect()
}

fn refused(name: &str, refusal: Refusal, spec: &PolicySpec) -> Problem {
    let Refusal { setting, message } = refusal;
    let given = setting.as_ref().and_then(|name| spec.settings.iter().find(|raw| raw.name == *name));
    match (given, setting) {
        (Some(raw), _) => {
            Problem::at(&raw.value_span, format!("the policy {name} refuses `{}`: {message}", raw.name))
        }
        (None, Some(setting)) => {
            Problem::at(&spec.span, format!("the policy {name} refuses its `{setting}`: {message}"))
        }
        (None, None) => Problem::at(&spec.span, format!("the policy {name} refuses: {message}")),
    }
}

fn failed(name: &str, when: &str, fault: &Fault, spec: &PolicySpec) -> Problem {
    Problem::at(&spec.span, format!("the policy {name} failed {when}: it {fault}"))
}
