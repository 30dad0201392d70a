//! Worlds for tests.

use super::distribution::Distribution;
use super::plan;
use super::scenario::Scenario;
use super::words::{MS, SECOND};

/// So many servers of 10 ms a request behind one balancer, for a minute.
pub(super) fn scenario(servers: usize) -> Scenario {
    Scenario {
        servers: plan::servers(servers),
        balancers: 1,
        duration: 60 * SECOND,
        warmup: 0,
        service: Distribution::Exponential { mean: 10 * MS },
        concurrency: 1,
        timeout: 10 * SECOND,
        retries: 3,
        detect: 2 * SECOND,
        slow: Vec::new(),
        failing: Vec::new(),
        churn: Vec::new(),
        seed: 1,
    }
}
