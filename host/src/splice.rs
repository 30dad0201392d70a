//! A way for large bodies that stays inside the kernel: splice(2) moves pages from one socket into a pipe and on
//! into the other socket, and this process never copies a byte.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How much a pipe is asked to hold. A pipe takes memory only for what is in it.
const PIPE_BYTES: libc::c_int = 1 << 20;
/// Spare pipes that a worker keeps: each takes two file descriptors.
const MAX_SPARE: usize = 16;

/// A pipe between two sockets.
#[derive(Debug)]
pub(crate) struct Pipe {
    exit: OwnedFd,
    entry: OwnedFd,
    held: usize,
}

thread_local! {
    static SPARE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

impl Pipe {
    /// An empty pipe; `None` where the system has none to give.
    pub(crate) fn take() -> Option<Pipe> {
        SPARE.with_borrow_mut(Vec::pop).or_else(Pipe::new)
    }

    fn new() -> Option<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: the call fills in two numbers.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } < 0 {
            return None;
        }
        // SAFETY: both descriptors are new and belong to nobody else.
        let [exit, entry] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: the call takes numbers only. Where it is refused, a smaller pipe does as well.
        let _ = unsafe { libc::fcntl(entry.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        Some(Pipe { exit, entry, held: 0 })
    }

    /// Keeps the pipe for the next body, if it is empty.
    pub(crate) fn give_back(self) {
        SPARE.with_borrow_mut(|spare| {
            if self.held == 0 && spare.len() < MAX_SPARE {
                spare.push(self);
            }
        });
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
        let count = splice(from.as_raw_fd(), self.entry.as_raw_fd(), at_most)?;
        self.held += count;
        Ok(count)
    }

    /// Moves what is in it into a socket, as far as that takes it.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn drain(&mut self, into: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(self.exit.as_raw_fd(), into.as_raw_fd(), self.held)?;
        self.held -= count.min(self.held);
        Ok(count)
    }
}

fn splice(from: libc::c_int, into: libc::c_int, at_most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    let no_offset = std::ptr::null_mut();
    // SAFETY: the descriptors are open, and neither a pipe nor a socket has an offset.
    let count = unsafe { libc::splice(from, no_offset, into, no_offset, at_most, flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
