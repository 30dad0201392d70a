//! The files that a configuration is made of: `lb.toml`, and the policies, pages, lists and maps that it names. With
//! `watch = true` they are looked at once a second.
//!
//! Looked at, not listened to: editors and mounts put new files in the place of old ones, links are turned
//! elsewhere, and network file systems tell nobody. A change counts once it has lasted from one look to the next, so
//! that a file which is still being written is left alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Origin;
use crate::config::model::{Config, PolicySource};
use crate::stamp::Stamp;

/// From one look to the next.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Files, and what each was at a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files(Vec<(PathBuf, Option<Stamp>)>);

impl Files {
    /// The files of a configuration as they are now; to be taken before they are read. Of a configuration that
    /// cannot be read, the files that it names are not known: then those of `before` count.
    pub(crate) fn of(origin: &Origin, before: Option<&Files>) -> Files {
        let own = match origin {
            Origin::File(path) => Some(path.clone()),
            Origin::Text(..) => None,
        };
        // Its stamp must be older than what is read of it.
        let mut files: Vec<_> = own.into_iter().map(stamped).collect();
        let paths = match origin.load() {
            Ok(loaded) => {
                let mut paths = named(&loaded.config);
                paths.extend(crate::tls::files(&loaded.config));
                paths
            }
            Err(_) => {
                before.into_iter().flat_map(|files| files.0.iter().map(|(path, _)| path.clone())).collect()
            }
        };
        for path in paths {
            if files.iter().all(|(known, _)| *known != path) {
                files.push(stamped(path));
            }
        }
        Files(files)
    }

    /// The same files, as they are now.
    fn again(&self) -> Files {
        Files(self.0.iter().map(|(path, _)| stamped(path.clone())).collect())
    }
}

fn named(config: &Config) -> Vec<PathBuf> {
    let pages = config.frontends.iter().map(|frontend| &frontend.errorfile);
    let pages = pages.chain(config.backends.iter().map(|backend| &backend.errorfile)).flatten();
    let specs = config.backends.iter().flat_map(|backend| backend.balance.iter().chain(&backend.persistence));
    let files = specs.filter_map(|spec| match &spec.source {
        PolicySource::File(path) => Some(path.clone()),
        PolicySource::BuiltIn(_) => None,
    });
    let lists = config.lists.iter().map(|list| list.path().clone());
    files.chain(pages.map(|page| page.path.clone())).chain(lists).collect()
}

fn stamped(path: PathBuf) -> (PathBuf, Option<Stamp>) {
    let stamp = Stamp::of(&path);
    (path, stamp)
}

/// Looks for changes.
pub(super) struct Watch {
    /// As they were when they were last read.
    read: Files,
    /// As they were at the last look.
    seen: Files,
}

impl Watch {
    pub(super) fn new(read: Files) -> Watch {
        Watch { seen: read.clone(), read }
    }

    /// What was read last.
    pub(super) fn read(&self) -> &Files {
        &self.read
    }

    /// Looks; gives the files that are to be read again, where a change has settled.
    pub(super) fn look(&mut self) -> Vec<&Path> {
        let now = self.read.again();
        let settled = now == self.seen;
        self.seen = now;
        let both = self.read.0.iter().zip(&self.seen.0);
        both.filter(|(read, seen)| settled && read != seen).map(|((path, _), _)| path.as_path()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lb-files-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a temporary directory");
            Scratch(path)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.join(name), text).expect("the directory can be written to");
        }

        fn watch(&self) -> Watch {
            Watch::new(Files::of(&Origin::File(self.0.join("lb.toml")), None))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn config(policy: &str) -> String {
        format!(
            "[frontends.web]\nbind = \"127.0.0.1:0\"\ndefault_backend = \"app\"\n[backends.app]\nbalance = \"{policy}\"\n\
             servers = [{{ name = \"a\", address = \"127.0.0.1:1\" }}]\n"
        )
    }

    fn names(files: Vec<&Path>) -> Vec<String> {
        files.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let scratch = Scratch::new("settled");
        scratch.write("lb.toml", &config("./p.wasm"));
        scratch.write("p.wasm", "one");
        let mut watch = scratch.watch();
        assert!(watch.look().is_empty());
        scratch.write("p.wasm", "still being");
        assert!(watch.look().is_empty(), "it may go on changing");
        scratch.write("p.wasm", "still being written");
        assert!(watch.look().is_empty());
        assert_eq!(names(watch.look()), ["p.wasm"]);
        let mut watch = Watch::new(Files::of(&Origin::File(scratch.0.join("lb.toml")), Some(watch.read())));
        assert!(watch.look().is_empty() && watch.look().is_empty(), "once it is read it is nothing new");
    }

    #[test]
    fn files_that_come_go_or_take_the_place_of_others_have_changed() {
        let scratch = Scratch::new("places");
        scratch.write("lb.toml", &config("./p.wasm"));
        let mut watch = scratch.watch();
        scratch.write("p.wasm", "new");
        assert!(watch.look().is_empty());
        assert_eq!(names(watch.look()), ["p.wasm"]);
        let mut watch = scratch.watch();
        scratch.write("other", "wen");
        std::fs::rename(scratch.0.join("other"), scratch.0.join("p.wasm")).expect("it is renamed");
        assert!(watch.look().is_empty());
        assert_eq!(names(watch.look()), ["p.wasm"]);
        let mut watch = scratch.watch();
        std::fs::remove_file(scratch.0.join("p.wasm")).expect("it is there");
        assert!(watch.look().is_empty());
        assert_eq!(names(watch.look()), ["p.wasm"]);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_leaves_its_policies_watched() {
        let scratch = Scratch::new("unreadable");
        scratch.write("lb.toml", &config("./p.wasm"));
        let before = scratch.watch();
        scratch.write("lb.toml", "no = ");
        let files = Files::of(&Origin::File(scratch.0.join("lb.toml")), Some(before.read()));
        let paths: Vec<_> = files.0.iter().map(|(path, _)| path.file_name().expect("a name")).collect();
        assert_eq!(paths, ["lb.toml", "p.wasm"]);
    }
}
