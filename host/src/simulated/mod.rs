//! Simulated exchanges: clients, servers and all that can go wrong between them and this program, in one thread, over
//! connections in memory, with a clock that only moves when nobody has anything to do.
//!
//! A seed is a world: what clients send, what servers answer, how the network cuts it up and who breaks off when. The
//! program under test is what serves in earnest, from a connection's first byte to the line in the log. What happens
//! follows from the seed alone, so that whatever goes wrong once goes wrong again. `docs/security-testing.md` says how
//! to play a seed again, and how to play many.

mod chance;
mod client;
mod client2;
mod ledger;
mod network;
mod policies;
mod reader;
mod server;
mod server2;
mod verdict;
mod world;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::stream::Stream;
use world::Outcome;

/// A connection that is being made.
type Dialing = Pin<Box<dyn Future<Output = io::Result<Stream>>>>;

/// Who answers for the servers' addresses.
type Dialer = Rc<dyn Fn(SocketAddr) -> Dialing>;

thread_local! {
    static DIALER: RefCell<Option<Dialer>> = const { RefCell::new(None) };
}

/// Connects to a server of this thread's world; `None` where there is no world.
pub(crate) fn dial(address: SocketAddr) -> Option<Dialing> {
    let dialer = DIALER.with_borrow(Clone::clone);
    dialer.map(|dialer| dialer(address))
}

fn set_dialer(dialer: Dialer) {
    DIALER.set(Some(dialer));
}

fn forget_dialer() {
    DIALER.set(None);
}

/// Which seeds are played unless `LB_FIRST_SEED` and `LB_SEEDS` say otherwise.
const FIRST: u64 = 0;
const SEEDS: u64 = 2_000;

/// Plays a seed on a thread of its own, so that nothing of what others left behind has a part in it.
fn play(seed: u64, speaks: bool) -> Outcome {
    let played = std::thread::spawn(move || world::run(seed, speaks)).join();
    played.unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|what| (*what).to_owned()));
        let violations = vec![format!("a panic: {}", what.unwrap_or_default())];
        Outcome { violations, fingerprint: 0, exchanges: 0 }
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[allow(clippy::print_stderr)]
fn no_seed_finds_a_fault() {
    if let Some(seed) = number("LB_SEED") {
        let outcome = play(seed, true);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
        return;
    }
    let (first, count) = (number("LB_FIRST_SEED").unwrap_or(FIRST), number("LB_SEEDS").unwrap_or(SEEDS));
    let (next, exchanges, failed) = (AtomicU64::new(first), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = play(seed, false);
                    exchanges.fetch_add(outcome.exchanges, Relaxed);
                    if !outcome.violations.is_empty() {
                        failed.lock().expect("nobody panics with it").push((seed, outcome.violations));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("nobody panics with it");
    failed.sort();
    eprintln!("{count} seeds, {} exchanges, {} seeds found something", exchanges.into_inner(), failed.len());
    if let Some((seed, violations)) = failed.first() {
        let others: Vec<_> = failed.iter().map(|(seed, what)| format!("{seed}: {}", what[0])).collect();
        panic!(
            "seed {seed}: {violations:#?}\nplay it again: LB_SEED={seed} cargo test -p lb-host --lib simulated -- \
             --nocapture\nall: {others:#?}"
        );
    }
}

#[test]
fn a_seed_is_the_same_world_each_time() {
    for seed in 0..40 {
        assert_eq!(play(seed, false).fingerprint, play(seed, false).fingerprint, "seed {seed}");
    }
}
