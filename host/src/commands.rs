//! What the command line's commands do.

pub mod policy;
pub mod route;
pub mod simulate;

use std::io::{IsTerminal, Write};
use std::path::Path;

use crate::config::diagnostics::Diagnostics;
use crate::control::{self, Checked, Files, Main, Origin, Start};
use crate::demo::Origins;
use crate::policy::Runtime;
use crate::report;
use crate::signals::Held;

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
    pub fn print(&self) {
        match self {
            Error::Configuration(diagnostics) => say(&diagnostics.render(std::io::stderr().is_terminal())),
            Error::Usage(message) => say(&format!("error: {message}\n")),
            Error::WrongPolicy => {}
            Error::Other(error) => say(&format!("error: {error:#}\n")),
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
pub fn run(config: &Path, signals: Held) -> Result<(), Error> {
    let origin = Origin::File(config.to_owned());
    let Some((main, start)) = load(Main::begin(signals)?, &origin)? else { return Ok(()) };
    warn(&start.checked);
    Ok(main.serve(origin, start, |_| {})?)
}

/// Reads a configuration to serve by. `None`: a signal has ended the process meanwhile.
fn load(main: Main, origin: &Origin) -> Result<Option<(Main, Start)>, Error> {
    let origin = origin.clone();
    let loaded = main.load(move || -> Result<Start, Error> {
        let runtime = policies()?;
        let files = Files::of(&origin, None);
        let checked = control::check(&origin, &runtime)?;
        Ok(Start { runtime, files, checked })
    })?;
    if loaded.is_none() {
        say("ended by a signal before it served\n");
    }
    Ok(loaded)
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
fn warn(checked: &Checked) {
    say(&checked.loaded.warnings.render(std::io::stderr().is_terminal()));
}

/// Writes to stderr; where nobody reads that any more, there is nobody to tell, and no reason not to serve.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// `lb demo`; with `tls`, by a certificate made on the spot.
///
/// # Errors
/// When the process cannot start.
pub fn demo(tls: bool, signals: Held) -> Result<(), Error> {
    let main = Main::begin(signals)?;
    let origins = Origins::start(tls)?;
    let origin = Origin::Text("lb.toml", origins.configuration());
    let Some((main, start)) = load(main, &origin)? else { return Ok(()) };
    let guide = |addresses: &[String]| {
        // As with stderr: the demo goes on without its reader.
        let _ = writeln!(std::io::stdout(), "{}", origins.guide(addresses));
    };
    Ok(main.serve(origin, start, guide)?)
}

/// The runtime of policies, with its cache where the system wants caches to be.
fn policies() -> Result<Runtime, Error> {
    let directory = crate::policy::default_cache_dir();
    let runtime = Runtime::new(directory.as_deref()).map_err(anyhow::Error::from)?;
    if let Some(why) = runtime.uncached() {
        // The log is not there yet.
        say(&format!("warning: cannot keep compiled policies; they are compiled at each start: {why}\n"));
    }
    Ok(runtime)
}
