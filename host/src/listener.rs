//! Listening sockets: bound before anything else starts, so that an address in use is an error of the start
//! and not of the first client. Each worker has a socket of its own for each TCP address (SO_REUSEPORT); a
//! Unix socket, or an inherited one, is shared.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Context;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::config::model::{Bind, BindAddress};
use crate::inherited;
use crate::stream::Stream;
use crate::unix_socket::{self, SocketFile};

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
    /// The file of a Unix socket, which is there for as long as this is held.
    pub(crate) file: Option<Arc<SocketFile>>,
}

/// Binds an address for so many workers.
///
/// # Errors
/// Those of the system, with the address named.
pub(crate) fn bind(bind: &Bind, backlog: u32, workers: usize) -> anyhow::Result<Bound> {
    match &bind.address {
        BindAddress::Tcp(address) => {
            bind_tcp(*address, backlog, workers).with_context(|| format!("cannot listen on {address}"))
        }
        BindAddress::Unix(path) => {
            let name = format!("unix@{}", path.display());
            let bound = unix_socket::bind(path, &bind.access, backlog)
                .and_then(|(socket, file)| Ok((share(socket, workers, Kind::Unix)?, file)));
            let (sockets, file) = bound.with_context(|| format!("cannot listen on {name}"))?;
            Ok(Bound { sockets, name, file: Some(Arc::new(file)) })
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
        match acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((stream, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                Ok(Some((self.stream(stream)?, peer.map(canonical))))
            }
            Err(Errno::WOULDBLOCK) => {
                self.forget_readiness();
                Ok(None)
            }
            Err(error) => Err(error.into()),
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
