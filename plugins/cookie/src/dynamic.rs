//! The values of `dynamic`: a hash of the key and of where the server is, in sixteen hexadecimal digits.
//!
//! Where the address is an IP address the value is HAProxy's: XXH64 with seed 0 over the key, the address's bytes
//! and the port in four, highest first. HAProxy hashes what a host name resolves to, and so gives a new value when
//! that changes; here a name is hashed as it is written, so that the value stays and every balancer has the same.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, Ipv6Addr};

use lb_policy::hash::xxh64;

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
    xxh64(&bytes, 0).to_be_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hexadecimal).collect()
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

    #[test]
    fn any_address_gives_a_value() {
        for address in ["", ":", "web:80", "[::1]:80", "::1", "[", "web:99999", "é:1"] {
            assert_eq!(value("k", address).len(), 16, "{address}");
        }
        assert_ne!(value("k", "web:80"), value("k", "web:81"));
        assert_ne!(value("k", "web:80"), value("l", "web:80"));
    }
}
