//! A server's way to its whole share after it has come UP: how far it is, by the time that has passed. No I/O, and no
//! clock.

use std::time::Duration;

/// All of it, in percent.
pub const WHOLE: u32 = 100;

/// Weights of policies go up to here.
const MOST: u32 = 256;

/// The most that weights are multiplied by: as fine as HAProxy has it.
const FINEST: u32 = 16;

/// The shortest time between two steps.
const SHORTEST_STEP: Duration = Duration::from_millis(50);

/// The share in percent, `since` so long, of a server that takes `over` so long to the whole of it.
pub fn share(since: Duration, over: Duration) -> u32 {
    if since >= over {
        return WHOLE;
    }
    ((since.as_nanos() * u128::from(WHOLE) / over.as_nanos()) as u32).max(1)
}

/// How long to wait for the next step: there are some twenty.
pub fn step(over: Duration) -> Duration {
    (over / 20).max(SHORTEST_STEP)
}

/// What weights are multiplied by where servers may start slowly, so that a part of a small one is still a whole
/// number; `heaviest` is the greatest of them.
pub fn scale(heaviest: u32) -> u32 {
    (MOST / heaviest.max(1)).clamp(1, FINEST)
}

/// A part of a weight or of a bound, rounded up: never nothing.
pub fn part(of: u32, percent: u32) -> u32 {
    (u64::from(of) * u64::from(percent)).div_ceil(u64::from(WHOLE)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_evenly_from_next_to_nothing() {
        let over = Duration::from_secs(30);
        let shares = [0, 1, 3, 15, 29, 30, 90].map(|since| share(Duration::from_secs(since), over));
        assert_eq!(shares, [1, 3, 10, 50, 96, 100, 100]);
    }

    #[test]
    fn a_small_weight_has_parts_and_a_great_one_stays_in_bounds() {
        assert_eq!([0, 1, 2, 10, 16, 100, 256].map(scale), [16, 16, 16, 16, 16, 2, 1]);
        assert_eq!((1..=256).map(|weight| weight * scale(weight)).max(), Some(256));
        assert_eq!([1, 50, 100].map(|percent| part(16, percent)), [1, 8, 16]);
        assert_eq!(part(1, 1), 1);
        assert_eq!(part(u32::MAX, 100), u32::MAX);
    }

    #[test]
    fn steps_are_neither_too_many_nor_too_close() {
        assert_eq!(step(Duration::from_secs(30)), Duration::from_millis(1500));
        assert_eq!(step(Duration::from_millis(1)), SHORTEST_STEP);
    }
}
