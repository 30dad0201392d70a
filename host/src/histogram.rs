//! Times in fixed buckets: what a worker counts into, and what is read of it.

use std::time::Duration;

use serde::Serialize;

use crate::cell::Cell;

/// The upper bounds of the buckets, in microseconds; behind the last there is one more without a bound. From half
/// a millisecond, which a server on the same network needs, to half a minute, the usual timeout.
pub const BOUNDS_US: [u32; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// How many buckets there are.
pub const BUCKETS: usize = BOUNDS_US.len() + 1;

/// A histogram that one thread writes.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Cell; BUCKETS],
    sum_us: Cell,
}

impl Histogram {
    /// Counts a time.
    pub(crate) fn add(&self, time: Duration) {
        let us = time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()));
        self.buckets[bucket(us)].add(1);
        self.sum_us.add(us);
    }
}

/// For each number of bits that a time has, the first bucket that it may fall into. Two bounds are never within one
/// power of two, so that one comparison settles which it is.
const FIRST: [u8; 33] = {
    let mut first = [0; 33];
    let mut bits = 0;
    while bits < 33 {
        let least = if bits == 0 { 0 } else { 1 << (bits - 1) };
        let mut bucket = 0;
        while bucket < BOUNDS_US.len() && (BOUNDS_US[bucket] as u64) < least {
            bucket += 1;
        }
        first[bits] = bucket as u8;
        bits += 1;
    }
    first
};

/// The bucket of a time.
fn bucket(us: u64) -> usize {
    let us = u32::try_from(us).unwrap_or(u32::MAX);
    let first = usize::from(FIRST[(u32::BITS - us.leading_zeros()) as usize]);
    first + usize::from(BOUNDS_US.get(first).is_some_and(|bound| us > *bound))
}

/// What was read of one histogram or of several.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Times {
    /// How many times each bucket has, by [`BOUNDS_US`].
    pub buckets: [u64; BUCKETS],
    /// The sum of all times, in microseconds.
    pub sum_us: u64,
}

impl Times {
    /// Adds what a histogram has.
    pub(crate) fn take(&mut self, histogram: &Histogram) {
        for (sum, cell) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum = sum.wrapping_add(cell.read());
        }
        self.sum_us = self.sum_us.wrapping_add(histogram.sum_us.read());
    }

    /// Adds others.
    pub(crate) fn merge(&mut self, other: &Times) {
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.wrapping_add(*more);
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The upper bounds of the buckets of calls of policies, in nanoseconds; behind the last there is one more without a
/// bound.
pub const CALL_BOUNDS_NS: [u32; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000, 10_000_000];

/// How many of these buckets there are.
pub const CALL_BUCKETS: usize = CALL_BOUNDS_NS.len() + 1;

/// A histogram of calls' times that one thread writes.
#[derive(Debug, Default)]
pub(crate) struct CallHistogram {
    buckets: [Cell; CALL_BUCKETS],
    sum_ns: Cell,
}

impl CallHistogram {
    /// Counts a time.
    pub(crate) fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[CALL_BOUNDS_NS.partition_point(|bound| u64::from(*bound) < ns)].add(1);
        self.sum_ns.add(ns);
    }
}

/// What was read of the times of calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CallTimes {
    /// How many times each bucket has, by [`CALL_BOUNDS_NS`].
    pub buckets: [u64; CALL_BUCKETS],
    /// The sum of all times, in nanoseconds.
    pub sum_ns: u64,
}

impl CallTimes {
    /// Adds what a histogram has.
    pub(crate) fn take(&mut self, histogram: &CallHistogram) {
        for (sum, cell) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum = sum.wrapping_add(cell.read());
        }
        self.sum_ns = self.sum_ns.wrapping_add(histogram.sum_ns.read());
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_that_it_ends() {
        for (index, bound) in BOUNDS_US.iter().enumerate() {
            assert_eq!(bucket(u64::from(*bound)), index);
            assert_eq!(bucket(u64::from(*bound) + 1), index + 1);
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn calls_fall_into_buckets_of_their_own() {
        let calls = CallHistogram::default();
        for ns in [0, 100, 101, 10_000_000, 10_000_001] {
            calls.add(Duration::from_nanos(ns));
        }
        let mut times = CallTimes::default();
        times.take(&calls);
        assert_eq!((times.buckets[0], times.buckets[1], times.buckets[11], times.buckets[12]), (2, 1, 1, 1));
        assert_eq!((times.count(), times.sum_ns), (5, 20_000_202));
    }

    #[test]
    fn what_is_read_is_the_sum_of_what_was_counted() {
        let (a, b) = (Histogram::default(), Histogram::default());
        a.add(Duration::from_micros(700));
        a.add(Duration::from_secs(3));
        b.add(Duration::from_micros(600));
        let mut times = Times::default();
        times.take(&a);
        times.take(&b);
        assert_eq!((times.count(), times.buckets[1], times.sum_us), (3, 2, 3_001_300));
        times.merge(&times.clone());
        assert_eq!((times.count(), times.sum_us), (6, 6_002_600));
    }
}
