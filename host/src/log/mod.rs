//! Logs: what an exchange's line says, and how lines get to where they go without holding up traffic.
//!
//! A worker formats a line into a batch of its own ([`WorkerLog`]). A batch goes, by size or age, into the
//! bounded queue of its outlet (a destination), which one thread of its own empties with blocking writes. So a
//! reader that is slow, stuck or absent costs lines, which are counted and announced, and never a request.
//!
//! [`Logs`] owns the outlets. [`process`] leads the program's own messages, made with `tracing`, to them.

mod captured;
mod client_tls;
mod date;
mod exchange_log;
mod file;
mod frame;
mod httplog;
mod json;
#[cfg(test)]
pub(crate) mod memory;
mod pattern;
pub mod process;
mod queue;
pub mod record;
mod remote;
mod repeats;
mod sink;
mod target;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

pub use exchange_log::ExchangeLog;
pub use record::{LostConnection, Record};
pub use target::TargetSet;
pub use worker::WorkerLog;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::model::{Config, Frontend, LogDestination, LogPeer, LogTarget};
use frame::Frame;
use queue::Queue;
use sink::Sink;
use target::{Outlet, Target};

/// All outlets of the process. Clones are the same logs.
#[derive(Debug, Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    host: Arc<str>,
    outlets: Mutex<Outlets>,
}

#[derive(Debug, Default)]
struct Outlets {
    open: Vec<(LogDestination, Arc<Outlet>)>,
    /// The queues of outlets that were let go, which may still hold lines.
    gone: Vec<Arc<Queue>>,
    next_id: usize,
}

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open log {destination}")]
pub struct OpenError {
    /// Which.
    pub destination: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// What became of a destination's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// The destination: `stdout`, a path, `host:port`.
    pub destination: String,
    /// Lines written.
    pub written: u64,
    /// Lines that were lost: the reader was too slow, or is not there.
    pub dropped: u64,
}

impl Logs {
    /// Opens every target that `config` names, in `[global]` or in a frontend.
    pub fn new(config: &Config) -> Result<Logs, OpenError> {
        let logs = Logs { shared: Arc::new(Shared { host: host_name().into(), outlets: Mutex::default() }) };
        logs.open(config)?.keep();
        Ok(logs)
    }

    /// Opens what `config` names and is not open yet. What is open stays as it is, with what waits in its
    /// queue. On a failure nothing has changed.
    pub fn open(&self, config: &Config) -> Result<Opened, OpenError> {
        let mut opened = Opened { logs: self.clone(), new: Vec::new() };
        for target in all_targets(config) {
            let mut outlets = self.outlets();
            if outlets.open.iter().all(|(open, _)| *open != target.destination) {
                self.outlet(&mut outlets, target)?;
                opened.new.push(target.destination.clone());
            }
        }
        Ok(opened)
    }

    /// Lets go of what `config`, which is in force now, no longer names. A set that somebody still holds goes
    /// on working; its outlets end with it.
    pub fn retain(&self, config: &Config) {
        let named: HashSet<&LogDestination> = all_targets(config).map(|target| &target.destination).collect();
        self.let_go(|destination| !named.contains(destination));
    }

    fn let_go(&self, unwanted: impl Fn(&LogDestination) -> bool) {
        let mut outlets = self.outlets();
        let (open, gone) = std::mem::take(&mut outlets.open)
            .into_iter()
            .partition(|(destination, _)| !unwanted(destination));
        outlets.open = open;
        let gone: Vec<(LogDestination, Arc<Outlet>)> = gone;
        outlets.gone.retain(|queue| !queue.is_gone());
        outlets.gone.extend(gone.iter().map(|(_, outlet)| outlet.queue.clone()));
        drop(outlets);
        for (_, outlet) in gone {
            outlet.retired.store(true, Relaxed);
        }
    }

    /// The set of these targets; those that are not open are opened.
    pub fn target_set(&self, targets: &[LogTarget]) -> Result<TargetSet, OpenError> {
        let mut outlets = self.outlets();
        let set = targets.iter().map(|target| {
            let outlet = self.outlet(&mut outlets, target)?;
            let frame = Frame::new(target, &self.shared.host, std::process::id());
            Ok(Target { outlet, frame, level: target.level })
        });
        Ok(TargetSet::new(set.collect::<Result<_, _>>()?))
    }

