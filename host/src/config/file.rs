//! The whole file: its sections in turn, names to indices, and what only shows when sections are held together.

use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use super::diagnostics::Problem;
use super::keys::Scope;
use super::layer::Layers;
use super::log_target;
use super::model::{BindAddress, Config, Frontend, Global, Tune, UnusualNames};
use super::read::{bad_name, boolean, duration, is_name, limit, size};
use super::section::{Section, Value};
use super::{admin, backend, discovery, frontend, limits, rules};
use crate::http::names;
use crate::rules::RuleSet;
use crate::span::Span;
use crate::suggest;

/// What the text says. Meant to run only if nothing but warnings was reported.
pub(super) fn read(file: &Section<'_>) -> Config {
    let global = global(file);
    file.reading().know_resolvers(discovery::resolvers(file));
    let defaults = file
        .read("defaults", |value| value.section_of(Scope::Defaults, "[defaults]".to_owned(), value.span()));
    let defaults = defaults.as_ref().map(Layers::read).unwrap_or_default();

    let frontend_sections = proxies(file, "frontends", Scope::Frontend);
    let backend_sections = proxies(file, "backends", Scope::Backend);
    let names: Vec<_> = backend_sections.iter().map(|(name, _)| *name).collect();
    let mut backends: Vec<_> =
        backend_sections.iter().map(|(name, section)| backend::read(name, section, &defaults)).collect();
    let reader = rules::Reader::new(&names);
    for (backend, (_, section)) in backends.iter_mut().zip(&backend_sections) {
        backend.rules = reader.rules(section, true);
        backend.limits = limits::read(section, &reader);
    }

    let mut frontends = Vec::new();
    let mut bound = HashMap::new();
    let mut used = HashSet::new();
    for (name, section) in &frontend_sections {
        let read = frontend::read(name, section, &defaults, &global);
        for (bind, span) in read.binds.iter() {
            report_bound_twice(&mut bound, &bind.address, span, section);
        }
        let named = read.default_backend.clone();
        let index = named.as_ref().and_then(|name| names.iter().position(|known| known == name.get_ref()));
        if let (Some(name), None) = (named, index) {
            let message = format!("there is no backend `{}`", name.get_ref());
            let help = suggest::help(name.get_ref(), names.iter().copied());
            section.report(Problem::error(name.span(), message).help(help));
        }
        used.extend(index);
        let mut frontend = read.resolve(index.unwrap_or(0));
        frontend.rules = reader.rules(section, false);
        frontend.limits = limits::read(section, &reader);
        frontend.access = reader.access(section);
        let mut reached = reader.take_chosen();
        reached.extend(index);
        frontends.push((frontend, reached));
    }
    let frontends = guard_certificates(frontends);
    for (frontend, (_, section)) in frontends.iter().zip(&frontend_sections) {
        if frontend.unusual_names != UnusualNames::Allow {
            warn_of_names_that_do_not_come(section, &frontend.rules);
        }
    }
    if frontends.iter().all(|frontend| frontend.unusual_names != UnusualNames::Allow) {
        let rules = backends.iter().zip(&backend_sections);
        rules.for_each(|(backend, (_, section))| warn_of_names_that_do_not_come(section, &backend.rules));
    }
    let (lists, chosen) = reader.finish();
    for (index, (name, section)) in backend_sections.iter().enumerate() {
        if !used.contains(&index) && !chosen[index] {
            let message = format!("no frontend sends anything to backend `{name}`");
            section.report(Problem::warning(section.span(), message));
        }
    }
    Config { global, frontends, backends, lists }
}

/// Warns of rules that look at header lines which are dropped before they get there.
fn warn_of_names_that_do_not_come(section: &Section<'_>, rules: &RuleSet) {
    for rule in rules.rules() {
        let looked_at = rule.when.header_names();
        if let Some(name) = looked_at.iter().find(|name| !names::is_plain(name.as_bytes())) {
            let message = format!(
                "no line `{name}` gets here: names with other than letters, digits and `-` are dropped"
            );
            let help = "set `headers_with_underscores = \"allow\"` in the frontend, or in [defaults]";
            section.report(Problem::warning(rule.span.clone(), message).help(help));
        }
    }
}

