//! The balancer `leastconn`: the server with the fewest requests in flight, by weight.
//!
//! The lowest (in flight + 1) / weight goes first, and servers with nothing in flight before all others, as in
//! HAProxy; equals take turns by the pick's sequence number. The loads are the host's, counted over all workers,
//! so that every instance sees the same. A retry does not go back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Settings, candidates};
use scan::Scan;

pub mod scan;

/// The policy.
#[derive(Debug)]
pub struct LeastConn {
    scan: Scan,
}

impl Policy for LeastConn {
    fn describe() -> Description {
        let summary = "the server with the fewest requests in flight, by weight";
        Description::new("leastconn", env!("CARGO_PKG_VERSION"), summary)
    }

    fn configure(_: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self { scan: Scan::default() })
    }
}

impl Balancer for LeastConn {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.scan.update(candidates.iter().map(|candidate| candidate.weight));
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        self.scan.pick(candidates::loads(), arrival.sequence, arrival.failed)
    }
}

lb_policy::export!(LeastConn: Balancer);
