//! The table: the servers of values, by hashes of the values. Its memory is fixed: a value has eight entries that it may
//! be in, and where all are taken it is put in place of the one that was not seen for longest.

use alloc::{vec, vec::Vec};

const WAYS: usize = 8;

/// A table of fixed size.
#[derive(Debug)]
pub struct Table {
    /// As many as a power of two.
    buckets: Vec<[Entry; WAYS]>,
    /// In seconds; 0 is never.
    expire_s: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// 0 where nothing is noted.
    key: u64,
    server: u32,
    seen_s: u32,
}

/// A key of a hash: never 0, and below 2^53, as a note has to be.
pub fn key(hash: u64) -> u64 {
    (hash >> 11).max(1)
}

impl Table {
    /// An empty table of so many entries or more.
    pub fn new(size: usize, expire_s: u32) -> Self {
        let buckets = size.div_ceil(WAYS).next_power_of_two();
        Self { buckets: vec![[Entry::default(); WAYS]; buckets], expire_s }
    }

    /// The server noted for a key, which has been seen now.
    pub fn find(&mut self, key: u64, now_s: u32) -> Option<u32> {
        let expire_s = self.expire_s;
        let entry = self.bucket(key).iter_mut().find(|entry| entry.key == key)?;
        if expire_s > 0 && now_s.saturating_sub(entry.seen_s) > expire_s {
            *entry = Entry::default();
            return None;
        }
        entry.seen_s = now_s;
        Some(entry.server)
    }

    /// Notes the server of a key.
    pub fn put(&mut self, key: u64, server: u32, now_s: u32) {
        let bucket = self.bucket(key);
        let place = bucket.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            let by_age = |place: &usize| {
                if bucket[*place].key == 0 { 0 } else { u64::from(bucket[*place].seen_s) + 1 }
            };
            (0..WAYS).min_by_key(by_age).unwrap_or(0)
        });
        bucket[place] = Entry { key, server, seen_s: now_s };
    }

    /// Notes what another table has, with the servers' new numbers.
    pub fn take_over(&mut self, other: &Table, number: impl Fn(u32) -> Option<u32>) {
        for entry in other.buckets.iter().flatten().filter(|entry| entry.key != 0) {
            if let Some(server) = number(entry.server) {
                self.put(entry.key, server, entry.seen_s);
            }
        }
    }

    fn bucket(&mut self, key: u64) -> &mut [Entry; WAYS] {
        let mask = self.buckets.len() - 1;
        &mut self.buckets[key as usize & mask]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_one_not_seen_for_longest_makes_room() {
        let mut table = Table::new(WAYS, 0);
        (1..=8).for_each(|key| table.put(key, key as u32, key as u32));
        assert_eq!(table.find(1, 100), Some(1));
        table.put(9, 9, 101);
        assert_eq!([1, 2, 3, 9].map(|key| table.find(key, 101)), [Some(1), None, Some(3), Some(9)]);
    }

    #[test]
    fn what_was_not_seen_for_long_is_forgotten() {
        let mut table = Table::new(64, 10);
        table.put(1, 5, 100);
        assert_eq!(table.find(1, 110), Some(5));
        assert_eq!(table.find(1, 120), Some(5));
        assert_eq!(table.find(1, 131), None);
        assert_eq!(table.find(1, 100), None);
    }

    #[test]
    fn keys_are_what_a_note_can_hold() {
        assert_eq!([key(0), key(2_047), key(2_048)], [1, 1, 1]);
        assert_eq!(key(u64::MAX), (1 << 53) - 1);
    }

    proptest! {
        /// With room enough it is a map.
        #[test]
        fn with_room_nothing_is_lost(puts in prop::collection::vec((any::<u64>(), 0_u32..9), 1..40)) {
            let mut table = Table::new(65_536, 0);
            let mut map = HashMap::new();
            for (hash, server) in puts {
                table.put(key(hash), server, 1);
                map.insert(key(hash), server);
            }
            for (key, server) in map {
                prop_assert_eq!(table.find(key, 2), Some(server));
            }
        }
    }
}
