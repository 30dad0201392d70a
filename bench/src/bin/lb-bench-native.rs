//! What the built-in policies' choices cost in native Rust, made in the simplest way and without any boundary: what their
//! components are held against. `lb-bench-native` prints a JSON array; a row is the median of many batches.

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const BATCHES: usize = 8000;
const BATCH: u32 = 32;

fn main() {
    let mut rows = Vec::new();
    for servers in [2usize, 100, 1000] {
        let mut sequence = 0;
        rows.push(row(servers, "pick", "roundrobin", || {
            sequence += 1;
            sequence % servers
        }));
        let loads: Vec<AtomicU32> = (0..servers).map(|_| AtomicU32::new(0)).collect();
        rows.push(row(servers, "pick", "leastconn", || {
            sequence += 1;
            let turn = |index: usize| (index + servers - sequence % servers) % servers;
            let loads = loads.iter().map(|load| load.load(Relaxed));
            loads.enumerate().min_by_key(|(index, load)| (*load, turn(*index))).map(|(index, _)| index)
        }));
        rows.push(row(servers, "pick", "source", || {
            let mut hasher = DefaultHasher::new();
            black_box(CLIENT).hash(&mut hasher);
            hasher.finish() as usize % servers
        }));
        let names: HashMap<String, usize> =
            (0..servers).map(|server| (format!("s{server}"), server)).collect();
        rows.push(row(servers, "recall", "cookie", || names.get(black_box("s1")).copied()));
    }
    println!("[{}]", rows.join(",\n"));
}

fn row<T>(servers: usize, call: &str, policy: &str, mut choose: impl FnMut() -> T) -> String {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..BATCH).for_each(|_| drop(black_box(choose())));
            start.elapsed().as_nanos() as f64 / f64::from(BATCH)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    let median = batches[batches.len() / 2];
    format!(
        r#"{{"servers": {servers}, "call": "{call}", "policy": "{policy}, native", "median_ns": {median:.1}}}"#
    )
}
