//! What the built-in policies share: an allocator, a panic handler, a place for state, and the runtime of the
//! bindings in `bindings/` (written by `plugins/build --bindings`, included by each policy with `#[path]`).
//!
//! On wasm32 it stands in for the standard library, so that a policy is a few KB and imports nothing but
//! `lb:policy`. Natively, where the policies' logic is tested, it adds only [`Single`].

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;
use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

pub use wit_bindgen::rt;

#[cfg(any(target_arch = "wasm32", test))]
mod blocks;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: blocks::Heap = blocks::Heap::new();

/// Nobody would read a message: the host reports the trap.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The state of a policy, in a `static`. The host enters an instance with one call at a time, so a lock would
/// have nobody to wait for: whoever finds the state in use is the same call once more, and that is a panic.
#[derive(Debug, Default)]
pub struct Single<T> {
    in_use: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` is the only way to the value, and `in_use` lets one caller in at a time.
unsafe impl<T: Send> Sync for Single<T> {}

impl<T> Single<T> {
    /// State that starts as `value`.
    pub const fn new(value: T) -> Self {
        Self { in_use: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `f` on the state.
    ///
    /// # Panics
    /// Where the state is in use: inside `f`, and for good once `f` has panicked.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        assert!(!self.in_use.swap(true, Ordering::Acquire), "the state is in use");
        // SAFETY: the flag was down, so nobody else is between here and the store below.
        let result = f(unsafe { &mut *self.value.get() });
        self.in_use.store(false, Ordering::Release);
        result
    }
}

/// Weights in the same proportion, as small as can be: a schedule need not be longer than their sum.
pub fn without_common_divisor(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, *weight)).max(1);
    weights.iter().map(|weight| weight / divisor).collect()
}

/// The candidate that has this number's place, the numbers going round; where that is the one that `failed`, the
/// one that comes next after it and is another, as far as there is one.
pub fn place(places: &[u32], number: u64, failed: Option<u32>) -> Option<u32> {
    let at = number.checked_rem(places.len() as u64)? as usize;
    let (before, after) = places.split_at_checked(at)?;
    let first = *after.first()?;
    let mut others = after.iter().chain(before).filter(|candidate| **candidate != first);
    if failed == Some(first) { others.next().copied().or(failed) } else { Some(first) }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_kept_between_calls() {
        let state = Single::new(1);
        state.with(|value| *value += 1);
        assert_eq!(state.with(|value| *value), 2);
    }

    #[test]
    fn weights_lose_their_common_divisor() {
        assert_eq!(without_common_divisor(&[100, 50, 0]), [2, 1, 0]);
        assert_eq!(without_common_divisor(&[0, 0]), [0, 0]);
        assert!(without_common_divisor(&[]).is_empty());
    }

    #[test]
    fn the_one_that_failed_gives_its_place_to_the_next() {
        let picks = |places: &[u32], failed| (0..5).map(|n| place(places, n, failed)).collect::<Vec<_>>();
        assert_eq!(picks(&[0, 1, 0, 2], None), [Some(0), Some(1), Some(0), Some(2), Some(0)]);
        assert_eq!(picks(&[0, 1, 0, 2], Some(0)), [Some(1), Some(1), Some(2), Some(2), Some(1)]);
        assert_eq!(picks(&[0, 1, 0, 2], Some(2)), [Some(0), Some(1), Some(0), Some(0), Some(0)]);
        assert_eq!(place(&[7, 7], 1, Some(7)), Some(7));
        assert_eq!(place(&[], 1, None), None);
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn state_in_use_is_not_lent_again() {
        let state = Single::new(1);
        state.with(|_| state.with(|value| *value));
    }
}
