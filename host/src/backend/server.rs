//! A server as the whole process shares it: what workers, health checks and the resolver tell each other,
//! in atomics; and, behind a lock that no request takes, what a status page wants to know.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::care::breaker::Breaker;
use super::care::passive::Passive;
use super::care::ramp;
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
    /// Counts changes of `address` and of TLS, so that pools know when theirs is stale.
    pub address_version: AtomicU64,
    /// Whether it may serve: what its health checks, its name and `disabled` come to.
    up: AtomicBool,
    /// Whether it is a slot that nothing fills.
    vacant: AtomicBool,
    /// Its share of the traffic now.
    weight: AtomicU32,
    /// Whether it serves only where no other can.
    backup: AtomicBool,
    /// How much of its share it has, in percent: less than all while it starts slowly.
    ramp: AtomicU32,
    /// Since when it has been starting slowly.
    warming: Mutex<Option<Instant>>,
    /// What live traffic tells of it; `None`: nothing is observed.
    pub passive: Option<Passive>,
    /// Its circuit breaker.
    pub breaker: Option<Arc<Breaker>>,
    /// Whether that has taken it out of the candidates.
    tripped: AtomicBool,
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
    /// What connections to it lead to; see [`Server::endpoint`].
    endpoint: OnceLock<Arc<Endpoint>>,
}

/// What connections to a server lead to, told apart by where it stands in memory.
#[derive(Debug, Default)]
pub(crate) struct Endpoint(());

impl Server {
    /// A server at its start: UP unless it is disabled or has no address yet. `in_flight` is its place in the
    /// table of its backend's loads.
    pub fn new(config: model::Server, in_flight: Load) -> Arc<Server> {
        let address = match &config.address {
            model::ServerAddress::Ip(address) => Some(*address),
            _ => None,
        };
        let vacant = matches!(config.address, model::ServerAddress::Slot(_));
        let up = !config.disabled && !vacant && !matches!(config.address, model::ServerAddress::Name(..));
        let (weight, backup) = (AtomicU32::new(config.weight), AtomicBool::new(config.backup));
        let record = Record::start(config.check.as_ref());
        let passive = config.check.as_ref().and_then(|check| check.observe.as_ref()).map(Passive::new);
        let breaker = config.circuit_breaker.as_ref().map(|it| Breaker::new(it, Instant::now()));
        Arc::new(Server {
            config,
            address: RwLock::new(address),
            address_version: AtomicU64::new(0),
            up: AtomicBool::new(up),
            vacant: AtomicBool::new(vacant),
            weight,
            backup,
            ramp: AtomicU32::new(ramp::WHOLE),
            warming: Mutex::new(None),
            passive,
            breaker,
            tripped: AtomicBool::new(false),
            in_flight,
            queued: AtomicU32::new(0),
            tls: ArcSwapOption::empty(),
            record: Mutex::new(record),
            check_now: Notify::new(),
            queue: OnceLock::new(),
            endpoint: OnceLock::new(),
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

    /// Whether it has no address to be reached at: its name has none, or it is a slot that nothing fills.
    pub fn is_unresolved(&self) -> bool {
        let named = matches!(self.config.address, model::ServerAddress::Name(..));
        self.is_vacant() || named && self.address().is_none()
    }

    /// Whether it is a slot that nothing fills.
    pub fn is_vacant(&self) -> bool {
        self.vacant.load(Relaxed)
    }

    /// Its share of the traffic now, 0 to 256: as configured, or as its source has it.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Whether it serves only where no other can: as configured, or as its source has it.
    pub fn is_backup(&self) -> bool {
        self.backup.load(Relaxed)
    }

    /// Takes over where an earlier configuration's server was, that differs in something else.
    pub(crate) fn inherit(&self, before: &Server) {
        if before.config.address != self.config.address {
            return;
        }
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = before.address();
        self.address_version.store(before.address_version.load(Relaxed), Relaxed);
        if (&before.config.tls, before.config.protocol) == (&self.config.tls, self.config.protocol) {
            // Nobody has asked for one of its own before it is in force.
            let _ = self.endpoint.set(before.endpoint().clone());
        }
        self.vacant.store(before.is_vacant(), Relaxed);
        if matches!(self.config.address, model::ServerAddress::Slot(_)) && !before.is_vacant() {
            self.set_share(before.weight(), before.is_backup());
        }
        if self.config.slowstart.is_some() {
            *self.warming() = *before.warming();
            self.ramp.store(before.ramp(), Relaxed);
        }
        self.set_up(!self.is_unresolved());
    }

    /// What connections to it lead to: the same after a reload that changes something else about it, such as its weight.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        self.endpoint.get_or_init(Arc::default)
    }

    /// Whether its circuit breaker has taken it out of the candidates.
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Relaxed)
    }

    /// Says whether its circuit breaker takes it out of the candidates; to be followed by a transition.
    pub(super) fn set_tripped(&self, tripped: bool) {
        self.tripped.store(tripped, Relaxed);
    }

    /// It is another one from now on, of which nothing bad is known.
    pub(super) fn begin_anew(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.reset();
            self.set_tripped(false);
        }
    }

    /// How much of its share it has, in percent: less than all while it starts slowly.
    pub fn ramp(&self) -> u32 {
        self.ramp.load(Relaxed)
    }

    /// From now on it takes its time to its whole share, where it is said to.
    pub(super) fn start_slowly(&self) {
        if self.config.slowstart.is_some() {
            *self.warming() = Some(Instant::now());
            self.ramp.store(1, Relaxed);
        }
    }

    /// Takes the step to its whole share that is due. Returns how long to wait for the next; `None` where it takes none.
    pub(super) fn warm(&self, now: Instant) -> Option<Duration> {
        let over = self.config.slowstart?;
        let mut warming = self.warming();
        let share = ramp::share(now.saturating_duration_since((*warming)?), over);
        self.ramp.store(share, Relaxed);
        if share == ramp::WHOLE {
            *warming = None;
        }
        Some(ramp::step(over))
    }

    fn warming(&self) -> MutexGuard<'_, Option<Instant>> {
        self.warming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is spoken to by TLS; `None`: in clear.
    pub(crate) fn tls(&self) -> Option<Arc<Connector>> {
        self.tls.load_full()
    }

    /// From now on connections to it are made like this. Those that idle, made by other certificates or trusting others,
    /// are not used any more.
    pub(crate) fn set_tls(&self, tls: Option<Arc<Connector>>) {
        self.tls.store(tls);
        self.address_version.fetch_add(1, Relaxed);
    }

    /// What its health checks found, for a status page.
    pub fn record(&self) -> Record {
        self.record_mut().clone()
    }

    pub(super) fn record_mut(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_up(&self, up: bool) {
        let allowed = !self.config.disabled && !self.is_vacant() && !self.is_tripped();
        self.up.store(up && allowed, Relaxed);
    }

    /// Sets its share of the traffic; says whether that is another than before.
    pub(super) fn set_share(&self, weight: u32, backup: bool) -> bool {
        let former = (self.weight.swap(weight, Relaxed), self.backup.swap(backup, Relaxed));
        former != (weight, backup)
    }

    /// Says whether it is a slot that nothing fills. An address that it had stays, for those on their way there.
    pub(super) fn set_vacant(&self, vacant: bool) {
        self.vacant.store(vacant, Relaxed);
    }

    /// Takes its address away from a server that is known by name.
    pub(super) fn forget_ip(&self) {
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.address_version.fetch_add(1, Relaxed);
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
