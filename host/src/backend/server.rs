//! A server as the whole process shares it: what workers, health checks and the resolver tell each other,
//! in atomics.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use crate::config::model;

/// A server of a backend. It outlives a reload where the reload leaves it as it is.
#[derive(Debug)]
pub struct Server {
    /// What `lb.toml` says of it.
    pub config: model::Server,
    /// Where it is now; `None` while its name does not resolve.
    address: RwLock<Option<SocketAddr>>,
    /// Counts changes of `address`, so that pools know when theirs is stale.
    pub address_version: AtomicU64,
    /// Whether its health checks let it serve. Written by the health checks alone.
    up: AtomicBool,
    /// Requests that it has in flight, over all workers.
    pub in_flight: AtomicU32,
    /// Requests that wait for a place at it.
    pub queued: AtomicU32,
}

impl Server {
    /// A server at its start: UP unless it is disabled or has no address yet.
    pub fn new(config: model::Server) -> Arc<Server> {
        let address = match &config.address {
            model::ServerAddress::Ip(address) => Some(*address),
            model::ServerAddress::Name(..) | model::ServerAddress::Unix(_) => None,
        };
        let up = !config.disabled && !matches!(config.address, model::ServerAddress::Name(..));
        Arc::new(Server {
            config,
            address: RwLock::new(address),
            address_version: AtomicU64::new(0),
            up: AtomicBool::new(up),
            in_flight: AtomicU32::new(0),
            queued: AtomicU32::new(0),
        })
    }

    /// Whether it may take requests of clients that are bound to it.
    pub fn is_usable(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Its IP address and port; `None` for a Unix socket and while its name does not resolve.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Relaxed);
    }

    pub(super) fn set_address(&self, address: Option<SocketAddr>) {
        *self.address.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = address;
        self.address_version.fetch_add(1, Relaxed);
    }
}
