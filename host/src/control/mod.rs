//! The life of the process: start, reload, drain, end. Runs on the main thread, beside the workers, with the
//! health checks and the resolver; no request passes here.
//!
//! A reload prepares everything first (configuration, logs, policies tried, sockets bound) and then hands it
//! over. What fails leaves everything as it was.

mod checked;
mod files;
mod signals;
mod system;
mod tally;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::admin;
use crate::backend::Backend;
use crate::backend::care::tend::Tender;
use crate::backend::health::checker::Checker;
use crate::backend::load::Load;
use crate::backend::resolve::{Names, System};
use crate::backend::server::Server;
use crate::config::Loaded;
use crate::config::model::{self, BindAddress, Config};
use crate::count::Count;
use crate::discovery::Discovery;
use crate::limit::{AllLimits, Limits};
use crate::listener;
use crate::log::Logs;
use crate::log::process::ProcessLog;
use crate::pages::{Pages, Shelf};
use crate::policy::{self, BackendPolicies};
use crate::stats::{InForce, Source};
use crate::tls::{Prepared, expiry};
use crate::worker::{self, Alive, BackendPlan, Command, Door, Frontend, FrontendSeat, Plan, Process, Tune};

pub(crate) use checked::{Checked, Origin, check, load_lists};
use files::Watch;
pub(crate) use files::{Files, Stamp};
use signals::Signals;

/// How long the last log lines may take at the end.
const LOG_SHUTDOWN: Duration = Duration::from_secs(2);

/// How long a configuration waits for its servers' names before it serves.
const NAMES_WAIT: Duration = Duration::from_secs(1);

/// How often certificates are looked at for their end.
const EXPIRY_LOOK: Duration = Duration::from_hours(24);

/// Runs until it is told to end. `files` are what `checked` was read from, as they were before. `ready` is called once, with the bound addresses, when all of them listen.
///
/// # Errors
/// When it cannot start; once it serves, only the end ends it.
pub(crate) fn run(
    origin: Origin,
    runtime: policy::Runtime,
    checked: Checked,
    files: Files,
    ready: impl FnOnce(&[String]),
) -> anyhow::Result<()> {
    system::raise_file_limit();
    let main = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let ended = tokio::task::LocalSet::new().block_on(&main, async {
        let mut control = Control::start(origin, runtime, &checked, files)?;
        control.apply(checked).await?;
        let names = control.names();
        // Whoever reads that it is ready may send a signal at once.
        let signals = Signals::take_up()?;
        tracing::info!(addresses = %names.join(", "), "ready");
        ready(&names);
        system::notify_systemd();
        control.serve_signals(signals).await
    });
    // A look-up that hangs in the system's resolver is nobody's to wait for any more.
    main.shutdown_background();
    ended
}

struct Control {
    origin: Origin,
    runtime: Arc<policy::Runtime>,
    process: Arc<Process>,
    logs: Logs,
    process_log: ProcessLog,
    /// The health checks and the look-ups of names, while there is anything to look at.
    watchers: Option<(Checker, Names, Discovery, Tender)>,
    workers: Vec<Hand>,
    doors: HashMap<BindAddress, OpenDoor>,
    frontends: Vec<Arc<Frontend>>,
    backends: Vec<Arc<Backend>>,
    policies: Vec<BackendPolicies>,
    limits: AllLimits,
    tls: Prepared,
    nbthread: usize,
    hard_stop_after: Option<Duration>,
    /// Whether a change of the files is a reason to read them again.
    watching: bool,
    watch: Watch,
    /// What is told to those who watch, and the listener for them.
    source: Rc<Source>,
    admin: Option<admin::Listening>,
}

