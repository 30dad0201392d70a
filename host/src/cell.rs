//! A counter that costs its writer an ordinary load and store: one thread writes it, any thread may read it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writer: the worker whose it is.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Counts so many more.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Remembers the largest value ever seen.
    pub(crate) fn raise(&self, to: u64) {
        if self.0.load(Relaxed) < to {
            self.0.store(to, Relaxed);
        }
    }

    /// The value now.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
