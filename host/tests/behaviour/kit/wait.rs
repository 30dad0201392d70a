//! Waiting for a condition.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives it up: far longer than it takes on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(2);

/// Waits until `look` finds what it looks for.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(PACE);
    }
}
