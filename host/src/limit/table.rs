//! What is remembered of each key: a table of fixed size that all workers share.
//!
//! A key is a hash of 64 bits, its state a number that only grows. Keys live in groups of eight; who is heard of for
//! the first time takes the slot of its group that is free or has the smallest state. Changing the state of a key
//! that is there takes no lock, only a compare-and-swap; a lock is taken to put in a new key, so that two workers do not
//! put it in twice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// Slots in a group: their keys fill one line of the processor's cache.
const WAYS: usize = 8;
/// Slots for each key, so that a group is rarely full while the table is not.
const ROOM: usize = 2;
/// Locks for new keys; far more than workers.
const LOCKS: usize = 64;
/// The key of a free slot.
const FREE: u64 = 0;
/// The state of a slot that is on its way from one key to another.
const MOVING: u64 = u64::MAX;

/// States by key.
pub(super) struct Table {
    groups: Box<[Group]>,
    inserting: Box<[Mutex<()>]>,
    /// Slots that have a key.
    taken: AtomicUsize,
}

#[repr(align(64))]
#[derive(Default)]
struct Group {
    keys: [AtomicU64; WAYS],
    states: [AtomicU64; WAYS],
}

impl Table {
    /// A table with room for so many keys.
    pub(super) fn new(keys: usize) -> Table {
        let groups = (keys * ROOM).div_ceil(WAYS).max(1);
        Table {
            groups: (0..groups).map(|_| Group::default()).collect(),
            inserting: (0..LOCKS).map(|_| Mutex::default()).collect(),
            taken: AtomicUsize::new(0),
        }
    }

    /// How many keys it holds.
    pub(super) fn keys(&self) -> usize {
        self.taken.load(SeqCst)
    }

    /// Has `decide` look at a key's state, 0 where there is none, and gives the key the new state that it says, if
    /// any. It may be asked several times, and the last time counts.
    pub(super) fn apply<T>(&self, key: u64, decide: impl Fn(u64) -> (T, Option<u64>)) -> T {
        let key = if key == FREE { 1 } else { key };
        let index = ((u128::from(key) * self.groups.len() as u128) >> 64) as usize;
        let group = &self.groups[index];
        loop {
            if let Some(decided) = group.change(key, &decide) {
                return decided;
            }
            let _inserting = self.inserting[index % LOCKS].lock().unwrap_or_else(PoisonError::into_inner);
            // Another may have put it in meanwhile.
            if group.keys.iter().all(|slot| slot.load(SeqCst) != key) {
                let (decided, state) = decide(0);
                if let Some(state) = state {
                    let more = group.put_in(key, state.min(MOVING - 1));
                    self.taken.fetch_add(usize::from(more), SeqCst);
                }
                return decided;
            }
        }
    }
}

impl Group {
    /// Changes the state of a key that is there.
    fn change<T>(&self, key: u64, decide: impl Fn(u64) -> (T, Option<u64>)) -> Option<T> {
        let slot = self.keys.iter().position(|slot| slot.load(SeqCst) == key)?;
        loop {
            let state = self.states[slot].load(SeqCst);
            // A state that was read while the key still stood there is this key's.
            if state == MOVING || self.keys[slot].load(SeqCst) != key {
                return None;
            }
            let (decided, new) = decide(state);
            let Some(new) = new else { return Some(decided) };
            let new = new.min(MOVING - 1);
            if self.states[slot].compare_exchange(state, new, SeqCst, SeqCst).is_ok() {
                return Some(decided);
            }
        }
    }

