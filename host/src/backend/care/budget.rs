//! A retry budget: retries are no more than a share of a backend's requests in the last while, so that they cannot
//! multiply an outage. It is Finagle's, over all workers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

use super::window::{Counts, Window};
use crate::config::model::care::RetryBudget;

/// A backend's budget of retries.
#[derive(Debug)]
pub struct Budget {
    percent: u64,
    /// Retries in the window that are granted whatever the requests are.
    reserve: u64,
    /// Requests, and of these as marks the retries.
    window: Window,
    refused: AtomicU64,
}

impl Budget {
    /// A budget that nothing has been taken from.
    pub fn new(config: &RetryBudget, now: Instant) -> Budget {
        Budget {
            percent: u64::from(config.percent),
            reserve: u64::from(config.min_per_second) * config.window.as_secs().max(1),
            window: Window::new(config.window, now),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts a request, which makes room for retries.
    pub fn earn(&self, now: Instant) {
        self.window.add(now, 1, 0);
    }

    /// Takes a retry out of it. Says whether there was one left.
    pub fn spend(&self, now: Instant) -> bool {
        // Counted first, so that no two take the last one.
        self.window.add(now, 0, 1);
        let Counts { all, marked } = self.window.counts(now);
        let granted = marked.saturating_sub(self.reserve) * 100 <= all * self.percent;
        if !granted {
            self.window.take_back_mark(now);
            self.refused.fetch_add(1, Relaxed);
        }
        granted
    }

    /// Retries that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn budget(percent: u32, min_per_second: u32) -> (Budget, Instant) {
        let config = RetryBudget { percent, min_per_second, window: Duration::from_secs(10) };
        let now = Instant::now();
        (Budget::new(&config, now), now)
    }

    fn granted(budget: &Budget, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| budget.spend(now)).count()
    }

    #[test]
    fn retries_are_a_share_of_requests() {
        let (budget, now) = budget(20, 0);
        assert_eq!(granted(&budget, now, 5), 0);
        (0..100).for_each(|_| budget.earn(now));
        assert_eq!(granted(&budget, now, 50), 20);
        assert_eq!(budget.refused(), 5 + 30);
    }

    #[test]
    fn a_few_are_granted_where_requests_are_few() {
        let (budget, now) = budget(20, 1);
        assert_eq!(granted(&budget, now, 50), 10);
        (0..10).for_each(|_| budget.earn(now));
        assert_eq!(granted(&budget, now, 50), 2);
    }

    #[test]
    fn what_was_spent_comes_back_with_time() {
        let (budget, now) = budget(50, 0);
        (0..10).for_each(|_| budget.earn(now));
        assert_eq!(granted(&budget, now, 9), 5);
        let later = now + Duration::from_secs(11);
        assert_eq!(granted(&budget, later, 9), 0, "the requests are too old as well");
        (0..4).for_each(|_| budget.earn(later));
        assert_eq!(granted(&budget, later, 9), 2);
    }

    #[test]
    fn workers_together_get_no_more_than_the_share() {
        let (budget, now) = budget(10, 0);
        let granted: usize = std::thread::scope(|scope| {
            (0..1_000).for_each(|_| budget.earn(now));
            let worker = || (0..500).filter(|_| budget.spend(now)).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
        });
        assert!((90..=100).contains(&granted), "{granted}");
    }
}
