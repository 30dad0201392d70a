//! The small languages of the command line: times, rates, and what happens to servers and when.

use std::fmt;
use std::str::FromStr;

use crate::config::units;
use crate::suggest;

/// A time or a span of time.
pub type Nanoseconds = u64;

/// A second.
pub const SECOND: Nanoseconds = 1_000_000_000;
/// A millisecond.
pub const MS: Nanoseconds = 1_000_000;

/// Reads a duration as `lb.toml` has it.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn duration(text: &str) -> Result<Nanoseconds, String> {
    let duration = units::parse_duration(text)?;
    u64::try_from(duration.as_nanos()).map_err(|_| format!("`{text}` is longer than can be simulated"))
}

/// A span of time for people, with three digits that count.
pub fn time(time: Nanoseconds) -> String {
    let ns = time as f64;
    for (unit, name) in [(1e9, "s"), (1e6, "ms"), (1e3, "us")] {
        // From here on three digits are rounded up to the next unit.
        if ns >= unit * 0.9995 || name == "us" {
            return format!("{} {name}", figure(ns / unit));
        }
    }
    String::new()
}

/// A number with three digits that count, without zeros behind the point.
pub fn figure(number: f64) -> String {
    let places = match number.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.places$}");
    if places == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// A part of the simulated time, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub from: Nanoseconds,
    /// When it is over; [`u64::MAX`]: never.
    pub to: Nanoseconds,
}

impl Window {
    /// All of it.
    pub const ALWAYS: Window = Window { from: 0, to: u64::MAX };

    /// Whether a moment is within.
    pub fn holds(&self, time: Nanoseconds) -> bool {
        (self.from..self.to).contains(&time)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Window, String> {
        let (from, to) = text.split_once('-').unwrap_or((text, ""));
        let window =
            Window { from: duration(from)?, to: if to.is_empty() { u64::MAX } else { duration(to)? } };
        if window.from < window.to { Ok(window) } else { Err(format!("`{text}` ends before it begins")) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (0, u64::MAX) => Ok(()),
            (from, u64::MAX) => write!(f, " from {} on", time(from)),
            (from, to) => write!(f, " from {} to {}", time(from), time(to)),
        }
    }
}

/// Splits off what stands behind `@`.
fn windowed(text: &str) -> Result<(&str, Window), String> {
    match text.split_once('@') {
        Some((what, window)) => Ok((what, window.parse()?)),
        None => Ok((text, Window::ALWAYS)),
    }
}

fn count(text: &str, example: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("`{text}` is no number of servers; write {example}")),
    }
}

/// `--slow`: servers that take a multiple of the time; `none` are no servers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// How many.
    pub servers: u32,
    /// How many times as long they take.
    pub factor: f64,
    /// When.
    pub window: Window,
}

impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Slow, String> {
        const EXAMPLE: &str = "`1x10`, one server ten times as slow, `1x10@20s-40s`, or `none`";
        if text == "none" {
            return Ok(Slow { servers: 0, factor: 1.0, window: Window::ALWAYS });
        }
        let (what, window) = windowed(text)?;
        let (servers, factor) =
            what.split_once('x').ok_or_else(|| format!("`{text}` has no `x`; write {EXAMPLE}"))?;
        match factor.parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 => {
                Ok(Slow { servers: count(servers, EXAMPLE)?, factor, window })
            }
            _ => Err(format!("`{factor}` is no factor; write {EXAMPLE}")),
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} slow by {}{}", self.servers, figure(self.factor), self.window)
    }
}

/// How a server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It refuses connections, at once.
    Refuses,
    /// It answers 500, after a millisecond and without work. Its health checks pass.
    Errors,
    /// It takes requests and never answers.
    Hangs,
}

const HOWS: [(&str, How); 3] = [("refuses", How::Refuses), ("errors", How::Errors), ("hangs", How::Hangs)];

/// `--failing`: servers that fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failing {
    /// How many.
    pub servers: u32,
    /// How.
    pub how: How,
    /// When.
    pub window: Window,
}

impl FromStr for Failing {
    type Err = String;

    fn from_str(text: &str) -> Result<Failing, String> {
        const EXAMPLE: &str = "`1`, `1:hangs` or `2:errors@20s-40s`";
        let (what, window) = windowed(text)?;
        let (servers, how) = what.split_once(':').unwrap_or((what, "refuses"));
        let found = HOWS.iter().find(|(name, _)| *name == how).ok_or_else(|| {
            let help = suggest::help(how, HOWS.iter().map(|(name, _)| *name));
            format!("`{how}` is no way to fail; {help}")
        })?;
        Ok(Failing { servers: count(servers, EXAMPLE)?, how: found.1, window })
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Refuses => "refusing connections",
            How::Errors => "answering 500",
            How::Hangs => "hanging",
        };
        write!(f, "{} {how}{}", self.servers, self.window)
    }
}

/// `--churn`: servers that leave and come back; all balancers hear of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Churn {
    /// So many are away for a time.
    Once {
        /// How many.
        servers: u32,
        /// When they are away.
        window: Window,
    },
    /// Again and again so many leave, and those that left before come back.
    Steady {
        /// How many.
        servers: u32,
        /// How often.
        every: Nanoseconds,
    },
}

impl FromStr for Churn {
    type Err = String;

