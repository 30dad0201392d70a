//! What is told of an attempt once it has ended: to circuit breakers, to passive checks, and to balancers that want feedback.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{Exchange, since_1970_ms};
use crate::backend::care::sign::Sign;
use crate::failure::{Failure, Fault};
use crate::policy::{Outcome, Verdict};

impl Exchange<'_> {
    /// Tells those who want to know how the attempt that began then has ended: by a failure, or well. `status` is that
    /// of the response's head, 0 where there was none.
    pub(super) fn observe(&mut self, server: u32, failure: Option<Failure>, status: u16, began: Instant) {
        if let Some(permit) = self.permit.take() {
            let turn = permit.settle(Sign::of(failure, status), Instant::now());
            self.backend.shared.heed_turn(server as usize, turn);
        }
        if let Some(passive) = &self.backend.shared.servers[server as usize].passive {
            let made_one = self.story.connected.is_some() && self.story.connected != self.story.assigned;
            passive.note(Sign::of(failure, status), made_one);
        }
        let mut balancer = self.backend.balancer.borrow_mut();
        if balancer.wants_feedback() {
            let now = Instant::now();
            let us = |then: Instant| then.saturating_duration_since(began).as_micros() as u64;
            // The time that the client took for its request is not the server's.
            let client_took = self.pace.client_took(now).as_micros() as u64;
            balancer.observe(&Outcome {
                server,
                verdict: failure.map_or(Verdict::Answered, verdict),
                status,
                connect_us: self.story.connected.map_or(0, us),
                latency_us: us(self.story.responded.unwrap_or(now)).saturating_sub(client_took),
                bytes: self.story.bytes,
                time_ms: since_1970_ms(SystemTime::now()),
            });
        }
    }
}

/// What balancers hear of a failure.
fn verdict(failure: Failure) -> Verdict {
    match failure.outcome().fault {
        Fault::Unreachable => Verdict::Unreachable,
        Fault::Silent => Verdict::TimedOut,
        Fault::Invalid | Fault::Closed => Verdict::Broken,
        // What says nothing of the server is told like what its client did.
        Fault::Client | Fault::Neither => Verdict::Abandoned,
    }
}
