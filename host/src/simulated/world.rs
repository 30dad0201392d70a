//! A simulated world: a worker with its configuration, its clients and its servers, from their first word to the last.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::client2;
use super::ledger::Ledger;
use super::network::Network;
use super::policies::{self, Policies, Policy};
use super::server::Server;
use super::server2;
use super::verdict;
use crate::backend::Backend;
use crate::backend::server::Server as Known;
use crate::config::model::{Config, Http2, Protocol};
use crate::count::Count;
use crate::limit::AllLimits;
use crate::log::ExchangeLog;
use crate::log::memory::Memory;
use crate::pages::Shelf;
use crate::policy::{Balancer, Persistence};
use crate::stats::Book;
use crate::stream::Stream;
use crate::tune::Tune;
use crate::worker::simulated::Simulated;
use crate::worker::{BackendPlan, Frontend, FrontendSeat, Plan, Process};

/// Nobody waits so long for anything.
const AGES: Duration = Duration::from_secs(600);

const TEXT: &str = r#"
[global]
log = { target = "stdout", format = "raw" }
tune = { pool_idle_timeout = "4s" }

[defaults]
log = "global"
log_format = "%HM %HU %ST %B %tsc %rc %s"
timeout = { client = "2s", http_request = "2s", http_keep_alive = "2s", connect = "1s", server = "2s", queue = "3s" }

[frontends.front]
bind = "127.0.0.1:80"
default_backend = "back"

[backends.back]
balance = "roundrobin"
servers = [
    { name = "0", address = "10.0.0.0:80" },
    { name = "1", address = "10.0.0.1:80" },
    { name = "2", address = "10.0.0.2:80" },
]
"#;

/// What some worlds have beside that: rules that answer in the servers' place or change heads, and a limit.
const RULES: &str = r#"
[[frontends.front.rules]]
when = { method = "PATCH" }
deny = true

[[frontends.front.rules]]
when = { method = "PUT" }
redirect = { location = "/elsewhere" }

[[frontends.front.rules]]
request = { set_header = { x-rule = "1" } }
response = { set_header = { x-ruled = "1" } }

[[backends.back.limits]]
key = "all"
requests = 6
per = "1s"
"#;

static CONFIG: LazyLock<Config> = LazyLock::new(|| config(TEXT));
static RULED: LazyLock<Config> = LazyLock::new(|| config(&[TEXT, RULES].concat()));

fn config(text: &str) -> Config {
    match crate::config::parse(text, "lb.toml") {
        Ok(loaded) => loaded.config,
        Err(wrong) => panic!("{wrong}"),
    }
}

/// What came of a world.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    /// Stands for all that happened, in its order.
    pub(super) fingerprint: u64,
    pub(super) exchanges: usize,
}

/// A world in which it is clear who is at fault.
pub(super) struct World {
    pub(super) network: Rc<Network>,
    pub(super) ledger: Rc<Ledger>,
    pub(super) config: Config,
    pub(super) worker: Simulated,
    limits: RefCell<AllLimits>,
    /// All that ever served.
    pub(super) backends: RefCell<Vec<Arc<Backend>>>,
    pub(super) frontend: Arc<Count>,
    pub(super) listener: Arc<Count>,
    pub(super) process: Arc<Process>,
    pub(super) log: Memory,
    /// Whether servers misbehave.
    pub(super) wild_servers: bool,
    /// Whether servers went DOWN.
    pub(super) has_trouble: Cell<bool>,
    /// Whether the process ended in the midst of it.
    pub(super) stopped: Cell<bool>,
    /// The most often that any configuration tries a request.
    pub(super) tries: Cell<u32>,
    /// How many clients there are.
    pub(super) clients: Cell<usize>,
    /// Servers' tasks under way.
    serving: Cell<usize>,
}

/// Lives a seed through.
pub(super) fn run(seed: u64, speaks: bool) -> Outcome {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::new(seed, speaks);
        world.take_connections();
        let lived = timeout(AGES, world.live()).await;
        if lived.is_err() {
            let (tasks, servers) = (world.worker.connections(), world.serving.get());
            let sockets = world.network.held();
            world.ledger.violation(format!("{tasks} connections, {servers} servers, {sockets} sockets hang"));
        }
        world
    });
    // What is under way ends as it does with the process: wherever it is.
    drop(runtime);
    let exchanges = verdict::judge(&world);
    super::forget_dialer();
    policies::end();
    let (violations, fingerprint) = (world.ledger.violations(), world.ledger.fingerprint());
    Outcome { violations, fingerprint, exchanges }
}