    /// The log of a frontend's exchanges.
    pub fn exchange_log(&self, frontend: &Frontend) -> Result<ExchangeLog, OpenError> {
        Ok(ExchangeLog::new(self.target_set(&frontend.log)?, frontend.logging.clone()))
    }

    /// A thread's side of the logs.
    pub fn worker(&self) -> WorkerLog {
        WorkerLog::new(self.shared.host.clone())
    }

    /// Opens files anew by their paths, after they were renamed for a rotation. Lines that wait go to the new
    /// ones.
    pub fn reopen(&self) {
        for (_, outlet) in &self.outlets().open {
            outlet.queue.reopen();
        }
    }

    /// Lines written and lost so far, for each destination that is open.
    pub fn counters(&self) -> Vec<Counters> {
        let count = |(_, outlet): &(LogDestination, Arc<Outlet>)| Counters {
            destination: outlet.name.clone(),
            written: outlet.queue.written.load(Relaxed),
            dropped: outlet.queue.dropped.load(Relaxed),
        };
        self.outlets().open.iter().map(count).collect()
    }

    /// Writes what waits, for `timeout` at most, also for destinations that a reload let go; then returns how many
    /// of them are not done. To be called
    /// when every [`WorkerLog`] is dropped: lines that come later are lost.
    pub fn shutdown(&self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let queues: Vec<Arc<Queue>> = {
            let outlets = self.outlets();
            let open = outlets.open.iter().map(|(_, outlet)| &outlet.queue);
            open.chain(&outlets.gone).cloned().collect()
        };
        for queue in &queues {
            queue.stop();
        }
        queues.iter().filter(|queue| !queue.wait(deadline)).count()
    }

    fn outlets(&self) -> MutexGuard<'_, Outlets> {
        self.shared.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outlet of a target's destination. The target that opens it also lends it the frame of its own
    /// messages.
    fn outlet(&self, outlets: &mut Outlets, target: &LogTarget) -> Result<Arc<Outlet>, OpenError> {
        let destination = &target.destination;
        if let Some((_, outlet)) = outlets.open.iter().find(|(open, _)| open == destination) {
            return Ok(outlet.clone());
        }
        let name = Name(destination).to_string();
        let queue = Arc::new(Queue::new());
        let frame = Frame::new(target, &self.shared.host, std::process::id());
        Sink::open(destination, &name)
            .and_then(|sink| writer::start(queue.clone(), sink, frame))
            .map_err(|source| OpenError { destination: name.clone(), source })?;
        let outlet = Arc::new(Outlet { id: outlets.next_id, name, retired: AtomicBool::new(false), queue });
        outlets.next_id += 1;
        outlets.open.push((destination.clone(), outlet.clone()));
        Ok(outlet)
    }
}

/// Targets that were opened for a configuration: let go again if this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Opened {
    logs: Logs,
    new: Vec<LogDestination>,
}

impl Opened {
    /// The configuration is in force.
    pub fn keep(mut self) {
        self.new.clear();
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.new.is_empty() {
            self.logs.let_go(|destination| self.new.contains(destination));
        }
    }
}

fn all_targets(config: &Config) -> impl Iterator<Item = &LogTarget> {
    config.global.log.iter().chain(config.frontends.iter().flat_map(|frontend| &frontend.log))
}

/// A destination as messages name it.
struct Name<'a>(&'a LogDestination);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LogDestination::Stdout => f.write_str("stdout"),
            LogDestination::Stderr => f.write_str("stderr"),
            LogDestination::File(path) | LogDestination::Unix(path) => path.display().fmt(f),
            LogDestination::Udp(address) => f.write_str(address),
            LogDestination::Stream(stream) => match &stream.peer {
                LogPeer::Tcp(address) => write!(f, "tcp@{address}"),
                LogPeer::Tls(tls) => write!(f, "tls@{}", tls.address),
                LogPeer::Unix(path) => path.display().fmt(f),
            },
        }
    }
}

fn host_name() -> String {
    let names = rustix::system::uname();
    match names.nodename().to_str() {
        Ok(name) if !name.is_empty() => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}
