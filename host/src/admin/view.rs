//! `/status.json`: a snapshot of the counters in the shape and with the names that the status page, and programs of
//! its users, read. The names are a promise, described in docs/status-page.md; new ones may come, none goes or changes
//! its meaning while [`SCHEMA`] stays.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::histogram;
use crate::stats::CLASSES;
use crate::stats::intake::{Discovery, Limit};
use crate::stats::snapshot::{self, Change, Log, Snapshot};

/// The version of the document's shape.
const SCHEMA: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    schema: u32,
    made_at_ms: u64,
    process: Process<'a>,
    frontends: Vec<Frontend<'a>>,
    backends: Vec<Backend<'a>>,
    policies: Vec<Policy<'a>>,
    discoveries: &'a [Discovery],
    limits: &'a [Limit],
    logs: &'a [Log],
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    version: &'a str,
    pid: u32,
    started_at_ms: u64,
    configured_at_ms: u64,
    workers: usize,
    connections: Gauge,
    cpu_seconds: f64,
    resident_bytes: u64,
    open_files: Gauge,
    reloads: u64,
    failed_reloads: u64,
    last_reload_failed: bool,
    draining: bool,
}

/// A number of things held at once.
#[derive(Debug, Serialize)]
struct Gauge {
    current: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Frontend<'a> {
    name: &'a str,
    addresses: &'a [String],
    connections: Gauge,
    requests: u64,
    responses: BTreeMap<&'static str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    denied: u64,
    denied_connections: u64,
    intercepted: u64,
    tls: Handshakes,
    errors: FrontendErrors,
    times: BTreeMap<&'static str, Times>,
}

/// TLS handshakes with clients.
#[derive(Debug, Serialize)]
struct Handshakes {
    done: u64,
    resumed: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct FrontendErrors {
    request: u64,
    internal: u64,
}

#[derive(Debug, Serialize)]
struct Backend<'a> {
    name: &'a str,
    state: &'static str,
    balance: Vec<&'a str>,
    persistence: Option<&'a str>,
    servers_active: usize,
    servers_backup: usize,
    weight: u32,
    sessions: Gauge,
    queue: Gauge,
    circuit: Option<&'static str>,
    circuit_refused: u64,
    #[serde(flatten)]
    traffic: Traffic,
    servers: Vec<Server<'a>>,
}

#[derive(Debug, Serialize)]
struct Server<'a> {
    name: &'a str,
    address: &'a str,
    state: &'static str,
    usable: bool,
    since_ms: u64,
    weight: u32,
    backup: bool,
    check: Option<Check<'a>>,
    sessions: Gauge,
    queue: Gauge,
    circuit: Option<&'static str>,
    #[serde(flatten)]
    traffic: Traffic,
    downs: u64,
    down_ms: u64,
    history: &'a [Change],
}

#[derive(Debug, Serialize)]
struct Check<'a> {
    progress: u32,
    needed: u32,
    result: &'a str,
    took_ms: Option<u64>,
    total: u64,
    failed: u64,
}

/// What went through a server or a backend.
#[derive(Debug, Serialize)]
struct Traffic {
    requests: u64,
    responses: BTreeMap<&'static str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    connects: u64,
    reuses: u64,
    errors: TrafficErrors,
    retries: u64,
    redispatches: u64,
    aborts: Aborts,
    times: BTreeMap<&'static str, Times>,
}

#[derive(Debug, Serialize)]
struct TrafficErrors {
    connect: u64,
    response: u64,
}

#[derive(Debug, Serialize)]
struct Aborts {
    client: u64,
    server: u64,
}

/// Times that were taken: how many, and their sum.
#[derive(Debug, Serialize)]
struct Times {
    count: u64,
    sum_ms: f64,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    name: &'a str,
    backend: &'a str,
    role: &'static str,
    position: usize,
    decisions: u64,
    passes: u64,
    reused: u64,
    fallbacks: u64,
    faults: Faults,
    instances: u64,
    benches: u64,
    benched: bool,
    times: BTreeMap<&'static str, Times>,
}

