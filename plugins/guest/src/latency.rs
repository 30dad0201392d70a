//! What servers' answers have taken lately: moving averages that forget with time.
//!
//! An average falls by a factor of e in each `decay`, also while nothing is heard, so that a server that once was slow
//! is tried again. All fall alike, and so what is kept are averages as of a common date, which compare as they are:
//! a pick has no exponential to compute.

use alloc::{string::String, vec, vec::Vec};

use crate::{Outcome, Refusal, Server, Setting, Settings, Verdict};

/// How an outcome moves an average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By its distance.
    Plain,
    /// One above it takes its place at once.
    Peak,
}

/// The averages of a backend's servers.
#[derive(Debug)]
pub struct Latencies {
    kind: Kind,
    decay_ms: f64,
    penalty_us: f64,
    names: Vec<String>,
    averages: Vec<Average>,
    /// The common date.
    base_ms: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Average {
    /// In microseconds, as of the common date; 0 where nothing is known.
    at_base: f64,
    /// When it was last moved.
    moved_ms: u64,
}

/// The common date is moved before numbers grow by more than a factor of e to this power.
const MOST_DECAYS: f64 = 300.0;

impl Latencies {
    /// The settings `decay` and `penalty`.
    pub fn settings() -> [Setting; 2] {
        [
            Setting::duration(
                "decay",
                "How fast the past is forgotten: in this time what is known of a server loses 63 percent of its \
                 weight.",
            )
            .default(10_000),
            Setting::duration(
                "penalty",
                "A failed attempt, or an answer of status 500 or above, counts as having taken so long at least, so \
                 that a server that fails fast does not look like a fast one.",
            )
            .default(1_000),
        ]
    }

    /// Nothing known of these servers.
    ///
    /// # Errors
    /// Where the settings do not make sense.
    pub fn new(kind: Kind, settings: &Settings, servers: &[Server]) -> Result<Self, Refusal> {
        if settings.duration_ms("decay") == 0 {
            return Err(Refusal::of("decay", "give a time above 0, such as \"10s\""));
        }
        Ok(Self {
            kind,
            decay_ms: settings.duration_ms("decay") as f64,
            penalty_us: settings.duration_ms("penalty") as f64 * 1_000.0,
            names: servers.iter().map(|server| server.name.clone()).collect(),
            averages: vec![Average::default(); servers.len()],
            base_ms: 0,
        })
    }

    /// Other settings and servers, with what is known of those that stay.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn reconfigure(&mut self, settings: &Settings, servers: &[Server]) -> Result<(), Refusal> {
        let mut new = Self::new(self.kind, settings, servers)?;
        // Averages of the same date compare under any decay.
        new.base_ms = self.base_ms;
        for (name, average) in new.names.iter().zip(&mut new.averages) {
            if let Some(known) = self.names.iter().position(|other| other == name) {
                *average = self.averages[known];
            }
        }
        *self = new;
        Ok(())
    }

    /// Takes note of an outcome. A client that went away says only that the answer would have taken longer.
    pub fn observe(&mut self, outcome: &Outcome) {
        let failed = match outcome.verdict {
            Verdict::Answered => outcome.status >= 500,
            Verdict::Abandoned => false,
            Verdict::Unreachable | Verdict::Broken | Verdict::TimedOut => true,
        };
        let latency_us = (outcome.latency_us as f64).max(if failed { self.penalty_us } else { 1.0 });
        let decays = self.decays_until(outcome.time_ms);
        let Some(average) = self.averages.get_mut(outcome.server as usize) else { return };
        let now_us = average.at_base * exp(-decays);
        if outcome.verdict == Verdict::Abandoned && latency_us <= now_us {
            return;
        }
        let elapsed_ms = outcome.time_ms.saturating_sub(average.moved_ms) as f64;
        let is_new = average.at_base == 0.0 || self.kind == Kind::Peak && latency_us > now_us;
        let weight = if is_new { 1.0 } else { 1.0 - exp(-elapsed_ms / self.decay_ms) };
        // What has decayed and what is new add up to a mean of the two.
        let moved_us = if is_new { latency_us } else { now_us + latency_us * weight };
        *average = Average { at_base: moved_us * exp(decays), moved_ms: outcome.time_ms };
    }

    /// What is known of a server, comparable with what is known of the others; 0 where nothing is.
    pub fn of(&self, server: u32) -> f64 {
        self.averages.get(server as usize).map_or(0.0, |average| average.at_base)
    }

    /// The time since the common date in units of `decay`, that date moved where it lies too far back.
    fn decays_until(&mut self, now_ms: u64) -> f64 {
        if self.base_ms == 0 {
            self.base_ms = now_ms;
        }
        let decays = now_ms.saturating_sub(self.base_ms) as f64 / self.decay_ms;
        if decays <= MOST_DECAYS {
            return decays;
        }
        self.base_ms = now_ms;
        let factor = exp(-decays);
        self.averages.iter_mut().for_each(|average| average.at_base *= factor);
        0.0
    }
}

/// What it would cost to send a request to a server: its average times the requests that it then has, by weight. A
/// server that nothing is known of is tried before all others, but with one request at a time.
pub fn cost(average: f64, load: u32, weight: u32) -> f64 {
    match (average > 0.0, load) {
        (false, 0) => 0.0,
        (false, _) => 1e290 * f64::from(load),
        (true, _) => average * (f64::from(load) + 1.0) / f64::from(weight.max(1)),
    }
}

