//! Servers known by name: their addresses are looked up while the program runs, again and again, off the
//! path of requests. A name that does not resolve is no error: its servers are DOWN until it does.
//!
//! The operating system is asked where nothing else is said: it knows more than DNS (`nsswitch.conf`, mDNS, the names of
//! containers), but no TTL. Servers with `resolvers` follow the TTL of their records in DNS.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Backend;
use super::health::{Cause, Record};
use super::server::Server;
use crate::config::model::ServerAddress;
use crate::config::model::discovery::Resolution;
use crate::discovery::{self, Trouble, dns};

/// What turns a name into addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the preferred one first.
    fn resolve(&mut self, name: &str) -> impl Future<Output = io::Result<Answer>> + Send;
}

/// The addresses of a name.
#[derive(Debug)]
pub struct Answer {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// For how long they hold, where that is known.
    pub valid: Option<Duration>,
}

/// The operating system's resolver, which knows `/etc/hosts` and `/etc/resolv.conf`. It runs on threads of
/// its own, one for each name at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Resolve for System {
    async fn resolve(&mut self, name: &str) -> io::Result<Answer> {
        let addresses = tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect();
        Ok(Answer { addresses, valid: None })
    }
}

/// A name that does not exist, or has no address, is `NotFound`.
impl Resolve for dns::Client {
    async fn resolve(&mut self, name: &str) -> io::Result<Answer> {
        match self.addresses(name).await {
            Ok(answer) => Ok(Answer { addresses: answer.addresses, valid: Some(answer.valid) }),
            Err(Trouble::Nothing(why)) => Err(io::Error::new(io::ErrorKind::NotFound, why)),
            Err(Trouble::Outage(why)) => Err(io::Error::other(why)),
        }
    }
}

/// The look-ups of a configuration's names. They stop when this is dropped; the addresses stay with the
/// servers.
#[derive(Debug)]
pub struct Names {
    tasks: JoinSet<()>,
    /// Gets a permit for each name that has been looked up once.
    tried: Arc<Semaphore>,
}

/// A server known by name.
#[derive(Debug)]
struct Named {
    backend: Arc<Backend>,
    index: usize,
    port: u16,
}

impl Names {
    /// Begins to look up the names of these backends' servers, on the runtime that this is called on.
    ///
    /// `resolver` is asked for those whose servers name nobody to ask.
    pub fn start(backends: &[Arc<Backend>], resolver: impl Resolve + Clone) -> Names {
        Names::start_where(backends, resolver, |_| true)
    }

    /// As [`Names::start`], for some of the servers.
    pub(crate) fn start_where(
        backends: &[Arc<Backend>],
        resolver: impl Resolve + Clone,
        wanted: impl Fn(&Arc<Server>) -> bool,
    ) -> Names {
        let mut names: HashMap<&str, Vec<(&Resolution, Vec<Named>)>> = HashMap::new();
        for backend in backends {
            for (index, server) in backend.servers.iter().enumerate().filter(|(_, server)| wanted(server)) {
                if let ServerAddress::Name(name, port) = &server.config.address {
                    let named = Named { backend: backend.clone(), index, port: *port };
                    let (resolution, groups) = (&server.config.resolution, names.entry(name).or_default());
                    match groups.iter_mut().find(|(known, _)| *known == resolution) {
                        Some((_, group)) => group.push(named),
                        None => groups.push((resolution, vec![named])),
                    }
                }
            }
        }
        let tried = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        let groups =
            names.into_iter().flat_map(|(name, groups)| groups.into_iter().map(move |it| (name, it)));
        for (name, (resolution, servers)) in groups {
            let (name, tried) = (name.to_owned(), tried.clone());
            match &resolution.resolvers {
                None => tasks.spawn(keep_resolving(resolver.clone(), None, name, servers, tried)),
                Some(resolvers) => {
                    let (client, hold) = (dns::Client::new(resolution), Some(resolvers.hold_nx));
                    tasks.spawn(keep_resolving(client, hold, name, servers, tried))
                }
            };
        }
        Names { tasks, tried }
    }

    /// Waits until each name has been looked up once, found or not: traffic that comes sooner finds servers
    /// DOWN that need not be. A look-up can take many seconds, so that the caller sets a limit.
    pub async fn tried(&self) {
        // Refused only when the semaphore is closed, which nobody does.
        let _ = self.tried.acquire_many(self.tasks.len() as u32).await;
    }
}

