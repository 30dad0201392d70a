//! Log files, opened so that nobody else decides where the lines go.
//!
//! A log directory is often writable by the user whose programs log there. If such a user puts a symbolic link in the
//! place of a log file, a process of root's would append to whatever it leads to. So a link is followed only where root
//! or this process's own user has made it: `/dev/stdout`, or a link to another disk.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, openat, readlinkat, statat,
};
use rustix::io::Errno;

/// How many links may lead from one to the next; as many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Opens a log file at its end, and makes it where it is missing: for its owner to write, for its group to read.
///
/// # Errors
/// Those of the system; `PermissionDenied` for a link of somebody else's.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // A named pipe that nobody reads is an error rather than a wait without end; for files it means nothing.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match openat(CWD, &path, flags | OFlags::NOFOLLOW, mode) {
            Err(Errno::LOOP) => {}
            opened => return Ok(File::from(opened?)),
        }
        match step(&path)? {
            Some(next) => path = next,
            None => return Ok(File::from(openat(CWD, &path, flags, mode)?)),
        }
    }
    Err(Errno::LOOP.into())
}

/// Where a link leads; `None`: to something open, which has no path to go by. The link is looked at and read by one
/// descriptor, so that it is not another's by the time that it is followed.
fn step(path: &Path) -> io::Result<Option<PathBuf>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link: OwnedFd = openat(CWD, path, flags, Mode::empty())?;
    let found = statat(&link, "", AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        // It was one a moment ago. The next attempt takes it for what it is now.
        return Ok(Some(path.to_owned()));
    }
    let user = rustix::process::geteuid().as_raw();
    if found.st_uid != 0 && found.st_uid != user {
        let owner = found.st_uid;
        let why = format!("{} is a symbolic link of user {owner}, which is not followed", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    // In /proc links lead to what may have no path.
    if fstatfs(&link)?.f_type == PROC_SUPER_MAGIC {
        return Ok(None);
    }
    let target = OsString::from_vec(readlinkat(&link, "", Vec::new())?.into_bytes());
    Ok(Some(path.parent().unwrap_or(Path::new("/")).join(target)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, lchown, symlink};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lb-log-file-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        open(path)?.write_all(text.as_bytes())
    }

    #[test]
    fn a_file_is_made_for_its_owner_and_group_and_appended_to() {
        let scratch = Scratch::new("made");
        let path = scratch.0.join("lb.log");
        write(&path, "one\n").unwrap();
        write(&path, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o137, 0);
    }

    #[test]
    fn links_of_ones_own_are_followed_and_those_of_others_are_not() {
        let scratch = Scratch::new("links");
        let [target, near, far] = ["target", "near", "far"].map(|name| scratch.0.join(name));
        symlink("target", &near).unwrap();
        symlink(&near, &far).unwrap();
        write(&far, "through two links, to a file that was not there\n").unwrap();
        assert!(fs::read_to_string(&target).unwrap().starts_with("through two"));
        symlink("loop", scratch.0.join("loop")).unwrap();
        assert_eq!(write(&scratch.0.join("loop"), "x").unwrap_err().raw_os_error(), Some(libc::ELOOP));
        if rustix::process::geteuid().is_root() {
            lchown(&near, Some(12_345), None).unwrap();
            for path in [&near, &far] {
                let error = write(path, "led astray\n").unwrap_err().to_string();
                assert!(
                    error.contains("near is a symbolic link of user 12345, which is not followed"),
                    "{error}"
                );
            }
            assert!(!fs::read_to_string(&target).unwrap().contains("led astray"));
        }
    }

    #[test]
    fn what_is_open_already_is_reached_through_proc() {
        let scratch = Scratch::new("proc");
        let path = scratch.0.join("open");
        let file = File::create(&path).unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
        let link = scratch.0.join("link");
        symlink(format!("/proc/self/fd/{descriptor}"), &link).unwrap();
        write(&link, "one\n").unwrap();
        fs::remove_file(&path).unwrap();
        let _ = write(Path::new("/dev/stderr"), "");
        assert_eq!(file.metadata().unwrap().len(), 4);
    }
}
