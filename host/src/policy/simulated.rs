//! Policies in a simulation: the very components, with a world around them that is made up. Each simulated load
//! balancer has instances, loads, a clock and chance of its own, and no backend, so that a thousand of them with
//! ten thousand servers each fit on one machine.
//!
//! It keeps the rules of the data path (whoever fails is made anew, whoever keeps failing is benched, and the
//! host decides meanwhile), only that nothing happens on another thread: the same questions get the same answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Outcome;
use super::bench;
use super::component::Policy;
use super::fault::Fault;
use super::imports::Surroundings;
use super::instance::{Arrival, Instance, StartError};
use super::record::Role;
use super::runtime::Proven;
use super::settings::Settings;
use super::voice::Voice;
use crate::backend::Candidate;
use crate::backend::load::LoadTable;
use crate::config::model;
use crate::http::head::RequestHead;
use crate::random::Random;

/// A list of balancing policies, proven, to be asked in a simulation.
pub struct SimulatedPolicies {
    parts: Arc<[Part]>,
    servers: Arc<[model::Server]>,
}

/// A policy of the list.
struct Part {
    policy: Arc<Policy>,
    settings: Settings,
    voice: Arc<Voice>,
}

impl SimulatedPolicies {
    /// The balancing policies of `proven`, for these servers, which must be those that it was proven with.
    pub fn new(proven: &Proven, servers: Arc<[model::Server]>) -> SimulatedPolicies {
        let balance = proven.policies().filter(|(role, ..)| *role == Role::Balance);
        let parts = balance.map(|(_, policy, settings)| Part {
            policy: policy.clone(),
            settings: settings.clone(),
            voice: Arc::new(Voice::new(&policy.description().name, "simulated")),
        });
        SimulatedPolicies { parts: parts.collect(), servers }
    }

    /// A load balancer with instances of its own. Chance is as `seed` has it; its clock begins at `time_ns`
    /// since 1970.
    pub fn balancer(&self, seed: u64, time_ns: u64) -> SimulatedBalancer {
        let mut balancer = SimulatedBalancer {
            seats: Vec::new(),
            parts: self.parts.clone(),
            servers: self.servers.clone(),
            loads: LoadTable::new(self.servers.len()),
            candidates: Arc::new([]),
            random: Random::new(seed, 0),
            conduct: Conduct::default(),
        };
        balancer.seats.resize_with(self.parts.len(), Seat::default);
        for part in 0..self.parts.len() {
            balancer.at_hand(part, time_ns);
        }
        balancer
    }
}

/// Where an instance sits.
#[derive(Default)]
struct Seat {
    instance: Option<Instance>,
    conduct: bench::Conduct,
}

/// One question to a balancer.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The request.
    pub request: &'a Arc<RequestHead>,
    /// Who sent it.
    pub client: IpAddr,
    /// The number of this pick.
    pub sequence: u64,
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// The server that failed last, on a retry.
    pub failed: Option<u32>,
}

/// How the policies of a balancer did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Questions that one of them answered.
    pub decisions: u64,
    /// Questions that the host answered, because none of them did.
    pub fallbacks: u64,
    /// Failed calls.
    pub faults: u64,
    /// What the first of these was, for people.
    pub first_fault: Option<String>,
}

/// The balancing policies of one simulated load balancer, and what it sees.
pub struct SimulatedBalancer {
    seats: Vec<Seat>,
    parts: Arc<[Part]>,
    servers: Arc<[model::Server]>,
    loads: LoadTable,
    candidates: Arc<[Candidate]>,
    random: Random,
    conduct: Conduct,
}

impl SimulatedBalancer {
    /// Says who may be chosen from now on; the policies are told with the next question.
    pub fn set_candidates(&mut self, candidates: &Arc<[Candidate]>) {
        self.candidates = candidates.clone();
    }

