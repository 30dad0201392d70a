//! The requests: when they come, from whom, for what, to which balancer, and how much work they are. The same for
//! each policy, whatever it makes of them.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::access_log;
use super::distribution::exponential;
use super::scenario::{Scenario, Stream};
use super::words::{MS, Nanoseconds, Pace, SECOND};
use crate::http::head::RequestHead;
use crate::http::parse;
use crate::random::Random;

/// Who asks for what: what policies tell requests apart by.
#[derive(Debug, Clone)]
pub struct Key {
    /// The client.
    pub client: IpAddr,
    /// Its request.
    pub head: Arc<RequestHead>,
}

/// All requests to come.
#[derive(Debug, Clone)]
pub struct Traffic {
    keys: Vec<Key>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// A rate a second, its pace, and what share of the requests is for a key or one before it; empty where
    /// all are alike.
    Made { rate: f64, pace: Pace, shares: Vec<f64> },
    /// Times from the start, and keys.
    Recorded { arrivals: Vec<(Nanoseconds, u32)>, left_out: usize },
}

/// A request on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) time: Nanoseconds,
    pub(super) key: u32,
    pub(super) balancer: u32,
    /// How long a server of ordinary speed works at it.
    pub(super) work: Nanoseconds,
}

impl Traffic {
    /// Requests of `keys` clients, each for something of its own, so many a second. By `skew` some are more
    /// frequent: the nth by n^-skew, as Zipf has it.
    pub fn made(rate: f64, pace: Pace, keys: u32, skew: f64) -> Traffic {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| {
            sum += f64::from(rank).powf(-skew);
            sum
        });
        let shares = if skew > 0.0 { weights.collect() } else { Vec::new() };
        Traffic {
            keys: (0..keys).filter_map(made_key).collect(),
            source: Source::Made { rate, pace, shares },
        }
    }

    /// The requests of an access log in HAProxy's HTTP format, at the times at which they came, so many times as
    /// fast. Lines that are none are counted and left out.
    ///
    /// # Errors
    /// Where there is none at all.
    pub fn recorded(log: &str, speed: f64) -> Result<Traffic, String> {
        let mut known: HashMap<(IpAddr, &str, &str), Option<u32>> = HashMap::new();
        let mut keys = Vec::new();
        let mut arrivals = Vec::new();
        let mut left_out = 0;
        for line in log.lines() {
            let key = access_log::entry(line).and_then(|entry| {
                let known = known.entry((entry.client, entry.method, entry.target)).or_insert_with(|| {
                    let head = head(entry.method, entry.target, "")?;
                    keys.push(Key { client: entry.client, head });
                    Some(keys.len() as u32 - 1)
                });
                Some((entry.time_ms, (*known)?))
            });
            match key {
                Some(arrival) => arrivals.push(arrival),
                None => left_out += 1,
            }
        }
        // A line is written when its request is over.
        arrivals.sort_by_key(|(time, _)| *time);
        let Some((first, _)) = arrivals.first().copied() else {
            return Err(format!(
                "none of its {left_out} lines is a request's in HAProxy's HTTP log format (`option httplog`)"
            ));
        };
        let time = |ms: u64| ((ms - first) as f64 * MS as f64 / speed) as Nanoseconds;
        let arrivals = arrivals.into_iter().map(|(ms, key)| (time(ms), key)).collect();
        Ok(Traffic { keys, source: Source::Recorded { arrivals, left_out } })
    }

    /// How long an access log goes; `None` for requests that are made up, which go on for ever.
    pub fn length(&self) -> Option<Nanoseconds> {
        match &self.source {
            Source::Made { .. } => None,
            Source::Recorded { arrivals, .. } => Some(arrivals.last().map_or(0, |(time, _)| *time) + MS),
        }
    }

    /// How many lines of an access log were no requests.
    pub fn left_out(&self) -> usize {
        match &self.source {
            Source::Made { .. } => 0,
            Source::Recorded { left_out, .. } => *left_out,
        }
    }

    /// What there is to ask for.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The arrivals in a world, in order.
    pub(super) fn arrivals<'a>(&'a self, scenario: &'a Scenario) -> Arrivals<'a> {
        Arrivals {
            traffic: self,
            scenario,
            now: 0,
            read: 0,
            times: scenario.random(Stream::Times),
            keys: scenario.random(Stream::Keys),
            balancers: scenario.random(Stream::Balancers),
            work: scenario.random(Stream::Work),
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Made { rate, pace, .. } => {
                write!(f, "{} requests a second ({pace}) of {} clients", rounded(*rate), self.keys.len())
            }
            Source::Recorded { arrivals, .. } => {
                let mean = arrivals.len() as f64 * SECOND as f64 / self.length().unwrap_or(1) as f64;
                let (count, mean) = (arrivals.len(), rounded(mean));
                write!(f, "{count} requests of an access log, {mean} a second, {} different", self.keys.len())
            }
        }
    }
}

