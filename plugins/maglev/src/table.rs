//! The table: who has which entry.

use alloc::{vec, vec::Vec};
use core::cmp::Reverse;

/// The order in which a server would take the entries: from one of them on, in steps that reach all since the number
/// of entries is prime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    next: u32,
    skip: u32,
}

impl Order {
    /// The order that comes of two hashes of a server's name.
    pub fn new(one: u64, other: u64, size: u32) -> Self {
        let size = u64::from(size);
        Self { next: (one % size) as u32, skip: (other % (size - 1)) as u32 + 1 }
    }

    /// The first entry that nobody has; there has to be one.
    fn take(&mut self, table: &[u32]) -> usize {
        let size = table.len() as u32;
        loop {
            let entry = self.next as usize;
            self.next += self.skip;
            if self.next >= size {
                self.next -= size;
            }
            if table[entry] == NOBODY {
                return entry;
            }
        }
    }
}

const NOBODY: u32 = u32::MAX;

/// The table of candidates with these orders and weights: for each entry the candidate. Empty without candidates.
///
/// In each round every candidate earns its weight, and takes an entry when it has earned as much as the heaviest does
/// in one, until it has its share. Takes on average O(size · log size).
pub fn table(candidates: impl Iterator<Item = (Order, u32)>, size: u32) -> Vec<u32> {
    let (mut orders, weights): (Vec<Order>, Vec<u32>) = candidates.unzip();
    let heaviest = weights.iter().copied().max().unwrap_or(0);
    if heaviest == 0 {
        return Vec::new();
    }
    let mut due = shares(&weights, size);
    let mut earned = vec![0; weights.len()];
    let mut table = vec![NOBODY; size as usize];
    let mut free = size;
    // Shares add up to the size, and whoever has something due earns on: the table is full when nobody has.
    while free > 0 {
        for (candidate, order) in orders.iter_mut().enumerate() {
            if due[candidate] == 0 {
                continue;
            }
            earned[candidate] += weights[candidate];
            if earned[candidate] < heaviest {
                continue;
            }
            earned[candidate] -= heaviest;
            due[candidate] -= 1;
            free -= 1;
            let entry = order.take(&table);
            table[entry] = candidate as u32;
        }
    }
    debug_assert!(due.iter().all(|entries| *entries == 0));
    table
}

/// How many of `size` entries each weight gets, less than one from its exact share: what is left once all shares are
/// rounded down goes, one each, to the largest remainders, and among equal ones to those that come first. (Turns alone
/// would not do: with many weights that are no multiples of each other, the last round ends entries away from the
/// shares.) Not all weights may be 0.
fn shares(weights: &[u32], size: u32) -> Vec<u32> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    // Below 2^64: a size is below 2^17, a weight below 2^32.
    let exact = |weight: &u32| u64::from(size) * u64::from(*weight);
    let mut shares: Vec<u32> = weights.iter().map(|weight| (exact(weight) / total) as u32).collect();
    let left = size - shares.iter().sum::<u32>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_unstable_by_key(|index| (Reverse(exact(&weights[*index]) % total), *index));
    // Fewer are left than there are remainders above zero, since each is less than one entry.
    for index in by_remainder.into_iter().take(left as usize) {
        shares[index] += 1;
    }
    shares
}

/// Whether a number below 2^17 is prime.
pub fn is_prime(number: u32) -> bool {
    number > 1
        && (2..=362)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}
