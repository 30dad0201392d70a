//! Settings: how a policy describes them, and how it reads what it was given.

use alloc::{string::String, vec::Vec};

use crate::{Description, Kind, Refusal, Setting, Value};

/// The settings of a policy: each of its declared kind, defaults filled in.
///
/// What is asked for by a name that was not given, or as another kind, is empty, zero or false.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings(Vec<(String, Value)>);

impl Settings {
    /// Settings by name.
    pub fn new(values: Vec<(String, Value)>) -> Self {
        Self(values)
    }

    /// Whether the setting was given, or has a default.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The setting's value, whatever its kind.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// A text.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> i64 {
        match self.value(name) {
            Some(Value::Integer(integer)) => *integer,
            _ => 0,
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Number(number)) => *number,
            _ => 0.0,
        }
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    /// A duration, in milliseconds.
    pub fn duration_ms(&self, name: &str) -> u64 {
        u64::try_from(self.integer(name)).unwrap_or(0)
    }

    /// Texts.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }
}

impl Description {
    /// A policy without settings. The name is lower case, digits and hyphens; the summary one line for people.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self { name: name.into(), version: version.into(), summary: summary.into(), settings: Vec::new() }
    }

    /// The same with one more setting.
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// The same with more settings.
    pub fn settings(mut self, settings: impl IntoIterator<Item = Setting>) -> Self {
        self.settings.extend(settings);
        self
    }
}

/// A setting by its kind: the key in `lb.toml`, in snake_case, and a sentence or two for people. It has no
/// default and need not be given, until said otherwise.
impl Setting {
    fn new(name: &str, kind: Kind, doc: &str) -> Self {
        let (choices, doc) = (Vec::new(), doc.into());
        Self { name: name.into(), kind, default: None, required: false, choices, doc }
    }

    /// A text.
    pub fn text(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Text, doc)
    }

    /// An integer.
    pub fn integer(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Integer, doc)
    }

    /// A number.
    pub fn number(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Number, doc)
    }

    /// A boolean.
    pub fn boolean(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Boolean, doc)
    }

    /// A time; its default is in milliseconds.
    pub fn duration(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Duration, doc)
    }

    /// An array of texts.
    pub fn texts(name: &str, doc: &str) -> Self {
        Self::new(name, Kind::Texts, doc)
    }

    /// The same with a default.
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The same, and it has to be given.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, and it is one of these (or, of texts, some).
    pub fn choices(mut self, choices: &[&str]) -> Self {
        self.choices = choices.iter().map(|choice| (*choice).into()).collect();
        self
    }
}

impl Refusal {
    /// A setting is wrong: what it is, and what would be right, in lower case without a full stop.
    pub fn of(setting: &str, message: impl Into<String>) -> Self {
        Self { setting: Some(setting.into()), message: message.into() }
    }

    /// The whole does not fit, or a server.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { setting: None, message: message.into() }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&[&str]> for Value {
    fn from(texts: &[&str]) -> Self {
        Self::Texts(texts.iter().map(|text| (*text).into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_and_kind() {
        let values: [(&str, Value); 5] = [
            ("a", "x".into()),
            ("b", 3.into()),
            ("c", 0.5.into()),
            ("d", true.into()),
            ("e", ["p", "q"][..].into()),
        ];
        let settings = Settings::new(values.map(|(name, value)| (name.into(), value)).into());
        assert_eq!((settings.text("a"), settings.integer("b"), settings.number("c")), ("x", 3, 0.5));
        assert_eq!((settings.boolean("d"), settings.duration_ms("b")), (true, 3));
        assert_eq!(settings.texts("e"), ["p", "q"]);
        assert!(settings.has("a") && !settings.has("z"));
        assert_eq!((settings.text("z"), settings.integer("a"), settings.boolean("z")), ("", 0, false));
    }
}
