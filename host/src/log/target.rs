//! Targets: an outlet, how a line is framed for it, and which lines it takes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::frame::Frame;
use super::queue::Queue;
use crate::config::model::LogLevel;

/// A destination that is open. Its writer ends when nobody holds the outlet any more.
#[derive(Debug)]
pub(super) struct Outlet {
    /// Its place in every worker's list of batches; never used twice.
    pub(super) id: usize,
    /// The destination, for metrics and messages.
    pub(super) name: String,
    /// No configuration names it any more: workers let go of it.
    pub(super) retired: AtomicBool,
    /// What its writer shares.
    pub(super) queue: Arc<Queue>,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) outlet: Arc<Outlet>,
    pub(super) frame: Frame,
    /// The least urgent level that it takes.
    pub(super) level: LogLevel,
}

/// Where a frontend's lines go, or the process's own: open targets, found once by
/// [`Logs::target_set`](super::Logs::target_set). Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TargetSet {
    targets: Arc<[Target]>,
    /// The least urgent level that any target takes.
    level: Option<LogLevel>,
}

impl TargetSet {
    pub(super) fn new(targets: Vec<Target>) -> TargetSet {
        let level = targets.iter().map(|target| target.level).max();
        TargetSet { targets: targets.into(), level }
    }

    /// Whether any target takes lines of this level: where none does, there is no need to make one.
    pub fn takes(&self, level: LogLevel) -> bool {
        self.level.is_some_and(|least| level <= least)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter()
    }
}
