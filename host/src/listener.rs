//! Listening sockets: bound before anything else starts, so that an address in use is an error of the start
//! and not of the first client. Each worker has a socket of its own for each TCP address (SO_REUSEPORT); a
//! Unix socket, or an inherited one, is shared.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::config::model::BindAddress;
use crate::inherited;
use crate::stream::Stream;

/// A listening socket that no worker has taken up yet.
#[derive(Debug)]
pub(crate) struct ListenSocket {
    socket: OwnedFd,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Unix,
}

/// The sockets of one address, one a worker, and what they are bound to.
pub(crate) struct Bound {
    /// One for each worker.
    pub(crate) sockets: Vec<ListenSocket>,
    /// The address as it is, the port chosen by the kernel filled in.
    pub(crate) name: String,
    /// Of a Unix socket, what stands in the file system.
    pub(crate) file: Option<SocketFile>,
}

/// The file of a Unix socket that was bound: it goes again where that comes to nothing.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Its device and inode; `None`: it stays.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), identity: identity(path) }
    }

    /// The socket is in use: from now on the file stays, as others do that a program leaves behind.
    pub(crate) fn keep(mut self) {
        self.identity = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have put its own in this one's place.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Binds an address for so many workers.
///
/// # Errors
/// Those of the system, with the address named.
pub(crate) fn bind(address: &BindAddress, backlog: u32, workers: usize) -> anyhow::Result<Bound> {
    match address {
        BindAddress::Tcp(address) => {
            bind_tcp(*address, backlog, workers).with_context(|| format!("cannot listen on {address}"))
        }
        BindAddress::Unix(path) => {
            let bound = bind_unix(path, backlog).and_then(|socket| share(socket, workers, Kind::Unix));
            let sockets = bound.with_context(|| format!("cannot listen on unix@{}", path.display()))?;
            let file = Some(SocketFile::new(path));
            Ok(Bound { sockets, name: format!("unix@{}", path.display()), file })
        }
        BindAddress::Fd(number) => {
            adopt(*number, workers).with_context(|| format!("cannot take over fd@{number}"))
        }
    }
}

fn bind_tcp(address: SocketAddr, backlog: u32, workers: usize) -> io::Result<Bound> {
    let mut sockets = Vec::with_capacity(workers);
    let mut actual = address;
    for _ in 0..workers {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Handed on to each connection that it accepts.
        socket.set_tcp_nodelay(true)?;
        if sockets.is_empty() && address.port() != 0 {
            // Without SO_REUSEPORT, this finds out whether another program has the port: with it, the kernel
            // would hand out the port to any of this user's.
            let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            probe.set_reuse_address(true)?;
            probe.bind(&address.into())?;
        }
        socket.set_reuse_port(true)?;
        socket.bind(&actual.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        if let Some(local) = socket.local_addr()?.as_socket() {
            actual = local;
        }
        sockets.push(ListenSocket { socket: socket.into(), kind: Kind::Tcp });
    }
    Ok(Bound { sockets, name: actual.to_string(), file: None })
}

fn bind_unix(path: &Path, backlog: u32) -> io::Result<OwnedFd> {
    // A socket left behind by a program that ended is in the way; one that answers is in use.
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        let is_socket = std::os::unix::fs::FileTypeExt::is_socket(&std::fs::metadata(path)?.file_type());
        if !is_socket {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is there and is no socket"));
        }
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Takes over a listening socket from the parent process: a duplicate of it, for what was handed over stays, and can be
/// taken over again.
fn adopt(number: i32, workers: usize) -> anyhow::Result<Bound> {
    let listener = inherited::listener(number)?;
    let socket = Socket::from(listener.duplicate()?);
    socket.set_nonblocking(true)?;
    let kind = if listener.is_tcp { Kind::Tcp } else { Kind::Unix };
    if kind == Kind::Tcp {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(Bound { sockets: share(socket.into(), workers, kind)?, name: listener.name.clone(), file: None })
}

fn share(socket: OwnedFd, workers: usize, kind: Kind) -> io::Result<Vec<ListenSocket>> {
    (0..workers).map(|_| Ok(ListenSocket { socket: socket.try_clone()?, kind })).collect()
}

/// A listening socket on a worker.
pub(crate) struct Listener {
    socket: AsyncFd<OwnedFd>,
    kind: Kind,
}

impl Listener {
    /// Takes up a socket. Must be called on the worker's runtime.
    pub(crate) fn new(socket: ListenSocket) -> io::Result<Listener> {
        // SAFETY: the descriptor is owned, and so stays open for as long as it is registered.
        let registered = unsafe { AsyncFd::register(socket.socket) }?;
        Ok(Listener { socket: registered, kind: socket.kind })
    }

    /// Waits until somebody is at the door. Another worker may let them in first.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.socket.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Lets one in; `None` where nobody is there any more.
    pub(crate) fn accept(&self) -> io::Result<Option<(Stream, Option<SocketAddr>)>> {
        // SAFETY: accept4 fills in the address that it is given room for, and its length.
        let accepted = unsafe {
            SockAddr::try_init(|storage, length| {
                let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
                let fd = libc::accept4(self.socket.as_raw_fd(), storage.cast(), length, flags);
                // A descriptor that accept4 returned belongs to nobody else.
                if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
            })
        };
        match accepted {
            Ok((stream, peer)) => Ok(Some((self.stream(stream)?, peer.as_socket().map(canonical)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.forget_readiness();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn stream(&self, stream: OwnedFd) -> io::Result<Stream> {
        match self.kind {
            Kind::Tcp => Ok(Stream::Tcp(tokio::net::TcpStream::from_std(stream.into())?)),
            Kind::Unix => Ok(Stream::Unix(tokio::net::UnixStream::from_std(stream.into())?)),
        }
    }

    /// Notes that nobody is there, so that the next [`Listener::wait`] waits.
    fn forget_readiness(&self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(Ok(mut ready)) = self.socket.poll_read_ready(&mut context) {
            ready.clear_ready();
        }
    }
}

/// An IPv4 client that came in on an IPv6 socket is known by its IPv4 address.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
