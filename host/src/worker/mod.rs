//! A worker: a thread with a runtime, listening sockets, connection pools and policy instances of its own.
//! What it shares with other workers are atomics.
//!
//! A worker serves one [`Generation`] of the configuration at a time. A reload hands it the next; exchanges
//! under way end under the one that they began with.

mod door;
mod handshake;
#[cfg(test)]
pub(crate) mod simulated;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::runtime::{Handle, LocalRuntime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::backend::Backend;
use crate::backend::server::Server;
use crate::config::model::{self, BindAddress};
use crate::count::Count;
use crate::limit::Limits;
use crate::linger::Lingering;
use crate::listener::Listener;
use crate::log::{ExchangeLog, LostConnection, Record, WorkerLog};
use crate::pages::Pages;
use crate::policy::{Balancer, Persistence};
use crate::stats::tally::{BackendTallies, FrontendTally};
use crate::tls;
use crate::tune::Tune;
use crate::upstream::Pool;

pub(crate) use door::Doorway;
use door::Entrance;

/// How late a log line may be.
const LOG_DELAY: Duration = Duration::from_millis(20);
/// How often idle connections to servers are looked at.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);
/// What all workers share.
#[derive(Debug)]
pub(crate) struct Process {
    /// Client connections.
    pub(crate) connections: Arc<Count>,
    /// Exchanges over HTTP/2, of which a connection carries many.
    pub(crate) streams: Arc<Count>,
}

/// A frontend as the whole process shares it.
#[derive(Debug)]
pub(crate) struct Frontend {
    /// What `lb.toml` says of it.
    pub(crate) config: model::Frontend,
    /// Its client connections; the same through reloads.
    pub(crate) connections: Arc<Count>,
    /// Its pages from files.
    pub(crate) pages: Arc<Pages>,
    /// How much it lets in.
    pub(crate) limits: Option<Arc<Limits>>,
}

/// A frontend on a worker.
#[derive(Clone)]
pub(crate) struct FrontendSeat {
    pub(crate) shared: Arc<Frontend>,
    /// Where its exchanges are logged.
    pub(crate) log: ExchangeLog,
    /// What this worker counts of it.
    pub(crate) tally: Arc<FrontendTally>,
}

/// A backend on a worker.
pub(crate) struct BackendSeat {
    pub(crate) shared: Arc<Backend>,
    pub(crate) balancer: RefCell<Balancer>,
    pub(crate) persistence: Option<RefCell<Persistence>>,
    /// Idle connections, by server; those to a server that stays are the same through reloads.
    pub(crate) pools: Vec<Rc<RefCell<Pool>>>,
    /// Its pages from files.
    pub(crate) pages: Arc<Pages>,
    /// How much it lets in.
    pub(crate) limits: Option<Arc<Limits>>,
    /// What this worker counts of it.
    pub(crate) tallies: BackendTallies,
}

/// Counts a request at its backend for as long as this lives.
pub(crate) struct Entered<'a>(&'a Backend);

impl BackendSeat {
    /// Counts a request in.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.shared.requests.fetch_add(1, Relaxed);
        Entered(&self.shared)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// A configuration on a worker. Exchanges hold it, and nobody who merely waits for one: so it goes, with its backends,
/// its policies' memory, its rules and its lists, when its last exchange ends.
pub(crate) struct Generation {
    pub(crate) frontends: Vec<FrontendSeat>,
    pub(crate) backends: Vec<BackendSeat>,
    _alive: Alive,
}

/// Held by a configuration's generation on each worker, so that the control thread can tell whether any is left.
pub(crate) type Alive = Arc<()>;

/// What a worker is told.
pub(crate) enum Command {
    /// Serve this configuration from now on, and say so.
    Serve(Box<Plan>, oneshot::Sender<()>),
    /// Accept nothing more, close what idles, and end when the last exchange has.
    Drain,
    /// End now.
    Stop,
}

/// A configuration for one worker, everything in it ready to serve.
pub(crate) struct Plan {
    pub(crate) frontends: Vec<FrontendSeat>,
    pub(crate) backends: Vec<BackendPlan>,
    pub(crate) doors: Vec<Door>,
    pub(crate) alive: Alive,
}

/// A backend for one worker.
pub(crate) struct BackendPlan {
    pub(crate) shared: Arc<Backend>,
    pub(crate) balancer: Balancer,
    pub(crate) persistence: Option<Persistence>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) limits: Option<Arc<Limits>>,
    pub(crate) tallies: BackendTallies,
}

