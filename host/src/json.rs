//! JSON for tools that read what commands print. Written only, never read.

use std::fmt::{self, Write};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    /// Members in the order in which they are written.
    Object(Vec<(String, Json)>),
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Json {
        i64::try_from(value).map_or(Json::Number(value as f64), Json::Integer)
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Json {
        Json::from(value as u64)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<I: IntoIterator<Item = Json>>(items: I) -> Json {
        Json::List(items.into_iter().collect())
    }
}

impl fmt::Display for Json {
    /// Indented, without an end of line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Json {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Integer(value) => write!(f, "{value}"),
            Json::Number(value) if value.is_finite() => write!(f, "{value}"),
            Json::Number(_) => f.write_str("null"),
            Json::Text(text) => quoted(f, text),
            Json::List(items) => {
                let items = items.iter().map(|item| (None, item));
                many(f, '[', ']', items, depth)
            }
            Json::Object(members) => {
                let members = members.iter().map(|(name, value)| (Some(name.as_str()), value));
                many(f, '{', '}', members, depth)
            }
        }
    }
}

fn many<'a>(
    f: &mut fmt::Formatter<'_>,
    open: char,
    close: char,
    items: impl ExactSizeIterator<Item = (Option<&'a str>, &'a Json)>,
    depth: usize,
) -> fmt::Result {
    f.write_char(open)?;
    let empty = items.len() == 0;
    for (index, (name, item)) in items.enumerate() {
        f.write_str(if index > 0 { ",\n" } else { "\n" })?;
        write!(f, "{:1$}", "", 2 * (depth + 1))?;
        if let Some(name) = name {
            quoted(f, name)?;
            f.write_str(": ")?;
        }
        item.write(f, depth + 1)?;
    }
    if !empty {
        write!(f, "\n{:1$}", "", 2 * depth)?;
    }
    f.write_char(close)
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
            character => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let value = object([
            ("text", "a \"b\"\\\n\u{1}é".into()),
            ("list", [Json::Integer(-1), Json::Number(0.5), Json::Number(f64::NAN)].into_iter().collect()),
            ("none", Option::<u64>::None.into()),
            ("empty", Json::List(vec![])),
            ("yes", true.into()),
        ]);
        let expected = "{\n  \"text\": \"a \\\"b\\\"\\\\\\n\\u0001é\",\n  \"list\": [\n    -1,\n    0.5,\n    null\n  ],\n  \
                        \"none\": null,\n  \"empty\": [],\n  \"yes\": true\n}";
        assert_eq!(value.to_string(), expected);
    }
}
