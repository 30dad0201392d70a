//! Following a source: what it names goes into the backend's slots; what it says when it names nobody, or nothing at
//! all, goes into the log once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::slots::{self, Slot};
use super::{AGAIN, Asker, Endpoint, Found, Trouble, pause};
use crate::backend::Backend;
use crate::config::model::discovery::{Source, Template};

/// A backend that follows a source.
pub(super) struct Follower {
    backend: Arc<Backend>,
    source: Arc<str>,
    /// How long the last servers stay after the source has said that there are none.
    hold: Duration,
    /// How long a server stays that the source does not name any more.
    hold_obsolete: Duration,
    /// Whether the source says that there are none.
    none: bool,
    /// When the servers that it named last are given up.
    expires: Option<Instant>,
    /// The servers that are held, and since when they are not named any more.
    missing: HashMap<SocketAddr, Instant>,
    failures: u32,
    /// Whether it was said that there are more servers than slots.
    crowded: bool,
}

impl Follower {
    pub(super) fn new(backend: Arc<Backend>, template: &Template) -> Follower {
        let by_dns = matches!(template.source, Source::Addresses(..) | Source::Services(_));
        let resolvers = template.resolution.resolvers.as_deref().filter(|_| by_dns);
        Follower {
            backend,
            source: template.text.clone(),
            hold: template.hold,
            hold_obsolete: resolvers.map_or(Duration::ZERO, |resolvers| resolvers.hold_obsolete),
            none: false,
            expires: None,
            missing: HashMap::new(),
            failures: 0,
            crowded: false,
        }
    }

    pub(super) async fn run(mut self, mut asker: Asker, tried: Arc<Semaphore>) {
        let random = RandomState::new();
        let mut pause = Duration::ZERO;
        for round in 0_u64.. {
            let answer = {
                let mut answer = std::pin::pin!(async {
                    sleep(pause).await;
                    asker.ask().await
                });
                loop {
                    let expires = self.expires;
                    tokio::select! {
                        answer = &mut answer => break answer,
                        () = due(expires) => self.expire(),
                    }
                }
            };
            pause = self.take(answer, random.hash_one(round));
            if round == 0 {
                tried.add_permits(1);
            }
        }
    }

    /// Does as the source says. Returns how long to wait before it is asked again.
    fn take(&mut self, answer: Result<Found, Trouble>, chance: u64) -> Duration {
        match answer {
            Ok(found) if found.endpoints.is_empty() => {
                self.recovered();
                self.none("it names no server");
                found.pause
            }
            Err(Trouble::Nothing(why)) => {
                self.recovered();
                self.none(&why);
                AGAIN
            }
            Ok(found) => {
                self.recovered();
                self.expires = None;
                if std::mem::take(&mut self.none) {
                    tracing::info!(
                        backend = %self.backend.config.name, source = %self.source,
                        "{} names servers again", self.source,
                    );
                }
                self.seat(found.endpoints);
                if self.missing.is_empty() { found.pause } else { found.pause.min(self.hold_obsolete) }
            }
            Err(Trouble::Outage(why)) => {
                self.outage(&why);
                pause(self.failures, chance)
            }
        }
    }

    /// The source answers: said in the log where it did not before.
    fn recovered(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                backend = %self.backend.config.name, source = %self.source, failures = self.failures,
                "{} answers again", self.source,
            );
        }
        self.failures = 0;
    }

    /// The source cannot be asked: the last known servers stay.
    fn outage(&mut self, why: &str) {
        self.progress(|progress| progress.failed(why));
        if self.failures == 0 {
            let filled = self.backend.filled().iter().flatten().count();
            tracing::warn!(
                backend = %self.backend.config.name, source = %self.source, servers = filled,
                "{} cannot be asked for servers ({why}); the {filled} known last stay", self.source,
            );
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// The source says that there are no servers: those known last stay for a while.
    fn none(&mut self, why: &str) {
        self.progress(|progress| progress.succeeded(0));
        if std::mem::replace(&mut self.none, true) {
            return;
        }
        let filled = self.backend.filled().iter().flatten().count();
        let held = self.hold.as_secs_f64();
        tracing::warn!(
            backend = %self.backend.config.name, source = %self.source, servers = filled,
            "{} has no servers ({why}); the {filled} known last stay for {held} s", self.source,
        );
        self.expires = Some(Instant::now() + self.hold);
    }

    /// The servers that were known last have been held for long enough.
    fn expire(&mut self) {
        self.expires = None;
        self.missing.clear();
        (0..self.backend.servers.len()).for_each(|slot| self.backend.empty(slot));
    }

    /// Puts these servers into slots, and sees to those that are gone.
    fn seat(&mut self, mut endpoints: Vec<Endpoint>) {
        // In an order that does not depend on that of the answer, those that serve first before their backups.
        endpoints.sort_by_key(|endpoint| (endpoint.backup, endpoint.address));
        self.hold_missing(&mut endpoints);
        let addresses: Vec<SocketAddr> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let slots = self.backend.servers.iter().map(|server| Slot {
            address: server.address(),
            filled: !server.is_vacant(),
            busy: server.in_flight.load(Relaxed) > 0,
        });
        let slots: Vec<Slot> = slots.collect();
        let seating = slots::seat(&slots, &addresses);
        let mut refresh = false;
        // Those that come before those that go: there is no moment without any.
        for (index, seat) in seating.slots.iter().enumerate() {
            let Some(endpoint) = seat.and_then(|seat| endpoints.get(seat)) else { continue };
            let own = &self.backend.servers[index].config;
            let weight = endpoint.weight.unwrap_or(own.weight);
            let backup = endpoint.backup || own.backup;
            if slots[index].filled && slots[index].address == Some(endpoint.address) {
                refresh |= self.backend.share(index, weight, backup);
            } else {
                self.backend.fill(index, endpoint.address, weight, backup);
            }
        }
        for (index, _) in seating.slots.iter().enumerate().filter(|(_, seat)| seat.is_none()) {
            self.backend.empty(index);
        }
        if refresh {
            self.backend.refresh();
        }
        self.progress(|progress| progress.succeeded(seating.left_over));
        self.say_crowded(seating.left_over, slots.len());
    }

    /// Adds the servers that are not named any more, for as long as they are held.
    fn hold_missing(&mut self, endpoints: &mut Vec<Endpoint>) {
        if self.hold_obsolete.is_zero() || endpoints.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut missing = HashMap::new();
        for server in self.backend.servers.iter().filter(|server| !server.is_vacant()) {
            let Some(address) = server.address() else { continue };
            if endpoints.iter().any(|endpoint| endpoint.address == address) {
                continue;
            }
            let since = self.missing.get(&address).copied().unwrap_or(now);
            if now - since < self.hold_obsolete {
                missing.insert(address, since);
                let (weight, backup) = (Some(server.weight()), server.is_backup());
                endpoints.push(Endpoint { address, weight, backup });
            }
        }
        self.missing = missing;
    }

    fn say_crowded(&mut self, left_over: usize, slots: usize) {
        if left_over > 0 && !self.crowded {
            tracing::warn!(
                backend = %self.backend.config.name, source = %self.source, slots, left_over,
                "{} names {} servers, and there are {slots} slots: {left_over} are left out", self.source,
                slots + left_over,
            );
        }
        self.crowded = left_over > 0;
    }

    fn progress(&self, tell: impl FnOnce(&super::Progress)) {
        if let Some(progress) = &self.backend.discovery {
            tell(progress);
        }
    }
}

/// Ready at this time; never, where there is none.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
