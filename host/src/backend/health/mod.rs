//! Health: who of a backend's servers may serve. [`state`] decides, [`check`] asks a server, [`checker`]
//! does so again and again and tells the backend what changed. No request ever waits for any of it.

pub mod check;
pub mod checker;
pub mod state;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::care::passive::Errors;
use super::care::window::Counts;
use crate::config::model;
use check::Finding;
use state::Health;

/// Transitions that a server remembers, the latest ones.
const HISTORY: usize = 16;

/// What is known of a server's health: its state, its last check, and how it came to where it is.
#[derive(Debug, Clone)]
pub struct Record {
    /// The state that its checks have brought it to; `None` for a server that is not checked.
    pub health: Option<Health>,
    /// Its last check.
    pub last_check: Option<LastCheck>,
    /// Its latest transitions, the oldest first.
    pub history: VecDeque<Transition>,
    /// Checks that are over.
    pub checks: u64,
    /// Those that failed.
    pub checks_failed: u64,
    /// How often the server went DOWN.
    pub downs: u64,
    /// For how long it was DOWN, up to when it last went UP.
    pub downtime: Duration,
    /// Since when it has been DOWN; `None` while it is UP.
    pub down_since: Option<SystemTime>,
}

/// A check that is over.
#[derive(Debug, Clone)]
pub struct LastCheck {
    /// When it was over.
    pub at: SystemTime,
    /// The same on the clock that paces the checks.
    pub finished: Instant,
    /// How long it took.
    pub took: Duration,
    /// What it found.
    pub finding: Finding,
}

/// A server that went UP or DOWN.
#[derive(Debug, Clone)]
pub struct Transition {
    /// When.
    pub at: SystemTime,
    /// Whether it went UP.
    pub up: bool,
    /// Why.
    pub cause: Cause,
}

/// Why a server went UP or DOWN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A check found this.
    Check(Finding),
    /// Its name does not resolve, for this reason.
    Unresolved(String),
    /// Its name resolved for the first time.
    Resolved(SocketAddr),
    /// Live traffic had so many errors in a row.
    Observed(Errors),
    /// Its circuit breaker opened: these had failed.
    Tripped(Counts),
    /// Its circuit breaker lets probes through.
    Probed,
    /// Its source names it.
    Found(SocketAddr),
    /// Its source does not name it any more.
    Gone(SocketAddr),
}

impl Record {
    /// The record of a server that has not been checked yet.
    pub fn start(check: Option<&model::Check>) -> Record {
        let health = check.map(|check| Health::start(check.rise, check.fall));
        Record {
            health,
            last_check: None,
            history: VecDeque::new(),
            checks: 0,
            checks_failed: 0,
            downs: 0,
            downtime: Duration::ZERO,
            down_since: None,
        }
    }

    pub(super) fn remember(&mut self, up: bool, cause: Cause) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let now = SystemTime::now();
        if up {
            let since = self.down_since.take();
            self.downtime += since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default();
        } else if self.down_since.is_none() {
            self.down_since = Some(now);
            self.downs += 1;
        }
        self.history.push_back(Transition { at: now, up, cause });
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Check(finding) => write!(f, "{finding}"),
            Cause::Unresolved(why) => write!(f, "its name does not resolve ({why})"),
            Cause::Resolved(address) => write!(f, "its name resolves to {}", address.ip()),
            Cause::Observed(errors) => write!(f, "Health analyze, {errors}"),
            Cause::Tripped(Counts { all: 0, .. }) => f.write_str("circuit breaker open, a probe failed"),
            Cause::Tripped(counts) => write!(f, "circuit breaker open, {counts}"),
            Cause::Probed => f.write_str("circuit breaker half-open, probes are let through"),
            Cause::Found(address) => write!(f, "its source names {address}"),
            Cause::Gone(address) => write!(f, "its source no longer names {address}"),
        }
    }
}
