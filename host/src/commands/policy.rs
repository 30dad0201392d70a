//! `lb policy …`: looking into a policy, putting it to the test, and measuring it, before it sees any traffic.

mod inspect;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Error;
use crate::config::model::{Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use crate::conformance;
use crate::measure;
use crate::policy::{self, Description, Kind, NotStarted, Policy, Probe, Problem, Runtime, Settings};
use crate::scaffold::{self, Language};
use crate::suggest;

/// `lb policy inspect`.
///
/// # Errors
/// When it is no policy.
#[allow(clippy::print_stdout)]
pub fn inspect(name: &str, json: bool) -> Result<(), Error> {
    let runtime = super::policies()?;
    let policy = load(&runtime, name)?;
    let times = inspect::Times::take(&source(name))?;
    if json {
        println!("{:#}", inspect::json(&policy, &times));
    } else {
        print!("{}", inspect::text(&policy, &times));
    }
    Ok(())
}

/// `lb policy new`.
///
/// # Errors
/// When the name cannot be, or the project cannot be written.
#[allow(clippy::print_stdout)]
pub fn new(name: &str, language: Language) -> Result<(), Error> {
    let project = scaffold::create(Path::new(""), name, language).map_err(anyhow::Error::from)?;
    println!("{0} is written; {0}/README.md says how to build and run it", project.display());
    Ok(())
}

/// `lb policy simulate`.
///
/// # Errors
/// When the policies or the scenario cannot be, or a file cannot be read or written.
pub fn simulate(options: super::simulate::Options) -> Result<(), Error> {
    super::simulate::run(options, &super::policies()?)
}

/// `lb policy check`.
///
/// # Errors
/// When it is no policy, or a wrong one, or the options are not what it takes.
#[allow(clippy::print_stdout)]
pub fn check(name: &str, options: &[String], seed: u64, case: Option<&str>, json: bool) -> Result<(), Error> {
    let runtime = super::policies()?;
    let policy = load(&runtime, name)?;
    let (_, settings) = settings(&policy, options)?;
    if let Some(case) = case
        && !conformance::case_names(&policy).any(|known| known == case)
    {
        let help = suggest::help(case, conformance::case_names(&policy));
        return Err(Error::Usage(format!("there is no case `{case}` for this policy; {help}")));
    }
    let backend = conformance::backend_of(conformance::servers(3));
    if let Err(why @ NotStarted::Refused { .. }) = Probe::start(&policy, &settings, &backend) {
        return Err(Error::Usage(format!("the policy {} {why}", policy.description().name)));
    }
    let report = conformance::check(&policy, &settings, seed, case);
    let command = command("check", name, options);
    if json {
        println!("{:#}", report.json(&command));
    } else {
        print!("{}", report.text(&command));
    }
    if report.is_fine() { Ok(()) } else { Err(Error::WrongPolicy) }
}

/// `lb policy bench`.
///
/// # Errors
/// When it is no policy, or fails, or the options are not what it takes.
#[allow(clippy::print_stdout)]
pub fn bench(name: &str, options: &[String], servers: &[u32], json: bool) -> Result<(), Error> {
    let runtime = super::policies()?;
    let policy = load(&runtime, name)?;
    let (raw, _) = settings(&policy, options)?;
    let mut subjects =
        vec![measure::Subject { name: name.to_owned(), policy: policy.clone(), settings: raw }];
    let peers = measure::built_ins(&runtime).map_err(anyhow::Error::from)?;
    let alike = |peer: &measure::Subject| {
        peer.name != name
            && (peer.policy.is_balancer() && policy.is_balancer()
                || peer.policy.is_persistence() && policy.is_persistence())
    };
    subjects.extend(peers.into_iter().filter(alike));
    let sizes: Vec<usize> = servers.iter().map(|servers| *servers as usize).collect();
    let mut rows = measure::run(&runtime, &subjects, &sizes, measure::ROUNDS)
        .map_err(|why| Error::Other(anyhow::anyhow!("{name} cannot be measured: {why}")))?;
    // A call that this policy does not have is nothing to compare it by.
    let own: HashSet<&str> = rows.iter().filter(|row| row.subject == name).map(|row| row.call).collect();
    rows.retain(|row| own.contains(row.call));
    if json {
        println!("{:#}", measure::json(&rows));
    } else {
        print!("{}", measure::table(&rows));
    }
    Ok(())
}

/// The component that a name on the command line means.
fn source(name: &str) -> PolicySource {
    if policy::built_ins().any(|known| known == name) {
        PolicySource::BuiltIn(name.to_owned())
    } else {
        PolicySource::File(PathBuf::from(name))
    }
}

fn load(runtime: &Runtime, name: &str) -> Result<Arc<Policy>, Error> {
    runtime.load(&source(name)).map_err(|error| {
        let help = error.help();
        let error = anyhow::Error::from(error).context(format!("{name} is no policy"));
        Error::Other(match help {
            Some(help) => anyhow::anyhow!("{error:#}\n  = help: {help}"),
            None => error,
        })
    })
}

/// Options as they stand on the command line, held against what the policy takes.
fn settings(policy: &Policy, options: &[String]) -> Result<(Vec<RawSetting>, Settings), Error> {
    let description = policy.description();
    let raw = options.iter().map(|option| raw(description, option)).collect::<Result<Vec<_>, _>>()?;
    let spec = PolicySpec {
        source: PolicySource::BuiltIn(description.name.clone()),
        instances: Instances::PerWorker,
        settings: raw,
        span: 0..0,
    };
    match policy::check(description, &spec) {
        Ok(settings) => Ok((spec.settings, settings)),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(in_words).collect();
            let lacks = description
                .settings
                .iter()
                .any(|setting| setting.required && !spec.settings.iter().any(|raw| raw.name == setting.name));
            let hint = if lacks { "\n  = help: give an option as `-o name=value`" } else { "" };
            Err(Error::Usage(format!("{}{hint}", lines.join("\nerror: "))))
        }
    }
}

