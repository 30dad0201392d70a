//! The Cookie header (RFC 6265, section 4.2), read as leniently as browsers write it: pairs between
//! semicolons, white space around them, values perhaps in double quotes.

/// A `name=value` in a Cookie line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value as it stands, quotes included.
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
            let to = memchr::memchr(b';', &line[from..]).map_or(line.len(), |i| from + i);
            at = to + 1;
            let whole = &line[from..to];
            let start = from + whole.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let end = to - whole.iter().rev().take_while(|b| b.is_ascii_whitespace()).count();
            if start >= end {
                continue;
            }
            let text = &line[start..end];
            if let Some(equals) = memchr::memchr(b'=', text) {
                return Some(Pair {
                    name: text[..equals].trim_ascii_end(),
                    value: text[equals + 1..].trim_ascii_start(),
                    start,
                    end,
                });
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_values(line: &str) -> Vec<(&str, &str)> {
        pairs(line.as_bytes())
            .map(|p| {
                (
                    std::str::from_utf8(p.name).unwrap_or_default(),
                    std::str::from_utf8(p.value).unwrap_or_default(),
                )
            })
            .collect()
    }

    #[test]
    fn pairs_are_found_among_others_and_white_space() {
        assert_eq!(
            names_and_values("a=1; SERVER=web-a ;b = 2;;c"),
            [("a", "1"), ("SERVER", "web-a"), ("b", "2")]
        );
        assert_eq!(names_and_values(""), []);
        assert_eq!(names_and_values("a=b=c"), [("a", "b=c")]);
    }
}
