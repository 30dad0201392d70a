//! What a policy says of itself: the twin of `setup.describe`, checked once when a component is loaded so
//! that nothing behind has to doubt it.

use std::collections::HashSet;
use std::fmt;

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// A short name, for logs and metrics: lower case, digits and hyphens.
    pub name: String,
    /// The policy's own version, free in form.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// Every setting it takes.
    pub settings: Vec<Setting>,
}

/// A setting that a policy takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key in `lb.toml`.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// What `configure` gets where `lb.toml` does not give the setting.
    pub default: Option<SettingValue>,
    /// Whether a configuration without it is an error.
    pub required: bool,
    /// For text and texts: the values allowed. Empty: any.
    pub choices: Vec<String>,
    /// A sentence or two for people.
    pub doc: String,
}

/// A setting's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A TOML string.
    Text,
    /// A TOML integer.
    Integer,
    /// A TOML float or integer.
    Number,
    /// A TOML boolean.
    Boolean,
    /// A time such as `"30s"`; handed over in milliseconds.
    Duration,
    /// A TOML array of strings.
    Texts,
}

impl Kind {
    /// What an error message asks for.
    pub fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "a string",
            Kind::Integer => "an integer",
            Kind::Number => "a number",
            Kind::Boolean => "true or false",
            Kind::Duration => "a time such as \"30s\"",
            Kind::Texts => "an array of strings",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Duration => "duration",
            Kind::Texts => "texts",
        })
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// Of a text.
    Text(String),
    /// Of an integer, or of a duration, in milliseconds.
    Integer(i64),
    /// Of a number.
    Number(f64),
    /// Of a boolean.
    Boolean(bool),
    /// Of texts.
    Texts(Vec<String>),
}

impl fmt::Display for SettingValue {
    /// As `lb.toml` would have it, but for durations, whose value is milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Text(text) => write!(f, "{text:?}"),
            SettingValue::Integer(value) => write!(f, "{value}"),
            SettingValue::Number(value) => write!(f, "{value}"),
            SettingValue::Boolean(value) => write!(f, "{value}"),
            SettingValue::Texts(texts) => write!(f, "{texts:?}"),
        }
    }
}

impl SettingValue {
    fn is_of(&self, kind: Kind) -> bool {
        match self {
            SettingValue::Text(_) => kind == Kind::Text,
            SettingValue::Integer(_) => matches!(kind, Kind::Integer | Kind::Duration),
            SettingValue::Number(_) => kind == Kind::Number,
            SettingValue::Boolean(_) => kind == Kind::Boolean,
            SettingValue::Texts(_) => kind == Kind::Texts,
        }
    }
}

impl Description {
    /// Says what in a description cannot be, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let plain = |text: &str, extra: u8| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == extra)
        };
        if !plain(&self.name, b'-') {
            return Some(format!(
                "its name is {:?}; lower case letters, digits and hyphens are allowed, 64 at most",
                self.name
            ));
        }
        let mut seen = HashSet::new();
        for setting in &self.settings {
            let name = &setting.name;
            if !plain(name, b'_') {
                return Some(format!("its setting {name:?} is not named in snake_case"));
            }
            if matches!(name.as_str(), "policy" | "instances") {
                return Some(format!("its setting `{name}` has the name of a key of the host"));
            }
            if !seen.insert(name) {
                return Some(format!("it names the setting `{name}` twice"));
            }
            if let Some(choice) = setting.choices.iter().find(|choice| choice.contains(char::is_control)) {
                return Some(format!(
                    "its setting `{name}` has a choice with a control character, {choice:?}"
                ));
            }
            if setting.default.as_ref().is_some_and(|value| !value.is_of(setting.kind)) {
                return Some(format!("the default of its setting `{name}` is not of kind {}", setting.kind));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(name: &str) -> Setting {
        Setting {
            name: name.into(),
            kind: Kind::Duration,
            default: Some(SettingValue::Integer(1)),
            required: false,
            choices: vec![],
            doc: String::new(),
        }
    }

    fn fault(name: &str, settings: &[Setting]) -> Option<String> {
        let settings = settings.to_vec();
        Description { name: name.into(), version: "1".into(), summary: String::new(), settings }.fault()
    }

    #[test]
    fn a_description_that_cannot_be_is_found() {
        assert_eq!(fault("my-policy-2", &[setting("max_idle")]), None);
        for name in ["", "My", "a b", "a\nb", "ä", &"a".repeat(65)] {
            assert!(fault(name, &[]).is_some(), "{name:?}");
        }
        for name in ["", "Max", "max-idle", "policy", "instances"] {
            assert!(fault("p", &[setting(name)]).is_some(), "{name:?}");
        }
        assert!(fault("p", &[setting("a"), setting("a")]).is_some());
        for choice in ["a\nb", "\u{1b}[2J"] {
            assert!(fault("p", &[Setting { choices: vec![choice.into()], ..setting("a") }]).is_some());
        }
        let default = Some(SettingValue::Boolean(true));
        assert!(fault("p", &[Setting { default, ..setting("a") }]).is_some());
    }
}
