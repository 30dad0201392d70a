//! The scan: loads in, the place of the lowest out.
//!
//! A load becomes a key whose order as an integer is the order of the choice. With equal weights the load is
//! its own key. With mixed ones it is the `f32` (load + 1) / weight, whose bits order like the number itself:
//! a division rounds correctly, so equal quotients give equal keys, and with weights to 256 different ones
//! give different keys up to 65,534 requests in flight at one server. Idle servers get 0.
//!
//! On wasm32 the loops over keys are written for its vectors by hand, sixteen keys a round, which spreads the
//! round's own cost with its check of the host's deadline; LLVM's own vectorising came out slower. Elsewhere, in
//! the tests, the same operations are spelt one by one.

use alloc::vec::Vec;

#[cfg(target_arch = "wasm32")]
mod vector;

#[cfg(not(target_arch = "wasm32"))]
use scalar::{lowest, ties, weigh};
#[cfg(target_arch = "wasm32")]
use vector::{lowest, ties, weigh};

/// Ties are counted by chunks of so many keys, so that finding the n-th need not look at all keys again.
const CHUNK: usize = 128;

/// What a pick needs besides the loads.
#[derive(Debug, Default)]
pub struct Scan {
    /// The candidates' weights; empty where all are equal.
    weights: Vec<f32>,
    /// The ties in each chunk: kept only for its memory.
    counts: Vec<u32>,
}

impl Scan {
    /// Takes the weights of the candidates.
    pub fn update(&mut self, weights: impl Iterator<Item = u32> + Clone) {
        self.weights.clear();
        let mut rest = weights.clone();
        let first = rest.next();
        if rest.any(|weight| Some(weight) != first) {
            self.weights.extend(weights.map(|weight| weight.max(1) as f32));
        }
    }

    /// The candidate to pick: of those with the lowest key, the one whose turn `sequence` is; the one that `failed`
    /// comes after all others. `None` without loads.
    pub fn pick(&mut self, loads: Vec<u32>, sequence: u64, failed: Option<u32>) -> Option<u32> {
        let mut keys = loads;
        weigh(&mut keys, &self.weights);
        if let Some(key) = failed.and_then(|failed| keys.get_mut(failed as usize)) {
            *key = u32::MAX;
        }
        let lowest = lowest(&keys);
        self.counts.clear();
        self.counts.extend(keys.chunks(CHUNK).map(|chunk| ties(chunk, lowest)));
        let total: u32 = self.counts.iter().sum();
        let mut turn = sequence.checked_rem(u64::from(total))? as u32;
        for (number, (chunk, count)) in keys.chunks(CHUNK).zip(&self.counts).enumerate() {
            if turn < *count {
                let places = chunk.iter().enumerate().filter(|(_, key)| **key == lowest);
                return places.map(|(place, _)| (number * CHUNK + place) as u32).nth(turn as usize);
            }
            turn -= count;
        }
        None
    }
}

/// The loops one key at a time.
#[cfg(not(target_arch = "wasm32"))]
mod scalar {
    /// Turns loads into keys, as far as there are weights.
    pub(super) fn weigh(loads: &mut [u32], weights: &[f32]) {
        for (load, weight) in loads.iter_mut().zip(weights) {
            *load = if *load == 0 { 0 } else { (load.saturating_add(1) as f32 / weight).to_bits() };
        }
    }

    /// The lowest key; the highest number where there is none.
    pub(super) fn lowest(keys: &[u32]) -> u32 {
        keys.iter().fold(u32::MAX, |lowest, key| lowest.min(*key))
    }

    /// How many keys are `lowest`.
    pub(super) fn ties(keys: &[u32], lowest: u32) -> u32 {
        keys.iter().map(|key| u32::from(*key == lowest)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(weights: &[u32], loads: &[u32], sequences: core::ops::Range<u64>) -> Vec<u32> {
        let mut scan = Scan::default();
        scan.update(weights.iter().copied());
        sequences.map(|sequence| scan.pick(loads.to_vec(), sequence, None).expect("a candidate")).collect()
    }

    #[test]
    fn the_least_loaded_of_equal_weight_is_picked() {
        assert_eq!(picks(&[1, 1, 1], &[2, 1, 3], 0..3), [1, 1, 1]);
    }

    #[test]
    fn equals_take_turns() {
        assert_eq!(picks(&[1, 1, 1], &[0, 0, 0], 0..5), [0, 1, 2, 0, 1]);
        assert_eq!(picks(&[1, 1, 1], &[4, 7, 4], 0..4), [0, 2, 0, 2]);
    }

    #[test]
    fn the_idle_go_before_the_heavy() {
        assert_eq!(picks(&[1, 256], &[0, 1], 0..2), [0, 0]);
    }

    #[test]
    fn the_one_that_failed_comes_last() {
        let mut scan = Scan::default();
        assert_eq!(scan.pick([0, 5, 9].into(), 0, Some(0)), Some(1));
        assert_eq!(scan.pick([4].into(), 0, Some(0)), Some(0));
        assert_eq!(scan.pick([4, 4].into(), 0, Some(7)), Some(0));
    }

    #[test]
    fn thirds_tie_with_wholes() {
        // (5 + 1) / 3 = (1 + 1) / 1
        assert_eq!(picks(&[3, 1], &[5, 1], 0..4), [0, 1, 0, 1]);
    }

    #[test]
    fn without_loads_nobody_is_picked() {
        let mut scan = Scan::default();
        assert_eq!(scan.pick(Vec::new(), 7, None), None);
        scan.update([1, 2].into_iter());
        assert_eq!(scan.pick(Vec::new(), 7, Some(0)), None);
    }

    /// `a` before `b`, in whole numbers: what the keys are to agree with.
    fn before(a: (u32, u32), b: (u32, u32)) -> core::cmp::Ordering {
        let rank = |(load, _)| if load == 0 { 0 } else { u64::from(load) + 1 };
        (rank(a) * u64::from(b.1)).cmp(&(rank(b) * u64::from(a.1)))
    }

    proptest! {
        #[test]
        fn the_pick_is_the_nth_of_the_exactly_lowest(
            servers in prop::collection::vec((prop_oneof![Just(0), 0_u32..6, 0_u32..65_535], 1_u32..=256), 1..400),
            sequence: u64,
        ) {
            let (loads, weights): (Vec<u32>, Vec<u32>) = servers.iter().copied().unzip();
            let lowest = servers.iter().copied().min_by(|a, b| before(*a, *b)).expect("one");
            let equals: Vec<u32> =
                (0..).zip(&servers).filter(|(_, server)| before(**server, lowest).is_eq()).map(|(place, _)| place).collect();
            let expected = equals[(sequence % equals.len() as u64) as usize];
            let mut scan = Scan::default();
            scan.update(weights.into_iter());
            prop_assert_eq!(scan.pick(loads, sequence, None), Some(expected));
        }

        #[test]
        fn any_load_is_survived(loads in prop::collection::vec(any::<u32>(), 1..20), weights in prop::collection::vec(0_u32..=256, 1..20)) {
            let mut scan = Scan::default();
            scan.update(weights.into_iter());
            let places = loads.len() as u32;
            prop_assert!(scan.pick(loads, 3, Some(1)).is_some_and(|place| place < places));
        }
    }
}
