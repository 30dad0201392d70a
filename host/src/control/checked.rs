//! A configuration that can run: read, resolved, its policies tried. What `lb check` finds out, and what a start and
//! a reload begin with.

use std::path::PathBuf;

use crate::capacity;
use crate::config::diagnostics::{Diagnostics, Problem};
use crate::config::{self, Loaded};
use crate::policy::{self, Proven};

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A file, read again for each reload.
    File(PathBuf),
    /// A text in memory, by this name.
    Text(&'static str, String),
}

impl Origin {
    pub(super) fn load(&self) -> Result<Loaded, Diagnostics> {
        match self {
            Origin::File(path) => config::load(path),
            Origin::Text(name, text) => config::parse(text, name),
        }
    }
}

/// A configuration that can run: read, resolved, its policies tried.
pub(crate) struct Checked {
    /// The configuration.
    pub(crate) loaded: Loaded,
    pub(crate) policies: Vec<Proven>,
}

/// Reads a configuration and tries its policies.
///
/// # Errors
/// Everything that is wrong with it, as text for people.
pub(crate) fn check(origin: &Origin, runtime: &policy::Runtime) -> Result<Checked, Diagnostics> {
    let mut loaded = origin.load()?;
    for shortage in capacity::shortages(&loaded.config, &capacity::System::read()) {
        loaded.warnings.push(shortage);
    }
    let mut diagnostics = Diagnostics::new(loaded.source.clone());
    let mut policies = Vec::new();
    for backend in &loaded.config.backends {
        match runtime.prove(backend) {
            Ok(proven) => policies.push(proven),
            Err(problems) => problems.into_iter().for_each(|problem| {
                let found = Problem::error(problem.span, problem.message);
                diagnostics.push(match problem.help {
                    Some(help) => found.help(help),
                    None => found,
                });
            }),
        }
    }
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(Checked { loaded, policies }) }
}
