//! Unix sockets that are listened on: files of a path, with an owner and permissions that decide who may connect, and
//! that go when nobody listens any more.
//!
//! All that is settled before anybody can connect: a socket that is bound and does not listen yet refuses whoever finds
//! it. Its file is never reached through a symbolic link, which somebody else could have put there.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, openat, statat};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::accounts;
use crate::config::diagnostics::Problem;
use crate::config::model::{Account, Config, SocketAccess};
use crate::umask;

/// A socket's file. It is removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Its device and its number there.
    identity: (u64, u64),
    /// Who may connect.
    access: Mutex<SocketAccess>,
}

/// Binds a socket to this path and listens. What is in the way is removed where it is a socket that nobody answers at.
///
/// # Errors
/// Those of the system; `AddrInUse` where somebody answers.
pub(crate) fn bind(path: &Path, access: &SocketAccess, backlog: u32) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SockAddr::unix(path)?;
    remove_stale(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    let found = fs::symlink_metadata(path)?;
    let identity = (found.dev(), found.ino());
    let file = SocketFile { path: path.to_owned(), identity, access: Mutex::default() };
    file.set_access(access)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((socket.into(), file))
}

/// A socket left behind by a program that ended is in the way; one that answers is in use, and anything else is not ours.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let kind = if found.is_symlink() { "a symbolic link" } else { "there" };
        let why = format!("the file is {kind} and is no socket");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Whoever listens may be too busy to answer.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// From a name to a number.
type LookUp = fn(&str) -> io::Result<u32>;

/// Users and groups that a configuration names and the system does not know.
pub(crate) fn unknown_accounts(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for access in config.frontends.iter().flat_map(|frontend| &frontend.bind).map(|bind| &bind.access) {
        let known: [(_, LookUp); 2] = [(&access.user, accounts::user), (&access.group, accounts::group)];
        for (account, look_up) in known {
            if let Some(Account::Name(name, spot)) = account
                && let Err(error) = look_up(name)
            {
                problems.push(Problem::error(spot.0.clone(), error.to_string()));
            }
        }
    }
    problems
}

impl SocketFile {
    /// Has these connect from now on.
    ///
    /// # Errors
    /// Those of the system: to give a file away takes root, or to be in the group that gets it.
    pub(crate) fn set_access(&self, access: &SocketAccess) -> io::Result<()> {
        let (user, group) = (number(&access.user, accounts::user)?, number(&access.group, accounts::group)?);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(CWD, &self.path, flags, Mode::empty())?;
        let found = statat(&file, "", AtFlags::EMPTY_PATH)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Socket
            || (found.st_dev, found.st_ino) != self.identity
        {
            return Err(io::Error::other("another file has taken the place of the socket"));
        }
        if user.is_some() || group.is_some() {
            let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
            chownat(&file, "", user, group, AtFlags::EMPTY_PATH)?;
        }
        let mode = access.mode.map_or_else(umask::socket_mode, Mode::from_raw_mode);
        if Mode::from_raw_mode(statat(&file, "", AtFlags::EMPTY_PATH)?.st_mode) != mode {
            // A descriptor that only stands for a path has no other way to its permissions.
            chmodat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), mode, AtFlags::empty())?;
        }
        *self.access.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = access.clone();
        Ok(())
    }

    /// The same, where it is another than before.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn renew_access(&self, access: &SocketAccess) -> io::Result<()> {
        let before = self.access.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if before == *access { Ok(()) } else { self.set_access(access) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            // There is nobody to tell; whoever binds next removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn number(account: &Option<Account>, look_up: LookUp) -> io::Result<Option<u32>> {
    match account {
        None => Ok(None),
        Some(Account::Number(number)) => Ok(Some(*number)),
        Some(Account::Name(name, _)) => look_up(name).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lb-socket-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(mode: u32) -> SocketAccess {
        SocketAccess { mode: Some(mode), ..SocketAccess::default() }
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_mode_is_what_is_said_whatever_the_umask_is() {
        let scratch = Scratch::new("mode");
        for said in [0o666, 0o600, 0o777, 0o000] {
            let path = scratch.0.join(format!("{said:o}"));
            let (_socket, file) = bind(&path, &mode(said), 8).unwrap();
            assert_eq!(mode_of(&path), said);
            file.renew_access(&mode(0o620)).unwrap();
            assert_eq!(mode_of(&path), 0o620);
            file.renew_access(&SocketAccess::default()).unwrap();
            assert_eq!(Mode::from_raw_mode(mode_of(&path)), umask::socket_mode());
        }
    }

    #[test]
    fn the_owner_is_what_is_said() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away.
            return;
        }
        let scratch = Scratch::new("owner");
        let path = scratch.0.join("socket");
        let spot = crate::config::model::tls::Spot(0..0);
        let access = SocketAccess {
            mode: Some(0o660),
            user: Some(Account::Number(12_345)),
            group: Some(Account::Name("root".to_owned(), spot)),
        };
        let (_socket, _file) = bind(&path, &access, 8).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), mode_of(&path)), (12_345, 0, 0o660));
    }

    #[test]
    fn the_file_goes_with_its_socket_and_nobody_elses_does() {
        let scratch = Scratch::new("gone");
        let path = scratch.0.join("socket");
        let (socket, file) = bind(&path, &mode(0o600), 8).unwrap();
        UnixStream::connect(&path).unwrap();
        drop((file, socket));
        assert!(!path.exists());
        let (_socket, file) = bind(&path, &mode(0o600), 8).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        assert!(file.set_access(&mode(0o777)).is_err());
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[test]
    fn a_socket_that_nobody_answers_at_is_replaced_and_nothing_else_is() {
        let scratch = Scratch::new("stale");
        let path = scratch.0.join("socket");
        let refused = |path: &Path| bind(path, &mode(0o600), 8).unwrap_err().kind();
        let other = UnixListener::bind(&path).unwrap();
        assert_eq!(refused(&path), io::ErrorKind::AddrInUse);
        drop(other);
        let (_socket, _file) = bind(&path, &mode(0o600), 8).unwrap();
        let (plain, link, dangling) =
            (scratch.0.join("plain"), scratch.0.join("link"), scratch.0.join("dangling"));
        fs::write(&plain, "x").unwrap();
        symlink(&plain, &link).unwrap();
        symlink(scratch.0.join("nowhere"), &dangling).unwrap();
        for path in [&plain, &link, &dangling] {
            assert_eq!(refused(path), io::ErrorKind::AlreadyExists, "{}", path.display());
            assert!(fs::symlink_metadata(path).is_ok());
        }
        assert!(!scratch.0.join("nowhere").exists());
        let stale = scratch.0.join("stale");
        drop(UnixListener::bind(&stale).unwrap());
        let to_stale = scratch.0.join("to-stale");
        symlink(&stale, &to_stale).unwrap();
        assert_eq!(refused(&to_stale), io::ErrorKind::AlreadyExists);
        assert!(stale.exists());
    }

    #[test]
    fn a_name_that_nobody_has_is_an_error_before_anybody_can_connect() {
        let scratch = Scratch::new("nobody");
        let path = scratch.0.join("socket");
        let spot = crate::config::model::tls::Spot(0..0);
        let access = SocketAccess {
            user: Some(Account::Name("no such user".to_owned(), spot)),
            ..SocketAccess::default()
        };
        let error = bind(&path, &access, 8).unwrap_err().to_string();
        assert!(error.contains("there is no user `no such user`"), "{error}");
        assert!(!path.exists());
    }
}
