//! The balancer `hash`: the same key, the same server.
//!
//! The key is a part of the request or the client's address; a request without it is passed to the next policy of the
//! list, as in `balance = [{ policy = "hash", key = "cookie", name = "cart" }, "leastconn"]`. With `type = "consistent"`
//! servers stand at many points of a ring, as many as their weights, and a key belongs to the next point: when a server
//! comes or goes, only the keys between it and its neighbours move (Karger et al., "Consistent Hashing and Random
//! Trees", STOC 1997). With `type = "map-based"` the hash is divided by the number of places: shares are exact, but
//! most keys move with each change. `balance_factor` bounds what a server may get (see `bound` in the guest crate:
//! Mirrokni, Thorup and Zadimoghaddam, SODA 2018). The words are those of HAProxy's `balance uri`, `hdr`, `url_param`,
//! `source`, `hash-type` and `hash-balance-factor`; the hash is XXH64, so that servers differ from HAProxy's. A retry
//! goes to the next in place.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Setting, Settings, bound::Bound,
    key::RequestKey, spread::map,
};
use ring::Ring;

pub mod ring;

/// The policy.
#[derive(Debug)]
pub struct Hash {
    key: RequestKey,
    bound: Bound,
    ring: Option<Ring>,
    /// The candidate at each point of the ring, or for each remainder of a hash.
    places: Vec<u32>,
}

impl Policy for Hash {
    fn describe() -> Description {
        let kind = Setting::text(
            "type",
            "How a hash finds its server. consistent: few keys move when a server comes or goes; map-based: shares \
             are exact, but most keys move.",
        );
        let summary = "by a hash of a part of the request, by weight";
        Description::new("hash", env!("CARGO_PKG_VERSION"), summary)
            .settings(RequestKey::settings())
            .setting(kind.default("consistent").choices(&["consistent", "map-based"]))
            .setting(Bound::setting())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self {
            key: RequestKey::new(&settings)?,
            bound: Bound::new(&settings)?,
            ring: (settings.text("type") != "map-based").then(|| Ring::new(&servers)),
            places: Vec::new(),
        })
    }
}

impl Balancer for Hash {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.bound.update(&candidates);
        self.places = match &mut self.ring {
            Some(ring) => ring.update(&candidates),
            None => map(&candidates.iter().map(|candidate| candidate.weight).collect::<Vec<_>>()),
        };
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let hash = self.key.hash(&arrival.client)?;
        let at = self.ring.as_ref().map_or(hash, |ring| ring.place(hash));
        self.bound.place(&self.places, at, arrival.failed)
    }
}

lb_policy::export!(Hash: Balancer);

#[cfg(test)]
mod tests;
