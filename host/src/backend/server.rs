//! A server as the whole process shares it: what workers, health checks and the resolver tell each other,
//! in atomics; and, behind a lock that no request takes, what a status page wants to know.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::health::Record;
use super::load::Load;
use super::queue::Queue;
use crate::config::model;
use crate::tls::Connector;

/// A server of a backend. It outlives a reload where the reload leaves it as it is.
#[derive(Debug)]
pub struct Server {
    /// What `lb.toml` says of it.
    pub config: model::Server,
    /// Where it is now; `None` while its name does not resolve.
    address: RwLock<Option<SocketAddr>>,
    /// Counts changes of `address`, so that pools know when theirs is stale.
    pub address_version: AtomicU64,
    /// Whether it may serve: what its health checks, its name and `disabled` come to.
    up: AtomicBool,
    /// Requests that it has in flight, over all workers.
    pub in_flight: Load,
    /// Requests that wait for a place at this server and no other.
    pub queued: AtomicU32,
    /// How it is spoken to by TLS; read for each new connection.
    tls: ArcSwapOption<Connector>,
    /// What its checks found. Written by the health checks and the resolver alone.
    record: Mutex<Record>,
    /// Asks for a check at once, whatever the interval says.
    pub(super) check_now: Notify,
    /// Where requests wait for it; handed from one generation of its backend to the next.
    pub(super) queue: OnceLock<Arc<Queue>>,
}

impl Server {
    /// A server at its start: UP unless it is disabled or has no address yet. `in_flight` is its place in the
    /// table of its backend's loads.
    pub fn new(config: model::Server, in_flight: Load) -> Arc<Server> {
        let address = match &config.address {
            model::ServerAddress::Ip(address) => Some(*address),
            model::ServerAddress::Name(..) | model::ServerAddress::Unix(_) => None,
        };
        let up = !config.disabled && !matches!(config.address, model::ServerAddress::Name(..));
        let record = Record::start(config.check.as_ref());
        Arc::new(Server {
            config,
            address: RwLock::new(address),
            address_version: AtomicU64::new(0),
            up: AtomicBool::new(up),
            in_flight,
            queued: AtomicU32::new(0),
            tls: ArcSwapOption::empty(),
            record: Mutex::new(record),
            check_now: Notify::new(),
            queue: OnceLock::new(),
        })
    }

    /// Servers at their start, their loads side by side.
    pub fn all(configs: &[model::Server]) -> Vec<Arc<Server>> {
        configs
            .iter()
            .cloned()
            .zip(Load::table(configs.len()))
            .map(|(c, load)| Server::new(c, load))
            .collect()
    }

    /// Whether it may take requests of clients that are bound to it.
    pub fn is_usable(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Its IP address and port; `None` for a Unix socket and while its name does not resolve.
    pub fn address(&self) -> Option<SocketAddr> {
        *self.address.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it waits for its name's first address.
    pub fn is_unresolved(&self) -> bool {
        matches!(self.config.address, model::ServerAddress::Name(..)) && self.address().is_none()
    }

    /// How it is spoken to by TLS; `None`: in clear.
    pub(crate) fn tls(&self) -> Option<Arc<Connector>> {
        self.tls.load_full()
    }

    /// From now on connections to it are made like this.
    pub(crate) fn set_tls(&self, tls: Option<Arc<Connector>>) {
        self.tls.store(tls);
    }

    /// What its health checks found, for a status page.
    pub fn record(&self) -> Record {
        self.record_mut().clone()
    }

    pub(super) fn record_mut(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up && !self.config.disabled, Relaxed);
    }

    /// Gives a server that is known by name its address. Returns the one that it had.
    pub(super) fn set_ip(&self, ip: IpAddr, port: u16) -> Option<SocketAddr> {
        let address = Some(SocketAddr::new(ip, port));
        let former =
            std::mem::replace(&mut *self.address.write().unwrap_or_else(PoisonError::into_inner), address);
        if former != address {
            self.address_version.fetch_add(1, Relaxed);
        }
        former
    }
}
