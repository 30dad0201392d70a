//! Where a snapshot comes from: what the control thread knows of the configuration in force, and what all threads
//! count. It lives on the control thread and is read there; workers never notice.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use super::system;
use crate::backend;
use crate::backend::care::breaker::{Breaker, Standing};
use crate::config::model::ServerAddress;
use crate::limit::Limits;
use crate::log::Logs;
use crate::policy::Watch;
use crate::stats::Book;
use crate::stats::intake::{Discovery, Limit};
use crate::stats::snapshot::{
    Backend, Certificate, Change, Check, Frontend, Log, Policy, Process, Server, Snapshot, Traffic, Worker,
};
use crate::tls;
use crate::worker;

/// What is in force.
#[derive(Default)]
pub(crate) struct InForce {
    pub(crate) book: Book,
    pub(crate) frontends: Vec<Arc<worker::Frontend>>,
    /// Where each frontend listens.
    pub(crate) addresses: Vec<Vec<String>>,
    pub(crate) backends: Vec<Arc<backend::Backend>>,
    pub(crate) policies: Vec<Watch>,
    /// Those of frontends and backends that have any.
    pub(crate) limits: Vec<Arc<Limits>>,
    /// Whether any worker still serves by it.
    pub(crate) generation: Weak<()>,
}

/// The source of snapshots.
pub(crate) struct Source {
    process: Arc<worker::Process>,
    logs: Logs,
    workers: Vec<Handle>,
    started: (Instant, SystemTime),
    in_force: RefCell<InForce>,
    /// Configurations of before, while exchanges hold them.
    former: RefCell<Vec<Weak<()>>>,
    reloads: Cell<u64>,
    reloads_failed: Cell<u64>,
    configured: Cell<SystemTime>,
    current: Cell<bool>,
    draining: Cell<bool>,
}

impl Source {
    /// The source for a process that starts now.
    pub(crate) fn new(process: Arc<worker::Process>, logs: Logs, workers: Vec<Handle>) -> Source {
        let now = SystemTime::now();
        Source {
            process,
            logs,
            workers,
            started: (Instant::now(), now),
            in_force: RefCell::default(),
            former: RefCell::default(),
            reloads: Cell::new(0),
            reloads_failed: Cell::new(0),
            configured: Cell::new(now),
            current: Cell::new(true),
            draining: Cell::new(false),
        }
    }

    /// From now on this is in force.
    pub(crate) fn put_into_force(&self, in_force: InForce) {
        let former = self.in_force.replace(in_force).generation;
        let mut all = self.former.borrow_mut();
        all.push(former);
        all.retain(|generation| generation.strong_count() > 0);
        self.configured.set(SystemTime::now());
    }

    /// Notes whether a reload went well.
    pub(crate) fn reloaded(&self, well: bool) {
        let count = if well { &self.reloads } else { &self.reloads_failed };
        count.set(count.get() + 1);
        self.current.set(well);
    }

    /// Notes that the process drains.
    pub(crate) fn drains(&self) {
        self.draining.set(true);
    }

    /// The counters of the configuration in force, for the next one.
    pub(crate) fn renew_book(&self, config: &crate::config::model::Config, workers: usize) -> Book {
        self.in_force.borrow().book.renew(config, workers)
    }

    /// Everything, now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let in_force = self.in_force.borrow();
        let now = SystemTime::now();
        Snapshot {
            at_ms: ms(now),
            process: self.process(),
            workers: self.workers.iter().enumerate().map(|(index, handle)| worker(index, handle)).collect(),
            frontends: in_force
                .frontends
                .iter()
                .enumerate()
                .map(|(i, f)| frontend(&in_force, i, f))
                .collect(),
            backends: in_force
                .backends
                .iter()
                .enumerate()
                .map(|(i, b)| backend(&in_force, i, b, now))
                .collect(),
            policies: in_force.policies.iter().flat_map(|watch| policies(watch, ms(now))).collect(),
            discoveries: in_force.backends.iter().filter_map(|backend| discovery(backend)).collect(),
            limits: in_force.limits.iter().flat_map(|limits| Limit::all(limits)).collect(),
            logs: self.logs.counters().into_iter().map(log).collect(),
            certificates: certificates(),
        }
    }

    /// How many configurations were read, whatever came of them, and how many are alive: while neither changes, no
    /// configuration is freed.
    pub(crate) fn configurations(&self) -> (u64, usize) {
        (self.reloads.get() + self.reloads_failed.get(), self.generations())
    }

    /// Configurations that workers still serve by: the one in force, and those whose last exchanges have not ended.
    fn generations(&self) -> usize {
        let former = self.former.borrow();
        former.iter().filter(|generation| generation.strong_count() > 0).count() + 1
    }

    fn process(&self) -> Process {
        let system = system::usage();
        let connections = &self.process.connections;
        Process {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_ms: ms(self.started.1),
            uptime_seconds: self.started.0.elapsed().as_secs_f64(),
            connections: connections.current(),
            connections_max: connections.peak(),
            connections_limit: connections.limit(),
            cpu_seconds: system.cpu.as_secs_f64(),
            resident_bytes: system.resident_bytes,
            virtual_bytes: system.virtual_bytes,
            open_fds: system.open_fds,
            max_fds: system.max_fds,
            threads: system.threads,
            generations: self.generations(),
            reloads: self.reloads.get(),
            reloads_failed: self.reloads_failed.get(),
            configured_ms: ms(self.configured.get()),
            configuration_current: self.current.get(),
            draining: self.draining.get(),
        }
    }
}