impl World {
    fn new(seed: u64, speaks: bool) -> Rc<World> {
        let network = Network::new(seed);
        let chance = &network.chance;
        let policies = Policies::new(chance);
        let mut config = if policies.rules { RULED.clone() } else { CONFIG.clone() };
        let backend = &mut config.backends[0];
        backend.servers.truncate(chance.between(1, 3));
        backend.retries = chance.between(0, 3) as u32;
        backend.redispatch = chance.one_in(2);
        for server in &mut backend.servers {
            if chance.one_in(3) {
                server.protocol = Protocol::Http2;
            }
        }
        config.frontends[0].http2 = Some(Http2::default());
        let wild_servers = !chance.one_in(4);
        if chance.one_in(3) {
            let maxconn = chance.between(1, 2) as u32;
            backend.servers.iter_mut().for_each(|server| server.maxconn = Some(maxconn));
            backend.timeout.queue = Some(if wild_servers { Duration::from_secs(3) } else { AGES });
        }
        let on = &mut backend.retry_on;
        (on.empty_response, on.junk_response) = (chance.one_in(3), chance.one_in(3));
        (on.response_timeout, on.conn_failure) = (chance.one_in(3), !chance.one_in(4));
        config.global.tune.pool_max_idle = chance.pick(&[0, 1, 8, 8]);
        let frontend = Arc::new(Count::new(chance.one_in(5).then_some(2)));
        let count = || Arc::new(Count::new(None));
        let process = Arc::new(Process { connections: count(), streams: count() });
        let listener = Arc::new(Count::new(None));
        let log = Memory::new(&config.global.log[0]);
        let tune = Tune::new(&config.global.tune);
        let address = config.frontends[0].bind[0].address.clone();
        let worker = Simulated::start(process.clone(), tune, log.worker(), address, listener.clone());
        let world = Rc::new(World {
            ledger: Rc::new(Ledger::new(speaks, policies)),
            config,
            worker,
            limits: RefCell::default(),
            backends: RefCell::default(),
            frontend,
            listener,
            process,
            log,
            wild_servers,
            has_trouble: Cell::new(false),
            stopped: Cell::new(false),
            tries: Cell::new(0),
            clients: Cell::new(0),
            serving: Cell::new(0),
            network,
        });
        policies::begin(world.ledger.clone(), world.network.chance.clone());
        world.serve(&world.config);
        world
    }

    /// Has the worker serve a configuration.
    fn serve(&self, config: &Config) {
        self.tries.set(self.tries.get().max(config.backends[0].retries + 1));
        let before = self.backends.borrow().last().cloned();
        let backends: Vec<_> = config
            .backends
            .iter()
            .map(|config| {
                let before = before.as_ref();
                let fresh = Known::all(&config.servers);
                let servers = fresh.into_iter().map(|fresh| {
                    let known = before.and_then(|before| {
                        before.servers.iter().find(|known| known.config == fresh.config).cloned()
                    });
                    known.unwrap_or(fresh)
                });
                Backend::after(before.map(|before| &**before), config.clone(), servers.collect())
            })
            .collect();
        let book = Book::default().renew(config, 1);
        let (shelf, _) = Shelf::read(config);
        let limits = self.limits.take().renew(config);
        let frontends =
            config.frontends.iter().zip(&shelf.frontends).enumerate().map(|(index, (config, pages))| {
                let (connections, pages) = (self.frontend.clone(), pages.clone());
                let limits = limits.frontends[index].clone();
                FrontendSeat {
                    log: ExchangeLog::new(self.log.targets(), config.logging.clone()),
                    shared: Arc::new(Frontend { config: config.clone(), connections, pages, limits }),
                    tally: book.frontend(index, 0),
                }
            });
        let plans =
            backends.iter().zip(&shelf.backends).enumerate().map(|(index, (shared, pages))| BackendPlan {
                shared: shared.clone(),
                balancer: self.balancer(shared),
                persistence: self.persistence(shared),
                pages: pages.clone(),
                limits: limits.backends[index].clone(),
                tallies: book.backend(index, 0),
            });
        let doors = config.frontends[0].bind.iter().map(|bind| crate::worker::Door {
            address: bind.address.clone(),
            listener: None,
            frontend: 0,
            connections: self.listener.clone(),
            number: 1,
            tls: None,
        });
        let plan = Plan {
            frontends: frontends.collect(),
            backends: plans.collect(),
            doors: doors.collect(),
            alive: Arc::default(),
        };
        self.worker.serve(plan);
        self.limits.replace(limits);
        self.backends.borrow_mut().extend(backends);
    }

    fn balancer(&self, backend: &Arc<Backend>) -> Balancer {
        match self.ledger.policies.mood {
            None => Balancer::of_the_host(backend.clone()),
            Some(_) => Balancer::scripted(backend.clone(), Box::new(Policy(backend.servers.len()))),
        }
    }

    fn persistence(&self, backend: &Arc<Backend>) -> Option<Persistence> {
        let key = self.ledger.policies.spot?.key();
        Some(Persistence::scripted(backend.clone(), key, Box::new(Policy(backend.servers.len()))))
    }

