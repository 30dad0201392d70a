//! A log that is kept in memory, for tests that look at every line.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::frame::Frame;
use super::queue::{Queue, Task};
use super::target::{Outlet, Target};
use super::{TargetSet, WorkerLog};
use crate::config::model::LogTarget;

/// The log's far end: an outlet that nobody empties but the test.
#[derive(Debug)]
pub(crate) struct Memory {
    queue: Arc<Queue>,
    targets: TargetSet,
}

impl Memory {
    /// A log whose lines look as this target's.
    pub(crate) fn new(target: &LogTarget) -> Memory {
        let queue = Arc::new(Queue::new());
        let (name, retired) = ("memory".to_owned(), AtomicBool::new(false));
        let outlet = Arc::new(Outlet { id: 0, name, retired, queue: queue.clone() });
        let frame = Frame::new(target, "localhost", 1);
        let targets = TargetSet::new(vec![Target { outlet, frame, level: target.level }]);
        Memory { queue, targets }
    }

    /// Where lines go that are to be found here.
    pub(crate) fn targets(&self) -> TargetSet {
        self.targets.clone()
    }

    /// A worker's side of it.
    pub(crate) fn worker(&self) -> WorkerLog {
        WorkerLog::new("localhost".into())
    }

    /// The lines, once every worker has handed over what it holds.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.queue.stop();
        let mut all = Vec::new();
        while let Task::Write(batch) = self.queue.next(Vec::new()) {
            all.extend_from_slice(&batch.bytes);
        }
        String::from_utf8_lossy(&all).lines().map(str::to_owned).collect()
    }
}
