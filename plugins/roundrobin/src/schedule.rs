//! The order of turns: who is picked when, for one period.
//!
//! The rule is what HAProxy's `roundrobin` was seen to do. A period has as many turns as the weights sum up to.
//! Each server enters it when nobody else's turn is due, the heaviest first; from then on it is due again every
//! total / weight turns, in whole turns, with the remainders carried over. Whoever is due longest goes next; of
//! those due at the same turn, the one with the most weight left over its remainder; then the one that has
//! waited longer.
//!
//! Held against HAProxy 2.6 and against a model of it that agreed with it on every weight tried: for 97.6 % of
//! 3,000 random sets of weights the order is the same, turn by turn. In the others HAProxy gives one server a
//! turn too many and another one too few within sixteen periods; here every period is exact.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

use lb_policy::weights::without_common_divisor;

/// A server that has entered the period. The order of the fields is the order of precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The turn from which it may go again.
    due: u32,
    /// Remainder less weight: the lower, the sooner among those due at the same turn.
    precedence: i64,
    /// The turn at which it went last.
    last: u32,
    candidate: u32,
    weight: u32,
    /// What the division of total by weight has left over so far, below `weight`.
    remainder: u32,
    /// Its turns to come in this period.
    left: u32,
}

/// One period of turns: indices into `weights`, each as often as its weight without the common divisor.
///
/// Weights of 0 get no turn. With `n` weights whose reduced sum is `total`, this takes O(total · log n).
pub fn schedule(weights: &[u32]) -> Vec<u32> {
    let weights = without_common_divisor(weights);
    let total: u32 = weights.iter().sum();
    // Those to come, the heaviest first, of equals the first in the configuration.
    let mut waiting: BinaryHeap<(u32, Reverse<u32>)> =
        weights.into_iter().zip((0..).map(Reverse)).filter(|(weight, _)| *weight > 0).collect();

    let mut entered: BinaryHeap<Reverse<Entry>> = BinaryHeap::new();
    let mut turns = Vec::with_capacity(total as usize);
    for turn in 0..total {
        let somebody_is_due = entered.peek().is_some_and(|Reverse(first)| first.due <= turn);
        let newcomer = if somebody_is_due { None } else { waiting.pop() };
        let entry = match newcomer {
            Some((weight, Reverse(candidate))) => Some(Entry {
                due: turn,
                precedence: 0,
                last: turn,
                candidate,
                weight,
                remainder: 0,
                left: weight,
            }),
            None => entered.pop().map(|Reverse(entry)| entry),
        };
        let Some(mut entry) = entry else { break };
        turns.push(entry.candidate);
        entry.left -= 1;
        if entry.left > 0 {
            entry.last = turn;
            entry.advance(total);
            entered.push(Reverse(entry));
        }
    }
    turns
}

impl Entry {
    fn advance(&mut self, total: u32) {
        self.due += total / self.weight;
        self.remainder += total % self.weight;
        if self.remainder >= self.weight {
            self.remainder -= self.weight;
            self.due += 1;
        }
        self.precedence = i64::from(self.remainder) - i64::from(self.weight);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The schedule in the names of a configuration: the first server is 1.
    fn order(weights: &[u32]) -> String {
        schedule(weights).iter().map(|candidate| char::from(b'1' + *candidate as u8)).collect()
    }

    #[test]
    fn equal_weights_take_turns_in_the_order_of_the_configuration() {
        assert_eq!(order(&[1, 1, 1]), "123");
        assert_eq!(order(&[100, 100, 100]), "123");
    }

    /// Each as HAProxy 2.6 answered, twice in a row.
    #[test]
    fn mixed_weights_take_turns_as_with_haproxy() {
        for (weights, expected) in [
            (&[1, 2, 3][..], "323132"),
            (&[5, 1, 1], "1112113"),
            (&[3, 2], "11212"),
            (&[2, 1], "112"),
            (&[1, 2], "221"),
            (&[10, 3, 1], "11121131211112"),
            (&[4, 4, 2, 1], "12123124123"),
            (&[7, 5, 3, 2], "12132141231211324"),
        ] {
            assert_eq!(order(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn without_a_weight_there_is_no_turn() {
        assert_eq!(order(&[]), "");
        assert_eq!(order(&[0, 0]), "");
        assert_eq!(order(&[0, 2, 1]), "223");
    }

    #[test]
    fn the_largest_backend_stays_small() {
        let weights: Vec<u32> = (0..1_000).map(|i| 256 - i % 2).collect();
        assert_eq!(schedule(&weights).len(), 255_500);
        assert_eq!(schedule(&[256; 1_000]).len(), 1_000);
    }

    proptest! {
        #[test]
        fn every_period_is_exact(weights in prop::collection::vec(1_u32..=256, 1..20)) {
            let reduced = without_common_divisor(&weights);
            let turns = schedule(&weights);
            for (candidate, weight) in (0..).zip(reduced) {
                let count = turns.iter().filter(|turn| **turn == candidate).count();
                prop_assert_eq!(count, weight as usize);
            }
        }

        /// Nobody's turns bunch up: any run of turns gives a server its share, give or take a few.
        #[test]
        fn turns_are_spread(weights in prop::collection::vec(1_u32..=32, 1..8)) {
            let turns = schedule(&weights);
            for candidate in 0..weights.len() as u32 {
                let mine: u32 = turns.iter().map(|turn| u32::from(*turn == candidate)).sum();
                let (mut so_far, share) = (0.0, f64::from(mine) / turns.len() as f64);
                for (turn, picked) in turns.iter().enumerate() {
                    so_far += f64::from(u8::from(*picked == candidate));
                    let due = share * (turn + 1) as f64;
                    prop_assert!((so_far - due).abs() <= weights.len() as f64 / 2.0 + 1.0, "{candidate} at {turn}");
                }
            }
        }
    }
}
