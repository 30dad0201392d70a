//! The balancer `source`: by the client's address, so that a client keeps its server while the candidates and
//! their weights do not change.
//!
//! Each address goes where HAProxy sends it with `balance source` and the default `hash-type map-based`: see
//! [`map`]. There is no state but the map, so every worker and every balancer of a fleet agrees. A retry does not go
//! back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use bindings::exports::lb::policy::{
    balancer::{self, Arrival, Candidate},
    setup::{self, Description, Refusal, Server, Value},
};
use lb_policy_guest::{Single, place};

#[allow(warnings, clippy::all)]
#[path = "../../guest/bindings/balancing.rs"]
#[rustfmt::skip]
pub mod bindings;
pub mod map;

/// The candidate for each remainder of a hash.
static MAP: Single<Vec<u32>> = Single::new(Vec::new());

/// The component.
#[derive(Debug)]
pub struct Source;

impl setup::Guest for Source {
    fn describe() -> Description {
        Description {
            name: "source".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "by a hash of the client's address, by weight".into(),
            settings: Vec::new(),
        }
    }

    fn configure(_: Vec<(String, Value)>, _: Vec<Server>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl balancer::Guest for Source {
    fn update(candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        MAP.with(|map| *map = map::map(&weights));
    }

    fn pick(arrival: Arrival) -> Option<u32> {
        let hash = map::hash(&arrival.client);
        MAP.with(|map| place(map, hash.into(), arrival.failed))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Source with_types_in bindings);
