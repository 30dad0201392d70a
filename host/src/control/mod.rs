//! The life of the process: start, reload, drain, end. Runs on the main thread, beside the workers, with the
//! health checks and the resolver; no request passes here.

mod apply;
mod checked;
mod fault;
mod files;
mod main_thread;
mod system;
mod tally;

use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use crate::admin::{self, Source};
use crate::backend::Backend;
use crate::backend::care::tend::Tender;
use crate::backend::health::checker::Checker;
use crate::backend::resolve::Names;
use crate::capacity;
use crate::config::model::BindAddress;
use crate::count::Count;
use crate::discovery::Discovery;
use crate::limit::AllLimits;
use crate::log::Logs;
use crate::log::process::ProcessLog;
use crate::memory;
use crate::policy::{self, BackendPolicies};
use crate::signals::Signals;
use crate::tls::{Prepared, expiry};
use crate::tune::Tune;
use crate::unix_socket::SocketFile;
use crate::worker::{self, Command, Frontend, Process};

pub(crate) use checked::{Checked, Origin, check, load_lists};
pub(crate) use files::Files;
use files::Watch;
pub(crate) use main_thread::{Main, Start};

/// How long the last log lines may take at the end.
const LOG_SHUTDOWN: Duration = Duration::from_secs(2);

/// How often it is looked whether configurations have gone whose memory can be given back.
const MEMORY_LOOK: Duration = Duration::from_secs(5);

/// How often certificates are looked at for their end.
const EXPIRY_LOOK: Duration = Duration::from_hours(24);

struct Control {
    origin: Origin,
    runtime: Arc<policy::Runtime>,
    process: Arc<Process>,
    logs: Logs,
    process_log: ProcessLog,
    watchers: Option<Watchers>,
    workers: Vec<Worker>,
    doors: HashMap<BindAddress, OpenDoor>,
    frontends: Vec<Arc<Frontend>>,
    backends: Vec<Arc<Backend>>,
    policies: Vec<BackendPolicies>,
    limits: AllLimits,
    tls: Prepared,
    hard_stop_after: Option<Duration>,
    /// Whether a change of the files is a reason to read them again.
    watching: bool,
    watch: Watch,
    /// What is told to those who watch, and the listener for them.
    source: Rc<Source>,
    admin: Option<admin::Listening>,
}

/// The health checks, the look-ups of names, the sources of servers and the care for them, of the configuration in force.
struct Watchers {
    _checker: Checker,
    _names: [Names; 2],
    _discovery: [Discovery; 2],
    _tender: Tender,
}

/// A worker, seen from here.
struct Worker {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
    runtime: Handle,
}

