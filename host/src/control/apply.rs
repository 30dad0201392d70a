//! A configuration on its way into force. All that can fail is done first, beside the configuration in force and without
//! changing anything that belongs to that: logs are opened, names of new servers looked up, instances of policies made,
//! sockets bound and registered with the workers. What is dropped on the way leaves nothing behind. Then the new one takes
//! the old one's place, by steps that cannot fail.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use super::fault::Faults;
use super::{Checked, Control, OpenDoor, Watchers, tally};
use crate::admin::{self, InForce};
use crate::backend::Backend;
use crate::backend::care::tend::Tender;
use crate::backend::health::check::HeadLimits;
use crate::backend::health::checker::Checker;
use crate::backend::load::Load;
use crate::backend::resolve::{Names, System};
use crate::backend::server::Server;
use crate::capacity;
use crate::config::Loaded;
use crate::config::model::{self, BindAddress, Config, ServerAddress};
use crate::count::Count;
use crate::discovery::Discovery;
use crate::limit::{AllLimits, Limits};
use crate::listener::{self, Listener};
use crate::log::{ExchangeLog, Opened, TargetSet};
use crate::pages::{Pages, Shelf};
use crate::policy::{BackendPolicies, Proven};
use crate::stats::Book;
use crate::tls::{Comparison, Prepared, expiry};
use crate::tune::Tune;
use crate::worker::{Alive, BackendPlan, Command, Door, Frontend, FrontendSeat, Plan};

/// How long a configuration waits for its servers' names before it serves.
const NAMES_WAIT: Duration = Duration::from_secs(1);

/// A configuration that only needs to be put into force.
struct Ready {
    config: Config,
    tls: Prepared,
    limits: AllLimits,
    frontends: Vec<Arc<Frontend>>,
    backends: Vec<Arc<Backend>>,
    policies: Vec<BackendPolicies>,
    book: Book,
    logs: Opened,
    /// Where the program's own messages go.
    messages: TargetSet,
    /// The look-ups of those servers that are new.
    names: Names,
    discovery: Discovery,
    live: Live,
    sockets: Sockets,
    admin: Option<admin::Bound>,
    alive: Alive,
    /// One for each worker.
    plans: Vec<Plan>,
}

/// The listening addresses, and what is bound for those that are new.
#[derive(Default)]
struct Sockets {
    doors: HashMap<BindAddress, OpenDoor>,
    /// For each worker, registered with its runtime.
    new: Vec<HashMap<BindAddress, Listener>>,
}

/// The servers that the configuration in force has too. Its own health checks and look-ups see to them until it is
/// replaced.
struct Live(HashSet<*const Server>);

impl Live {
    fn has(&self, server: &Arc<Server>) -> bool {
        self.0.contains(&Arc::as_ptr(server))
    }

    /// Whether the source of a backend's servers is followed already: by the configuration in force, whose slots they are.
    fn follows(&self, backend: &Backend) -> bool {
        backend.servers.iter().any(|server| is_slot(&server.config) && self.has(server))
    }
}

impl Control {
    /// Puts a configuration into force.
    ///
    /// # Errors
    /// When it cannot be: then the one before is in force, as it was.
    pub(super) async fn apply(&mut self, checked: Checked) -> anyhow::Result<()> {
        let ready = self.prepare(checked, &mut Faults::on_demand()).await?;
        self.commit(ready).await;
        Ok(())
    }