/// The exponential function, to some fifteen digits, by its series near 0 and powers of two: `core` has none.
fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let powers = (x * core::f64::consts::LOG2_E + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let rest = x - powers as f64 * core::f64::consts::LN_2;
    let series = (1..=13).rev().fold(1.0, |sum, n| 1.0 + rest / f64::from(n) * sum);
    series * f64::from_bits(((powers + 1_023).clamp(1, 2_046) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::servers;

    const START: u64 = 1_700_000_000_000;

    fn latencies(kind: Kind) -> Latencies {
        let settings = Settings::new(vec![("decay".into(), 10_000.into()), ("penalty".into(), 1_000.into())]);
        Latencies::new(kind, &settings, &servers(&[1, 1, 1])).expect("good settings")
    }

    fn answered(server: u32, latency_us: u64, at_ms: u64) -> Outcome {
        let time_ms = START + at_ms;
        let (verdict, status) = (Verdict::Answered, 200);
        Outcome { server, verdict, status, connect_us: 0, latency_us, bytes: 0, time_ms }
    }

    /// An average as it would be at that time.
    fn now(latencies: &Latencies, server: u32, at_ms: u64) -> f64 {
        latencies.of(server) * (-((START + at_ms - latencies.base_ms) as f64) / latencies.decay_ms).exp()
    }

    #[test]
    fn an_average_goes_to_what_is_heard() {
        let mut latencies = latencies(Kind::Plain);
        latencies.observe(&answered(0, 1_000, 0));
        assert!((now(&latencies, 0, 0) - 1_000.0).abs() < 1e-6);
        latencies.observe(&answered(0, 2_000, 10_000));
        let expected = 1_000.0 / core::f64::consts::E + 2_000.0 * (1.0 - 1.0 / core::f64::consts::E);
        assert!((now(&latencies, 0, 10_000) - expected).abs() < 1e-6);
        assert!((now(&latencies, 0, 20_000) - expected / core::f64::consts::E).abs() < 1e-6, "it forgets");
    }

    #[test]
    fn a_peak_takes_the_place_of_the_average() {
        let mut latencies = latencies(Kind::Peak);
        latencies.observe(&answered(0, 1_000, 0));
        latencies.observe(&answered(0, 50_000, 1));
        assert!((now(&latencies, 0, 1) - 50_000.0).abs() < 1e-6);
        latencies.observe(&answered(0, 1_000, 2));
        assert!(now(&latencies, 0, 2) > 49_000.0, "and goes slowly");
    }

    #[test]
    fn failures_are_slow_and_leavers_say_little() {
        let mut latencies = latencies(Kind::Plain);
        let outcome = |server, verdict, status| Outcome { verdict, status, ..answered(server, 10, 0) };
        latencies.observe(&outcome(0, Verdict::Unreachable, 0));
        latencies.observe(&outcome(1, Verdict::Answered, 503));
        latencies.observe(&outcome(2, Verdict::Answered, 404));
        assert_eq!([0, 1, 2].map(|server| now(&latencies, server, 0) as u64), [1_000_000, 1_000_000, 10]);
        latencies.observe(&outcome(0, Verdict::Abandoned, 0));
        assert_eq!(now(&latencies, 0, 0) as u64, 1_000_000);
        latencies.observe(&Outcome { server: 9, ..answered(0, 1, 0) });
    }

    #[test]
    fn what_is_known_stays_with_the_name() {
        let mut latencies = latencies(Kind::Plain);
        latencies.observe(&answered(2, 500, 0));
        let settings = Settings::new(vec![("decay".into(), 1.into())]);
        let mut others = servers(&[1, 1, 1]);
        others.rotate_right(1);
        latencies.reconfigure(&settings, &others).expect("good settings");
        assert_eq!([0, 1, 2].map(|server| latencies.of(server) > 0.0), [true, false, false]);
        let refusal = latencies.reconfigure(&Settings::default(), &others).expect_err("no decay");
        assert_eq!(refusal.setting.as_deref(), Some("decay"));
    }

    #[test]
    fn the_unknown_are_tried_one_request_at_a_time() {
        assert!(cost(0.0, 0, 1) < cost(1.0, 0, 256));
        assert!(cost(0.0, 1, 1) > cost(1e280, 1_000, 1));
        assert!(cost(100.0, 1, 2) == cost(100.0, 0, 1));
    }

    #[test]
    fn the_date_is_moved_in_time() {
        let mut latencies = latencies(Kind::Plain);
        latencies.observe(&answered(0, 700, 0));
        latencies.observe(&answered(1, 700, 4_000_000));
        latencies.observe(&answered(2, 100, 4_000_001));
        assert!(latencies.of(0) < latencies.of(2) && latencies.of(2) < latencies.of(1));
    }

    proptest! {
        #[test]
        fn the_exponential_is_that_of_the_standard_library(x in -600.0..600.0_f64) {
            prop_assert!((exp(x) / x.exp() - 1.0).abs() < 1e-12, "{} {}", exp(x), x.exp());
        }

        #[test]
        fn any_outcome_leaves_numbers(
            outcomes in prop::collection::vec((0_u32..3, any::<u64>(), any::<u64>()), 1..50),
        ) {
            let mut latencies = latencies(Kind::Plain);
            for (server, latency_us, time_ms) in outcomes {
                latencies.observe(&Outcome { time_ms, ..answered(server, latency_us, 0) });
                prop_assert!(latencies.of(server).is_finite());
            }
        }
    }
}
