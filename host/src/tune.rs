//! Sizes and bounds that connections live by.

use std::time::Duration;

use crate::config::model;

/// A head leaves this much of a buffer free, for what is added on its way. As in HAProxy (tune.maxrewrite).
const MAX_REWRITE: usize = 1024;

/// Sizes and bounds, at hand for every connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tune {
    pub(crate) bufsize: usize,
    pub(crate) maxhdr: usize,
    pub(crate) pool_max_idle: usize,
    pub(crate) pool_idle_timeout: Duration,
}

impl Tune {
    /// As `lb.toml` has it.
    pub(crate) fn new(tune: &model::Tune) -> Tune {
        Tune {
            bufsize: tune.bufsize,
            maxhdr: tune.maxhdr,
            pool_max_idle: tune.pool_max_idle,
            pool_idle_timeout: tune.pool_idle_timeout,
        }
    }

    /// The longest head.
    pub(crate) fn max_head(&self) -> usize {
        self.bufsize.saturating_sub(MAX_REWRITE)
    }
}
