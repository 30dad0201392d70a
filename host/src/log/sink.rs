//! Where lines leave the process: file descriptors, files, and sockets of syslog daemons. Everything here
//! blocks, and is called on a writer's thread alone.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use super::file;
use super::queue::{Batch, Queue};
use super::remote::Remote;
use crate::config::model::LogDestination;

/// How long a name that did not resolve is left alone.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);

/// Datagrams in one system call.
const DATAGRAMS: usize = 64;

/// An open destination.
#[derive(Debug)]
pub(super) enum Sink {
    /// Lines one after the other.
    Stream(Stream),
    /// A datagram a line.
    Datagrams(Datagrams),
    /// A connection.
    Remote(Box<Remote>),
}

impl Sink {
    /// Opens it, under this name in messages. Only a file that cannot be opened is an error, be it a log or one
    /// that TLS needs: a syslog daemon may come later.
    pub(super) fn open(destination: &LogDestination, name: &str) -> io::Result<Sink> {
        let stream = |file, path| Sink::Stream(Stream { file, path, torn: false });
        Ok(match destination {
            LogDestination::Stdout => stream(duplicate(io::stdout().as_fd())?, None),
            LogDestination::Stderr => stream(duplicate(io::stderr().as_fd())?, None),
            LogDestination::File(path) => stream(file::open(path)?, Some(path.clone())),
            LogDestination::Udp(address) => Sink::Datagrams(Datagrams::new(Peer::Udp(address.clone()))),
            LogDestination::Unix(path) => Sink::Datagrams(Datagrams::new(Peer::Unix(path.clone()))),
            LogDestination::Stream(stream) => Sink::Remote(Box::new(Remote::new(stream, name.to_owned())?)),
        })
    }

    /// Writes all lines, however long it takes; returns how many could not be. With UDP it may turn out only
    /// now that a line of an earlier batch found nobody: it counts too.
    pub(super) fn write(&mut self, batch: &Batch, queue: &Queue) -> u64 {
        match self {
            Sink::Stream(stream) => stream.write(batch),
            Sink::Datagrams(datagrams) => datagrams.write(batch),
            Sink::Remote(remote) => remote.write(batch, queue),
        }
    }

    /// Opens a file anew by its path, for a rotation. Where that fails the old one is kept.
    pub(super) fn reopen(&mut self) {
        if let Sink::Stream(Stream { file, path: Some(path), torn }) = self {
            match file::open(path) {
                Ok(new) => {
                    *file = new;
                    *torn = false;
                }
                Err(error) => tracing::error!(path = %path.display(), %error, "cannot reopen log file"),
            }
        }
    }
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(fd.try_clone_to_owned()?))
}

/// A pipe, a terminal, a file.
#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    /// A file's path; `None` for what was inherited.
    path: Option<PathBuf>,
    /// The last write stopped within a line.
    torn: bool,
}

