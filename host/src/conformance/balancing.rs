//! What a balancer has to live through.

use super::Case;
use super::exam::{Exam, Scene, Stop};
use super::samples::{self, candidates, servers};
use crate::backend::Candidate;
use crate::policy::{MEMORY_BYTES, Outcome, Policy, Verdict};
use std::sync::atomic::Ordering::Relaxed;

/// Picks of the long run: enough to see a leak of a dozen bytes each, and over in a second.
const LONG_RUN: usize = 40_000;
/// How often memory is looked at in a long run.
pub(super) const LOOKS: usize = 8;

pub(super) const CASES: &[Case] = &[
    Case { name: "no-server", applies: Policy::is_balancer, run: no_server },
    Case { name: "one-server", applies: Policy::is_balancer, run: one_server },
    Case { name: "thousand-servers", applies: Policy::is_balancer, run: thousand_servers },
    Case { name: "shrinking-and-growing", applies: Policy::is_balancer, run: shrinking_and_growing },
    Case { name: "weights", applies: Policy::is_balancer, run: weights },
    Case { name: "clients", applies: Policy::is_balancer, run: clients },
    Case { name: "hostile-requests", applies: Policy::is_balancer, run: hostile_requests },
    Case { name: "retries", applies: Policy::is_balancer, run: retries },
    Case { name: "feedback", applies: Policy::wants_feedback, run: feedback },
    Case { name: "reconfigured", applies: Policy::is_balancer, run: reconfigured },
    Case { name: "two-workers", applies: Policy::is_balancer, run: two_workers },
    Case { name: "long-run", applies: Policy::is_balancer, run: long_run },
];

/// Puts loads of all sizes on the servers.
fn load(exam: &mut Exam<'_>) {
    for server in &exam.backend.servers {
        let most = *exam.rng.one(&[1, 3, 100, 1_000_000]);
        server.in_flight.store(exam.rng.below(most) as u32, Relaxed);
    }
}

/// Picks for clients of all kinds.
fn picks(exam: &mut Exam<'_>, count: usize) -> Result<(), Stop> {
    let (request, clients) = (samples::plain_request(), samples::clients());
    for _ in 0..count {
        let client = *exam.rng.one(&clients);
        exam.pick(&request, client, None)?;
    }
    Ok(())
}

fn no_server(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(Vec::new())?;
    // Without candidates nobody asks; with servers again it has to be as if it had never been without.
    exam.configure(servers(2))?;
    exam.update(candidates(&servers(2)))?;
    picks(&mut exam, 4)
}

fn one_server(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(servers(1))?;
    exam.update(candidates(&servers(1)))?;
    for _ in 0..20 {
        load(&mut exam);
        picks(&mut exam, 5)?;
    }
    Ok(())
}

fn thousand_servers(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut many = servers(1000);
    many.iter_mut().for_each(|server| server.weight = 1 + scene.rng.below(256) as u32);
    let mut exam = scene.start(many.clone())?;
    exam.update(candidates(&many))?;
    for _ in 0..30 {
        load(&mut exam);
        picks(&mut exam, 10)?;
    }
    // A sequence number is 64 bits wide, and grows to be.
    exam.sequence = u64::MAX - 20;
    picks(&mut exam, 20)
}

/// Some of the servers, at least one, in their order.
fn some_of(exam: &mut Exam<'_>, count: usize, one_in: usize) -> Vec<Candidate> {
    let mut some: Vec<Candidate> = Vec::new();
    for server in 0..count as u32 {
        if !exam.rng.chance(one_in) {
            some.push(Candidate { server, weight: 1 + exam.rng.below(256) as u32 });
        }
    }
    if some.is_empty() {
        some.push(Candidate { server: exam.rng.below(count) as u32, weight: 1 });
    }
    some
}

