//! Bounds what the program says over and over: of one sentence so many lines in so many seconds, and then how many
//! more there would have been. Sentences beyond those that can be remembered count as one: what differs in each line, a
//! client's bytes in an error among it, must not fill the log either.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::model::LogLevel;

/// How long lines of a sentence are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How many of them are written.
const ALLOWED: u32 = 20;
/// The most sentences that are counted at a time.
const SENTENCES: usize = 256;
/// How many lines are written of all others together.
const OTHERS_ALLOWED: u32 = 256;
const OTHERS: &str = "messages of many kinds";

/// The sentences of late.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    sentences: HashMap<String, Sentence>,
    others: Option<Sentence>,
}

#[derive(Debug)]
struct Sentence {
    since: Instant,
    level: LogLevel,
    lines: u32,
}

impl Repeats {
    /// Whether a line of this sentence may be written now.
    pub(super) fn admits(&mut self, sentence: &str, level: LogLevel, now: Instant) -> bool {
        if let Some(known) = self.sentences.get_mut(sentence) {
            known.lines = known.lines.saturating_add(1);
            return known.lines <= ALLOWED;
        }
        let first = Sentence { since: now, level, lines: 1 };
        if self.sentences.len() < SENTENCES {
            self.sentences.insert(sentence.to_owned(), first);
            return true;
        }
        let Some(others) = &mut self.others else {
            self.others = Some(first);
            return true;
        };
        others.lines = others.lines.saturating_add(1);
        others.level = others.level.min(level);
        others.lines <= OTHERS_ALLOWED
    }

    /// What to say of sentences whose time is over; `all` ends it for each of them.
    pub(super) fn over(&mut self, now: Instant, all: bool) -> Vec<(LogLevel, String)> {
        let is_over = |sentence: &Sentence| all || now.saturating_duration_since(sentence.since) >= WINDOW;
        let mut said = Vec::new();
        let mut left_out = |text: &str, sentence: &Sentence, allowed| {
            if let Some(more) = sentence.lines.checked_sub(allowed).filter(|more| *more > 0) {
                said.push((sentence.level, format!("{text}: {more} more lines like this were left out")));
            }
        };
        self.sentences.retain(|text, sentence| {
            let ends = is_over(sentence);
            if ends {
                left_out(text, sentence, ALLOWED);
            }
            !ends
        });
        if let Some(others) = self.others.take_if(|others| is_over(others)) {
            left_out(OTHERS, &others, OTHERS_ALLOWED);
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_repeats_is_counted_and_told_once() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let admitted = (0..100).filter(|_| repeats.admits("it failed", LogLevel::Err, start)).count();
        assert_eq!(admitted, 20);
        assert!(repeats.admits("another", LogLevel::Err, start));
        assert!(repeats.over(start + WINDOW / 2, false).is_empty());
        let said = repeats.over(start + WINDOW, false);
        assert_eq!(said, [(LogLevel::Err, "it failed: 80 more lines like this were left out".to_owned())]);
        assert!(repeats.over(start + 2 * WINDOW, true).is_empty());
        assert!(repeats.admits("it failed", LogLevel::Err, start + WINDOW));
    }

    #[test]
    fn sentences_that_are_never_the_same_are_bounded_together() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let admitted =
            (0..1_000).filter(|number| repeats.admits(&format!("number {number}"), LogLevel::Info, start));
        assert_eq!(admitted.count(), SENTENCES + OTHERS_ALLOWED as usize);
        assert_eq!(repeats.sentences.len(), SENTENCES);
        assert!(!repeats.admits("an error", LogLevel::Err, start));
        assert!(
            repeats.admits("number 7", LogLevel::Info, start),
            "one that is remembered is counted for itself"
        );
        let said = repeats.over(start + WINDOW, false);
        let left_out = 1_001 - SENTENCES as u32 - OTHERS_ALLOWED;
        assert_eq!(
            said,
            [(LogLevel::Err, format!("{OTHERS}: {left_out} more lines like this were left out"))]
        );
        assert!(repeats.admits("number 999", LogLevel::Info, start + WINDOW));
        assert!(repeats.over(start + 2 * WINDOW, true).is_empty());
    }
}
