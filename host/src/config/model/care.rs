//! How a backend cares for its servers: what live traffic tells of them.

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
