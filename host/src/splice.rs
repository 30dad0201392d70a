//! A way for large bodies that stays inside the kernel: splice(2) moves pages from one socket into a pipe and on
//! into the other socket, and this process never copies a byte.
//!
//! What is in a pipe counts against no limit of the kernel's on sockets, and each takes two file descriptors. So there
//! are only so many: clients that do not read would otherwise hold a megabyte each, and the open files that others need.
//! Bodies that find none are copied.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};

use crate::open_files;

/// How much a pipe is asked to hold. A pipe takes memory only for what is in it.
const PIPE_BYTES: usize = 1 << 20;
/// The most pipes of a worker, those that are spare among them.
pub(crate) const MOST: usize = 64;
/// The most descriptors of all pipes, as a share of the files that the process may open: one in so many.
const SHARE: u64 = 16;
/// The file descriptors of a pipe.
const FILES: u64 = 2;

/// A pipe between two sockets.
#[derive(Debug)]
pub(crate) struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
    held: usize,
}

thread_local! {
    static SPARE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
    /// How many pipes this thread has.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// How many pipes all threads have.
static MADE_BY_ALL: AtomicU64 = AtomicU64::new(0);
/// How many they may have for want of open files.
static ALLOWED: LazyLock<u64> = LazyLock::new(|| files(usize::MAX, open_files::hard_limit()) / FILES);

/// The open files that pipes of so many workers may take, of so many that there may be.
pub(crate) fn files(workers: usize, of: u64) -> u64 {
    (FILES * MOST as u64).saturating_mul(workers as u64).min(of / SHARE)
}

impl Pipe {
    /// Whether there is one to be had, as far as this process goes.
    pub(crate) fn is_at_hand() -> bool {
        SPARE.with_borrow(|spare| !spare.is_empty())
            || (MADE.get() < MOST && MADE_BY_ALL.load(Ordering::Relaxed) < *ALLOWED)
    }

    /// An empty pipe; `None` where there are too many already, or the system has none to give.
    pub(crate) fn take() -> Option<Pipe> {
        if !Pipe::is_at_hand() {
            return None;
        }
        SPARE.with_borrow_mut(Vec::pop).or_else(Pipe::new)
    }

    fn new() -> Option<Pipe> {
        let (exit, entry) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        // Where it is refused, a smaller pipe does as well.
        let _ = fcntl_setpipe_size(&entry, PIPE_BYTES);
        MADE.set(MADE.get() + 1);
        MADE_BY_ALL.fetch_add(1, Ordering::Relaxed);
        Some(Pipe { exit, entry, held: 0 })
    }

    /// Keeps the pipe for the next body, if it is empty.
    pub(crate) fn give_back(self) {
        if self.held == 0 {
            SPARE.with_borrow_mut(|spare| spare.push(self));
        }
    }

    /// How many bytes are in it.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Moves up to `at_most` bytes from a socket into it. 0 at the socket's end.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` too where the pipe is full, `InvalidInput` where the socket is of a kind
    /// that cannot be spliced.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>, at_most: usize) -> io::Result<usize> {
        let count = splice(from, self.entry.as_fd(), at_most)?;
        self.held += count;
        Ok(count)
    }

    /// Moves what is in it into a socket, as far as that takes it.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn drain(&mut self, into: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(self.exit.as_fd(), into, self.held)?;
        self.held -= count.min(self.held);
        Ok(count)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        MADE.set(MADE.get().saturating_sub(1));
        MADE_BY_ALL.fetch_sub(1, Ordering::Relaxed);
    }
}

fn splice(from: BorrowedFd<'_>, into: BorrowedFd<'_>, at_most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, into, None, at_most, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_so_many_pipes_and_no_more() {
        let mut pipes: Vec<Pipe> = std::iter::from_fn(Pipe::take).take(2 * MOST).collect();
        assert_eq!(pipes.len(), MOST.min(usize::try_from(*ALLOWED).unwrap_or(MOST)));
        assert!(!Pipe::is_at_hand());
        pipes.pop().expect("there are some").give_back();
        assert!(Pipe::is_at_hand(), "one that is spare");
        drop(Pipe::take());
        assert!(Pipe::is_at_hand(), "room for one more");
    }

    #[test]
    fn pipes_leave_most_of_few_files_to_others() {
        assert_eq!(files(2, 1 << 20), 256);
        assert_eq!(files(2, 1024), 64);
        assert_eq!(files(usize::MAX, u64::MAX), u64::MAX / SHARE);
    }
}
