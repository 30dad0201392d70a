//! What a thread holds that makes log lines: a batch for each outlet, filled line by line without a lock, an
//! allocation or a system call, and handed to the outlet's writer when it is full or old enough.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use super::date::Dates;
use super::httplog;
use super::queue::{BATCH_BYTES, Batch};
use super::record::{LostConnection, Record};
use super::target::{Outlet, TargetSet};
use crate::config::model::LogLevel;

/// A thread's side of the logs; one for each worker, from [`Logs::worker`](super::Logs::worker). Dropped, it
/// hands over what it still holds.
#[derive(Debug)]
pub struct WorkerLog {
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

impl WorkerLog {
    pub(super) fn new() -> WorkerLog {
        WorkerLog {
            dates: Dates::new(),
            message: Vec::with_capacity(1024),
            slots: Vec::new(),
            pending: false,
        }
    }

    /// Logs an exchange that ended, to all targets of `targets` that take its level: `info`, as in HAProxy
    /// without `option log-separate-errors`, whatever became of the exchange. `httplog` chooses between the
    /// format of that name and the line that names the connection's ends.
    pub fn exchange(&mut self, targets: &TargetSet, record: &Record<'_>, httplog: bool) {
        if !targets.takes(LogLevel::Info) {
            return;
        }
        self.message.clear();
        if httplog {
            httplog::httplog(record, &mut self.dates, &mut self.message);
        } else if !httplog::connect(record, &mut self.message) {
            return;
        }
        self.line(targets, LogLevel::Info);
    }

    /// Logs a connection that came to nothing, at `info` as HAProxy does.
    pub fn connection(&mut self, targets: &TargetSet, lost: &LostConnection<'_>) {
        if targets.takes(LogLevel::Info) {
            self.message.clear();
            httplog::lost(lost, &mut self.dates, &mut self.message);
            self.line(targets, LogLevel::Info);
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
            slot.batch.lines += 1;
            self.pending = true;
            if slot.batch.bytes.len() >= BATCH_BYTES {
                slot.outlet.queue.hand_over(&mut slot.batch);
            }
        }
    }

    /// Hands over what is there; where a writer is busy, with `force` only.
    pub(super) fn hand_over(&mut self, force: bool) {
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
