//! The state that checks bring a server to: one integer, as in HAProxy. It does no I/O and knows no time.
//!
//! The counter runs from 0 to `rise + fall - 1`; the server is UP from `rise` on. A failed check takes one
//! off, and everything once that is below `rise`; a passed one adds one, and makes it the maximum once it
//! reaches `rise`. So `fall` failures in a row lead from the top to DOWN, `rise` passes from the bottom to
//! UP, and one check in between starts the count anew, either way.

use std::fmt;

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
