//! The simulated load balancers: each with its own policies, its own loads, and its own idea of who is up.

use std::sync::Arc;

use super::scenario::{START, Scenario, Stream};
use super::traffic::Key;
use super::words::{MS, Nanoseconds};
use crate::backend::Candidate;
use crate::policy::{Ask, Conduct, Outcome, SimulatedBalancer, SimulatedPolicies, Verdict};

/// All of them.
pub(super) struct Fleet {
    members: Vec<Member>,
    /// Each server, there or not.
    all: Vec<Candidate>,
    /// By server: whether it is there.
    present: Vec<bool>,
    /// Those that are there: one list for all balancers that take none of them to be down.
    everyone: Arc<[Candidate]>,
}

struct Member {
    balancer: SimulatedBalancer,
    /// The number of its next pick.
    sequence: u64,
    /// Servers that its health checks found down, sorted.
    down: Vec<u32>,
    /// Whether its candidates are to be seen anew.
    stale: bool,
}

impl Member {
    fn see(&mut self, everyone: &Arc<[Candidate]>) {
        if self.down.is_empty() {
            return self.balancer.set_candidates(everyone);
        }
        let up = everyone.iter().filter(|candidate| self.down.binary_search(&candidate.server).is_err());
        self.balancer.set_candidates(&up.copied().collect());
    }
}

impl Fleet {
    /// Makes them. Each has been at work for a while, so that their picks are not all numbered alike.
    pub(super) fn new(policies: &SimulatedPolicies, scenario: &Scenario) -> Fleet {
        let mut sequences = scenario.random(Stream::Sequences);
        let mut seeds = scenario.random(Stream::Instances);
        let members = (0..scenario.balancers).map(|_| Member {
            balancer: policies.balancer(seeds.bits(), START),
            sequence: sequences.below(1 << 32),
            down: Vec::new(),
            stale: true,
        });
        let servers = (0..).zip(scenario.servers.iter());
        let all: Vec<Candidate> =
            servers.map(|(server, config)| Candidate { server, weight: config.weight }).collect();
        Fleet {
            members: members.collect(),
            present: vec![true; all.len()],
            everyone: all.clone().into(),
            all,
        }
    }

    /// Whom those may choose who take no server to be down.
    pub(super) fn everyone(&self) -> &Arc<[Candidate]> {
        &self.everyone
    }

    /// Servers leave and come; all hear of it at once.
    pub(super) fn change(&mut self, leave: &[u32], join: &[u32]) {
        leave.iter().for_each(|server| self.present[*server as usize] = false);
        join.iter().for_each(|server| self.present[*server as usize] = true);
        let servers = self.all.iter().filter(|candidate| self.present[candidate.server as usize]);
        self.everyone = servers.copied().collect();
        self.members.iter_mut().for_each(|member| member.stale = true);
    }

    /// A balancer's health checks find a server up or down.
    pub(super) fn notice(&mut self, balancer: u32, server: u32, up: bool) {
        let member = &mut self.members[balancer as usize];
        match (member.down.binary_search(&server), up) {
            (Ok(at), true) => drop(member.down.remove(at)),
            (Err(at), false) => member.down.insert(at, server),
            _ => {}
        }
        member.stale = true;
    }

    /// Has a balancer pick. `None`: there is nobody to pick.
    pub(super) fn pick(
        &mut self,
        balancer: u32,
        key: &Key,
        failed: Option<u32>,
        now: Nanoseconds,
    ) -> Option<u32> {
        let member = &mut self.members[balancer as usize];
        if std::mem::take(&mut member.stale) {
            member.see(&self.everyone);
        }
        let sequence = member.sequence;
        member.sequence += 1;
        let (request, client) = (&key.head, key.client);
        member.balancer.pick(&Ask { request, client, sequence, time_ns: START + now, failed })
    }

    /// A request is with a server now, as its balancer sees it.
    pub(super) fn begin(&self, balancer: u32, server: u32) {
        self.members[balancer as usize].balancer.begin(server);
    }

    /// It is not any more.
    pub(super) fn end(&self, balancer: u32, server: u32) {
        self.members[balancer as usize].balancer.end(server);
    }

    /// Tells a balancer's policies how an attempt ended.
    pub(super) fn observe(
        &mut self,
        balancer: u32,
        server: u32,
        verdict: Verdict,
        status: u16,
        took: Nanoseconds,
        now: Nanoseconds,
    ) {
        let (latency_us, time_ms) = (took / 1_000, (START + now) / MS);
        // No time passes on the network here, and no bytes.
        let outcome = Outcome { server, verdict, status, connect_us: 0, latency_us, bytes: 0, time_ms };
        self.members[balancer as usize].balancer.observe(&outcome);
    }

    /// How all policies did.
    pub(super) fn conduct(&self) -> Conduct {
        let mut sum = Conduct::default();
        for conduct in self.members.iter().map(|member| member.balancer.conduct()) {
            sum.decisions += conduct.decisions;
            sum.fallbacks += conduct.fallbacks;
            sum.faults += conduct.faults;
            sum.first_fault = sum.first_fault.or_else(|| conduct.first_fault.clone());
        }
        sum
    }
}