/// A listening address for one worker.
pub(crate) struct Door {
    pub(crate) address: BindAddress,
    /// Registered with the worker's runtime; `None` where the worker listens on it already.
    pub(crate) listener: Option<Listener>,
    pub(crate) frontend: usize,
    /// Its client connections, over all workers.
    pub(crate) connections: Arc<Count>,
    /// Which of the frontend's listeners it is, from 1 on.
    pub(crate) number: usize,
    /// TLS with its clients.
    pub(crate) tls: Option<tls::Listener>,
}

/// A worker, for those on its thread.
pub(crate) struct Worker {
    pub(crate) process: Arc<Process>,
    pub(crate) tune: Tune,
    generation: RefCell<Rc<Generation>>,
    /// The idle connections of all generations that live.
    pools: RefCell<Vec<Weak<RefCell<Pool>>>>,
    log: RefCell<WorkerLog>,
    log_pending: Notify,
    draining: Cell<bool>,
    /// The tasks of connections and doors, to be woken when they are to look whether they should go on.
    tasks: RefCell<Slab<Waker>>,
    idle: Notify,
    /// Clients that are heard out.
    pub(crate) lingering: Lingering,
}

impl Worker {
    /// A worker that serves nothing yet.
    fn new(process: Arc<Process>, tune: Tune, log: WorkerLog) -> Rc<Worker> {
        let nothing = Generation { frontends: Vec::new(), backends: Vec::new(), _alive: Arc::default() };
        Rc::new(Worker {
            process,
            tune,
            generation: RefCell::new(Rc::new(nothing)),
            pools: RefCell::default(),
            log: RefCell::new(log),
            log_pending: Notify::new(),
            draining: Cell::new(false),
            tasks: RefCell::default(),
            idle: Notify::new(),
            lingering: Lingering::default(),
        })
    }

    /// The configuration to serve.
    pub(crate) fn generation(&self) -> Rc<Generation> {
        self.generation.borrow().clone()
    }

    /// Whether connections are to end after the exchange that they are at.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Logs an exchange.
    pub(crate) fn log(&self, to: &ExchangeLog, record: &Record<'_>) {
        let mut log = self.log.borrow_mut();
        let pending = log.is_pending();
        log.exchange(to, record);
        if !pending && log.is_pending() {
            self.log_pending.notify_one();
        }
    }

    /// Logs a connection that came to nothing.
    pub(crate) fn log_connection(&self, to: &ExchangeLog, lost: &LostConnection<'_>) {
        let mut log = self.log.borrow_mut();
        let pending = log.is_pending();
        log.connection(to, lost);
        if !pending && log.is_pending() {
            self.log_pending.notify_one();
        }
    }

    /// Does this to the idle connections to each server, and forgets those whose generations have gone.
    fn each_pool(&self, mut act: impl FnMut(&mut Pool)) {
        self.pools.borrow_mut().retain(|pool| match pool.upgrade() {
            Some(pool) => {
                act(&mut pool.borrow_mut());
                true
            }
            None => false,
        });
    }

    /// Closes the idle connections to all servers, for want of open files; whether there were any.
    pub(crate) fn close_idle(&self) -> bool {
        let mut closed = 0;
        self.each_pool(|pool| closed += pool.close_idle());
        closed > 0
    }

    fn wake_all(&self) {
        for (_, waker) in self.tasks.borrow().iter() {
            waker.wake_by_ref();
        }
    }
}

/// Runs a worker on this thread until it is told to end. Says first how its runtime can be looked at, or why there is
/// none.
pub(crate) fn run(
    process: Arc<Process>,
    tune: Tune,
    log: WorkerLog,
    begun: &mpsc::Sender<std::io::Result<Handle>>,
    commands: UnboundedReceiver<Command>,
) {
    // Not a `LocalSet`, which would be a second queue of tasks within that of its runtime.
    let runtime = match LocalRuntime::new() {
        Ok(runtime) => runtime,
        Err(error) => return drop(begun.send(Err(error))),
    };
    drop(begun.send(Ok(runtime.handle().clone())));
    runtime.block_on(command_loop(Worker::new(process, tune, log), commands));
}

