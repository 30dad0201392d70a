//! Places by weight, one server's spread among the others': [`map`], for hashes that are divided by the number of
//! places. The order is as HAProxy 2.6 was seen to have it, on nine sets of weights.

use alloc::{vec, vec::Vec};

use crate::weights::without_common_divisor;

/// Which candidate has which remainder: as many places as the weights, without their common divisor, sum up to.
///
/// At place p (from 1) of `total` a candidate has a claim to p · weight / total places, in whole ones. The place
/// goes to the candidate with the most claims unserved, of equals the first in the order of the configuration.
/// Takes O(total · n / 64) for `n` weights.
pub fn map(weights: &[u32]) -> Vec<u32> {
    let weights = without_common_divisor(weights);
    let total: u32 = weights.iter().sum();
    let mut claims =
        Claims { first: vec![NOBODY; total as usize + 1], follower: vec![NOBODY; weights.len()] };
    let mut arisen = vec![0_u32; weights.len()];
    let mut ranking = Ranking { unserved: vec![0; weights.len()], levels: Vec::new() };
    for (candidate, weight) in (0..).zip(&weights).filter(|(_, weight)| **weight > 0) {
        claims.expect(candidate, total.div_ceil(*weight));
        ranking.put(candidate, 1);
    }

    let mut places = Vec::with_capacity(total as usize);
    for place in 1..=total {
        let mut next = claims.first[place as usize];
        while next != NOBODY {
            let (candidate, number) = (next, next as usize);
            next = claims.follower[number];
            arisen[number] += 1;
            ranking.put(candidate, ranking.unserved[number] + 1);
            let after = u64::from(arisen[number] + 1) * u64::from(total);
            claims.expect(candidate, after.div_ceil(u64::from(weights[number])) as u32);
        }
        let Some(candidate) = ranking.first() else { break };
        places.push(candidate);
        ranking.put(candidate, ranking.unserved[candidate as usize].saturating_sub(1));
    }
    places
}

const NOBODY: u32 = u32::MAX;

/// Whose next claim arises at which place: each candidate is in at most one place's list.
struct Claims {
    first: Vec<u32>,
    follower: Vec<u32>,
}

impl Claims {
    /// A claim beyond the last place is none.
    fn expect(&mut self, candidate: u32, place: u32) {
        if let Some(first) = self.first.get_mut(place as usize) {
            self.follower[candidate as usize] = core::mem::replace(first, candidate);
        }
    }
}

/// The candidates by claims unserved.
struct Ranking {
    /// For each candidate its claims unserved, and one: it may be served before it has a claim, but not twice.
    unserved: Vec<u32>,
    /// By the same number, the candidates that have it, a bit each.
    levels: Vec<Vec<u64>>,
}

impl Ranking {
    fn put(&mut self, candidate: u32, level: u32) {
        let (word, bit) = (candidate as usize / 64, 1_u64 << (candidate % 64));
        while self.levels.len() <= level as usize {
            self.levels.push(vec![0; self.unserved.len().div_ceil(64)]);
        }
        let before = core::mem::replace(&mut self.unserved[candidate as usize], level);
        self.levels[before as usize][word] &= !bit;
        self.levels[level as usize][word] |= bit;
    }

    /// The first candidate of the highest level.
    fn first(&self) -> Option<u32> {
        let in_level = |level: &Vec<u64>| {
            let (word, bits) = level.iter().enumerate().find(|(_, bits)| **bits != 0)?;
            Some(word as u32 * 64 + bits.trailing_zeros())
        };
        self.levels.iter().rev().find_map(in_level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The map in the names of a configuration: the first server is 1.
    fn places(weights: &[u32]) -> String {
        map(weights).iter().map(|candidate| char::from(b'1' + *candidate as u8)).collect()
    }

    #[test]
    fn equal_weights_are_in_the_order_of_the_configuration() {
        assert_eq!(places(&[1, 1, 1]), "123");
        assert_eq!(places(&[50, 50, 50, 50]), "1234");
    }

    /// Each as HAProxy 2.6 answered to addresses of all remainders.
    #[test]
    fn mixed_weights_are_placed_as_with_haproxy() {
        for (weights, expected) in [
            (&[1, 2, 3][..], "132323"),
            (&[3, 2, 7, 1], "1323132313334"),
            (&[2, 2, 4], "1323"),
            (&[10, 5, 1], "1121121121211213"),
            (&[5, 5, 1], "12121212123"),
            (&[2, 1], "112"),
            (&[1, 2], "122"),
            (&[4, 4, 2, 1], "12123123124"),
            (&[3, 3, 2], "12132123"),
        ] {
            assert_eq!(places(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn without_a_weight_there_is_no_place() {
        assert_eq!(places(&[]), "");
        assert_eq!(places(&[0, 0]), "");
        assert_eq!(places(&[0, 1]), "2");
    }

    #[test]
    fn the_largest_backend_stays_small() {
        let weights: Vec<u32> = (0..1_000).map(|i| 256 - i % 2).collect();
        assert_eq!(map(&weights).len(), 255_500);
        assert_eq!(map(&[256; 1_000]).len(), 1_000);
    }

    /// The rule as it is written above `map`, at every place for every candidate.
    fn by_the_rule(weights: &[u32]) -> Vec<u32> {
        let total: u32 = weights.iter().sum();
        let mut served = vec![0; weights.len()];
        let to_serve = |place: u32| {
            let unserved = |at: usize| i64::from(place * weights[at] / total) - served[at];
            let best = (0..weights.len()).rev().max_by_key(|at| unserved(*at)).expect("a candidate");
            served[best] += 1;
            best as u32
        };
        (1..=total).map(to_serve).collect()
    }

    proptest! {
        #[test]
        fn the_map_is_that_of_the_rule(weights in prop::collection::vec(1_u32..=40, 1..80)) {
            prop_assert_eq!(map(&weights), by_the_rule(&without_common_divisor(&weights)));
        }

        #[test]
        fn every_candidate_has_its_share(weights in prop::collection::vec(1_u32..=256, 1..20)) {
            let reduced = without_common_divisor(&weights);
            let places = map(&weights);
            for (candidate, weight) in (0..).zip(reduced) {
                let count = places.iter().filter(|place| **place == candidate).count();
                prop_assert_eq!(count, weight as usize);
            }
        }
    }
}
