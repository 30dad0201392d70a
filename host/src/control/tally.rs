//! What the log says of the policies: how they did, on SIGUSR2 and whenever a configuration goes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::policy::{BackendPolicies, Metrics};

/// Writes a line for each policy. Those that failed are a warning.
pub(super) fn log(policies: &[BackendPolicies]) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    for metrics in policies.iter().flat_map(|policies| policies.metrics(now_ms)) {
        let Metrics { policy, backend, decisions, fallbacks, instances, benches, benched, .. } = &metrics;
        let faults = metrics.faults();
        if faults == 0 {
            tracing::info!(
                backend,
                policy,
                decisions,
                instances,
                "policy {policy} of backend {backend} decided {decisions} times, with no fault"
            );
            continue;
        }
        let kinds: Vec<String> = metrics
            .faults
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{} {count}", kind.name()))
            .collect();
        tracing::warn!(
            backend,
            policy,
            decisions,
            fallbacks,
            instances,
            benches,
            benched,
            "policy {policy} of backend {backend} decided {decisions} times and failed {faults} times ({})",
            kinds.join(", "),
        );
    }
}
