//! Bounds what the program says over and over: of one sentence so many lines in so many seconds, and then how many
//! more there would have been.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::model::LogLevel;

/// How long lines of a sentence are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How many of them are written.
const ALLOWED: u32 = 20;
/// The most sentences that are counted at a time; others pass.
const SENTENCES: usize = 256;

/// The sentences of late.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    sentences: HashMap<String, Sentence>,
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
        if self.sentences.len() < SENTENCES {
            self.sentences.insert(sentence.to_owned(), Sentence { since: now, level, lines: 1 });
        }
        true
    }

    /// What to say of sentences whose time is over; `all` ends it for each of them.
    pub(super) fn over(&mut self, now: Instant, all: bool) -> Vec<(LogLevel, String)> {
        let mut said = Vec::new();
        self.sentences.retain(|text, sentence| {
            let stays = !all && now.saturating_duration_since(sentence.since) < WINDOW;
            if !stays && sentence.lines > ALLOWED {
                let more = sentence.lines - ALLOWED;
                said.push((sentence.level, format!("{text}: {more} more lines like this were left out")));
            }
            stays
        });
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
    fn only_so_many_sentences_are_remembered() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for number in 0..1_000 {
            assert!(repeats.admits(&format!("number {number}"), LogLevel::Info, start));
        }
        assert_eq!(repeats.sentences.len(), SENTENCES);
    }
}
