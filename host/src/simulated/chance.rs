//! The one source of chance of a simulated world: every choice is drawn from it, in the order in which the world makes
//! them.

use std::cell::RefCell;

use crate::random::Random;

/// The choices of a seed.
#[derive(Debug)]
pub(super) struct Chance(RefCell<Random>);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(RefCell::new(Random::new(seed, 1)))
    }

    /// A whole number below `bound`.
    pub(super) fn below(&self, bound: usize) -> usize {
        self.0.borrow_mut().below(bound as u64) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn between(&self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Whether something happens that happens once in `times`.
    pub(super) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
