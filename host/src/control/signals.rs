//! The signals by which the process is told what to do.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that mean something here; untaken, most of them would end the process.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
    pub(super) reopen: Signal,
    pub(super) report: Signal,
}

impl Signals {
    pub(super) fn take_up() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            report: signal(SignalKind::user_defined2())?,
        })
    }
}
