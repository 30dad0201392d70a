//! The balancer `weighted-random`: a server drawn at random, by weight.
//!
//! It knows nothing and needs nothing: no load, no sequence to keep to. It is there to compare others with, and for
//! many small balancers in front of many servers, where turns taken in step would meet at the same server. Drawing
//! takes the same time for any number of servers: Walker's alias method (1977). A retry does not go back to the server
//! that failed while there is another.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Settings,
    draw::{Dice, Lottery},
};

/// The policy.
#[derive(Debug)]
pub struct WeightedRandom {
    dice: Dice,
    lottery: Lottery,
}

impl Policy for WeightedRandom {
    fn describe() -> Description {
        let summary = "a server drawn at random, by weight";
        Description::new("weighted-random", env!("CARGO_PKG_VERSION"), summary).setting(Dice::setting())
    }

    fn configure(settings: Settings, _: Vec<Server>) -> Result<Self, Refusal> {
        Ok(Self { dice: Dice::new(&settings), lottery: Lottery::default() })
    }
}

impl Balancer for WeightedRandom {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let weights: Vec<u32> = candidates.iter().map(|candidate| candidate.weight).collect();
        self.lottery = Lottery::new(&weights);
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let mut random = self.dice.roll(&arrival);
        self.lottery.draw_but(&mut random, arrival.failed.as_slice())
    }
}

lb_policy::export!(WeightedRandom: Balancer);

#[cfg(test)]
mod tests {
    use lb_policy::testing::{Scene, requests, servers};
    use proptest::prelude::*;

    use super::*;

    fn scene(weights: &[u32]) -> Scene<WeightedRandom> {
        Scene::new(servers(weights), &[("seed", 1.into())]).expect("good settings")
    }

    #[test]
    fn loads_do_not_matter() {
        let mut scene = scene(&[1, 1]);
        scene.load(0, 1_000);
        let shares = scene.shares(requests(0).take(1_000));
        assert!((400..600).contains(&shares[0]), "{shares:?}");
    }

    proptest! {
        #[test]
        fn servers_share_by_weight(weights in prop::collection::vec(1_u32..=256, 1..6)) {
            let total: u32 = weights.iter().sum();
            let shares = scene(&weights).shares(requests(0).take(5_000));
            for (share, weight) in shares.iter().zip(&weights) {
                let expected = 5_000.0 * f64::from(*weight) / f64::from(total);
                prop_assert!((*share as f64 - expected).abs() < 6.0 * expected.sqrt() + 1.0, "{shares:?}");
            }
        }

        #[test]
        fn a_retry_goes_elsewhere(weights in prop::collection::vec(1_u32..=256, 2..6)) {
            let mut scene = scene(&weights);
            for request in requests(0).take(50) {
                prop_assert_ne!(scene.retry(&request, 1), Some(1));
            }
        }
    }
}
