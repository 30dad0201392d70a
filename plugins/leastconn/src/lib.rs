//! The balancer `leastconn`: the server with the fewest requests in flight, by weight.
//!
//! The lowest (in flight + 1) / weight goes first, and servers with nothing in flight before all others, as in
//! HAProxy; equals take turns by the pick's sequence number. The loads are the host's, counted over all workers,
//! so that every instance sees the same. A retry does not go back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use bindings::{
    exports::lb::policy::{
        balancer::{self, Arrival, Candidate},
        setup::{self, Description, Refusal, Server, Value},
    },
    lb::policy::candidates,
};
use lb_policy_guest::Single;
use scan::Scan;

#[allow(warnings, clippy::all)]
#[path = "../../guest/bindings/balancing.rs"]
#[rustfmt::skip]
pub mod bindings;
pub mod scan;

static SCAN: Single<Scan> = Single::new(Scan::new());

/// The component.
#[derive(Debug)]
pub struct LeastConn;

impl setup::Guest for LeastConn {
    fn describe() -> Description {
        Description {
            name: "leastconn".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "the server with the fewest requests in flight, by weight".into(),
            settings: Vec::new(),
        }
    }

    fn configure(_: Vec<(String, Value)>, _: Vec<Server>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl balancer::Guest for LeastConn {
    fn update(candidates: Vec<Candidate>) {
        SCAN.with(|scan| scan.update(candidates.iter().map(|candidate| candidate.weight)));
    }

    fn pick(arrival: Arrival) -> Option<u32> {
        let loads = candidates::loads();
        SCAN.with(|scan| scan.pick(loads, arrival.sequence, arrival.failed))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(LeastConn with_types_in bindings);
