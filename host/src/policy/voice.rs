//! What policies say: their lines in the host's log, bounded in number and length, so that a talkative policy
//! neither fills a disk nor slows anyone down.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Lines a second that a policy of a backend may write, over all its instances.
const LINES_A_SECOND: u64 = 10;

/// Bytes of a line.
const LINE_BYTES: usize = 1024;

/// How much a line matters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// The voice of a policy in a backend, shared by its instances.
pub(super) struct Voice {
    policy: String,
    backend: String,
    start: Instant,
    /// The second, from `start` on, in the upper half; the lines tried in it in the lower.
    window: AtomicU64,
}

impl Voice {
    pub(super) fn new(policy: &str, backend: &str) -> Voice {
        Voice {
            policy: policy.to_owned(),
            backend: backend.to_owned(),
            start: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    /// Writes a line, unless there were too many of late.
    pub(super) fn say(&self, level: Level, message: &str) {
        let (admitted, left_out) = self.admit(self.start.elapsed().as_secs());
        if left_out > 0 {
            tracing::warn!(
                target: "lb::policy", policy = %self.policy, backend = %self.backend, left_out,
                "the policy wrote more than {LINES_A_SECOND} lines a second; the rest was left out"
            );
        }
        if admitted {
            self.write(level, &fit(message));
        }
    }

    /// Whether another line may be written in this second, and how many earlier ones were not.
    fn admit(&self, second: u64) -> (bool, u64) {
        let mut left_out = 0;
        let before = self.window.fetch_update(Relaxed, Relaxed, |window| {
            let (then, lines) = (window >> 32, window & 0xffff_ffff);
            left_out = 0;
            Some(if then == second {
                then << 32 | (lines + 1).min(0xffff_ffff)
            } else {
                left_out = lines.saturating_sub(LINES_A_SECOND);
                second << 32 | 1
            })
        });
        let before = before.unwrap_or_default();
        (before >> 32 != second || (before & 0xffff_ffff) < LINES_A_SECOND, left_out)
    }

    fn write(&self, level: Level, line: &str) {
        let (policy, backend) = (&self.policy, &self.backend);
        match level {
            Level::Debug => tracing::debug!(target: "lb::policy", %policy, %backend, "{line}"),
            Level::Info => tracing::info!(target: "lb::policy", %policy, %backend, "{line}"),
            Level::Warn => tracing::warn!(target: "lb::policy", %policy, %backend, "{line}"),
            Level::Error => tracing::error!(target: "lb::policy", %policy, %backend, "{line}"),
        }
    }
}

/// Cuts a line to its bound, and takes out what would break it in two.
pub(super) fn fit(message: &str) -> String {
    printable(&message[..message.floor_char_boundary(LINE_BYTES)])
}

/// A text of a policy's as it may stand in a line of a log or on a terminal: without what would end the line, or confuse
/// the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_are_written_and_the_rest_is_counted() {
        let voice = Voice::new("p", "b");
        let admitted = (0..25).filter(|_| voice.admit(7).0).count();
        assert_eq!(admitted, 10);
        assert_eq!(voice.admit(8), (true, 15));
        assert_eq!(voice.admit(8), (true, 0));
        assert_eq!(voice.admit(9), (true, 0));
    }

    #[test]
    fn lines_are_cut_between_characters_and_cannot_forge_others() {
        assert_eq!(fit(&"ä".repeat(1000)).len(), 1024);
        assert_eq!(fit("one\r\ntwo\u{1b}[31m"), "one  two [31m");
    }
}
