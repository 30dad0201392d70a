//! Every metric: its name, what HAProxy calls it, what it means, and where in a snapshot it is read. The text for
//! Prometheus and `docs/metrics.md` are both made from this table, so that neither can say what the other does not.

mod intake;
mod process;
mod proxy;

use crate::histogram::{CallTimes, Times};

pub(super) use intake::{DISCOVERY, LIMIT};
pub(super) use process::{CERTIFICATE, LOG, POLICY, PROCESS, WORKER};
pub(super) use proxy::{BACKEND, FRONTEND, SERVER};

/// What every name begins with.
pub const PREFIX: &str = "lb_";

/// A metric of a `T`.
pub struct Metric<T: 'static> {
    /// Its name, without [`PREFIX`] and without a counter's `_total`.
    pub(super) name: &'static str,
    /// What HAProxy's exporter calls its like; empty where there is none.
    pub(super) haproxy: &'static str,
    /// What it means: a sentence without its full stop.
    pub(super) help: &'static str,
    pub(super) read: Read<T>,
}

/// How a metric is read, and so its type.
pub(super) enum Read<T: 'static> {
    /// A counter.
    Counter(fn(&T) -> u64),
    /// A counter of seconds.
    Seconds(fn(&T) -> f64),
    /// A counter for each class of statuses, in the label `code`.
    Classes(fn(&T) -> &[u64; 6]),
    /// A counter for each kind, in the label `kind`.
    Kinds(fn(&T) -> &[(&'static str, u64)]),
    /// A gauge; there is none where there is nothing to say.
    Gauge(fn(&T) -> Option<f64>),
    /// A gauge for each state, of which the present one is 1, in the label `state`.
    States(&'static [&'static str], fn(&T) -> &'static str),
    /// A gauge that is 1, with the version in a label.
    Version(fn(&T) -> &'static str),
    /// A histogram of seconds.
    Times(fn(&T) -> &Times),
    /// A histogram of seconds, for what takes microseconds.
    Calls(fn(&T) -> &CallTimes),
}

impl<T> Read<T> {
    /// The metric's type, in Prometheus's words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Read::Counter(_) | Read::Seconds(_) | Read::Classes(_) | Read::Kinds(_) => "counter",
            Read::Gauge(_) | Read::States(..) | Read::Version(_) => "gauge",
            Read::Times(_) | Read::Calls(_) => "histogram",
        }
    }

    /// The label that it adds to those of its subject.
    fn label(&self) -> Option<&'static str> {
        match self {
            Read::Classes(_) => Some("code"),
            Read::Kinds(_) => Some("kind"),
            Read::States(..) => Some("state"),
            Read::Version(_) => Some("version"),
            Read::Times(_) | Read::Calls(_) => Some("le"),
            Read::Counter(_) | Read::Seconds(_) | Read::Gauge(_) => None,
        }
    }
}

/// A metric as the reference has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is a metric of: `process`, `frontend` and so on.
    pub subject: &'static str,
    /// Its whole name, as samples have it (a histogram's without `_bucket`, `_sum` and `_count`).
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<&'static str>,
    /// What HAProxy's exporter calls its like; empty where there is none.
    pub haproxy: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// Every metric, subject by subject.
pub fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    add(&mut entries, "process", &[], PROCESS);
    add(&mut entries, "worker", &["worker"], WORKER);
    add(&mut entries, "frontend", &["frontend"], FRONTEND);
    add(&mut entries, "backend", &["backend"], BACKEND);
    add(&mut entries, "server", &["backend", "server"], SERVER);
    add(&mut entries, "policy", &["backend", "role", "position", "policy"], POLICY);
    add(&mut entries, "discovery", &["backend", "source"], DISCOVERY);
    add(&mut entries, "limit", &["section", "proxy", "limit"], LIMIT);
    add(&mut entries, "log", &["destination"], LOG);
    add(&mut entries, "certificate", &["proxy", "file"], CERTIFICATE);
    entries
}

fn add<T>(
    entries: &mut Vec<Entry>,
    subject: &'static str,
    labels: &[&'static str],
    metrics: &'static [Metric<T>],
) {
    entries.extend(metrics.iter().map(|metric| {
        let kind = metric.read.kind();
        let total = if kind == "counter" { "_total" } else { "" };
        Entry {
            subject,
            name: format!("{PREFIX}{}{total}", metric.name),
            kind,
            labels: labels.iter().copied().chain(metric.read.label()).collect(),
            haproxy: metric.haproxy,
            help: metric.help,
        }
    }));
}