#[derive(Debug, Serialize)]
struct Faults {
    total: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl<'a> Status<'a> {
    /// What a snapshot comes to.
    pub(super) fn of(snapshot: &'a Snapshot) -> Status<'a> {
        let started = snapshot.process.started_ms;
        Status {
            schema: SCHEMA,
            made_at_ms: snapshot.at_ms,
            process: process(&snapshot.process, snapshot.workers.len()),
            frontends: snapshot.frontends.iter().map(frontend).collect(),
            backends: snapshot.backends.iter().map(|b| backend(b, &snapshot.policies, started)).collect(),
            policies: snapshot.policies.iter().map(policy).collect(),
            discoveries: &snapshot.discoveries,
            limits: &snapshot.limits,
            logs: &snapshot.logs,
        }
    }
}

fn process(process: &snapshot::Process, workers: usize) -> Process<'_> {
    Process {
        version: process.version,
        pid: process.pid,
        started_at_ms: process.started_ms,
        configured_at_ms: process.configured_ms,
        workers,
        connections: Gauge {
            current: process.connections.into(),
            max: Some(process.connections_max.into()),
            limit: process.connections_limit.map(u64::from),
            total: None,
        },
        cpu_seconds: process.cpu_seconds,
        resident_bytes: process.resident_bytes,
        open_files: Gauge { current: process.open_fds, max: None, limit: process.max_fds, total: None },
        reloads: process.reloads,
        failed_reloads: process.reloads_failed,
        last_reload_failed: !process.configuration_current,
        draining: process.draining,
    }
}

fn frontend(frontend: &snapshot::Frontend) -> Frontend<'_> {
    Frontend {
        name: &frontend.name,
        addresses: &frontend.addresses,
        connections: Gauge {
            current: frontend.connections.into(),
            max: Some(frontend.connections_max.into()),
            limit: frontend.connections_limit.map(u64::from),
            total: Some(frontend.connections_total),
        },
        requests: frontend.requests,
        responses: classes(&frontend.responses),
        bytes_in: frontend.bytes_in,
        bytes_out: frontend.bytes_out,
        denied: frontend.denied,
        denied_connections: frontend.connections_denied,
        tls: Handshakes {
            done: frontend.tls_handshakes,
            resumed: frontend.tls_resumed,
            failed: frontend.tls_failures,
        },
        intercepted: frontend.intercepted,
        errors: FrontendErrors { request: frontend.request_errors, internal: frontend.internal_errors },
        times: [("total", times(&frontend.total_time))].into(),
    }
}

fn backend<'a>(
    backend: &'a snapshot::Backend,
    policies: &'a [snapshot::Policy],
    started_ms: u64,
) -> Backend<'a> {
    let in_role = |role: &'static str| {
        let own = policies.iter().filter(move |policy| policy.backend == backend.name && policy.role == role);
        own.map(|policy| policy.name.as_str())
    };
    Backend {
        name: &backend.name,
        state: if backend.up { "UP" } else { "DOWN" },
        balance: in_role("balance").collect(),
        persistence: in_role("persistence").next(),
        servers_active: backend.active,
        servers_backup: backend.backups,
        weight: backend.weight,
        sessions: Gauge {
            current: backend.requests_current.into(),
            max: Some(backend.requests_max),
            limit: None,
            total: None,
        },
        queue: Gauge {
            current: backend.queue.into(),
            max: Some(backend.queue_max),
            limit: None,
            total: None,
        },
        circuit: backend.circuit,
        circuit_refused: backend.circuit_refused,
        traffic: traffic(&backend.traffic),
        servers: backend.servers.iter().map(|one| server(one, started_ms)).collect(),
    }
}

