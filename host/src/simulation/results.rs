//! What came of it, for one policy: all that the report is made from. The same for the same seed.

use super::histogram::Histogram;
use super::words::Nanoseconds;
use crate::policy::Conduct;

/// Into so many parts a simulation is cut to show its course.
pub const SLICES: usize = 100;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A server answered it.
    Answered,
    /// A server answered 500.
    Error,
    /// Refused, and out of retries.
    Refused,
    /// Not answered in time.
    TimedOut,
    /// No server could be chosen.
    NoServer,
}

impl End {
    /// All, in the order of their numbers.
    pub const ALL: [End; 5] = [End::Answered, End::Error, End::Refused, End::TimedOut, End::NoServer];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            End::Answered => "answered",
            End::Error => "answered 500",
            End::Refused => "refused",
            End::TimedOut => "timed out",
            End::NoServer => "no server",
        }
    }
}

/// Keys whose server changed when servers left or came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// The share of keys that moved, on average over all changes.
    pub share: f64,
    /// The least that could have: what servers that left had, and what is due to those that came.
    pub least: f64,
}

/// A part of the simulated time.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Times of the requests that came in it.
    pub times: Histogram,
    /// The most requests that one server had at its end.
    pub most: u32,
}

/// What came of a policy.
#[derive(Debug, Clone)]
pub struct Results {
    /// What it is called in the report.
    pub policy: String,
    /// Requests that came, from the very start.
    pub arrived: u64,
    /// Requests that ended; in the end each has.
    pub ended: u64,
    /// How those that count ended, in the order of [`End::ALL`].
    pub ends: [u64; End::ALL.len()],
    /// How often one of them was tried again.
    pub retries: u64,
    /// How long they took, however they ended.
    pub times: Histogram,
    /// How many requests each server had on average.
    pub loads: Vec<f64>,
    /// How many each was sent.
    pub taken: Vec<u64>,
    /// The most that any server had at once.
    pub peak: u32,
    /// The course of it.
    pub course: Vec<Slice>,
    /// Where servers left or came.
    pub moved: Option<Moved>,
    /// How the policies themselves did, over all balancers.
    pub conduct: Conduct,
}

impl Results {
    /// Requests that count: those that came after the warm-up.
    pub fn counted(&self) -> u64 {
        self.ends.iter().sum()
    }

    /// The share of them that was not answered well.
    pub fn failed(&self) -> f64 {
        let counted = self.counted();
        (counted - self.ends[End::Answered as usize]) as f64 / counted.max(1) as f64
    }

    /// How often as much as the average server the busiest had to do.
    pub fn imbalance(&self) -> f64 {
        let mean = self.loads.iter().sum::<f64>() / self.loads.len().max(1) as f64;
        let most = self.loads.iter().copied().fold(0.0, f64::max);
        if mean > 0.0 { most / mean } else { 1.0 }
    }

    /// The time that a share of the requests does not exceed.
    pub fn quantile(&self, share: f64) -> Nanoseconds {
        self.times.quantile(share)
    }
}