/// A worker, seen from here.
struct Hand {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

/// An address that is listened on.
struct OpenDoor {
    name: String,
    connections: Arc<Count>,
}

impl Control {
    fn start(
        origin: Origin,
        runtime: policy::Runtime,
        checked: &Checked,
        files: Files,
    ) -> anyhow::Result<Control> {
        let config = &checked.loaded.config;
        let process_log = ProcessLog::install();
        let logs = Logs::new(config)?;
        let process = Arc::new(Process { connections: Arc::new(Count::new(config.global.maxconn)) });
        let (mut workers, mut runtimes) = (Vec::new(), Vec::new());
        for index in 0..config.global.nbthread {
            let (commands, inbox) = unbounded_channel();
            let (process, tune, log) = (process.clone(), Tune::new(&config.global.tune), logs.worker());
            let (begun, beginning) = mpsc::channel();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::run(process, tune, log, &begun, inbox))
                .context("cannot start a worker")?;
            runtimes.push(
                beginning.recv().expect("a worker says how it began").context("cannot start a worker")?,
            );
            workers.push(Hand { commands, thread });
        }
        Ok(Control {
            origin,
            runtime: Arc::new(runtime),
            source: Rc::new(Source::new(process.clone(), logs.clone(), runtimes)),
            admin: None,
            process,
            logs,
            process_log,
            watchers: None,
            workers,
            doors: HashMap::new(),
            frontends: Vec::new(),
            backends: Vec::new(),
            policies: Vec::new(),
            limits: AllLimits::default(),
            tls: Prepared::default(),
            nbthread: config.global.nbthread,
            hard_stop_after: config.global.hard_stop_after,
            watching: config.global.watch,
            watch: Watch::new(files),
        })
    }

    /// Puts a configuration into force.
    async fn apply(&mut self, checked: Checked) -> anyhow::Result<()> {
        let Checked { loaded: Loaded { config, .. }, policies, pages, mut tls } = checked;
        tls.keep_sessions_of(&self.tls);
        let limits = self.limits.renew(&config);
        self.logs.open(&config)?;
        if self.frontends.is_empty() {
            // At the start, what is said from here on is the log's; at a reload the old one's, until it is done.
            self.process_log.to_targets(self.logs.target_set(&config.global.log)?);
        }
        let backends: Vec<_> = config.backends.iter().map(|backend| self.renew_backend(backend)).collect();
        for (index, backend) in backends.iter().enumerate() {
            for (number, server) in backend.servers.iter().enumerate() {
                server.set_tls(tls.connector(index, number));
            }
        }
        // Names that can be found at once are found before the first request, so that none meets a server
        // without an address; those that cannot are DOWN until they are.
        let (names, discovery) = (Names::start(&backends, System), Discovery::start(&backends));
        let tried = async { tokio::join!(names.tried(), discovery.tried()) };
        let _ = tokio::time::timeout(NAMES_WAIT, tried).await;
        let opened: Vec<BackendPolicies> =
            policies.iter().zip(&backends).map(|(policies, backend)| policies.open(backend)).collect();
        let frontends = self.renew_frontends(&config, &pages, &limits);
        let seats = frontends
            .iter()
            .map(|frontend| Ok((frontend.clone(), self.logs.exchange_log(&frontend.config)?)));
        let seats: Vec<_> = seats.collect::<anyhow::Result<_>>()?;
        let book = self.source.renew_book(&config, self.workers.len());
        // From here on to the hand-over nothing can fail but the binding of new addresses.
        let (doors, mut sockets) = self.bind_new(&config)?;
        let admin = self.bind_admin(&config)?;
        let alive = Alive::default();
        let mut done = Vec::new();
        for (index, hand) in self.workers.iter().enumerate() {
            let (told, heard) = oneshot::channel();
            let plan = Plan {
                frontends: seats
                    .iter()
                    .enumerate()
                    .map(|(frontend, (shared, log))| FrontendSeat {
                        shared: shared.clone(),
                        log: log.clone(),
                        tally: book.frontend(frontend, index),
                    })
                    .collect(),
                backends: backends
                    .iter()
                    .zip(&opened)
                    .zip(pages.backends.iter().zip(&limits.backends))
                    .enumerate()
                    .map(|(backend, ((shared, policies), (pages, limits)))| BackendPlan {
                        tallies: book.backend(backend, index),
                        shared: shared.clone(),
                        balancer: policies.balancer(),
                        persistence: policies.persistence(),
                        pages: pages.clone(),
                        limits: limits.clone(),
                    })
                    .collect(),
                doors: doors_of(&config, &tls, &doors, &mut sockets),
                alive: alive.clone(),
                done: told,
            };
            hand.commands.send(Command::Serve(Box::new(plan))).context("a worker has ended")?;
            done.push(heard);
        }
        for heard in done {
            heard.await.context("a worker has ended")?;
        }
        self.set_bounds(&config, &frontends, &doors);
        self.process_log.set_levels(&config.global.log_levels);
        self.process_log.to_targets(self.logs.target_set(&config.global.log)?);
        self.logs.retain(&config);
        self.watchers = Some((Checker::start(&backends), names, discovery, Tender::start(&backends)));
        self.doors = doors;
        self.use_tls(tls);
        self.frontends = frontends;
        // The checks of before went on until here, and told their own backends of what they found.
        backends.iter().for_each(|backend| backend.refresh());
        self.backends = backends;
        self.limits = limits;
        self.source.put_into_force(InForce {
            book,
            addresses: self.addresses(&config),
            frontends: self.frontends.clone(),
            backends: self.backends.clone(),
            policies: opened.iter().map(BackendPolicies::watch).collect(),
            limits: self.limits.all(),
            generation: Arc::downgrade(&alive),
        });
        self.open_admin(&config, admin)?;
        tally::log(&std::mem::replace(&mut self.policies, opened));
        self.hard_stop_after = config.global.hard_stop_after;
        self.watching = config.global.watch;
        if config.global.nbthread != self.nbthread {
            tracing::warn!(
                now = self.nbthread,
                asked = config.global.nbthread,
                "nbthread changes with a restart only"
            );
        }
        Ok(())
    }

