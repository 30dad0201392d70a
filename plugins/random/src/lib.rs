//! The balancer `random`: of a few servers drawn at random, the least loaded.
//!
//! With two draws the longest queue is exponentially shorter than with one, and balancers that know nothing of each
//! other do not all run to the same server: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
//! (1996, IEEE TPDS 2001). Servers are drawn by weight; the lowest (in flight + 1) / weight wins, the idle before all
//! others, of equals the one drawn first. It is HAProxy's `balance random(draws)`. A retry does not go back to the
//! server that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Setting, Settings, candidates,
    draw::{Dice, Lottery},
    weights::rank,
};

const MOST_DRAWS: i64 = 16;

/// The policy.
#[derive(Debug)]
pub struct Random {
    draws: usize,
    dice: Dice,
    lottery: Lottery,
    weights: Vec<u32>,
}

impl Policy for Random {
    fn describe() -> Description {
        let summary = "of a few servers drawn at random, the least loaded";
        Description::new("random", env!("CARGO_PKG_VERSION"), summary).settings([
            Setting::integer("draws", "How many servers are drawn, 1 to 16.").default(2),
            Dice::setting(),
        ])
    }

    fn configure(settings: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        match settings.integer("draws") {
            draws @ 1..=MOST_DRAWS => Ok(Self {
                draws: draws as usize,
                dice: Dice::new(&settings),
                lottery: Lottery::default(),
                weights: Vec::new(),
            }),
            _ => Err(Refusal::of("draws", "give a number from 1 to 16")),
        }
    }
}

impl Balancer for Random {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.weights = candidates.iter().map(|candidate| candidate.weight).collect();
        self.lottery = Lottery::new(&self.weights);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let mut random = self.dice.roll(&arrival);
        // Those that are not to be drawn: the one that failed, then the best so far.
        let failed = arrival.failed.unwrap_or(u32::MAX);
        let mut best = self.lottery.draw_but(&mut random, &[failed])?;
        if self.draws == 1 {
            return Some(best);
        }
        let mut lowest = self.rank(best);
        for _ in 1..self.draws {
            let other = self.lottery.draw_but(&mut random, &[failed, best])?;
            let rank = if other == failed { f32::INFINITY } else { self.rank(other) };
            if rank < lowest {
                (best, lowest) = (other, rank);
            }
        }
        Some(best)
    }
}

impl Random {
    fn rank(&self, candidate: u32) -> f32 {
        rank(candidates::load(candidate), self.weights.get(candidate as usize).copied().unwrap_or(1))
    }
}

lb_policy::export!(Random: Balancer);

#[cfg(test)]
mod tests {
    use lb_policy::testing::{Request, Scene, requests, servers};
    use proptest::prelude::*;

    use super::*;

    fn scene(weights: &[u32], draws: i64) -> Scene<Random> {
        Scene::new(servers(weights), &[("draws", draws.into()), ("seed", 1.into())]).expect("good settings")
    }

    #[test]
    fn draws_are_held_to_their_bounds() {
        for draws in [-1, 0, 17] {
            let refusal =
                Scene::<Random>::new(servers(&[1]), &[("draws", draws.into())]).expect_err("refused");
            assert_eq!(refusal.setting.as_deref(), Some("draws"));
        }
    }

    #[test]
    fn the_less_loaded_of_two_is_picked() {
        let mut scene = scene(&[1, 1], 2);
        scene.load(0, 3);
        scene.load(1, 2);
        assert_eq!(scene.shares(requests(0).take(100)), [0, 100]);
        scene.load(1, 4);
        assert_eq!(scene.shares(requests(0).take(100)), [100, 0]);
    }

    #[test]
    fn the_most_loaded_is_never_picked() {
        let mut scene = scene(&[1; 5], 2);
        (0..5).for_each(|server| scene.load(server, server + 1));
        let shares = scene.shares(requests(0).take(5_000));
        assert_eq!(shares[4], 0);
        assert!(shares.is_sorted_by(|more, less| more > less), "{shares:?}");
    }

    /// Balls into bins, none taken out: the figures of the paper's introduction.
    #[test]
    fn two_choices_keep_the_longest_queue_short() {
        let longest = |draws| {
            let mut scene = scene(&[1; 200], draws);
            let mut loads = [0; 200];
            for request in requests(0).take(200) {
                let server = scene.pick(&request).expect("a server");
                loads[server as usize] += 1;
                scene.load(server, loads[server as usize]);
            }
            loads.into_iter().max().expect("servers")
        };
        assert!(longest(2) <= 3 && longest(1) >= 4, "{} and {}", longest(2), longest(1));
    }

    #[test]
    fn the_same_seed_repeats_and_an_own_one_differs() {
        let picks = |settings: &[(&str, lb_policy::Value)], from: u64| {
            let mut scene = Scene::<Random>::new(servers(&[1; 50]), settings).expect("good settings");
            scene.advance_ms(from);
            (0..20).map(|_| scene.pick(&Request::get("/"))).collect::<Vec<_>>()
        };
        let seed = |seed: i64| [("seed", seed.into())];
        assert_eq!(picks(&seed(3), 0), picks(&seed(3), 9));
        assert_ne!(picks(&seed(3), 0), picks(&seed(4), 0));
        assert_ne!(picks(&[], 0), picks(&[], 9));
    }

    proptest! {
        #[test]
        fn idle_servers_share_by_weight(weights in prop::collection::vec(1_u32..20, 1..6), draws in 1_i64..4) {
            let total: u32 = weights.iter().sum();
            let shares = scene(&weights, draws).shares(requests(0).take(5_000));
            for (share, weight) in shares.iter().zip(&weights) {
                let expected = 5_000.0 * f64::from(*weight) / f64::from(total);
                prop_assert!((*share as f64 - expected).abs() < 6.0 * expected.sqrt(), "{shares:?} for {weights:?}");
            }
        }

        #[test]
        fn a_retry_goes_elsewhere(weights in prop::collection::vec(1_u32..=256, 2..6), draws in 1_i64..17, failed in 0_u32..2) {
            let mut scene = scene(&weights, draws);
            (0..weights.len() as u32).filter(|server| *server != failed).for_each(|server| scene.load(server, 50));
            for request in requests(0).take(50) {
                prop_assert_ne!(scene.retry(&request, failed), Some(failed));
            }
        }
    }
}
