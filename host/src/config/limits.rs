//! `[[frontends.NAME.limits]]` and `[[backends.NAME.limits]]`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostics::Problem;
use super::model::limits::{Bound, KeyPart, Limit, Rate, When};
use super::read::{bad_name, boolean, interval, is_name, is_token};
use super::rules::Reader;
use super::section::{Complaint, Section, Value};
use crate::failure::Page;
use crate::rules::{Condition, is_never};
use crate::span::Span;

/// More than this in a second is no limit.
const MOST_A_SECOND: u128 = 1_000_000;

/// The limits of a frontend or backend.
pub(super) fn read(section: &Section<'_>, rules: &Reader) -> Vec<Limit> {
    let values = section.read("limits", |value| Some(value.one_or_many())).unwrap_or_default();
    let mut named = HashMap::new();
    let limits = values.into_iter().enumerate();
    limits.filter_map(|(index, value)| limit(value, index, &mut named, rules)).collect()
}

/// One limit; `named` are the names of those before it, each with where it stands.
fn limit(value: Value<'_>, index: usize, named: &mut HashMap<String, Span>, rules: &Reader) -> Option<Limit> {
    let table = value.section()?;
    let (name, span) =
        table.read("name", name).unwrap_or_else(|| (format!("limit-{}", index + 1), value.span()));
    if let Some(first) = named.insert(name.clone(), span.clone()) {
        let problem = Problem::error(span, format!("there are two limits `{name}` here"));
        table.report(problem.related(first, "this is the first"));
    }
    let key = table.read("key", key).unwrap_or_else(|| vec![KeyPart::Client]);
    let bound = bound(&table, &key);
    let requests = matches!(bound, Some(Bound::Requests(_)) | None);
    let when = when(&table, rules, requests);
    let per_request = ["status", "headers"].into_iter().filter(|_| !requests);
    let rate_only = ["per", "burst"].into_iter().filter(|_| matches!(bound, Some(Bound::Connections(_))));
    for (key, why) in per_request
        .map(|key| (key, "connections over a limit are closed unread"))
        .chain(rate_only.map(|key| (key, "`connections` counts those that are there at once")))
    {
        if let Some(span) = table.span_of(key) {
            table.report(Problem::warning(span, format!("`{key}` has no effect: {why}")));
        }
    }
    // The other keys are read whatever the bound is, so that all that is wrong is said.
    let limit = Limit {
        name: name.into(),
        when: When(when.map(Arc::new)),
        key,
        prefix_v4: table.read("prefix_v4", |value| value.integer(0..=32)).unwrap_or(32),
        prefix_v6: table.read("prefix_v6", |value| value.integer(0..=128)).unwrap_or(64),
        bound: bound.unwrap_or(Bound::Connections(1)),
        status: table.read("status", status).unwrap_or(429),
        dry_run: table.read("dry_run", boolean).unwrap_or(false),
        headers: table.read("headers", boolean).unwrap_or(false),
        max_keys: table
            .read("max_keys", |value| value.integer(16..=10_000_000_u32))
            .map_or(100_000, |keys| keys as usize),
    };
    if let (Some(Bound::Connections(_)), Some(span)) = (&bound, table.span_of("max_keys")) {
        let message =
            "`limits.max_keys` has no effect on `connections`: every client that has one is counted";
        table.report(Problem::warning(span, message).help("leave it out"));
    }
    bound.map(|_| limit)
}

/// Which requests the limit counts.
fn when(table: &Section<'_>, rules: &Reader, requests: bool) -> Option<Condition> {
    let when = table.read("when", |value| rules.condition(value))?;
    let span = table.span_of("when");
    if !requests {
        let problem =
            Problem::error(span, "of a connection there is nothing to look at: no request has been read yet");
        table.report(problem.help("leave `when` out, or bound `requests`"));
    } else if is_never(&when) {
        let message = "this limit counts no request: its conditions exclude each other";
        table.report(Problem::warning(span, message));
    }
    Some(when)
}