/// The certificates in use, each once for a frontend or backend, on however many addresses it is shown.
fn certificates() -> Vec<Certificate> {
    let mut all: Vec<Certificate> = Vec::new();
    for facts in tls::expiry::certificates().iter() {
        let found = certificate(facts);
        if !all.iter().any(|one| (&one.proxy, &one.file) == (&found.proxy, &found.file)) {
            all.push(found);
        }
    }
    all
}

fn certificate(facts: &tls::expiry::CertificateFacts) -> Certificate {
    Certificate {
        proxy: facts.proxy.to_string(),
        file: facts.path.display().to_string(),
        names: facts.names.clone(),
        not_after: facts.not_after,
    }
}

fn worker(index: usize, handle: &Handle) -> Worker {
    let metrics = handle.metrics();
    Worker {
        index,
        busy_seconds: metrics.worker_total_busy_duration(0).as_secs_f64(),
        sleeps: metrics.worker_park_count(0),
    }
}

fn frontend(in_force: &InForce, index: usize, shared: &worker::Frontend) -> Frontend {
    let mut frontend = Frontend {
        name: shared.config.name.to_string(),
        addresses: in_force.addresses.get(index).cloned().unwrap_or_default(),
        connections: shared.connections.current(),
        connections_max: shared.connections.peak(),
        connections_limit: shared.connections.limit(),
        connections_total: 0,
        connections_denied: 0,
        tls_handshakes: 0,
        tls_resumed: 0,
        tls_failures: 0,
        requests: 0,
        responses: [0; 6],
        bytes_in: 0,
        bytes_out: 0,
        denied: 0,
        request_errors: 0,
        intercepted: 0,
        internal_errors: 0,
        total_time: Default::default(),
    };
    for tally in in_force.book.frontends.get(index).into_iter().flat_map(|(_, blocks)| blocks) {
        for (sum, cell) in frontend.responses.iter_mut().zip(&tally.responses) {
            *sum = sum.wrapping_add(cell.read());
        }
        for (sum, cell) in [
            (&mut frontend.connections_total, &tally.connections),
            (&mut frontend.connections_denied, &tally.denied_connections),
            (&mut frontend.tls_handshakes, &tally.tls.handshakes),
            (&mut frontend.tls_resumed, &tally.tls.resumed),
            (&mut frontend.tls_failures, &tally.tls.failures),
            (&mut frontend.requests, &tally.requests),
            (&mut frontend.bytes_in, &tally.bytes_in),
            (&mut frontend.bytes_out, &tally.bytes_out),
            (&mut frontend.denied, &tally.denied),
            (&mut frontend.request_errors, &tally.request_errors),
            (&mut frontend.intercepted, &tally.intercepted),
            (&mut frontend.internal_errors, &tally.internal_errors),
        ] {
            *sum = sum.wrapping_add(cell.read());
        }
        frontend.total_time.take(&tally.total);
    }
    frontend
}

fn backend(in_force: &InForce, index: usize, shared: &backend::Backend, now: SystemTime) -> Backend {
    let Some(page) = in_force.book.backends.get(index) else { return empty(shared) };
    let servers: Vec<Server> = shared
        .servers
        .iter()
        .zip(&page.servers)
        .map(|(server, (_, blocks))| {
            let mut traffic = Traffic::default();
            blocks.iter().for_each(|block| traffic.take(block));
            let peak = |of: fn(&crate::stats::tally::ServerTally) -> &crate::cell::Cell| {
                blocks.iter().map(|block| of(block).read()).max().unwrap_or(0)
            };
            let maxima = (peak(|block| &block.requests_max), peak(|block| &block.queue_max));
            self::server(server, traffic, maxima, now)
        })
        .collect();
    let queued: u32 = servers.iter().map(|server| server.queue).sum();
    let whole = |of: fn(&crate::stats::tally::BackendTally) -> &crate::cell::Cell| {
        page.whole.iter().map(|block| of(block).read()).max().unwrap_or(0)
    };
    Backend {
        queue: shared.waiting() + queued,
        requests_max: whole(|block| &block.requests_max),
        queue_max: whole(|block| &block.queue_max),
        traffic: page.traffic(servers.iter().map(|server| &server.traffic)),
        servers,
        ..empty(shared)
    }
}

