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

/// Writes a Cookie line without the cookies of this name, as HAProxy leaves it: of the separators around what
/// is cut out the one behind it stays, with one space after it and none before. What begins with `$` goes with
/// the cookie that it describes (RFC 2109, section 4.4).
pub fn cut(line: &[u8], name: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    let (mut written, mut part, mut kept) = (0, 0, false);
    // Where what is to be cut out begins: at the separator before it.
    let mut gap = None;
    while part <= line.len() {
        let separator = part.saturating_sub(1);
        let text = &line[part..part + pair_length(&line[part..])];
        part += text.len() + 1;
        match text.trim_ascii_start() {
            pair if is_named(pair, name) => gap = gap.or(Some(separator)),
            [b'$', ..] => {}
            _ => {
                kept = true;
                if let Some(gap) = gap.take() {
                    write_up_to_gap(&line[written..gap], from, out);
                    if gap > 0 {
                        out.extend_from_slice(&[line[separator], b' ']);
                    }
                    let rest = &line[separator + 1..];
                    written = line.len() - rest.trim_ascii_start().len();
                }
            }
        }
    }
    if let Some(gap) = gap {
        if kept {
            write_up_to_gap(&line[written..gap.max(written)], from, out);
        }
        written = line.len();
    }
    out.extend_from_slice(&line[written..]);
}

/// The spaces before a gap go with it.
fn write_up_to_gap(text: &[u8], from: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    let length = out[from..].trim_ascii_end().len();
    out.truncate(from + length);
}

fn is_named(pair: &[u8], name: &[u8]) -> bool {
    memchr::memchr(b'=', pair).is_some_and(|equals| pair[..equals].trim_ascii_end() == name)
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

    #[test]
    fn a_cookie_is_cut_out_with_what_belongs_to_it() {
        for (line, left) in [
            ("a=1 ; S=x ; b=2", "a=1; b=2"),
            ("a=1;\tS=x;\tb=2", "a=1; b=2"),
            ("; ;S=x;; a=1;", ";; ; a=1;"),
            ("a=1; S=x;", "a=1; "),
            ("a=1; S=x", "a=1"),
            ("S=x; S=y; a=1", "a=1"),
            ("a=1; S=x; S=y; b=2; S=z; c", "a=1; b=2; c"),
            ("$Version=1; S=x; $Path=/; a=1", "$Version=1; a=1"),
            ("$Version=1; S=x; $Path=/", ""),
            (";S=x", ""),
            ("S=x;", ""),
            ("S=", ""),
            ("S; a=\"; S=x\"", "S; a=\"; S=x\""),
        ] {
            let mut out = b"cookie: ".to_vec();
            cut(line.as_bytes(), b"S", &mut out);
            assert_eq!(String::from_utf8_lossy(&out[8..]), left, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_the_name_is_left(line in "[aS=;, $\"]{0,30}") {
            let mut out = Vec::new();
            cut(line.as_bytes(), b"S", &mut out);
            prop_assert_eq!(pairs(&out).filter(|pair| pair.name == b"S").count(), 0);
            prop_assert!(out.len() <= line.len());
        }

        #[test]
        fn no_line_panics_and_pairs_stand_where_they_say(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            for pair in pairs(&line) {
                prop_assert!(line[pair.start..pair.end].starts_with(pair.name));
                prop_assert!(line[pair.start..pair.end].ends_with(pair.value));
            }
        }
    }
}
