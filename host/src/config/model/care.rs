//! How a backend cares for its servers: what live traffic tells of them, and what is repeated.

use std::time::Duration;

/// What a server's live traffic tells of its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    /// What counts.
    pub layer: Layer,
    /// Errors in a row that are too many.
    pub error_limit: u32,
    /// What comes of them.
    pub on_error: OnError,
}

/// What live traffic is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Whether connections can be made.
    Connections,
    /// That, and whether answers come in time, can be understood, and are no errors of the server's.
    Answers,
}

/// What comes of too many errors in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The next check comes sooner.
    FastInter,
    /// They count as a failed check.
    FailCheck,
    /// They count as a failed check, and one more takes the server DOWN.
    SuddenDeath,
    /// The server is DOWN.
    MarkDown,
}

impl OnError {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            OnError::FastInter => "fastinter",
            OnError::FailCheck => "fail-check",
            OnError::SuddenDeath => "sudden-death",
            OnError::MarkDown => "mark-down",
        }
    }
}

/// Which requests may have a connection to a server that has served others: HAProxy's `http-reuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpReuse {
    /// Those of the client for whom it was made.
    Never,
    /// Those that may come twice; and others, but for a client's first, on one that served another a moment ago.
    #[default]
    Safe,
    /// As [`HttpReuse::Safe`], however long it has idled; a client's first too, on one that was reused before.
    Aggressive,
    /// All.
    Always,
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// Connections that failed.
    pub conn_failure: bool,
    /// Requests whose connection the server closed before a byte of an answer.
    pub empty_response: bool,
    /// Requests whose answer is not HTTP, or ends within its head.
    pub junk_response: bool,
    /// Requests whose answer did not come in time.
    pub response_timeout: bool,
    /// Requests that were answered with one of these.
    pub statuses: Vec<u16>,
    /// Whether requests that a server has seen are repeated whatever their method, and not only those of methods that
    /// RFC 9110, section 9.2.2, calls idempotent.
    pub any_method: bool,
}

impl Default for RetryOn {
    /// Connections that failed, and nothing else.
    fn default() -> RetryOn {
        RetryOn {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            statuses: Vec::new(),
            any_method: false,
        }
    }
}

/// How many retries there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests in the window.
    pub percent: u32,
    /// Beside those, for each second of the window.
    pub min_per_second: u32,
    /// How long requests and retries count.
    pub window: Duration,
}

/// A backend's circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// Requests that it holds at once; more are refused.
    pub max_requests: Option<u32>,
    /// Requests in a line for a server, or for any; more are refused.
    pub max_pending: Option<u32>,
    /// When failures open it; `None`: never.
    pub tripping: Option<Tripping>,
}

/// When failures open a circuit breaker, and what closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tripping {
    /// The share of failures that is too large.
    pub error_percent: u32,
    /// Among fewer requests than these no share is too large.
    pub min_requests: u32,
    /// How long requests count.
    pub window: Duration,
    /// How long it is open.
    pub open_for: Duration,
    /// Requests that have to pass after that, all of them, to close it.
    pub probes: u16,
}
