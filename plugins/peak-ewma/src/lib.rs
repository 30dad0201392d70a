//! The balancer `peak-ewma`: of two servers drawn at random, the one that is expected to answer sooner.
//!
//! What is expected is a moving average of a server's latencies, sensitive to peaks: a slow answer counts at once and
//! in full, faster ones bring it down over `decay`. It is multiplied by the requests that the server has in flight.
//! This is the `P2C PeakEWMA` of Finagle's documentation ("Balancers" in its user guide), which Linkerd takes over. A
//! server that nothing is known of, or that nothing was heard of for long, is tried before others, with one request at a
//! time. What is learned is an instance's own, so each worker learns for itself; `instances = "shared"` makes them learn
//! together, behind a lock. A retry does not go back to the server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Feedback, Outcome, Policy, Refusal, Server, Settings,
    candidates,
    draw::{Dice, Lottery},
    latency::{Kind, Latencies, cost},
};

/// The policy.
#[derive(Debug)]
pub struct PeakEwma {
    latencies: Latencies,
    dice: Dice,
    lottery: Lottery,
    candidates: Vec<Candidate>,
}

impl Policy for PeakEwma {
    fn describe() -> Description {
        let summary = "of two servers drawn at random, the one expected to answer sooner";
        Description::new("peak-ewma", env!("CARGO_PKG_VERSION"), summary)
            .settings(Latencies::settings())
            .setting(Dice::setting())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self {
            latencies: Latencies::new(Kind::Peak, &settings, &servers)?,
            dice: Dice::new(&settings),
            lottery: Lottery::default(),
            candidates: Vec::new(),
        })
    }

    /// What is known of servers that stay is kept.
    fn reconfigure(&mut self, settings: Settings, servers: Vec<Server>) -> Result<(), Refusal> {
        self.latencies.reconfigure(&settings, &servers)?;
        self.dice = Dice::new(&settings);
        Ok(())
    }
}

impl Balancer for PeakEwma {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        self.lottery = Lottery::new(&weights);
        self.candidates = candidates;
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let mut random = self.dice.roll(&arrival);
        let failed = arrival.failed.unwrap_or(u32::MAX);
        let one = self.lottery.draw_but(&mut random, &[failed])?;
        let other = self.lottery.draw_but(&mut random, &[failed, one])?;
        let is_better = other != failed && other != one && self.cost(other) < self.cost(one);
        Some(if is_better { other } else { one })
    }
}

impl PeakEwma {
    /// Weights are in the odds of the draw already.
    fn cost(&self, candidate: u32) -> f64 {
        let Some(it) = self.candidates.get(candidate as usize) else { return f64::INFINITY };
        cost(self.latencies.of(it.server), candidates::load(candidate), 1)
    }
}

impl Feedback for PeakEwma {
    fn observe(&mut self, outcome: Outcome) {
        self.latencies.observe(&outcome);
    }
}

lb_policy::export!(PeakEwma: Balancer + Feedback);

#[cfg(test)]
mod tests {
    use lb_policy::{
        Verdict,
        testing::{Scene, requests, servers},
    };
    use proptest::prelude::*;

    use super::*;

    fn scene(weights: &[u32]) -> Scene<PeakEwma> {
        Scene::new(servers(weights), &[("seed", 1.into())]).expect("good settings")
    }

    /// Each server answers in its time, one request after the other.
    fn run(scene: &mut Scene<PeakEwma>, latencies_us: &[u64], count: usize) -> Vec<usize> {
        let mut shares = vec![0; latencies_us.len()];
        for request in requests(0).take(count) {
            let server = scene.pick(&request).expect("a server");
            shares[server as usize] += 1;
            scene.advance_ms(1);
            scene.answered(server, 200, latencies_us[server as usize]);
        }
        shares
    }

    #[test]
    fn a_slow_server_gets_next_to_nothing_until_it_is_fast_again() {
        let mut scene = scene(&[1; 5]);
        let shares = run(&mut scene, &[50_000, 1_000, 1_000, 1_000, 1_000], 5_000);
        assert!(shares[0] < 10, "{shares:?}");
        scene.advance_ms(120_000);
        let shares = run(&mut scene, &[1_000; 5], 5_000);
        assert!(shares[0] > 500, "{shares:?}");
    }

    #[test]
    fn one_slow_answer_is_enough() {
        let mut scene = scene(&[1, 1]);
        run(&mut scene, &[1_000, 1_000], 100);
        scene.answered(0, 200, 500_000);
        assert_eq!(run(&mut scene, &[1_000, 1_000], 100), [0, 100]);
    }

    #[test]
    fn a_server_that_fails_fast_does_not_look_fast() {
        let mut scene = scene(&[1, 1]);
        scene.answered(1, 200, 20_000);
        scene.failed(0, Verdict::Unreachable, 50);
        assert_eq!(run(&mut scene, &[20_000, 20_000], 50), [0, 50]);
    }

    #[test]
    fn requests_in_flight_count() {
        let mut scene = scene(&[1, 1]);
        scene.answered(0, 200, 1_000);
        scene.answered(1, 200, 3_000);
        scene.load(0, 3);
        assert_eq!(scene.shares(requests(0).take(50)), [0, 50]);
        scene.load(0, 1);
        assert_eq!(scene.shares(requests(0).take(50)), [50, 0]);
    }

    #[test]
    fn an_unknown_server_gets_one_request_to_begin_with() {
        let mut scene = scene(&[1, 1]);
        scene.answered(0, 200, 1_000);
        assert_eq!(scene.shares(requests(0).take(5)), [0, 5]);
        scene.load(1, 1);
        assert_eq!(scene.shares(requests(0).take(5)), [5, 0]);
    }

    #[test]
    fn what_is_known_outlives_a_reload() {
        let mut scene = scene(&[1, 1]);
        run(&mut scene, &[1_000, 90_000], 100);
        scene.reconfigure(servers(&[1, 1]), &[("seed", 2.into())]).expect("good settings");
        assert_eq!(run(&mut scene, &[1_000, 90_000], 50), [50, 0]);
    }

    proptest! {
        #[test]
        fn equal_servers_share_by_weight(weights in prop::collection::vec(1_u32..8, 3..6)) {
            let mut scene = scene(&weights);
            let equal = vec![1_000; weights.len()];
            run(&mut scene, &equal, 100);
            // Seen in the same millisecond, averages are the same: what decides is the draw.
            (0..weights.len() as u32).for_each(|server| scene.answered(server, 200, 1_000_000));
            let shares = scene.shares(requests(1).take(5_000));
            let total: u32 = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let expected = 5_000.0 * f64::from(*weight) / f64::from(total);
                prop_assert!((*share as f64 - expected).abs() < 6.0 * expected.sqrt(), "{shares:?} for {weights:?}");
            }
        }

        #[test]
        fn a_retry_goes_elsewhere(count in 2_usize..6) {
            let mut scene = scene(&vec![1; count]);
            for request in requests(0).take(50) {
                prop_assert_ne!(scene.retry(&request, 1), Some(1));
            }
        }
    }
}
