//! What is simulated: servers and what befalls them, balancers, and how long. The same for each policy.

use std::sync::Arc;

use super::distribution::Distribution;
use super::words::{Churn, Failing, How, Nanoseconds, SECOND, Slow, Window};
use crate::config::model;
use crate::random::Random;

/// Simulated time begins here, in nanoseconds since 1970: 2026-01-01, a Thursday, at midnight UTC.
pub const START: Nanoseconds = 1_767_225_600 * SECOND;

/// So often servers may come and go: each time, each balancer is told all of them.
const MOST_CHANGES: u64 = 100_000;

/// Which random numbers are for what. Each has its own, so that all policies see the same world.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Times = 1,
    Keys,
    Balancers,
    Work,
    Churn,
    Notices,
    Sequences,
    Instances,
    Probe,
}

/// A world to try policies in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The servers; each may be chosen, unless something befalls it.
    pub servers: Arc<[model::Server]>,
    /// How many load balancers share the requests, each with its own instance and its own view.
    pub balancers: u32,
    /// How long requests come.
    pub duration: Nanoseconds,
    /// Times and loads count from here on.
    pub warmup: Nanoseconds,
    /// How long a server works at a request.
    pub service: Distribution,
    /// How many requests a server works at side by side; the others wait there in line.
    pub concurrency: u32,
    /// How long an attempt may take.
    pub timeout: Nanoseconds,
    /// How often a request that was refused is tried again, elsewhere if the policy likes.
    pub retries: u32,
    /// How long it takes until a balancer's health checks notice; each balancer has a moment of its own in it.
    pub detect: Nanoseconds,
    /// Servers that are slow: the first ones.
    pub slow: Vec<Slow>,
    /// Servers that fail: the next ones.
    pub failing: Vec<Failing>,
    /// Servers that leave and come back: any.
    pub churn: Vec<Churn>,
    /// What all random numbers follow from.
    pub seed: u64,
}

/// What befalls one server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    slow: Option<(f64, Window)>,
    failing: Option<(How, Window)>,
}

impl Fate {
    /// By how much it is slow now.
    pub(super) fn factor(&self, now: Nanoseconds) -> f64 {
        self.slow.filter(|(_, window)| window.holds(now)).map_or(1.0, |(factor, _)| factor)
    }

    /// How it fails now.
    pub(super) fn failure(&self, now: Nanoseconds) -> Option<How> {
        self.failing.filter(|(_, window)| window.holds(now)).map(|(how, _)| how)
    }

    /// When its health checks fail.
    pub(super) fn down(&self) -> Option<Window> {
        self.failing.filter(|(how, _)| *how != How::Errors).map(|(_, window)| window)
    }
}

/// A change of the set of servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) time: Nanoseconds,
    pub(super) leave: Vec<u32>,
    pub(super) join: Vec<u32>,
}

impl Scenario {
    pub(super) fn random(&self, stream: Stream) -> Random {
        Random::new(self.seed, stream as u64)
    }

    /// Whether it can be.
    ///
    /// # Errors
    /// What cannot.
    pub fn check(&self) -> Result<(), String> {
        let servers = self.servers.len();
        let befallen =
            self.slow.iter().map(|slow| slow.servers).chain(self.failing.iter().map(|f| f.servers));
        let befallen: u64 = befallen.map(u64::from).sum();
        let away: u64 = self.churn.iter().map(|churn| u64::from(most_away(churn))).sum();
        if servers == 0 || self.balancers == 0 || self.concurrency == 0 {
            return Err("a simulation needs a server, a balancer and a place at the server".to_owned());
        }
        if befallen > servers as u64 {
            return Err(format!("{befallen} servers are to be slow or failing, and there are {servers}"));
        }
        if away >= servers as u64 {
            return Err(format!("{away} servers are to be away at once, and there are {servers}"));
        }
        if self.duration == 0 || self.duration > 30 * 24 * 3600 * SECOND {
            return Err("a simulation lasts between a moment and 30 days".to_owned());
        }
        let changes = self.churn.iter().map(|churn| match churn {
            Churn::Once { .. } => 2,
            Churn::Steady { every, .. } => self.duration / every,
        });
        if changes.sum::<u64>() > MOST_CHANGES {
            return Err(format!("servers come and go more than {MOST_CHANGES} times"));
        }
        if self.warmup >= self.duration {
            return Err("the warm-up leaves nothing of the duration".to_owned());
        }
        if self.timeout == 0 {
            return Err("a timeout of 0 leaves no time to answer".to_owned());
        }
        Ok(())
    }

    /// Requests a second that the servers can serve, those that always fail left out, those that are always slow
    /// counted as such.
    pub fn capacity(&self) -> f64 {
        let each = f64::from(self.concurrency) * SECOND as f64 / self.service.mean() as f64;
        let fates = self.fates();
        fates.iter().filter(|fate| fate.failing.is_none_or(|(_, w)| w != Window::ALWAYS)).fold(
            0.0,
            |sum, fate| {
                let factor =
                    fate.slow.filter(|(_, window)| *window == Window::ALWAYS).map_or(1.0, |(f, _)| f);
                sum + each / factor
            },
        )
    }

