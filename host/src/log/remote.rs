//! A log daemon at the other end of a connection: TCP, TLS or a Unix stream socket, with its lines counted in
//! octets (RFC 6587, section 3.4.1; RFC 5425, section 4.3) or ended by line feeds.
//!
//! Where the daemon is away, the writer tries again, at growing intervals, and holds what it is at; what comes
//! meanwhile waits in the queue, and what has no room there is counted as dropped. Everything here runs on the
//! writer's thread alone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::client_tls;
use super::queue::{Batch, Queue};
use crate::config::model::{LogFraming, LogPeer, LogStream};

/// How long a connection, and the handshake on it, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the other host may leave what was sent unacknowledged: as long as a network may be away.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// The first and the longest wait between two attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a daemon that does not read is waited for when the log is to end.
const LAST_CALL: Duration = Duration::from_secs(5);
/// How long the kernel is asked at a time.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The daemon, and the connection to it.
#[derive(Debug)]
pub(super) struct Remote {
    name: String,
    peer: Peer,
    framing: LogFraming,
    link: Option<Link>,
    /// How long to wait before the next attempt.
    pause: Duration,
    /// Whether the log speaks of its absence already.
    is_away: bool,
    /// Lines as they go out, and where each ends: in these bytes, and in the batch.
    framed: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

#[derive(Debug)]
enum Peer {
    Tcp(String),
    Tls(String, Arc<ClientConfig>, ServerName<'static>),
    Unix(std::path::PathBuf),
}

impl Remote {
    /// The daemon of this name; it need not be there. An error is one of TLS: its files, or its name.
    pub(super) fn new(stream: &LogStream, name: String) -> io::Result<Remote> {
        let peer = match &stream.peer {
            LogPeer::Tcp(address) => Peer::Tcp(address.clone()),
            LogPeer::Tls(tls) => {
                let (config, name) = client_tls::client(tls)?;
                Peer::Tls(tls.address.clone(), config, name)
            }
            LogPeer::Unix(path) => Peer::Unix(path.clone()),
        };
        Ok(Remote {
            name,
            peer,
            framing: stream.framing,
            link: None,
            pause: PAUSE.0,
            is_away: false,
            framed: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// Writes all lines, however long it takes, unless the log is to end and there is nobody to read them.
    /// Returns how many were lost then. A line that the daemon's end cut off in its midst is sent again.
    pub(super) fn write(&mut self, batch: &Batch, queue: &Queue) -> u64 {
        let mut rest = batch.bytes.as_slice();
        while !rest.is_empty() {
            if !self.connected(queue) {
                break;
            }
            self.frame(rest);
            let Some(link) = &mut self.link else { break };
            let (sent, result) = link.send(&self.framed, queue);
            // Of what was accepted, whole lines only.
            let whole = self.ends.partition_point(|(end, _)| *end <= sent);
            if let Some((_, end)) = whole.checked_sub(1).and_then(|last| self.ends.get(last)) {
                rest = &rest[*end..];
                self.pause = PAUSE.0;
            }
            if let Err(error) = result {
                self.link = None;
                if error.kind() == ErrorKind::TimedOut {
                    break;
                }
                self.absent(&error);
            }
        }
        memchr::memchr_iter(b'\n', rest).count() as u64
    }

    /// Puts lines between their frames.
    fn frame(&mut self, lines: &[u8]) {
        self.framed.clear();
        self.ends.clear();
        let mut end = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            match self.framing {
                LogFraming::Lines => self.framed.extend_from_slice(line),
                LogFraming::Octets => {
                    let message = line.strip_suffix(b"\n").unwrap_or(line);
                    self.framed.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
                    self.framed.push(b' ');
                    self.framed.extend_from_slice(message);
                }
            }
            self.ends.push((self.framed.len(), end));
        }
    }

    /// Connects where there is no connection, or the daemon has closed it. `false` where the log is to end and
    /// the daemon is not there.
    fn connected(&mut self, queue: &Queue) -> bool {
        if let Some(link) = &mut self.link
            && let Err(error) = link.look()
        {
            self.link = None;
            self.absent(&error);
        }
        while self.link.is_none() {
            match self.peer.connect() {
                Ok(link) => {
                    self.link = Some(link);
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!(log = self.name, "the log's daemon is there again");
                    }
                }
                Err(error) => {
                    self.absent(&error);
                    if queue.pause(self.pause) {
                        return false;
                    }
                    self.pause = (self.pause * 2).min(PAUSE.1);
                }
            }
        }
        true
    }

    /// Says so, once.
    fn absent(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(log = self.name, %error, "the log's daemon is away; lines wait for it");
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(link) = &mut self.link {
            link.close();
        }
    }
}

impl Peer {
    fn connect(&self) -> io::Result<Link> {
        Ok(match self {
            Peer::Tcp(address) => Link { wire: tcp(address)?, tls: None },
            Peer::Tls(address, config, name) => {
                let session =
                    ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
                let mut link = Link { wire: tcp(address)?, tls: Some(Box::new(session)) };
                link.shake_hands()?;
                link
            }
            Peer::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Link { wire: Wire::Unix(stream), tls: None }
            }
        })
    }
}

fn tcp(address: &str) -> io::Result<Wire> {
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let socket = socket2::SockRef::from(&stream);
                socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
                socket.set_keepalive(true)?;
                return Ok(Wire::Tcp(stream));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Waits, for a moment at most, until one of these events has come.
    fn wait(&self, events: PollFlags) {
        let fd = match self {
            Wire::Tcp(stream) => stream.as_fd(),
            Wire::Unix(stream) => stream.as_fd(),
        };
        // Whatever comes of it, the next call tells.
        let _ = poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&MOMENT));
    }
}

