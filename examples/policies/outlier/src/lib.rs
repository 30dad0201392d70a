//! outlier: servers that answer with errors again and again are left alone for a while.
//!
//! Health checks ask a server how it is; this hears how it does. After `errors` failures in a row (an answer of 5xx,
//! none in time, a broken connection) a server rests for `rest`, and twice as long each time until it has answered
//! well again. Where more than half the candidates would rest, nobody does. Those at work take turns.
//!
//! Each worker of the host has an instance of its own, which learns from what it served itself.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use lb_policy::log::{self, Level};
use lb_policy::{
    Arrival, Balancer, Candidate, Description, Feedback, Outcome, Policy, Refusal, Server, Setting, Settings,
    Verdict,
};

/// The most doublings of the rest.
const DOUBLINGS: u32 = 6;

/// The policy.
#[derive(Debug)]
pub struct Outlier {
    errors: u32,
    rest_ms: u64,
    servers: Vec<Known>,
    candidates: Vec<u32>,
}

/// What is known of a server.
#[derive(Debug)]
struct Known {
    name: String,
    /// Failures since it last answered well.
    failures: u32,
    /// How often it has been sent to rest since then.
    rests: u32,
    /// Until when it rests.
    until_ms: u64,
}

impl Policy for Outlier {
    fn describe() -> Description {
        Description::new("outlier", env!("CARGO_PKG_VERSION"), "in turn, without servers that fail again and again")
            .setting(Setting::integer("errors", "How many failures in a row are too many.").default(5))
            .setting(Setting::duration("rest", "How long a server then rests, the first time.").default(10_000))
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let errors = u32::try_from(settings.integer("errors")).unwrap_or(0);
        if errors == 0 {
            return Err(Refusal::of("errors", "must be 1 or more"));
        }
        let known = |server: Server| Known { name: server.name, failures: 0, rests: 0, until_ms: 0 };
        Ok(Outlier {
            errors,
            rest_ms: settings.duration_ms("rest"),
            servers: servers.into_iter().map(known).collect(),
            candidates: Vec::new(),
        })
    }
}

impl Balancer for Outlier {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates.into_iter().map(|candidate| candidate.server).collect();
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let rests = |server: &u32| self.servers[*server as usize].until_ms > arrival.time_ms;
        let resting = self.candidates.iter().filter(|server| rests(server)).count();
        // With more than half at rest it is not they who are the outliers.
        let everybody = resting * 2 > self.candidates.len();
        let fit = |(index, server): (u32, &u32)| (everybody || !rests(server)).then_some(index);
        let mut at_work: Vec<u32> = (0..).zip(&self.candidates).filter_map(fit).collect();
        if at_work.len() > 1 {
            at_work.retain(|index| Some(*index) != arrival.failed);
        }
        let turn = arrival.sequence.checked_rem(at_work.len() as u64)?;
        Some(at_work[turn as usize])
    }
}

impl Feedback for Outlier {
    fn observe(&mut self, outcome: Outcome) {
        let server = &mut self.servers[outcome.server as usize];
        let good = match outcome.verdict {
            Verdict::Answered => outcome.status < 500,
            Verdict::Abandoned => return,
            _ => false,
        };
        if good {
            (server.failures, server.rests) = (0, 0);
            return;
        }
        server.failures += 1;
        if server.failures >= self.errors && server.until_ms <= outcome.time_ms {
            server.until_ms = outcome.time_ms + (self.rest_ms << server.rests);
            server.rests = (server.rests + 1).min(DOUBLINGS);
            server.failures = 0;
            log::write(Level::Warn, &alloc::format!("{} fails again and again and rests", server.name));
        }
    }
}

lb_policy::export!(Outlier: Balancer + Feedback);
