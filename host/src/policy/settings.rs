//! A policy's settings: what stands in `lb.toml`, held against what the policy says it takes.
//!
//! Everything that can be known without running the policy is found here, and all of it at once, so that
//! `lb check` names every mistake in one go.

use std::collections::HashSet;

use super::description::{Description, Kind, Setting, SettingValue};
use crate::config::model::{PolicySpec, RawSetting, RawValue};
use crate::config::units;
use crate::span::Span;
use crate::suggest;

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
    let names = description.settings.iter().map(|setting| setting.name.as_str());
    let problem =
        Problem::at(&raw.name_span, format!("the policy {} has no setting `{}`", description.name, raw.name));
    match suggest::help(&raw.name, names) {
        help if help.is_empty() => problem.help("it takes no settings"),
        help => problem.help(help),
    }
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
            let help = suggest::help(wrong, setting.choices.iter().map(String::as_str));
            Err((format!("`{}` cannot be {wrong:?}", setting.name), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Instances, PolicySource};

    fn description() -> Description {
        let setting = |name: &str, kind, default, required, choices: &[&str]| Setting {
            name: name.into(),
            kind,
            default,
            required,
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            doc: "a doc".into(),
        };
        Description {
            name: "probe".into(),
            version: "1".into(),
            summary: String::new(),
            settings: vec![
                setting("name", Kind::Text, None, true, &[]),
                setting(
                    "mode",
                    Kind::Text,
                    Some(SettingValue::Text("soft".into())),
                    false,
                    &["soft", "hard"],
                ),
                setting("max_idle", Kind::Duration, None, false, &[]),
                setting("factor", Kind::Number, None, false, &[]),
                setting("zones", Kind::Texts, None, false, &[]),
                setting("strict", Kind::Boolean, None, false, &[]),
            ],
        }
    }

    type Checked = Result<Vec<(String, SettingValue)>, Vec<(usize, String)>>;

    /// Checks settings that stand one after the other: name at 10, value at 11, name at 20 …
    fn checked(settings: &[(&str, RawValue)]) -> Checked {
        let settings = settings.iter().zip((10..).step_by(10)).map(|((name, value), at)| RawSetting {
            name: (*name).to_owned(),
            name_span: at..at + 1,
            value: value.clone(),
            value_span: at + 1..at + 2,
        });
        let spec = PolicySpec {
            source: PolicySource::BuiltIn("probe".into()),
            instances: Instances::PerWorker,
            settings: settings.collect(),
            span: 0..1,
        };
        check(&description(), &spec).map(|settings| settings.values).map_err(|problems| {
            let text = |problem: &Problem| match &problem.help {
                Some(help) => format!("{}; {help}", problem.message),
                None => problem.message.clone(),
            };
            problems.iter().map(|problem| (problem.span.start, text(problem))).collect()
        })
    }

    fn text(text: &str) -> RawValue {
        RawValue::Text(text.into())
    }

    fn problem(name: &str, value: RawValue) -> (usize, String) {
        let problems = checked(&[("name", text("x")), (name, value)]).expect_err("a problem");
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    #[test]
    fn values_take_their_declared_kind_and_defaults_are_filled_in() {
        let settings = [
            ("zones", RawValue::Texts(vec!["a".into()])),
            ("name", text("x")),
            ("factor", RawValue::Integer(2)),
            ("max_idle", text("90s")),
        ];
        let expected = [
            ("name", SettingValue::Text("x".into())),
            ("mode", SettingValue::Text("soft".into())),
            ("max_idle", SettingValue::Integer(90_000)),
            ("factor", SettingValue::Number(2.0)),
            ("zones", SettingValue::Texts(vec!["a".into()])),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(checked(&settings), Ok(expected.to_vec()));
    }

    #[test]
    fn an_unknown_setting_gets_the_nearest_known_one() {
        let (at, message) = problem("mx_idle", text("1s"));
        assert_eq!(
            (at, &*message),
            (20, "the policy probe has no setting `mx_idle`; did you mean `max_idle`?")
        );
    }

    #[test]
    fn a_value_of_another_kind_is_pointed_at() {
        for (name, value, expected) in [
            ("strict", text("true"), "`strict` is true or false, not a string; without quotes: true"),
            (
                "zones",
                text("a"),
                "`zones` is an array of strings, not a string; for a single one write [\"a\"]",
            ),
            (
                "max_idle",
                RawValue::Integer(30),
                "`max_idle` is a time such as \"30s\", not an integer; with its unit: \"30ms\", \"30s\"",
            ),
            ("factor", RawValue::Other("a date"), "`factor` is a number, not a date"),
            ("mode", text("hrad"), "`mode` cannot be \"hrad\"; did you mean `hard`?"),
        ] {
            assert_eq!(problem(name, value), (21, expected.to_owned()));
        }
        assert!(problem("max_idle", text("30 parsecs")).1.starts_with("`max_idle` is no time: "));
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once() {
        let problems = checked(&[("nmae", text("x")), ("strict", text("no")), ("strict", text("no"))]);
        let places: Vec<_> = problems.expect_err("problems").into_iter().map(|(at, _)| at).collect();
        assert_eq!(places, [10, 30, 0, 21], "unknown, given twice, missing, of the wrong kind");
    }
}
