//! The balancer `source`: by the client's address, so that a client keeps its server while the candidates and
//! their weights do not change.
//!
//! Each address goes where HAProxy sends it with `balance source` and the default `hash-type map-based`: on random
//! addresses of both families and nine sets of weights every choice was the same. There is no state but the map, so every worker and every balancer of a fleet agrees. A retry does not go
//! back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, IpAddress, Policy, Refusal, Server, Settings, spread::map,
    weights::place,
};

/// The policy.
#[derive(Debug)]
pub struct Source {
    /// The candidate for each remainder of a hash.
    map: Vec<u32>,
}

impl Policy for Source {
    fn describe() -> Description {
        let summary = "by a hash of the client's address, by weight";
        Description::new("source", env!("CARGO_PKG_VERSION"), summary)
    }

    fn configure(_: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self { map: Vec::new() })
    }
}

impl Balancer for Source {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        self.map = map(&weights);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        place(&self.map, hash(&arrival.client).into(), arrival.failed)
    }
}

lb_policy::export!(Source: Balancer);

/// The 32-bit words of the address, exclusive-ored: an IPv4 address is its own hash.
pub fn hash(address: &IpAddress) -> u32 {
    let word = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => u32::from_be_bytes([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => word(a, b) ^ word(c, d) ^ word(e, f) ^ word(g, h),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_hashes_to_its_words() {
        assert_eq!(hash(&IpAddress::Ipv4((192, 0, 2, 7))), 0xc000_0207);
        assert_eq!(hash(&IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))), 0x2001_0db9);
    }
}
