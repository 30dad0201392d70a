//! The checks of all servers of a configuration: a task each, which asks, waits as long as the server's
//! state says, and asks again. They run on the control thread, never on a worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::check::{self, Budget, Target};
use super::state::{Change, Health, Pace};
use super::{Cause, LastCheck};
use crate::backend::Backend;
use crate::config::model::Check;

/// Intervals shorter than this do not decide over how long the first checks are spread.
const SHORTEST_SPREAD: Duration = Duration::from_secs(1);

/// The checks of a configuration's servers. They stop when this is dropped; what they found stays with the
/// servers, so that the checks of the next configuration go on from there.
#[derive(Debug)]
pub struct Checker {
    _tasks: JoinSet<()>,
}

impl Checker {
    /// Begins to check the servers of these backends, on the runtime that this is called on.
    ///
    /// The first checks are spread over the interval, by the servers' positions, as HAProxy does; those of
    /// a server that an earlier configuration checked come when they would have come.
    pub fn start(backends: &[Arc<Backend>]) -> Checker {
        let checked: Vec<(&Arc<Backend>, usize, &Check)> = backends.iter().flat_map(checked).collect();
        let inters: Vec<Duration> = checked.iter().map(|(_, _, check)| first_inter(check)).collect();
        let mut tasks = JoinSet::new();
        for ((backend, index, check), delay) in checked.iter().zip(spread(&inters)) {
            let first = backend.servers[*index].record().last_check.map_or(Instant::now() + delay, |last| {
                last.finished + interval(check, &backend.servers[*index].record().health)
            });
            tasks.spawn(keep_checking((*backend).clone(), *index, (*check).clone(), first));
        }
        Checker { _tasks: tasks }
    }
}

fn checked(backend: &Arc<Backend>) -> impl Iterator<Item = (&Arc<Backend>, usize, &Check)> {
    backend.servers.iter().enumerate().filter_map(move |(index, server)| {
        let check = server.config.check.as_ref().filter(|_| !server.config.disabled)?;
        Some((backend, index, check))
    })
}

fn first_inter(check: &Check) -> Duration {
    interval(check, &Some(Health::start(check.rise, check.fall)))
}

fn interval(check: &Check, health: &Option<Health>) -> Duration {
    match health.map_or(Pace::Steady, |health| health.pace()) {
        Pace::Steady => check.inter,
        Pace::InDoubt => check.fastinter,
        Pace::Down => check.downinter,
    }
}

/// How long each server's first check waits. They share the shortest interval of a second or more, or
/// their own where it is longer.
fn spread(inters: &[Duration]) -> impl Iterator<Item = Duration> {
    let count = inters.len().max(1) as u32;
    let shared = inters.iter().copied().filter(|inter| *inter >= SHORTEST_SPREAD).min().unwrap_or_default();
    inters.iter().enumerate().map(move |(position, inter)| shared.max(*inter) / count * position as u32)
}

async fn keep_checking(backend: Arc<Backend>, index: usize, check: Check, first: Instant) {
    let server = &backend.servers[index];
    let budget = Budget::of(&backend.config.timeout, check.inter);
    let mut due = first;
    loop {
        tokio::select! {
            () = sleep_until(due) => {}
            () = server.check_now.notified() => {}
        }
        while server.is_unresolved() {
            server.check_now.notified().await;
        }
        let Some(target) = Target::of(server, &check) else { return };
        let began = Instant::now();
        let finding = check::check(&target, &backend.config.check, budget).await;
        let finished = Instant::now();
        due = finished
            + report(
                &backend,
                index,
                &check,
                LastCheck { at: std::time::SystemTime::now(), finished, took: finished - began, finding },
            );
    }
}

/// Takes in a check's result. Returns how long to wait for the next.
fn report(backend: &Arc<Backend>, index: usize, check: &Check, last: LastCheck) -> Duration {
    let server = &backend.servers[index];
    let mut record = server.record_mut();
    let health = record.health.get_or_insert_with(|| Health::start(check.rise, check.fall));
    let change = health.report(last.finding.passed());
    let health = *health;
    record.last_check = Some(last.clone());
    drop(record);
    tracing::debug!(
        backend = %backend.config.name, server = %server.config.name, %health,
        "check of {}/{}: {}, after {} ms", backend.config.name, server.config.name, last.finding,
        last.took.as_millis(),
    );
    if let Some(change) = change {
        backend.transition(index, change == Change::Up, Cause::Check(last.finding), Some(last.took));
    }
    interval(check, &Some(health))
}