fn rounded(rate: f64) -> String {
    if rate >= 100.0 { format!("{rate:.0}") } else { super::words::figure(rate) }
}

/// An iterator over arrivals.
pub(super) struct Arrivals<'a> {
    traffic: &'a Traffic,
    scenario: &'a Scenario,
    now: Nanoseconds,
    read: usize,
    times: Random,
    keys: Random,
    balancers: Random,
    work: Random,
}

impl Iterator for Arrivals<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let (time, key) = match &self.traffic.source {
            Source::Made { rate, pace, shares } => {
                self.now = next_time(self.now, *rate, *pace, &mut self.times);
                let count = self.traffic.keys.len();
                let key = match shares.last() {
                    None => self.keys.below(count as u64) as usize,
                    Some(all) => {
                        let at = self.keys.unit() * all;
                        shares.partition_point(|share| *share <= at).min(count - 1)
                    }
                };
                (self.now, key as u32)
            }
            Source::Recorded { arrivals, .. } => {
                let arrival = arrivals.get(self.read)?;
                self.read += 1;
                *arrival
            }
        };
        (time < self.scenario.duration).then(|| Arrival {
            time,
            key,
            balancer: self.balancers.below(self.scenario.balancers.into()) as u32,
            work: self.scenario.service.sample(&mut self.work),
        })
    }
}

/// When the next request comes: a Poisson process whose rate is constant, or alternates between two.
fn next_time(now: Nanoseconds, rate: f64, pace: Pace, random: &mut Random) -> Nanoseconds {
    let per_ns = rate / SECOND as f64;
    // How much of the process's own time passes until then, where it has one event in each unit.
    let mut left = exponential(1.0, random);
    match pace {
        Pace::Poisson => now + (left / per_ns) as Nanoseconds,
        Pace::Bursts { factor, length, every } => {
            let quiet = per_ns / (1.0 + (factor - 1.0) * length as f64 / every as f64);
            let mut now = now;
            loop {
                let within = now % every;
                let (rate, end) = if within < length { (quiet * factor, length) } else { (quiet, every) };
                let until = now - within + end;
                let passed = (until - now) as f64 * rate;
                if left < passed {
                    return now + (left / rate) as Nanoseconds;
                }
                left -= passed;
                now = until;
            }
        }
    }
}

/// A client and what it asks for, told apart by address, path, query, header and cookie alike.
fn made_key(number: u32) -> Option<Key> {
    // An odd factor gives each number below 2^24 an address of its own, far from its neighbours'.
    let [_, b, c, d] = (number.wrapping_mul(0x009e_3779) & 0x00ff_ffff).to_be_bytes();
    let fields = format!("x-key: {number}\r\ncookie: key={number}\r\n");
    let head = head("GET", &format!("/item/{number}?key={number}"), &fields)?;
    Some(Key { client: IpAddr::V4(Ipv4Addr::new(10, b, c, d)), head })
}

