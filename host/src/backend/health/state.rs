//! The state that checks bring a server to: one integer, as in HAProxy. It does no I/O and knows no time.
//!
//! The counter runs from 0 to `rise + fall - 1`; the server is UP from `rise` on. A failed check takes one
//! off, and everything once that is below `rise`; a passed one adds one, and makes it the maximum once it
//! reaches `rise`. So `fall` failures in a row lead from the top to DOWN, `rise` passes from the bottom to
//! UP, and one check in between starts the count anew, either way.

use std::fmt;

use crate::config::model::care::OnError;

/// A server's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    counter: u32,
    rise: u32,
    fall: u32,
}

/// What a check's result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The server is UP now, and was not.
    Up,
    /// The server is DOWN now, and was not.
    Down,
}

/// Which of the three intervals runs until the next check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Surely UP: `inter`.
    Steady,
    /// UP or DOWN, and perhaps not for long, or never checked: `fastinter`.
    InDoubt,
    /// Surely DOWN: `downinter`.
    Down,
}

impl Health {
    /// The state of a server that has not been checked: UP, and DOWN after one failed check, whatever
    /// `fall` is. Neither number can be less than 1.
    pub fn start(rise: u32, fall: u32) -> Health {
        let (rise, fall) = (rise.max(1), fall.max(1));
        Health { counter: rise, rise, fall }
    }

    /// Whether the server is UP.
    pub fn is_up(&self) -> bool {
        self.counter >= self.rise
    }

    /// Takes in a check's result.
    pub fn report(&mut self, passed: bool) -> Option<Change> {
        let was_up = self.is_up();
        if passed {
            self.counter += 1;
            if self.is_up() {
                self.counter = self.top();
            }
        } else {
            self.counter = self.counter.saturating_sub(1);
            if !self.is_up() {
                self.counter = 0;
            }
        }
        match (was_up, self.is_up()) {
            (false, true) => Some(Change::Up),
            (true, false) => Some(Change::Down),
            _ => None,
        }
    }

    /// Takes in that live traffic had too many errors.
    pub fn suffer(&mut self, on_error: OnError) -> Option<Change> {
        match on_error {
            OnError::FastInter => return None,
            OnError::FailCheck => {}
            OnError::SuddenDeath => self.counter = self.counter.min(self.rise + 1),
            OnError::MarkDown => self.counter = self.counter.min(self.rise),
        }
        self.report(false)
    }

    /// How soon to look again.
    pub fn pace(&self) -> Pace {
        match self.counter {
            0 => Pace::Down,
            n if n == self.top() => Pace::Steady,
            _ => Pace::InDoubt,
        }
    }

    fn top(&self) -> u32 {
        self.rise.saturating_add(self.fall - 1)
    }
}

