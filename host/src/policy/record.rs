//! How a policy does in a backend: counters for whoever watches, and whether it may serve at all.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bench::{self, Conduct};
use super::fault::{Fault, FaultKind};
use crate::histogram::{CallHistogram, CallTimes};

/// What a policy is asked for in a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It picks.
    Balance,
    /// It recalls and responds.
    Persistence,
}

impl Role {
    /// Its key in `lb.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Balance => "balance",
            Role::Persistence => "persistence",
        }
    }
}

/// What one worker counts; nobody else writes it, so that counting costs no shared cache line.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) decisions: Count,
    pub(super) passes: Count,
    pub(super) reused: Count,
    pub(super) fallbacks: Count,
    /// Calls, timed or not.
    calls: Count,
    pub(super) times: CallHistogram,
}

/// Of so many calls one is timed: looking at the clock twice costs as much as a short call.
const TIMED: u64 = 64;

impl Tally {
    /// Whether the call that comes now is to be timed. Not the very first, which is slow in ways that no other is.
    pub(super) fn times_next(&self) -> bool {
        self.calls.add_one();
        self.calls.0.load(Relaxed) % TIMED == TIMED / 2
    }
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// The record of a policy in one role of a backend, over all workers.
#[derive(Debug)]
pub(super) struct Record {
    policy: String,
    backend: String,
    role: Role,
    conduct: Mutex<Conduct>,
    /// A copy of the conduct's, to be read without its lock; 0 where it never was benched.
    benched_until_ms: AtomicU64,
    benches: AtomicU64,
    faults: [AtomicU64; FaultKind::ALL.len()],
    instances: AtomicU64,
    tallies: Mutex<Vec<Arc<Tally>>>,
}

/// A policy's counters in one role of a backend, since the configuration was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The policy's name, by its own account.
    pub policy: String,
    /// The backend's name.
    pub backend: String,
    /// Under which key it stands there.
    pub role: Role,
    /// Calls that it decided.
    pub decisions: u64,
    /// Picks that it passed on.
    pub passes: u64,
    /// Answers of `respond` that were given again without a call.
    pub reused: u64,
    /// Calls that were due to it and that it did not get, or failed in.
    pub fallbacks: u64,
    /// Failures, by kind.
    pub faults: [(FaultKind, u64); FaultKind::ALL.len()],
    /// Instances made, the trial's not counted.
    pub instances: u64,
    /// How often it was benched.
    pub benches: u64,
    /// Whether it is benched now.
    pub benched: bool,
    /// How long its calls took, of one in 64.
    pub call_times: CallTimes,
}

impl Metrics {
    /// Failures of all kinds.
    pub fn faults(&self) -> u64 {
        self.faults.iter().map(|(_, count)| count).sum()
    }
}

impl Record {
    pub(super) fn new(policy: &str, backend: &str, role: Role) -> Record {
        Record {
            policy: policy.to_owned(),
            backend: backend.to_owned(),
            role,
            conduct: Mutex::default(),
            benched_until_ms: AtomicU64::new(0),
            benches: AtomicU64::new(0),
            faults: Default::default(),
            instances: AtomicU64::new(0),
            tallies: Mutex::default(),
        }
    }

    /// A worker's own counters.
    pub(super) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        locked(&self.tallies).push(tally.clone());
        tally
    }

    pub(super) fn is_benched(&self, now_ms: u64) -> bool {
        bench::is_benched(self.benched_until_ms.load(Relaxed), now_ms)
    }

    pub(super) fn count_instance(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    /// Takes note of a fault: counts it, logs it unless it is one of many, benches the policy where due.
    pub(super) fn fault(&self, fault: &Fault, now_ms: u64, decisive: bool) {
        self.faults[fault.kind.index()].fetch_add(1, Relaxed);
        let consequence = {
            let mut conduct = locked(&self.conduct);
            let consequence = conduct.fault(now_ms, decisive);
            self.benched_until_ms.store(conduct.benched_until_ms(), Relaxed);
            consequence
        };
        let Some(more) = consequence.report else { return };
        let (policy, backend, role, kind) =
            (&self.policy, &self.backend, self.role.name(), fault.kind.name());
        match consequence.bench_ms {
            Some(bench_ms) => {
                self.benches.fetch_add(1, Relaxed);
                tracing::warn!(
                    target: "lb::policy", %policy, %backend, role, kind, bench_ms, more,
                    "the policy {fault}; it keeps failing and is left out for a while"
                );
            }
            None => tracing::warn!(
                target: "lb::policy", %policy, %backend, role, kind, more,
                "the policy {fault}; the host decides in its place"
            ),
        }
    }

    pub(super) fn metrics(&self, now_ms: u64) -> Metrics {
        let tallies = locked(&self.tallies);
        let sum =
            |count: fn(&Tally) -> &Count| tallies.iter().map(|tally| count(tally).0.load(Relaxed)).sum();
        let mut call_times = CallTimes::default();
        tallies.iter().for_each(|tally| call_times.take(&tally.times));
        Metrics {
            policy: self.policy.clone(),
            backend: self.backend.clone(),
            role: self.role,
            decisions: sum(|tally| &tally.decisions),
            passes: sum(|tally| &tally.passes),
            reused: sum(|tally| &tally.reused),
            fallbacks: sum(|tally| &tally.fallbacks),
            faults: FaultKind::ALL.map(|kind| (kind, self.faults[kind.index()].load(Relaxed))),
            instances: self.instances.load(Relaxed),
            benches: self.benches.load(Relaxed),
            benched: self.is_benched(now_ms),
            call_times,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