/// What the limit bounds: one thing.
fn bound(table: &Section<'_>, key: &[KeyPart]) -> Option<Bound> {
    let requests = table.read("requests", amount);
    let connections = table.read("connections", |value| value.integer(1..=u32::MAX));
    let connection_rate = table.read("connection_rate", amount);
    let per = table.read("per", interval).unwrap_or(Duration::from_secs(1));
    let burst = table.read("burst", amount);
    let said: Vec<_> = ["requests", "connections", "connection_rate"]
        .into_iter()
        .filter_map(|key| Some((key, table.span_of(key)?)))
        .collect();
    match &said[..] {
        [] => {
            let problem = Problem::error(table.span(), "this limit bounds nothing");
            table.report(problem.help("say one of `requests`, `connections` and `connection_rate`"));
        }
        [(_, first), (second, span), ..] => {
            let problem = Problem::error(span.clone(), format!("`{second}` is one bound too many"));
            let problem = problem.related(first.clone(), "a limit has one, and this is it");
            table.report(problem.help("make a limit of its own for each"));
        }
        [_] => {}
    }
    let rate = |count: u32| {
        if u128::from(count) * 1_000_000_000 > per.as_nanos() * MOST_A_SECOND {
            let message = format!("{count} per {per:?} are more than a million a second");
            let span = said.first().map(|(_, span)| span.clone());
            table.report(Problem::error(span, message).help("take a longer `per`, or no limit"));
        }
        Rate { count, per, burst: burst.unwrap_or(count) }
    };
    let bound = requests
        .map(|count| Bound::Requests(rate(count)))
        .or_else(|| connection_rate.map(|count| Bound::ConnectionRate(rate(count))))
        .or_else(|| connections.map(Bound::Connections))?;
    let known = match bound {
        Bound::Requests(_) => true,
        Bound::ConnectionRate(_) => matches!(key, [KeyPart::Client | KeyPart::All]),
        Bound::Connections(_) => matches!(key, [KeyPart::Client]),
    };
    if !known {
        let problem =
            Problem::error(table.span_of("key"), "connections have no such key: nothing has been read yet");
        table.report(problem.help("leave `key` out: then each client is counted apart"));
    }
    Some(bound)
}

fn amount(value: Value<'_>) -> Option<u32> {
    value.integer(1..=1_000_000_000)
}

fn name(value: Value<'_>) -> Option<(String, Span)> {
    let name = value.text()?;
    if !is_name(name) {
        value.refuse(bad_name("limit", name));
        return None;
    }
    Some((name.to_owned(), value.span()))
}

fn status(value: Value<'_>) -> Option<u16> {
    let status = value.integer(100..=999)?;
    if Page::reason(status).is_none() {
        let statuses: Vec<_> = Page::statuses().map(|status| status.to_string()).collect();
        let help = format!("there are pages for {}", statuses.join(", "));
        value.refuse(Complaint::new(format!("{status} is no status that has a page"), help));
    }
    Some(status)
}

fn key(value: Value<'_>) -> Option<Vec<KeyPart>> {
    let parts = value.one_or_many();
    if value.toml().is_array() && !(1..=2).contains(&parts.len()) {
        value.unfit(format!("{} parts", parts.len()));
        return None;
    }
    let read: Vec<_> = parts.into_iter().filter_map(part).collect();
    if let [first, second] = &read[..]
        && (first == second || [first, second].contains(&&KeyPart::All))
    {
        let message = "these two parts tell no more apart than one".to_owned();
        value.refuse(Complaint::new(
            message,
            "two different ones of `client`, `header:`, `cookie:` and `path` do",
        ));
    }
    Some(read).filter(|parts| !parts.is_empty())
}

fn part(value: Value<'_>) -> Option<KeyPart> {
    let text = value.text()?;
    let named = |name: &str| {
        if is_token(name) {
            return Some(name.to_owned());
        }
        value.unfit(format!("`{}` is no name", name.escape_debug()));
        None
    };
    match text.split_once(':') {
        Some(("header", name)) => named(name).map(|name| KeyPart::Header(name.to_ascii_lowercase())),
        Some(("cookie", name)) => named(name).map(KeyPart::Cookie),
        _ => value
            .one_of(&[
                ("client", Simple::Client),
                ("path", Simple::Path),
                ("all", Simple::All),
                ("header:NAME", Simple::Unnamed),
                ("cookie:NAME", Simple::Unnamed),
            ])
            .and_then(|simple| match simple {
                Simple::Client => Some(KeyPart::Client),
                Simple::Path => Some(KeyPart::Path),
                Simple::All => Some(KeyPart::All),
                Simple::Unnamed => None,
            }),
    }
}

/// Keys without a name, and what stands in messages for those with one.
#[derive(Debug, Clone, Copy)]
enum Simple {
    Client,
    Path,
    All,
    Unnamed,
}