fn in_words(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{}\n  = help: {help}", problem.message),
        None => problem.message.clone(),
    }
}

fn raw(description: &Description, option: &str) -> Result<RawSetting, Error> {
    let Some((name, text)) = option.split_once('=') else {
        return Err(Error::Usage(format!("`{option}` is no option: it has to be `name=value`")));
    };
    let kind = description.settings.iter().find(|setting| setting.name == name).map(|setting| setting.kind);
    // What is not of its kind stays a text, and is complained of as such.
    let text_of = || RawValue::Text(text.to_owned());
    let value = match kind {
        Some(Kind::Integer) => text.parse().map_or_else(|_| text_of(), RawValue::Integer),
        Some(Kind::Number) => text.parse().map_or_else(|_| text_of(), RawValue::Number),
        Some(Kind::Boolean) => text.parse().map_or_else(|_| text_of(), RawValue::Boolean),
        Some(Kind::Texts) if text.is_empty() => RawValue::Texts(Vec::new()),
        Some(Kind::Texts) => RawValue::Texts(text.split(',').map(str::to_owned).collect()),
        Some(Kind::Text | Kind::Duration) | None => text_of(),
    };
    Ok(RawSetting { name: name.to_owned(), name_span: 0..0, value, value_span: 0..0 })
}

/// The command line that asks for this again.
fn command(what: &str, name: &str, options: &[String]) -> String {
    let quoted = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=,:@%+".contains(&byte);
        if !word.is_empty() && word.bytes().all(plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let options: String = options.iter().map(|option| format!(" -o {}", quoted(option))).collect();
    format!("lb policy {what} {}{options}", quoted(name))
}

/// How long something takes, in milliseconds.
fn timed_ms<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_repeat_survives_a_shell() {
        let options = ["name=SERVER".to_owned(), "text=it's a; test".to_owned()];
        assert_eq!(
            command("check", "./my policy.wasm", &options),
            r"lb policy check './my policy.wasm' -o name=SERVER -o 'text=it'\''s a; test'"
        );
    }
}
