//! A deadline that moves with every step of a connection, at next to no cost.
//!
//! Nearly every deadline is put off before it is met, so the runtime's timer is touched only where a new
//! deadline is nearer than the one it is set to; one that fires too early is set anew then. For the same reason one that
//! is no longer needed stays set, for whoever needs one next.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A connection's deadline. It is waited for by one task only, that of the connection.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    /// Made, or taken from the worker's store, when first needed.
    alarm: Option<Alarm>,
    /// Whether the alarm knows whom to wake: always the connection's own task.
    polled: bool,
}

/// A timer of the runtime's.
#[derive(Debug)]
struct Alarm {
    /// Boxed, since it must not move once it is set.
    sleep: Pin<Box<Sleep>>,
    /// When it fires; `None` once it has.
    armed: Option<Instant>,
}

/// How many of them a worker keeps.
const MAX_SPARE: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Alarm>> = const { RefCell::new(Vec::new()) };
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
            let alarm = self.alarm.get_or_insert_with(|| Alarm::spare_or_new(deadline));
            if alarm.armed.is_none_or(|armed| deadline < armed) {
                alarm.sleep.as_mut().reset(deadline);
                alarm.armed = Some(deadline);
                self.polled = false;
            }
            if self.polled && !alarm.sleep.is_elapsed() {
                return Poll::Pending;
            }
            self.polled = true;
            if alarm.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(Elapsed);
            }
            alarm.armed = None;
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

impl Alarm {
    /// One that fires at some time, which may be another one.
    fn spare_or_new(deadline: Instant) -> Alarm {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        spare.unwrap_or_else(|| Alarm { sleep: Box::pin(sleep_until(deadline)), armed: Some(deadline) })
    }
}

/// Gives the alarm back to the worker.
impl Drop for Timer {
    fn drop(&mut self) {
        let Some(alarm) = self.alarm.take() else { return };
        // Where the thread is ending there is nobody to keep it for.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MAX_SPARE {
                spare.push(alarm);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer of its own: what another test's runtime left on this thread is of no use to this one's.
    fn timer() -> Timer {
        SPARE.with_borrow_mut(Vec::clear);
        Timer::default()
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_put_off_is_met_where_it_is_at_last() {
        let mut timer = timer();
        let start = Instant::now();
        timer.set(start, Some(Duration::from_secs(1)));
        assert!(timer.limit(tokio::time::sleep(Duration::from_millis(900))).await.is_ok());
        timer.set(Instant::now(), Some(Duration::from_secs(5)));
        assert!(timer.limit(std::future::pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_millis() / 10, 590);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_nearer_is_met_in_time() {
        let mut timer = timer();
        let start = Instant::now();
        timer.set(start, Some(Duration::from_secs(10)));
        assert!(timer.limit(tokio::time::sleep(Duration::from_millis(1))).await.is_ok());
        timer.set(start, Some(Duration::from_secs(2)));
        assert!(timer.limit(std::future::pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_millis() / 10, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_nothing_elapses() {
        let mut timer = timer();
        timer.set(Instant::now(), None);
        assert!(timer.limit(tokio::time::sleep(Duration::from_secs(3600))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_timer_leaves_behind_serves_the_next_one() {
        for (earlier, later) in [(1, 3), (3, 1), (2, 2)] {
            let mut first = timer();
            first.set(Instant::now(), Some(Duration::from_secs(earlier)));
            assert!(first.limit(tokio::time::sleep(Duration::from_millis(1))).await.is_ok());
            drop(first);
            assert_eq!(SPARE.with_borrow(Vec::len), 1);
            let (mut second, start) = (Timer::default(), Instant::now());
            second.set(start, Some(Duration::from_secs(later)));
            assert!(second.limit(std::future::pending::<()>()).await.is_err());
            assert_eq!(SPARE.with_borrow(Vec::len), 0);
            assert_eq!(start.elapsed().as_millis() / 10, u128::from(later) * 100);
        }
    }
}
