//! When a policy that keeps failing is left out for a while, and when its failures are worth a line in the log.
//! Pure: time comes in with each call.

/// So many faults…
const FAULTS: u32 = 5;
/// …within this time bench a policy.
const WINDOW_MS: u64 = 10_000;
/// The first time on the bench; each that follows without a good spell between is twice as long…
const FIRST_MS: u64 = 1_000;
/// …up to this.
const LONGEST_MS: u64 = 60_000;
/// Back from the bench, one fault within this time is enough to go again.
const PROBATION_MS: u64 = 10_000;
/// At least so long between two lines about faults.
const QUIET_MS: u64 = 10_000;

/// The recent conduct of a policy in a backend.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    window_start_ms: u64,
    faults_in_window: u32,
    /// How long it was benched last; 0: not of late.
    last_bench_ms: u64,
    benched_until_ms: u64,
    last_line_ms: Option<u64>,
    unreported: u64,
}

/// What follows from a fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// For how long the policy is benched from now on.
    pub(super) bench_ms: Option<u64>,
    /// Whether to log it, and how many faults went unlogged since the last line, this one not counted.
    pub(super) report: Option<u64>,
}

impl Conduct {
    /// Takes note of a fault. A `decisive` one benches at once.
    pub(super) fn fault(&mut self, now_ms: u64, decisive: bool) -> Consequence {
        if self.is_benched(now_ms) {
            // Another worker's call was still under way.
            self.unreported += 1;
            return Consequence { bench_ms: None, report: None };
        }
        let since_bench = now_ms.saturating_sub(self.benched_until_ms);
        let on_probation = self.last_bench_ms > 0 && since_bench < PROBATION_MS;
        if !on_probation && since_bench >= LONGEST_MS {
            self.last_bench_ms = 0;
        }
        let window = self.window_start_ms..self.window_start_ms.saturating_add(WINDOW_MS);
        if !window.contains(&now_ms) {
            self.window_start_ms = now_ms;
            self.faults_in_window = 0;
        }
        self.faults_in_window += 1;
        let bench_ms = (decisive || on_probation || self.faults_in_window >= FAULTS).then(|| {
            self.last_bench_ms = (self.last_bench_ms * 2).clamp(FIRST_MS, LONGEST_MS);
            self.benched_until_ms = now_ms + self.last_bench_ms;
            self.faults_in_window = 0;
            self.last_bench_ms
        });
        let quiet = self.last_line_ms.is_some_and(|last| (last..last + QUIET_MS).contains(&now_ms));
        let report = if bench_ms.is_some() || !quiet {
            self.last_line_ms = Some(now_ms);
            Some(std::mem::take(&mut self.unreported))
        } else {
            self.unreported += 1;
            None
        };
        Consequence { bench_ms, report }
    }

    pub(super) fn benched_until_ms(&self) -> u64 {
        self.benched_until_ms
    }

    fn is_benched(&self, now_ms: u64) -> bool {
        is_benched(self.benched_until_ms, now_ms)
    }
}

/// Whether the bench lasts. A clock that was set back does not make it longer than it can be.
pub(super) fn is_benched(until_ms: u64, now_ms: u64) -> bool {
    until_ms > now_ms && until_ms - now_ms <= LONGEST_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(conduct: &mut Conduct, now_ms: u64) -> Option<u64> {
        conduct.fault(now_ms, false).bench_ms
    }

    #[test]
    fn five_faults_in_ten_seconds_bench_and_fewer_do_not() {
        let mut conduct = Conduct::default();
        let at = |ms: u64| 1_000_000 + ms;
        assert_eq!([0, 1, 2, 3].map(|ms| bench(&mut conduct, at(ms))), [None; 4]);
        assert_eq!(bench(&mut conduct, at(10_001)), None, "a new window");
        assert_eq!([2, 3, 4].map(|ms| bench(&mut conduct, at(10_000 + ms))), [None; 3]);
        assert_eq!(bench(&mut conduct, at(10_009)), Some(1_000));
    }

    #[test]
    fn each_return_that_fails_doubles_the_bench_and_a_good_spell_forgives() {
        let mut conduct = Conduct::default();
        let mut now = 1_000_000;
        assert_eq!(conduct.fault(now, true).bench_ms, Some(1_000));
        for expected in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            now = conduct.benched_until_ms();
            assert!(!is_benched(conduct.benched_until_ms(), now));
            assert_eq!(bench(&mut conduct, now), Some(expected));
        }
        now = conduct.benched_until_ms() + LONGEST_MS;
        assert_eq!([0, 1, 2, 3].map(|ms| bench(&mut conduct, now + ms)), [None; 4]);
        assert_eq!(bench(&mut conduct, now + 4), Some(1_000));
    }

    #[test]
    fn a_burst_is_one_line_and_the_next_tells_how_many_went_untold() {
        let mut conduct = Conduct::default();
        let report = |conduct: &mut Conduct, now| conduct.fault(now, false).report;
        assert_eq!(report(&mut conduct, 1_000_000), Some(0));
        assert_eq!(report(&mut conduct, 1_000_001), None);
        assert_eq!(report(&mut conduct, 1_000_002), None);
        assert_eq!(report(&mut conduct, 1_010_000), Some(2));
    }

    #[test]
    fn a_clock_set_back_frees_rather_than_binds() {
        assert!(is_benched(1_000_000, 999_999));
        assert!(!is_benched(1_000_000, 1_000_000));
        assert!(!is_benched(1_000_000, 1_000));
    }
}
