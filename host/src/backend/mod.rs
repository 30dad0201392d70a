//! A backend as the whole process shares it: its servers, who of them may be chosen, and the number of the
//! next pick. Which one is chosen is a policy's business.

mod attributes;
pub mod care;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod health;
pub mod load;
pub mod queue;
pub mod resolve;
pub mod server;
mod slots;

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attributes::cookie_attributes;
use tokio::sync::Notify;

use crate::config::model;
use crate::discovery::Progress;
use care::budget::Budget;
use care::circuit::Circuit;
use care::ramp;
use health::Cause;
use queue::Queue;
use server::Server;

/// A server that may be chosen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its index in [`Backend::servers`].
    pub server: u32,
    /// Its weight now, 1 to 256.
    pub weight: u32,
}

/// A backend's shared state.
#[derive(Debug)]
pub struct Backend {
    /// What `lb.toml` says of it.
    pub config: model::Backend,
    /// Its servers, in the order of the file.
    pub servers: Vec<Arc<Server>>,
    /// The number of the next pick, over all workers.
    pub sequence: AtomicU64,
    /// Requests that it holds, queued ones included.
    pub requests: AtomicU32,
    /// How it goes with the source of its servers, where there is one.
    pub discovery: Option<Progress>,
    /// What is added, for clients that came by TLS, to the cookies that persistence inserts.
    pub(crate) cookie_attributes: &'static [u8],
    /// How many retries there may be; `None`: no bound.
    pub(crate) retry_budget: Option<Arc<Budget>>,
    /// What refuses requests at once; `None`: nothing does.
    pub(crate) circuit: Option<Arc<Circuit>>,
    /// Asks for what servers are due for, as time passes.
    pub(crate) attention: Notify,
    /// Whether any server may start slowly.
    starts_slowly: bool,
    queue: Arc<Queue>,
    candidates: Mutex<Arc<[Candidate]>>,
    version: AtomicU64,
}

impl Backend {
    /// A backend of these servers, some of which may have served under an earlier configuration.
    pub fn new(config: model::Backend, servers: Vec<Arc<Server>>) -> Arc<Backend> {
        Backend::after(None, config, servers)
    }

    /// As [`Backend::new`], going on with what was counted at the backend of an earlier configuration.
    pub(crate) fn after(
        before: Option<&Backend>,
        config: model::Backend,
        servers: Vec<Arc<Server>>,
    ) -> Arc<Backend> {
        // Requests of an earlier generation may wait for servers of this one.
        let queue: Arc<Queue> = servers.iter().find_map(|s| s.queue.get().cloned()).unwrap_or_default();
        for server in &servers {
            server.queue.get_or_init(|| queue.clone());
        }
        let backend = Arc::new(Backend {
            discovery: config.template.as_ref().map(|template| Progress::new(template.text.clone())),
            cookie_attributes: config.persistence.as_ref().map_or(&b""[..], cookie_attributes),
            retry_budget: care::budget_of(&config, before),
            circuit: care::circuit_of(&config, before),
            attention: Notify::new(),
            starts_slowly: servers.iter().any(|server| server.config.slowstart.is_some()),
            config,
            queue,
            servers,
            sequence: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            candidates: Mutex::new(Arc::new([])),
            version: AtomicU64::new(0),
        });
        backend.refresh();
        backend
    }

    /// Counts changes of the candidates and of who is usable: whoever knows of an older state than this asks anew.
    /// What is read of the servers after it is at least as new.
    pub fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// Who may be chosen now: the servers that are UP with a weight; backups only where nothing else is
    /// left, and then the first of them alone, as HAProxy does without `option allbackups`.
    pub fn candidates(&self) -> Arc<[Candidate]> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether another server than this one may be chosen now.
    pub fn has_other(&self, server: u32) -> bool {
        self.candidates().iter().any(|candidate| candidate.server != server)
    }

    /// Tells the backend that a server's state changed. Where it went DOWN, those who wait for it are sent
    /// on, if the backend says `redispatch`; returns how many. Where it went UP, it serves those who wait.
    /// Those who wait for any server are served by whoever is a candidate now.
    pub fn server_changed(self: &Arc<Self>, index: usize, up: bool) -> u32 {
        let Some(server) = self.servers.get(index) else { return 0 };
        server.set_up(up);
        self.refresh();
        let mut evicted = 0;
        if server.is_usable() {
            self.serve_waiting(index);
        } else if self.config.redispatch {
            evicted = self.evict(index);
        }
        self.settle_queue();
        evicted
    }

    /// Sees anew who may be chosen, as [`Backend::refresh`] does, and has them serve who waits.
    pub(crate) fn candidates_changed(self: &Arc<Self>) {
        self.refresh();
        self.settle_queue();
    }

    /// How many of its servers may serve: active ones, and backups.
    pub fn usable(&self) -> (usize, usize) {
        let usable = self.servers.iter().filter(|server| server.is_usable());
        let (backups, active): (Vec<_>, Vec<_>) = usable.partition(|server| server.is_backup());
        (active.len(), backups.len())
    }

    /// A server is about to come UP, and takes its time to its whole share, where it is said to.
    fn start_slowly(&self, index: usize) {
        self.servers[index].start_slowly();
        self.attention.notify_one();
    }

