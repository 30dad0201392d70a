//! Maps from hosts or paths to backends, in HAProxy's format: a key, blanks, and the backend's name, one a line.

use std::collections::HashMap;
use std::sync::Arc;

use crate::suggest;

/// The longest host name that is looked up; DNS has none that is longer.
const MAX_HOST: usize = 255;

/// Which backend a key leads to. A look-up takes the same time however many keys there are.
#[derive(Debug, Default)]
pub struct Map {
    exact: HashMap<Box<[u8]>, u32>,
    /// What follows `*.` in keys that begin so.
    wild: HashMap<Box<[u8]>, u32>,
}

impl Map {
    /// Reads a map; its values are names among `backends`. Of two lines with one key the first counts, as in HAProxy.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn parse(text: &str, backends: &[Arc<str>]) -> Result<Map, String> {
        let indices: HashMap<&str, u32> =
            backends.iter().zip(0..).map(|(name, index)| (&**name, index)).collect();
        let mut map = Map::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = number + 1;
            let mut words = line.split_ascii_whitespace();
            let (Some(key), Some(name)) = (words.next(), words.next()) else {
                return Err(format!("line {number}: `{}` has no backend behind it", line.escape_debug()));
            };
            let index = *indices.get(name).ok_or_else(|| {
                let help = suggest::help(name, backends.iter().map(|name| &**name));
                format!("line {number}: there is no backend `{}`; {help}", name.escape_debug())
            })?;
            let (keys, key) = match key.strip_prefix("*.") {
                Some(rest) => (&mut map.wild, rest),
                None => (&mut map.exact, key),
            };
            let key = if key.starts_with('/') { key.to_owned() } else { key.to_ascii_lowercase() };
            keys.entry(key.into_bytes().into()).or_insert(index);
        }
        Ok(map)
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.exact.len() + self.wild.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a host leads: its own key, or else that of the longest `*.` that it ends with. Capitals do not matter.
    pub fn host(&self, host: &[u8]) -> Option<usize> {
        let mut lower = [0; MAX_HOST];
        let lower = lower.get_mut(..host.len())?;
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let lower = &*lower;
        if let Some(index) = self.exact.get(lower) {
            return Some(*index as usize);
        }
        if self.wild.is_empty() {
            return None;
        }
        memchr::memchr_iter(b'.', lower)
            .find_map(|dot| self.wild.get(&lower[dot + 1..]))
            .map(|index| *index as usize)
    }

    /// Where a path leads: its own key, or else that of the longest of its parents, `/a/b/` before `/a/`.
    pub fn path(&self, path: &[u8]) -> Option<usize> {
        if let Some(index) = self.exact.get(path) {
            return Some(*index as usize);
        }
        // As deep as any sensible path goes; a hostile one costs no more than that.
        const DEEPEST: usize = 32;
        let slashes: Vec<usize> = memchr::memchr_iter(b'/', path).take(DEEPEST).collect();
        slashes.iter().rev().find_map(|slash| self.exact.get(&path[..=*slash])).map(|index| *index as usize)
    }
}
