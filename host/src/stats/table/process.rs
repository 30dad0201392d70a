//! Metrics of the process: of itself, its workers, its policies, logs and certificates.

use super::Metric;
use super::Read::{Calls, Counter, Gauge, Kinds, Seconds, Version};
use crate::stats::snapshot::{Certificate, Log, Policy, Process, Worker};

/// Of a process.
pub(in super::super) const PROCESS: &[Metric<Process>] = &[
    Metric {
        name: "build_info",
        haproxy: "haproxy_process_build_info",
        help: "The version of the running program; always 1",
        read: Version(|it| it.version),
    },
    Metric {
        name: "process_start_time_seconds",
        haproxy: "haproxy_process_start_time_seconds",
        help: "When the process started, in seconds since 1970",
        read: Gauge(|it| Some(it.started_ms as f64 / 1e3)),
    },
    Metric {
        name: "process_uptime_seconds",
        haproxy: "haproxy_process_uptime_seconds",
        help: "For how long the process has been running",
        read: Gauge(|it| Some(it.uptime_seconds)),
    },
    Metric {
        name: "process_current_connections",
        haproxy: "haproxy_process_current_connections",
        help: "Client connections now",
        read: Gauge(|it| Some(f64::from(it.connections))),
    },
    Metric {
        name: "process_max_connections_seen",
        haproxy: "haproxy_process_max_used_conns",
        help: "The most client connections there were at once",
        read: Gauge(|it| Some(f64::from(it.connections_max))),
    },
    Metric {
        name: "process_limit_connections",
        haproxy: "haproxy_process_max_connections",
        help: "How many client connections there may be; absent where there is no limit",
        read: Gauge(|it| it.connections_limit.map(f64::from)),
    },
    Metric {
        name: "process_cpu_seconds",
        haproxy: "",
        help: "Processor time that the process used",
        read: Seconds(|it| it.cpu_seconds),
    },
    Metric {
        name: "process_resident_memory_bytes",
        haproxy: "",
        help: "Memory that the process uses",
        read: Gauge(|it| Some(it.resident_bytes as f64)),
    },
    Metric {
        name: "process_virtual_memory_bytes",
        haproxy: "",
        help: "Address space that the process uses, most of it set aside for policies and never touched",
        read: Gauge(|it| Some(it.virtual_bytes as f64)),
    },
    Metric {
        name: "process_open_fds",
        haproxy: "",
        help: "File descriptors that are open",
        read: Gauge(|it| Some(it.open_fds as f64)),
    },
    Metric {
        name: "process_max_fds",
        haproxy: "haproxy_process_max_fds",
        help: "File descriptors that may be open; absent where there is no limit",
        read: Gauge(|it| it.max_fds.map(|max| max as f64)),
    },
    Metric {
        name: "process_threads",
        haproxy: "haproxy_process_nbthread",
        help: "Threads of the process, of which only some are workers",
        read: Gauge(|it| Some(it.threads as f64)),
    },
    Metric {
        name: "process_stopping",
        haproxy: "haproxy_process_stopping",
        help: "Whether the process drains: 1, otherwise 0",
        read: Gauge(|it| Some(f64::from(it.draining))),
    },
    Metric {
        name: "config_generations",
        haproxy: "",
        help: "Configurations that requests are served by: the one in force, and each of before until the last exchange \
               that began under it ends",
        read: Gauge(|it| Some(it.generations as f64)),
    },
    Metric {
        name: "config_reloads",
        haproxy: "",
        help: "Configurations that were put into force since the start",
        read: Counter(|it| it.reloads),
    },
    Metric {
        name: "config_reload_failures",
        haproxy: "",
        help: "Configurations that were refused, while the one of before stayed in force",
        read: Counter(|it| it.reloads_failed),
    },
    Metric {
        name: "config_last_reload_successful",
        haproxy: "",
        help: "Whether the configuration that was read last is in force: 1, otherwise 0",
        read: Gauge(|it| Some(f64::from(it.configuration_current))),
    },
    Metric {
        name: "config_last_reload_success_timestamp_seconds",
        haproxy: "",
        help: "When the configuration in force was put there, in seconds since 1970",
        read: Gauge(|it| Some(it.configured_ms as f64 / 1e3)),
    },
];

/// Of a worker.
pub(in super::super) const WORKER: &[Metric<Worker>] = &[
    Metric {
        name: "worker_busy_seconds",
        haproxy: "",
        help: "How long the worker was at work; its rate is the share of a core that it takes",
        read: Seconds(|it| it.busy_seconds),
    },
    Metric {
        name: "worker_sleeps",
        haproxy: "",
        help: "How often the worker had nothing to do and waited for events",
        read: Counter(|it| it.sleeps),
    },
];

/// Of a policy.
pub(in super::super) const POLICY: &[Metric<Policy>] = &[
    Metric {
        name: "policy_decisions",
        haproxy: "",
        help: "Calls that the policy decided",
        read: Counter(|it| it.decisions),
    },
    Metric {
        name: "policy_passes",
        haproxy: "",
        help: "Picks that the policy passed on to the next one",
        read: Counter(|it| it.passes),
    },
    Metric {
        name: "policy_reused_answers",
        haproxy: "",
        help: "Answers that were given again without a call",
        read: Counter(|it| it.reused),
    },
    Metric {
        name: "policy_fallback_decisions",
        haproxy: "",
        help: "Calls that the host decided in the policy's place: it failed, or is left out",
        read: Counter(|it| it.fallbacks),
    },
    Metric {
        name: "policy_faults",
        haproxy: "",
        help: "Calls that failed, by kind",
        read: Kinds(|it| &it.faults),
    },
    Metric {
        name: "policy_instances",
        haproxy: "",
        help: "Instances that were made of the policy",
        read: Counter(|it| it.instances),
    },
    Metric {
        name: "policy_benches",
        haproxy: "",
        help: "How often the policy was left out for a while, for failing too often",
        read: Counter(|it| it.benches),
    },
    Metric {
        name: "policy_benched",
        haproxy: "",
        help: "Whether the policy is left out now: 1, otherwise 0",
        read: Gauge(|it| Some(f64::from(it.benched))),
    },
    Metric {
        name: "policy_call_time_seconds",
        haproxy: "",
        help: "How long calls of the policy took, with the host's part in them; one in 64 is timed",
        read: Calls(|it| &it.call_times),
    },
];

/// Of a log.
/// Of a certificate.
pub(in super::super) const CERTIFICATE: &[Metric<Certificate>] = &[Metric {
    name: "certificate_not_after_timestamp_seconds",
    haproxy: "",
    help: "When the certificate ends: seconds since 1970",
    read: Gauge(|it| Some(it.not_after as f64)),
}];

pub(in super::super) const LOG: &[Metric<Log>] = &[
    Metric {
        name: "log_lines_written",
        haproxy: "",
        help: "Log lines that were written",
        read: Counter(|it| it.written),
    },
    Metric {
        name: "log_lines_dropped",
        haproxy: "haproxy_process_dropped_logs_total",
        help: "Log lines that were lost: the reader was too slow, or is not there",
        read: Counter(|it| it.dropped),
    },
];
