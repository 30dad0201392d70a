//! A backend's circuit breaker: bounds on what it holds at once, past which requests are refused and do not pile up; and
//! failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

use super::breaker::{Breaker, Permit, Turn};
use super::window::Counts;
use crate::backend::Backend;
use crate::config::model::care::Circuit as Config;
use crate::failure::Failure;

/// A backend's circuit breaker.
#[derive(Debug)]
pub struct Circuit {
    max_requests: u32,
    max_pending: u32,
    /// What failures open; `None`: nothing.
    pub breaker: Option<Arc<Breaker>>,
    refused: AtomicU64,
}

impl Circuit {
    /// A closed one.
    pub fn new(config: &Config, now: Instant) -> Circuit {
        Circuit {
            max_requests: config.max_requests.unwrap_or(u32::MAX),
            max_pending: config.max_pending.unwrap_or(u32::MAX),
            breaker: config.tripping.as_ref().map(|tripping| Breaker::new(tripping, now)),
            refused: AtomicU64::new(0),
        }
    }

    /// Lets in a request, which is the last of so many that the backend holds; or refuses it.
    ///
    /// # Errors
    /// It is refused.
    pub fn admit(&self, requests: u32, now: Instant) -> Result<Option<Permit>, Failure> {
        if requests > self.max_requests {
            return Err(self.refuse());
        }
        let Some(breaker) = &self.breaker else { return Ok(None) };
        breaker.admit(now).map(Some).ok_or_else(|| self.refuse())
    }

    /// Lets a request wait that is at this position in its line, or refuses it.
    ///
    /// # Errors
    /// It is refused.
    pub fn wait(&self, position: u32) -> Result<(), Failure> {
        if position > self.max_pending { Err(self.refuse()) } else { Ok(()) }
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn refuse(&self) -> Failure {
        self.refused.fetch_add(1, Relaxed);
        Failure::CircuitOpen
    }
}

impl Backend {
    /// Says in the log that its circuit breaker stands otherwise than before.
    pub(crate) fn say_turn(&self, turn: Option<Turn>) {
        let backend = &*self.config.name;
        match turn {
            Some(Turn::Opened(Counts { all: 0, .. })) => {
                tracing::warn!(backend, "backend {backend}: circuit breaker open, a probe failed");
            }
            Some(Turn::Opened(counts)) => {
                tracing::warn!(backend, "backend {backend}: circuit breaker open, {counts}");
            }
            Some(Turn::Closed) => tracing::info!(backend, "backend {backend}: circuit breaker closed"),
            None => {}
        }
    }

    /// Sees to it that a server whose circuit breaker has opened is no candidate any more.
    pub(crate) fn heed_turn(&self, index: usize, turn: Option<Turn>) {
        match turn {
            Some(Turn::Opened(_)) => self.attention.notify_one(),
            Some(Turn::Closed) => {
                let (backend, server) = (&*self.config.name, &*self.servers[index].config.name);
                tracing::info!(backend, server, "server {backend}/{server}: circuit breaker closed");
            }
            None => {}
        }
    }
}