impl Read for Wire {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.read(space),
            Wire::Unix(stream) => stream.read(space),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection.
#[derive(Debug)]
struct Link {
    wire: Wire,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// Takes what the daemon sends, which is nothing but TLS's own; an error where it has closed.
    fn look(&mut self) -> io::Result<()> {
        let mut space = [0; 1024];
        loop {
            let read = match &mut self.tls {
                Some(session) => session.read_tls(&mut self.wire),
                None => self.wire.read(&mut space),
            };
            match read {
                Ok(0) => return Err(ErrorKind::ConnectionAborted.into()),
                Ok(_) => {
                    if let Some(session) = &mut self.tls {
                        let state = session.process_new_packets().map_err(io::Error::other)?;
                        if state.peer_has_closed() {
                            return Err(ErrorKind::ConnectionAborted.into());
                        }
                        let _ = session.reader().read(&mut space);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends; returns how many bytes went for sure, and whether all did. `TimedOut`: the log is to end, and
    /// the daemon does not read.
    fn send(&mut self, bytes: &[u8], queue: &Queue) -> (usize, io::Result<()>) {
        let mut sent = 0;
        while sent < bytes.len() {
            let written = match &mut self.tls {
                None => self.wire.write(&bytes[sent..]),
                Some(session) => session.writer().write(&bytes[sent..]),
            };
            let result = match written {
                Ok(0) => Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.pass_on(queue).map(|()| sent += written),
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(queue),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return (sent, Err(error));
            }
        }
        (sent, Ok(()))
    }

    /// Sends what TLS has made of it.
    fn pass_on(&mut self, queue: &Queue) -> io::Result<()> {
        while let Some(session) = self.tls.as_mut().filter(|session| session.wants_write()) {
            match session.write_tls(&mut self.wire) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(queue)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait_for_room(&mut self, queue: &Queue) -> io::Result<()> {
        if queue.stopped_for().is_some_and(|time| time >= LAST_CALL) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.wire.wait(PollFlags::OUT);
        Ok(())
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return Ok(()) };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        while session.is_handshaking() || session.wants_write() {
            if Instant::now() >= deadline {
                return Err(io::Error::new(ErrorKind::NotConnected, "the TLS handshake takes too long"));
            }
            let (result, events) = match session.wants_write() {
                true => (session.write_tls(&mut self.wire), PollFlags::OUT),
                false => (session.read_tls(&mut self.wire), PollFlags::IN),
            };
            match result {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {
                    if let Err(error) = session.process_new_packets() {
                        // It is told why, if it still listens.
                        let _ = session.write_tls(&mut self.wire);
                        return Err(io::Error::other(error));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wire.wait(events),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends it so that what was sent arrives.
    fn close(&mut self) {
        // Bytes that were never read would have the kernel reset the connection, and lose what is on its way.
        let _ = self.look();
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
            let _ = session.write_tls(&mut self.wire);
        }
        let _ = match &self.wire {
            Wire::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Wire::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
        };
    }
}
