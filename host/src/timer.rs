//! A deadline that moves with every step of a connection, at next to no cost.
//!
//! Nearly every deadline is put off before it is met, so the runtime's timer is touched only where a new
//! deadline is nearer than the one it is set to; one that fires too early is set anew then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A connection's deadline. It is waited for by one task only, that of the connection.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    /// Boxed, since it must not move once it is set; made when first needed.
    sleep: Option<Pin<Box<Sleep>>>,
    /// When `sleep` fires.
    armed: Option<Instant>,
    /// Whether `sleep` knows whom to wake: always the connection's own task.
    polled: bool,
}

/// The deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Timer {
    /// Sets the deadline `after` from `now`; `None`: never.
    pub(crate) fn set(&mut self, now: Instant, after: Option<Duration>) {
        self.deadline = after.and_then(|after| now.checked_add(after));
    }

    /// Ready once the deadline has passed; else wakes the task when it does.
    pub(crate) fn poll_elapsed(&mut self, context: &mut Context<'_>) -> Poll<Elapsed> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        loop {
            let sleep = self.sleep.get_or_insert_with(|| {
                self.armed = Some(deadline);
                Box::pin(sleep_until(deadline))
            });
            if self.armed.is_none_or(|armed| deadline < armed) {
                sleep.as_mut().reset(deadline);
                self.armed = Some(deadline);
                self.polled = false;
            }
            if self.polled && !sleep.is_elapsed() {
                return Poll::Pending;
            }
            self.polled = true;
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(Elapsed);
            }
            self.armed = None;
        }
    }

    /// Runs a future up to the deadline.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub(crate) async fn limit<F: Future>(&mut self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            self.poll_elapsed(context).map(Err)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_put_off_is_met_where_it_is_at_last() {
        let mut timer = Timer::default();
        let start = Instant::now();
        timer.set(start, Some(Duration::from_secs(1)));
        assert!(timer.limit(tokio::time::sleep(Duration::from_millis(900))).await.is_ok());
        timer.set(Instant::now(), Some(Duration::from_secs(5)));
        assert!(timer.limit(std::future::pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_millis() / 10, 590);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_nearer_is_met_in_time() {
        let mut timer = Timer::default();
        let start = Instant::now();
        timer.set(start, Some(Duration::from_secs(10)));
        assert!(timer.limit(tokio::time::sleep(Duration::from_millis(1))).await.is_ok());
        timer.set(start, Some(Duration::from_secs(2)));
        assert!(timer.limit(std::future::pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_millis() / 10, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_nothing_elapses() {
        let mut timer = Timer::default();
        timer.set(Instant::now(), None);
        assert!(timer.limit(tokio::time::sleep(Duration::from_secs(3600))).await.is_ok());
    }
}
