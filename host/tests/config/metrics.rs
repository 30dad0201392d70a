//! The reference of every metric, `docs/metrics.md`: made from the table that the text for Prometheus is made from.
//! `LB_BLESS=1` rewrites it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lb_host::histogram::{BOUNDS_US, CALL_BOUNDS_NS};
use lb_host::stats::table::{self, Entry};

const INTRODUCTION: &str = r#"# The metrics of lb

With `[global] admin = { bind = "127.0.0.1:8404" }`, `GET /metrics` there gives every counter to Prometheus: as
OpenMetrics 1.0 to whoever accepts it, otherwise in Prometheus's text format 0.0.4. `examples/monitoring` has a
configuration for Prometheus, alerts and a dashboard for Grafana.

- **Counters** count since the start of the process, and go on over a reload for every frontend, backend and server
  that keeps its name; those of policies begin anew, and those of a limit that changes. A backend's counts never go down when one of its servers leaves.
- **Labels** hold names of the configuration and nothing that a client sends. There are as many series as the
  configuration makes: some 60 for each server, 110 for each backend.
- **A request is counted when it is over**, with its answer's last byte. One that is under way is in the `current`
  gauges alone.
- **The endpoint** runs on the control thread. Workers count with ordinary loads and stores into memory of their own
  and are not asked; so the figures of one answer can be apart by what happened while they were read.
- On a loopback address the endpoint answers only where `Host` is an IP address or `localhost`, with 421 otherwise: a
  web page could else have a browser on this machine read it under a name that resolves to 127.0.0.1.

The third column says what HAProxy's exporter calls the like of it. A session of HAProxy's backends and servers is a
request here, for connections to servers are shared. Where HAProxy gives an average over the last 1024 requests, there
is a histogram: `rate(X_sum[5m]) / rate(X_count[5m])` is the average, `histogram_quantile` gives the percentiles.

This text is made from the table of metrics that the program answers from.
"#;

fn about(subject: &str) -> &'static str {
    match subject {
        "process" => "The process",
        "worker" => "Workers",
        "frontend" => "Frontends",
        "backend" => "Backends",
        "server" => "Servers",
        "policy" => "Policies, in each role of each backend",
        "discovery" => "Sources of servers",
        "limit" => "Limits, of frontends and backends",
        "log" => "Destinations of log lines",
        "certificate" => "Certificates in use",
        other => panic!("{other} has no title"),
    }
}

fn reference() -> String {
    let bounds: Vec<String> = BOUNDS_US.iter().map(|us| format!("{}", f64::from(*us) / 1e6)).collect();
    let calls: Vec<String> = CALL_BOUNDS_NS.iter().map(|ns| format!("{}", f64::from(*ns) / 1e9)).collect();
    let mut text = format!(
        "{INTRODUCTION}\nThe buckets of every histogram, in seconds: {}. Those of policies' calls, of which one in 64 is \
         timed: {}.\n",
        bounds.join(", "),
        calls.join(", ")
    );
    let mut subject = "";
    for entry in &table::entries() {
        if entry.subject != subject {
            subject = entry.subject;
            text += &format!("\n## {}\n\n", about(subject));
            text += "| metric | type | in HAProxy | labels | meaning |\n|---|---|---|---|---|\n";
        }
        let labels: Vec<_> = entry.labels.iter().map(|label| format!("`{label}`")).collect();
        let haproxy = if entry.haproxy.is_empty() { String::new() } else { format!("`{}`", entry.haproxy) };
        let Entry { name, kind, help, .. } = entry;
        text += &format!("| `{name}` | {kind} | {haproxy} | {} | {help}. |\n", labels.join(" "));
    }
    text
}

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let made = reference();
    if std::env::var_os("LB_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "docs/metrics.md is not what the table says; LB_BLESS=1 makes it anew");
}

#[test]
fn every_metric_has_a_name_of_its_own_that_prometheus_takes() {
    let entries = table::entries();
    let names: HashSet<_> = entries.iter().map(|entry| &entry.name).collect();
    assert_eq!(names.len(), entries.len());
    for Entry { name, kind, help, haproxy, .. } in &entries {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        assert!(!help.is_empty() && !help.ends_with('.') && !help.contains(['\n', '\\']), "{name}: {help}");
        assert!(haproxy.is_empty() || haproxy.starts_with("haproxy_"), "{name}: {haproxy}");
    }
}
