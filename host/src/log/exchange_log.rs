//! A frontend's log on a worker: which exchanges have a line, at which level, and where it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::record::Record;
use super::target::TargetSet;
use crate::config::model::{Field, LogLevel, LogLine, Logging, Sample};

/// Where a frontend's lines go and what they are. Each worker has its own, for it counts exchanges.
#[derive(Debug)]
pub struct ExchangeLog {
    targets: TargetSet,
    logging: Arc<Logging>,
    /// Whether every exchange has a line, all of them at one level.
    plain: bool,
    names_local: bool,
    names_server: bool,
    /// Exchanges without an error, counted up to what the sample is of.
    seen: AtomicU32,
}

impl Clone for ExchangeLog {
    fn clone(&self) -> ExchangeLog {
        ExchangeLog {
            targets: self.targets.clone(),
            logging: self.logging.clone(),
            seen: AtomicU32::new(0),
            ..*self
        }
    }
}

impl ExchangeLog {
    /// The log of a frontend that logs so, to these targets.
    pub fn new(targets: TargetSet, logging: Logging) -> ExchangeLog {
        let plain = !logging.only_errors && !logging.separate_errors && logging.sample.is_none();
        let names_local = logging.line == LogLine::Connect
            || logging.asks_for(|field| matches!(field, Field::FrontendIp | Field::FrontendPort));
        let names_server = logging.asks_for(|field| matches!(field, Field::ServerIp | Field::ServerPort));
        let logging = Arc::new(logging);
        ExchangeLog { targets, logging, plain, names_local, names_server, seen: AtomicU32::new(0) }
    }

    /// Whether any exchange has a line: where none does, there is no need to make a record of it.
    pub fn is_on(&self) -> bool {
        self.targets.takes(if self.logging.separate_errors { LogLevel::Err } else { LogLevel::Info })
    }

    /// Whether lines name the address that clients connected to; finding it out is a system call.
    pub fn names_local(&self) -> bool {
        self.names_local
    }

    /// Whether lines name the server's address.
    pub fn names_server(&self) -> bool {
        self.names_server
    }

    /// The level of this exchange's line; `None` where it has none.
    pub(super) fn level_of(&self, record: &Record<'_>) -> Option<LogLevel> {
        let mut level = LogLevel::Info;
        if !self.plain {
            if record.is_error() {
                if self.logging.separate_errors {
                    level = LogLevel::Err;
                }
            } else if self.logging.only_errors || self.logging.sample.is_some_and(|it| !self.is_sampled(it)) {
                return None;
            }
        }
        self.targets.takes(level).then_some(level)
    }

    fn is_sampled(&self, sample: Sample) -> bool {
        // No other thread has a part in it.
        let number = self.seen.load(Relaxed);
        self.seen.store(if number + 1 < sample.of { number + 1 } else { 0 }, Relaxed);
        number < sample.lines
    }

    pub(super) fn targets(&self) -> &TargetSet {
        &self.targets
    }

    pub(super) fn logging(&self) -> &Logging {
        &self.logging
    }
}
