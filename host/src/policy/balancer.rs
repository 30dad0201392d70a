//! Who picks a server for a request that is not bound to one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Outcome;
use super::instance::Arrival;
use super::seat::Place;
use crate::backend::{Backend, Candidate};
use crate::http::head::RequestHead;

/// The balancers of a backend on one worker.
pub struct Balancer {
    backend: Arc<Backend>,
    /// In the order in which they are asked.
    places: Vec<Place>,
    candidates: Arc<[Candidate]>,
    /// Of `candidates`.
    version: Option<u64>,
}

impl Balancer {
    pub(super) fn new(backend: Arc<Backend>, places: Vec<Place>) -> Balancer {
        Balancer { backend, places, candidates: Arc::new([]), version: None }
    }

    /// The host's own choice alone.
    #[cfg(test)]
    pub(crate) fn of_the_host(backend: Arc<Backend>) -> Balancer {
        Balancer::new(backend, Vec::new())
    }

    /// Picks a server for a request that arrived at `time_ms` (since 1970, UTC): an index into the backend's
    /// servers. `failed` is the one that failed last, on a retry. `None` only where no server may be chosen.
    ///
    /// Where no policy decides, the host does: each candidate in turn by the pick's number, whatever their
    /// weights, and on a retry not the one that failed.
    pub fn pick(
        &mut self,
        request: &Arc<RequestHead>,
        client: IpAddr,
        time_ms: u64,
        failed: Option<u32>,
    ) -> Option<u32> {
        let version = self.backend.version();
        if self.version != Some(version) {
            self.candidates = self.backend.candidates();
            self.version = Some(version);
        }
        if self.candidates.is_empty() {
            return None;
        }
        let failed = failed
            .and_then(|failed| self.candidates.iter().position(|candidate| candidate.server == failed))
            .map(|index| index as u32);
        let sequence = self.backend.sequence.fetch_add(1, Relaxed);
        let arrival = Arrival { sequence, time_ms, client, failed };
        for place in &mut self.places {
            if let Some(index) = place.pick(request, arrival, &self.candidates)
                && let Some(candidate) = self.candidates.get(index as usize)
            {
                return Some(candidate.server);
            }
        }
        Some(self.in_turn(arrival))
    }

    fn in_turn(&self, arrival: Arrival) -> u32 {
        let count = self.candidates.len() as u64;
        let turn = (arrival.sequence % count) as usize;
        if arrival.failed == Some(turn as u32) {
            self.candidates[(turn + 1) % self.candidates.len()].server
        } else {
            self.candidates[turn].server
        }
    }

    /// Whether [`observe`](Self::observe) reaches anyone.
    pub fn wants_feedback(&self) -> bool {
        self.places.iter().any(|place| place.wants_feedback())
    }

    /// Tells the balancers that want to know how an attempt ended.
    pub fn observe(&mut self, outcome: &Outcome) {
        for place in &mut self.places {
            if place.wants_feedback() {
                place.observe(outcome);
            }
        }
    }
}
