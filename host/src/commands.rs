//! What the command line's commands do.

use std::path::Path;

use crate::config::diagnostics::Diagnostics;
use crate::control::{self, Origin};
use crate::policy::Runtime;

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong.
    Configuration(Diagnostics),
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
            Error::Configuration(diagnostics) => eprint!("{}", diagnostics.render(false)),
            Error::Other(error) => eprintln!("error: {error:#}"),
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
    let checked = control::check(&origin, &runtime)?;
    Ok(control::run(origin, runtime, checked, |_| {})?)
}

/// `lb check`.
///
/// # Errors
/// When the configuration is wrong.
pub fn check(config: &Path) -> Result<(), Error> {
    let runtime = policies()?;
    control::check(&Origin::File(config.to_owned()), &runtime)?;
    Ok(())
}

/// `lb demo`.
///
/// # Errors
/// When the process cannot start.
pub fn demo() -> Result<(), Error> {
    Ok(())
}

/// `lb policy inspect`.
///
/// # Errors
/// When it is no policy.
pub fn inspect(_policy: &str) -> Result<(), Error> {
    Ok(())
}

/// The runtime of policies, with its cache where the system wants caches to be.
fn policies() -> Result<Runtime, Error> {
    Ok(Runtime::new(crate::policy::default_cache_dir().as_deref()).map_err(anyhow::Error::from)?)
}
