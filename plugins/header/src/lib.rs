//! The persistence policy `header`: requests with the same value of a header stay at one server.
//!
//! For clients without cookies that name their session or themselves in a header. The balancer picks a server for the
//! first request; the server that answers it is noted, and the next requests with the same value go there, be it draining
//! or a backup, until the value has not been seen for `expire` or the server is down. It is what HAProxy's
//! documentation shows with `stick on hdr(name)` and a `stick-table` with `size` and `expire`. What is noted is in the
//! instance's memory, so the policy wants `instances = "shared"`: without, each worker notes for itself. It stays over a
//! reload, and is gone with a restart; a fleet that has to agree is better off with `cookie`, `hash-cookie` or a balancer
//! that hashes.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use lb_policy::{
    Affinity, Amendment, Description, Key, KeyEdit, Persistence, Policy, Refusal, Reply, Server, Setting,
    Settings, Standing, Visit, hash::xxh64, servers, set_cookie::is_of_a_token,
};
use table::Table;

pub mod table;

/// For `Amendment::reusable_ms`: until the next `configure`.
const FOREVER: u32 = u32::MAX;

/// The policy.
#[derive(Debug)]
pub struct Header {
    name: String,
    servers: Vec<String>,
    table: Table,
}

impl Policy for Header {
    fn describe() -> Description {
        Description::new("header", env!("CARGO_PKG_VERSION"), "keeps a client on its server by a header's value")
            .settings([
                Setting::text("name", "The header's name.").required(),
                Setting::duration("expire", "A value that has not been seen for so long is forgotten; 0s is never.")
                    .default(1_800_000),
                Setting::integer(
                    "size",
                    "How many values are kept, 8 to 1048576, at 16 bytes each; of more, those not seen for longest go.",
                )
                .default(65_536),
            ])
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let name = settings.text("name").to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_of_a_token) {
            let message = "the name of a header is made of letters, digits and any of !#$%&'*+-.^_`|~";
            return Err(Refusal::of("name", message));
        }
        let size = match settings.integer("size") {
            size @ 8..=1_048_576 => size as usize,
            _ => return Err(Refusal::of("size", "give a number from 8 to 1048576")),
        };
        let expire_s = u32::try_from(settings.duration_ms("expire").div_ceil(1_000)).unwrap_or(u32::MAX);
        let names = servers.into_iter().map(|server| server.name).collect();
        Ok(Self { name, servers: names, table: Table::new(size, expire_s) })
    }

    /// What is noted of servers that stay is kept.
    fn reconfigure(&mut self, settings: Settings, servers: Vec<Server>) -> Result<(), Refusal> {
        let mut new = Self::configure(settings, servers)?;
        if new.name == self.name {
            let number = |name: &String| Some(new.servers.iter().position(|other| other == name)? as u32);
            let numbers: Vec<Option<u32>> = self.servers.iter().map(number).collect();
            new.table.take_over(&self.table, |server| numbers.get(server as usize).copied().flatten());
        }
        *self = new;
        Ok(())
    }
}

impl Persistence for Header {
    fn place(&self) -> Key {
        Key::Header(self.name.clone())
    }

    fn recall(&mut self, visit: Visit) -> Affinity {
        // What was seen stays noted for that: each visit has to be heard of.
        let answer =
            |server, standing, note| Affinity { server, standing, key: KeyEdit::Keep, note, reusable_ms: 0 };
        if visit.value.is_empty() {
            return answer(None, Standing::Unknown, 0);
        }
        let note = table::key(xxh64(visit.value.as_bytes(), 0));
        match self.table.find(note, seconds(visit.time_ms)) {
            None => answer(None, Standing::Unknown, note),
            Some(server) if servers::usable(server) => answer(Some(server), Standing::Valid, note),
            Some(_) => answer(None, Standing::Down, note),
        }
    }

    fn respond(&mut self, reply: Reply) -> Amendment {
        let is_news = reply.note != 0 && reply.standing != Standing::Valid;
        if is_news {
            self.table.put(reply.note, reply.server, seconds(reply.time_ms));
        }
        Amendment { key: KeyEdit::Keep, headers: Vec::new(), reusable_ms: if is_news { 0 } else { FOREVER } }
    }
}

fn seconds(time_ms: u64) -> u32 {
    u32::try_from(time_ms / 1_000).unwrap_or(u32::MAX)
}

lb_policy::export!(Header: Persistence);

#[cfg(test)]
mod tests;
