//! A circuit breaker: too large a share of failures opens it for a while, then a few requests try whether it may close
//! again. All workers share its state, in atomics; the time is passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

use super::sign::Sign;
use super::window::{Counts, Window};
use crate::config::model::care::Tripping;

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    config: Tripping,
    start: Instant,
    window: Window,
    /// A [`State`], packed.
    state: AtomicU64,
    /// Counts how often it became half-open.
    rounds: AtomicU32,
    /// The failures for which it opened last, and the requests among which they were, 32 bits each.
    reason: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// Until so many milliseconds after its start.
    Open(u64),
    /// Probes are on their way: so many have been let through, and so many of these have passed.
    HalfOpen {
        round: u16,
        taken: u16,
        passed: u16,
    },
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All is well.
    Closed,
    /// A few requests try whether all is well again.
    HalfOpen,
    /// Nothing is let through.
    Open,
}

/// A breaker that stands otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has opened, for these failures; none: a probe failed.
    Opened(Counts),
    /// It has closed.
    Closed,
}

/// A request that a breaker has let through. It has to say how it ended, or else it counts as none.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    /// The round whose probe it is.
    probe: Option<u16>,
}

const TAG: u32 = 62;

impl State {
    fn packed(self) -> u64 {
        match self {
            State::Closed => 0,
            State::Open(until) => (1 << TAG) | (until & ((1 << TAG) - 1)),
            State::HalfOpen { round, taken, passed } => {
                (2 << TAG) | (u64::from(round) << 32) | (u64::from(taken) << 16) | u64::from(passed)
            }
        }
    }

    fn of(packed: u64) -> State {
        match packed >> TAG {
            0 => State::Closed,
            1 => State::Open(packed & ((1 << TAG) - 1)),
            _ => State::HalfOpen {
                round: (packed >> 32) as u16,
                taken: (packed >> 16) as u16,
                passed: packed as u16,
            },
        }
    }
}

