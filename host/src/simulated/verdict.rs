//! What must be so when a simulated world has come to its end.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use super::ledger::Request;
use super::policies;
use super::world::World;
use crate::buffer;

/// A line of the log.
#[derive(Debug)]
struct Line {
    status: i32,
    bytes: usize,
    cause: u8,
    /// How many there were, with a sign where the last went to another server.
    retries: String,
    server: Option<u32>,
    text: String,
}

/// Holds what happened against what must be. Answers how many exchanges there were.
pub(super) fn judge(world: &World) -> usize {
    if world.stopped.get() {
        world.worker.drain();
    }
    world.worker.flush();
    everything_is_given_back(world);
    let (lines, nameless) = lines(world);
    let requests = world.ledger.requests.borrow().clone();
    let mut exchanges = 0;
    for (number, request) in requests.iter().enumerate() {
        let Some(request) = request else { continue };
        let own = lines.get(&number).map_or(&[][..], |lines| lines);
        exchanges += own.len();
        // A reset that says so of an answer takes with it what is on its way of those before.
        let ahead = requests.iter().zip(0..).skip(number + 1).filter_map(|(other, number)| {
            let other = other.as_ref().filter(|other| other.client == request.client)?;
            lines.get(&number).filter(|_| request.seen.reset && other.begun)
        });
        let lost = ahead.flatten().any(|line| line.cause != b'-');
        for wrong in wrongs(world, request, own, lost) {
            let lines: Vec<_> = own.iter().map(|line| &line.text).collect();
            world.ledger.violation(format!("{number}: {wrong}; {request:?}; logged: {lines:?}"));
        }
    }
    each_attempt_has_an_outcome(world, lines.values().flatten());
    // What was refused before it was understood has a line that does not say which it was, and at most one a connection.
    let refused = |(number, request): (usize, &Option<Request>)| {
        let seen = request.as_ref().is_some_and(|request| request.seen.status.is_some());
        seen && !lines.contains_key(&number)
    };
    let refused = requests.iter().enumerate().filter(|one| refused(*one)).count();
    if (nameless < refused && !world.stopped.get()) || nameless > world.clients.get() {
        world.ledger.violation(format!("{refused} were refused, and {nameless} are logged so"));
    }
    exchanges
}

/// The log's lines, by the numbers of the requests, and how many there are that have none.
fn lines(world: &World) -> (BTreeMap<usize, Vec<Line>>, usize) {
    let (mut all, mut nameless): (BTreeMap<usize, Vec<Line>>, usize) = (BTreeMap::new(), 0);
    for text in world.log.lines() {
        world.ledger.trace(format_args!("logged: {text}"));
        let words: Vec<&str> = text.split(' ').collect();
        let [_method, target, status, bytes, termination, retries, server] = words[..] else {
            world.ledger.violation(format!("an invalid line: {text}"));
            continue;
        };
        let Some((number, _)) = policies::number(target) else {
            nameless += 1;
            continue;
        };
        all.entry(number).or_default().push(Line {
            status: status.parse().unwrap_or(0),
            bytes: bytes.parse().unwrap_or(0),
            cause: termination.bytes().next().unwrap_or(0),
            retries: retries.to_owned(),
            server: server.parse().ok(),
            text: text.clone(),
        });
    }
    (all, nameless)
}

