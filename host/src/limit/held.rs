//! How many connections each key has at once. Only keys that have one are remembered, and each for as long as it has
//! one: there is none that could be forgotten without a limit that no longer holds. So there is no bound on keys but
//! the one on connections, and beside what a connection takes the few bytes of its key are nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; far more than workers.
const SHARDS: usize = 64;

/// Counts by key.
#[derive(Debug)]
pub(super) struct Held {
    shards: Box<[Mutex<HashMap<u64, u32>>]>,
    keys: AtomicUsize,
}

/// A shard that has become empty gives back its memory where it had room for more than these.
const KEPT: usize = 64;

/// What came of asking for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is counted, and has to leave.
    Counted,
    /// The key has as many as it may.
    Full,
}

impl Held {
    pub(super) fn new() -> Held {
        Held { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), keys: AtomicUsize::new(0) }
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
        self.keys.fetch_add(1, Relaxed);
        shard.insert(key, 1);
        (Entry::Counted, false)
    }

    /// One that was counted has gone.
    pub(super) fn leave(&self, key: u64) {
        let mut shard = self.shard(key);
        debug_assert!(shard.get(&key).is_some_and(|count| *count > 0), "what leaves was counted");
        if let Some(count) = shard.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&key);
                self.keys.fetch_sub(1, Relaxed);
                if shard.is_empty() && shard.capacity() > KEPT {
                    *shard = HashMap::new();
                }
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
        let held = Held::new();
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
    fn keys_that_have_none_are_forgotten_and_none_that_has_one_is() {
        let held = Held::new();
        let many = 200_000;
        for key in 0..many {
            assert_eq!(held.enter(key, 1, false), (Entry::Counted, false));
        }
        assert_eq!(held.keys(), many as usize);
        assert!((0..many).all(|key| held.enter(key, 1, false).0 == Entry::Full));
        (0..many).for_each(|key| held.leave(key));
        assert_eq!(held.keys(), 0);
        assert!(held.shards.iter().all(|shard| shard.lock().unwrap().capacity() <= KEPT));
    }
}
