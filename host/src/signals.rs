//! The signals by which the process is told what to do. They belong to the first lines of `main`: one that comes while the
//! process starts waits until somebody listens, and neither kills it nor is lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that mean something here; untaken, each of them would end the process.
const TAKEN: [libc::c_int; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// The signals, held back. Dropped, it lets them do what they do to any program.
pub struct Held {
    /// What was held back before.
    before: libc::sigset_t,
}

/// Holds the signals back. To be called before anything that takes its time, and before there is a second thread.
pub fn hold() -> Held {
    let (taken, mut before) = (set_of(&TAKEN), set_of(&[]));
    // SAFETY: both sets live across the call, which fails only by its first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const taken, &raw mut before) };
    Held { before }
}

impl Held {
    /// For a command that does its work and ends: it ends by these signals as any program does, and without a word when
    /// nobody reads its output any more.
    pub fn release(self) {
        // SAFETY: the standard library ignores the signal; there is no thread yet that could rely on it.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

fn set_of(numbers: &[libc::c_int]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset makes a set, which is there from then on; the numbers are those of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in numbers {
            libc::sigaddset(set.as_mut_ptr(), *number);
        }
        set.assume_init()
    }
}

/// The signals, listened to.
pub(crate) struct Signals {
    pub(crate) end: End,
    pub(crate) hangup: Signal,
    pub(crate) reopen: Signal,
    pub(crate) report: Signal,
}

/// The signals that end the process.
pub(crate) struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    /// Waits for one.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Signals {
    /// Listens, and lets through what was held back, even where the parent process had these signals blocked. To be
    /// called on the runtime of the main thread, before there is another.
    pub(crate) fn take_up(held: Held) -> std::io::Result<Signals> {
        let signals = Signals {
            end: End {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            report: signal(SignalKind::user_defined2())?,
        };
        drop(held);
        let taken = set_of(&TAKEN);
        // SAFETY: the set lives across the call.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const taken, std::ptr::null_mut()) };
        Ok(signals)
    }

    /// Does this, unless a signal ends the process first: then `None`, and it is dropped where it stands.
    pub(crate) async fn unless_ended<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.end.recv() => None,
            done = work => Some(done),
        }
    }
}