/// `2/3 UP`: two more failures out of `fall` = 3 before it is DOWN. `1/5 DOWN`: one pass out of `rise` = 5.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_up() {
            write!(f, "{}/{} UP", self.counter - self.rise + 1, self.fall)
        } else {
            write!(f, "{}/{} DOWN", self.counter, self.rise)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(rise: u32, fall: u32, results: &str) -> Health {
        let mut health = Health::start(rise, fall);
        for result in results.chars() {
            health.report(result == '+');
        }
        health
    }

    #[test]
    fn a_server_starts_up_and_its_first_failed_check_takes_it_down() {
        let mut health = Health::start(2, 3);
        assert!(health.is_up());
        assert_eq!(health.report(false), Some(Change::Down));
        assert_eq!(health.report(false), None);
    }

    #[test]
    fn with_fall_1_and_rise_5_one_failure_is_down_and_five_passes_are_up() {
        let mut health = after(5, 1, "+");
        assert_eq!(health.report(false), Some(Change::Down));
        for _ in 0..4 {
            assert_eq!(health.report(true), None);
        }
        assert_eq!(health.report(true), Some(Change::Up));
        assert_eq!(health.report(false), Some(Change::Down));
    }

    #[test]
    fn a_pass_among_failures_starts_the_count_anew_and_so_does_a_failure_among_passes() {
        assert!(after(2, 3, "+--+--").is_up());
        assert!(!after(2, 3, "+--+---").is_up());
        assert!(!after(3, 1, "-++-++").is_up());
        assert!(after(3, 1, "-++-+++").is_up());
    }

    #[test]
    fn errors_in_live_traffic_count_as_they_are_said_to() {
        let suffered = |on_error| {
            let mut health = after(2, 3, "+");
            let change = health.suffer(on_error);
            (change, health.to_string())
        };
        assert_eq!(suffered(OnError::FastInter), (None, "3/3 UP".into()));
        assert_eq!(suffered(OnError::FailCheck), (None, "2/3 UP".into()));
        assert_eq!(suffered(OnError::SuddenDeath), (None, "1/3 UP".into()));
        assert_eq!(suffered(OnError::MarkDown), (Some(Change::Down), "0/2 DOWN".into()));
        let mut doomed = after(2, 3, "+--");
        assert_eq!(doomed.suffer(OnError::SuddenDeath), Some(Change::Down));
        assert_eq!(doomed.suffer(OnError::MarkDown), None);
    }

    #[test]
    fn the_pace_is_in_doubt_between_the_two_ends() {
        assert_eq!(Health::start(3, 3).pace(), Pace::InDoubt);
        assert_eq!(Health::start(3, 1).pace(), Pace::Steady);
        assert_eq!(after(3, 3, "+").pace(), Pace::Steady);
        assert_eq!(after(3, 3, "+-").pace(), Pace::InDoubt);
        assert_eq!(after(3, 3, "-").pace(), Pace::Down);
        assert_eq!(after(3, 3, "-+").pace(), Pace::InDoubt);
    }

    #[test]
    fn the_state_is_written_as_haproxy_writes_it() {
        let written = ["+", "+-", "+--", "+---", "+---+"].map(|results| after(3, 3, results).to_string());
        assert_eq!(written, ["3/3 UP", "2/3 UP", "1/3 UP", "0/3 DOWN", "1/3 DOWN"]);
    }

    /// The rule told the other way round: by results in a row instead of by a counter.
    struct InARow {
        up: bool,
        against: u32,
        needed: u32,
    }

    impl InARow {
        fn report(&mut self, rise: u32, fall: u32, passed: bool) -> Option<Change> {
            if passed == self.up {
                self.against = 0;
                self.needed = if self.up { fall } else { rise };
                return None;
            }
            self.against += 1;
            if self.against < self.needed {
                return None;
            }
            self.up = passed;
            self.against = 0;
            self.needed = if self.up { fall } else { rise };
            Some(if self.up { Change::Up } else { Change::Down })
        }
    }

    proptest! {
        #[test]
        fn the_counter_does_what_results_in_a_row_would(
            rise in 0_u32..7,
            fall in 0_u32..7,
            results in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut health = Health::start(rise, fall);
            let (rise, fall) = (rise.max(1), fall.max(1));
            let mut model = InARow { up: true, against: 0, needed: 1 };
            for passed in results {
                prop_assert_eq!(health.report(passed), model.report(rise, fall, passed));
                prop_assert_eq!(health.is_up(), model.up);
                prop_assert!(health.counter < rise + fall);
                let sure = if model.up { health.counter == health.top() } else { health.counter == 0 };
                prop_assert_eq!(health.pace() == Pace::InDoubt, !sure);
            }
        }

        #[test]
        fn a_server_that_fails_now_and_then_goes_down_only_by_fall_failures_in_a_row(
            fall in 2_u32..5,
            rise in 1_u32..5,
            seed in any::<u64>(),
        ) {
            let mut health = after(rise, fall, "+");
            let (mut random, mut failures) = (seed | 1, 0);
            for _ in 0..2_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let passed = !random.is_multiple_of(5);
                failures = if passed { 0 } else { failures + 1 };
                let was_up = health.is_up();
                let change = health.report(passed);
                prop_assert_eq!(change == Some(Change::Down), was_up && failures == fall);
            }
        }
    }
}