fn shrinking_and_growing(scene: &mut Scene<'_>) -> Result<(), Stop> {
    const SERVERS: usize = 40;
    let mut exam = scene.start(servers(SERVERS))?;
    let mut present: Vec<u32> = (0..SERVERS as u32).collect();
    let all = candidates(&servers(SERVERS));
    // Down to one, server by server, and up again.
    let mut gone = Vec::new();
    while present.len() > 1 {
        exam.update(present.iter().map(|server| all[*server as usize]).collect())?;
        picks(&mut exam, 5)?;
        let index = exam.rng.below(present.len());
        gone.push(present.remove(index));
    }
    while let Some(server) = gone.pop() {
        present.push(server);
        present.sort_unstable();
        exam.update(present.iter().map(|server| all[*server as usize]).collect())?;
        picks(&mut exam, 5)?;
    }
    for one_in in [2, 20, 1, 3, 2, 30] {
        let some = some_of(&mut exam, SERVERS, one_in);
        exam.update(some)?;
        picks(&mut exam, 10)?;
    }
    Ok(())
}

fn weights(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut five = servers(5);
    for (server, weight) in five.iter_mut().zip([0, 1, 2, 255, 256]) {
        server.weight = weight;
    }
    let mut exam = scene.start(five.clone())?;
    exam.update(candidates(&five))?;
    picks(&mut exam, 50)?;
    // Servers that start slowly, of which an agent takes some down to 1.
    for weight in (1..=256).step_by(15) {
        let ramp = (1..5).map(|server| Candidate { server, weight: if server == 1 { 1 } else { weight } });
        exam.update(ramp.collect())?;
        picks(&mut exam, 10)?;
    }
    exam.update((0..5).map(|server| Candidate { server, weight: 256 }).collect())?;
    picks(&mut exam, 50)
}

fn clients(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(servers(7))?;
    exam.update(candidates(&servers(7)))?;
    let request = samples::plain_request();
    for client in samples::clients() {
        for _ in 0..3 {
            exam.pick(&request, client, None)?;
        }
    }
    for _ in 0..200 {
        let bits = (u128::from(exam.rng.next_u64()) << 64) | u128::from(exam.rng.next_u64());
        let client = if exam.rng.chance(2) {
            std::net::Ipv6Addr::from_bits(bits).into()
        } else {
            std::net::Ipv4Addr::from_bits(bits as u32).into()
        };
        exam.pick(&request, client, None)?;
    }
    Ok(())
}

fn hostile_requests(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let requests = samples::hostile_requests(scene.settings);
    let mut exam = scene.start(servers(3))?;
    exam.update(candidates(&servers(3)))?;
    for request in &requests {
        for client in samples::clients().into_iter().take(3) {
            exam.pick(request, client, None)?;
        }
    }
    Ok(())
}

fn retries(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let request = samples::plain_request();
    for count in [1, 2, 3, 17] {
        let mut exam = scene.start(servers(count))?;
        exam.update(candidates(&servers(count)))?;
        for failed in 0..count as u32 {
            for client in samples::clients() {
                let first = exam.pick(&request, client, None)?;
                exam.pick(&request, client, Some(failed))?;
                exam.pick(&request, client, first)?;
            }
        }
    }
    Ok(())
}

fn feedback(scene: &mut Scene<'_>) -> Result<(), Stop> {
    const SERVERS: usize = 10;
    let mut exam = scene.start(servers(SERVERS))?;
    exam.update(candidates(&servers(SERVERS)))?;
    for round in 0..200 {
        picks(&mut exam, 2)?;
        let outcome = outcome(&mut exam, SERVERS);
        exam.observe(outcome)?;
        // Outcomes of servers that are candidates no more come as well.
        if round % 20 == 0 {
            let some = some_of(&mut exam, SERVERS, 3);
            exam.update(some)?;
        }
    }
    Ok(())
}

/// An outcome of any kind, at times an extreme one.
fn outcome(exam: &mut Exam<'_>, servers: usize) -> Outcome {
    let verdict = *exam.rng.one(&[
        Verdict::Answered,
        Verdict::Answered,
        Verdict::Unreachable,
        Verdict::Broken,
        Verdict::TimedOut,
        Verdict::Abandoned,
    ]);
    let status = match verdict {
        Verdict::Unreachable => 0,
        _ => *exam.rng.one(&[0, 200, 200, 302, 404, 500, 503, 599]),
    };
    let latency_us = *exam.rng.one(&[0, 1, 300, 5_000, 60_000_000, u64::from(u32::MAX) + 1, u64::MAX]);
    Outcome {
        server: exam.rng.below(servers) as u32,
        verdict,
        status,
        connect_us: latency_us / 2,
        latency_us,
        bytes: *exam.rng.one(&[0, 100, u64::MAX]),
        time_ms: exam.time_ms,
    }
}

