//! Which server each key has, asked aside of the traffic: how many change it when the set of servers does.

use std::sync::Arc;

use super::results::Moved;
use super::scenario::{START, Scenario, Stream};
use super::traffic::Key;
use super::words::Nanoseconds;
use crate::backend::Candidate;
use crate::policy::{Ask, SimulatedBalancer, SimulatedPolicies};

/// So many keys are asked about, at most.
const KEYS: usize = 10_000;

/// A balancer of its own, without load, that is asked about each key before and after a change: the number of the
/// pick is the key's, so that only the servers differ.
pub(super) struct Probe<'a> {
    balancer: SimulatedBalancer,
    keys: &'a [Key],
    servers: Vec<Option<u32>>,
    changes: u32,
    share: f64,
    least: f64,
}

impl<'a> Probe<'a> {
    /// Asks about these servers first.
    pub(super) fn new(
        policies: &SimulatedPolicies,
        scenario: &Scenario,
        keys: &'a [Key],
        candidates: &Arc<[Candidate]>,
    ) -> Probe<'a> {
        let balancer = policies.balancer(scenario.random(Stream::Probe).bits(), START);
        let keys = &keys[..keys.len().min(KEYS)];
        let mut probe = Probe { balancer, keys, servers: Vec::new(), changes: 0, share: 0.0, least: 0.0 };
        probe.servers = probe.ask(candidates, 0);
        probe
    }

    /// The servers are others now: so many left, so many came.
    pub(super) fn changed(
        &mut self,
        candidates: &Arc<[Candidate]>,
        left: usize,
        came: usize,
        now: Nanoseconds,
    ) {
        let servers = self.ask(candidates, now);
        let moved = servers.iter().zip(&self.servers).filter(|(now, then)| now != then).count();
        self.servers = servers;
        let after = candidates.len();
        let before = after + left - came;
        self.changes += 1;
        self.share += moved as f64 / self.keys.len().max(1) as f64;
        self.least += left as f64 / before.max(1) as f64 + came as f64 / after.max(1) as f64;
    }

    /// What it found, where there was any change.
    pub(super) fn moved(&self) -> Option<Moved> {
        let changes = f64::from(self.changes);
        (self.changes > 0).then(|| Moved { share: self.share / changes, least: self.least / changes })
    }

    fn ask(&mut self, candidates: &Arc<[Candidate]>, now: Nanoseconds) -> Vec<Option<u32>> {
        self.balancer.set_candidates(candidates);
        let balancer = &mut self.balancer;
        let ask = |(key, sequence): (&Key, u64)| {
            let (request, client) = (&key.head, key.client);
            balancer.pick(&Ask { request, client, sequence, time_ns: START + now, failed: None })
        };
        self.keys.iter().zip(0..).map(ask).collect()
    }
}
