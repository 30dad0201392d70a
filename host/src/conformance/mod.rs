//! The conformance kit: whether a policy keeps to its part of the interface, found out before it sees traffic. The
//! very component is run, in the sandbox and under the limits that it will have.
//!
//! A case is a history of calls, made from a seed: the same seed makes the same history. It ends at the first thing
//! that is wrong, which is reported with what was sent. Then it is run once more on a fresh instance, and where that
//! answers otherwise, a note says so: a policy may be random, but its author should know.
//!
//! Nothing here opens a socket, and time is what the history says.

mod balancing;
mod exam;
mod persisting;
mod report;
mod samples;

use crate::policy::{Policy, Settings};
use exam::{Log, Scene, Stop};

pub use exam::Call;
pub(crate) use persisting::key_set;
pub use report::{CallTime, CaseReport, Finding, Report, Severity};
pub use samples::{Rng, backend_of, servers};

/// A case of the kit.
struct Case {
    name: &'static str,
    /// Whether it is for policies like this.
    applies: fn(&Policy) -> bool,
    run: fn(&mut Scene<'_>) -> Result<(), Stop>,
}

fn cases() -> impl Iterator<Item = &'static Case> + Clone {
    balancing::CASES.iter().chain(persisting::CASES)
}

/// The names of the cases that a policy is put to.
pub fn case_names(policy: &Policy) -> impl Iterator<Item = &'static str> + Clone {
    cases().filter(|case| (case.applies)(policy)).map(|case| case.name)
}

/// Puts a policy to all cases that are for it, or to the one of this name.
pub fn check(policy: &Policy, settings: &Settings, seed: u64, only: Option<&str>) -> Report {
    let mut report = Report::new(policy, seed);
    let mut total = Log::default();
    for case in cases().filter(|case| (case.applies)(policy) && only.is_none_or(|name| name == case.name)) {
        let first = run(case, policy, settings, seed, &mut report);
        if let Some(first) = first {
            if let Some(second) = run(case, policy, settings, seed, &mut report)
                && let Some(difference) = first.differs_from(&second)
            {
                report.note(
                    case.name,
                    format!("told the same, another instance answers otherwise: {difference}"),
                );
            }
            total.add(first);
        }
    }
    if total.never_picked() {
        report.note(
            "all",
            "it never picked a server: every request was passed on to whoever comes next".into(),
        );
    }
    report.times = total.times();
    report.memory_bytes = total.memory_bytes;
    report
}

/// Runs a case; its log where nothing is wrong.
fn run(case: &Case, policy: &Policy, settings: &Settings, seed: u64, report: &mut Report) -> Option<Log> {
    let mut scene = Scene::new(policy, settings, samples::Rng::new(seed ^ fingerprint(case.name)));
    let ended = (case.run)(&mut scene);
    let (log, notes) = scene.into_log();
    report.count(case.name, log.calls());
    notes.into_iter().for_each(|note| report.note(case.name, note));
    match ended {
        Ok(()) => Some(log),
        Err(Stop::Refused(note)) => {
            report.note(case.name, note);
            Some(log)
        }
        Err(Stop::Wrong { message, sent }) => {
            report.wrong(case.name, message, sent);
            None
        }
    }
}

/// FNV-1a: each case has a history of its own, whichever others are run.
fn fingerprint(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