/// How it goes with the source of a backend's servers, where they come from elsewhere.
fn discovery(backend: &backend::Backend) -> Option<Discovery> {
    let now = backend.discovered()?;
    Some(Discovery {
        backend: backend.config.name.to_string(),
        source: now.source.to_string(),
        answers: now.successes,
        failures: now.failures,
        last_answer_ms: now.last_success.map(ms),
        failing_since_ms: now.failing_since.map(ms),
        why: now.last_failure.map(|(_, why)| why).unwrap_or_default(),
        slots: now.slots,
        filled: now.filled,
        left_over: now.left_over,
    })
}

/// A backend's state, without what is counted.
fn empty(shared: &backend::Backend) -> Backend {
    let candidates = shared.candidates();
    let (active, backups) = shared.usable();
    Backend {
        name: shared.config.name.to_string(),
        up: !candidates.is_empty(),
        active,
        backups,
        weight: candidates.iter().map(|it| shared.servers[it.server as usize].weight()).sum(),
        requests_current: shared.requests.load(Relaxed),
        requests_max: 0,
        queue: shared.waiting(),
        queue_max: 0,
        retries_refused: shared.retry_budget.as_ref().map_or(0, |budget| budget.refused()),
        circuit: shared.circuit.as_ref().and_then(|circuit| circuit.breaker.as_deref()).map(circuit),
        circuit_refused: shared.circuit.as_ref().map_or(0, |circuit| circuit.refused()),
        traffic: Traffic::default(),
        servers: Vec::new(),
    }
}

fn server(
    shared: &backend::server::Server,
    traffic: Traffic,
    (requests_max, queue_max): (u64, u64),
    now: SystemTime,
) -> Server {
    let record = shared.record();
    let address = match (&shared.config.address, shared.address().filter(|_| !shared.is_vacant())) {
        (_, Some(address)) => address.to_string(),
        (ServerAddress::Unix(path), None) => format!("unix@{}", path.display()),
        (_, None) => String::new(),
    };
    let check = record.health.map(|health| Check {
        health: health.to_string(),
        total: record.checks,
        failed: record.checks_failed,
        last: record.last_check.as_ref().map(|last| last.finding.to_string()).unwrap_or_default(),
        last_ms: record.last_check.as_ref().map(|last| last.took.as_millis() as u64),
    });
    let open =
        record.down_since.map_or(Duration::ZERO, |since| now.duration_since(since).unwrap_or_default());
    let change = |step: &backend::health::Transition| Change {
        at_ms: ms(step.at),
        up: step.up,
        cause: step.cause.to_string(),
    };
    Server {
        name: shared.config.name.to_string(),
        address,
        weight: shared.weight(),
        backup: shared.is_backup(),
        disabled: shared.config.disabled,
        vacant: shared.is_vacant(),
        up: shared.is_usable(),
        circuit: shared.breaker.as_deref().map(circuit),
        check,
        requests_current: shared.in_flight.load(Relaxed),
        requests_max,
        requests_limit: shared.config.maxconn,
        queue: shared.queued.load(Relaxed),
        queue_max,
        downs: record.downs,
        downtime_seconds: (record.downtime + open).as_secs_f64(),
        changed_ms: record.history.back().map(|step| ms(step.at)),
        history: record.history.iter().map(change).collect(),
        traffic,
    }
}

/// How a circuit breaker stands.
fn circuit(breaker: &Breaker) -> &'static str {
    match breaker.standing(tokio::time::Instant::now()) {
        Standing::Closed => "closed",
        Standing::HalfOpen => "half-open",
        Standing::Open => "open",
    }
}

fn policies(watch: &Watch, now_ms: u64) -> Vec<Policy> {
    let mut before = None;
    let mut position = 0;
    let policies = watch.metrics(now_ms).into_iter().map(|metrics| {
        position = if before == Some(metrics.role) { position + 1 } else { 0 };
        before = Some(metrics.role);
        Policy {
            name: metrics.policy,
            backend: metrics.backend,
            role: metrics.role.name(),
            position,
            decisions: metrics.decisions,
            passes: metrics.passes,
            reused: metrics.reused,
            fallbacks: metrics.fallbacks,
            faults: metrics.faults.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            instances: metrics.instances,
            benches: metrics.benches,
            benched: metrics.benched,
            call_times: metrics.call_times,
        }
    });
    policies.collect()
}

fn log(counters: crate::log::Counters) -> Log {
    Log { destination: counters.destination, written: counters.written, dropped: counters.dropped }
}

/// Milliseconds since 1970.
fn ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
