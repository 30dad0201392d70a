//! What the command line's commands do.

pub mod policy;
pub mod route;

use std::io::IsTerminal;
use std::path::Path;

use crate::config::diagnostics::Diagnostics;
use crate::control::{self, Checked, Files, Origin};
use crate::demo::Origins;
use crate::policy::Runtime;
use crate::report;

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong.
    Configuration(Diagnostics),
    /// What stands on the command line cannot be.
    Usage(String),
    /// A policy is wrong, and that has been said.
    WrongPolicy,
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Error {
        Error::Other(error)
    }
}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Error {
        Error::Configuration(diagnostics)
    }
}

impl Error {
    /// Says on stderr what is wrong.
    #[allow(clippy::print_stderr)]
    pub fn print(&self) {
        match self {
            Error::Configuration(diagnostics) => {
                eprint!("{}", diagnostics.render(std::io::stderr().is_terminal()))
            }
            Error::Usage(message) => eprintln!("error: {message}"),
            Error::WrongPolicy => {}
            Error::Other(error) => eprintln!("error: {error:#}"),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Configuration(_) | Error::WrongPolicy | Error::Other(_) => 1,
        }
    }
}

/// `lb run`.
///
/// # Errors
/// When the configuration is wrong, or the process cannot start.
pub fn run(config: &Path) -> Result<(), Error> {
    let origin = Origin::File(config.to_owned());
    let runtime = policies()?;
    let files = Files::of(&origin, None);
    let checked = control::check(&origin, &runtime)?;
    warn(&checked);
    Ok(control::run(origin, runtime, checked, files, |_| {})?)
}

/// `lb check`.
///
/// # Errors
/// When the configuration is wrong.
#[allow(clippy::print_stdout)]
pub fn check(config: &Path) -> Result<(), Error> {
    let checked = control::check(&Origin::File(config.to_owned()), &policies()?)?;
    warn(&checked);
    println!("{} is fine. It would run:\n\n{}", config.display(), report::configuration(&checked));
    Ok(())
}

/// Says on stderr what can run but will hardly be what was meant.
#[allow(clippy::print_stderr)]
fn warn(checked: &Checked) {
    eprint!("{}", checked.loaded.warnings.render(std::io::stderr().is_terminal()));
}

/// `lb demo`.
///
/// # Errors
/// When the process cannot start.
#[allow(clippy::print_stdout)]
pub fn demo() -> Result<(), Error> {
    let origins = Origins::start()?;
    let origin = Origin::Text("lb.toml", origins.configuration());
    let runtime = policies()?;
    let files = Files::of(&origin, None);
    let checked = control::check(&origin, &runtime)?;
    Ok(control::run(origin, runtime, checked, files, |addresses| println!("{}", origins.guide(addresses)))?)
}

/// The runtime of policies, with its cache where the system wants caches to be.
fn policies() -> Result<Runtime, Error> {
    Ok(Runtime::new(crate::policy::default_cache_dir().as_deref()).map_err(anyhow::Error::from)?)
}