    /// Takes a server UP or DOWN, remembers why, and says so in the log. `took` is the check's duration.
    fn transition(self: &Arc<Self>, index: usize, up: bool, cause: Cause, took: Option<Duration>) {
        let server = &self.servers[index];
        if up && server.is_tripped() {
            // Its circuit breaker brings it back.
            return;
        }
        let text = match took {
            Some(took) => format!("{cause}, after {} ms", took.as_millis()),
            None => cause.to_string(),
        };
        if up && server.record_mut().down_since.is_some() {
            self.start_slowly(index);
        }
        server.record_mut().remember(up, cause);
        let requeued = self.server_changed(index, up);
        let (active, backups) = self.usable();
        let (name, server_name) = (&*self.config.name, &*server.config.name);
        let backup = if server.is_backup() { "backup " } else { "" };
        if up {
            let queued = server.queued.load(Relaxed) + self.waiting();
            tracing::info!(
                backend = name,
                server = server_name,
                active,
                backups,
                queued,
                "{backup}server {name}/{server_name} is UP: {text}; {active} active and {backups} backup servers serve",
            );
            return;
        }
        let (sessions, queued) = (server.in_flight.load(Relaxed), server.queued.load(Relaxed));
        tracing::warn!(
            backend = name,
            server = server_name,
            active,
            backups,
            sessions,
            requeued,
            queued,
            "{backup}server {name}/{server_name} is DOWN: {text}; {active} active and {backups} backup servers \
             are left, {sessions} sessions active, {requeued} requeued, {queued} still queued",
        );
        if active + backups == 0 {
            tracing::error!(backend = name, "backend {name} has no server available");
        }
    }

    /// Sees anew who may be chosen; for those who wait, see [`Backend::candidates_changed`]. To be called where the servers' state may have changed without
    /// [`Backend::server_changed`], as while another configuration's backend had them too.
    pub(crate) fn refresh(&self) {
        let scale = match self.starts_slowly {
            true => ramp::scale(self.servers.iter().map(|server| server.weight()).max().unwrap_or(1)),
            false => 1,
        };
        let usable = |backup: bool| {
            self.servers.iter().enumerate().filter_map(move |(index, server)| {
                let weight = ramp::part(server.weight() * scale, server.ramp());
                (server.is_backup() == backup && weight > 0 && server.is_usable())
                    .then_some(Candidate { server: index as u32, weight })
            })
        };
        let mut list: Vec<Candidate> = usable(false).collect();
        if list.is_empty() {
            list.extend(usable(true).take(1));
        }
        *self.candidates.lock().unwrap_or_else(PoisonError::into_inner) = list.into();
        self.version.fetch_add(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::MutexGuard;

    use super::health::check::Finding;
    use super::*;

    fn backend() -> Arc<Backend> {
        let backup = model::Server { backup: true, ..fixtures::server("spare") };
        let servers = vec![fixtures::server("web-a"), fixtures::server("web-b"), backup];
        fixtures::backend(fixtures::config("flask_servers"), servers)
    }

    fn chosen(backend: &Backend) -> Vec<u32> {
        backend.candidates().iter().map(|candidate| candidate.server).collect()
    }

    #[test]
    fn backups_serve_only_when_nobody_else_can() {
        let backend = backend();
        let version = backend.version();
        assert_eq!(chosen(&backend), [0, 1]);
        backend.server_changed(0, false);
        assert_eq!(chosen(&backend), [1]);
        backend.server_changed(1, false);
        assert_eq!(chosen(&backend), [2]);
        assert_eq!(backend.usable(), (0, 1));
        backend.server_changed(0, true);
        assert_eq!(chosen(&backend), [0]);
        assert_eq!(backend.version(), version + 3);
    }

    #[test]
    fn what_happened_to_servers_while_another_backend_had_them_is_seen_on_a_second_look() {
        let before = backend();
        let after = Backend::new(fixtures::config("flask_servers"), before.servers.clone());
        before.server_changed(0, false);
        assert_eq!(chosen(&after), [0, 1]);
        after.refresh();
        assert_eq!(chosen(&after), [1]);
    }

    #[test]
    fn a_disabled_server_stays_out_whatever_is_said_of_it() {
        let disabled = model::Server { disabled: true, ..fixtures::server("web-a") };
        let backend = fixtures::backend(fixtures::config("b"), vec![disabled]);
        backend.server_changed(0, true);
        assert!(chosen(&backend).is_empty());
    }

    #[test]
    fn the_log_says_who_went_down_and_why_and_who_is_left() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Tee(log.clone());
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let backend = backend();
            let cause = || Cause::Check(Finding::Layer7WrongStatus(500, "OOPS".into()));
            (0..3)
                .for_each(|index| backend.transition(index, false, cause(), Some(Duration::from_millis(4))));
            let cause = Cause::Check(Finding::Layer4Passed);
            backend.transition(2, true, cause, Some(Duration::ZERO));
        });
        let log = String::from_utf8(lock(&log).clone()).expect("text");
        let lines: Vec<&str> =
            log.lines().filter_map(|line| line.split_once("backend: ")).map(|l| l.1).collect();
        let sentence = |line: usize| lines[line].split(" backend=").next().unwrap_or_default();
        assert_eq!(
            sentence(0),
            "server flask_servers/web-a is DOWN: Layer7 wrong status, code 500, OOPS, after 4 ms; 1 active and \
             1 backup servers are left, 0 sessions active, 0 requeued, 0 still queued"
        );
        assert!(lines[2].starts_with("backup server flask_servers/spare is DOWN"), "{}", lines[2]);
        assert_eq!(sentence(3), "backend flask_servers has no server available");
        assert!(log.lines().nth(3).is_some_and(|line| line.contains("ERROR")));
        assert!(lines[4].contains("spare is UP: Layer4 check passed, after 0 ms; 0 active and 1 backup"));
    }

    #[derive(Clone)]
    struct Tee(Arc<Mutex<Vec<u8>>>);

    fn lock(log: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
        log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Write for Tee {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
