//! What lets servers and clients in, as a snapshot has it: the sources that backends' servers come from, and limits.

use serde::Serialize;

use crate::limit::Limits;

/// How it goes with the source of a backend's servers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Discovery {
    /// The backend.
    pub backend: String,
    /// The source, as it is written in `lb.toml`.
    pub source: String,
    /// How often it answered.
    pub answers: u64,
    /// How often it did not, or not in a way that makes sense.
    pub failures: u64,
    /// When it answered last: milliseconds since 1970; `None`: it never did.
    pub last_answer_ms: Option<u64>,
    /// Since when it fails: milliseconds since 1970; `None`: it answered the last time that it was asked.
    pub failing_since_ms: Option<u64>,
    /// Why it failed last; empty: it never did.
    pub why: String,
    /// The slots that there are for its servers.
    pub slots: usize,
    /// Those that are filled.
    pub filled: usize,
    /// Servers that it names and for which there is no slot.
    pub left_over: usize,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// Where it stands: `frontend` or `backend`.
    pub section: &'static str,
    /// The name of that frontend or backend.
    pub proxy: String,
    /// Its own name there.
    pub name: String,
    /// Requests or connections that it counted and let pass.
    pub passed: u64,
    /// Those over it that were refused.
    pub refused: u64,
    /// Those over it that passed, for it only tries.
    pub dry_run_refused: u64,
    /// Keys that it remembers.
    pub keys: usize,
    /// Those that it has room for; on a rate it may hold up to twice as many.
    pub keys_limit: usize,
}

impl Limit {
    /// Those of a frontend or backend.
    pub(crate) fn all(limits: &Limits) -> impl Iterator<Item = Limit> + '_ {
        let (section, proxy) = limits.owner();
        limits.counted().map(move |counted| Limit {
            section,
            proxy: proxy.to_owned(),
            name: counted.name.to_string(),
            passed: counted.passed,
            refused: if counted.dry_run { 0 } else { counted.over },
            dry_run_refused: if counted.dry_run { counted.over } else { 0 },
            keys: counted.keys,
            keys_limit: counted.max_keys,
        })
    }
}
