//! The Cookie header, read as HAProxy reads it: pairs between semicolons or commas, white space around them,
//! values perhaps in double quotes, inside which nothing separates (RFC 2109, section 4.3.4, and leniently
//! what RFC 6265, section 4.2, has browsers send).

/// A `name=value` in a Cookie line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value, without white space around it; quotes are part of it.
    pub value: &'a [u8],
    /// Where the pair begins in the line: at its name.
    pub start: usize,
    /// Where it ends: behind its value.
    pub end: usize,
}

/// The pairs of a Cookie line, in order. What has no `=` is passed over.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() {
            let from = at;
            let to = from + pair_length(&line[from..]);
            at = to + 1;
            let whole = &line[from..to];
            let start = from + (whole.len() - whole.trim_ascii_start().len());
            let end = to - (whole.len() - whole.trim_ascii_end().len());
            if start >= end {
                continue;
            }
            let text = &line[start..end];
            if let Some(equals) = memchr::memchr(b'=', text) {
                let (name, value) = (text[..equals].trim_ascii_end(), text[equals + 1..].trim_ascii_start());
                return Some(Pair { name, value, start, end });
            }
        }
        None
    })
}

/// How far it is to the separator after the pair that begins here.
fn pair_length(text: &[u8]) -> usize {
    let end = memchr::memchr2(b';', b',', text).unwrap_or(text.len());
    // A quote that opens the value hides separators up to the one that closes it.
    let Some(equals) = memchr::memchr(b'=', &text[..end]) else { return end };
    let value = equals + 1 + (text[equals + 1..].len() - text[equals + 1..].trim_ascii_start().len());
    if text.get(value) != Some(&b'"') {
        return end;
    }
    let Some(closed) = closing_quote(&text[value + 1..]) else { return text.len() };
    let rest = value + 1 + closed;
    memchr::memchr2(b';', b',', &text[rest..]).map_or(text.len(), |more| rest + more)
}

/// Behind the quote that closes a quoted text, backslashes minded.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names_and_values(line: &str) -> Vec<(&str, &str)> {
        pairs(line.as_bytes())
            .map(|p| (std::str::from_utf8(p.name).unwrap(), std::str::from_utf8(p.value).unwrap()))
            .collect()
    }

    #[test]
    fn pairs_are_found_among_others_and_white_space() {
        assert_eq!(
            names_and_values("a=1; SERVER=web-a ;b = 2;;c"),
            [("a", "1"), ("SERVER", "web-a"), ("b", "2")]
        );
        assert_eq!(names_and_values("a=1, b=2"), [("a", "1"), ("b", "2")]);
        assert_eq!(names_and_values(""), []);
        assert_eq!(names_and_values("a=b=c; d="), [("a", "b=c"), ("d", "")]);
    }

    #[test]
    fn nothing_separates_inside_quotes() {
        assert_eq!(names_and_values(r#"a="x; b=1; \"y"; c=2"#), [("a", r#""x; b=1; \"y""#), ("c", "2")]);
        assert_eq!(names_and_values(r#"a="x; b=1"#), [("a", r#""x; b=1"#)]);
    }

    proptest! {
        #[test]
        fn no_line_panics_and_pairs_stand_where_they_say(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            for pair in pairs(&line) {
                prop_assert!(line[pair.start..pair.end].starts_with(pair.name));
                prop_assert!(line[pair.start..pair.end].ends_with(pair.value));
            }
        }
    }
}
