//! Who picks a server for a request that is not bound to one.

use std::net::IpAddr;
use std::sync::Arc;

use super::Outcome;
use crate::http::head::RequestHead;

/// The balancers of a backend on one worker.
pub struct Balancer {}

impl Balancer {
    /// Picks a server: an index into the backend's servers. `failed` is the one that failed last, on a
    /// retry. `None` only where no server may be chosen.
    pub fn pick(
        &mut self,
        _request: &Arc<RequestHead>,
        _client: IpAddr,
        _time_ms: u64,
        _failed: Option<u32>,
    ) -> Option<u32> {
        None
    }

    /// Whether [`observe`](Self::observe) reaches anyone.
    pub fn wants_feedback(&self) -> bool {
        false
    }

    /// Tells the balancers how an attempt ended.
    pub fn observe(&mut self, _outcome: &Outcome) {}
}
