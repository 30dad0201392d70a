//! `lb.toml`: read, checked, and resolved into [`model::Config`].
//!
//! First the text becomes TOML with spans, then each section is read key by key ([`keys`] says which there
//! are), then names become indices and defaults are filled in. Whatever is wrong is collected on the way, so
//! that one run shows all of it. Nothing here touches the network, resolves a host name or loads a policy.

pub mod diagnostics;
pub mod model;
pub mod suggest;
pub mod units;

use std::path::Path;

pub use diagnostics::{Diagnostics, Problem, Source};

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
    ("cookie", Role::Persistence),
];

/// Reads the configuration in the file at `path`.
///
/// # Errors
///
/// Everything that is wrong with it, warnings included, in the order of the file.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let mut diagnostics = Diagnostics::new(Source::new(&name, ""));
        diagnostics.push(Problem::error(None, format!("cannot read `{name}`: {error}")));
        diagnostics
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, &name),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let mut diagnostics = Diagnostics::new(Source::new(&name, &text));
            diagnostics.push(Problem::error(at..at + 1, "this is not UTF-8"));
            Err(diagnostics)
        }
    }
}

/// Reads the configuration in `text`. `file_name` is what messages call it; relative paths in it are relative
/// to that file's directory.
///
/// # Errors
///
/// Everything that is wrong with it, warnings included, in the order of the file.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Diagnostics> {
    let source = Source::new(file_name, text);
    let mut diagnostics = Diagnostics::new(source);
    diagnostics.push(Problem::error(None, "not written yet"));
    Err(diagnostics)
}
