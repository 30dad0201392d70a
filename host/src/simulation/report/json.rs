//! The report as JSON: for scripts, times in milliseconds.

use serde_json::{Map, Value, json};

use super::super::results::{End, Results, Slice};
use super::super::scenario::Scenario;
use super::super::traffic::Traffic;
use super::super::words::{MS, Nanoseconds};
use super::describe;

/// The report as one JSON object.
pub fn json(scenario: &Scenario, traffic: &Traffic, results: &[Results]) -> Value {
    json!({
        "scenario": describe(scenario, traffic),
        "seed": scenario.seed,
        "duration_ms": ms(scenario.duration),
        "policies": results.iter().map(policy).collect::<Value>(),
    })
}

fn policy(results: &Results) -> Value {
    let ends: Map<String, Value> = End::ALL
        .iter()
        .zip(results.ends)
        .map(|(end, count)| (end.name().replace(' ', "_"), count.into()))
        .collect();
    let quantile = |share| ms(results.quantile(share));
    let course = |of: fn(&Slice) -> Value| results.course.iter().map(of).collect::<Value>();
    json!({
        "policy": results.policy,
        "requests": results.counted(),
        "mean_ms": ms(results.times.mean()),
        "p50_ms": quantile(0.5),
        "p90_ms": quantile(0.9),
        "p99_ms": quantile(0.99),
        "p99_9_ms": quantile(0.999),
        "max_ms": quantile(1.0),
        "ends": ends,
        "retries": results.retries,
        "max_by_mean_load": results.imbalance(),
        "peak_load": results.peak,
        "moved_keys": results.moved.as_ref().map(|moved| moved.share),
        "least_moved_keys": results.moved.as_ref().map(|moved| moved.least),
        "decisions": results.conduct.decisions,
        "host_picks": results.conduct.fallbacks,
        "faults": results.conduct.faults,
        "first_fault": results.conduct.first_fault,
        "server_loads": results.loads,
        "server_requests": results.taken,
        "course_p99_ms": course(|slice| ms(slice.times.quantile(0.99)).into()),
        "course_max_load": course(|slice| slice.most.into()),
    })
}

fn ms(time: Nanoseconds) -> f64 {
    time as f64 / MS as f64
}
