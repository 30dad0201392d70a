//! A policy's place in a backend ([`Post`]), and its seats there, one a worker: the live instance, what
//! becomes of it when it fails, and who decides meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::answers::{Affinity, Amendment, Key, Outcome, Reply};
use super::bindings::{self, persistence};
use super::component::Policy;
use super::fault::Fault;
use super::instance::{Arrival, Instance, Refusal, StartError};
use super::maker::{Maker, Slot};
use super::record::{Record, Tally};
#[cfg(test)]
use super::scripted::Scripted;
use super::settings::Settings;
use super::voice::Voice;
use crate::backend::{Backend, Candidate};
use crate::http::head::{RequestHead, ResponseHead};

/// A policy in one role of a backend: all that an instance is made from, and how it does.
pub(super) struct Post {
    pub(super) policy: Arc<Policy>,
    pub(super) settings: Settings,
    pub(super) backend: Arc<Backend>,
    /// Where the trial instance placed its key; for persistence.
    pub(super) key: Option<Key>,
    pub(super) voice: Arc<Voice>,
    pub(super) record: Record,
    pub(super) maker: Arc<Maker>,
}

/// Why an instance could not be made.
#[derive(Debug)]
pub(super) enum Failure {
    Fault(Fault),
    Refusal(Refusal),
}

/// Makes an instance and configures it. What it says of its key's place comes with it.
pub(super) fn start(
    policy: &Policy,
    settings: &Settings,
    backend: &Arc<Backend>,
    voice: &Arc<Voice>,
) -> Result<(Instance, Option<Key>), Failure> {
    let mut instance = Instance::new(policy, Some(backend.clone()), voice.clone()).map_err(|why| {
        Failure::Fault(match why {
            StartError::Fault(fault) => fault,
            StartError::Mismatch(why) => Fault::start(why),
        })
    })?;
    let key = configure(&mut instance, settings, backend)?;
    Ok((instance, key))
}

/// Configures an instance, for the first time or anew. What it says of its key's place comes back.
pub(super) fn configure(
    instance: &mut Instance,
    settings: &Settings,
    backend: &Arc<Backend>,
) -> Result<Option<Key>, Failure> {
    instance.configure(settings, backend).map_err(Failure::Fault)?.map_err(Failure::Refusal)?;
    instance.place().map_err(Failure::Fault)
}

impl Post {
    /// Makes an instance like those before it. On the maker's thread, or wherever time does not matter.
    pub(super) fn make(&self) -> Result<Instance, Fault> {
        let (instance, key) =
            start(&self.policy, &self.settings, &self.backend, &self.voice).map_err(|why| match why {
                Failure::Fault(fault) => Fault::start(format!("did not start anew: it {fault}")),
                Failure::Refusal(refusal) => {
                    Fault::start(format!("refused settings that it took before: {}", refusal.message))
                }
            })?;
        if self.key.is_some() && key != self.key {
            return Err(Fault::start("placed its key elsewhere than before"));
        }
        self.record.count_instance();
        Ok(instance)
    }
}

/// Where one worker, or all of them, have their instance.
pub(super) struct Seat {
    post: Arc<Post>,
    instance: Option<Instance>,
    /// Whether the instance took the place of one that failed.
    remade: bool,
    ordered: bool,
    slot: Arc<Slot>,
}

impl Seat {
    /// A seat with a live instance; or without, where the policy fails even now. Then it is ordered as after
    /// any failure.
    pub(super) fn new(post: &Arc<Post>) -> Seat {
        Seat {
            post: post.clone(),
            instance: post.make().ok(),
            remade: false,
            ordered: false,
            slot: Arc::default(),
        }
    }

    /// The instance, where there is one that may serve.
    fn at_hand(&mut self, now_ms: u64) -> Option<&mut Instance> {
        if self.post.record.is_benched(now_ms) {
            return None;
        }
        if self.instance.is_none() {
            self.fetch(now_ms);
        }
        self.instance.as_mut()
    }

    #[cold]
    fn fetch(&mut self, now_ms: u64) {
        match self.slot.take() {
            Some(made) => {
                self.ordered = false;
                self.remade = true;
                match made {
                    Ok(instance) => self.instance = Some(instance),
                    Err(fault) => self.post.record.fault(&fault, now_ms, true),
                }
            }
            None if !self.ordered => {
                self.ordered = true;
                self.post.maker.make(self.post.clone(), self.slot.clone());
            }
            None => {}
        }
    }

    /// The call failed: this instance is not entered again.
    #[cold]
    fn failed(&mut self, fault: &Fault, now_ms: u64, decisive: bool) {
        self.post.record.fault(fault, now_ms, decisive);
        if let Some(instance) = self.instance.take() {
            self.post.maker.bury(instance);
        }
        if !self.post.record.is_benched(now_ms) {
            self.fetch(now_ms);
        }
    }

    /// Makes a call, and sees to its failure. `None`: there was no fit answer.
    fn call<T>(&mut self, now_ms: u64, call: impl FnOnce(&mut Instance) -> Result<T, Fault>) -> Option<T> {
        match call(self.at_hand(now_ms)?) {
            Ok(answer) => Some(answer),
            Err(fault) => {
                self.failed(&fault, now_ms, false);
                None
            }
        }
    }