fn head(method: &str, target: &str, fields: &str) -> Option<Arc<RequestHead>> {
    let text = format!("{method} {target} HTTP/1.1\r\nhost: simulated\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    parse::request(text.as_bytes(), 8, &mut head).ok()??;
    Some(Arc::new(head))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::scenario;
    use super::*;

    #[test]
    fn poisson_arrivals_have_their_rate_and_its_square_root_as_spread() {
        let traffic = Traffic::made(1000.0, Pace::Poisson, 100, 0.0);
        let scenario = Scenario { duration: 100 * SECOND, ..scenario(10) };
        let mut per_second = vec![0f64; 100];
        traffic.arrivals(&scenario).for_each(|arrival| per_second[(arrival.time / SECOND) as usize] += 1.0);
        let mean = per_second.iter().sum::<f64>() / 100.0;
        let variance = per_second.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 99.0;
        assert!((mean - 1000.0).abs() < 10.0 && (variance / mean - 1.0).abs() < 0.4, "{mean} {variance}");
        let again: Vec<Arrival> = traffic.arrivals(&scenario).collect();
        assert!(traffic.arrivals(&scenario).eq(again));
    }

    #[test]
    fn bursts_keep_the_mean_and_are_as_much_denser_as_they_say() {
        let pace = "bursts:5x1s/10s".parse().expect("a pace");
        let traffic = Traffic::made(1400.0, pace, 1, 0.0);
        let scenario = Scenario { duration: 100 * SECOND, ..scenario(10) };
        let (burst, quiet): (Vec<Arrival>, Vec<Arrival>) =
            traffic.arrivals(&scenario).partition(|arrival| arrival.time % (10 * SECOND) < SECOND);
        let (burst, quiet) = (burst.len() as f64 / 10.0, quiet.len() as f64 / 90.0);
        assert!(
            (burst / 5000.0 - 1.0).abs() < 0.03 && (quiet / 1000.0 - 1.0).abs() < 0.03,
            "{burst} {quiet}"
        );
    }

    #[test]
    fn keys_are_told_apart_and_skew_makes_the_first_frequent() {
        let traffic = Traffic::made(10_000.0, Pace::Poisson, 1000, 1.0);
        let clients: std::collections::HashSet<IpAddr> =
            traffic.keys().iter().map(|key| key.client).collect();
        assert_eq!(clients.len(), 1000);
        assert_eq!(traffic.keys()[7].head.cookie(b"key"), Some(&b"7"[..]));
        assert_eq!(traffic.keys()[7].head.path(), b"/item/7");
        let scenario = Scenario { duration: 10 * SECOND, ..scenario(10) };
        let all: Vec<Arrival> = traffic.arrivals(&scenario).collect();
        let first = all.iter().filter(|arrival| arrival.key == 0).count() as f64 / all.len() as f64;
        // 1 / H(1000), the thousandth harmonic number being 7.485.
        assert!((first - 1.0 / 7.485).abs() < 0.01, "{first}");
    }

    #[test]
    fn an_access_log_is_played_in_order_of_arrival_and_as_fast_as_asked() {
        let line = |client: &str, second: &str, path: &str| {
            format!(
                "{client}:999 [06/Feb/2009:12:14:{second}] w a/b 1/0/0/5/6 200 9 - - ---- 1/1/1/1/0 0/0 \"GET {path} HTTP/1.1\"\n"
            )
        };
        let log = line("10.0.0.2", "16.000", "/b")
            + &line("10.0.0.1", "14.000", "/a")
            + "\n# a remark\n"
            + &line("10.0.0.2", "15.000", "/b");
        let traffic = Traffic::recorded(&log, 2.0).expect("a log");
        let scenario = Scenario { duration: traffic.length().expect("a length"), ..scenario(1) };
        let arrivals: Vec<_> = traffic.arrivals(&scenario).map(|a| (a.time / MS, a.key)).collect();
        assert_eq!(arrivals, [(0, 1), (500, 0), (1000, 0)]);
        assert_eq!((traffic.keys().len(), traffic.left_out()), (2, 2));
        assert!(Traffic::recorded("nothing\n", 1.0).is_err_and(|why| why.contains("option httplog")));
    }
}