    /// Picks a server by its index. `None` only where there are no candidates.
    pub fn pick(&mut self, ask: &Ask<'_>) -> Option<u32> {
        if self.candidates.is_empty() {
            return None;
        }
        let failed = ask.failed.and_then(|failed| self.candidates.iter().position(|c| c.server == failed));
        let arrival = Arrival {
            sequence: ask.sequence,
            time_ms: ask.time_ns / 1_000_000,
            client: ask.client,
            failed: failed.map(|index| index as u32),
        };
        for part in 0..self.parts.len() {
            let picked = self.call(part, ask.time_ns, |instance, candidates| {
                if !instance.knows(candidates) {
                    instance.update(candidates)?;
                }
                instance.pick(ask.request, arrival)
            });
            if let Some(candidate) = picked.flatten().and_then(|index| self.candidates.get(index as usize)) {
                self.conduct.decisions += 1;
                return Some(candidate.server);
            }
        }
        self.conduct.fallbacks += 1;
        Some(self.in_turn(arrival))
    }

    /// The host's own choice, as on the data path.
    fn in_turn(&self, arrival: Arrival) -> u32 {
        let count = self.candidates.len();
        let turn = (arrival.sequence % count as u64) as usize;
        let turn = if arrival.failed == Some(turn as u32) { (turn + 1) % count } else { turn };
        self.candidates[turn].server
    }

    /// Adds a request to a server's load, as this balancer sees it.
    pub fn begin(&self, server: u32) {
        if let Some(load) = self.loads.load(server as usize) {
            load.fetch_add(1, Relaxed);
        }
    }

    /// Takes a request from a server's load.
    pub fn end(&self, server: u32) {
        if let Some(load) = self.loads.load(server as usize) {
            load.fetch_sub(1, Relaxed);
        }
    }

    /// Tells the policies that want to know how an attempt ended.
    pub fn observe(&mut self, outcome: &Outcome) {
        for part in 0..self.parts.len() {
            if self.parts[part].policy.wants_feedback() {
                // Lost where it fails; the failure is on record.
                let _ = self.call(part, outcome.time_ms * 1_000_000, |instance, _| instance.observe(outcome));
            }
        }
    }

    /// How its policies did so far.
    pub fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    /// Makes a call, and sees to its failure. `None`: there was no fit answer.
    fn call<T>(
        &mut self,
        part: usize,
        time_ns: u64,
        call: impl FnOnce(&mut Instance, &Arc<[Candidate]>) -> Result<T, Fault>,
    ) -> Option<T> {
        let candidates = self.candidates.clone();
        let instance = self.at_hand(part, time_ns)?;
        instance.set_time(time_ns);
        match call(instance, &candidates) {
            Ok(answer) => Some(answer),
            Err(fault) => {
                self.seats[part].instance = None;
                self.failed(part, &fault, time_ns, false);
                None
            }
        }
    }

    /// The instance, made anew where it failed; `None` while it is benched.
    fn at_hand(&mut self, part: usize, time_ns: u64) -> Option<&mut Instance> {
        let now_ms = time_ns / 1_000_000;
        if bench::is_benched(self.seats[part].conduct.benched_until_ms(), now_ms) {
            return None;
        }
        if self.seats[part].instance.is_none() {
            match self.make(part, time_ns) {
                Ok(instance) => self.seats[part].instance = Some(instance),
                Err(fault) => self.failed(part, &fault, time_ns, true),
            }
        }
        self.seats[part].instance.as_mut()
    }

    fn make(&mut self, part: usize, time_ns: u64) -> Result<Instance, Fault> {
        let Part { policy, settings, voice } = &self.parts[part];
        let random = Random::new(self.random.bits(), part as u64);
        let surroundings = Surroundings { loads: self.loads.clone(), time_ns, random };
        let mut instance =
            Instance::simulated(policy, surroundings, voice.clone()).map_err(|why| match why {
                StartError::Fault(fault) => fault,
                StartError::Mismatch(why) => Fault::start(why),
            })?;
        instance.hand_over(settings, &self.servers)?.map_err(|refusal| {
            Fault::start(format!("refused settings that it took before: {}", refusal.message))
        })?;
        Ok(instance)
    }

    fn failed(&mut self, part: usize, fault: &Fault, time_ns: u64, decisive: bool) {
        self.conduct.faults += 1;
        let name = &self.parts[part].policy.description().name;
        self.conduct.first_fault.get_or_insert_with(|| format!("{name} {fault}"));
        self.seats[part].conduct.fault(time_ns / 1_000_000, decisive);
    }
}