/// An address that is listened on.
struct OpenDoor {
    name: String,
    connections: Arc<Count>,
    /// The file of a Unix socket, which goes with the last who has it.
    file: Option<Arc<SocketFile>>,
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
        process_log.to_targets(logs.target_set(&config.global.log)?);
        let count = || Arc::new(Count::new(Some(capacity::most_connections(config))));
        let process = Arc::new(Process { connections: count(), streams: count() });
        let mut workers = Vec::new();
        for index in 0..config.global.nbthread {
            let (commands, inbox) = unbounded_channel();
            let (process, tune, log) = (process.clone(), Tune::new(&config.global.tune), logs.worker());
            let (begun, beginning) = mpsc::channel();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker::run(process, tune, log, &begun, inbox))
                .context("cannot start a worker")?;
            let runtime =
                beginning.recv().expect("a worker says how it began").context("cannot start a worker")?;
            workers.push(Worker { commands, thread, runtime });
        }
        let runtimes = workers.iter().map(|worker| worker.runtime.clone()).collect();
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
            hard_stop_after: config.global.hard_stop_after,
            watching: config.global.watch,
            watch: Watch::new(files),
        })
    }

    /// The bound addresses, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.doors.values().map(|door| door.name.clone()).collect();
        names.sort();
        names
    }

    /// Serves until a signal ends it.
    async fn serve_signals(mut self, mut signals: Signals) {
        let mut looks = tokio::time::interval(files::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut memory_looks = tokio::time::interval(MEMORY_LOOK);
        memory_looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut configurations = (0, 0);
        let mut days = tokio::time::interval_at(tokio::time::Instant::now() + EXPIRY_LOOK, EXPIRY_LOOK);
        loop {
            let reload = tokio::select! {
                () = signals.end.recv() => break,
                _ = signals.hangup.recv() => true,
                _ = looks.tick(), if self.watching => self.has_changed(),
                _ = signals.reopen.recv() => { self.logs.reopen(); false },
                _ = signals.report.recv() => { tally::log(&self.policies); false },
                _ = memory_looks.tick() => { self.give_memory_back(&mut configurations); false },
                _ = days.tick() => { expiry::warn(); false },
            };
            if reload && !self.reload_unless_ended(&mut signals).await {
                break;
            }
        }
        self.drain(signals).await;
    }

    /// Gives back the memory of configurations that were read, or have gone, since the last look.
    fn give_memory_back(&self, seen: &mut (u64, usize)) {
        let configurations = self.source.configurations();
        if std::mem::replace(seen, configurations) != configurations {
            tokio::task::spawn_blocking(memory::give_back);
        }
    }

    /// Whether the configuration's files have changed, so that it is to be read again.
    fn has_changed(&mut self) -> bool {
        let changed: Vec<String> = self.watch.look().iter().map(|path| path.display().to_string()).collect();
        if changed.is_empty() {
            return false;
        }
        tracing::info!("{} changed: reading the configuration again", changed.join(", "));
        true
    }

    /// Reloads, which may take seconds: logs are opened anew meanwhile where that is asked for. Says `false` where a
    /// signal ends the process before it is done.
    async fn reload_unless_ended(&mut self, signals: &mut Signals) -> bool {
        let logs = self.logs.clone();
        let mut reloading = pin!(self.reload());
        loop {
            tokio::select! {
                () = signals.end.recv() => return false,
                _ = signals.reopen.recv() => logs.reopen(),
                () = &mut reloading => return true,
            }
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
        let well = match checked {
            Ok(Ok(checked)) => match self.apply(checked).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!("the new configuration is not in force, the old one is: {error:#}");
                    false
                }
            },
            Ok(Err(diagnostics)) => {
                tracing::error!("the new configuration is wrong, the old one stays:");
                for line in diagnostics.render(false).lines() {
                    tracing::error!("{line}");
                }
                false
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration could not be read, the old one stays");
                false
            }
        };
        self.source.reloaded(well);
        if well {
            tracing::info!(addresses = %self.names().join(", "), "reloaded");
        }
    }

    /// Lets exchanges end, and ends.
    async fn drain(mut self, mut signals: Signals) {
        tracing::info!(
            "draining: no new connections, the present exchanges end; a second signal ends at once"
        );
        self.watchers = None;
        // Before they close: a socket that still answers is nobody else's to put another in the place of.
        self.doors.clear();
        self.source.drains();
        self.send_all(|| Command::Drain);
        let (commands, threads): (Vec<_>, Vec<_>) =
            self.workers.drain(..).map(|worker| (worker.commands, worker.thread)).unzip();
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
            () = signals.end.recv() => tracing::warn!("cutting off what is left"),
            () = bound => tracing::warn!("hard_stop_after is over: cutting off what is left"),
        }
        if !ended.is_finished() {
            for worker in &commands {
                let _ = worker.send(Command::Stop);
            }
            let _ = ended.await;
        }
        tally::log(&self.policies);
        tracing::info!("ended");
        self.process_log.to_stderr();
        self.logs.shutdown(LOG_SHUTDOWN);
    }

    fn send_all(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            // A worker that has ended needs no telling.
            let _ = worker.commands.send(command());
        }
    }
}
