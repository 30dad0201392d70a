//! The balancer `least-time`: the server with the lowest average latency and the fewest requests in flight, by weight.
//!
//! The lowest latency · (in flight + 1) / weight goes first, equals in turn; it is what nginx's documentation says of its
//! `least_time header`. All candidates are looked at, where `peak-ewma` looks at two: the best one is found, and by all
//! workers at once. Averages forget over `decay`, so that a server that was slow is tried again. A server that nothing is
//! known of is tried before others, with one request at a time. What is learned is an instance's own, so each worker
//! learns for itself; `instances = "shared"` makes them learn together, behind a lock. A retry does not go back to the
//! server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Feedback, Outcome, Policy, Refusal, Server, Settings,
    candidates,
    latency::{Kind, Latencies, cost},
};

/// The policy.
#[derive(Debug)]
pub struct LeastTime {
    latencies: Latencies,
    candidates: Vec<Candidate>,
}

impl Policy for LeastTime {
    fn describe() -> Description {
        let summary =
            "the server with the lowest average latency and the fewest requests in flight, by weight";
        Description::new("least-time", env!("CARGO_PKG_VERSION"), summary).settings(Latencies::settings())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let latencies = Latencies::new(Kind::Plain, &settings, &servers)?;
        Ok(Self { latencies, candidates: Vec::new() })
    }

    /// What is known of servers that stay is kept.
    fn reconfigure(&mut self, settings: Settings, servers: Vec<Server>) -> Result<(), Refusal> {
        self.latencies.reconfigure(&settings, &servers)
    }
}

impl Balancer for LeastTime {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let loads = candidates::loads();
        let start = arrival.sequence.checked_rem(self.candidates.len() as u64)? as u32;
        let count = self.candidates.len() as u32;
        let mut best = None;
        let mut lowest = f64::INFINITY;
        // From another candidate on each time, so that equals take turns.
        for candidate in (start..count).chain(0..start) {
            let it = self.candidates[candidate as usize];
            let load = loads.get(candidate as usize).copied().unwrap_or(0);
            let cost = cost(self.latencies.of(it.server), load, it.weight);
            if cost < lowest && Some(candidate) != arrival.failed {
                (best, lowest) = (Some(candidate), cost);
            }
        }
        best.or(arrival.failed)
    }
}

impl Feedback for LeastTime {
    fn observe(&mut self, outcome: Outcome) {
        self.latencies.observe(&outcome);
    }
}

lb_policy::export!(LeastTime: Balancer + Feedback);

#[cfg(test)]
mod tests {
    use lb_policy::testing::{Request, Scene, requests, servers};
    use proptest::prelude::*;

    use super::*;

    fn scene(weights: &[u32]) -> Scene<LeastTime> {
        Scene::new(servers(weights), &[]).expect("good settings")
    }

    #[test]
    fn the_fastest_is_picked_and_load_and_weight_count() {
        let mut scene = scene(&[1, 1, 2]);
        for (server, latency_us) in [(0, 1_000), (1, 2_000), (2, 1_500)] {
            scene.answered(server, 200, latency_us);
        }
        assert_eq!(scene.pick(&Request::get("/")), Some(2), "1,500 / 2");
        scene.load(2, 1);
        assert_eq!(scene.pick(&Request::get("/")), Some(0), "1,500 · 2 / 2 is more");
        scene.load(0, 2);
        assert_eq!(scene.pick(&Request::get("/")), Some(2), "1,000 · 3 is more");
        assert_eq!(scene.retry(&Request::get("/"), 2), Some(1));
    }

    #[test]
    fn unknown_servers_take_turns_one_request_each() {
        let mut scene = scene(&[1, 1, 1]);
        assert_eq!(scene.shares(requests(0).take(6)), [2, 2, 2]);
        scene.answered(0, 200, 1_000);
        (1..3).for_each(|server| scene.load(server, 1));
        assert_eq!(scene.shares(requests(0).take(3)), [3, 0, 0]);
    }

    #[test]
    fn a_server_that_was_slow_is_tried_again() {
        let mut scene = scene(&[1, 1]);
        scene.answered(0, 200, 8_000);
        let mut until_tried = 0;
        while until_tried < 1_000 {
            scene.answered(1, 200, 1_000);
            if scene.pick(&Request::get("/")) == Some(0) {
                break;
            }
            scene.advance_ms(100);
            until_tried += 1;
        }
        // Eight is e to the power of 2.08, and so many times ten seconds it takes.
        assert!((205..215).contains(&until_tried), "{until_tried}");
    }

    #[test]
    fn failures_count_as_slow() {
        let mut scene = scene(&[1, 1]);
        scene.answered(0, 500, 10);
        scene.answered(1, 200, 100_000);
        assert_eq!(scene.shares(requests(0).take(5)), [0, 5]);
    }

    proptest! {
        #[test]
        fn the_pick_has_the_lowest_cost(
            facts in prop::collection::vec((1_u64..1_000_000, 0_u32..50, 1_u32..=256), 1..30),
            sequence in 0_u64..100,
        ) {
            let weights: Vec<u32> = facts.iter().map(|fact| fact.2).collect();
            let mut scene = scene(&weights);
            scene.sequence(sequence);
            for (server, (latency_us, load, _)) in (0..).zip(&facts) {
                scene.answered(server, 200, *latency_us);
                scene.load(server, *load);
            }
            let cost = |(latency, load, weight): (u64, u32, u32)| {
                latency as f64 * (f64::from(load) + 1.0) / f64::from(weight)
            };
            let pick = scene.pick(&Request::get("/")).expect("a server") as usize;
            let lowest = facts.iter().copied().map(cost).fold(f64::INFINITY, f64::min);
            prop_assert!(cost(facts[pick]) <= lowest * (1.0 + 1e-9));
        }

        /// Servers that always answer in the same time get requests in inverse proportion where they queue.
        #[test]
        fn equal_servers_take_turns(count in 1_usize..10) {
            let mut scene = scene(&vec![1; count]);
            (0..count as u32).for_each(|server| scene.answered(server, 200, 1_000));
            prop_assert_eq!(scene.shares(requests(0).take(count * 7)), vec![7; count]);
        }
    }
}