/// Servers that are told of clients' certificates by one frontend are not told by clients of another: each of those that
/// reach them takes such lines away.
fn guard_certificates(frontends: Vec<(Frontend, HashSet<usize>)>) -> Vec<Frontend> {
    let asking = frontends.iter().filter(|(frontend, _)| frontend.asks_certificates);
    let told: HashSet<usize> = asking.flat_map(|(_, reached)| reached).copied().collect();
    let guarded = |(mut frontend, reached): (Frontend, HashSet<usize>)| {
        frontend.asks_certificates |= !told.is_disjoint(&reached);
        frontend
    };
    frontends.into_iter().map(guarded).collect()
}

/// `[frontends.*]` or `[backends.*]`: each with its name.
fn proxies<'a>(file: &Section<'a>, key: &str, scope: Scope) -> Vec<(&'a str, Section<'a>)> {
    let what = key.trim_end_matches('s');
    let proxies = file.require(key, Value::named).unwrap_or_default();
    let mut sections = Vec::new();
    for (name, span, value) in proxies {
        if !is_name(name) {
            let complaint = bad_name(what, name);
            value.reading.report(Problem::error(span.clone(), complaint.message).help(complaint.help));
        }
        let title = format!("{what} `{}`", name.escape_debug());
        sections.extend(value.section_of(scope, title, span).map(|section| (name, section)));
    }
    sections
}

fn global(file: &Section<'_>) -> Global {
    let section =
        file.read("global", |value| value.section_of(Scope::Global, "[global]".to_owned(), value.span()));
    let section = section.as_ref();
    let tune = section.and_then(|section| section.read("tune", Value::section));
    let tune = tune.as_ref();
    let nbthread = section.and_then(|section| section.read("nbthread", |value| value.integer(1..=1_024_u32)));
    Global {
        nbthread: nbthread.map_or_else(|| available_parallelism().map_or(1, NonZero::get), |n| n as usize),
        maxconn: section.and_then(|section| section.read("maxconn", limit)).filter(|limit| *limit > 0),
        log: section.and_then(|section| section.read("log", log_target::targets)).unwrap_or_default(),
        log_levels: section
            .and_then(|section| section.read("log_levels", log_target::levels))
            .unwrap_or_default(),
        hard_stop_after: section.and_then(|section| section.read("hard_stop_after", duration)),
        watch: section.and_then(|section| section.read("watch", boolean)).unwrap_or(false),
        admin: section.and_then(admin::read),
        tune: Tune {
            bufsize: tune
                .and_then(|tune| tune.read("bufsize", |value| size(value, 1_024..=16 << 20)))
                .unwrap_or(16 << 10),
            maxhdr: tune
                .and_then(|tune| tune.read("maxhdr", |value| value.integer(1..=32_767_u32)))
                .map_or(101, |n| n as usize),
            pool_max_idle: tune
                .and_then(|tune| tune.read("pool_max_idle", |value| value.integer(0..=65_535_u32)))
                .map_or(256, |n| n as usize),
            pool_idle_timeout: tune
                .and_then(|tune| tune.read("pool_idle_timeout", duration))
                .unwrap_or(Duration::from_secs(5)),
        },
    }
}

/// Two listeners cannot have one address; port 0 is a new one each time.
fn report_bound_twice(
    bound: &mut HashMap<BindAddress, Span>,
    address: &BindAddress,
    span: &Span,
    section: &Section<'_>,
) {
    let written = match address {
        BindAddress::Tcp(address) if address.port() == 0 => return,
        BindAddress::Tcp(address) => address.to_string(),
        BindAddress::Unix(path) => path.display().to_string(),
        BindAddress::Fd(fd) => format!("fd@{fd}"),
    };
    if let Some(first) = bound.insert(address.clone(), span.clone()) {
        let problem = Problem::error(span.clone(), format!("`{written}` is bound twice"));
        section.report(problem.related(first, "it is bound here already"));
    }
}
