//! How servers are cared for, and what is tried again.

use std::time::Duration;

use toml::de::DeValue;

use super::diagnostics::Problem;
use super::layer::ServerOptions;
use super::model::care::{Circuit, HttpReuse, Layer, Observe, OnError, RetryBudget, RetryOn, Tripping};
use super::read::{Switch, count, duration, interval};
use super::section::{Complaint, Section, Value};

/// What a server's live traffic tells of its health, where it is to tell anything.
pub(super) fn observed(options: &ServerOptions) -> Option<Observe> {
    Some(Observe {
        layer: options.observe?,
        error_limit: options.error_limit.unwrap_or(10),
        on_error: options.on_error.unwrap_or(OnError::FailCheck),
    })
}

/// `observe`.
pub(super) fn layer(value: Value<'_>) -> Option<Layer> {
    value.one_of(&[("layer4", Layer::Connections), ("layer7", Layer::Answers)])
}

/// `on_error`.
pub(super) fn on_error(value: Value<'_>) -> Option<OnError> {
    let all = [OnError::FastInter, OnError::FailCheck, OnError::SuddenDeath, OnError::MarkDown];
    value.one_of(&all.map(|one| (one.name(), one)))
}

/// `http_reuse`.
pub(super) fn http_reuse(value: Value<'_>) -> Option<HttpReuse> {
    value.one_of(&[
        ("never", HttpReuse::Never),
        ("safe", HttpReuse::Safe),
        ("aggressive", HttpReuse::Aggressive),
        ("always", HttpReuse::Always),
    ])
}

/// What `retry_on` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Nothing,
    ConnFailure,
    EmptyResponse,
    JunkResponse,
    ResponseTimeout,
    Status(u16),
    AllRetryable,
}

const EVENTS: [(&str, Event); 17] = [
    ("none", Event::Nothing),
    ("conn-failure", Event::ConnFailure),
    ("empty-response", Event::EmptyResponse),
    ("junk-response", Event::JunkResponse),
    ("response-timeout", Event::ResponseTimeout),
    ("all-retryable-errors", Event::AllRetryable),
    ("401", Event::Status(401)),
    ("403", Event::Status(403)),
    ("404", Event::Status(404)),
    ("408", Event::Status(408)),
    ("425", Event::Status(425)),
    ("429", Event::Status(429)),
    ("500", Event::Status(500)),
    ("501", Event::Status(501)),
    ("502", Event::Status(502)),
    ("503", Event::Status(503)),
    ("504", Event::Status(504)),
];

/// `retry_on`.
pub(super) fn retry_on(value: Value<'_>) -> Option<RetryOn> {
    let values = value.one_or_many();
    let events: Vec<Event> = values.iter().filter_map(|value| event(*value)).collect();
    if values.is_empty() || (events.contains(&Event::Nothing) && values.len() > 1) {
        value.refuse(Complaint::new(
            "`none` stands for itself alone",
            "write `retry_on = \"none\"` to retry nothing",
        ));
        return None;
    }
    let all = events.contains(&Event::AllRetryable);
    let has = |event| all || events.contains(&event);
    let mut statuses: Vec<u16> = if all { vec![500, 502, 503, 504] } else { Vec::new() };
    for event in &events {
        match event {
            Event::Status(status) if !statuses.contains(status) => statuses.push(*status),
            _ => {}
        }
    }
    statuses.sort_unstable();
    Some(RetryOn {
        conn_failure: has(Event::ConnFailure),
        empty_response: has(Event::EmptyResponse),
        junk_response: has(Event::JunkResponse),
        response_timeout: has(Event::ResponseTimeout),
        statuses,
        any_method: false,
    })
}

