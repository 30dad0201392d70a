//! The balancer `roundrobin`: each server in turn, by weight.
//!
//! The order is HAProxy's: servers of equal weight strictly in the order of the configuration, mixed weights
//! spread out. It is a schedule indexed by the pick's sequence number, and so the same on any number of workers,
//! instances and balancers. See [`schedule`] for the rule and for where it is exact while HAProxy is not. A retry does not go back
//! to the server that failed while there is another.

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
pub mod schedule;

/// The candidates in the order of their turns.
static SCHEDULE: Single<Vec<u32>> = Single::new(Vec::new());

/// The component.
#[derive(Debug)]
pub struct RoundRobin;

impl setup::Guest for RoundRobin {
    fn describe() -> Description {
        Description {
            name: "roundrobin".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "each server in turn, by weight".into(),
            settings: Vec::new(),
        }
    }

    fn configure(_: Vec<(String, Value)>, _: Vec<Server>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl balancer::Guest for RoundRobin {
    fn update(candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        SCHEDULE.with(|schedule| *schedule = schedule::schedule(&weights));
    }

    fn pick(arrival: Arrival) -> Option<u32> {
        SCHEDULE.with(|schedule| place(schedule, arrival.sequence, arrival.failed))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(RoundRobin with_types_in bindings);
