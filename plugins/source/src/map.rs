//! Address to hash, and remainder of a hash to server, both as HAProxy 2.6 was seen to have them: on random
//! addresses of both families and nine sets of weights every choice was the same.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

use lb_policy_guest::without_common_divisor;

use crate::bindings::lb::policy::types::IpAddress;

/// The 32-bit words of the address, exclusive-ored: an IPv4 address is its own hash.
pub fn hash(address: &IpAddress) -> u32 {
    let word = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => u32::from_be_bytes([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => word(a, b) ^ word(c, d) ^ word(e, f) ^ word(g, h),
    }
}

/// Which candidate has which remainder: as many places as the weights, without their common divisor, sum up to.
///
/// At place p (from 1) of `total` a candidate has a claim to p · weight / total places, in whole ones. The place
/// goes to the candidate with the most claims unserved, of equals the first in the order of the configuration.
/// Takes O(total · log n) for `n` weights.
pub fn map(weights: &[u32]) -> Vec<u32> {
    let weights = without_common_divisor(weights);
    let total: u32 = weights.iter().sum();
    // For each candidate, the place at which its next claim arises.
    let mut arising: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    // Claims unserved. An entry is out of date where `unserved` says otherwise.
    let mut ranking: BinaryHeap<(i32, Reverse<u32>)> = BinaryHeap::new();
    let mut unserved = Vec::with_capacity(weights.len());
    let mut claims = Vec::with_capacity(weights.len());
    for (candidate, weight) in (0..).zip(&weights) {
        unserved.push(0_i32);
        claims.push(1_u32);
        if *weight > 0 {
            arising.push(Reverse((total.div_ceil(*weight), candidate)));
            ranking.push((0, Reverse(candidate)));
        }
    }

    let mut places = Vec::with_capacity(total as usize);
    for place in 1..=total {
        while let Some(Reverse((at, candidate))) = arising.peek().copied()
            && at <= place
        {
            let number = candidate as usize;
            arising.pop();
            unserved[number] += 1;
            ranking.push((unserved[number], Reverse(candidate)));
            claims[number] += 1;
            let next = (u64::from(claims[number]) * u64::from(total)).div_ceil(u64::from(weights[number]));
            arising.push(Reverse((u32::try_from(next).unwrap_or(u32::MAX), candidate)));
        }
        let first = core::iter::from_fn(|| ranking.pop())
            .find(|(claims, Reverse(candidate))| unserved[*candidate as usize] == *claims);
        let Some((_, Reverse(candidate))) = first else { break };
        places.push(candidate);
        unserved[candidate as usize] -= 1;
        ranking.push((unserved[candidate as usize], Reverse(candidate)));
    }
    places
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
    fn an_address_hashes_to_its_words() {
        assert_eq!(hash(&IpAddress::Ipv4((192, 0, 2, 7))), 0xc000_0207);
        assert_eq!(hash(&IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))), 0x2001_0db9);
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

    proptest! {
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