async fn command_loop(worker: Rc<Worker>, mut commands: UnboundedReceiver<Command>) {
    tokio::task::spawn_local(flush_logs(worker.clone()));
    tokio::task::spawn_local(purge_pools(worker.clone()));
    let mut doors: HashMap<BindAddress, Rc<Entrance>> = HashMap::new();
    loop {
        let command = if worker.is_draining() {
            tokio::select! {
                command = commands.recv() => command,
                () = all_done(&worker) => break,
            }
        } else {
            commands.recv().await
        };
        match command {
            Some(Command::Serve(plan, done)) => {
                serve(&worker, &mut doors, *plan);
                // Whoever waits for this may have given up.
                let _ = done.send(());
            }
            Some(Command::Drain) => drain(&worker, &mut doors),
            Some(Command::Stop) | None => break,
        }
    }
    worker.log.borrow_mut().flush();
}

/// Accepts nothing more, closes what idles, and has each connection end with the exchange that it is at.
fn drain(worker: &Worker, doors: &mut HashMap<BindAddress, Rc<Entrance>>) {
    worker.draining.set(true);
    doors.drain().for_each(|(_, door)| door.shut());
    worker.each_pool(Pool::clear);
    worker.wake_all();
}

/// Ready when no connection is left, and nobody stands before a door.
async fn all_done(worker: &Worker) {
    while !worker.tasks.borrow().is_empty() {
        worker.idle.notified().await;
    }
}

/// Takes up a configuration: opens the doors that are new, closes those that are gone. Nothing in here may fail, for other
/// workers have taken it up already.
fn serve(worker: &Rc<Worker>, doors: &mut HashMap<BindAddress, Rc<Entrance>>, plan: Plan) {
    let mut open = HashMap::new();
    let mut arrivals = Vec::new();
    for door in plan.doors {
        let entrance = match (door.listener, doors.remove(&door.address)) {
            (None, Some(entrance)) => entrance,
            (Some(listener), _) => {
                let entrance = Entrance::new(door.connections);
                arrivals.push((listener, entrance.clone()));
                entrance
            }
            (None, None) => continue,
        };
        entrance.lead_to(door.frontend, door.number, door.tls);
        open.insert(door.address, entrance);
    }
    for (_, gone) in std::mem::replace(doors, open) {
        gone.wall_up();
    }
    let mut known = known_pools(&worker.generation());
    let backends = plan.backends.into_iter().map(|backend| BackendSeat {
        pools: backend.shared.servers.iter().map(|server| pool(worker, &mut known, server)).collect(),
        shared: backend.shared,
        balancer: RefCell::new(backend.balancer),
        persistence: backend.persistence.map(RefCell::new),
        pages: backend.pages,
        limits: backend.limits,
        tallies: backend.tallies,
    });
    let backends = backends.collect();
    let generation = Generation { frontends: plan.frontends, backends, _alive: plan.alive };
    // Those that are left end with the generation, in its order: what is simulated once goes the same way again.
    drop(known);
    worker.generation.replace(Rc::new(generation));
    for (listener, entrance) in arrivals {
        drop(tokio::task::spawn_local(door::accept(worker.clone(), listener, entrance)));
    }
    // Connections of doors that are gone end now where they idle.
    worker.wake_all();
}

/// Idle connections by their servers, which live as long as `generation` does.
fn known_pools(generation: &Generation) -> HashMap<*const Server, Rc<RefCell<Pool>>> {
    let all =
        generation.backends.iter().flat_map(|backend| backend.shared.servers.iter().zip(&backend.pools));
    all.map(|(server, pool)| (Arc::as_ptr(server), pool.clone())).collect()
}

/// The idle connections to a server: those of before, where it stays. Exchanges that began before put theirs there too,
/// where they are found again and grow old.
fn pool(
    worker: &Worker,
    known: &mut HashMap<*const Server, Rc<RefCell<Pool>>>,
    server: &Arc<Server>,
) -> Rc<RefCell<Pool>> {
    known.remove(&Arc::as_ptr(server)).unwrap_or_else(|| {
        let pool = Rc::default();
        worker.pools.borrow_mut().push(Rc::downgrade(&pool));
        pool
    })
}

/// Hands log lines over, soon after they were written and many at once.
async fn flush_logs(worker: Rc<Worker>) {
    loop {
        worker.log_pending.notified().await;
        while worker.log.borrow().is_pending() {
            tokio::time::sleep(LOG_DELAY).await;
            worker.log.borrow_mut().flush();
        }
    }
}

/// Closes connections to servers that nobody needs.
async fn purge_pools(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(PURGE_INTERVAL).await;
        let now = Instant::now();
        worker.each_pool(|pool| pool.purge(now, worker.tune.pool_idle_timeout));
    }
}