fn reconfigured(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(servers(5))?;
    exam.update(candidates(&servers(5)))?;
    picks(&mut exam, 10)?;
    for count in [1, 40, 3, 1000, 2, 2, 300, 5] {
        let mut these = servers(count);
        if exam.rng.chance(2) {
            these.reverse();
        }
        exam.configure(these.clone())?;
        exam.update(candidates(&these))?;
        load(&mut exam);
        picks(&mut exam, 20)?;
    }
    Ok(())
}

fn two_workers(scene: &mut Scene<'_>) -> Result<(), Stop> {
    const PICKS: usize = 120;
    let all = servers(6);
    let request = samples::plain_request();
    let clients = samples::clients();
    let mut alone = Vec::new();
    for _ in 0..2 {
        let mut exam = scene.start(all.clone())?;
        exam.update(candidates(&all))?;
        let picks = (0..PICKS).map(|turn| exam.pick(&request, clients[turn % clients.len()], None));
        alone.push(picks.collect::<Result<Vec<_>, _>>()?);
    }
    let mut exam = scene.start(all.clone())?;
    exam.update(candidates(&all))?;
    let mut other = exam.another()?;
    exam.trade(&mut other);
    exam.update(candidates(&all))?;
    let mut together = Vec::new();
    for turn in 0..PICKS {
        if exam.rng.chance(2) {
            exam.trade(&mut other);
        }
        together.push(exam.pick(&request, clients[turn % clients.len()], None)?);
    }
    // Of a policy that is random anyway nothing follows.
    if alone[0] == alone[1] && alone[0] != together {
        scene.note(
            "two workers' instances that share the requests decide otherwise than one that has them all: it goes by a \
             memory of its own, so it is exact with `instances = \"shared\"` alone",
        );
    }
    Ok(())
}

fn long_run(scene: &mut Scene<'_>) -> Result<(), Stop> {
    const SERVERS: usize = 20;
    let observes = scene.policy.wants_feedback();
    let requests: Vec<_> =
        samples::hostile_requests(scene.settings).into_iter().chain([samples::plain_request()]).collect();
    let clients = samples::clients();
    let mut exam = scene.start(servers(SERVERS))?;
    let mut held = Vec::new();
    for number in 0..LONG_RUN {
        if number % 500 == 0 {
            let some = some_of(&mut exam, SERVERS, 4);
            exam.update(some)?;
            load(&mut exam);
        }
        let client = *exam.rng.one(&clients);
        let request = exam.rng.one(&requests);
        exam.pick(request, client, None)?;
        if observes {
            let outcome = outcome(&mut exam, SERVERS);
            exam.observe(outcome)?;
        }
        if (number + 1) % (LONG_RUN / LOOKS) == 0 {
            held.push(exam.probe().memory_bytes());
        }
    }
    steady(&held, LONG_RUN)
}

/// Whether memory has come to rest.
pub(super) fn steady(held: &[usize], calls: usize) -> Result<(), Stop> {
    let second_half = &held[held.len() / 2 - 1..];
    if second_half.windows(2).all(|pair| pair[1] > pair[0]) {
        let kib: Vec<String> = held.iter().map(|bytes| (bytes >> 10).to_string()).collect();
        let message = format!(
            "its memory grows without end: {} KiB at {LOOKS} looks; at {} MiB it fails",
            kib.join(", "),
            MEMORY_BYTES >> 20
        );
        return Err(Stop::wrong(message, format!("{calls} requests in a row")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_comes_to_rest_is_no_leak() {
        assert!(steady(&[1, 2, 3, 4, 5, 6, 7, 8], 1).is_err());
        assert!(steady(&[1, 2, 3, 4, 5, 5, 5, 5], 1).is_ok());
        assert!(steady(&[1, 1, 1, 1, 1, 1, 1, 9], 1).is_ok(), "once is not for ever");
    }
}
