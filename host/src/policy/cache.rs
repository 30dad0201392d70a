//! Where compiled code is kept: whoever can write there can run code as this user. So the directory, what leads to it and
//! what lies in it must be this user's or root's, and writable by nobody else; where they are not, it is not used.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig};

use crate::umask;

/// Permission to write for the group and for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In a directory with this bit nobody renames or removes what is another's (`/tmp`).
const STICKY: u32 = 0o1000;
/// The most files that are looked at; wasmtime keeps fewer.
const MOST_FILES: usize = 1_000_000;

/// The cache in this directory, which is made where it is missing.
///
/// # Errors
/// Why it cannot be used, or not safely.
pub(super) fn open(directory: &Path) -> Result<Cache, String> {
    umask::restrict();
    let mut config = CacheConfig::new();
    config.with_directory(trusted(directory)?);
    Cache::new(config).map_err(|error| format!("{error:#}"))
}

/// The directory without symbolic links on the way, if nobody but this user and root can change what is in it.
fn trusted(directory: &Path) -> Result<PathBuf, String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let directory = std::path::absolute(directory).map_err(|error| failed(directory, error))?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|error| failed(&directory, error))?;
    let real = fs::canonicalize(&directory).map_err(|error| failed(&directory, error))?;
    for path in real.ancestors() {
        let found = fs::symlink_metadata(path).map_err(|error| failed(path, error))?;
        check(path, &found, if path == real { WRITABLE_BY_OTHERS } else { harmful_above(&found) })?;
    }
    let mut directories = vec![real.clone()];
    let mut files = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
            let path = entry.map_err(|error| failed(&directory, error))?.path();
            let found = match fs::symlink_metadata(&path) {
                Ok(found) => found,
                // Another process tidies up, or puts a file in its place.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, error)),
            };
            files += 1;
            if !(found.is_file() || found.is_dir()) || files > MOST_FILES {
                return Err(format!("{} is nothing that belongs there: remove it", path.display()));
            }
            check(&path, &found, WRITABLE_BY_OTHERS)?;
            if found.is_dir() {
                directories.push(path);
            }
        }
    }
    Ok(real)
}

/// The permissions with which others could put another directory in the place of the one that is used. Where each user
/// has a group of his own, what he makes is often writable by that.
fn harmful_above(found: &Metadata) -> u32 {
    let is_own_group = found.gid() == rustix::process::getegid().as_raw();
    match found.mode() & STICKY {
        0 if is_own_group => WRITABLE_BY_OTHERS & 0o007,
        0 => WRITABLE_BY_OTHERS,
        _ => 0,
    }
}

/// Whether it is this user's or root's, and has none of these permissions.
fn check(path: &Path, found: &Metadata, harmful: u32) -> Result<(), String> {
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    let shown = path.display();
    if owner != user && owner != 0 {
        return Err(format!(
            "{shown} belongs to user {owner}, who could put code there for this program to run"
        ));
    }
    if found.mode() & harmful != 0 {
        let mode = found.mode() & 0o7777;
        return Err(format!(
            "{shown} can be written to by others (mode {mode:o}), who could put code there for this program to run"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lb-cache-{}-{name}", std::process::id()));
            DirBuilder::new().mode(0o700).create(&path).unwrap();
            Scratch(path)
        }

        fn cache(&self) -> PathBuf {
            self.0.join("deep/lb")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn assert_refused(directory: &Path, why: &str) {
        let said = trusted(directory).expect_err("it is trusted");
        assert!(said.contains(why), "{said}");
        assert!(open(directory).is_err());
    }

    #[test]
    fn the_directory_is_made_for_its_user_alone() {
        let scratch = Scratch::new("made");
        let cache = scratch.cache();
        assert!(open(&cache).is_ok());
        for path in [&cache, &scratch.0.join("deep")] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o700, "{}", path.display());
        }
        assert!(open(&cache).is_ok(), "again, where it is there");
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let scratch = Scratch::new("writable");
        let cache = scratch.cache();
        trusted(&cache).unwrap();
        for (path, mode) in [(cache.clone(), 0o777), (cache.clone(), 0o720), (scratch.0.join("deep"), 0o757)]
        {
            set_mode(&path, mode);
            assert_refused(&cache, &format!("{} can be written to by others", path.display()));
            set_mode(&path, 0o755);
            trusted(&cache).unwrap();
        }
        // Nobody takes away what is another's from a directory with the sticky bit, but anybody puts something there.
        set_mode(&scratch.0.join("deep"), 0o1777);
        trusted(&cache).unwrap();
        set_mode(&cache, 0o1777);
        assert_refused(&cache, "can be written to by others");
    }

    #[test]
    fn a_file_in_it_that_others_can_write_to_or_that_is_none_keeps_it_from_being_used() {
        let scratch = Scratch::new("files");
        let cache = scratch.cache();
        trusted(&cache).unwrap();
        let inner = cache.join("modules/wasmtime");
        fs::create_dir_all(&inner).unwrap();
        let file = inner.join("code");
        fs::write(&file, "x").unwrap();
        set_mode(&file, 0o644);
        trusted(&cache).unwrap();
        for (path, bad, good) in [(&file, 0o666, 0o600), (&file, 0o620, 0o600), (&inner, 0o777, 0o755)] {
            set_mode(path, bad);
            assert_refused(&cache, "can be written to by others");
            set_mode(path, good);
            trusted(&cache).unwrap();
        }
        symlink("/etc/hostname", inner.join("link")).unwrap();
        assert_refused(&cache, "link is nothing that belongs there");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_used() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away.
            return;
        }
        let scratch = Scratch::new("owner");
        let cache = scratch.cache();
        trusted(&cache).unwrap();
        let file = cache.join("code");
        fs::write(&file, "x").unwrap();
        for path in [&file, &cache, &scratch.0.join("deep")] {
            std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
            assert_refused(&cache, "belongs to user 12345");
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
            trusted(&cache).unwrap();
        }
    }

    #[test]
    fn a_link_leads_to_a_directory_that_must_be_as_good() {
        let scratch = Scratch::new("links");
        let (there, link) = (scratch.0.join("there"), scratch.0.join("link"));
        DirBuilder::new().mode(0o700).create(&there).unwrap();
        symlink(&there, &link).unwrap();
        assert_eq!(trusted(&link.join("lb")).unwrap(), there.canonicalize().unwrap().join("lb"));
        set_mode(&there, 0o777);
        assert_refused(&link.join("lb"), "can be written to by others");
    }
}
