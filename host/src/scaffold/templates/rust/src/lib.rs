//! {{name}}: each candidate in its turn, beginning with the one that the setting `first` says.

// Small without the standard library. With it: remove this line, and turn off lb-policy's default features.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Setting, Settings};

/// The policy.
#[derive(Debug)]
pub struct Turns {
    first: u64,
    count: u64,
}

impl Policy for Turns {
    fn describe() -> Description {
        let first = Setting::integer("first", "Which server is the first to be picked, counted from 0.").default(0);
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), "each server in its turn").setting(first)
    }

    fn configure(settings: Settings, _servers: Vec<Server>) -> Result<Self, Refusal> {
        match u64::try_from(settings.integer("first")) {
            Ok(first) => Ok(Turns { first, count: 0 }),
            Err(_) => Err(Refusal::of("first", "must be 0 or more")),
        }
    }
}

impl Balancer for Turns {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.count = candidates.len() as u64;
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let turn = arrival.sequence.wrapping_add(self.first);
        turn.checked_rem(self.count).map(|candidate| candidate as u32)
    }
}

lb_policy::export!(Turns: Balancer);
