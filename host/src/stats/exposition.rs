//! A snapshot as text for Prometheus: OpenMetrics, written by `prometheus-client` from the table of metrics, and
//! the older text format for whoever does not ask for OpenMetrics. Labels hold names of the configuration and
//! nothing that a client sends, so their number is bounded by it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::CLASSES;
use super::snapshot::Snapshot;
use super::table::{
    BACKEND, CERTIFICATE, DISCOVERY, FRONTEND, LIMIT, LOG, Metric, POLICY, PREFIX, PROCESS, Read, SERVER,
    WORKER,
};
use crate::histogram::{BOUNDS_US, BUCKETS, CALL_BOUNDS_NS, CALL_BUCKETS, CallTimes, Times};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own, version 0.0.4.
    Classic,
}

impl Format {
    /// The format that an `Accept` line asks for.
    pub fn accepted(accept: &str) -> Format {
        let asks = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            kind.eq_ignore_ascii_case("application/openmetrics-text")
                && !parts.any(|part| part.trim_start_matches("q=").parse::<f32>() == Ok(0.0))
        };
        if accept.split(',').any(asks) { Format::OpenMetrics } else { Format::Classic }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The snapshot's text.
///
/// # Errors
/// None, as long as memory lasts.
pub fn text(snapshot: Snapshot, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(snapshot)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Classic => classic(&text),
    })
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

#[derive(Debug)]
struct Scrape(Snapshot);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Scrape(snapshot) = self;
        families(&mut encoder, PROCESS, &[(Vec::new(), &snapshot.process)])?;
        let indices: Vec<String> = snapshot.workers.iter().map(|worker| worker.index.to_string()).collect();
        let workers = snapshot.workers.iter().zip(&indices);
        let workers: Vec<_> = workers.map(|(worker, index)| (vec![("worker", &**index)], worker)).collect();
        families(&mut encoder, WORKER, &workers)?;
        let frontends = snapshot.frontends.iter();
        let frontends: Vec<_> = frontends.map(|it| (vec![("frontend", &*it.name)], it)).collect();
        families(&mut encoder, FRONTEND, &frontends)?;
        let backends: Vec<_> =
            snapshot.backends.iter().map(|it| (vec![("backend", &*it.name)], it)).collect();
        families(&mut encoder, BACKEND, &backends)?;
        let servers = snapshot.backends.iter().flat_map(|backend| {
            let labels = |name| vec![("backend", &*backend.name), ("server", name)];
            backend.servers.iter().map(move |server| (labels(&*server.name), server))
        });
        families(&mut encoder, SERVER, &servers.collect::<Vec<_>>())?;
        let positions: Vec<String> = snapshot.policies.iter().map(|it| it.position.to_string()).collect();
        let policies = snapshot.policies.iter().zip(&positions).map(|(it, position)| {
            let labels = vec![
                ("backend", &*it.backend),
                ("role", it.role),
                ("position", position),
                ("policy", &*it.name),
            ];
            (labels, it)
        });
        families(&mut encoder, POLICY, &policies.collect::<Vec<_>>())?;
        let discoveries = snapshot.discoveries.iter();
        let discoveries: Vec<_> =
            discoveries.map(|it| (vec![("backend", &*it.backend), ("source", &*it.source)], it)).collect();
        families(&mut encoder, DISCOVERY, &discoveries)?;
        let limits = snapshot.limits.iter();
        let limits: Vec<_> = limits
            .map(|it| (vec![("section", it.section), ("proxy", &*it.proxy), ("limit", &*it.name)], it))
            .collect();
        families(&mut encoder, LIMIT, &limits)?;
        let logs: Vec<_> =
            snapshot.logs.iter().map(|it| (vec![("destination", &*it.destination)], it)).collect();
        families(&mut encoder, LOG, &logs)?;
        let certificates: Vec<_> = snapshot
            .certificates
            .iter()
            .map(|it| (vec![("proxy", &*it.proxy), ("file", &*it.file)], it))
            .collect();
        families(&mut encoder, CERTIFICATE, &certificates)
    }
}

