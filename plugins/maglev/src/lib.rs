//! The balancer `maglev`: the same key, the same server, through the lookup table of Google's Maglev.
//!
//! Each server has an order of its own, made of its name, in which it would take the entries of the table; they take
//! turns, by weight, each its next free one (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
//! Balancer", NSDI 2016, section 3.4), until each has its exact share, rounded down or up. A pick is one look into the
//! table, and few keys but those of a server that leaves move with it: about one in a hundred, more in small tables. Keys,
//! `balance_factor` and the passing on of requests without a key are those of `hash`. A retry goes to the next in the
//! table.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Setting, Settings, bound::Bound,
    hash::xxh64, key::RequestKey,
};

pub mod table;

/// The policy.
#[derive(Debug)]
pub struct Maglev {
    key: RequestKey,
    bound: Bound,
    size: u32,
    /// The order of each server.
    orders: Vec<table::Order>,
    /// The candidate of each entry.
    table: Vec<u32>,
}

impl Policy for Maglev {
    fn describe() -> Description {
        let size = Setting::integer(
            "table_size",
            "The entries of the table: a prime from 101 to 131071, a hundred times as many as servers or more.",
        );
        let summary = "by a hash of a part of the request, through the lookup table of Maglev";
        Description::new("maglev", env!("CARGO_PKG_VERSION"), summary)
            .settings(RequestKey::settings())
            .setting(size.default(65_537))
            .setting(Bound::setting())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let size = match u32::try_from(settings.integer("table_size")) {
            Ok(size @ 101..=131_071) if table::is_prime(size) => size,
            _ => {
                let message =
                    "give a prime from 101 to 131071, such as 251, 1021, 4093, 16381, 65537 or 131071";
                return Err(Refusal::of("table_size", message));
            }
        };
        let order = |server: &Server| {
            let name = server.name.as_bytes();
            table::Order::new(xxh64(name, 0), xxh64(name, 1), size)
        };
        Ok(Self {
            key: RequestKey::new(&settings)?,
            bound: Bound::new(&settings)?,
            size,
            orders: servers.iter().map(order).collect(),
            table: Vec::new(),
        })
    }
}

impl Balancer for Maglev {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.bound.update(&candidates);
        let orders = candidates
            .iter()
            .filter_map(|candidate| Some((*self.orders.get(candidate.server as usize)?, candidate.weight)));
        self.table = table::table(orders, self.size);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let hash = self.key.hash(&arrival.client)?;
        self.bound.place(&self.table, hash, arrival.failed)
    }
}

lb_policy::export!(Maglev: Balancer);

#[cfg(test)]
mod tests;