/// `hold` is how long a server keeps its address after its name has lost it; `None`: for ever.
async fn keep_resolving(
    mut resolver: impl Resolve,
    hold: Option<Duration>,
    name: String,
    servers: Vec<Named>,
    tried: Arc<Semaphore>,
) {
    let random = RandomState::new();
    let mut failures = 0_u32;
    let mut lost: Option<Instant> = None;
    for round in 0_u64.. {
        let answer = resolver.resolve(&name).await.and_then(|answer| match answer.addresses.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
            false => Ok(answer),
        });
        let mut valid = None;
        match answer {
            Ok(answer) => {
                if failures > 0 {
                    tracing::info!(%name, "the name {name} resolves again");
                }
                (failures, lost, valid) = (0, None, answer.valid);
                servers.iter().for_each(|named| named.take(&answer.addresses));
            }
            Err(error) => {
                if failures == 0 {
                    servers.iter().for_each(|named| named.miss(&name, &error));
                }
                failures = failures.saturating_add(1);
                lost = (error.kind() == io::ErrorKind::NotFound).then(|| lost.unwrap_or_else(Instant::now));
                if let (Some(hold), Some(lost)) = (hold, lost)
                    && lost.elapsed() >= hold
                {
                    servers.iter().for_each(|named| named.lose(&error));
                }
            }
        }
        if round == 0 {
            tried.add_permits(1);
        }
        sleep(valid.unwrap_or_else(|| discovery::pause(failures, random.hash_one(round)))).await;
    }
}

/// The address to use: the present one while it is among the answers, else the first answer.
fn choose(present: Option<IpAddr>, answers: &[IpAddr]) -> Option<IpAddr> {
    present.filter(|ip| answers.contains(ip)).or(answers.first().copied())
}

impl Named {
    fn take(&self, answers: &[IpAddr]) {
        let server = &self.backend.servers[self.index];
        let present = server.address().map(|address| address.ip());
        let Some(ip) = choose(present, answers).filter(|ip| Some(*ip) != present) else { return };
        let former = server.set_ip(ip, self.port);
        let (backend, name) = (&*self.backend.config.name, &*server.config.name);
        if let Some(former) = former {
            let former = former.ip();
            tracing::info!(backend, server = name, %former, %ip, "server {backend}/{name} moved from {former} to {ip}");
            return;
        }
        // It begins like a server whose address was known from the start: UP, until the first check.
        server.record_mut().health = Record::start(server.config.check.as_ref()).health;
        if !server.config.disabled {
            let cause = Cause::Resolved((ip, self.port).into());
            self.backend.transition(self.index, true, cause, None);
            server.check_now.notify_one();
        }
    }

    /// Its name has been lost for too long: the server is where nobody knows.
    fn lose(&self, error: &io::Error) {
        let server = &self.backend.servers[self.index];
        if server.address().is_some() {
            server.forget_ip();
            if !server.config.disabled {
                self.backend.transition(self.index, false, Cause::Unresolved(error.to_string()), None);
            }
        }
    }