impl Stream {
    fn write(&mut self, batch: &Batch) -> u64 {
        let mut left = batch.bytes.as_slice();
        if self.torn && self.write_all(b"\n").is_ok() {
            self.torn = false;
        }
        match self.write_some(&mut left) {
            Ok(()) => 0,
            Err(_) => {
                let written = &batch.bytes[..batch.bytes.len() - left.len()];
                self.torn |= written.last().is_some_and(|&byte| byte != b'\n');
                batch.lines - count_lines(written).min(batch.lines)
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.write_some(&mut bytes)
    }

    /// Writes `left` and shortens it to what is not written yet.
    fn write_some(&mut self, left: &mut &[u8]) -> io::Result<()> {
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => *left = &left[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares the descriptor with us made it non-blocking; this thread can wait.
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_writable(self.file.as_fd()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn wait_writable(fd: BorrowedFd<'_>) {
    // Whatever comes of it, the next write tells.
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&second));
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Who receives datagrams.
#[derive(Debug)]
enum Peer {
    Udp(String),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A syslog daemon, connected to so that its absence shows.
#[derive(Debug)]
pub(super) struct Datagrams {
    peer: Peer,
    socket: Option<Socket>,
    /// Not to be tried before then.
    pause: Option<Instant>,
}

impl Datagrams {
    fn new(peer: Peer) -> Datagrams {
        Datagrams { peer, socket: None, pause: None }
    }

    fn write(&mut self, batch: &Batch) -> u64 {
        let mut lost = 0;
        let mut lines = batch.bytes.split_inclusive(|&byte| byte == b'\n').peekable();
        let mut pending: Vec<&[u8]> = Vec::with_capacity(DATAGRAMS);
        while lines.peek().is_some() {
            pending.extend(lines.by_ref().take(DATAGRAMS));
            lost += self.send(&pending);
            pending.clear();
        }
        lost
    }

    /// Sends a datagram each; returns how many were lost.
    fn send(&mut self, mut lines: &[&[u8]]) -> u64 {
        let mut lost = 0;
        let mut failed_before = false;
        while let Some(rest) = lines.get(1..) {
            let result = match self.connected() {
                Some(socket) => send_many(socket.as_fd(), lines),
                None => return lost + lines.len() as u64,
            };
            match result {
                Ok(sent) => {
                    lines = &lines[sent.clamp(1, lines.len())..];
                    failed_before = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(socket) = &self.socket {
                        wait_writable(socket.as_fd());
                    }
                }
                Err(error) => {
                    // A connected UDP socket tells of a datagram that was sent before, and a restarted daemon
                    // has a new socket: in both cases this line has not had its chance yet.
                    lost += self.after_failure(&error);
                    if failed_before {
                        lost += 1;
                        lines = rest;
                    }
                    failed_before = !failed_before;
                }
            }
        }
        lost
    }

    /// Returns how many lines were lost that seemed to be sent.
    fn after_failure(&mut self, error: &io::Error) -> u64 {
        match (&self.peer, error.raw_os_error()) {
            (_, Some(libc::EMSGSIZE | libc::ENOBUFS)) => 0,
            (Peer::Udp(_), Some(libc::ECONNREFUSED)) => 1,
            _ => {
                self.socket = None;
                0
            }
        }
    }

    fn connected(&mut self) -> Option<&Socket> {
        if self.socket.is_none() {
            if self.pause.is_some_and(|until| Instant::now() < until) {
                return None;
            }
            self.pause = None;
            match self.peer.connect() {
                Ok(socket) => self.socket = Some(socket),
                // Resolving may take seconds; connecting to a path takes none.
                Err(_) if matches!(self.peer, Peer::Udp(_)) => {
                    self.pause = Some(Instant::now() + RESOLVE_AGAIN);
                }
                Err(_) => {}
            }
        }
        self.socket.as_ref()
    }
}

impl Peer {
    fn connect(&self) -> io::Result<Socket> {
        match self {
            Peer::Udp(address) => {
                let mut failure = io::Error::from(ErrorKind::NotFound);
                for address in address.to_socket_addrs()? {
                    match connect_udp(address) {
                        Ok(socket) => return Ok(Socket::Udp(socket)),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
            Peer::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
        }
    }
}

fn connect_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Sends up to [`DATAGRAMS`] lines; returns how many went. An error is the first line's.
fn send_many(fd: BorrowedFd<'_>, lines: &[&[u8]]) -> io::Result<usize> {
    let lines = &lines[..lines.len().min(DATAGRAMS)];
    let slices: Vec<[IoSlice<'_>; 1]> = lines.iter().map(|line| [IoSlice::new(line)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        lines.iter().map(|_| Default::default()).collect();
    let parts = slices.iter().zip(&mut controls);
    let mut messages: Vec<MMsgHdr<'_>> = parts.map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
    Ok(sendmmsg(fd, &mut messages, SendFlags::NOSIGNAL)?)
}
