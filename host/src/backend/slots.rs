//! Slots: servers of a backend that a source fills and empties while traffic flows. Who gets which slot is decided
//! in [`crate::discovery`].

use std::net::SocketAddr;
use std::sync::Arc;

use super::Backend;
use super::health::{Cause, Record};
use crate::discovery::{Progress, Snapshot};

impl Backend {
    /// How it goes with the source of its servers, where there is one.
    pub fn discovered(&self) -> Option<Snapshot> {
        let filled = self.servers.iter().filter(|server| !server.is_vacant()).count();
        self.discovery.as_ref().map(|progress| progress.snapshot(self.servers.len(), filled))
    }

    /// The addresses that fill its slots, by slot.
    pub(crate) fn filled(&self) -> Vec<Option<SocketAddr>> {
        self.servers.iter().map(|server| server.address().filter(|_| !server.is_vacant())).collect()
    }

    /// Puts an address into a slot, which may have held another, with this share of the traffic. It begins like a
    /// server whose address was known from the start: UP, until the first check.
    pub(crate) fn fill(self: &Arc<Self>, slot: usize, address: SocketAddr, weight: u32, backup: bool) {
        let Some(server) = self.servers.get(slot) else { return };
        // A server that joins others while they serve is as one that comes back.
        if self.discovery.as_ref().is_some_and(Progress::is_under_way) {
            self.start_slowly(slot);
        }
        server.begin_anew();
        server.set_share(weight, backup);
        server.set_ip(address.ip(), address.port());
        server.set_vacant(false);
        server.record_mut().health = Record::start(server.config.check.as_ref()).health;
        if !server.config.disabled {
            self.transition(slot, true, Cause::Found(address), None);
            server.check_now.notify_one();
        }
    }

    /// Empties a slot: it gets no more requests, and those that it has may end.
    pub(crate) fn empty(self: &Arc<Self>, slot: usize) {
        let Some(server) = self.servers.get(slot).filter(|server| !server.is_vacant()) else { return };
        server.set_vacant(true);
        let Some(address) = server.address().filter(|_| !server.config.disabled) else { return };
        self.transition(slot, false, Cause::Gone(address), None);
    }

    /// Gives a slot's server this share of the traffic. Says whether it had another; then [`Backend::candidates_changed`]
    /// is due.
    pub(crate) fn share(&self, slot: usize, weight: u32, backup: bool) -> bool {
        self.servers.get(slot).is_some_and(|server| server.set_share(weight, backup))
    }
}
