//! The table: who has which entry.

use alloc::{vec, vec::Vec};

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
/// in one. Takes on average O(size · log size).
pub fn table(candidates: impl Iterator<Item = (Order, u32)>, size: u32) -> Vec<u32> {
    let (mut orders, weights): (Vec<Order>, Vec<u32>) = candidates.unzip();
    let heaviest = weights.iter().copied().max().unwrap_or(0);
    if heaviest == 0 {
        return Vec::new();
    }
    let mut earned = vec![0; weights.len()];
    let mut table = vec![NOBODY; size as usize];
    let mut free = size;
    while free > 0 {
        for (candidate, order) in orders.iter_mut().enumerate() {
            earned[candidate] += weights[candidate];
            if earned[candidate] < heaviest {
                continue;
            }
            earned[candidate] -= heaviest;
            let entry = order.take(&table);
            table[entry] = candidate as u32;
            free -= 1;
            if free == 0 {
                break;
            }
        }
    }
    table
}

/// Whether a number below 2^17 is prime.
pub fn is_prime(number: u32) -> bool {
    number > 1
        && (2..=362)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}
