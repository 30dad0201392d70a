//! How long a server works at a request.

use std::fmt;
use std::str::FromStr;

use super::words::{self, Nanoseconds};
use crate::random::Random;

/// A distribution of service times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Fixed {
        /// That time.
        mean: Nanoseconds,
    },
    /// Memoryless: the M of M/M/1.
    Exponential {
        /// The mean.
        mean: Nanoseconds,
    },
    /// Most requests quick, some slow: the logarithm is normally distributed.
    Lognormal {
        /// The mean.
        mean: Nanoseconds,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// A heavy tail: P(T > t) falls as t^-shape.
    Pareto {
        /// The mean.
        mean: Nanoseconds,
        /// Above 1, or there is no mean; at 2 and below the variance is infinite.
        shape: f64,
    },
}

impl Distribution {
    /// The mean.
    pub fn mean(&self) -> Nanoseconds {
        match *self {
            Distribution::Fixed { mean }
            | Distribution::Exponential { mean }
            | Distribution::Lognormal { mean, .. }
            | Distribution::Pareto { mean, .. } => mean,
        }
    }

    /// Draws a time.
    pub fn sample(&self, random: &mut Random) -> Nanoseconds {
        let time = match *self {
            Distribution::Fixed { mean } => return mean,
            Distribution::Exponential { mean } => exponential(mean as f64, random),
            Distribution::Lognormal { mean, sigma } => {
                mean as f64 * (sigma * normal(random) - sigma * sigma / 2.0).exp()
            }
            Distribution::Pareto { mean, shape } => {
                mean as f64 * (shape - 1.0) / shape * (1.0 - random.unit()).powf(-1.0 / shape)
            }
        };
        // What is longer than a float can say in a u64 becomes the longest.
        time.round() as Nanoseconds
    }
}

/// An exponentially distributed number.
pub(super) fn exponential(mean: f64, random: &mut Random) -> f64 {
    -mean * (1.0 - random.unit()).ln()
}

/// A standard normal number (Box and Muller, 1958).
fn normal(random: &mut Random) -> f64 {
    let radius = exponential(2.0, random).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

const NAMES: [&str; 4] = ["fixed", "exponential", "lognormal", "pareto"];

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Distribution, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        if !NAMES.contains(&name) {
            let help = crate::suggest::help(name, NAMES);
            return Err(format!("`{name}` is no distribution; {help}, as in `exponential:10ms`"));
        }
        let mean = parts.next().ok_or_else(|| format!("`{name}` needs its mean, as in `{name}:10ms`"))?;
        let mean = words::duration(mean)?;
        if mean == 0 {
            return Err("a service time of 0 is none".to_owned());
        }
        let mut number = |what: &str, default: f64, least: f64| match parts.next() {
            None => Ok(default),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number > least => Ok(number),
                _ => Err(format!("`{text}` is no {what}: a number above {least}")),
            },
        };
        let distribution = match name {
            "fixed" => Distribution::Fixed { mean },
            "exponential" => Distribution::Exponential { mean },
            "lognormal" => Distribution::Lognormal { mean, sigma: number("sigma", 1.0, 0.0)? },
            _ => Distribution::Pareto { mean, shape: number("shape", 2.5, 1.0)? },
        };
        match parts.next() {
            None => Ok(distribution),
            Some(more) => Err(format!("`{more}` is too much in `{text}`")),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = words::time(self.mean());
        match self {
            Distribution::Fixed { .. } => write!(f, "fixed at {mean}"),
            Distribution::Exponential { .. } => write!(f, "exponential, mean {mean}"),
            Distribution::Lognormal { sigma, .. } => write!(f, "lognormal, mean {mean}, sigma {sigma}"),
            Distribution::Pareto { shape, .. } => write!(f, "Pareto, mean {mean}, shape {shape}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    fn sorted(text: &str) -> Vec<f64> {
        let distribution: Distribution = text.parse().expect("a distribution");
        let mut random = Random::new(11, 0);
        let mut times: Vec<f64> = (0..200_000).map(|_| distribution.sample(&mut random) as f64).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 0.02, "{found}, not {expected}");
    }

    #[test]
    fn each_distribution_has_its_mean_and_its_quantiles() {
        // The median and the 99th percentile, from the inverse of each distribution's function.
        let lognormal = |z: f64| 10.0 * MS * (z - 0.5).exp();
        let pareto = |tail: f64| 6.0 * MS * tail.powf(-1.0 / 2.5);
        for (text, median, p99) in [
            ("fixed:10ms", 10.0 * MS, 10.0 * MS),
            ("exponential:10ms", 10.0 * MS * 2f64.ln(), 10.0 * MS * 100f64.ln()),
            ("lognormal:10ms:1", lognormal(0.0), lognormal(2.326_348)),
            ("pareto:10ms:2.5", pareto(0.5), pareto(0.01)),
        ] {
            let times = sorted(text);
            near(times.iter().sum::<f64>() / times.len() as f64, 10.0 * MS);
            near(times[times.len() / 2], median);
            near(times[times.len() / 100 * 99], p99);
        }
    }

    #[test]
    fn what_is_no_distribution_says_what_would_be_one() {
        for (text, part) in [
            ("exponental:10ms", "did you mean `exponential`?"),
            ("fixed", "needs its mean, as in `fixed:10ms`"),
            ("fixed:10", "has no unit"),
            ("fixed:0s", "is none"),
            ("pareto:10ms:1", "a number above 1"),
            ("lognormal:10ms:x", "`x` is no sigma"),
            ("exponential:10ms:3", "`3` is too much"),
        ] {
            let message = text.parse::<Distribution>().expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
