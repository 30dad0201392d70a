//! Metrics of what lets servers and clients in: sources of servers, and limits.

use super::Metric;
use super::Read::{Counter, Gauge};
use crate::stats::intake::{Discovery, Limit};

/// Of the source of a backend's servers.
pub(in super::super) const DISCOVERY: &[Metric<Discovery>] = &[
    Metric {
        name: "discovery_failing",
        haproxy: "",
        help: "Whether the source could not be asked the last time: 1, otherwise 0; its last servers stay meanwhile",
        read: Gauge(|it| Some(f64::from(it.failing_since_ms.is_some()))),
    },
    Metric {
        name: "discovery_failing_since_timestamp_seconds",
        haproxy: "",
        help: "Since when the source fails, in seconds since 1970; absent while it answers",
        read: Gauge(|it| it.failing_since_ms.map(seconds)),
    },
    Metric {
        name: "discovery_last_answer_timestamp_seconds",
        haproxy: "",
        help: "When the source answered last, in seconds since 1970; absent before it did",
        read: Gauge(|it| it.last_answer_ms.map(seconds)),
    },
    Metric {
        name: "discovery_answers",
        haproxy: "",
        help: "How often the source answered",
        read: Counter(|it| it.answers),
    },
    Metric {
        name: "discovery_failures",
        haproxy: "",
        help: "How often the source did not answer, or not in a way that makes sense",
        read: Counter(|it| it.failures),
    },
    Metric {
        name: "discovery_slots",
        haproxy: "",
        help: "Slots for servers that the source names",
        read: Gauge(|it| Some(it.slots as f64)),
    },
    Metric {
        name: "discovery_filled_slots",
        haproxy: "",
        help: "Slots that have a server",
        read: Gauge(|it| Some(it.filled as f64)),
    },
    Metric {
        name: "discovery_left_over_servers",
        haproxy: "",
        help: "Servers that the source names and for which there is no slot",
        read: Gauge(|it| Some(it.left_over as f64)),
    },
];

/// Of a limit.
pub(in super::super) const LIMIT: &[Metric<Limit>] = &[
    Metric {
        name: "limit_passed",
        haproxy: "",
        help: "Requests or connections that the limit counted and let pass",
        read: Counter(|it| it.passed),
    },
    Metric {
        name: "limit_refused",
        haproxy: "",
        help: "Requests or connections that were refused for being over the limit",
        read: Counter(|it| it.refused),
    },
    Metric {
        name: "limit_dry_run_refused",
        haproxy: "",
        help: "Requests or connections over the limit that passed, for it only tries",
        read: Counter(|it| it.dry_run_refused),
    },
    Metric {
        name: "limit_keys",
        haproxy: "",
        help: "Keys that the limit remembers",
        read: Gauge(|it| Some(it.keys as f64)),
    },
    Metric {
        name: "limit_max_keys",
        haproxy: "",
        help: "Keys that the limit has room for; on a rate it may hold up to twice as many, and on connections it bounds nothing",
        read: Gauge(|it| Some(it.keys_limit as f64)),
    },
];

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}
