//! Hashes: the same on every worker, machine and balancer of a fleet. Not for secrets.

use crate::IpAddress;

/// A hash of a client's address.
pub fn of_address(address: &IpAddress) -> u64 {
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => xxh64(&[a, b, c, d], 0),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            let groups = [a, b, c, d, e, f, g, h].map(u16::to_be_bytes);
            xxh64(groups.as_flattened(), 0)
        }
    }
}

const PRIMES: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

/// XXH64, after the specification of the xxHash fast digest algorithm.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let (stripes, mut rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() { seed.wrapping_add(PRIMES[4]) } else { of_stripes(stripes, seed) };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((lane, after)) = rest.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*lane));
        hash = hash.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        rest = after;
    }
    if let Some((lane, after)) = rest.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*lane)).wrapping_mul(PRIMES[0]);
        hash = hash.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        rest = after;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(PRIMES[4]);
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(PRIMES[1]);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 32
}

fn of_stripes(stripes: &[[u8; 32]], seed: u64) -> u64 {
    let starts = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0_u64.wrapping_sub(PRIMES[0])];
    let mut lanes = starts.map(|start| seed.wrapping_add(start));
    for stripe in stripes {
        for (lane, bytes) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*bytes));
        }
    }
    let [a, b, c, d] = lanes;
    let mut hash = a.rotate_left(1);
    for part in [b.rotate_left(7), c.rotate_left(12), d.rotate_left(18)] {
        hash = hash.wrapping_add(part);
    }
    for lane in lanes {
        hash = (hash ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
    }
    hash
}

fn round(accumulator: u64, input: u64) -> u64 {
    accumulator.wrapping_add(input.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Digests of the reference implementation, for each kind of tail.
    #[test]
    fn digests_are_those_of_the_reference() {
        assert_eq!(xxh64(&bytes(0), 0), 0xef46db3751d8e999);
        assert_eq!(xxh64(&bytes(1), 0), 0xe934a84adb052768);
        assert_eq!(xxh64(&bytes(3), 0), 0xe5c7bb4533bc65dd);
        assert_eq!(xxh64(&bytes(4), 0), 0xffced8604453cc1e);
        assert_eq!(xxh64(&bytes(7), 0), 0x14cc643f630c72d2);
        assert_eq!(xxh64(&bytes(8), 0), 0x884a173614b81b8d);
        assert_eq!(xxh64(&bytes(31), 0), 0xc346d2b59b4d8ee1);
        assert_eq!(xxh64(&bytes(32), 0), 0xcbf59c5116ff32b4);
        assert_eq!(xxh64(&bytes(33), 0), 0x0c535d1acafb8ead);
        assert_eq!(xxh64(&bytes(63), 0), 0xe26aa9e2a95f8e4f);
        assert_eq!(xxh64(&bytes(100), 0), 0x6ac1e58032166597);
    }

    /// With a seed, as of the same.
    #[test]
    fn a_seed_gives_another_digest() {
        assert_eq!(xxh64(&[], 1), 0xd5afba1336a3be4b);
        assert_ne!(xxh64(&bytes(40), 1), xxh64(&bytes(40), 2));
    }

    fn bytes(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    #[test]
    fn addresses_have_hashes_of_their_own() {
        let one = of_address(&IpAddress::Ipv4((192, 0, 2, 1)));
        assert_eq!(one, xxh64(&[192, 0, 2, 1], 0));
        assert_ne!(one, of_address(&IpAddress::Ipv4((192, 0, 2, 2))));
        let mut six = [0; 16];
        (six[0], six[1], six[15]) = (0x20, 1, 9);
        assert_eq!(of_address(&IpAddress::Ipv6((0x2001, 0, 0, 0, 0, 0, 0, 9))), xxh64(&six, 0));
    }
}
