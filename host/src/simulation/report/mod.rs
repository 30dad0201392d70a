//! The report: what was simulated, a table, and the same as JSON or as a page with charts. Made from the scenario
//! and the results alone, so that the same seed gives the same bytes.

mod chart;
mod html;
mod json;

use std::fmt::Write;

use super::results::{End, Results};
use super::scenario::Scenario;
use super::traffic::Traffic;
use super::words::{figure, time};

pub use html::html;
pub use json::json;

/// What was simulated, in a few lines for people.
pub fn describe(scenario: &Scenario, traffic: &Traffic) -> Vec<String> {
    let servers = scenario.servers.len();
    let befallen: Vec<String> = scenario
        .slow
        .iter()
        .map(ToString::to_string)
        .chain(scenario.failing.iter().map(ToString::to_string))
        .chain(scenario.churn.iter().map(ToString::to_string))
        .collect();
    let befallen = if befallen.is_empty() { String::new() } else { format!(" ({})", befallen.join(", ")) };
    let concurrency = match scenario.concurrency {
        1 => "one request at a time".to_owned(),
        places => format!("{places} requests at a time"),
    };
    let balancers = match scenario.balancers {
        1 => "1 balancer".to_owned(),
        count => format!("{count} balancers"),
    };
    let servers = if servers == 1 { "1 server".to_owned() } else { format!("{servers} servers") };
    vec![
        format!("{servers}{befallen}, {concurrency}, {}", scenario.service),
        format!("{balancers}, {traffic}"),
        format!(
            "{} simulated, of which {} to warm up; timeout {}, {} retries, seed {}",
            time(scenario.duration),
            time(scenario.warmup),
            time(scenario.timeout),
            scenario.retries,
            scenario.seed
        ),
    ]
}

const HEADINGS: [&str; 11] = [
    "policy",
    "requests",
    "mean",
    "p50",
    "p99",
    "p99.9",
    "failed",
    "retries",
    "max/mean",
    "peak",
    "moved keys",
];

/// What each column says, for those who did not read the manual.
const LEGEND: &str = "times are from a request's arrival to its end; max/mean: the busiest server's average load \
                      by that of all; peak: the most requests that any server had at once; moved keys: the share \
                      that changed server when servers left or came, and the least that had to";

fn cells(results: &Results) -> [String; HEADINGS.len()] {
    let failed = results.failed() * 100.0;
    [
        results.policy.clone(),
        results.counted().to_string(),
        time(results.times.mean()),
        time(results.quantile(0.5)),
        time(results.quantile(0.99)),
        time(results.quantile(0.999)),
        if failed > 0.0 { format!("{failed:.2}%") } else { "0".to_owned() },
        results.retries.to_string(),
        format!("{:.2}", results.imbalance()),
        results.peak.to_string(),
        results.moved.map_or("-".to_owned(), |moved| {
            format!("{}% ({}%)", figure(moved.share * 100.0), figure(moved.least * 100.0))
        }),
    ]
}

/// What there is to say besides the table: how requests failed, and policies.
fn remarks(results: &[Results]) -> Vec<String> {
    let mut remarks = Vec::new();
    for result in results {
        let failures: Vec<String> = End::ALL
            .iter()
            .zip(result.ends)
            .filter(|(end, count)| **end != End::Answered && *count > 0)
            .map(|(end, count)| format!("{count} {}", end.name()))
            .collect();
        if !failures.is_empty() {
            remarks.push(format!("{}: {}", result.policy, failures.join(", ")));
        }
        let conduct = &result.conduct;
        if conduct.faults > 0 {
            let first = conduct.first_fault.as_deref().unwrap_or_default();
            remarks.push(format!("{}: {} failed calls; the first: {first}", result.policy, conduct.faults));
        }
        if conduct.fallbacks > 0 {
            remarks.push(format!(
                "{}: {} of {} picks were the host's own",
                result.policy,
                conduct.fallbacks,
                conduct.fallbacks + conduct.decisions
            ));
        }
    }
    remarks
}

/// The report for a terminal.
pub fn text(scenario: &Scenario, traffic: &Traffic, results: &[Results]) -> String {
    let rows: Vec<[String; HEADINGS.len()]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(results.iter().map(cells)).collect();
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = describe(scenario, traffic).join("\n") + "\n\n";
    for row in &rows {
        let (first, rest) = row.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let _ = write!(out, "{first:<width$}", width = widths[0]);
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            let _ = write!(out, "  {cell:>width$}");
        }
        out.push('\n');
    }
    let remarks = remarks(results);
    if !remarks.is_empty() {
        out += "\n";
        out += &remarks.join("\n");
        out += "\n";
    }
    out
}
