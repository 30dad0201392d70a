//! A file of servers, looked at once a second. As with all files that are watched here, a change counts once it has
//! lasted from one look to the next, so that a file that is still being written is left alone.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use super::{Endpoint, Found, MOST_BYTES, Trouble};
use crate::config::model::discovery::FileFormat;
use crate::stamp::Stamp;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is watched.
pub(super) struct Watched {
    path: PathBuf,
    format: FileFormat,
    /// As it was when it was read last; `None` before.
    read: Option<Option<Stamp>>,
}

/// What such a file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    servers: Vec<Line>,
}

/// A server in such a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    address: SocketAddr,
    weight: Option<u32>,
    #[serde(default)]
    backup: bool,
    #[serde(default)]
    disabled: bool,
}

impl Watched {
    pub(super) fn new(path: &Path, format: FileFormat) -> Watched {
        Watched { path: path.to_owned(), format, read: None }
    }

    /// Reads the file; from the second time on, once it has changed.
    pub(super) async fn ask(&mut self) -> Result<Found, Trouble> {
        let now = match &self.read {
            None => look(&self.path).await,
            Some(read) => {
                let mut before = look(&self.path).await;
                loop {
                    sleep(LOOK).await;
                    let now = look(&self.path).await;
                    if now == before && now != *read {
                        break now;
                    }
                    before = now;
                }
            }
        };
        self.read = Some(now);
        let (path, format) = (self.path.clone(), self.format);
        let read = tokio::task::spawn_blocking(move || read(&path, format)).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(endpoints) => Ok(Found { endpoints, pause: Duration::ZERO }),
            Err(why) => {
                // It may be mended in ways that a stamp does not tell of.
                self.read = None;
                Err(Trouble::Outage(why))
            }
        }
    }
}

async fn look(path: &Path) -> Option<Stamp> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Stamp::of(&path)).await.unwrap_or_default()
}

fn read(path: &Path, format: FileFormat) -> Result<Vec<Endpoint>, String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    parse(&bytes, format).map_err(|why| format!("{}: {why}", path.display()))
}

/// The servers that a file lists.
///
/// # Errors
/// Everything that makes it no list of servers, as text for people.
pub(super) fn parse(bytes: &[u8], format: FileFormat) -> Result<Vec<Endpoint>, String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("it has more than {} MiB", MOST_BYTES >> 20));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let listed: Listed = match format {
        FileFormat::Toml => toml::from_str(text).map_err(|error| one_line(&error.to_string()))?,
        FileFormat::Json => serde_json::from_str(text).map_err(|error| error.to_string())?,
    };
    let mut endpoints = Vec::new();
    for Line { address, weight, backup, disabled } in listed.servers {
        if address.port() == 0 || address.ip().is_unspecified() {
            return Err(format!("`{address}` cannot be connected to"));
        }
        if weight.is_some_and(|weight| weight > 256) {
            return Err(format!("the weight of `{address}` is more than 256"));
        }
        if !disabled {
            endpoints.push(Endpoint { address, weight, backup });
        }
    }
    Ok(endpoints)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "[[servers]]\naddress = \"10.0.0.1:80\"\nweight = 7\n[[servers]]\naddress = \"[::1]:81\"\nbackup = true\n\
                    [[servers]]\naddress = \"10.0.0.2:80\"\ndisabled = true\n";
        let json = r#"{"servers": [{"address": "10.0.0.1:80", "weight": 7}, {"address": "[::1]:81", "backup": true},
                      {"address": "10.0.0.2:80", "disabled": true}]}"#;
        let expected = vec![
            Endpoint { address: ([10, 0, 0, 1], 80).into(), weight: Some(7), backup: false },
            Endpoint { address: "[::1]:81".parse().expect("an address"), weight: None, backup: true },
        ];
        assert_eq!(parse(toml.as_bytes(), FileFormat::Toml), Ok(expected.clone()));
        assert_eq!(parse(json.as_bytes(), FileFormat::Json), Ok(expected));
    }

    #[test]
    fn what_is_no_list_of_servers_is_refused_as_a_whole() {
        for (text, part) in [
            ("", "missing field `servers`"),
            ("servers = [{ address = \"10.0.0.1:80\" }, { address = \"web:80\" }]", "address"),
            ("servers = [{ address = \"10.0.0.1:0\" }]", "cannot be connected to"),
            ("servers = [{ address = \"0.0.0.0:80\" }]", "cannot be connected to"),
            ("servers = [{ address = \"10.0.0.1:80\", weight = 257 }]", "more than 256"),
            ("servers = [{ address = \"10.0.0.1:80\", wieght = 2 }]", "unknown field"),
            ("servers = 3", "invalid type"),
        ] {
            let why = parse(text.as_bytes(), FileFormat::Toml).expect_err(text);
            assert!(why.contains(part) && !why.contains('\n'), "{text}: {why}");
        }
        assert!(parse(&vec![b' '; MOST_BYTES + 1], FileFormat::Json).is_err());
        assert!(parse(&[b'['; 100_000], FileFormat::Json).is_err(), "nesting has its limit");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), json in any::<bool>()) {
            let format = if json { FileFormat::Json } else { FileFormat::Toml };
            let _ = parse(&bytes, format);
        }
    }
}
