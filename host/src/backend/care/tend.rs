//! What becomes of servers as time passes: those that have come UP take their steps to the whole of their share,
//! and those whose circuit breaker has opened are left out for as long as it is. A task
//! for each backend that has any of that, on the control thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::ramp;
use crate::backend::Backend;
use crate::backend::health::Cause;

/// The tasks of a configuration's backends. They stop when this is dropped; how far a server is stays with it.
#[derive(Debug)]
pub struct Tender {
    _tasks: JoinSet<()>,
}

impl Tender {
    /// Begins with these backends, on the runtime that this is called on.
    pub fn start(backends: &[Arc<Backend>]) -> Tender {
        let mut tasks = JoinSet::new();
        for backend in backends.iter().filter(|backend| backend.is_tended()) {
            tasks.spawn(keep_tending(backend.clone()));
        }
        Tender { _tasks: tasks }
    }
}

async fn keep_tending(backend: Arc<Backend>) {
    loop {
        let next = backend.tend(Instant::now());
        tokio::select! {
            () = async { match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            } } => {}
            () = backend.attention.notified() => {}
        }
    }
}

impl Backend {
    /// Whether any of its servers changes by itself as time passes.
    fn is_tended(&self) -> bool {
        self.servers.iter().any(|server| server.config.slowstart.is_some() || server.breaker.is_some())
    }

    /// Does what is due. Returns when there is more to do.
    pub(crate) fn tend(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let probes = (0..self.servers.len()).filter_map(|index| self.tend_breaker(index, now)).min();
        let step = self.tend_slow_starts(now);
        probes.into_iter().chain(step).min()
    }

    /// Takes a server out of the candidates, or puts it back, as its circuit breaker has it. Returns when it is to be
    /// put back.
    fn tend_breaker(self: &Arc<Self>, index: usize, now: Instant) -> Option<Instant> {
        let server = &self.servers[index];
        let breaker = server.breaker.as_ref()?;
        let until = breaker.open_until(now);
        match (until, server.is_tripped()) {
            (Some(_), false) if server.is_usable() && !self.is_last(index) => {
                server.set_tripped(true);
                self.transition(index, false, Cause::Tripped(breaker.reason()), None);
            }
            (None, true) => {
                server.set_tripped(false);
                let healthy = server.record_mut().health.is_none_or(|health| health.is_up());
                if healthy && !server.is_unresolved() {
                    self.transition(index, true, Cause::Probed, None);
                }
            }
            _ => {}
        }
        until
    }

    /// Whether nobody else may be chosen: a server that fails serves better than none.
    fn is_last(&self, index: usize) -> bool {
        self.candidates().iter().all(|candidate| candidate.server as usize == index)
    }