    /// Answers for the servers' addresses.
    fn take_connections(self: &Rc<World>) {
        let world = self.clone();
        super::set_dialer(Rc::new(move |address| Box::pin(world.clone().dialed(address))));
    }

    async fn dialed(self: Rc<World>, address: SocketAddr) -> io::Result<Stream> {
        let chance = &self.network.chance;
        let SocketAddr::V4(v4) = address else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        let name = usize::from(v4.ip().octets()[3]);
        let fate = if self.wild_servers { chance.below(20) } else { 19 };
        self.ledger.trace(format_args!("server {name} is dialed, fate {fate}"));
        match fate {
            0 | 1 => return Err(io::ErrorKind::ConnectionRefused.into()),
            2 => std::future::pending().await,
            _ => sleep(Duration::from_millis(chance.pick(&[0, 0, 0, 5, 200]))).await,
        }
        let speaks_http2 = self.config.backends[0].servers[name].protocol == Protocol::Http2;
        let (stream, end) = self.network.connect(address);
        let world = self.clone();
        self.serving.set(self.serving.get() + 1);
        tokio::task::spawn_local(async move {
            let wild = world.wild_servers;
            let (ledger, chance) = (world.ledger.clone(), world.network.chance.clone());
            if speaks_http2 {
                server2::Server::new(ledger, name, end, wild).run(chance).await;
            } else {
                Server { ledger, name, end, wild }.run(&chance).await;
            }
            world.serving.set(world.serving.get() - 1);
        });
        Ok(stream)
    }

    /// Sends the clients in, and waits until all is over.
    async fn live(self: &Rc<World>) {
        let chance = &self.network.chance;
        let events = tokio::task::spawn_local(self.clone().events());
        let mut clients = Vec::new();
        self.clients.set(chance.between(1, 5));
        for name in 0..self.clients.get() {
            let wild = chance.one_in(3);
            let late = Duration::from_millis(chance.pick(&[0, 0, 1, 30, 500]));
            let world = self.clone();
            clients.push(tokio::task::spawn_local(async move {
                sleep(late).await;
                let peer = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1), 10_000 + name as u16));
                let (stream, end) = world.network.connect(peer);
                let (ledger, chance) = (world.ledger.clone(), world.network.chance.clone());
                let client = if chance.one_in(3) {
                    tokio::task::spawn_local(async move {
                        client2::Client::run(ledger, &chance, name, end, wild).await;
                    })
                } else {
                    tokio::task::spawn_local(Client::new(&ledger, &chance, name, end, wild).run())
                };
                world.worker.knock(stream, peer).await;
                let _ = client.await;
            }));
        }
        for client in clients {
            while !client.is_finished() {
                if self.stopped.get() {
                    return;
                }
                sleep(Duration::from_millis(7)).await;
            }
            if let Err(error) = client.await {
                self.ledger.violation(format!("a client failed: {error}"));
            }
        }
        let _ = events.await;
        if self.stopped.get() {
            return;
        }
        // Everything that idles is old by then.
        sleep(Duration::from_secs(10)).await;
        self.worker.drain();
        while self.worker.connections() > 0 || self.serving.get() > 0 || self.network.held() > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What else may happen while exchanges are under way.
    async fn events(self: Rc<World>) {
        let chance = &self.network.chance;
        for _ in 0..chance.below(4) {
            sleep(Duration::from_millis(chance.below(700) as u64)).await;
            match chance.below(12) {
                0..=3 => self.reload(),
                4..=7 if self.wild_servers => self.server_goes_down().await,
                8 => {
                    self.ledger.trace(format_args!("the process drains"));
                    self.worker.drain();
                    return;
                }
                9 => {
                    self.ledger.trace(format_args!("the process ends"));
                    self.stopped.set(true);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Another configuration, with other servers at times.
    fn reload(&self) {
        let chance = &self.network.chance;
        let mut config = self.config.clone();
        let backend = &mut config.backends[0];
        backend.servers.truncate(chance.between(1, backend.servers.len()));
        backend.retries = chance.between(0, 3) as u32;
        if chance.one_in(3) {
            let maxconn = chance.one_in(2).then_some(3);
            backend.servers[0].maxconn = maxconn;
        }
        self.ledger.trace(format_args!("a reload to {} servers", backend.servers.len()));
        self.serve(&config);
    }

    async fn server_goes_down(&self) {
        let chance = &self.network.chance;
        let Some(backend) = self.backends.borrow().last().cloned() else { return };
        let server = chance.below(backend.servers.len());
        self.has_trouble.set(true);
        self.ledger.trace(format_args!("server {server} is DOWN"));
        backend.server_changed(server, false);
        sleep(Duration::from_millis(chance.below(2_000) as u64)).await;
        self.ledger.trace(format_args!("server {server} is UP"));
        backend.server_changed(server, true);
        // A reload may have been between.
        self.backends.borrow().iter().for_each(|backend| backend.refresh());
    }
}