fn event(value: Value<'_>) -> Option<Event> {
    if !value.toml().is_integer() {
        return value.one_of(&EVENTS);
    }
    let status = value.integer(100..=599)?;
    let event = EVENTS.iter().map(|(_, event)| *event).find(|event| *event == Event::Status(status));
    if event.is_none() {
        let statuses = EVENTS.iter().filter(|(name, _)| name.parse::<u16>().is_ok());
        let statuses: Vec<&str> = statuses.map(|(name, _)| *name).collect();
        let message = format!("an answer of {status} is nothing to try again");
        value.refuse(Complaint::new(message, format!("it can be {}", statuses.join(", "))));
    }
    event
}

/// `retry_methods`: whether it is all of them.
pub(super) fn any_method(value: Value<'_>) -> Option<bool> {
    value.one_of(&[("idempotent", false), ("all", true)])
}

/// `retry_budget`.
pub(super) fn retry_budget(value: Value<'_>) -> Option<Switch<RetryBudget>> {
    if let DeValue::Boolean(false) = value.toml() {
        return Some(Switch::Off);
    }
    let table = value.section()?;
    let budget = RetryBudget {
        percent: table.read("percent", |value| value.integer(0..=1_000)).unwrap_or(20),
        min_per_second: table.read("min_per_second", |value| value.integer(0..=100_000)).unwrap_or(10),
        window: table.read("window", window).unwrap_or(Duration::from_secs(10)),
    };
    if budget.percent == 0 && budget.min_per_second == 0 {
        let help = "write `retries = 0` to retry nothing";
        value.refuse(Complaint::new("this budget never grants a retry", help));
    }
    Some(Switch::On(budget))
}

/// A backend's `circuit_breaker`.
pub(super) fn circuit(value: Value<'_>) -> Option<Switch<Circuit>> {
    if let DeValue::Boolean(false) = value.toml() {
        return Some(Switch::Off);
    }
    let table = value.section()?;
    let bound = |key: &str| table.read(key, |value| value.integer(1..=u32::MAX));
    let circuit = Circuit {
        max_requests: bound("max_requests"),
        max_pending: bound("max_pending"),
        tripping: tripping(&table),
    };
    let keys = ["max_requests", "max_pending", "error_percent"];
    if keys.iter().all(|key| table.span_of(key).is_none()) {
        let help = "say one of `max_requests`, `max_pending` and `error_percent`";
        value.refuse(Complaint::new("nothing opens this circuit breaker", help));
    }
    Some(Switch::On(circuit))
}

/// A server's `circuit_breaker`.
pub(super) fn server_circuit(value: Value<'_>) -> Option<Switch<Tripping>> {
    if let DeValue::Boolean(false) = value.toml() {
        return Some(Switch::Off);
    }
    let table = value.section()?;
    let tripping = tripping(&table);
    if table.span_of("error_percent").is_none() {
        value.refuse(Complaint::new("nothing opens this circuit breaker", "say its `error_percent`"));
    }
    tripping.map(Switch::On)
}

/// When failures open it, where they do.
fn tripping(table: &Section<'_>) -> Option<Tripping> {
    let error_percent = table.read("error_percent", |value| value.integer(1..=100));
    let tripping = Tripping {
        error_percent: error_percent.unwrap_or(100),
        min_requests: table.read("min_requests", count).unwrap_or(20),
        window: table.read("window", window).unwrap_or(Duration::from_secs(10)),
        open_for: table.read("open_for", interval).unwrap_or(Duration::from_secs(10)),
        probes: table.read("probes", |value| value.integer(1..=1_000)).unwrap_or(3),
    };
    for key in ["min_requests", "window", "open_for", "probes"] {
        if let (Some(span), None) = (table.span_of(key), table.span_of("error_percent")) {
            let problem = Problem::warning(span, format!("`{key}` has no effect: failures do not open it"));
            table.report(problem.help("add `error_percent`"));
        }
    }
    error_percent.map(|_| tripping)
}

/// A window in which things are counted.
fn window(value: Value<'_>) -> Option<Duration> {
    let window = duration(value)?;
    let fits = (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&window);
    if !fits {
        value.unfit("out of range");
    }
    Some(window).filter(|_| fits)
}