    /// The certificates of this configuration are the ones in use.
    fn use_tls(&mut self, tls: Prepared) {
        expiry::put_into_use(tls.facts());
        expiry::warn();
        self.tls = tls;
    }

    /// A backend whose servers, where they are the same as before, are carried over with their state.
    fn renew_backend(&self, config: &model::Backend) -> Arc<Backend> {
        let before = self.backends.iter().find(|backend| backend.config.name == config.name);
        let servers = config.servers.iter().zip(Load::table(config.servers.len())).map(|(server, load)| {
            let same = before
                .filter(|before| before.config.check == config.check)
                .and_then(|before| before.servers.iter().find(|old| old.config == *server).cloned());
            same.unwrap_or_else(|| {
                let server = Server::new(server.clone(), load);
                let mut former = before.iter().flat_map(|before| &before.servers);
                if let Some(former) = former.find(|former| former.config.name == server.config.name) {
                    server.inherit(former);
                }
                server
            })
        });
        let backend = Backend::after(before.map(|before| &**before), config.clone(), servers.collect());
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

    /// Binds the addresses that are not listened on yet.
    #[allow(clippy::type_complexity)]
    fn bind_new(
        &self,
        config: &Config,
    ) -> anyhow::Result<(HashMap<BindAddress, OpenDoor>, HashMap<BindAddress, Vec<listener::ListenSocket>>)>
    {
        let (mut doors, mut sockets) = (HashMap::new(), HashMap::new());
        for frontend in &config.frontends {
            for bind in &frontend.bind {
                let door = match self.doors.get(&bind.address) {
                    Some(open) => OpenDoor { name: open.name.clone(), connections: open.connections.clone() },
                    None => {
                        let bound = listener::bind(&bind.address, frontend.backlog, self.workers.len())?;
                        sockets.insert(bind.address.clone(), bound.sockets);
                        OpenDoor { name: bound.name, connections: Arc::new(Count::new(bind.maxconn)) }
                    }
                };
                doors.insert(bind.address.clone(), door);
            }
        }
        Ok((doors, sockets))
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
    fn open_admin(&mut self, config: &Config, bound: Option<admin::Bound>) -> anyhow::Result<()> {
        if config.global.admin.is_none() {
            self.admin = None;
        }
        if let Some(bound) = bound {
            let listening = bound.serve(self.source.clone())?;
            tracing::info!(address = %listening.address, "admin listens");
            self.admin = Some(listening);
        }
        Ok(())
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
        self.process.connections.set_limit(config.global.maxconn);
        for frontend in frontends {
            frontend.connections.set_limit(frontend.config.maxconn);
            for bind in &frontend.config.bind {
                if let Some(door) = doors.get(&bind.address) {
                    door.connections.set_limit(bind.maxconn);
                }
            }
        }
    }

    /// The bound addresses, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.doors.values().map(|door| door.name.clone()).collect();
        names.sort();
        names
    }

    /// Serves until a signal ends it.
    async fn serve_signals(mut self, mut signals: Signals) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(files::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut days = tokio::time::interval_at(tokio::time::Instant::now() + EXPIRY_LOOK, EXPIRY_LOOK);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.hangup.recv() => self.reload().await,
                _ = signals.reopen.recv() => self.logs.reopen(),
                _ = signals.report.recv() => tally::log(&self.policies),
                _ = days.tick() => expiry::warn(),
                _ = looks.tick(), if self.watching => self.look().await,
            }
        }
        self.drain(signals).await;
        Ok(())
    }

    /// Reads the configuration again where its files have changed.
    async fn look(&mut self) {
        let changed: Vec<String> = self.watch.look().iter().map(|path| path.display().to_string()).collect();
        if !changed.is_empty() {
            tracing::info!("{} changed: reading the configuration again", changed.join(", "));
            self.reload().await;
        }
    }

    /// Reads the configuration again and puts it into force; on any failure the old one stays.
    async fn reload(&mut self) {
        let (origin, runtime) = (self.origin.clone(), self.runtime.clone());
        // Compiling a policy can take seconds, and health checks go on meanwhile.
        let before = self.watch.read().clone();
        let checked = tokio::task::spawn_blocking(move || {
            let files = Files::of(&origin, Some(&before));
            (files, check(&origin, &runtime))
        });
        let checked = checked.await.map(|(files, checked)| {
            // What was wrong with them is said once, not at every look.
            self.watch = Watch::new(files);
            checked
        });
        match checked {
            Ok(Ok(checked)) => match self.apply(checked).await {
                Ok(()) => {
                    self.source.reloaded(true);
                    tracing::info!(addresses = %self.names().join(", "), "reloaded");
                }
                Err(error) => {
                    // What was found for the new one has changed servers that both have.
                    self.backends.iter().for_each(|backend| backend.refresh());
                    self.source.reloaded(false);
                    tracing::error!("the new configuration is not in force, the old one is: {error:#}")
                }
            },
            Ok(Err(diagnostics)) => {
                self.source.reloaded(false);
                tracing::error!("the new configuration is wrong, the old one stays:");
                for line in diagnostics.render(false).lines() {
                    tracing::error!("{line}");
                }
            }
            Err(error) => {
                self.source.reloaded(false);
                tracing::error!(%error, "the new configuration could not be read, the old one stays")
            }
        }
    }

    /// Lets exchanges end, and ends.
    async fn drain(mut self, mut signals: Signals) {
        tracing::info!(
            "draining: no new connections, the present exchanges end; a second signal ends at once"
        );
        self.watchers = None;
        self.source.drains();
        self.send_all(|| Command::Drain);
        let (commands, threads): (Vec<_>, Vec<_>) =
            self.workers.drain(..).map(|hand| (hand.commands, hand.thread)).unzip();
        let mut ended = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A worker that panicked has said so itself.
                let _ = thread.join();
            }
        });
        let bound = async {
            match self.hard_stop_after {
                Some(bound) => tokio::time::sleep(bound).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = &mut ended => {}
            _ = signals.terminate.recv() => tracing::warn!("cutting off what is left"),
            _ = signals.interrupt.recv() => tracing::warn!("cutting off what is left"),
            () = bound => tracing::warn!("hard_stop_after is over: cutting off what is left"),
        }
        if !ended.is_finished() {
            for hand in &commands {
                let _ = hand.send(Command::Stop);
            }
            let _ = ended.await;
        }
        tally::log(&self.policies);
        tracing::info!("ended");
        self.process_log.to_stderr();
        self.logs.shutdown(LOG_SHUTDOWN);
    }

    fn send_all(&self, command: impl Fn() -> Command) {
        for hand in &self.workers {
            // A worker that has ended needs no telling.
            let _ = hand.commands.send(command());
        }
    }
}

/// The doors of one worker.
fn doors_of(
    config: &Config,
    tls: &Prepared,
    open: &HashMap<BindAddress, OpenDoor>,
    sockets: &mut HashMap<BindAddress, Vec<listener::ListenSocket>>,
) -> Vec<Door> {
    let mut doors = Vec::new();
    for (frontend, config) in config.frontends.iter().enumerate() {
        for (index, bind) in config.bind.iter().enumerate() {
            let Some(door) = open.get(&bind.address) else { continue };
            doors.push(Door {
                number: index + 1,
                tls: tls.listener(&bind.address),
                address: bind.address.clone(),
                socket: sockets.get_mut(&bind.address).and_then(Vec::pop),
                frontend,
                connections: door.connections.clone(),
            });
        }
    }
    doors
}
