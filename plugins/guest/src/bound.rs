//! Consistent hashing with bounded loads, after Mirrokni, Thorup and Zadimoghaddam (SODA 2018; as Google and Vimeo
//! use it, and HAProxy's `hash-balance-factor`): no candidate has more than a factor of its fair share of all
//! requests in flight; who is full passes the request to the next in place.

use alloc::{string::String, vec::Vec};

use crate::{Candidate, Refusal, Setting, Settings, candidates, weights};

/// The bound.
#[derive(Debug)]
pub struct Bound {
    /// In percent of the fair share; 0 is none.
    factor: u64,
    weights: Vec<u64>,
    total: u64,
}

impl Bound {
    /// The setting `balance_factor`.
    pub fn setting() -> Setting {
        Setting::integer(
            "balance_factor",
            "How many percent of its fair share of all requests in flight a server may have, before requests go to \
             the next one in place: 101 or more, such as 150. 0 is no bound.",
        )
        .default(0)
    }

    /// The bound that the setting says.
    ///
    /// # Errors
    /// Where nothing could keep it.
    pub fn new(settings: &Settings) -> Result<Self, Refusal> {
        match settings.integer("balance_factor") {
            factor @ (0 | 101..=65_536) => Ok(Self { factor: factor as u64, weights: Vec::new(), total: 0 }),
            _ => Err(Refusal::of(
                "balance_factor",
                String::from("give a number of percent from 101 to 65536, or 0 for no bound"),
            )),
        }
    }

    /// Takes note of the candidates.
    pub fn update(&mut self, candidates: &[Candidate]) {
        if self.factor > 0 {
            self.weights = candidates.iter().map(|candidate| u64::from(candidate.weight)).collect();
            self.total = self.weights.iter().sum();
        }
    }

    /// The candidate that has place number `at`, or the next in place that is below its bound and is not the one
    /// that `failed`, as far as there is one.
    pub fn place(&self, places: &[u32], at: u64, failed: Option<u32>) -> Option<u32> {
        if self.factor == 0 {
            return weights::place(places, at, failed);
        }
        let loads = candidates::loads();
        // This request is one of those to share.
        let all: u64 = loads.iter().copied().map(u64::from).sum::<u64>() + 1;
        let has_room = |candidate: u32| {
            let candidate = candidate as usize;
            let (Some(load), Some(weight)) = (loads.get(candidate), self.weights.get(candidate)) else {
                return false;
            };
            let share = all.saturating_mul(*weight).saturating_mul(self.factor);
            u64::from(*load) < share.div_ceil(self.total.max(1) * 100)
        };
        let (before, after) = places.split_at_checked(at.checked_rem(places.len() as u64)? as usize)?;
        let mut in_place = after.iter().chain(before).copied();
        let found = in_place.find(|candidate| failed != Some(*candidate) && has_room(*candidate));
        found.or_else(|| weights::place(places, at, failed))
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::world::{World, during};

    fn bound(factor: i64, weights: &[u32]) -> Bound {
        let settings = Settings::new(vec![("balance_factor".into(), factor.into())]);
        let mut bound = Bound::new(&settings).expect("a factor");
        let candidate = |(server, weight): (u32, &u32)| Candidate { server, weight: *weight };
        bound.update(&(0..).zip(weights).map(candidate).collect::<Vec<_>>());
        bound
    }

    fn place(bound: &Bound, loads: &[u32], places: &[u32], at: u64, failed: Option<u32>) -> Option<u32> {
        let world = World { loads: loads.into(), ..World::default() };
        during(world, || bound.place(places, at, failed)).0
    }

    #[test]
    fn a_factor_that_leaves_no_room_is_refused() {
        for factor in [-1, 1, 100, 65_537] {
            let settings = Settings::new(vec![("balance_factor".into(), factor.into())]);
            let refusal = Bound::new(&settings).expect_err("it is refused");
            assert_eq!(refusal.setting.as_deref(), Some("balance_factor"));
        }
    }

    #[test]
    fn who_is_full_passes_to_the_next_in_place() {
        let bound = bound(150, &[1, 1, 1]);
        let places = [0, 0, 1, 2];
        // Nine in flight with this one: a share is three, the bound 4.5, rounded up.
        assert_eq!(place(&bound, &[4, 2, 2], &places, 0, None), Some(0));
        assert_eq!(place(&bound, &[5, 2, 1], &places, 0, None), Some(1));
        assert_eq!(place(&bound, &[5, 2, 1], &places, 0, Some(1)), Some(2));
        assert_eq!(place(&bound, &[0, 0, 0], &places, 6, None), Some(1));
        assert_eq!(place(&bound, &[], &[], 0, None), None);
    }

    #[test]
    fn without_a_bound_loads_do_not_matter() {
        assert_eq!(place(&bound(0, &[1, 1]), &[900, 0], &[0, 1], 2, None), Some(0));
    }

    proptest! {
        /// Requests that stay in flight, all with the same key: the worst that can come.
        #[test]
        fn the_bound_holds(weights in prop::collection::vec(1_u32..=256, 1..20), factor in 101_i64..300, requests in 1_usize..400) {
            let bound = bound(factor, &weights);
            let places: Vec<u32> = (0..weights.len() as u32).collect();
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            let mut loads = vec![0_u32; weights.len()];
            for request in 1..=requests as u64 {
                let pick = place(&bound, &loads, &places, 0, None).expect("a candidate") as usize;
                loads[pick] += 1;
                let most = (request * u64::from(weights[pick]) * factor as u64).div_ceil(total * 100);
                prop_assert!(u64::from(loads[pick]) <= most, "{loads:?} of {weights:?}");
            }
        }
    }
}
