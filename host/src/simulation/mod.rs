//! `lb policy simulate`: what policies do with many servers and many balancers, found out without any of them.
//!
//! A seeded discrete-event simulation around the very components that would run: [`Scenario`] is the world,
//! [`Traffic`] what comes in, [`Results`] what came of it, policy by policy. It does no I/O and reads no clock but
//! its own; the same seed gives the same results. What it leaves out: the network's time, the balancers' own, and
//! persistence.

mod access_log;
mod distribution;
mod engine;
mod event;
#[cfg(test)]
mod fixtures;
mod fleet;
mod histogram;
mod plan;
mod probe;
pub mod report;
mod results;
mod scenario;
mod station;
mod traffic;
mod words;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::policy::SimulatedPolicies;
use engine::Engine;

pub use distribution::Distribution;
pub use histogram::Histogram;
pub use plan::{Contender, Given, prove, servers};
pub use results::{End, Moved, Results, SLICES, Slice};
pub use scenario::{START, Scenario};
pub use traffic::{Key, Traffic};
pub use words::{
    Churn, Failing, How, MS, Nanoseconds, Pace, Rate, SECOND, Slow, Window, duration, figure, time,
};

/// How long a simulation took: no part of its results, since it is never the same twice.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Making the instances.
    pub setup: Duration,
    /// The rest.
    pub run: Duration,
}

/// Simulates each of the policies in the same world, up to `threads` at once.
///
/// # Errors
/// Where the world cannot be.
pub fn run(
    contenders: &[(String, SimulatedPolicies)],
    scenario: &Scenario,
    traffic: &Traffic,
    threads: usize,
) -> Result<Vec<(Results, Took)>, String> {
    scenario.check()?;
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<(Results, Took)>>> = contenders.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, contenders.len().max(1)) {
            scope.spawn(|| {
                while let Some(((name, policies), done)) = {
                    let number = next.fetch_add(1, Relaxed);
                    contenders.get(number).zip(done.get(number))
                } {
                    let start = Instant::now();
                    let engine = Engine::new(name, policies, scenario, traffic);
                    let setup = start.elapsed();
                    let results = engine.run();
                    let took = Took { setup, run: start.elapsed() - setup };
                    *done.lock().unwrap_or_else(PoisonError::into_inner) = Some((results, took));
                }
            });
        }
    });
    Ok(done
        .into_iter()
        .filter_map(|done| done.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}
