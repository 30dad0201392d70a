//! Policies that are scripts, for simulated exchanges: what is simulated there is what becomes of answers, not how they
//! come about. What a script answers has to be fit; where it does not answer, it has failed.

use std::sync::Arc;

use super::balancer::Balancer;
use super::instance::Arrival;
use super::persistence::Persistence;
use super::seat::Place;
use super::{Affinity, Amendment, Key, Outcome, Reply};
use crate::backend::{Backend, Candidate};
use crate::http::head::RequestHead;

/// A policy in either role.
#[allow(unused_variables)]
pub(crate) trait Scripted: Send {
    /// As [`Balancer::pick`], but of the candidates.
    fn pick(&mut self, arrival: Arrival, candidates: &[Candidate]) -> Option<u32> {
        None
    }

    /// As [`Balancer::observe`].
    fn observe(&mut self, outcome: &Outcome) {}

    /// As [`Persistence::recall`], and for how many milliseconds it holds.
    fn recall(&mut self, request: &RequestHead, value: &str) -> Option<(Affinity, u32)> {
        None
    }

    /// As [`Persistence::respond`], and for how many milliseconds it holds.
    fn respond(&mut self, request: &RequestHead, reply: &Reply<'_>) -> Option<(Amendment, u32)> {
        None
    }
}

impl Balancer {
    pub(crate) fn scripted(backend: Arc<Backend>, script: Box<dyn Scripted>) -> Balancer {
        Balancer::new(backend, vec![Place::scripted(script)])
    }
}

impl Persistence {
    pub(crate) fn scripted(backend: Arc<Backend>, key: Key, script: Box<dyn Scripted>) -> Persistence {
        Persistence::new(backend, Place::scripted(script), key)
    }
}
