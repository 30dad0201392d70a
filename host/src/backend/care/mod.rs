//! Care for servers beside their checks: those that come back start slowly, live traffic counts for their health,
//! retries are bounded, and what keeps
//! failing is left alone for a while. Workers count, in atomics; what follows from it is done on the control thread.

pub mod breaker;
pub mod budget;
pub mod circuit;
pub mod passive;
pub mod ramp;
pub mod sign;
pub mod tend;
pub mod window;

use std::sync::Arc;

use tokio::time::Instant;

use super::Backend;
use crate::config::model;
use budget::Budget;
use circuit::Circuit;

/// The budget of retries of a backend of this configuration: the one of before, where nothing is said anew.
pub(super) fn budget_of(config: &model::Backend, before: Option<&Backend>) -> Option<Arc<Budget>> {
    let said = config.retry_budget.as_ref()?;
    let same = before.filter(|before| before.config.retry_budget.as_ref() == Some(said));
    let kept = same.and_then(|before| before.retry_budget.clone());
    Some(kept.unwrap_or_else(|| Arc::new(Budget::new(said, Instant::now()))))
}

/// The circuit breaker of a backend of this configuration: the one of before, where nothing is said anew.
pub(super) fn circuit_of(config: &model::Backend, before: Option<&Backend>) -> Option<Arc<Circuit>> {
    let said = config.circuit_breaker.as_ref()?;
    let same = before.filter(|before| before.config.circuit_breaker.as_ref() == Some(said));
    let kept = same.and_then(|before| before.circuit.clone());
    Some(kept.unwrap_or_else(|| Arc::new(Circuit::new(said, Instant::now()))))
}