/// Writes each metric of the table, for all of its subjects together.
fn families<T>(
    encoder: &mut DescriptorEncoder<'_>,
    table: &'static [Metric<T>],
    subjects: &[(Labels<'_>, &T)],
) -> fmt::Result {
    for metric in table {
        let kind = match metric.read.kind() {
            "counter" => MetricType::Counter,
            "histogram" => MetricType::Histogram,
            _ => MetricType::Gauge,
        };
        let name = format!("{PREFIX}{}", metric.name);
        let help = format!("{}.", metric.help);
        let mut family = encoder.encode_descriptor(&name, &help, None, kind)?;
        for (labels, subject) in subjects {
            samples(&mut family, &metric.read, labels, subject)?;
        }
    }
    Ok(())
}

fn samples<'a, T>(
    family: &mut MetricEncoder<'_>,
    read: &Read<T>,
    labels: &Labels<'a>,
    subject: &'a T,
) -> fmt::Result {
    let with =
        |name, value: &'a str| -> Labels<'a> { labels.iter().copied().chain([(name, value)]).collect() };
    match read {
        Read::Counter(read) => counter(family, labels, &read(subject)),
        Read::Seconds(read) => counter(family, labels, &read(subject)),
        Read::Classes(read) => {
            let mut classes = CLASSES.iter().zip(read(subject));
            classes.try_for_each(|(class, n)| counter(family, &with("code", class), n))
        }
        Read::Kinds(read) => {
            read(subject).iter().try_for_each(|(kind, n)| counter(family, &with("kind", kind), n))
        }
        Read::Gauge(read) => read(subject).map_or(Ok(()), |value| gauge(family, labels, value)),
        Read::States(states, read) => {
            let present = read(subject);
            let value = |state: &str| f64::from(u8::from(state == present));
            states.iter().try_for_each(|state| gauge(family, &with("state", state), value(state)))
        }
        Read::Version(read) => gauge(family, &with("version", read(subject)), 1.0),
        Read::Times(read) => histogram(family, labels, read(subject)),
        Read::Calls(read) => calls(family, labels, read(subject)),
    }
}

fn counter(
    family: &mut MetricEncoder<'_>,
    labels: &Labels<'_>,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    if labels.is_empty() {
        return family.encode_counter::<NoLabelSet, _, f64>(value, None);
    }
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(value, None)
}

fn gauge(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: f64) -> fmt::Result {
    if labels.is_empty() {
        family.encode_gauge(&value)
    } else {
        family.encode_family(labels)?.encode_gauge(&value)
    }
}

fn histogram(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, times: &Times) -> fmt::Result {
    let mut buckets = [(f64::INFINITY, 0); BUCKETS];
    for (index, (bucket, count)) in buckets.iter_mut().zip(&times.buckets).enumerate() {
        let bound = BOUNDS_US.get(index).map_or(f64::INFINITY, |us| f64::from(*us) / 1e6);
        *bucket = (bound, *count);
    }
    let sum = times.sum_us as f64 / 1e6;
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, times.count(), &buckets, None)
}

fn calls(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, times: &CallTimes) -> fmt::Result {
    let mut buckets = [(f64::INFINITY, 0); CALL_BUCKETS];
    for (index, (bucket, count)) in buckets.iter_mut().zip(&times.buckets).enumerate() {
        let bound = CALL_BOUNDS_NS.get(index).map_or(f64::INFINITY, |ns| f64::from(*ns) / 1e9);
        *bucket = (bound, *count);
    }
    let sum = times.sum_ns as f64 / 1e9;
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, times.count(), &buckets, None)
}

/// The same in Prometheus's own format, which names a counter as its samples do, and knows no end mark.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            let help = help.take().map_or("", |(_, help)| help);
            text += &format!("# HELP {name}{total} {help}\n# TYPE {name}{total} {kind}\n");
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for accept in ["", "*/*", "text/plain", "text/html, application/openmetrics-text;q=0"] {
            assert_eq!(Format::accepted(accept), Format::Classic, "{accept}");
        }
    }

    #[test]
    fn the_older_format_names_a_counter_as_its_samples_do() {
        let open = "# HELP lb_x What it is.\n# TYPE lb_x counter\nlb_x_total{a=\"b\"} 1\n# HELP lb_y Y.\n\
                    # TYPE lb_y gauge\nlb_y 1.0\n# EOF\n";
        let expected = "# HELP lb_x_total What it is.\n# TYPE lb_x_total counter\nlb_x_total{a=\"b\"} 1\n\
                        # HELP lb_y Y.\n# TYPE lb_y gauge\nlb_y 1.0\n";
        assert_eq!(classic(open), expected);
    }
}
