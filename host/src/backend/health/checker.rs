//! The checks of all servers of a configuration: a task each, which asks, waits as long as the server's
//! state says, and asks again. They run on the control thread, never on a worker.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::check::{self, Budget, HeadLimits, Target};
use super::state::{Change, Health, Pace};
use super::{Cause, LastCheck};
use crate::backend::Backend;
use crate::backend::server::Server;
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
    /// `limits` are those of requests' answers. The first checks are spread over the interval, by the servers' positions, as HAProxy does; those of
    /// a server that an earlier configuration checked come when they would have come.
    pub fn start(backends: &[Arc<Backend>], limits: HeadLimits) -> Checker {
        let checked: Vec<(&Arc<Backend>, usize, &Check)> = backends.iter().flat_map(checked).collect();
        let inters: Vec<Duration> = checked.iter().map(|(_, _, check)| first_inter(check)).collect();
        let mut tasks = JoinSet::new();
        for ((backend, index, check), delay) in checked.iter().zip(spread(&inters)) {
            let first = backend.servers[*index].record().last_check.map_or(Instant::now() + delay, |last| {
                last.finished + interval(check, &backend.servers[*index].record().health)
            });
            tasks.spawn(keep_checking((*backend).clone(), *index, (*check).clone(), limits, first));
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

async fn keep_checking(
    backend: Arc<Backend>,
    index: usize,
    check: Check,
    limits: HeadLimits,
    first: Instant,
) {
    let server = &backend.servers[index];
    let kind = check::kind_of(&backend.config.check, &server.config, &check);
    let budget = Budget::of(&backend.config.timeout, check.inter);
    let mut due = first;
    loop {
        tokio::select! {
            () = sleep_until(due) => {}
            () = server.check_now.notified() => {}
            () = too_many_errors(server) => {
                heed(&backend, index, &check);
                due = due.min(Instant::now() + check.fastinter);
                continue;
            }
        }
        while server.is_unresolved() {
            server.check_now.notified().await;
        }
        let Some(target) = Target::of(server, &check) else { return };
        let (began, version) = (Instant::now(), server.address_version.load(Relaxed));
        let tls = server.tls().filter(|connector| connector.checks);
        let mut checking = pin!(check::check(&target, &kind, tls.as_deref(), budget, limits));
        let finding = loop {
            tokio::select! {
                finding = &mut checking => break finding,
                () = too_many_errors(server) => heed(&backend, index, &check),
            }
        };
        let finished = Instant::now();
        if server.is_unresolved() || server.address_version.load(Relaxed) != version {
            // It is elsewhere by now, so that this tells nothing of it.
            due = finished;
            continue;
        }
        due = finished
            + report(
                &backend,
                index,
                &check,
                LastCheck { at: std::time::SystemTime::now(), finished, took: finished - began, finding },
            );
    }
}

/// Ends when live traffic had too many errors in a row, if it is observed at all.
async fn too_many_errors(server: &Server) {
    match &server.passive {
        Some(passive) => passive.too_many.notified().await,
        None => std::future::pending().await,
    }
}

/// Takes in that live traffic had too many errors in a row.
fn heed(backend: &Arc<Backend>, index: usize, check: &Check) {
    let server = &backend.servers[index];
    let (Some(observe), Some(passive)) = (&check.observe, &server.passive) else { return };
    let errors = passive.errors();
    let mut record = server.record_mut();
    let health = record.health.get_or_insert_with(|| Health::start(check.rise, check.fall));
    let change = health.suffer(observe.on_error);
    let health = *health;
    drop(record);
    let (backend_name, name) = (&*backend.config.name, &*server.config.name);
    tracing::warn!(
        backend = backend_name, server = name, %health,
        "server {backend_name}/{name}: {errors}; what comes of it is {}", observe.on_error.name(),
    );
    if change == Some(Change::Down) {
        backend.transition(index, false, Cause::Observed(errors), None);
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
    record.checks += 1;
    record.checks_failed += u64::from(!last.finding.passed());
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::backend::fixtures;
    use crate::config::model::{self, CheckKind, ServerAddress};

    const LIMITS: HeadLimits = HeadLimits { bytes: 15_360, lines: 101 };

    /// An origin whose answers to checks follow a plan: `+` passes, `-` fails. It says when each came, in
    /// ms on the paused clock.
    struct Origin {
        address: ServerAddress,
        times: mpsc::UnboundedReceiver<u128>,
    }

    impl Origin {
        async fn start(plan: &str) -> Origin {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = ServerAddress::Ip(listener.local_addr().expect("an address"));
            let (came, times) = mpsc::unbounded_channel();
            let mut plan: VecDeque<char> = plan.chars().collect();
            let start = Instant::now();
            tokio::spawn(async move {
                while let Some(step) = plan.pop_front() {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = came.send(start.elapsed().as_millis());
                    let status = if step == '+' { 200 } else { 500 };
                    let _ = stream.write_all(format!("HTTP/1.0 {status} X\r\n\r\n").as_bytes()).await;
                }
            });
            Origin { address, times }
        }

        /// The times of this many checks, rounded to 10 ms: timers of tokio are late by up to one.
        async fn checks(&mut self, count: usize) -> Vec<u128> {
            let mut times = Vec::new();
            while times.len() < count {
                times.push(self.times.recv().await.expect("a check") / 10 * 10);
            }
            times
        }
    }

    fn backend(server: model::Server) -> Arc<Backend> {
        let check = CheckKind::Http(fixtures::http_check());
        fixtures::backend(model::Backend { check, ..fixtures::config("flask_servers") }, vec![server])
    }

    fn ups_and_downs(server: &Server) -> Vec<bool> {
        server.record().history.iter().map(|step| step.up).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn checks_keep_the_pace_that_haproxy_keeps() {
        let mut origin = Origin::start("+-+---+-+++++").await;
        let ms = Duration::from_millis;
        let check = model::Check {
            inter: ms(1000),
            fastinter: ms(300),
            downinter: ms(2000),
            ..fixtures::check(3, 3)
        };
        let address = origin.address.clone();
        let backend = backend(model::Server { address, check: Some(check), ..fixtures::server("flap") });
        let _checker = Checker::start(std::slice::from_ref(&backend), LIMITS);
        // As measured with HAProxy 2.6 on the same plan, less its own delays.
        let expected = [0, 1000, 1300, 2300, 2600, 2900, 4900, 5200, 7200, 7500, 7800, 8800, 9800];
        let times = origin.checks(expected.len()).await;
        for (time, expected) in times.iter().zip(expected) {
            assert!(time.abs_diff(expected) <= 20, "{times:?}");
        }
        assert_eq!(ups_and_downs(&backend.servers[0]), [false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_takes_a_server_of_fall_1_rise_5_out_and_five_passes_bring_it_back() {
        let mut origin = Origin::start("+-+++++++").await;
        let check = Some(fixtures::check(5, 1));
        let address = origin.address.clone();
        let backend = backend(model::Server { address, check, ..fixtures::server("web-a") });
        let _checker = Checker::start(std::slice::from_ref(&backend), LIMITS);
        let mut candidates = Vec::new();
        for _ in 0..8 {
            // A check's result is in by the time that the next one comes.
            origin.checks(1).await;
            candidates.push(backend.candidates().len());
        }
        assert_eq!(candidates, [1, 1, 0, 0, 0, 0, 0, 1]);
        let record = backend.servers[0].record();
        assert_eq!(record.history[0].cause.to_string(), "Layer7 wrong status, code 500, X");
        assert!(record.last_check.is_some_and(|last| last.finding.passed()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_of_the_next_configuration_goes_on_where_it_was() {
        let mut origin = Origin::start("--++").await;
        let check = Some(fixtures::check(2, 1));
        let address = origin.address.clone();
        let first = backend(model::Server { address, check, ..fixtures::server("web-a") });
        let checker = Checker::start(std::slice::from_ref(&first), LIMITS);
        let before = origin.checks(2).await;
        tokio::task::yield_now().await;
        drop(checker);
        let second = Backend::new(first.config.clone(), first.servers.clone());
        assert!(second.candidates().is_empty());
        let _checker = Checker::start(std::slice::from_ref(&second), LIMITS);
        let after = origin.checks(2).await;
        assert!((after[0] - before[1]).abs_diff(2000) <= 20, "{before:?} {after:?}");
        while second.candidates().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_known_by_name_is_checked_once_it_has_an_address() {
        let mut origin = Origin::start("+").await;
        let ServerAddress::Ip(real) = origin.address else { panic!("an address") };
        let address = ServerAddress::Name("web-a".into(), real.port());
        let check = Some(fixtures::check(2, 1));
        let backend = backend(model::Server { address, check, ..fixtures::server("web-a") });
        let _checker = Checker::start(std::slice::from_ref(&backend), LIMITS);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(backend.servers[0].record().last_check.is_none());
        backend.servers[0].set_ip(real.ip(), real.port());
        backend.servers[0].check_now.notify_one();
        assert_eq!(origin.checks(1).await, [60_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn disabled_and_unchecked_servers_are_left_alone() {
        let disabled =
            model::Server { disabled: true, check: Some(fixtures::check(2, 3)), ..fixtures::server("a") };
        let backend = fixtures::backend(
            fixtures::config("b"),
            vec![disabled, model::Server { ..fixtures::server("c") }],
        );
        let checker = Checker::start(std::slice::from_ref(&backend), LIMITS);
        assert!(checker._tasks.is_empty());
        assert_eq!(backend.servers.iter().map(|s| s.is_usable()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn first_checks_are_spread_over_the_shortest_interval_of_a_second_or_more() {
        let delays = |inters: &[u64]| -> Vec<u128> {
            let inters: Vec<_> = inters.iter().map(|&ms| Duration::from_millis(ms)).collect();
            spread(&inters).map(|delay| delay.as_millis()).collect()
        };
        assert_eq!(delays(&[2000, 2000, 2000, 2000]), [0, 500, 1000, 1500]);
        assert_eq!(delays(&[1000, 300, 1000, 4000]), [0, 250, 500, 3000]);
        assert_eq!(delays(&[100, 200]), [0, 100]);
        assert_eq!(delays(&[]), []);
    }
}
