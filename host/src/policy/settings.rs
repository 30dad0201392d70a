//! A policy's settings: what stands in `lb.toml`, held against what the policy says it takes.
//!
//! Everything that can be known without running the policy is found here, and all of it at once, so that
//! `lb check` names every mistake in one go.

use std::collections::HashSet;

use super::description::{Description, Kind, Setting, SettingValue};
use crate::config::model::{PolicySpec, RawSetting, RawValue, Span};
use crate::config::units;

/// Something wrong with a policy as `lb.toml` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What to point at.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn at(span: &Span, message: impl Into<String>) -> Problem {
        Problem { span: span.clone(), message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// Settings as `configure` gets them: each of its declared kind, defaults filled in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    pub(super) values: Vec<(String, SettingValue)>,
}

impl Settings {
    /// Each setting's name and value, in the order of the description.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SettingValue)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Holds the settings of `spec` against what the policy takes.
pub fn check(description: &Description, spec: &PolicySpec) -> Result<Settings, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for raw in &spec.settings {
        if !description.settings.iter().any(|setting| setting.name == raw.name) {
            problems.push(unknown(description, raw));
        } else if !seen.insert(raw.name.as_str()) {
            problems.push(Problem::at(&raw.name_span, format!("`{}` is given twice", raw.name)));
        }
    }
    let mut settings = Settings::default();
    for setting in &description.settings {
        match spec.settings.iter().find(|raw| raw.name == setting.name) {
            Some(raw) => match value(setting, raw) {
                Ok(value) => settings.values.push((setting.name.clone(), value)),
                Err(problem) => problems.push(problem),
            },
            None if setting.required && setting.default.is_none() => problems.push(
                Problem::at(
                    &spec.span,
                    format!("the policy {} needs the setting `{}`", description.name, setting.name),
                )
                .help(format!("{}: {}", setting.name, setting.doc)),
            ),
            None => {
                settings.values.extend(setting.default.clone().map(|default| (setting.name.clone(), default)))
            }
        }
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn unknown(description: &Description, raw: &RawSetting) -> Problem {
    let names = || description.settings.iter().map(|setting| setting.name.as_str());
    let problem =
        Problem::at(&raw.name_span, format!("the policy {} has no setting `{}`", description.name, raw.name));
    match nearest(&raw.name, names()) {
        Some(name) => problem.help(format!("did you mean `{name}`?")),
        None if description.settings.is_empty() => problem.help("it takes no settings"),
        None => problem.help(format!("it takes {}", names().collect::<Vec<_>>().join(", "))),
    }
}

/// The word that was likely meant.
pub(super) fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    among
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn value(setting: &Setting, raw: &RawSetting) -> Result<SettingValue, Problem> {
    let problem = |message: String| Problem::at(&raw.value_span, message);
    let value = match (setting.kind, &raw.value) {
        (Kind::Text, RawValue::Text(text)) => SettingValue::Text(text.clone()),
        (Kind::Integer, RawValue::Integer(integer)) => SettingValue::Integer(*integer),
        (Kind::Number, RawValue::Number(number)) => SettingValue::Number(*number),
        // Beyond 2^53 an f64 does not hold each integer; nobody means one there.
        (Kind::Number, RawValue::Integer(integer)) => SettingValue::Number(*integer as f64),
        (Kind::Boolean, RawValue::Boolean(boolean)) => SettingValue::Boolean(*boolean),
        (Kind::Texts, RawValue::Texts(texts)) => SettingValue::Texts(texts.clone()),
        (Kind::Duration, RawValue::Text(text)) => {
            let duration = units::parse_duration(text)
                .map_err(|why| problem(format!("`{}` is no time: {why}", setting.name)))?;
            let ms = i64::try_from(duration.as_millis())
                .map_err(|_| problem(format!("`{}` is too long a time", setting.name)))?;
            SettingValue::Integer(ms)
        }
        (kind, raw) => {
            let message = format!("`{}` is {}, not {}", setting.name, kind.wanted(), found(raw));
            let problem = problem(message);
            return Err(match (kind, raw) {
                (Kind::Texts, RawValue::Text(text)) => {
                    problem.help(format!("for a single one write [{text:?}]"))
                }
                (Kind::Duration, RawValue::Integer(integer)) => {
                    problem.help(format!("with its unit: \"{integer}ms\", \"{integer}s\""))
                }
                (Kind::Boolean, RawValue::Text(text)) if text == "true" || text == "false" => {
                    problem.help(format!("without quotes: {text}"))
                }
                _ => problem,
            });
        }
    };
    among_choices(setting, &value).map_err(|(message, help)| problem(message).help(help))?;
    Ok(value)
}

fn found(raw: &RawValue) -> &'static str {
    match raw {
        RawValue::Text(_) => "a string",
        RawValue::Integer(_) => "an integer",
        RawValue::Number(_) => "a float",
        RawValue::Boolean(_) => "a boolean",
        RawValue::Texts(_) => "an array of strings",
        RawValue::Other(kind) => kind,
    }
}

fn among_choices(setting: &Setting, value: &SettingValue) -> Result<(), (String, String)> {
    let given = match value {
        SettingValue::Text(text) => std::slice::from_ref(text),
        SettingValue::Texts(texts) => texts.as_slice(),
        _ => return Ok(()),
    };
    if setting.choices.is_empty() {
        return Ok(());
    }
    match given.iter().find(|text| !setting.choices.contains(text)) {
        None => Ok(()),
        Some(wrong) => {
            let help = match nearest(wrong, setting.choices.iter().map(String::as_str)) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("it can be {}", quoted(&setting.choices)),
            };
            Err((format!("`{}` cannot be {wrong:?}", setting.name), help))
        }
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}