    async fn prepare(&self, checked: Checked, faults: &mut Faults) -> anyhow::Result<Ready> {
        let Checked { loaded: Loaded { config, .. }, policies: proven, pages, mut tls } = checked;
        tls.keep_sessions_of(&self.tls);
        let limits = self.limits.renew(&config);
        faults.step()?;
        let logs = self.logs.open(&config)?;
        faults.step()?;
        let messages = self.logs.target_set(&config.global.log)?;
        let backends: Vec<_> = config.backends.iter().map(|backend| self.renew_backend(backend)).collect();
        let live = Live(self.backends.iter().flat_map(|b| &b.servers).map(Arc::as_ptr).collect());
        let (names, discovery) = look_up_new(&backends, &live).await;
        faults.step()?;
        let policies = open_policies(&proven, &backends).await;
        faults.step()?;
        let frontends = self.renew_frontends(&config, &pages, &limits);
        let book = self.source.renew_book(&config, self.workers.len());
        let exchange_logs = frontends.iter().map(|frontend| self.logs.exchange_log(&frontend.config));
        let exchange_logs = exchange_logs.collect::<Result<Vec<_>, _>>()?;
        faults.step()?;
        let mut sockets = self.bind_new(&config)?;
        faults.step()?;
        let admin = self.bind_admin(&config)?;
        faults.step()?;
        let alive = Alive::default();
        let mut plans = Vec::new();
        for index in 0..self.workers.len() {
            let frontends = frontends.iter().zip(&exchange_logs).enumerate();
            plans.push(Plan {
                frontends: frontends
                    .map(|(frontend, (shared, log))| FrontendSeat {
                        shared: shared.clone(),
                        log: ExchangeLog::clone(log),
                        tally: book.frontend(frontend, index),
                    })
                    .collect(),
                backends: backend_plans(&backends, &policies, &pages, &limits, |backend| {
                    book.backend(backend, index)
                })
                .await,
                doors: sockets.doors_of(index, &config, &tls),
                alive: alive.clone(),
            });
        }
        faults.step()?;
        Ok(Ready {
            config,
            tls,
            limits,
            frontends,
            backends,
            policies,
            book,
            logs,
            messages,
            names,
            discovery,
            live,
            sockets,
            admin,
            alive,
            plans,
        })
    }

    /// Puts into force what is ready. Nothing in here may fail: half a configuration is worse than any.
    async fn commit(&mut self, ready: Ready) {
        let Ready { config, tls, limits, frontends, backends, policies, book, logs, .. } = ready;
        let Ready { messages, names, discovery, live, sockets, admin, alive, plans, .. } = ready;
        use_connectors(&backends, &tls);
        // The file of a Unix socket goes while that still answers: later it might be another program's.
        self.doors.retain(|address, _| sockets.doors.contains_key(address));
        let mut taken = Vec::new();
        for (worker, plan) in self.workers.iter().zip(plans) {
            let (done, taken_up) = oneshot::channel();
            if worker.commands.send(Command::Serve(Box::new(plan), done)).is_ok() {
                taken.push(taken_up);
            }
        }
        for taken_up in taken {
            if taken_up.await.is_err() {
                // It has said why when it ended; the others serve.
                tracing::error!("a worker has ended");
            }
        }
        self.set_bounds(&config, &frontends, &sockets.doors);
        self.process_log.set_levels(&config.global.log_levels);
        self.process_log.to_targets(messages);
        logs.keep();
        self.logs.retain(&config);
        self.doors = sockets.doors;
        // Those of before went on until here, and told their own backends of what they found.
        let rest = Names::start_where(&backends, System, |server| live.has(server));
        let followed = Discovery::start_where(&backends, |backend| live.follows(backend));
        let tune = Tune::new(&config.global.tune);
        let heads = HeadLimits { bytes: tune.max_head(), lines: tune.maxhdr };
        self.watchers = Some(Watchers {
            _checker: Checker::start(&backends, heads),
            _names: [names, rest],
            _discovery: [discovery, followed],
            _tender: Tender::start(&backends),
        });
        expiry::put_into_use(tls.facts());
        expiry::warn();
        self.tls = tls;
        self.frontends = frontends;
        backends.iter().for_each(|backend| backend.candidates_changed());
        self.backends = backends;
        self.limits = limits;
        self.source.put_into_force(InForce {
            book,
            addresses: self.addresses(&config),
            frontends: self.frontends.clone(),
            backends: self.backends.clone(),
            policies: policies.iter().map(BackendPolicies::watch).collect(),
            limits: self.limits.all(),
            generation: Arc::downgrade(&alive),
        });
        self.open_admin(&config, admin);
        tally::log(&std::mem::replace(&mut self.policies, policies));
        self.hard_stop_after = config.global.hard_stop_after;
        self.watching = config.global.watch;
        if config.global.nbthread != self.workers.len() {
            tracing::warn!(
                now = self.workers.len(),
                asked = config.global.nbthread,
                "nbthread changes with a restart only"
            );
        }
    }

