//! The dates in a cookie's value, as HAProxy writes them for `maxidle` and `maxlife`: `VALUE|LAST|FIRST`.
//!
//! A date is a number of 30 bits in five characters of the alphabet `A-Z a-z 0-9 + /`, the highest six bits
//! first, and counts units of four seconds since 1970, rounded up. 0 stands for no date.

use alloc::string::String;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const UNIT_MS: u64 = 4_000;
const BITS: u32 = 30;
/// A date that lies further ahead than this is no clock's error: it does not count as fresh.
const AHEAD_S: i64 = 86_400;

/// A date in units of four seconds since 1970; 0 for none.
pub type Date = u32;

/// When a client was last seen, and when first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// When the client was last given the cookie.
    pub last: Date,
    /// When the client was first given the cookie.
    pub first: Date,
}

impl Dates {
    /// Reads what follows the value: `LAST`, `LAST|FIRST` or `|FIRST`. What is no date is none.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split('|').map(decode);
        Self { last: parts.next().unwrap_or(0), first: parts.next().unwrap_or(0) }
    }

    /// Both in the number that goes from `recall` to `respond`.
    pub fn to_note(self) -> u64 {
        u64::from(self.last) | u64::from(self.first) << BITS
    }

    /// The dates in a note.
    pub fn from_note(note: u64) -> Self {
        let mask = (1 << BITS) - 1;
        Self { last: (note & mask) as Date, first: (note >> BITS & mask) as Date }
    }
}

/// The date of a moment.
pub fn at(time_ms: u64) -> Date {
    let units = (time_ms / 1_000 * 1_000).div_ceil(UNIT_MS);
    (units & ((1 << BITS) - 1)) as Date
}

/// For how many milliseconds from a moment on its date stays the same.
pub fn steady_ms(time_ms: u64) -> u32 {
    // A date changes with the first second after a full unit.
    (UNIT_MS - (time_ms % UNIT_MS + UNIT_MS - 1_000) % UNIT_MS) as u32
}

/// Whether a date lies more than so many seconds back, or too far ahead to be true.
pub fn is_past(date: Date, max_age_s: u64, time_ms: u64) -> bool {
    let age_s = (time_ms / 1_000) as i64 - i64::from(date) * (UNIT_MS / 1_000) as i64;
    age_s < -AHEAD_S || age_s > i64::try_from(max_age_s).unwrap_or(i64::MAX)
}

/// Writes a date.
pub fn push(text: &mut String, date: Date) {
    for sextet in (0..5).rev() {
        text.push(char::from(ALPHABET[(date >> (6 * sextet) & 63) as usize]));
    }
}

/// Reads the first five characters; 0 where they are not all there or not of the alphabet.
fn decode(text: &str) -> Date {
    let Some(digits) = text.as_bytes().first_chunk::<5>() else { return 0 };
    let mut date = 0;
    for digit in digits {
        let Some(sextet) = ALPHABET.iter().position(|letter| letter == digit) else { return 0 };
        date = date << 6 | sextet as Date;
    }
    date
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `awNnu` is what HAProxy 2.6 wrote within this unit.
    #[test]
    fn a_date_is_written_as_haproxy_writes_it() {
        assert_eq!(at(1_795_385_272_000), 448_846_318);
        assert_eq!(at(1_795_385_269_000), 448_846_318);
        assert_eq!(at(1_795_385_268_000), 448_846_317);
        let mut text = String::new();
        push(&mut text, 448_846_318);
        assert_eq!(text, "awNnu");
        assert_eq!(decode("awNnu"), 448_846_318);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "abc", "@@@@@", "AAAAA", "äöüßx", "awNn"] {
            assert_eq!(decode(text), 0, "{text}");
        }
        assert_eq!(decode("awNnuXYZ"), 448_846_318);
        assert_eq!(Dates::parse("|awNnu"), Dates { last: 0, first: 448_846_318 });
        assert_eq!(Dates::parse("awNnu|"), Dates { last: 448_846_318, first: 0 });
        assert_eq!(Dates::parse("||||"), Dates::default());
    }

    #[test]
    fn a_date_may_lie_a_day_ahead_and_no_more() {
        let now_ms = 4_000_000_000;
        assert!(!is_past(at(now_ms + 86_400_000), 60, now_ms));
        assert!(is_past(at(now_ms + 86_404_000), 60, now_ms));
        assert!(!is_past(at(now_ms - 60_000), 60, now_ms));
        assert!(is_past(at(now_ms - 64_000), 60, now_ms));
    }

    proptest! {
        #[test]
        fn dates_survive_writing_and_reading(date in 0_u32..1 << 30) {
            let mut text = String::new();
            push(&mut text, date);
            prop_assert_eq!(decode(&text), date);
        }

        #[test]
        fn dates_survive_the_note(last in 0_u32..1 << 30, first in 0_u32..1 << 30) {
            let dates = Dates { last, first };
            prop_assert_eq!(Dates::from_note(dates.to_note()), dates);
        }

        #[test]
        fn a_date_stays_exactly_as_long_as_said(time_ms in 0_u64..5_000_000_000_000) {
            let steady = u64::from(steady_ms(time_ms));
            prop_assert!((1..=4_000).contains(&steady));
            prop_assert_eq!(at(time_ms + steady - 1), at(time_ms));
            prop_assert_eq!(at(time_ms + steady), at(time_ms) + 1);
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            Dates::parse(&text);
        }
    }
}
