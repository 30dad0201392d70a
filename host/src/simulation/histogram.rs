//! Counts of times, in buckets whose width is a small part of the time itself: quantiles of any number of them
//! in little memory.

use super::words::Nanoseconds;

/// How many times fell where. The mean is exact; a quantile is off by half a bucket at most.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// Each doubling of time has two to the power of this many buckets.
    precision: u32,
    counts: Vec<u32>,
    total: u64,
    sum: u128,
    longest: Nanoseconds,
}

impl Histogram {
    /// An empty one, exact to a part in 2^(`precision` + 1).
    pub fn new(precision: u32) -> Histogram {
        Histogram { precision, counts: Vec::new(), total: 0, sum: 0, longest: 0 }
    }

    /// Adds a time.
    pub fn add(&mut self, time: Nanoseconds) {
        let bucket = self.bucket(time);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total += 1;
        self.sum += u128::from(time);
        self.longest = self.longest.max(time);
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The mean; 0 where there is nothing.
    pub fn mean(&self) -> Nanoseconds {
        (self.sum / u128::from(self.total.max(1))) as Nanoseconds
    }

    /// The time that a share of them does not exceed; 0 where there is nothing.
    pub fn quantile(&self, share: f64) -> Nanoseconds {
        let rank = ((share * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        if rank >= self.total {
            return self.longest;
        }
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            if below >= rank {
                return self.middle(bucket).min(self.longest);
            }
        }
        self.longest
    }

    fn bucket(&self, time: Nanoseconds) -> usize {
        let parts = 1u64 << self.precision;
        if time < parts {
            return time as usize;
        }
        let shift = 63 - time.leading_zeros() - self.precision;
        ((u64::from(shift) + 1) * parts + (time >> shift) - parts) as usize
    }

    fn middle(&self, bucket: usize) -> Nanoseconds {
        let parts = 1u64 << self.precision;
        let bucket = bucket as u64;
        if bucket < 2 * parts {
            return bucket;
        }
        let shift = bucket / parts - 1;
        ((bucket % parts + parts) << shift) + (1 << (shift - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_half_a_bucket() {
        let mut histogram = Histogram::new(10);
        (1..=100_000u64).for_each(|n| histogram.add(n * 1_000));
        for (share, expected) in [(0.5, 50_000_000.0), (0.99, 99_000_000.0), (0.999, 99_900_000.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found / expected - 1.0).abs() < 1.0 / 2048.0, "{found}");
        }
        assert_eq!((histogram.mean(), histogram.total()), (50_000_500, 100_000));
        assert_eq!(histogram.quantile(1.0), 100_000_000, "the last is known");
    }

    #[test]
    fn buckets_meet_without_gap_or_overlap() {
        let histogram = Histogram::new(3);
        let mut last = 0;
        for time in 0..10_000u64 {
            let bucket = histogram.bucket(time);
            assert!(bucket == last || bucket == last + 1, "{time}");
            assert_eq!(histogram.bucket(histogram.middle(bucket)), bucket);
            last = bucket;
        }
        histogram.bucket(u64::MAX);
        assert_eq!(Histogram::new(3).quantile(0.5), 0);
    }
}