    /// Tells the instance the candidates, where it knows older ones.
    fn refresh(&mut self, candidates: &Arc<[Candidate]>, now_ms: u64) -> Option<()> {
        let instance = self.at_hand(now_ms)?;
        if instance.knows(candidates) {
            return Some(());
        }
        let fresh = instance.is_fresh();
        match instance.update(candidates) {
            Ok(()) => Some(()),
            Err(fault) => {
                let decisive = fresh && self.remade;
                self.failed(&fault, now_ms, decisive);
                None
            }
        }
    }
}

/// A policy as one worker reaches it.
pub(super) struct Place {
    seat: Access,
    wants_feedback: bool,
    tally: Arc<Tally>,
}

enum Access {
    Own(Box<Seat>),
    Shared(Arc<Mutex<Seat>>),
    #[cfg(test)]
    Scripted(Box<dyn Scripted>),
}

impl Place {
    pub(super) fn own(post: &Arc<Post>) -> Place {
        Place::at(Access::Own(Box::new(Seat::new(post))), post)
    }

    pub(super) fn shared(post: &Arc<Post>, seat: &Arc<Mutex<Seat>>) -> Place {
        Place::at(Access::Shared(seat.clone()), post)
    }

    #[cfg(test)]
    pub(super) fn scripted(script: Box<dyn Scripted>) -> Place {
        Place { seat: Access::Scripted(script), wants_feedback: true, tally: Arc::default() }
    }

    fn at(seat: Access, post: &Post) -> Place {
        Place { seat, wants_feedback: post.policy.wants_feedback(), tally: post.record.tally() }
    }

    /// Whether [`observe`](Self::observe) tells it anything.
    pub(super) fn wants_feedback(&self) -> bool {
        self.wants_feedback
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Seat) -> T) -> T {
        match &mut self.seat {
            Access::Own(seat) => call(seat),
            Access::Shared(seat) => call(&mut seat.lock().unwrap_or_else(PoisonError::into_inner)),
            #[cfg(test)]
            Access::Scripted(_) => unreachable!("a script has no seat"),
        }
    }

    /// Makes a call, and now and then sees how long it takes.
    fn timed<T>(&mut self, call: impl FnOnce(&mut Seat) -> T) -> T {
        let began = self.tally.times_next().then(Instant::now);
        let answer = self.with(call);
        if let Some(began) = began {
            self.tally.times.add(began.elapsed());
        }
        answer
    }

    /// Asks for a candidate. `None`: another has to decide.
    pub(super) fn pick(
        &mut self,
        request: &Arc<RequestHead>,
        arrival: Arrival,
        candidates: &Arc<[Candidate]>,
    ) -> Option<u32> {
        #[cfg(test)]
        if let Access::Scripted(script) = &mut self.seat {
            return script.pick(arrival, candidates);
        }
        let answer = self.timed(|seat| {
            seat.refresh(candidates, arrival.time_ms)?;
            seat.call(arrival.time_ms, |instance| instance.pick(request, arrival))
        });
        match answer {
            Some(Some(_)) => self.tally.decisions.add_one(),
            Some(None) => self.tally.passes.add_one(),
            None => self.tally.fallbacks.add_one(),
        }
        answer.flatten()
    }

    pub(super) fn observe(&mut self, outcome: &Outcome) {
        #[cfg(test)]
        if let Access::Scripted(script) = &mut self.seat {
            return script.observe(outcome);
        }
        // Lost where it fails; the failure is on record.
        let _ = self.with(|seat| seat.call(outcome.time_ms, |instance| instance.observe(outcome)));
    }

    pub(super) fn recall(
        &mut self,
        request: &Arc<RequestHead>,
        key: &Key,
        value: &str,
        client: std::net::IpAddr,
        time_ms: u64,
    ) -> Option<(Affinity, u32)> {
        #[cfg(test)]
        if let Access::Scripted(script) = &mut self.seat {
            return script.recall(request, value);
        }
        let visit = persistence::Visit { value, time_ms, client: bindings::address(client) };
        let answer = self.timed(|seat| seat.call(time_ms, |instance| instance.recall(request, key, visit)));
        self.count(answer.is_some());
        answer
    }

    pub(super) fn respond(
        &mut self,
        request: &Arc<RequestHead>,
        response: &Arc<ResponseHead>,
        key: &Key,
        reply: &Reply<'_>,
    ) -> Option<(Amendment, u32)> {
        #[cfg(test)]
        if let Access::Scripted(script) = &mut self.seat {
            return script.respond(request, reply);
        }
        let answer = self.timed(|seat| {
            seat.call(reply.time_ms, |instance| instance.respond(request, response, key, reply))
        });
        self.count(answer.is_some());
        answer
    }

    fn count(&self, decided: bool) {
        if decided { self.tally.decisions.add_one() } else { self.tally.fallbacks.add_one() }
    }
}
