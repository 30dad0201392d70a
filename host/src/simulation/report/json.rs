//! The report as JSON: for scripts, times in milliseconds.

use super::super::results::{End, Results, Slice};
use super::super::scenario::Scenario;
use super::super::traffic::Traffic;
use super::super::words::{MS, Nanoseconds};
use super::describe;

/// The report as one JSON object.
pub fn json(scenario: &Scenario, traffic: &Traffic, results: &[Results]) -> String {
    let lines: Vec<String> = describe(scenario, traffic).iter().map(|line| string(line)).collect();
    let policies: Vec<String> = results.iter().map(policy).collect();
    format!(
        "{{\n  \"scenario\": [{}],\n  \"seed\": {},\n  \"duration_ms\": {},\n  \"policies\": [\n{}\n  ]\n}}\n",
        lines.join(", "),
        scenario.seed,
        ms(scenario.duration),
        policies.join(",\n")
    )
}

fn policy(results: &Results) -> String {
    let mut fields = vec![
        ("policy", string(&results.policy)),
        ("requests", results.counted().to_string()),
        ("mean_ms", ms(results.times.mean())),
    ];
    for (name, share) in
        [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p99_9_ms", 0.999), ("max_ms", 1.0)]
    {
        fields.push((name, ms(results.quantile(share))));
    }
    let ends: Vec<String> = End::ALL
        .iter()
        .zip(results.ends)
        .map(|(end, count)| format!("\"{}\": {count}", end.name().replace(' ', "_")))
        .collect();
    fields.extend([
        ("ends", format!("{{{}}}", ends.join(", "))),
        ("retries", results.retries.to_string()),
        ("max_by_mean_load", results.imbalance().to_string()),
        ("peak_load", results.peak.to_string()),
    ]);
    let (share, least) = match results.moved {
        Some(moved) => (moved.share.to_string(), moved.least.to_string()),
        None => ("null".to_owned(), "null".to_owned()),
    };
    fields.extend([
        ("moved_keys", share),
        ("least_moved_keys", least),
        ("decisions", results.conduct.decisions.to_string()),
        ("host_picks", results.conduct.fallbacks.to_string()),
        ("faults", results.conduct.faults.to_string()),
        ("first_fault", results.conduct.first_fault.as_deref().map_or("null".to_owned(), string)),
        ("server_loads", list(results.loads.iter().map(f64::to_string))),
        ("server_requests", list(results.taken.iter().map(u64::to_string))),
        ("course_p99_ms", list(results.course.iter().map(|slice| ms(slice.times.quantile(0.99))))),
        ("course_max_load", list(results.course.iter().map(|slice: &Slice| slice.most.to_string()))),
    ]);
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("      \"{name}\": {value}")).collect();
    format!("    {{\n{}\n    }}", fields.join(",\n"))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn ms(time: Nanoseconds) -> String {
    (time as f64 / MS as f64).to_string()
}

/// A string as RFC 8259 has it.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => out += &format!("\\u{:04x}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c\nd\u{e4}"), "\"a\\\"b\\\\c\\u000ad\u{e4}\"");
    }
}