    /// A backend whose servers, where they are the same as before, are carried over with their state.
    fn renew_backend(&self, config: &model::Backend) -> Arc<Backend> {
        let before = self.backends.iter().find(|backend| backend.config.name == config.name);
        let source = |backend: &model::Backend| backend.template.as_ref().map(|it| it.text.clone());
        let same_source = before.is_some_and(|before| source(&before.config) == source(config));
        let checked_alike = before.filter(|before| before.config.check == config.check);
        let same = |server: &model::Server| {
            // The slots of another source are other servers, for that fills them while the one in force still serves.
            let before = checked_alike.filter(|_| same_source || !is_slot(server))?;
            before.servers.iter().find(|old| old.config == *server).cloned()
        };
        let servers: Vec<_> = config.servers.iter().map(|server| (server, same(server))).collect();
        // As many as are new, for each keeps the whole table.
        let mut loads = Load::table(servers.iter().filter(|(_, same)| same.is_none()).count());
        let servers = servers.into_iter().filter_map(|(server, same)| {
            same.or_else(|| {
                let server = Server::new(server.clone(), loads.next()?);
                let mut former = before.iter().flat_map(|before| &before.servers);
                if let Some(former) = former.find(|former| former.config.name == server.config.name) {
                    server.inherit(former);
                }
                Some(server)
            })
        });
        let backend = Backend::after(before.map(|before| &**before), config.clone(), servers.collect());
        debug_assert_eq!(backend.servers.len(), config.servers.len());
        if let (Some(progress), Some(former)) =
            (&backend.discovery, before.and_then(|before| before.discovery.as_ref()))
        {
            progress.inherit(former);
        }
        backend
    }

    fn renew_frontends(&self, config: &Config, pages: &Shelf, limits: &AllLimits) -> Vec<Arc<Frontend>> {
        let renew = |(config, (pages, limits)): (&model::Frontend, (&Arc<Pages>, &Option<Arc<Limits>>))| {
            let before = self.frontends.iter().find(|before| before.config.name == config.name);
            let connections = match before {
                Some(before) => before.connections.clone(),
                None => Arc::new(Count::new(config.maxconn)),
            };
            let (pages, limits) = (pages.clone(), limits.clone());
            Arc::new(Frontend { config: config.clone(), connections, pages, limits })
        };
        let more = pages.frontends.iter().zip(&limits.frontends);
        config.frontends.iter().zip(more).map(renew).collect()
    }

    /// Binds the addresses that are not listened on yet, and registers their sockets with the workers.
    fn bind_new(&self, config: &Config) -> anyhow::Result<Sockets> {
        let mut sockets = Sockets::default();
        sockets.new.resize_with(self.workers.len(), HashMap::new);
        for frontend in &config.frontends {
            for bind in &frontend.bind {
                let door = match self.doors.get(&bind.address) {
                    Some(open) => OpenDoor {
                        name: open.name.clone(),
                        connections: open.connections.clone(),
                        file: open.file.clone(),
                    },
                    None => {
                        let bound = listener::bind(bind, frontend.backlog, self.workers.len())?;
                        for ((worker, socket), new) in
                            self.workers.iter().zip(bound.sockets).zip(&mut sockets.new)
                        {
                            let _on_its_runtime = worker.runtime.enter();
                            let listener = Listener::new(socket)
                                .with_context(|| format!("a worker cannot listen on {}", bound.name))?;
                            new.insert(bind.address.clone(), listener);
                        }
                        let connections = Arc::new(Count::new(bind.maxconn));
                        OpenDoor { name: bound.name, connections, file: bound.file }
                    }
                };
                sockets.doors.insert(bind.address.clone(), door);
            }
        }
        Ok(sockets)
    }

    /// Binds the admin listener, where it is wanted and not there yet.
    fn bind_admin(&self, config: &Config) -> anyhow::Result<Option<admin::Bound>> {
        let wanted = config.global.admin.as_ref();
        wanted
            .filter(|wanted| !self.admin.as_ref().is_some_and(|open| open.is(wanted)))
            .map(admin::bind)
            .transpose()
    }

    /// Puts the admin listener that was bound in the place of the one of before, or ends that.
    fn open_admin(&mut self, config: &Config, bound: Option<admin::Bound>) {
        if config.global.admin.is_none() {
            self.admin = None;
        }
        if let Some(bound) = bound {
            let listening = bound.serve(self.source.clone());
            tracing::info!(address = %listening.address, "admin listens");
            self.admin = Some(listening);
        }
    }

    /// Where each frontend listens.
    fn addresses(&self, config: &Config) -> Vec<Vec<String>> {
        let names = |frontend: &model::Frontend| {
            frontend
                .bind
                .iter()
                .filter_map(|bind| Some(self.doors.get(&bind.address)?.name.clone()))
                .collect()
        };
        config.frontends.iter().map(names).collect()
    }

