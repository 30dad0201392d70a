//! `limits`: how much is let in for each key.

use std::sync::Arc;
use std::time::Duration;

use crate::rules::Condition;

/// One entry of `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name, unique in its frontend or backend, for logs and headers.
    pub name: Arc<str>,
    /// The requests that it counts.
    pub when: When,
    /// What is counted apart: one part or two.
    pub key: Vec<KeyPart>,
    /// The bits of an IPv4 address that tell clients apart.
    pub prefix_v4: u8,
    /// The bits of an IPv6 address that tell clients apart.
    pub prefix_v6: u8,
    /// What is bounded, and by how much.
    pub bound: Bound,
    /// The status that answers a request over the limit.
    pub status: u16,
    /// Whether what is over the limit is counted and logged, and passes.
    pub dry_run: bool,
    /// Whether responses to requests that pass say how much is left.
    pub headers: bool,
    /// The most keys that are remembered.
    pub max_keys: usize,
}

/// Which requests a [`Limit`] counts; `None`: each. It makes no difference between two limits that are otherwise the
/// same: what one has counted goes on counting under another condition.
#[derive(Debug, Clone, Default)]
pub struct When(pub Option<Arc<Condition>>);

impl PartialEq for When {
    fn eq(&self, _: &When) -> bool {
        true
    }
}

impl Eq for When {}

/// What a [`Limit`] tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// Nothing: everything counts together.
    All,
    /// The client's network.
    Client,
    /// The first line of this header, its name in lower case.
    Header(String),
    /// The first cookie of this name.
    Cookie(String),
    /// The path, without the query.
    Path,
}

/// What a [`Limit`] bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Requests.
    Requests(Rate),
    /// New connections.
    ConnectionRate(Rate),
    /// Connections held at once.
    Connections(u32),
}

/// How much in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many.
    pub count: u32,
    /// In this time.
    pub per: Duration,
    /// So many at once, after a pause that was long enough.
    pub burst: u32,
}
