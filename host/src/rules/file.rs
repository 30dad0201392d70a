//! Files that rules name: networks, maps, bodies. Named when the configuration is read, loaded before it comes into
//! force, and from then on the same for all workers.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::map::Map;
use super::network::NetworkSet;
use crate::span::Span;

/// A file, and what was in it.
#[derive(Debug)]
pub struct Contents<T> {
    /// Which.
    pub path: PathBuf,
    /// Where it is named.
    pub span: Span,
    content: OnceLock<T>,
}

impl<T> Contents<T> {
    /// A file that is yet to be read.
    pub fn new(path: PathBuf, span: Span) -> Contents<T> {
        Contents { path, span, content: OnceLock::new() }
    }

    /// What was in it, once it has been read.
    pub fn loaded(&self) -> Option<&T> {
        self.content.get()
    }

    /// Says what is in it.
    pub fn fill(&self, content: T) {
        // What was said first stands.
        let _ = self.content.set(content);
    }
}

/// A file that rules name, by what is in it.
#[derive(Debug, Clone)]
pub enum ListFile {
    /// Networks, one a line.
    Networks(Arc<Contents<NetworkSet>>),
    /// Keys and the backends that they lead to; with the names of all backends.
    Map(Arc<Contents<Map>>, Arc<[Arc<str>]>),
    /// The body of an answer.
    Body(Arc<Contents<Vec<u8>>>),
}

/// The largest body of a fixed answer.
const MAX_BODY: usize = 1 << 20;

impl ListFile {
    /// Which file.
    pub fn path(&self) -> &PathBuf {
        match self {
            ListFile::Networks(file) => &file.path,
            ListFile::Map(file, _) => &file.path,
            ListFile::Body(file) => &file.path,
        }
    }

    /// Where it is named.
    pub fn span(&self) -> Span {
        match self {
            ListFile::Networks(file) => file.span.clone(),
            ListFile::Map(file, _) => file.span.clone(),
            ListFile::Body(file) => file.span.clone(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub fn load(&self) -> Result<(), String> {
        let bytes = std::fs::read(self.path()).map_err(|error| format!("cannot be read: {error}"))?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
        match self {
            ListFile::Networks(file) => file.fill(NetworkSet::parse(&text(bytes)?)?),
            ListFile::Map(file, backends) => file.fill(Map::parse(&text(bytes)?, backends)?),
            ListFile::Body(_) if bytes.len() > MAX_BODY => {
                return Err(format!("is larger than {MAX_BODY} bytes"));
            }
            ListFile::Body(file) => file.fill(bytes),
        }
        Ok(())
    }
}
