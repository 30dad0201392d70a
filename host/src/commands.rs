//! What the command line's commands do.

use std::io::IsTerminal;
use std::path::Path;

use crate::config::diagnostics::Diagnostics;
use crate::control::{self, Checked, Files, Origin};
use crate::demo::Origins;
use crate::policy::Runtime;
use crate::report;
use crate::scaffold::{self, Language};

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
            Error::Configuration(diagnostics) => {
                eprint!("{}", diagnostics.render(std::io::stderr().is_terminal()))
            }
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

/// `lb policy inspect`.
///
/// # Errors
/// When it is no policy.
#[allow(clippy::print_stdout)]
pub fn inspect(policy: &str) -> Result<(), Error> {
    let described = report::policy(&policies()?, policy);
    print!(
        "{}",
        described.map_err(|error| anyhow::Error::from(error).context(format!("{policy} is no policy")))?
    );
    Ok(())
}

/// `lb policy new`.
///
/// # Errors
/// When the name cannot be, or the project cannot be written.
#[allow(clippy::print_stdout)]
pub fn new_policy(name: &str, language: Language) -> Result<(), Error> {
    let project = scaffold::create(Path::new(""), name, language).map_err(anyhow::Error::from)?;
    println!("{0} is written; {0}/README.md says how to build and run it", project.display());
    Ok(())
}

/// `lb policy simulate`.
///
/// # Errors
/// When the policies or the scenario cannot be, or a file cannot be read or written.
pub fn simulate(options: crate::simulate::Options) -> Result<(), Error> {
    crate::simulate::run(options, &policies()?)
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
