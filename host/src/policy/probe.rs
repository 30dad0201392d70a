//! A live instance for whoever tries a policy out, off the data path: each call hands out its fault, which a backend's
//! seats keep to themselves, and says what it took.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answers::{Affinity, Amendment, Key, Outcome, Reply};
use super::bindings::{self, persistence};
use super::component::Policy;
use super::fault::Fault;
use super::instance::{Arrival, Instance};
use super::seat::{self, Failure};
use super::settings::Settings;
use super::ticker::processor_time;
use super::voice::Voice;
use crate::backend::{Backend, Candidate};
use crate::http::head::{RequestHead, ResponseHead};

/// Why an instance did not start, or did not take what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// It failed.
    #[error("{0}")]
    Fault(Fault),
    /// It would not have these settings, or these servers.
    #[error("refused{}: {message}", setting.as_ref().map_or_else(String::new, |name| format!(" `{name}`")))]
    Refused {
        /// The setting that it named.
        setting: Option<String>,
        /// What it said.
        message: String,
    },
}

impl From<Failure> for NotStarted {
    fn from(failure: Failure) -> NotStarted {
        match failure {
            Failure::Fault(fault) => NotStarted::Fault(fault),
            Failure::Refusal(refusal) => {
                NotStarted::Refused { setting: refusal.setting, message: refusal.message }
            }
        }
    }
}

/// An instance, and where its key is. After a fault it is not to be called again.
pub struct Probe {
    instance: Instance,
    key: Option<Key>,
    /// Whether calls are timed: asking for the processor time is a system call, and dearer than most calls.
    timed: bool,
    took: Duration,
}

impl Probe {
    /// Makes an instance and configures it with the servers of `backend`.
    ///
    /// # Errors
    /// When it fails or refuses.
    pub fn start(policy: &Policy, settings: &Settings, backend: &Arc<Backend>) -> Result<Probe, NotStarted> {
        let voice = Arc::new(Voice::new(&policy.description().name, &backend.config.name));
        let before = processor_time();
        let (instance, key) = seat::start(policy, settings, backend, &voice)?;
        Ok(Probe { instance, key, timed: true, took: processor_time().saturating_sub(before) })
    }

    /// Configures the instance anew, for the servers of another backend.
    ///
    /// # Errors
    /// When it fails or refuses.
    pub fn configure(&mut self, settings: &Settings, backend: &Arc<Backend>) -> Result<(), NotStarted> {
        let before = processor_time();
        self.key = seat::configure(&mut self.instance, settings, backend)?;
        self.took = processor_time().saturating_sub(before);
        Ok(())
    }

    /// Where a persistence has its key.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The same, for who measures many calls at once: from now on [`took`](Self::took) stays as it is.
    pub fn untimed(self) -> Probe {
        Probe { timed: false, ..self }
    }

    /// The processor time of the last call.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What the instance holds in memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.instance.memory_bytes()
    }

    /// Tells it the candidates.
    ///
    /// # Errors
    /// When it fails.
    pub fn update(&mut self, candidates: &Arc<[Candidate]>) -> Result<(), Fault> {
        self.timed(|instance, _| instance.update(candidates))
    }

    /// Asks for a candidate: an index into those of the last [`update`](Self::update).
    ///
    /// # Errors
    /// When it fails, or answers who is not there.
    pub fn pick(&mut self, request: &Arc<RequestHead>, arrival: Arrival) -> Result<Option<u32>, Fault> {
        self.timed(|instance, _| instance.pick(request, arrival))
    }

    /// Asks whom a key's value names, and for how many milliseconds that holds. For persistence.
    ///
    /// # Errors
    /// When it fails, or answers what cannot be.
    pub fn recall(
        &mut self,
        request: &Arc<RequestHead>,
        value: &str,
        client: IpAddr,
        time_ms: u64,
    ) -> Result<(Affinity, u32), Fault> {
        let visit = persistence::Visit { value, time_ms, client: bindings::address(client) };
        self.timed(|instance, key| match key {
            Some(key) => instance.recall(request, key, visit),
            None => Ok((Affinity::default(), 0)),
        })
    }

    /// Asks for a response's changes, and for how many milliseconds they hold. For persistence.
    ///
    /// # Errors
    /// When it fails, or answers what cannot be.
    pub fn respond(
        &mut self,
        request: &Arc<RequestHead>,
        response: &Arc<ResponseHead>,
        reply: &Reply<'_>,
    ) -> Result<(Amendment, u32), Fault> {
        self.timed(|instance, key| match key {
            Some(key) => instance.respond(request, response, key, reply),
            None => Ok((Amendment::default(), 0)),
        })
    }

    /// Tells it how an attempt ended.
    ///
    /// # Errors
    /// When it fails.
    pub fn observe(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        self.timed(|instance, _| instance.observe(outcome))
    }

    fn timed<T>(&mut self, call: impl FnOnce(&mut Instance, Option<&Key>) -> T) -> T {
        if !self.timed {
            return call(&mut self.instance, self.key.as_ref());
        }
        let before = processor_time();
        let answer = call(&mut self.instance, self.key.as_ref());
        self.took = processor_time().saturating_sub(before);
        answer
    }
}
