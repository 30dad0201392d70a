//! The queue of batches that wait for an outlet's writer, and its counters.
//!
//! Threads that make lines and the one that writes them meet here only. Handing over a batch never waits for
//! the reader at the other end: the lock is held for as long as it takes to move a few pointers, and what does
//! not fit is refused and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The size at which a batch goes: large enough that a write costs little per line, small enough that four of
/// them fit into a pipe.
pub(super) const BATCH_BYTES: usize = 16 * 1024;

/// The most batches that wait: 4 MiB, about half a second of lines at full load, for a reader that pauses.
const QUEUE_MAX: usize = 256;

/// With more batches waiting than this, a batch is filled before it goes, however old its first line is.
/// Otherwise many small batches would take the places of few large ones while a reader pauses.
const QUEUE_BUSY: usize = 8;

/// The most empty buffers that are kept for the next batches.
const SPARE_MAX: usize = 32;

/// Whole lines, each with its end.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.lines == 0
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
    }
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Task {
    Write(Batch),
    Reopen,
    /// Everything is written, and nothing more will come.
    Stop,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Work for the writer.
    work: Condvar,
    /// The writer is gone.
    done: Condvar,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    spare: Vec<Vec<u8>>,
    reopen: bool,
    /// Since when the writer is to end.
    stop: Option<Instant>,
    idle: bool,
    gone: bool,
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue {
            state: Mutex::new(State { batches: VecDeque::with_capacity(QUEUE_MAX), ..State::default() }),
            work: Condvar::new(),
            done: Condvar::new(),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lines of `batch` and leaves it empty, ready for the next ones. Where there is no room its
    /// lines are dropped and counted.
    pub(super) fn hand_over(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let mut state = self.state();
        if state.gone || state.batches.len() >= QUEUE_MAX {
            drop(state);
            self.dropped.fetch_add(batch.lines, Relaxed);
            batch.clear();
            return;
        }
        let empty = Batch { bytes: state.spare.pop().unwrap_or_default(), lines: 0 };
        state.batches.push_back(std::mem::replace(batch, empty));
        self.wake(state);
    }

    /// Whether a batch that is not full had better wait: others still wait before it.
    pub(super) fn is_busy(&self) -> bool {
        self.state().batches.len() > QUEUE_BUSY
    }

    /// Has the writer open its file anew.
    pub(super) fn reopen(&self) {
        let mut state = self.state();
        state.reopen = true;
        self.wake(state);
    }

    /// Has the writer end once everything is written.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stop.get_or_insert_with(Instant::now);
        self.wake(state);
    }

    /// Waits until the writer has ended; `false` where it has not by the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        while !state.gone {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// For the writer: what to do next, with the buffer of the last batch for others to use.
    pub(super) fn next(&self, used: Vec<u8>) -> Task {
        let mut state = self.state();
        // A line's length has no bound but the configuration's: a buffer that grew far is let go.
        if state.spare.len() < SPARE_MAX && (1..=4 * BATCH_BYTES).contains(&used.capacity()) {
            state.spare.push(used);
            if let Some(spare) = state.spare.last_mut() {
                spare.clear();
            }
        }
        loop {
            if std::mem::take(&mut state.reopen) {
                return Task::Reopen;
            }
            if let Some(batch) = state.batches.pop_front() {
                return Task::Write(batch);
            }
            if state.stop.is_some() {
                return Task::Stop;
            }
            state.idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
        }
    }

    /// For the writer, which has nobody to write to: waits, and says whether it is to end.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.state();
        while state.stop.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state.idle = true;
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = false;
        }
        true
    }

    /// For the writer: how long ago it was told to end.
    pub(super) fn stopped_for(&self) -> Option<Duration> {
        self.state().stop.map(|stop| stop.elapsed())
    }

    /// Whether the writer has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// For the writer: it is gone, and what still comes is dropped.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.gone = true;
        let lost: u64 = state.batches.drain(..).map(|batch| batch.lines).sum();
        self.dropped.fetch_add(lost, Relaxed);
        self.done.notify_all();
    }

    /// A waiting writer only: a notification costs a system call even where nobody waits.
    fn wake(&self, state: MutexGuard<'_, State>) {
        let idle = state.idle;
        drop(state);
        if idle {
            self.work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: u64) -> Batch {
        Batch { bytes: b"x\n".repeat(lines as usize), lines }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let queue = Queue::new();
        for _ in 0..QUEUE_MAX + 3 {
            let mut batch = batch(5);
            queue.hand_over(&mut batch);
            assert!(batch.is_empty() && batch.bytes.is_empty());
        }
        assert_eq!(queue.dropped.load(Relaxed), 15);
    }

    #[test]
    fn buffers_come_back() {
        let queue = Queue::new();
        let mut first = batch(5);
        let address = first.bytes.as_ptr();
        queue.hand_over(&mut first);
        let Task::Write(written) = queue.next(Vec::new()) else { panic!("a batch waits") };
        queue.stop();
        assert!(matches!(queue.next(written.bytes), Task::Stop));
        let mut second = batch(1);
        queue.hand_over(&mut second);
        assert_eq!(second.bytes.as_ptr(), address);
    }

    #[test]
    fn batches_of_a_writer_that_ended_are_counted_as_dropped() {
        let queue = Queue::new();
        queue.hand_over(&mut batch(5));
        queue.end();
        queue.hand_over(&mut batch(2));
        assert_eq!(queue.dropped.load(Relaxed), 7);
        assert!(queue.wait(Instant::now()));
    }
}