/// What is wrong about an exchange, whose answer may have been `lost` behind its end here.
fn wrongs(world: &World, request: &Request, lines: &[Line], lost: bool) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrongs.push(what.to_owned());
        }
    };
    let seen = &request.seen;
    let answer = seen.answer.and_then(|answer| world.ledger.answer(answer));
    must(lines.len() <= 1, "is logged more than once");
    let served = request.heads > 0 || seen.answer.is_some();
    let stopped = world.stopped.get();
    must(!served || !lines.is_empty() || stopped, "is served and not logged");
    let rules = world.ledger.policies.rules;
    let ruled_out = rules && matches!(request.method, "PATCH" | "PUT");
    must(!ruled_out || request.heads == 0, "came to a server past a rule");
    let idempotent = !matches!(request.method, "POST" | "PATCH");
    must(idempotent || request.wholes <= 1, "came twice to servers, and must not");
    let tries = 2 * world.tries.get() as usize;
    must(request.wholes <= tries, "came to servers too often");
    let undisturbed = request.begun && request.has_head && !request.disturbed && !stopped;
    if undisturbed && !world.wild_servers {
        let turned_away = rules && matches!(seen.status, Some(302 | 403 | 429));
        let is_well = seen.whole && (answer.is_some() || turned_away);
        must(is_well || request_was_not_taken(request, lines), "is not served well though nobody did wrong");
    }
    let Some(line) = lines.first() else { return wrongs };
    if let (Some(bound), Some(server), "0", false) =
        (request.bound, line.server, &*line.retries, world.has_trouble.get())
    {
        must(bound == server, "goes to another server than the one that it is bound to");
    }
    if !undisturbed {
        return wrongs;
    }
    if let Some(status) = seen.status {
        must(line.status == i32::from(status), "is logged with another status");
    }
    if seen.whole {
        must(seen.bytes == 0 || line.bytes == seen.bytes, "is logged with another number of bytes");
        let expected: &[u8] = match (&answer, seen.status) {
            // A server that has answered before it had all of the request may stall with the rest of it.
            (Some(_), _) if request.wholes == 0 => b"-s",
            (Some(_), _) => b"-",
            (None, Some(403 | 429)) => b"P",
            (None, Some(302)) => b"L",
            (None, Some(503)) => b"SsPR",
            (None, Some(502)) => b"SP",
            (None, Some(504)) => b"s",
            (None, _) => b"PCcSsR",
        };
        must(expected.contains(&line.cause), "is logged with another end");
    } else if seen.status.is_some() {
        must(lost || b"SsP".contains(&line.cause), "is broken off, and logged as if by somebody else");
    }
    wrongs
}

/// A policy hears of each attempt once: of all that were followed by another, and of the last, where there was one.
fn each_attempt_has_an_outcome<'a>(world: &World, lines: impl Iterator<Item = &'a Line>) {
    let (mut least, mut most) = (0, 0);
    for line in lines {
        let retries = line.retries.trim_start_matches('+').parse().unwrap_or(0);
        least += retries + usize::from(line.cause == b'-');
        most += retries + 1;
    }
    let told = world.ledger.outcomes.get();
    if world.ledger.policies.mood.is_some() && !world.stopped.get() && !(least..=most).contains(&told) {
        world.ledger.violation(format!("policies heard of {told} attempts, of {least} to {most}"));
    }
}

/// Whether the connection ended before the program took the request: it may end at any time between two.
fn request_was_not_taken(request: &Request, lines: &[Line]) -> bool {
    lines.is_empty() && request.seen.status.is_none()
}

/// Whatever was taken has been given back.
fn everything_is_given_back(world: &World) {
    let must = |left: i64, what: &str| {
        if left != 0 {
            world.ledger.violation(format!("{left} {what} in the end"));
        }
    };
    must(world.process.connections.current().into(), "connections of the process");
    must(world.process.streams.current().into(), "streams of the process");
    must(world.frontend.current().into(), "connections of the frontend");
    must(world.listener.current().into(), "connections of the listener");
    must(world.worker.connections() as i64, "tasks");
    must(world.network.held() as i64, "sockets");
    must(buffer::outstanding() as i64, "buffers");
    for backend in &*world.backends.borrow() {
        must(backend.requests.load(Relaxed).into(), "requests at the backend");
        must(backend.waiting().into(), "requests in the backend's queue");
        for server in &backend.servers {
            must(server.in_flight.load(Relaxed).into(), "requests at a server");
            must(server.queued.load(Relaxed).into(), "requests in a server's queue");
        }
    }
}
