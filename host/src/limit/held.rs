//! How many connections each key has at once. Only keys that have one are remembered, so the memory goes with the
//! connections that there are; past the bound on keys, new ones are not counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; far more than workers.
const SHARDS: usize = 64;

/// Counts by key.
pub(super) struct Held {
    shards: Box<[Mutex<HashMap<u64, u32>>]>,
    keys: AtomicUsize,
    max_keys: usize,
}

/// What came of asking for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is counted, and has to leave.
    Counted,
    /// There are too many keys to count it.
    Uncounted,
    /// The key has as many as it may.
    Full,
}

impl Held {
    pub(super) fn new(max_keys: usize) -> Held {
        Held { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), keys: AtomicUsize::new(0), max_keys }
    }

    /// Counts one more; past `most` only where `anyway` says so.
    pub(super) fn enter(&self, key: u64, most: u32, anyway: bool) -> (Entry, bool) {
        let mut shard = self.shard(key);
        if let Some(count) = shard.get_mut(&key) {
            let over = *count >= most;
            if over && !anyway {
                return (Entry::Full, true);
            }
            *count = count.saturating_add(1);
            return (Entry::Counted, over);
        }
        if self.keys.load(Relaxed) >= self.max_keys {
            return (Entry::Uncounted, false);
        }
        self.keys.fetch_add(1, Relaxed);
        shard.insert(key, 1);
        (Entry::Counted, false)
    }

    /// One that was counted has gone.
    pub(super) fn leave(&self, key: u64) {
        let mut shard = self.shard(key);
        if let Some(count) = shard.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&key);
                self.keys.fetch_sub(1, Relaxed);
            }
        }
    }

    /// How many keys have any.
    pub(super) fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.shards[key as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_bound() {
        let held = Held::new(10);
        let enter = |key| held.enter(key, 2, false).0;
        assert_eq!(
            [enter(1), enter(1), enter(1), enter(2)],
            [Entry::Counted, Entry::Counted, Entry::Full, Entry::Counted]
        );
        held.leave(1);
        assert_eq!([enter(1), enter(1)], [Entry::Counted, Entry::Full]);
        assert_eq!(held.enter(1, 2, true), (Entry::Counted, true));
    }

    #[test]
    fn keys_that_have_none_are_forgotten_and_too_many_are_not_counted() {
        let held = Held::new(2);
        let enter = |key| held.enter(key, 1, false).0;
        assert_eq!([enter(1), enter(2), enter(3)], [Entry::Counted, Entry::Counted, Entry::Uncounted]);
        held.leave(1);
        assert_eq!([enter(3), enter(3)], [Entry::Counted, Entry::Full]);
        held.leave(2);
        held.leave(3);
        assert!(held.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert_eq!(held.keys.load(Relaxed), 0);
    }
}
