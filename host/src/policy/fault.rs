//! What can be wrong with a call to a policy.

use std::fmt;

use wasmtime::Trap;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It trapped: a panic, an `unreachable`, a division by zero …
    Trap,
    /// It took more processor time than a call may.
    Overrun,
    /// It wanted more memory than an instance may have, and trapped when it did not get it.
    Memory,
    /// It answered what cannot be: a server that is not there, a header with a line break, text that is not
    /// UTF-8.
    Answer,
    /// A fresh instance did not start: it failed in `configure`, or refused what an earlier one took.
    Start,
}

impl FaultKind {
    /// All kinds, in the order of [`FaultKind::index`].
    pub const ALL: [FaultKind; 5] =
        [FaultKind::Trap, FaultKind::Overrun, FaultKind::Memory, FaultKind::Answer, FaultKind::Start];

    /// Its place in [`FaultKind::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::Overrun => "overrun",
            FaultKind::Memory => "memory",
            FaultKind::Answer => "answer",
            FaultKind::Start => "start",
        }
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// What happened, for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Fault {
    pub(super) fn answer(message: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Answer, message: message.into() }
    }

    pub(super) fn start(message: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Start, message: message.into() }
    }

    /// Reads wasmtime's error from an instantiation.
    pub(super) fn of_start(error: &wasmtime::Error, denied: bool) -> Fault {
        let fault = Fault::of(error, denied);
        match fault.kind {
            FaultKind::Answer if denied => Fault {
                kind: FaultKind::Memory,
                message: "begins with more memory than an instance may have".to_owned(),
            },
            FaultKind::Answer => Fault::start(format!("cannot be instantiated: {}", last_cause(error))),
            _ => fault,
        }
    }

    /// Reads wasmtime's error from a call. `denied` says that the instance was refused memory before.
    pub(super) fn of(error: &wasmtime::Error, denied: bool) -> Fault {
        let (kind, message) = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => (FaultKind::Overrun, "took too much processor time".to_owned()),
            Some(Trap::StackOverflow) => (FaultKind::Trap, "recursed too deep for its stack".to_owned()),
            Some(_) if denied => {
                (FaultKind::Memory, "wanted more memory than an instance may have".to_owned())
            }
            Some(Trap::UnreachableCodeReached) => {
                (FaultKind::Trap, "trapped: it panicked or reached `unreachable`".to_owned())
            }
            Some(trap) => (FaultKind::Trap, format!("trapped: {}", text_of(trap))),
            None if error.is::<HostRefusal>() => (FaultKind::Trap, last_cause(error)),
            // A value that could not be read from the guest's memory.
            None => (FaultKind::Answer, format!("gave an answer that cannot be read: {}", last_cause(error))),
        };
        Fault { kind, message }
    }
}

fn text_of(trap: &Trap) -> String {
    trap.to_string().trim_start_matches("wasm trap: ").to_owned()
}

fn last_cause(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}

/// An import that the host answers with a trap.
#[derive(Debug)]
pub(super) struct HostRefusal(pub(super) String);

impl fmt::Display for HostRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostRefusal {}
