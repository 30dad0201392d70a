//! The generic cell rate algorithm, the one that the crate `governor` has too: an allowance that refills evenly, kept
//! as one point in time. Pure: the time is passed in.
//!
//! The state of a key is when its allowance would be whole again, in nanoseconds. One that lies in the past means the
//! same as none, so a key that was not heard of for a while can be forgotten without anybody noticing.

use crate::config::model::limits::Rate;

/// An allowance: how fast it refills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gcra {
    /// What one takes, in nanoseconds of refilling.
    each_ns: u64,
    /// What a whole allowance takes.
    whole_ns: u64,
}

/// What came of asking for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It passes.
    Pass {
        /// How many more would pass right now.
        left: u64,
        /// When the allowance is whole again, from now on.
        whole_in_ns: u64,
    },
    /// It does not; nothing was taken.
    Refuse {
        /// When one would pass, from now on.
        wait_ns: u64,
    },
}

impl Gcra {
    /// The allowance of a rate. Rounded so that never more than the rate passes.
    pub(super) fn new(rate: &Rate) -> Gcra {
        let per_ns = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX);
        let each_ns = per_ns.div_ceil(u64::from(rate.count.max(1))).max(1);
        Gcra { each_ns, whole_ns: each_ns.saturating_mul(u64::from(rate.burst.max(1))) }
    }

    /// Asks for one at this time: the decision, and the key's new state where it changes.
    pub(super) fn ask(&self, state: u64, now_ns: u64) -> (Decision, Option<u64>) {
        let taken = state.saturating_sub(now_ns);
        let after = taken.saturating_add(self.each_ns);
        if after > self.whole_ns {
            return (Decision::Refuse { wait_ns: after - self.whole_ns }, None);
        }
        let left = (self.whole_ns - after) / self.each_ns;
        (Decision::Pass { left, whole_in_ns: after }, Some(now_ns.saturating_add(after)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, per: Duration, burst: u32) -> Rate {
        Rate { count, per, burst }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_by_one() {
        let gcra = Gcra::new(&rate(10, Duration::from_secs(1), 3));
        let mut state = 0;
        let mut ask = |now_ms: u64| {
            let (decision, new) = gcra.ask(state, now_ms * 1_000_000);
            state = new.unwrap_or(state);
            decision
        };
        let pass = |left, whole_in_ms: u64| Decision::Pass { left, whole_in_ns: whole_in_ms * 1_000_000 };
        let refuse = |ms: u64| Decision::Refuse { wait_ns: ms * 1_000_000 };
        assert_eq!([ask(1000), ask(1000), ask(1000)], [pass(2, 100), pass(1, 200), pass(0, 300)]);
        assert_eq!(ask(1000), refuse(100));
        assert_eq!(ask(1040), refuse(60), "and asking took nothing");
        assert_eq!(ask(1100), pass(0, 300));
        assert_eq!(ask(1150), refuse(50));
        assert_eq!(ask(9000), pass(2, 100), "after a pause all of it is there again");
    }

    #[test]
    fn the_longest_and_largest_do_not_overflow() {
        let gcra = Gcra::new(&rate(1, Duration::from_hours(100 * 365 * 24), 1_000_000_000));
        let (decision, state) = gcra.ask(u64::MAX - 1, u64::MAX - 2);
        assert!(matches!(decision, Decision::Pass { .. }), "{decision:?}");
        assert_eq!(state, Some(u64::MAX));
        let gcra = Gcra::new(&rate(1, Duration::from_hours(1), 1));
        assert!(matches!(gcra.ask(u64::MAX, 0).0, Decision::Refuse { .. }));
    }

    proptest! {
        #[test]
        fn never_more_passes_than_the_rate_and_a_burst(
            count in 1_u32..2_000, per_ms in 1_u64..20_000, burst in 1_u32..500,
            steps in proptest::collection::vec(0_u64..30_000_000, 1..600),
        ) {
            let gcra = Gcra::new(&rate(count, Duration::from_millis(per_ms), burst));
            let (mut now, mut state, mut passes) = (5_000_000_000_u64, 0, Vec::new());
            for step in steps {
                now += step;
                if let (Decision::Pass { .. }, Some(new)) = gcra.ask(state, now) {
                    state = new;
                    passes.push(now);
                }
            }
            for (index, from) in passes.iter().enumerate() {
                for (more, to) in passes[index..].iter().enumerate() {
                    let share = u128::from(to - from) * u128::from(count) / (u128::from(per_ms) * 1_000_000);
                    prop_assert!((more as u128) < share + u128::from(burst));
                }
            }
        }

        #[test]
        fn it_decides_as_governor_does(
            count in 1_u32..1_000, burst in 1_u32..100,
            steps in proptest::collection::vec(0_u64..5_000_000, 1..300),
        ) {
            // A period that divides evenly, so that both round alike.
            let each = Duration::from_micros(u64::from(count));
            let gcra = Gcra::new(&rate(1, each, burst));
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_period(each).unwrap().allow_burst(burst.try_into().unwrap());
            let governor = RateLimiter::direct_with_clock(quota, clock.clone());
            let (mut now, mut state) = (1_000_000_000_u64, 0);
            for step in steps {
                now += step;
                clock.advance(Duration::from_nanos(step));
                let (decision, new) = gcra.ask(state, now);
                state = new.unwrap_or(state);
                prop_assert_eq!(matches!(decision, Decision::Pass { .. }), governor.check().is_ok());
            }
        }
    }
}