    /// Puts in a key that is not there, in place of the one with the smallest state. Under the lock. Says whether the slot
    /// was free.
    fn put_in(&self, key: u64, state: u64) -> bool {
        loop {
            let states = self.states.iter().map(|slot| slot.load(SeqCst)).enumerate();
            let Some((slot, smallest)) = states.min_by_key(|(_, state)| *state) else { return false };
            if self.states[slot].compare_exchange(smallest, MOVING, SeqCst, SeqCst).is_ok() {
                let before = self.keys[slot].swap(key, SeqCst);
                self.states[slot].store(state, SeqCst);
                return before == FREE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::gcra::{Decision, Gcra};
    use super::*;
    use crate::config::model::limits::Rate;

    /// Well spread numbers, the same each time.
    fn spread(number: u64) -> u64 {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    fn next(table: &Table, key: u64) -> u64 {
        table.apply(key, |state| (state + 1, Some(state + 1)))
    }

    #[test]
    fn every_key_has_a_state_of_its_own() {
        let table = Table::new(1_000);
        for round in 1..=3 {
            for key in 0..500 {
                assert_eq!(next(&table, spread(key)), round, "{key}");
            }
        }
    }

    #[test]
    fn a_group_that_is_full_forgets_the_key_with_the_smallest_state() {
        let table = Table {
            groups: vec![Group::default()].into(),
            inserting: [Mutex::default()].into(),
            taken: AtomicUsize::new(0),
        };
        for key in 1..=8_u64 {
            table.apply(key, |_| ((), Some(100 + key)));
        }
        table.apply(1, |_| ((), Some(200)));
        table.apply(9, |_| ((), Some(150)));
        let state = |key| table.apply(key, |state| (state, None));
        assert_eq!([state(1), state(2), state(3), state(9)], [200, 0, 103, 150]);
        assert_eq!(table.keys(), 8);
    }

    #[test]
    fn a_key_of_zero_is_a_key() {
        let table = Table::new(16);
        assert_eq!([next(&table, 0), next(&table, 0)], [1, 2]);
    }

    #[test]
    fn who_is_over_the_limit_is_remembered_through_a_flood_of_others() {
        let gcra = Gcra::new(&Rate { count: 10, per: Duration::from_secs(1), burst: 100 });
        let table = Table::new(1_000);
        let now = 1_000_000_000;
        let offender = spread(u64::MAX);
        let passes = |key| matches!(table.apply(key, |state| gcra.ask(state, now)), Decision::Pass { .. });
        assert_eq!((0..150).filter(|_| passes(offender)).count(), 100);
        for key in 0..100_000 {
            assert!(passes(spread(key)));
        }
        assert!(!passes(offender));
    }

    /// Threads hammer at few keys, of which each has one count: no pass is lost and none is counted twice.
    #[test]
    fn threads_share_one_allowance() {
        let gcra = Gcra::new(&Rate { count: 1, per: Duration::from_hours(1), burst: 1_000 });
        for keys in [1, 5, 40] {
            let table = Table::new(64);
            let passed: Vec<AtomicUsize> = (0..keys).map(|_| AtomicUsize::new(0)).collect();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for turn in 0..2_000 * keys {
                            let key = turn % keys;
                            let decision =
                                table.apply(spread(key as u64 + 1), |state| gcra.ask(state, 1_000_000));
                            if matches!(decision, Decision::Pass { .. }) {
                                passed[key].fetch_add(1, SeqCst);
                            }
                        }
                    });
                }
            });
            for (key, passed) in passed.iter().enumerate() {
                assert_eq!(passed.load(SeqCst), 1_000, "key {key} of {keys}");
            }
        }
    }

    /// Keys come and go in one group under many threads; a key's state is never another's.
    #[test]
    fn a_state_stays_with_its_key_while_slots_change_hands() {
        let table = Table {
            groups: vec![Group::default()].into(),
            inserting: [Mutex::default()].into(),
            taken: AtomicUsize::new(0),
        };
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let table = &table;
                scope.spawn(move || {
                    for turn in 0..20_000_u64 {
                        // The state says whose it is, in its lowest bits.
                        let key = 1 + (turn * 7 + thread * 3) % 16;
                        table.apply(key, |state| {
                            assert!(state == 0 || state % 32 == key, "{state} at {key}");
                            ((), Some((turn * 4 + thread + 1) * 32 + key))
                        });
                    }
                });
            }
        });
    }
}
