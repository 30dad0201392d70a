//! Servers known by name: their addresses are looked up while the program runs, again and again, off the
//! path of requests. A name that does not resolve is no error: its servers are DOWN until it does.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Backend;
use super::health::{Cause, Record};
use crate::config::model::ServerAddress;

/// How long an address holds.
const VALID: Duration = Duration::from_secs(10);

/// The first pause after a name that did not resolve. It doubles up to [`VALID`].
const BACKOFF: Duration = Duration::from_secs(1);

/// What turns a name into addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, the preferred one first.
    fn resolve(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

/// The operating system's resolver, which knows `/etc/hosts` and `/etc/resolv.conf`. It runs on threads of
/// its own, one for each name at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Resolve for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The look-ups of a configuration's names. They stop when this is dropped; the addresses stay with the
/// servers.
#[derive(Debug)]
pub struct Names {
    _tasks: JoinSet<()>,
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
    pub fn start(backends: &[Arc<Backend>], resolver: impl Resolve) -> Names {
        let mut names: HashMap<&str, Vec<Named>> = HashMap::new();
        for backend in backends {
            for (index, server) in backend.servers.iter().enumerate() {
                if let ServerAddress::Name(name, port) = &server.config.address {
                    let named = Named { backend: backend.clone(), index, port: *port };
                    names.entry(name).or_default().push(named);
                }
            }
        }
        let resolver = Arc::new(resolver);
        let mut tasks = JoinSet::new();
        for (name, servers) in names {
            tasks.spawn(keep_resolving(resolver.clone(), name.to_owned(), servers));
        }
        Names { _tasks: tasks }
    }
}

async fn keep_resolving(resolver: Arc<impl Resolve>, name: String, servers: Vec<Named>) {
    let random = RandomState::new();
    let mut failures = 0;
    for round in 0_u64.. {
        let answers = resolver.resolve(&name).await.and_then(|answers| match answers.is_empty() {
            true => Err(io::Error::other("it has no address")),
            false => Ok(answers),
        });
        match answers {
            Ok(answers) => {
                if failures > 0 {
                    tracing::info!(%name, "the name {name} resolves again");
                }
                failures = 0;
                servers.iter().for_each(|named| named.take(&answers));
            }
            Err(error) => {
                if failures == 0 {
                    servers.iter().for_each(|named| named.miss(&name, &error));
                }
                failures += 1;
            }
        }
        sleep(pause(failures, random.hash_one(round))).await;
    }
}

/// How long to wait before the next look-up, after so many failed ones in a row: give or take a tenth, by
/// chance, so that the names do not keep step.
fn pause(failures: u32, chance: u64) -> Duration {
    let plain = match failures {
        0 => VALID,
        n => BACKOFF.saturating_mul(1 << (n - 1).min(16)).min(VALID),
    };
    plain.mul_f64(0.9 + 0.2 * (chance as f64 / u64::MAX as f64))
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