    /// What befalls each server.
    pub(super) fn fates(&self) -> Vec<Fate> {
        let mut fates = vec![Fate::default(); self.servers.len()];
        let mut free = fates.iter_mut();
        for slow in &self.slow {
            free.by_ref()
                .take(slow.servers as usize)
                .for_each(|fate| fate.slow = Some((slow.factor, slow.window)));
        }
        for failing in &self.failing {
            free.by_ref()
                .take(failing.servers as usize)
                .for_each(|fate| fate.failing = Some((failing.how, failing.window)));
        }
        fates
    }

    /// When which servers leave and come back, in order.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut random = self.random(Stream::Churn);
        let mut away = vec![false; self.servers.len()];
        // Of each churn, who is away by it.
        let mut out: Vec<Vec<u32>> = vec![Vec::new(); self.churn.len()];
        self.moments()
            .into_iter()
            .map(|(time, churn, leaves)| {
                let join = std::mem::take(&mut out[churn]);
                let mut leave = Vec::new();
                while leaves && leave.len() < servers_of(&self.churn[churn]) as usize {
                    let server = random.below(self.servers.len() as u64) as u32;
                    if !away[server as usize] {
                        away[server as usize] = true;
                        leave.push(server);
                    }
                }
                // Only now, so that whoever comes back does not leave at once.
                join.iter().for_each(|server| away[*server as usize] = false);
                out[churn].clone_from(&leave);
                Change { time, leave, join }
            })
            .collect()
    }

    /// When, by which churn, and whether servers leave then; in order of time.
    fn moments(&self) -> Vec<(Nanoseconds, usize, bool)> {
        let mut moments = Vec::new();
        for (number, churn) in self.churn.iter().enumerate() {
            match *churn {
                Churn::Once { window, .. } => {
                    moments.extend([(window.from, number, true), (window.to, number, false)]);
                }
                Churn::Steady { every, .. } => {
                    moments.extend((1..=self.duration / every).map(|turn| (turn * every, number, true)));
                }
            }
        }
        moments.retain(|(time, ..)| *time < self.duration);
        moments.sort_unstable();
        moments
    }
}

fn servers_of(churn: &Churn) -> u32 {
    match churn {
        Churn::Once { servers, .. } | Churn::Steady { servers, .. } => *servers,
    }
}

/// Those who leave do so while those who come back are still away.
fn most_away(churn: &Churn) -> u32 {
    match churn {
        Churn::Once { servers, .. } => *servers,
        Churn::Steady { servers, .. } => servers.saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::scenario;
    use super::*;

    fn read<T: std::str::FromStr<Err = String>>(text: &str) -> Vec<T> {
        vec![text.parse().expect(text)]
    }

    #[test]
    fn the_slow_come_first_then_those_that_fail_and_capacity_heeds_both() {
        let scenario = Scenario { slow: read("2x4"), failing: read("1:hangs"), ..scenario(10) };
        let fates = scenario.fates();
        assert_eq!(fates.iter().map(|fate| fate.factor(0)).collect::<Vec<_>>()[..4], [4.0, 4.0, 1.0, 1.0]);
        assert_eq!(fates[2].failure(7), Some(How::Hangs));
        assert!(fates[3].failure(7).is_none() && fates[2].down().is_some());
        // Servers of 10 ms: seven whole ones, two at a quarter.
        assert!((scenario.capacity() - 750.0).abs() < 1e-6);
    }

    #[test]
    fn who_leaves_comes_back_and_nobody_leaves_twice() {
        let churn = [read::<Churn>("2/5s"), read("3@12s-30s")].concat();
        let scenario = Scenario { churn, duration: 60 * SECOND, ..scenario(10) };
        let mut present = [true; 10];
        let changes = scenario.changes();
        assert_eq!(changes.len(), 11 + 2);
        for change in &changes {
            for server in &change.leave {
                assert!(std::mem::replace(&mut present[*server as usize], false));
            }
            for server in &change.join {
                assert!(!std::mem::replace(&mut present[*server as usize], true));
            }
        }
        assert!(changes.is_sorted_by_key(|change| change.time));
        assert_eq!(present.iter().filter(|present| **present).count(), 8);
        assert_eq!(scenario.changes(), changes);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let wrong = |scenario: Scenario| scenario.check().expect_err("it cannot be");
        assert!(scenario(10).check().is_ok());
        assert!(wrong(scenario(0)).contains("needs a server"));
        assert!(wrong(Scenario { slow: read("3x2"), ..scenario(2) }).contains("3 servers are to be slow"));
        assert!(wrong(Scenario { churn: read("1/5s"), ..scenario(2) }).contains("2 servers are to be away"));
        let often = Scenario { churn: read("1/1ms"), duration: 1_000 * SECOND, ..scenario(5) };
        assert!(wrong(often).contains("more than 100000 times"));
        assert!(wrong(Scenario { warmup: 60 * SECOND, ..scenario(2) }).contains("warm-up"));
    }
}