impl Breaker {
    /// A closed one, which has counted nothing.
    pub fn new(config: &Tripping, now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker {
            window: Window::new(config.window, now),
            config: config.clone(),
            start: now,
            state: AtomicU64::new(State::Closed.packed()),
            rounds: AtomicU32::new(0),
            reason: AtomicU64::new(0),
        })
    }

    /// Asks whether a request may pass.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Option<Permit> {
        let permit = |probe| Some(Permit { breaker: self.clone(), probe });
        loop {
            let state = self.state();
            let (next, round) = match state {
                State::Closed => return permit(None),
                State::Open(until) if self.ms(now) < until => return None,
                State::Open(_) => {
                    let round = self.rounds.fetch_add(1, Relaxed) as u16;
                    (State::HalfOpen { round, taken: 1, passed: 0 }, round)
                }
                State::HalfOpen { taken, .. } if taken >= self.config.probes => return None,
                State::HalfOpen { round, taken, passed } => {
                    (State::HalfOpen { round, taken: taken + 1, passed }, round)
                }
            };
            if self.turn(state, next) {
                return permit(Some(round));
            }
        }
    }

    /// How it stands.
    pub fn standing(&self, now: Instant) -> Standing {
        match self.state() {
            State::Closed => Standing::Closed,
            State::Open(until) if self.ms(now) < until => Standing::Open,
            State::Open(_) | State::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    /// When it lets probes through, while it is open.
    pub fn open_until(&self, now: Instant) -> Option<Instant> {
        match self.state() {
            State::Open(until) if self.ms(now) < until => {
                Some(self.start + std::time::Duration::from_millis(until))
            }
            _ => None,
        }
    }

    /// Why it opened last: so many of so many requests had failed; none of none: a probe did.
    pub fn reason(&self) -> Counts {
        let reason = self.reason.load(Relaxed);
        Counts { all: reason & u64::from(u32::MAX), marked: reason >> 32 }
    }

    /// Closes, and forgets what was counted.
    pub fn reset(&self) {
        self.window.clear();
        self.state.store(State::Closed.packed(), Relaxed);
    }

    fn state(&self) -> State {
        State::of(self.state.load(Relaxed))
    }

    fn turn(&self, from: State, to: State) -> bool {
        self.state.compare_exchange(from.packed(), to.packed(), Relaxed, Relaxed).is_ok()
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_millis() as u64
    }

    /// Opens, if it stands like this still.
    fn open(&self, from: State, now: Instant, failures: Counts) -> Option<Turn> {
        let until = now.saturating_duration_since(self.start) + self.config.open_for;
        self.turn(from, State::Open(until.as_millis() as u64)).then(|| {
            self.reason.store((failures.marked << 32) | (failures.all & u64::from(u32::MAX)), Relaxed);
            Turn::Opened(failures)
        })
    }

    /// Takes in how a request ended that came while it was closed.
    fn count(&self, failed: bool, now: Instant) -> Option<Turn> {
        self.window.add(now, 1, u64::from(failed));
        if !failed || self.state() != State::Closed {
            return None;
        }
        let counts = self.window.counts(now);
        let enough = counts.all >= u64::from(self.config.min_requests);
        let too_many = counts.marked * 100 >= counts.all * u64::from(self.config.error_percent);
        if enough && too_many { self.open(State::Closed, now, counts) } else { None }
    }

    /// Takes in how a probe ended.
    fn judge(&self, probe: u16, failed: bool, now: Instant) -> Option<Turn> {
        loop {
            let state = self.state();
            let State::HalfOpen { round, taken, passed } = state else { return None };
            if round != probe {
                return None;
            }
            if failed {
                if let Some(turn) = self.open(state, now, Counts { all: 0, marked: 0 }) {
                    return Some(turn);
                }
            } else if passed + 1 >= self.config.probes {
                // What was counted before is no reason to open anew.
                self.window.clear();
                if self.turn(state, State::Closed) {
                    return Some(Turn::Closed);
                }
            } else if self.turn(state, State::HalfOpen { round, taken, passed: passed + 1 }) {
                return None;
            }
        }
    }

    /// A probe has told nothing: another may take its place.
    fn give_back(&self, probe: u16) {
        let _ = self.state.fetch_update(Relaxed, Relaxed, |packed| match State::of(packed) {
            State::HalfOpen { round, taken, passed } if round == probe && taken > passed => {
                Some(State::HalfOpen { round, taken: taken - 1, passed }.packed())
            }
            _ => None,
        });
    }
}

impl Permit {
    /// Says how the request ended.
    pub fn settle(mut self, sign: Sign, now: Instant) -> Option<Turn> {
        let failed = match sign {
            Sign::Nothing => return None,
            Sign::Well => false,
            Sign::Ill(_) => true,
        };
        match self.probe.take() {
            None => self.breaker.count(failed, now),
            Some(round) => self.breaker.judge(round, failed, now),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(round) = self.probe {
            self.breaker.give_back(round);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sign::Symptom;
    use super::*;

    const ILL: Sign = Sign::Ill(Symptom::WrongStatus);

    /// A breaker on a clock of its own.
    struct Scene {
        breaker: Arc<Breaker>,
        now: Instant,
    }

    fn scene() -> Scene {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let (window, open_for) = (10 * second, 5 * second);
        let config = Tripping { error_percent: 50, min_requests: 10, window, open_for, probes: 2 };
        Scene { breaker: Breaker::new(&config, now), now }
    }

    impl Scene {
        fn request(&self, sign: Sign) -> Option<Turn> {
            self.breaker.admit(self.now).expect("it is let through").settle(sign, self.now)
        }

        fn pass(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }

        fn opened() -> Scene {
            let scene = scene();
            (0..9).for_each(|_| assert_eq!(scene.request(ILL), None));
            assert_eq!(scene.request(ILL), Some(Turn::Opened(Counts { all: 10, marked: 10 })));
            scene
        }

        fn standing(&self) -> Standing {
            self.breaker.standing(self.now)
        }
    }

    #[test]
    fn it_opens_at_a_share_of_failures_among_enough_requests() {
        let scene = scene();
        (0..20).for_each(|_| assert_eq!(scene.request(Sign::Well), None));
        (0..19).for_each(|_| assert_eq!(scene.request(ILL), None));
        assert_eq!(scene.request(ILL), Some(Turn::Opened(Counts { all: 40, marked: 20 })));
        assert!(scene.breaker.admit(scene.now).is_none());
        assert_eq!(scene.breaker.reason(), Counts { all: 40, marked: 20 });
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let mut scene = scene();
        (0..9).for_each(|_| assert_eq!(scene.request(ILL), None));
        scene.pass(11_000);
        (0..9).for_each(|_| assert_eq!(scene.request(ILL), None));
        assert_eq!(scene.standing(), Standing::Closed);
    }

    #[test]
    fn after_its_time_so_many_probes_pass_and_close_it() {
        let mut scene = Scene::opened();
        scene.pass(4_999);
        assert_eq!(scene.standing(), Standing::Open);
        assert!(scene.breaker.admit(scene.now).is_none());
        scene.pass(1);
        assert_eq!(scene.standing(), Standing::HalfOpen);
        let first = scene.breaker.admit(scene.now).expect("a probe");
        let second = scene.breaker.admit(scene.now).expect("another");
        assert!(scene.breaker.admit(scene.now).is_none(), "two are enough");
        assert_eq!(first.settle(Sign::Well, scene.now), None);
        assert!(scene.breaker.admit(scene.now).is_none());
        assert_eq!(second.settle(Sign::Well, scene.now), Some(Turn::Closed));
        assert_eq!(scene.request(ILL), None, "it begins to count anew");
        assert_eq!(scene.standing(), Standing::Closed);
    }

    #[test]
    fn a_probe_that_fails_opens_it_anew_and_late_ones_change_nothing() {
        let mut scene = Scene::opened();
        scene.pass(5_000);
        let late = scene.breaker.admit(scene.now).expect("a probe");
        assert_eq!(scene.request(ILL), Some(Turn::Opened(Counts { all: 0, marked: 0 })));
        assert_eq!(scene.standing(), Standing::Open);
        scene.pass(5_000);
        let next = scene.breaker.admit(scene.now).expect("a probe of the next round");
        assert_eq!(late.settle(Sign::Well, scene.now), None);
        assert_eq!(next.settle(Sign::Well, scene.now), None);
        assert_eq!(scene.request(Sign::Well), Some(Turn::Closed));
    }

    #[test]
    fn a_probe_that_tells_nothing_leaves_its_place_to_another() {
        let mut scene = Scene::opened();
        scene.pass(5_000);
        drop(scene.breaker.admit(scene.now).expect("a probe"));
        assert_eq!(scene.request(Sign::Nothing), None);
        assert_eq!(scene.request(Sign::Well), None);
        assert_eq!(scene.request(Sign::Well), Some(Turn::Closed));
    }

    #[test]
    fn requests_from_before_it_opened_do_not_count_as_probes() {
        let mut scene = scene();
        let early = scene.breaker.admit(scene.now).expect("it is closed");
        (0..9).for_each(|_| assert_eq!(scene.request(ILL), None));
        assert!(scene.request(ILL).is_some());
        scene.pass(5_000);
        let probe = scene.breaker.admit(scene.now).expect("a probe");
        assert_eq!(early.settle(ILL, scene.now), None);
        assert_eq!(scene.standing(), Standing::HalfOpen);
        drop(probe);
    }

    #[test]
    fn workers_at_once_open_it_once() {
        let scene = scene();
        let opened: usize = std::thread::scope(|scope| {
            let worker = || {
                let turns = (0..200).filter_map(|_| scene.breaker.admit(scene.now)?.settle(ILL, scene.now));
                turns.filter(|turn| matches!(turn, Turn::Opened(_))).count()
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
        });
        assert_eq!(opened, 1);
    }
}
