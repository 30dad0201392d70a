//! How it goes with a source: for metrics and a status page.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How it goes with the source of a backend's servers.
#[derive(Debug)]
pub struct Progress {
    source: Arc<str>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    successes: u64,
    failures: u64,
    failing_since: Option<SystemTime>,
    last_success: Option<SystemTime>,
    last_failure: Option<(SystemTime, String)>,
    left_over: usize,
}

/// How it goes with a source, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The source, as it is written in `lb.toml`.
    pub source: Arc<str>,
    /// How often it answered.
    pub successes: u64,
    /// How often it did not, or not in a way that makes sense.
    pub failures: u64,
    /// Since when it fails; `None`: it answered the last time that it was asked.
    pub failing_since: Option<SystemTime>,
    /// When it answered last.
    pub last_success: Option<SystemTime>,
    /// When it failed last, and why.
    pub last_failure: Option<(SystemTime, String)>,
    /// Servers that it names and for which there is no slot.
    pub left_over: usize,
    /// The slots that there are.
    pub slots: usize,
    /// Those that are filled.
    pub filled: usize,
}

impl Progress {
    /// Of a source that has not been asked yet.
    pub(crate) fn new(source: Arc<str>) -> Progress {
        Progress { source, counts: Mutex::default() }
    }

    /// Goes on from where an earlier configuration's was, if it is the same source.
    pub(crate) fn inherit(&self, before: &Progress) {
        if before.source == self.source {
            let counts = before.counts().clone();
            *self.counts() = counts;
        }
    }

    /// Whether the source has answered before.
    pub(crate) fn is_under_way(&self) -> bool {
        self.counts().successes > 0
    }

    pub(super) fn succeeded(&self, left_over: usize) {
        let mut counts = self.counts();
        counts.successes += 1;
        counts.failing_since = None;
        counts.last_success = Some(SystemTime::now());
        counts.left_over = left_over;
    }

    pub(super) fn failed(&self, why: &str) {
        let mut counts = self.counts();
        let now = SystemTime::now();
        counts.failures += 1;
        counts.failing_since.get_or_insert(now);
        counts.last_failure = Some((now, why.to_owned()));
    }

    /// How it goes, with what the backend's slots come to.
    pub(crate) fn snapshot(&self, slots: usize, filled: usize) -> Snapshot {
        let counts = self.counts().clone();
        Snapshot {
            source: self.source.clone(),
            successes: counts.successes,
            failures: counts.failures,
            failing_since: counts.failing_since,
            last_success: counts.last_success,
            last_failure: counts.last_failure,
            left_over: counts.left_over,
            slots,
            filled,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
