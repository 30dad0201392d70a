//! What the built-in policies cost a request, in nanoseconds on this machine: `cargo bench --bench policy`. Beside
//! each stands a loop in native Rust that decides the same in the simplest way, without any boundary.
//!
//! The same as `lb policy bench`, with more rounds: medians over batches of 32 calls. The figures move with the
//! machine's mood: compare those of one run.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use lb_host::backend::Backend;
use lb_host::conformance::{backend_of, servers};
use lb_host::measure::{self, Row};
use lb_host::policy::Runtime;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const ROUNDS: usize = 20 * measure::ROUNDS;

fn main() {
    let runtime = Runtime::new(None).unwrap();
    let subjects = measure::built_ins(&runtime).unwrap();
    for count in [2, 100, 1000] {
        for row in measure::run(&runtime, &subjects, &[count], ROUNDS).unwrap() {
            let what = if row.call == "pick" {
                row.subject.clone()
            } else {
                format!("{}: {}", row.subject, row.call)
            };
            report(&row, &what);
        }
        let backend = backend_of(servers(count));
        for policy in ["roundrobin", "leastconn", "source"] {
            let mut native = native(policy, &backend);
            report(
                &Row::time(count, policy, ROUNDS, || native(black_box(CLIENT))),
                &format!("{policy}, native"),
            );
        }
        let names: HashMap<&str, usize> =
            backend.config.servers.iter().enumerate().map(|(index, s)| (&*s.name, index)).collect();
        let row = Row::time(count, "cookie", ROUNDS, || names.get(black_box("s1")).copied());
        report(&row, "cookie: recall, native");
    }
}

fn report(row: &Row, what: &str) {
    println!("{:5} servers  {what:32} {:6} ns", row.servers, row.median_ns);
}

/// The same choice without WebAssembly.
fn native(policy: &str, backend: &Arc<Backend>) -> Box<dyn FnMut(IpAddr) -> usize> {
    let (servers, mut sequence) = (backend.servers.len(), 0);
    match policy {
        "roundrobin" => Box::new(move |_| {
            sequence += 1;
            sequence % servers
        }),
        "leastconn" => {
            let backend = backend.clone();
            Box::new(move |_| {
                sequence += 1;
                let loads = backend.servers.iter().map(|server| server.in_flight.load(Relaxed));
                let turn = |index: usize| (index + servers - sequence % servers) % servers;
                loads
                    .enumerate()
                    .min_by_key(|(index, load)| (*load, turn(*index)))
                    .map_or(0, |(index, _)| index)
            })
        }
        _ => Box::new(move |client| {
            let mut hasher = DefaultHasher::new();
            client.hash(&mut hasher);
            hasher.finish() as usize % servers
        }),
    }
}
