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
use super::{Asker, Endpoint, Found, Trouble, pause};
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
    /// When the servers that it named last are given up.
    expires: Option<Instant>,
    /// The servers that are held, and since when they are not named any more.
    missing: HashMap<SocketAddr, Instant>,
    failures: u32,
    /// How often in a row it said that there are none.
    nones: u32,
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
            expires: None,
            missing: HashMap::new(),
            failures: 0,
            nones: 0,
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
                pause(self.nones, chance)
            }
            Ok(found) => {
                self.recovered();
                self.expires = None;
                if std::mem::take(&mut self.nones) > 0 {
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
        self.nones = self.nones.saturating_add(1);
        if self.nones > 1 {
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
            self.backend.candidates_changed();
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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::backend::fixtures;
    use crate::config::model::discovery::{Resolution, Resolvers};
    use crate::config::model::{self, ServerAddress};

    const HOLD: Duration = Duration::from_secs(30);

    /// A follower of so many slots, which holds what is not named any more for so long.
    fn follower(slots: usize, hold_obsolete: Duration) -> Follower {
        let resolvers = Some(Arc::new(Resolvers { hold_obsolete, ..Resolvers::default() }));
        let template = Template {
            text: "dns:app.example:80".into(),
            source: Source::Addresses("app.example".into(), 80),
            resolution: Resolution { resolvers, ..Resolution::default() },
            hold: HOLD,
        };
        let slot = |number: usize| model::Server {
            address: ServerAddress::Slot(template.text.clone()),
            weight: 3,
            ..fixtures::server(&format!("app{number}"))
        };
        let config = model::Backend { template: Some(template.clone()), ..fixtures::config("app") };
        let backend = fixtures::backend(config, (1..=slots).map(slot).collect());
        Follower::new(backend, &template)
    }

    fn endpoint(last: u8) -> Endpoint {
        Endpoint { address: ([10, 0, 0, last], 80).into(), weight: None, backup: false }
    }

    fn found(lasts: &[u8]) -> Result<Found, Trouble> {
        let endpoints = lasts.iter().copied().map(endpoint).collect();
        Ok(Found { endpoints, pause: Duration::from_secs(5) })
    }

    /// The last byte of the address in each slot.
    fn filled(follower: &Follower) -> Vec<Option<u8>> {
        let last = |address: SocketAddr| match address.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        follower.backend.filled().into_iter().map(|slot| slot.map(last)).collect()
    }

    fn candidates(follower: &Follower) -> Vec<(u32, u32)> {
        follower.backend.candidates().iter().map(|it| (it.server, it.weight)).collect()
    }

    #[test]
    fn slots_that_nothing_fills_are_no_candidates() {
        let mut follower = follower(3, Duration::ZERO);
        assert_eq!(candidates(&follower), []);
        assert_eq!(follower.take(found(&[2, 1]), 0), Duration::from_secs(5));
        assert_eq!(filled(&follower), [Some(1), Some(2), None]);
        assert_eq!(candidates(&follower), [(0, 3), (1, 3)]);
        follower.take(found(&[2]), 0);
        assert_eq!(candidates(&follower), [(1, 3)]);
    }

    #[test]
    fn a_server_s_share_follows_its_source_while_it_stays() {
        let mut follower = follower(2, Duration::ZERO);
        let say = |follower: &mut Follower, weight, backup| {
            let other = Endpoint { weight: Some(weight), backup, ..endpoint(2) };
            follower.take(Ok(Found { endpoints: vec![endpoint(1), other], pause: HOLD }), 0);
            candidates(follower)
        };
        assert_eq!(say(&mut follower, 7, false), [(0, 3), (1, 7)]);
        assert_eq!(say(&mut follower, 9, false), [(0, 3), (1, 9)]);
        assert_eq!(say(&mut follower, 9, true), [(0, 3)]);
        assert_eq!(say(&mut follower, 0, false), [(0, 3)]);
    }

    #[test]
    fn an_outage_changes_nothing_and_is_counted() {
        let mut follower = follower(2, Duration::ZERO);
        follower.take(found(&[1, 2, 3]), 0);
        for seconds in [0.9, 1.8, 3.6] {
            let pause = follower.take(Err(Trouble::Outage("no answer".into())), 0);
            assert_eq!(pause.as_secs_f64(), seconds);
        }
        assert_eq!(filled(&follower), [Some(1), Some(2)]);
        let snapshot = follower.backend.discovered().expect("a source");
        assert_eq!((snapshot.successes, snapshot.failures, snapshot.failing_since.is_some()), (1, 3, true));
        assert_eq!((snapshot.slots, snapshot.filled, snapshot.left_over), (2, 2, 1));
        assert_eq!(snapshot.last_failure.map(|(_, why)| why).as_deref(), Some("no answer"));
        follower.take(found(&[1]), 0);
        let snapshot = follower.backend.discovered().expect("a source");
        assert_eq!((snapshot.failing_since.is_some(), snapshot.filled, snapshot.left_over), (false, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn servers_are_held_for_a_while_after_there_are_none() {
        let mut follower = follower(2, Duration::ZERO);
        follower.take(found(&[1]), 0);
        let began = Instant::now();
        assert_eq!(follower.take(Err(Trouble::Nothing("gone".into())), 0).as_millis(), 900);
        follower.take(found(&[]), 0);
        assert_eq!(follower.expires, Some(began + HOLD), "the first word of it counts");
        assert_eq!(filled(&follower), [Some(1), None]);
        follower.expire();
        assert_eq!(filled(&follower), [None, None]);
        follower.take(found(&[2, 1]), 0);
        assert_eq!((filled(&follower), follower.expires), (vec![Some(1), Some(2)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_an_answer_leaves_out_is_held_for_as_long_as_it_says() {
        let mut follower = follower(3, Duration::from_secs(10));
        follower.take(found(&[1, 2]), 0);
        follower.take(found(&[3]), 0);
        assert_eq!(filled(&follower), [Some(1), Some(2), Some(3)]);
        advance(Duration::from_secs(6)).await;
        follower.take(found(&[2, 3]), 0);
        advance(Duration::from_secs(6)).await;
        follower.take(found(&[3]), 0);
        assert_eq!(filled(&follower), [None, Some(2), Some(3)]);
    }
}
