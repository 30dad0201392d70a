//! `lb.toml`: read, checked, and resolved into [`model::Config`].
//!
//! First the text becomes TOML with spans, then each section is read key by key ([`keys`] says which there
//! are), then names become indices and defaults are filled in. Whatever is wrong is collected on the way, so
//! that one run shows all of it. Nothing here touches the network, resolves a host name or loads a policy.

mod address;
mod admin;
mod backend;
mod care;
pub mod diagnostics;
mod discovery;
mod errorfile;
mod file;
mod forward_for;
mod frontend;
mod http2;
mod http_check;
pub mod keys;
mod layer;
mod limits;
mod log_format;
mod log_target;
mod logging;
pub mod model;
mod policy;
mod read;
mod rules;
mod section;
pub(crate) mod tls;
pub mod units;

use std::path::Path;

use toml::de::DeTable;

use section::{Reading, Section};

pub use diagnostics::{Diagnostics, Problem, Severity, Source};

/// A configuration that can run.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: model::Config,
    /// The text that it was read from, for problems that are found later: a policy's setting, say.
    pub source: Source,
    /// What can run, but will hardly be what was meant.
    pub warnings: Diagnostics,
}

/// What a built-in policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It picks a server: `balance`.
    Balancer,
    /// It keeps clients at their server: `persistence`.
    Persistence,
}

/// The policies that are embedded in the program, by the names that `lb.toml` uses.
pub const BUILT_IN: &[(&str, Role)] = &[
    ("roundrobin", Role::Balancer),
    ("leastconn", Role::Balancer),
    ("source", Role::Balancer),
    ("random", Role::Balancer),
    ("weighted-random", Role::Balancer),
    ("first", Role::Balancer),
    ("hash", Role::Balancer),
    ("maglev", Role::Balancer),
    ("least-time", Role::Balancer),
    ("peak-ewma", Role::Balancer),
    ("cookie", Role::Persistence),
    ("header", Role::Persistence),
    ("hash-cookie", Role::Persistence),
];

/// Reads the configuration in the file at `path`.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let failed = |text: &str, problem| Diagnostics::of(Source::new(&name, text), vec![problem]);
    let bytes = std::fs::read(path)
        .map_err(|error| failed("", Problem::error(None, format!("cannot read the file: {error}"))))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failed(&String::from_utf8_lossy(error.as_bytes()), Problem::error(at..at + 1, "this is not UTF-8"))
    })?;
    parse(&text, &name)
}

/// Reads the configuration in `text`. `file_name` is what messages call it; relative paths in it are relative
/// to that file's directory.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Diagnostics> {
    let source = Source::new(file_name, text);
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        // What follows a syntax error is a guess, and so would be whatever is wrong with its meaning.
        let errors = syntax_errors.iter().map(|error| Problem::error(error.span(), error.message()));
        return Err(Diagnostics::of(source, errors.collect()));
    }
    let directory = Path::new(file_name).parent().unwrap_or(Path::new(""));
    let reading = Reading::new(directory);
    let config = file::read(&Section::file(&reading, table.get_ref()));
    let (errors, warnings): (Vec<_>, Vec<_>) =
        reading.finish().into_iter().partition(|problem| problem.severity == Severity::Error);
    if errors.is_empty() {
        Ok(Loaded { config, warnings: Diagnostics::of(source.clone(), warnings), source })
    } else {
        // What there would be to warn of is as a rule what an error has left out.
        Err(Diagnostics::of(source, errors))
    }
}
