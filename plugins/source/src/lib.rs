//! The balancer `source`: by the client's address, so that a client keeps its server while the candidates and
//! their weights do not change.
//!
//! Each address goes where HAProxy sends it with `balance source` and the default `hash-type map-based`: see
//! [`map`]. There is no state but the map, so every worker and every balancer of a fleet agrees. A retry does not go
//! back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Settings, weights::place,
};

pub mod map;

/// The policy.
#[derive(Debug)]
pub struct Source {
    /// The candidate for each remainder of a hash.
    map: Vec<u32>,
}

impl Policy for Source {
    fn describe() -> Description {
        let summary = "by a hash of the client's address, by weight";
        Description::new("source", env!("CARGO_PKG_VERSION"), summary)
    }

    fn configure(_: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self { map: Vec::new() })
    }
}

impl Balancer for Source {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        self.map = map::map(&weights);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        place(&self.map, map::hash(&arrival.client).into(), arrival.failed)
    }
}

lb_policy::export!(Source: Balancer);
