//! Durations and sizes, as HAProxy writes them: a number and a unit.

use std::time::Duration;

/// The longest duration there is, so that adding one to a point in time cannot overflow: a hundred years.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// Reads a duration such as `250ms`: a whole number and one of the units us, ms, s, m, h and d.
///
/// # Errors
///
/// What is wrong and what would be right, as a sentence in lower case without its full stop.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split(text);
    if digits.is_empty() {
        return Err(match text.strip_prefix('-') {
            Some(_) => format!("`{text}` is negative, and a duration cannot be"),
            None => {
                format!("`{text}` is not a duration: write a whole number and a unit, as in `5s` or `250ms`")
            }
        });
    }
    let unit_us: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60 * 1_000_000,
        "h" => 3_600 * 1_000_000,
        "d" => 86_400 * 1_000_000,
        "" => {
            return Err(format!(
                "`{text}` has no unit: write `{text}ms`, `{text}s`, `{text}m`, `{text}h` or `{text}d`"
            ));
        }
        _ if unit.starts_with('.') => {
            return Err(format!(
                "`{text}` is not a whole number: take a smaller unit, as in `1500ms` for 1.5 seconds"
            ));
        }
        _ => return Err(format!("`{text}` has an unknown unit, `{unit}`: there are us, ms, s, m, h and d")),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit_us))
        .map(Duration::from_micros)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("`{text}` is too long: no duration is longer than 36500d"))
}

/// Reads a size in bytes such as `16k`: a whole number, and `k`, `m` or `g` for 1024 of the next smaller.
///
/// # Errors
///
/// What is wrong and what would be right, as a sentence in lower case without its full stop.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = split(text);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => u32::MAX,
    };
    if digits.is_empty() || shift == u32::MAX {
        return Err(format!(
            "`{text}` is not a size: write bytes, or a number and a unit, as in `16k` or `1m`"
        ));
    }
    let number: Option<usize> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(|| format!("`{text}` is too large"))
}

/// The digits at the beginning, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_time_is_read() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("500us"), Ok(0.0005));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("5s"), Ok(5.0));
        assert_eq!(seconds("1m"), Ok(60.0));
        assert_eq!(seconds("2h"), Ok(7_200.0));
        assert_eq!(seconds("1d"), Ok(86_400.0));
        assert_eq!(seconds("0s"), Ok(0.0));
    }

    #[test]
    fn what_is_no_duration_says_what_would_be_one() {
        for (text, part) in [
            ("5", "`5` has no unit: write `5ms`, `5s`"),
            ("-5s", "is negative"),
            ("", "write a whole number and a unit"),
            ("5 s", "unknown unit, ` s`"),
            ("5sec", "unknown unit, `sec`"),
            ("1.5s", "1500ms"),
            ("s", "write a whole number"),
            ("36501d", "too long"),
            ("99999999999999999999d", "too long"),
            ("18446744073709551615d", "too long"),
            ("５s", "not a duration"),
        ] {
            let message = parse_duration(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn the_longest_duration_can_be_added_to_any_time() {
        let longest = parse_duration("36500d").expect("it is allowed");
        assert!(std::time::Instant::now().checked_add(longest).is_some());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(parse_size("16384"), Ok(16_384));
        assert_eq!(parse_size("16k"), Ok(16_384));
        assert_eq!(parse_size("1M"), Ok(1 << 20));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        for text in ["", "k", "-1", "16kb", "1.5k", "99999999999999999999", "18446744073709551615g"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
