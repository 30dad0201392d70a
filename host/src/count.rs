//! A count of things held at once, with a bound that whoever wants one more waits at.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};

use tokio::sync::Notify;

/// How many are held, and how many may be.
#[derive(Debug)]
pub(crate) struct Count {
    current: AtomicU32,
    /// The most there ever were.
    peak: AtomicU32,
    limit: AtomicU32,
    freed: Notify,
}

impl Count {
    /// A count that stops at `limit`; `None`: never.
    pub(crate) fn new(limit: Option<u32>) -> Count {
        let limit = AtomicU32::new(limit.unwrap_or(u32::MAX));
        Count { current: AtomicU32::new(0), peak: AtomicU32::new(0), limit, freed: Notify::new() }
    }

    /// How many are held.
    pub(crate) fn current(&self) -> u32 {
        self.current.load(Relaxed)
    }

    /// The most that were ever held at once.
    pub(crate) fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    /// The bound, where there is one.
    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit < u32::MAX)
    }

    /// Sets another bound. What is held beyond it stays.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        self.limit.store(limit.unwrap_or(u32::MAX), SeqCst);
        self.freed.notify_waiters();
    }

    /// Waits until there was room for one more. By the time this is heard of, another may have taken it.
    pub(crate) async fn has_room(&self) {
        let is_free = || self.current.load(SeqCst) < self.limit.load(SeqCst);
        while !is_free() {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on a change is not missed, so one look more settles it.
            freed.as_mut().enable();
            if is_free() {
                return;
            }
            freed.await;
        }
    }

    /// Takes one more if the bound allows it. To be paired with [`Count::leave`].
    pub(crate) fn try_enter(&self) -> bool {
        let limit = self.limit.load(SeqCst);
        let more = |current| (current < limit).then_some(current + 1);
        let Ok(before) = self.current.fetch_update(SeqCst, SeqCst, more) else { return false };
        if self.peak.load(Relaxed) <= before {
            self.peak.fetch_max(before + 1, Relaxed);
        }
        true
    }

    /// Gives one back.
    pub(crate) fn leave(&self) {
        self.current.fetch_sub(1, SeqCst);
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_comes_past_the_bound_waits_until_one_leaves() {
        let count = Arc::new(Count::new(Some(1)));
        assert!(count.try_enter());
        assert!(!count.try_enter());
        let waiting = tokio::spawn({
            let count = count.clone();
            async move { count.has_room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        count.leave();
        waiting.await.unwrap();
        assert!(count.try_enter());
    }

    #[tokio::test]
    async fn a_higher_bound_lets_waiters_in() {
        let count = Arc::new(Count::new(Some(0)));
        let waiting = tokio::spawn({
            let count = count.clone();
            async move { count.has_room().await }
        });
        tokio::task::yield_now().await;
        count.set_limit(None);
        waiting.await.unwrap();
    }
}
