//! Changes to the heads of a request and its response that rules ask for.

use crate::http::head::write_line;

/// One change to a head's lines. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LineEdit {
    /// A line more, behind those that are there.
    Add(Box<str>, Vec<u8>),
    /// This line in place of all of its name.
    Set(Box<str>, Vec<u8>),
    /// No line of this name.
    Remove(Box<str>),
}

/// What is changed in an exchange's heads, each list in its order.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// In the request, before its server sees it.
    pub(super) request: Vec<LineEdit>,
    /// In the response, before the client sees it.
    pub(super) response: Vec<LineEdit>,
    /// The target that the server is asked for, where it is not the client's.
    pub(super) target: Option<Vec<u8>>,
}

/// Whether a line of this name, as it came, does not go on.
pub(super) fn drops(edits: &[LineEdit], name: &[u8]) -> bool {
    edits.iter().any(|edit| match edit {
        LineEdit::Set(other, _) | LineEdit::Remove(other) => name.eq_ignore_ascii_case(other.as_bytes()),
        LineEdit::Add(..) => false,
    })
}

/// The names that are changed.
pub(super) fn names(edits: &[LineEdit]) -> impl Iterator<Item = &str> {
    edits.iter().map(|edit| match edit {
        LineEdit::Set(name, _) | LineEdit::Remove(name) | LineEdit::Add(name, _) => &**name,
    })
}

/// Writes the lines that are added: each unless a later edit takes its name away.
pub(super) fn write_added(edits: &[LineEdit], out: &mut Vec<u8>) {
    for (index, edit) in edits.iter().enumerate() {
        if let LineEdit::Add(name, value) | LineEdit::Set(name, value) = edit
            && !drops(&edits[index + 1..], name.as_bytes())
        {
            write_line(name.as_bytes(), value, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(edits: &[LineEdit]) -> String {
        let mut out = Vec::new();
        write_added(edits, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn edits_count_in_their_order() {
        let add = |value: &str| LineEdit::Add("x-a".into(), value.into());
        let set = |value: &str| LineEdit::Set("x-a".into(), value.into());
        let remove = || LineEdit::Remove("x-a".into());
        assert_eq!(added(&[add("1"), add("2")]), "x-a: 1\r\nx-a: 2\r\n");
        assert_eq!(added(&[add("1"), set("2"), add("3")]), "x-a: 2\r\nx-a: 3\r\n");
        assert_eq!(added(&[set("1"), remove()]), "");
        assert_eq!(added(&[remove(), add("1")]), "x-a: 1\r\n");
    }

    #[test]
    fn what_is_set_or_removed_does_not_go_on_as_it_came() {
        let edits = [LineEdit::Add("x-a".into(), Vec::new()), LineEdit::Remove("x-b".into())];
        assert!(!drops(&edits, b"X-A"));
        assert!(drops(&edits, b"X-B"));
        assert!(!drops(&[], b"x-b"));
    }
}
