//! The values of `dynamic`: a hash of the key and of where the server is, in sixteen hexadecimal digits.
//!
//! Where the address is an IP address the value is HAProxy's: XXH64 with seed 0 over the key, the address's bytes
//! and the port in four, highest first. HAProxy hashes what a host name resolves to, and so gives a new value when
//! that changes; here a name is hashed as it is written, so that the value stays and every balancer has the same.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, Ipv6Addr};

/// The value for a server at `address`, which is `host:port`.
pub fn value(key: &str, address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let mut bytes = Vec::from(key);
    match parse(host) {
        Some(IpAddr::V4(ip)) => bytes.extend(ip.octets()),
        Some(IpAddr::V6(ip)) => bytes.extend(ip.octets()),
        None => bytes.extend(host.bytes()),
    }
    bytes.extend(port.parse::<u16>().map_or(0, u32::from).to_be_bytes());
    xxh64(&bytes).to_be_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hexadecimal).collect()
}

fn hexadecimal(digit: u8) -> char {
    char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })
}

fn parse(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

const PRIMES: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

/// XXH64 with seed 0, after the specification of the xxHash fast digest algorithm.
fn xxh64(bytes: &[u8]) -> u64 {
    let (stripes, mut rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() { PRIMES[4] } else { of_stripes(stripes) };
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

fn of_stripes(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0_u64.wrapping_sub(PRIMES[0])];
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
    use super::*;

    /// As HAProxy 2.6 answered with these keys.
    #[test]
    fn an_ip_address_gives_the_value_of_haproxy() {
        assert_eq!(value("secret", "127.0.0.1:18500"), "ef4bd4a37ea590ec");
        assert_eq!(value("secret", "127.0.0.1:18501"), "fdfe0da15e23c805");
        assert_eq!(value("k", "127.0.0.1:18500"), "73280adbbc3fb525");
        assert_eq!(value("secret", "[::1]:18530"), "1a9fc81ad79ea51d");
    }

    /// Digests of the reference implementation, for each kind of tail.
    #[test]
    fn digests_are_those_of_the_reference() {
        assert_eq!(xxh64(&bytes(0)), 0xef46db3751d8e999);
        assert_eq!(xxh64(&bytes(1)), 0xe934a84adb052768);
        assert_eq!(xxh64(&bytes(3)), 0xe5c7bb4533bc65dd);
        assert_eq!(xxh64(&bytes(4)), 0xffced8604453cc1e);
        assert_eq!(xxh64(&bytes(7)), 0x14cc643f630c72d2);
        assert_eq!(xxh64(&bytes(8)), 0x884a173614b81b8d);
        assert_eq!(xxh64(&bytes(31)), 0xc346d2b59b4d8ee1);
        assert_eq!(xxh64(&bytes(32)), 0xcbf59c5116ff32b4);
        assert_eq!(xxh64(&bytes(33)), 0x0c535d1acafb8ead);
        assert_eq!(xxh64(&bytes(63)), 0xe26aa9e2a95f8e4f);
        assert_eq!(xxh64(&bytes(100)), 0x6ac1e58032166597);
    }

    fn bytes(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    #[test]
    fn any_address_gives_a_value() {
        for address in ["", ":", "web:80", "[::1]:80", "::1", "[", "web:99999", "é:1"] {
            assert_eq!(value("k", address).len(), 16, "{address}");
        }
        assert_ne!(value("k", "web:80"), value("k", "web:81"));
        assert_ne!(value("k", "web:80"), value("l", "web:80"));
    }
}
