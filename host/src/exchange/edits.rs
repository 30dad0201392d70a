//! Changes to the heads of a request and its response that rules and policies ask for. They are made in their order: each
//! finds what those before it have left.

use crate::http::head::{HeadSink, Known};

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

/// A change to a head's lines, whoever asks for it. Names are in lower case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit<'a> {
    /// A line more.
    Add(Line<'a>),
    /// This line in place of all of its name.
    Set(Line<'a>),
    /// No line of this name.
    Remove(&'a str),
}

/// A line to be written: its name, and its value in two parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) value: [&'a [u8]; 2],
}

impl<'a> From<&'a LineEdit> for Edit<'a> {
    fn from(edit: &'a LineEdit) -> Edit<'a> {
        match edit {
            LineEdit::Add(name, value) => Edit::Add(Line { name, value: [value, b""] }),
            LineEdit::Set(name, value) => Edit::Set(Line { name, value: [value, b""] }),
            LineEdit::Remove(name) => Edit::Remove(name),
        }
    }
}

/// Whether a line of this name that was there before these edits does not go on.
pub(super) fn drops<'a, E: Into<Edit<'a>>>(edits: impl IntoIterator<Item = E>, name: &[u8]) -> bool {
    edits.into_iter().any(|edit| match edit.into() {
        Edit::Set(Line { name: other, .. }) | Edit::Remove(other) => {
            name.eq_ignore_ascii_case(other.as_bytes())
        }
        Edit::Add(_) => false,
    })
}

/// The names that are changed.
pub(super) fn names(edits: &[LineEdit]) -> impl Iterator<Item = &str> {
    edits.iter().map(|edit| match edit {
        LineEdit::Set(name, _) | LineEdit::Remove(name) | LineEdit::Add(name, _) => &**name,
    })
}

/// Writes the lines that are added: each unless a later edit takes its name away.
pub(super) fn write_added<'a, E, I>(edits: I, out: &mut (impl HeadSink + ?Sized))
where
    E: Into<Edit<'a>>,
    I: IntoIterator<Item = E>,
    I::IntoIter: Clone,
{
    let mut edits = edits.into_iter();
    while let Some(edit) = edits.next() {
        if let Edit::Add(line) | Edit::Set(line) = edit.into()
            && !drops(edits.clone(), line.name.as_bytes())
        {
            let name = line.name.as_bytes();
            out.field(name, Known::of(name), line.value);
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
        assert!(!drops(&edits[..0], b"x-b"));
    }
}