    fn from_str(text: &str) -> Result<Churn, String> {
        const EXAMPLE: &str =
            "`1/10s`, each ten seconds another server away, or `1@20s-40s`, one away for a while";
        if let Some((servers, every)) = text.split_once('/') {
            let (servers, every) = (count(servers, EXAMPLE)?, duration(every)?);
            return if every < MS {
                Err(format!("`{text}` is too often: a millisecond is the least"))
            } else {
                Ok(Churn::Steady { servers, every })
            };
        }
        match windowed(text)? {
            (_, Window::ALWAYS) => Err(format!("`{text}` does not say when; write {EXAMPLE}")),
            (servers, window) => Ok(Churn::Once { servers: count(servers, EXAMPLE)?, window }),
        }
    }
}

impl fmt::Display for Churn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Churn::Once { servers, window } => write!(f, "{servers} away{window}"),
            Churn::Steady { servers, every } => write!(f, "{servers} other away each {}", time(*every)),
        }
    }
}

/// `--rate`: how many requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many a second.
    PerSecond(f64),
    /// A share of what the servers can do.
    Share(f64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let (number, share) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text.strip_suffix("/s").unwrap_or(text), false),
        };
        match number.parse::<f64>() {
            Ok(percent) if share && percent > 0.0 && percent <= 1000.0 => Ok(Rate::Share(percent / 100.0)),
            Ok(rate) if !share && rate > 0.0 && rate <= 1e9 => Ok(Rate::PerSecond(rate)),
            _ => Err(format!("`{text}` is no rate; write `500/s`, or `70%` of what the servers can do")),
        }
    }
}

/// `--arrivals`: how they are spread over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each moment is as good as any other.
    Poisson,
    /// As `Poisson`, at a multiple of the rate for a part of each period and less in between, so that the mean
    /// is the rate.
    Bursts {
        /// How many times the rate between bursts a burst has.
        factor: f64,
        /// How long it is.
        length: Nanoseconds,
        /// From one beginning to the next.
        every: Nanoseconds,
    },
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Pace, String> {
        if text == "poisson" {
            return Ok(Pace::Poisson);
        }
        let wrong = || {
            format!(
                "`{text}` is no pace; write `poisson`, or `bursts:5x1s/10s`, five times as many for 1s of 10s"
            )
        };
        let (factor, times) =
            text.strip_prefix("bursts:").and_then(|rest| rest.split_once('x')).ok_or_else(wrong)?;
        let (length, every) = times.split_once('/').ok_or_else(wrong)?;
        let factor = factor.parse::<f64>().map_err(|_| wrong())?;
        let (length, every) = (duration(length)?, duration(every)?);
        let fits = factor.is_finite() && factor >= 1.0 && length > 0 && length < every;
        if fits { Ok(Pace::Bursts { factor, length, every }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Poisson => f.write_str("Poisson"),
            Pace::Bursts { factor, length, every } => {
                let (length, every) = (time(*length), time(*every));
                write!(f, "{} times as many for {length} of each {every}", figure(*factor))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_that_count() {
        for (ns, text) in [
            (0, "0 us"),
            (1_234, "1.23 us"),
            (999_400, "999 us"),
            (999_600, "1 ms"),
            (12_340_000, "12.3 ms"),
            (250_000_000, "250 ms"),
            (9_999_000_000, "10 s"),
            (123_456_000_000, "123 s"),
        ] {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn what_happens_to_servers_is_read_and_said_again() {
        let said = |slow: &str| slow.parse::<Slow>().map(|slow| slow.to_string());
        assert_eq!(said("1x10").as_deref(), Ok("1 slow by 10"));
        assert_eq!(said("2x1.5@5s-20s").as_deref(), Ok("2 slow by 1.5 from 5 s to 20 s"));
        let said = |failing: &str| failing.parse::<Failing>().map(|failing| failing.to_string());
        assert_eq!(said("1").as_deref(), Ok("1 refusing connections"));
        assert_eq!(said("3:errors@1m").as_deref(), Ok("3 answering 500 from 60 s on"));
        let said = |churn: &str| churn.parse::<Churn>().map(|churn| churn.to_string());
        assert_eq!(said("1/10s").as_deref(), Ok("1 other away each 10 s"));
        assert_eq!(said("2@5s").as_deref(), Ok("2 away from 5 s on"));
        let said = |pace: &str| pace.parse::<Pace>().map(|pace| pace.to_string());
        assert_eq!(said("bursts:5x1s/10s").as_deref(), Ok("5 times as many for 1 s of each 10 s"));
        assert_eq!("70%".parse(), Ok(Rate::Share(0.7)));
        assert_eq!("500/s".parse(), Ok(Rate::PerSecond(500.0)));
    }

    #[test]
    fn what_cannot_be_read_says_what_could() {
        let slow = |text: &str| text.parse::<Slow>().expect_err(text);
        assert!(slow("10").contains("write `1x10`") && slow("0x3").contains("no number of servers"));
        assert!(slow("1x-1").contains("no factor") && slow("1x2@9s-3s").contains("ends before"));
        let failing = |text: &str| text.parse::<Failing>().expect_err(text);
        assert!(failing("1:hang").contains("did you mean `hangs`?"));
        let churn = |text: &str| text.parse::<Churn>().expect_err(text);
        assert!(churn("1").contains("does not say when") && churn("1/1us").contains("too often"));
        assert!(
            "0".parse::<Rate>().is_err() && "-5%".parse::<Rate>().is_err() && "x/s".parse::<Rate>().is_err()
        );
        assert!("bursts:0.5x1s/10s".parse::<Pace>().is_err() && "bursts:5x10s/1s".parse::<Pace>().is_err());
    }
}
