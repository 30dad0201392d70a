//! The balancer `roundrobin`: each server in turn, by weight.
//!
//! The order is HAProxy's: servers of equal weight strictly in the order of the configuration, mixed weights
//! spread out. It is a schedule indexed by the pick's sequence number, and so the same on any number of workers,
//! instances and balancers. See [`schedule`] for the rule and for where it is exact while HAProxy is not. A retry does not go back
//! to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Settings, weights::place,
};

pub mod schedule;

/// The policy.
#[derive(Debug)]
pub struct RoundRobin {
    /// The candidates in the order of their turns.
    schedule: Vec<u32>,
}

impl Policy for RoundRobin {
    fn describe() -> Description {
        Description::new("roundrobin", env!("CARGO_PKG_VERSION"), "each server in turn, by weight")
    }

    fn configure(_: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self { schedule: Vec::new() })
    }
}

impl Balancer for RoundRobin {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        self.schedule = schedule::schedule(&weights);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        place(&self.schedule, arrival.sequence, arrival.failed)
    }
}

lb_policy::export!(RoundRobin: Balancer);