    fn miss(&self, name: &str, error: &io::Error) {
        let server = &self.backend.servers[self.index];
        if server.config.disabled {
            return;
        }
        match server.address() {
            None => self.backend.transition(self.index, false, Cause::Unresolved(error.to_string()), None),
            Some(address) => {
                let (backend, server) = (&*self.backend.config.name, &*server.config.name);
                let ip = address.ip();
                tracing::warn!(
                    backend, server, name, %ip, %error,
                    "the name {name} no longer resolves ({error}); server {backend}/{server} stays at {ip}",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::*;
    use crate::backend::fixtures;
    use crate::backend::health::state::Pace;
    use crate::config::model;

    /// Answers from a script, says when it was asked, and then never answers again.
    #[derive(Clone)]
    struct Script {
        answers: Arc<Mutex<VecDeque<io::Result<Vec<IpAddr>>>>>,
        asked: mpsc::UnboundedSender<Instant>,
    }

    impl Resolve for Script {
        async fn resolve(&mut self, name: &str) -> io::Result<Answer> {
            assert_eq!(name, "web-a");
            let answer = self.answers.lock().expect("the script").pop_front();
            self.asked.send(Instant::now()).expect("a listener");
            match answer {
                Some(answer) => answer.map(|addresses| Answer { addresses, valid: None }),
                None => std::future::pending().await,
            }
        }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn named() -> model::Server {
        let address = ServerAddress::Name("web-a".into(), 5001);
        model::Server { address, check: Some(fixtures::check(5, 3)), ..fixtures::server("web-a") }
    }

    /// Runs a script of answers (the last bytes of addresses; none: a failure) to its end. Returns the
    /// backend and the pauses in seconds.
    async fn run(script: &[&[u8]]) -> (Arc<Backend>, Vec<u64>) {
        let backend = fixtures::backend(fixtures::config("flask_servers"), vec![named()]);
        let answers = script.iter().map(|answer| match answer {
            [] => Err(io::Error::other("no such host")),
            answer => Ok(answer.iter().map(|&last| ip(last)).collect()),
        });
        let (asked, mut times) = mpsc::unbounded_channel();
        let names = Names::start(
            std::slice::from_ref(&backend),
            Script { answers: Arc::new(Mutex::new(answers.collect())), asked },
        );
        let mut seen = Vec::new();
        while seen.len() <= script.len() {
            seen.push(times.recv().await.expect("a look-up"));
        }
        drop(names);
        let pauses = seen.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64().round() as u64).collect();
        (backend, pauses)
    }

    fn address(backend: &Backend) -> Option<String> {
        backend.servers[0].address().map(|address| address.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_down_until_its_name_resolves_and_then_starts_up() {
        let (backend, _) = run(&[&[]]).await;
        assert!(!backend.servers[0].is_usable() && backend.servers[0].is_unresolved());
        let (backend, _) = run(&[&[], &[7]]).await;
        let server = &backend.servers[0];
        assert_eq!(address(&backend).as_deref(), Some("10.0.0.7:5001"));
        assert!(server.is_usable());
        let record = server.record();
        assert_eq!(record.health.map(|health| health.pace()), Some(Pace::InDoubt));
        assert_eq!(record.history.iter().map(|step| step.up).collect::<Vec<_>>(), [false, true]);
        assert_eq!(record.history[0].cause, Cause::Unresolved("no such host".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_follows_its_name_and_keeps_its_address_while_that_is_an_answer() {
        let (backend, _) = run(&[&[1, 2], &[2, 1]]).await;
        assert_eq!(address(&backend).as_deref(), Some("10.0.0.1:5001"));
        let (backend, _) = run(&[&[1, 2], &[3, 2]]).await;
        assert_eq!(address(&backend).as_deref(), Some("10.0.0.3:5001"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_keeps_its_address_when_its_name_is_lost() {
        let (backend, _) = run(&[&[1], &[], &[]]).await;
        assert_eq!(address(&backend).as_deref(), Some("10.0.0.1:5001"));
        assert!(backend.servers[0].is_usable());
        assert_eq!(backend.servers[0].record().history.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_come_every_ten_seconds_and_sooner_while_they_fail() {
        let (_, pauses) = run(&[&[], &[], &[], &[], &[], &[1], &[1], &[]]).await;
        let (failing, rest) = pauses.split_at(5);
        for (pause, expected) in failing.iter().zip([1, 2, 4, 8, 10]) {
            assert!(pause.abs_diff(expected) <= 1, "{pauses:?}");
        }
        assert!(rest[0] >= 9 && rest[1] >= 9 && rest[2] == 1, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_address_asks_for_a_check_at_once() {
        let (backend, _) = run(&[&[1]]).await;
        backend.servers[0].check_now.notified().await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_names_have_been_tried_once_the_first_answers_are_in() {
        let backend = fixtures::backend(fixtures::config("flask_servers"), vec![named()]);
        let (asked, _times) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::from([Ok(vec![ip(1)])])));
        let names = Names::start(std::slice::from_ref(&backend), Script { answers, asked });
        names.tried().await;
        assert!(backend.servers[0].is_usable());
        Names::start(&[], System).tried().await;
    }

    #[test]
    fn the_first_answer_is_preferred_whatever_its_family() {
        let v6: IpAddr = "::1".parse().expect("an address");
        assert_eq!(choose(None, &[v6, ip(1)]), Some(v6));
        assert_eq!(choose(Some(ip(1)), &[v6, ip(1)]), Some(ip(1)));
        assert_eq!(choose(Some(ip(2)), &[ip(1), v6]), Some(ip(1)));
        assert_eq!(choose(Some(ip(2)), &[]), None);
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let answers = { System }.resolve("localhost").await.expect("an answer").addresses;
        assert!(answers.iter().all(IpAddr::is_loopback), "{answers:?}");
    }
}