fn server(server: &snapshot::Server, started_ms: u64) -> Server<'_> {
    Server {
        name: &server.name,
        address: &server.address,
        state: state(server),
        usable: server.up,
        since_ms: server.changed_ms.unwrap_or(started_ms),
        weight: server.weight,
        backup: server.backup,
        check: server.check.as_ref().map(check),
        sessions: Gauge {
            current: server.requests_current.into(),
            max: Some(server.requests_max),
            limit: server.requests_limit.map(u64::from),
            total: None,
        },
        queue: Gauge { current: server.queue.into(), max: Some(server.queue_max), limit: None, total: None },
        circuit: server.circuit,
        traffic: traffic(&server.traffic),
        downs: server.downs,
        down_ms: (server.downtime_seconds * 1000.0) as u64,
        history: &server.history,
    }
}

/// A server's state in a word.
fn state(server: &snapshot::Server) -> &'static str {
    match server {
        _ if server.disabled || server.vacant => "MAINT",
        _ if !server.up && server.address.is_empty() => "UNRESOLVED",
        _ if !server.up => "DOWN",
        _ if server.weight == 0 => "DRAIN",
        _ if server.check.is_none() => "NO CHECK",
        _ => "UP",
    }
}

fn check(check: &snapshot::Check) -> Check<'_> {
    let (progress, needed) = steps(&check.health);
    Check {
        progress,
        needed,
        result: &check.last,
        took_ms: check.last_ms,
        total: check.total,
        failed: check.failed,
    }
}

/// The numbers of `2/3 UP`.
fn steps(health: &str) -> (u32, u32) {
    let (progress, rest) = health.split_once('/').unwrap_or_default();
    let number = |text: &str| text.parse().unwrap_or(0);
    (number(progress), number(rest.split(' ').next().unwrap_or_default()))
}

fn traffic(traffic: &snapshot::Traffic) -> Traffic {
    Traffic {
        requests: traffic.requests,
        responses: classes(&traffic.responses),
        bytes_in: traffic.bytes_in,
        bytes_out: traffic.bytes_out,
        connects: traffic.connects,
        reuses: traffic.reuses,
        errors: TrafficErrors { connect: traffic.connection_errors, response: traffic.response_errors },
        retries: traffic.retries,
        redispatches: traffic.redispatches,
        aborts: Aborts { client: traffic.client_aborts, server: traffic.server_aborts },
        times: [
            ("queue", times(&traffic.queue_time)),
            ("connect", times(&traffic.connect_time)),
            ("response", times(&traffic.response_time)),
            ("total", times(&traffic.total_time)),
        ]
        .into(),
    }
}

fn policy(policy: &snapshot::Policy) -> Policy<'_> {
    let kinds: BTreeMap<_, _> = policy.faults.iter().copied().collect();
    Policy {
        name: &policy.name,
        backend: &policy.backend,
        role: policy.role,
        position: policy.position,
        decisions: policy.decisions,
        passes: policy.passes,
        reused: policy.reused,
        fallbacks: policy.fallbacks,
        faults: Faults { total: kinds.values().sum(), kinds },
        instances: policy.instances,
        benches: policy.benches,
        benched: policy.benched,
        times: [("call", calls(&policy.call_times))].into(),
    }
}

fn classes(responses: &[u64; CLASSES.len()]) -> BTreeMap<&'static str, u64> {
    CLASSES.iter().copied().zip(responses.iter().copied()).collect()
}

fn times(times: &histogram::Times) -> Times {
    Times { count: times.count(), sum_ms: times.sum_us as f64 / 1000.0 }
}

fn calls(times: &histogram::CallTimes) -> Times {
    Times { count: times.count(), sum_ms: times.sum_ns as f64 / 1e6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_off_the_words_for_them() {
        assert_eq!(steps("2/3 UP"), (2, 3));
        assert_eq!(steps("0/5 DOWN"), (0, 5));
        assert_eq!(steps(""), (0, 0));
    }
}
