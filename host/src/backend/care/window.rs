//! Counts over the last while: how many there were of something, and how many of those were marked. All workers count in
//! the same few atomics; the time is passed in.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// The while is cut into so many parts: what is older than all of them is forgotten a part at a time.
const PARTS: usize = 10;

const ALL_BITS: u32 = 24;
const MARKED_BITS: u32 = 20;
/// Numbers of parts wrap around here. A part that nobody counted in for as long as five rounds would be taken for a new
/// one: days.
const NUMBER_BITS: u32 = 64 - ALL_BITS - MARKED_BITS;

/// Counts over the last while.
#[derive(Debug)]
pub struct Window {
    start: Instant,
    part: Duration,
    parts: [AtomicU64; PARTS],
}

/// What there was in the last while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// All of it.
    pub all: u64,
    /// What of it was marked.
    pub marked: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} requests failed", self.marked, self.all)
    }
}

/// One part: its number, and what was counted in it. Counts stay at their maximum.
#[derive(Clone, Copy)]
struct Part {
    number: u64,
    all: u64,
    marked: u64,
}

impl Part {
    fn of(packed: u64) -> Part {
        Part {
            number: packed >> (ALL_BITS + MARKED_BITS),
            all: (packed >> MARKED_BITS) & ((1 << ALL_BITS) - 1),
            marked: packed & ((1 << MARKED_BITS) - 1),
        }
    }

    fn packed(self) -> u64 {
        let all = self.all.min((1 << ALL_BITS) - 1);
        let marked = self.marked.min((1 << MARKED_BITS) - 1);
        (self.number << (ALL_BITS + MARKED_BITS)) | (all << MARKED_BITS) | marked
    }
}

impl Window {
    /// Nothing has been counted.
    pub fn new(whole: Duration, now: Instant) -> Window {
        let part = (whole / PARTS as u32).max(Duration::from_millis(1));
        Window { start: now, part, parts: Default::default() }
    }

    /// Counts so many, of which so many are marked.
    pub fn add(&self, now: Instant, all: u64, marked: u64) {
        self.update(now, |part| Part { all: part.all + all, marked: part.marked + marked, ..part });
    }

    /// Takes back one that was marked, if it was counted just now.
    pub fn take_back_mark(&self, now: Instant) {
        self.update(now, |part| Part { marked: part.marked.saturating_sub(1), ..part });
    }

    /// What there was in the last while.
    pub fn counts(&self, now: Instant) -> Counts {
        let number = self.number(now);
        let parts = self.parts.iter().map(|part| Part::of(part.load(Relaxed)));
        let wrap = (1 << NUMBER_BITS) - 1;
        let recent = parts.filter(|part| (number.wrapping_sub(part.number) & wrap) < PARTS as u64);
        recent.fold(Counts { all: 0, marked: 0 }, |sum, part| Counts {
            all: sum.all + part.all,
            marked: sum.marked + part.marked,
        })
    }

    /// Forgets what was counted.
    pub fn clear(&self) {
        self.parts.iter().for_each(|part| {
            let _ = part.fetch_update(Relaxed, Relaxed, |packed| {
                Some(Part { all: 0, marked: 0, ..Part::of(packed) }.packed())
            });
        });
    }

    fn update(&self, now: Instant, change: impl Fn(Part) -> Part) {
        let count = now.saturating_duration_since(self.start).as_nanos() / self.part.as_nanos();
        let number = self.number(now);
        let part = &self.parts[(count % PARTS as u128) as usize];
        let _ = part.fetch_update(Relaxed, Relaxed, |packed| {
            let part = match Part::of(packed) {
                part if part.number == number => part,
                _ => Part { number, all: 0, marked: 0 },
            };
            Some(change(part).packed())
        });
    }

    /// The number of the part that is now.
    fn number(&self, now: Instant) -> u64 {
        let count = now.saturating_duration_since(self.start).as_nanos() / self.part.as_nanos();
        count as u64 & ((1 << NUMBER_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(window: &Window, now: Instant) -> (u64, u64) {
        let Counts { all, marked } = window.counts(now);
        (all, marked)
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let window = Window::new(Duration::from_secs(10), start);
        window.add(at(0), 5, 1);
        window.add(at(5_500), 10, 2);
        assert_eq!(counts(&window, at(9_999)), (15, 3));
        assert_eq!(counts(&window, at(10_000)), (10, 2));
        assert_eq!(counts(&window, at(15_000)), (0, 0));
        window.add(at(100_000), 1, 0);
        assert_eq!(counts(&window, at(100_000)), (1, 0));
        window.clear();
        assert_eq!(counts(&window, at(100_000)), (0, 0));
    }

    #[test]
    fn counts_end_at_their_maximum_and_do_not_run_over() {
        let start = Instant::now();
        let window = Window::new(Duration::from_secs(10), start);
        (0..3).for_each(|_| window.add(start, 1 << 23, 1 << 19));
        assert_eq!(counts(&window, start), ((1 << 24) - 1, (1 << 20) - 1));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_the_last_ten_parts(steps in prop::collection::vec((0_u64..2_500, 0_u64..3), 1..200)) {
            let start = Instant::now();
            let window = Window::new(Duration::from_secs(10), start);
            let (mut now, mut told) = (0, Vec::new());
            for (step, marked) in steps {
                now += step;
                window.add(start + Duration::from_millis(now), 3, marked);
                told.push((now, marked));
                let recent: Vec<_> = told.iter().filter(|(then, _)| then / 1_000 + 10 > now / 1_000).collect();
                let expected = (3 * recent.len() as u64, recent.iter().map(|(_, marked)| marked).sum::<u64>());
                prop_assert_eq!(counts(&window, start + Duration::from_millis(now)), expected);
            }
        }
    }
}
