//! What limits have let pass and refused: counted for whoever watches, and said in the log, the first refusal at once, the
//! others in sums, so that a flood of requests is none of lines.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// From one line to the next, at least.
const PAUSE_NS: u64 = 10_000_000_000;

/// Cells of a [`Spread`]; as many as workers, or nearly.
const CELLS: usize = 16;

/// A counter that many workers add to, each as a rule in a cache line of its own.
#[derive(Debug, Default)]
pub(super) struct Spread([Line; CELLS]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Spread {
    pub(super) fn add_one(&self) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static CELL: usize = NEXT.fetch_add(1, Relaxed) % CELLS;
        }
        CELL.with(|cell| self.0[*cell].0.fetch_add(1, Relaxed));
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Relaxed)).sum()
    }
}

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
    fn threads_count_into_one_sum() {
        let spread = Spread::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..100).for_each(|_| spread.add_one()));
            }
        });
        assert_eq!(spread.sum(), 4_000);
    }

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