    /// Puts the bounds on connections into force; counts that are carried over had those of before until now.
    fn set_bounds(
        &self,
        config: &Config,
        frontends: &[Arc<Frontend>],
        doors: &HashMap<BindAddress, OpenDoor>,
    ) {
        let clients = Some(capacity::most_connections(config));
        self.process.connections.set_limit(clients);
        self.process.streams.set_limit(clients);
        for frontend in frontends {
            frontend.connections.set_limit(frontend.config.maxconn);
            for bind in &frontend.config.bind {
                if let Some(door) = doors.get(&bind.address) {
                    door.connections.set_limit(bind.maxconn);
                    let renewed = door.file.as_ref().map_or(Ok(()), |file| file.renew_access(&bind.access));
                    if let Err(error) = renewed {
                        let name = &door.name;
                        tracing::error!(%error, "who may connect to {name} stays as it was: {error}");
                    }
                }
            }
        }
    }
}

impl Sockets {
    /// The doors of one worker, each with a socket where it is new.
    fn doors_of(&mut self, worker: usize, config: &Config, tls: &Prepared) -> Vec<Door> {
        let mut doors = Vec::new();
        for (frontend, config) in config.frontends.iter().enumerate() {
            for (index, bind) in config.bind.iter().enumerate() {
                let Some(door) = self.doors.get(&bind.address) else { continue };
                doors.push(Door {
                    number: index + 1,
                    tls: tls.listener(&bind.address),
                    address: bind.address.clone(),
                    listener: self.new.get_mut(worker).and_then(|new| new.remove(&bind.address)),
                    frontend,
                    connections: door.connections.clone(),
                });
            }
        }
        doors
    }
}

fn is_slot(server: &model::Server) -> bool {
    matches!(server.address, ServerAddress::Slot(_))
}

/// Has servers be spoken to by the TLS of this configuration. Where that comes to the same as before, a server keeps what
/// it has, with the sessions to take up again and the connections that idle.
fn use_connectors(backends: &[Arc<Backend>], tls: &Prepared) {
    let mut comparison = Comparison::default();
    for (index, backend) in backends.iter().enumerate() {
        for (number, server) in backend.servers.iter().enumerate() {
            let next = tls.connector(index, number);
            let stays = match (server.tls(), &next) {
                (Some(present), Some(next)) => comparison.alike(&present, next),
                (None, None) => true,
                _ => false,
            };
            if !stays {
                server.set_tls(next);
            }
        }
    }
}

/// Looks up the names of new servers, and asks sources that nobody has asked yet. What can be found at once is found
/// before the first request, so that none meets a server without an address; what cannot is DOWN until it is.
async fn look_up_new(backends: &[Arc<Backend>], live: &Live) -> (Names, Discovery) {
    let names = Names::start_where(backends, System, |server| !live.has(server));
    let discovery = Discovery::start_where(backends, |backend| !live.follows(backend));
    let tried = async { tokio::join!(names.tried(), discovery.tried()) };
    let _ = tokio::time::timeout(NAMES_WAIT, tried).await;
    (names, discovery)
}

/// Ties policies to their backends. It takes its time where there are many, and health checks and signals go on meanwhile.
async fn open_policies(proven: &[Proven], backends: &[Arc<Backend>]) -> Vec<BackendPolicies> {
    let mut open = Vec::with_capacity(backends.len());
    for (proven, backend) in proven.iter().zip(backends) {
        open.push(proven.open(backend));
        tokio::task::yield_now().await;
    }
    open
}

/// The backends of one worker, with instances of their policies: as [`open_policies`] in what it takes.
async fn backend_plans(
    backends: &[Arc<Backend>],
    policies: &[BackendPolicies],
    pages: &Shelf,
    limits: &AllLimits,
    tallies: impl Fn(usize) -> crate::stats::tally::BackendTallies,
) -> Vec<BackendPlan> {
    let mut plans = Vec::with_capacity(backends.len());
    let more = pages.backends.iter().zip(&limits.backends);
    for (index, ((shared, policies), (pages, limits))) in backends.iter().zip(policies).zip(more).enumerate()
    {
        plans.push(BackendPlan {
            tallies: tallies(index),
            shared: shared.clone(),
            balancer: policies.balancer(),
            persistence: policies.persistence(),
            pages: pages.clone(),
            limits: limits.clone(),
        });
        tokio::task::yield_now().await;
    }
    plans
}
