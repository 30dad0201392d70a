//! Candidates by their weights.

use alloc::vec::Vec;

/// Weights in the same proportion, as small as can be: a schedule need not be longer than their sum.
pub fn without_common_divisor(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, *weight)).max(1);
    weights.iter().map(|weight| weight / divisor).collect()
}

/// The candidate that has this number's place, the numbers going round; where that is the one that `failed`, the
/// one that comes next after it and is another, as far as there is one.
pub fn place(places: &[u32], number: u64, failed: Option<u32>) -> Option<u32> {
    let at = number.checked_rem(places.len() as u64)? as usize;
    let (before, after) = places.split_at_checked(at)?;
    let first = *after.first()?;
    let mut others = after.iter().chain(before).filter(|candidate| **candidate != first);
    if failed == Some(first) { others.next().copied().or(failed) } else { Some(first) }
}

/// By which candidates of these loads compare, the lowest first: (load + 1) / weight, the idle before all others.
pub fn rank(load: u32, weight: u32) -> f32 {
    if load == 0 { 0.0 } else { (load.saturating_add(1)) as f32 / weight.max(1) as f32 }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lose_their_common_divisor() {
        assert_eq!(without_common_divisor(&[100, 50, 0]), [2, 1, 0]);
        assert_eq!(without_common_divisor(&[0, 0]), [0, 0]);
        assert!(without_common_divisor(&[]).is_empty());
    }

    #[test]
    fn the_idle_rank_first_and_then_the_lighter() {
        assert_eq!([rank(0, 1), rank(0, 256)], [0.0; 2]);
        assert!(rank(1, 256) > 0.0 && rank(5, 3) == rank(1, 1) && rank(4, 3) < rank(1, 1));
    }

    #[test]
    fn the_one_that_failed_gives_its_place_to_the_next() {
        let picks = |places: &[u32], failed| (0..5).map(|n| place(places, n, failed)).collect::<Vec<_>>();
        assert_eq!(picks(&[0, 1, 0, 2], None), [Some(0), Some(1), Some(0), Some(2), Some(0)]);
        assert_eq!(picks(&[0, 1, 0, 2], Some(0)), [Some(1), Some(1), Some(2), Some(2), Some(1)]);
        assert_eq!(picks(&[0, 1, 0, 2], Some(2)), [Some(0), Some(1), Some(0), Some(0), Some(0)]);
        assert_eq!(place(&[7, 7], 1, Some(7)), Some(7));
        assert_eq!(place(&[], 1, None), None);
    }
}
