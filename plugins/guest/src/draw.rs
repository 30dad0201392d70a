//! Drawing at random: who, by weight ([`Lottery`]), and with what luck ([`Dice`]).

use alloc::vec::Vec;

use crate::{
    Arrival, Setting, Settings, Value, hash,
    random::{Random, mix},
};

/// Draws a candidate by weight in constant time: the alias method, after A. J. Walker, "An Efficient Method for
/// Generating Discrete Random Variables with General Distributions" (1977), with its tables made as M. D. Vose
/// does (1991), in whole numbers.
#[derive(Debug, Default)]
pub struct Lottery {
    tickets: Vec<Ticket>,
}

/// One of as many tickets as there are candidates, all equally likely.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    /// Of 2^32 cases, in how many less one it is its own candidate's.
    own: u32,
    /// Whose it is in the others.
    other: u32,
}

impl Lottery {
    /// A lottery for candidates of these weights. One of weight 0 is never drawn, unless all are.
    pub fn new(weights: &[u32]) -> Self {
        let count = weights.len() as u64;
        let total: u64 = weights.iter().copied().map(u64::from).sum::<u64>().max(1);
        // A ticket is worth `total`; a candidate has as much as its weight times the number of tickets.
        let mut rest: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * count).collect();
        let mut tickets: Vec<Ticket> =
            (0..weights.len() as u32).map(|other| Ticket { own: u32::MAX, other }).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|candidate| rest[*candidate] < total);
        while let (Some(low), Some(high)) = (poor.pop(), rich.last().copied()) {
            // `rest[low]` is below `total`, so the quotient is below 2^32.
            let own = (u128::from(rest[low]) << 32) / u128::from(total);
            tickets[low] = Ticket { own: own as u32, other: high as u32 };
            rest[high] -= total - rest[low];
            if rest[high] < total {
                rich.pop();
                poor.push(high);
            }
        }
        Self { tickets }
    }

    /// A candidate; `None` where there is none.
    pub fn draw(&self, random: &mut Random) -> Option<u32> {
        let number = random.next_u64();
        let place = ((number >> 32) * self.tickets.len() as u64) >> 32;
        let ticket = self.tickets.get(place as usize)?;
        let is_own = (number as u32) < ticket.own || ticket.own == u32::MAX;
        Some(if is_own { place as u32 } else { ticket.other })
    }

    /// A candidate that is none of `others`, as far as there is one. After eight draws in vain it is the next in
    /// order that is none of them: only where they have nearly all of the weight.
    pub fn draw_but(&self, random: &mut Random, others: &[u32]) -> Option<u32> {
        let fits = |candidate: &u32| !others.contains(candidate);
        let first = self.draw(random)?;
        if fits(&first) {
            return Some(first);
        }
        let drawn = (0..8).filter_map(|_| self.draw(random)).find(fits);
        let count = self.tickets.len() as u32;
        drawn.or_else(|| (1..count).map(|step| (first + step) % count).find(fits)).or(Some(first))
    }
}

/// Luck, pick by pick: other numbers on each instance, and the same again where a seed is set.
#[derive(Debug)]
pub struct Dice {
    seed: Option<u64>,
}

impl Dice {
    /// The setting `seed`.
    pub fn setting() -> Setting {
        Setting::integer(
            "seed",
            "Makes choices repeatable: the same seed and the same number of a pick give the same choice. Left out, \
             each instance takes a seed from the first request that it sees.",
        )
    }

    /// Dice by the setting.
    pub fn new(settings: &Settings) -> Self {
        match settings.value("seed") {
            Some(Value::Integer(seed)) => Self { seed: Some(mix(*seed as u64)) },
            _ => Self { seed: None },
        }
    }

    /// The numbers for a pick.
    pub fn roll(&mut self, arrival: &Arrival) -> Random {
        let seed = *self.seed.get_or_insert_with(|| {
            mix(hash::of_address(&arrival.client) ^ mix(arrival.time_ms ^ mix(arrival.sequence)))
        });
        Random::new(mix(arrival.sequence ^ seed))
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    fn arrival(sequence: u64) -> Arrival {
        Arrival { sequence, time_ms: 5, client: crate::IpAddress::Ipv4((192, 0, 2, 1)), failed: None }
    }

    #[test]
    fn without_candidates_nobody_is_drawn() {
        let mut random = Random::new(0);
        assert_eq!(Lottery::new(&[]).draw(&mut random), None);
        assert_eq!(Lottery::default().draw_but(&mut random, &[1]), None);
        assert_eq!(Lottery::new(&[0, 0]).draw(&mut random).map(|candidate| candidate < 2), Some(true));
    }

    #[test]
    fn somebody_else_is_drawn_where_there_is_one() {
        let mut random = Random::new(0);
        let lottery = Lottery::new(&[256, 1, 256]);
        let drawn: Vec<_> = (0..200).map(|_| lottery.draw_but(&mut random, &[0, 2])).collect();
        assert_eq!(drawn, vec![Some(1); 200]);
        assert_eq!(lottery.draw_but(&mut random, &[0, 1, 2]).map(|candidate| candidate < 3), Some(true));
    }

    #[test]
    fn a_seed_repeats_and_instances_differ() {
        let roll = |settings: &Settings, at: u64| Dice::new(settings).roll(&arrival(at)).next_u64();
        let seeded = Settings::new(vec![("seed".into(), 7.into())]);
        assert_eq!(roll(&seeded, 3), roll(&seeded, 3));
        assert_ne!(roll(&seeded, 3), roll(&seeded, 4));
        let unseeded = Settings::default();
        let (mut one, mut other) = (Dice::new(&unseeded), Dice::new(&unseeded));
        one.roll(&arrival(0));
        other.roll(&arrival(1));
        assert_ne!(one.roll(&arrival(2)).next_u64(), other.roll(&arrival(2)).next_u64());
    }

    proptest! {
        #[test]
        fn the_odds_are_the_weights(weights in prop::collection::vec(0_u32..=256, 1..40)) {
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            prop_assume!(total > 0);
            let mut odds = vec![0.0; weights.len()];
            for (ticket, place) in Lottery::new(&weights).tickets.iter().zip(0..) {
                let own = if ticket.own == u32::MAX { 1.0 } else { f64::from(ticket.own) / 2_f64.powi(32) };
                odds[place] += own / weights.len() as f64;
                odds[ticket.other as usize] += (1.0 - own) / weights.len() as f64;
            }
            for (odds, weight) in odds.iter().zip(&weights) {
                let expected = f64::from(*weight) / total as f64;
                prop_assert!((odds - expected).abs() < 1e-8, "{odds} instead of {expected}");
            }
        }
    }
}
