//! `lb policy new`: a small, complete project for a policy of one's own, in the language of one's choice.
//!
//! Each project builds with its language's ordinary tools and picks servers in turn until its author writes
//! something better. The projects are files in `templates/`, a directory a language; `{{name}}` in them becomes
//! the policy's name. `examples/policies/test` builds and runs every one of them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::policy::WIT;

mod templates;
#[cfg(test)]
mod tests;

/// The longest name: it stands in logs and metrics.
const NAME_BYTES: usize = 40;

/// A language that there is a project for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// C, with clang and wasi-libc
    C,
    /// Go 1.24 or later
    Go,
    /// JavaScript, run by QuickJS
    #[value(alias = "javascript")]
    Js,
    /// Python 3.10 or later
    Python,
    /// Rust, without the standard library
    Rust,
    /// Zig
    Zig,
    /// AssemblyScript
    #[value(name = "assemblyscript", alias = "as")]
    AssemblyScript,
    /// WebAssembly's text form
    Wat,
}

/// Why there is no project.
#[derive(Debug)]
pub enum Error {
    /// The name cannot be a policy's.
    Name(String),
    /// Something of this name is there.
    Exists(PathBuf),
    /// The system refused to write.
    Write(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(name) => write!(
                f,
                "`{name}` cannot be a policy's name: lower case letters, digits and hyphens, with a letter first and no \
                 hyphen last, {NAME_BYTES} at most"
            ),
            Error::Exists(path) => {
                write!(
                    f,
                    "{} is there already, and nothing is overwritten: take another name",
                    path.display()
                )
            }
            Error::Write(path, _) => write!(f, "cannot write {}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Write(_, error) => Some(error),
            Error::Name(_) | Error::Exists(_) => None,
        }
    }
}

/// Writes the project of the policy `name` into a new directory of that name in `parent`, and answers the directory.
///
/// # Errors
/// When the name cannot be a policy's, when the directory exists, or when it cannot be written.
pub fn create(parent: &Path, name: &str, language: Language) -> Result<PathBuf, Error> {
    if !is_fit(name) {
        return Err(Error::Name(name.to_owned()));
    }
    let project = parent.join(name);
    fs::create_dir(&project).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(project.clone()),
        _ => Error::Write(project.clone(), error),
    })?;
    for (path, contents) in templates::of(language) {
        // What is no text is the same for every name.
        let filled = std::str::from_utf8(contents).map(|text| filled(text, name).into_bytes());
        write(&project.join(path), &filled.unwrap_or_else(|_| contents.to_vec()))?;
    }
    for (path, text) in WIT {
        write(&project.join("wit").join(path), text.as_bytes())?;
    }
    Ok(project)
}

fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let cannot = |error| Error::Write(path.to_owned(), error);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(cannot)?;
    }
    fs::write(path, contents).map_err(cannot)
}

/// Whether all languages can build with this name, and all logs hold it.
fn is_fit(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= NAME_BYTES
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(fits)
}

/// The text with the name in its places; its length is for WebAssembly's text form, as the escape of a byte.
fn filled(text: &str, name: &str) -> String {
    text.replace("{{name}}", name).replace("{{name-length}}", &format!("\\{:02x}", name.len()))
}
