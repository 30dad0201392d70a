//! Who knows again the client that a server has served.

use std::net::IpAddr;
use std::sync::Arc;

use super::reuse::{Recalled, Reuse};
use super::seat::Place;
use super::{Affinity, Amendment, Key, Reply, Standing};
use crate::backend::Backend;
use crate::http::head::{RequestHead, ResponseHead};

/// The persistence of a backend on one worker.
pub struct Persistence {
    backend: Arc<Backend>,
    place: Place,
    key: Arc<Key>,
    recalled: Recalled,
    reuse: Reuse,
    unchanged: Arc<Amendment>,
}

impl Persistence {
    pub(super) fn new(backend: Arc<Backend>, place: Place, key: Key) -> Persistence {
        let (recalled, reuse) = (Recalled::new(backend.servers.len()), Reuse::new(backend.servers.len()));
        Persistence { backend, place, key: Arc::new(key), recalled, reuse, unchanged: Arc::default() }
    }

    /// Where the key is: a request without it needs no [`recall`](Self::recall).
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Finds the server that the key's value names. Where the policy gives no fit answer, and for a value that
    /// is no UTF-8, the key is unknown and stays as it is. A server that is named is usable.
    pub fn recall(
        &mut self,
        request: &Arc<RequestHead>,
        value: &[u8],
        client: IpAddr,
        time_ms: u64,
    ) -> Affinity {
        let unknown = Affinity { standing: Standing::Unknown, ..Affinity::default() };
        // Before anything else: what changes while the policy is asked makes its answer one of yesterday.
        let version = self.backend.version();
        let mut affinity = match self.recalled.find(value, version, time_ms) {
            Some(affinity) => {
                self.place.tally().reused.add_one();
                affinity.clone()
            }
            None => {
                let Ok(text) = std::str::from_utf8(value) else { return unknown };
                let answer = self.place.recall(request, &self.key, text, client, time_ms);
                let Some((affinity, reusable_ms)) = answer else { return unknown };
                self.recalled.keep(value, version, time_ms, &affinity, reusable_ms);
                affinity
            }
        };
        let usable = |server: &u32| {
            self.backend.servers.get(*server as usize).is_some_and(|server| server.is_usable())
        };
        if affinity.server.as_ref().is_some_and(|server| !usable(server)) {
            affinity.server = None;
            affinity.standing = Standing::Down;
        }
        affinity
    }

    /// Says what to change in a response. Where the policy gives no fit answer: nothing.
    pub fn respond(
        &mut self,
        request: &Arc<RequestHead>,
        response: &Arc<ResponseHead>,
        reply: Reply<'_>,
    ) -> Arc<Amendment> {
        if let Some(amendment) = self.reuse.find(&reply) {
            self.place.tally().reused.add_one();
            return amendment.clone();
        }
        match self.place.respond(request, response, &self.key, &reply) {
            Some((amendment, reusable_ms)) => {
                let amendment = Arc::new(amendment);
                self.reuse.keep(&reply, &amendment, reusable_ms);
                amendment
            }
            None => self.unchanged.clone(),
        }
    }
}