    fn tend_slow_starts(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let steps: Vec<(usize, Duration)> = (0..self.servers.len())
            .filter_map(|index| Some((index, self.servers[index].warm(now)?)))
            .collect();
        if !steps.is_empty() {
            self.candidates_changed();
            // There may be room for more at those whose `maxconn` has grown.
            steps.iter().for_each(|(index, _)| self.serve_waiting(*index));
        }
        let more = steps.iter().filter(|(index, _)| self.servers[*index].ramp() < ramp::WHOLE);
        more.map(|(_, step)| now + *step).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sign::{Sign, Symptom};
    use super::*;
    use crate::backend::fixtures;
    use crate::backend::health::check::Finding;
    use crate::config::model;

    const PASSED: Cause = Cause::Check(Finding::Layer4Passed);

    fn backend(slowstart: u64, maxconn: Option<u32>) -> Arc<Backend> {
        let slowstart = Some(Duration::from_secs(slowstart));
        let slow = |name| model::Server { slowstart, maxconn, ..fixtures::server(name) };
        fixtures::backend(fixtures::config("app"), vec![slow("a"), slow("b")])
    }

    fn weights(backend: &Backend) -> Vec<u32> {
        backend.candidates().iter().map(|candidate| candidate.weight).collect()
    }

    fn back_up(backend: &Arc<Backend>, index: usize) {
        backend.transition(index, false, PASSED, None);
        backend.transition(index, true, PASSED, None);
    }

    #[tokio::test(start_paused = true)]
    async fn servers_have_their_whole_share_when_the_program_starts() {
        let backend = backend(10, None);
        assert_eq!(backend.tend(Instant::now()), None);
        assert_eq!(weights(&backend), [16, 16]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_comes_up_again_takes_its_share_in_steps() {
        let backend = backend(10, None);
        let _tender = Tender::start(std::slice::from_ref(&backend));
        back_up(&backend, 1);
        assert_eq!(weights(&backend), [16, 1]);
        let mut seen = vec![1];
        let version = backend.version();
        for _ in 0..110 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            seen.push(weights(&backend)[1]);
        }
        assert!(seen.is_sorted(), "{seen:?}");
        assert!((7..=9).contains(&seen[50]), "{seen:?}");
        assert_eq!(seen.last(), Some(&16));
        assert!((16..=24).contains(&(backend.version() - version)), "some twenty updates, and then no more");
    }

    #[tokio::test(start_paused = true)]
    async fn maxconn_grows_with_the_share_and_whoever_waits_gets_in() {
        let backend = backend(10, Some(10));
        let _tender = Tender::start(std::slice::from_ref(&backend));
        back_up(&backend, 0);
        use crate::backend::queue::{Binding, Place};
        let Place::Ready(_first) = backend.clone().place(0, Binding::Bound) else { panic!("a place") };
        let Place::Wait(second) = backend.clone().place(0, Binding::Bound) else { panic!("one alone") };
        let began = Instant::now();
        second.await.expect("a place");
        let waited = began.elapsed().as_millis();
        assert!((1_000..=2_000).contains(&waited), "a second place comes at a tenth: {waited} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_goes_down_on_its_way_begins_anew() {
        let backend = backend(10, None);
        back_up(&backend, 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        backend.tend(Instant::now());
        assert_eq!(weights(&backend), [8, 16]);
        back_up(&backend, 0);
        assert_eq!(weights(&backend), [1, 16]);
    }

    /// A backend whose servers are taken out by two failures, for five seconds.
    fn breaking(servers: usize) -> Arc<Backend> {
        let seconds = Duration::from_secs;
        let tripping = model::care::Tripping {
            error_percent: 50,
            min_requests: 2,
            window: seconds(10),
            open_for: seconds(5),
            probes: 1,
        };
        let server = |_| model::Server { circuit_breaker: Some(tripping.clone()), ..fixtures::server("s") };
        fixtures::backend(fixtures::config("app"), (0..servers).map(server).collect())
    }

    fn chosen(backend: &Backend) -> Vec<u32> {
        backend.candidates().iter().map(|candidate| candidate.server).collect()
    }

    fn fail(backend: &Backend, index: usize, times: usize) {
        let breaker = backend.servers[index].breaker.as_ref().expect("it has one");
        for _ in 0..times {
            let now = Instant::now();
            let permit = breaker.admit(now).expect("it is let through");
            permit.settle(Sign::Ill(Symptom::Closed), now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_breaker_opens_is_no_candidate_until_probes_are_due() {
        let backend = breaking(3);
        fail(&backend, 1, 2);
        let until = backend.tend(Instant::now());
        assert_eq!(until, Some(Instant::now() + Duration::from_secs(5)));
        assert_eq!(chosen(&backend), [0, 2]);
        let record = backend.servers[1].record();
        assert_eq!(record.history[0].cause.to_string(), "circuit breaker open, 2 of 2 requests failed");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(backend.tend(Instant::now()), None);
        assert_eq!(chosen(&backend), [0, 1, 2]);
        fail(&backend, 1, 1);
        backend.tend(Instant::now());
        assert_eq!(chosen(&backend), [0, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_candidate_stays() {
        let backend = breaking(2);
        (0..2).for_each(|index| fail(&backend, index, 2));
        backend.tend(Instant::now());
        assert_eq!(chosen(&backend), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_went_down_meanwhile_is_not_brought_back_by_its_breaker() {
        let backend = breaking(2);
        fail(&backend, 0, 2);
        backend.tend(Instant::now());
        let mut health = crate::backend::health::state::Health::start(2, 1);
        health.report(false);
        backend.servers[0].record_mut().health = Some(health);
        backend.transition(0, false, PASSED, None);
        tokio::time::advance(Duration::from_secs(5)).await;
        backend.tend(Instant::now());
        assert_eq!(chosen(&backend), [1]);
        backend.transition(0, true, PASSED, None);
        assert_eq!(chosen(&backend), [0, 1]);
    }
}
