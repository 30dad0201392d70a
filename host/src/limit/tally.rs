//! What limits have refused, for the log: the first at once, the others in sums, so that a flood of requests is none of
//! lines.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// From one line to the next, at least.
const PAUSE_NS: u64 = 10_000_000_000;

/// Refusals of one limit.
#[derive(Debug, Default)]
pub(super) struct Tally {
    unsaid: AtomicU64,
    /// When the next line may come.
    next_ns: AtomicU64,
}

impl Tally {
    /// Counts one more; how many there are to tell of, where it is time to.
    pub(super) fn count(&self, now_ns: u64) -> Option<u64> {
        self.unsaid.fetch_add(1, Relaxed);
        let next = self.next_ns.load(Relaxed);
        let mine = now_ns >= next
            && self.next_ns.compare_exchange(next, now_ns.saturating_add(PAUSE_NS), Relaxed, Relaxed).is_ok();
        mine.then(|| self.unsaid.swap(0, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let tally = Tally::default();
        assert_eq!(tally.count(5), Some(1));
        assert_eq!(tally.count(6), None);
        assert_eq!(tally.count(PAUSE_NS), None);
        assert_eq!(tally.count(5 + PAUSE_NS), Some(3));
        assert_eq!(tally.count(6 + PAUSE_NS), None);
    }
}
