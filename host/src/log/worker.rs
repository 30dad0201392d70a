//! What a thread holds that makes log lines: a batch for each outlet, filled line by line without a lock, an
//! allocation or a system call, and handed to the outlet's writer when it is full or old enough.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use super::date::Dates;
use super::exchange_log::ExchangeLog;
use super::pattern::Place;
use super::queue::{BATCH_BYTES, Batch};
use super::record::{LostConnection, Record};
use super::target::{Outlet, TargetSet};
use super::{httplog, json, pattern};
use crate::config::model::{LogLevel, LogLine};

/// A thread's side of the logs; one for each worker, from [`Logs::worker`](super::Logs::worker). Dropped, it
/// hands over what it still holds.
#[derive(Debug)]
pub struct WorkerLog {
    /// The host's name, for lines that show it.
    host: Arc<str>,
    /// The process's number, likewise.
    process: u32,
    dates: Dates,
    message: Vec<u8>,
    /// By the outlet's id.
    slots: Vec<Option<Slot>>,
    pending: bool,
}

#[derive(Debug)]
struct Slot {
    outlet: Arc<Outlet>,
    batch: Batch,
}

impl Slot {
    /// Counts a line that was added, and hands a full batch over.
    fn added(&mut self) {
        self.batch.lines += 1;
        if self.batch.bytes.len() >= BATCH_BYTES {
            self.outlet.queue.hand_over(&mut self.batch);
        }
    }
}

impl WorkerLog {
    pub(super) fn new(host: Arc<str>) -> WorkerLog {
        WorkerLog {
            host,
            process: std::process::id(),
            dates: Dates::new(),
            message: Vec::with_capacity(1024),
            slots: Vec::new(),
            pending: false,
        }
    }

    /// Logs an exchange that ended, if `log` wants it, to all of its targets that take its level: `info`, or
    /// `err` for one with an error where errors are told apart.
    pub fn exchange(&mut self, log: &ExchangeLog, record: &Record<'_>) {
        let Some(level) = log.level_of(record) else { return };
        let logging = log.logging();
        self.message.clear();
        match &logging.line {
            LogLine::Http => {
                httplog::httplog(record, &logging.captures, &mut self.dates, &mut self.message);
            }
            LogLine::Connect => {
                if !httplog::connect(record, &mut self.message) {
                    return;
                }
            }
            LogLine::Json => return self.json(log, record, level),
            LogLine::Pattern(pieces) => {
                let place =
                    Place { record, captures: &logging.captures, host: &self.host, process: self.process };
                pattern::write(pieces, &place, &mut self.dates, &mut self.message);
                if self.message.is_empty() {
                    return;
                }
            }
        }
        self.line(log.targets(), level);
    }

    /// Logs an exchange as JSON: for a target that takes no line so long with its values shortened, for a line
    /// that is cut would be no JSON.
    fn json(&mut self, log: &ExchangeLog, record: &Record<'_>, level: LogLevel) {
        let mut asked = None;
        let mut written = None;
        for target in log.targets().iter().filter(|target| level <= target.level) {
            let room = target.frame.json_room();
            if written != Some(room) {
                json::write(record, &log.logging().captures, room, &mut self.dates, &mut self.message);
                written = Some(room);
            }
            let slot = slot(&mut self.slots, &target.outlet);
            let now = || *asked.get_or_insert_with(SystemTime::now);
            target.frame.write_whole(level, &self.message, now, &mut self.dates, &mut slot.batch.bytes);
            self.pending = true;
            slot.added();
        }
    }

    /// Logs a connection that came to nothing, at `info` as HAProxy does.
    pub fn connection(&mut self, log: &ExchangeLog, lost: &LostConnection<'_>) {
        if log.targets().takes(LogLevel::Info) {
            self.message.clear();
            httplog::lost(lost, &mut self.dates, &mut self.message);
            self.line(log.targets(), LogLevel::Info);
        }
    }

    /// Logs a message of one line, which holds no control characters.
    pub(super) fn message(&mut self, targets: &TargetSet, level: LogLevel, message: &[u8]) {
        self.message.clear();
        self.message.extend_from_slice(message);
        self.line(targets, level);
    }

    /// Hands over what has been gathered. To be called every 20 ms or so while [`is_pending`], from the
    /// worker's coarse timer: that is how late a line may come. No call per request is needed, and none when
    /// the worker goes idle: each would wake the writer for a line or two.
    ///
    /// [`is_pending`]: WorkerLog::is_pending
    pub fn flush(&mut self) {
        if self.pending {
            self.hand_over(false);
        }
    }

    /// Whether lines wait for a [`flush`](WorkerLog::flush).
    pub fn is_pending(&self) -> bool {
        self.pending
    }

    /// Frames the message for each target.
    fn line(&mut self, targets: &TargetSet, level: LogLevel) {
        let mut asked = None;
        for target in targets.iter().filter(|target| level <= target.level) {
            let slot = slot(&mut self.slots, &target.outlet);
            let now = || *asked.get_or_insert_with(SystemTime::now);
            target.frame.write(level, &self.message, now, &mut self.dates, &mut slot.batch.bytes);
            self.pending = true;
            slot.added();
        }
    }

    /// Hands over what is there; where a writer is busy, with `force` only.
    pub(crate) fn hand_over(&mut self, force: bool) {
        self.pending = false;
        for entry in &mut self.slots {
            let Some(slot) = entry else { continue };
            if !slot.batch.is_empty() && (force || !slot.outlet.queue.is_busy()) {
                slot.outlet.queue.hand_over(&mut slot.batch);
            }
            if !slot.batch.is_empty() {
                self.pending = true;
            } else if slot.outlet.retired.load(Relaxed) {
                *entry = None;
            }
        }
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.hand_over(true);
    }
}

fn slot<'a>(slots: &'a mut Vec<Option<Slot>>, outlet: &Arc<Outlet>) -> &'a mut Slot {
    if outlet.id >= slots.len() {
        slots.resize_with(outlet.id + 1, || None);
    }
    slots[outlet.id].get_or_insert_with(|| Slot {
        outlet: outlet.clone(),
        batch: Batch { bytes: Vec::with_capacity(BATCH_BYTES + 1024), lines: 0 },
    })
}
