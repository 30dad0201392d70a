//! HTTP/1 as both ends of a test speak it: written by hand and read without any of the program's own code.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use super::PATIENCE;

/// A connection, and what has come on it and has not been read.
pub(crate) struct Wire {
    socket: Socket,
    held: Vec<u8>,
}

pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

/// A request or a response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Header lines, as they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    fn parse(head: &str) -> Message {
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        Message { start, headers: lines.filter_map(header).collect(), ..Message::default() }
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of a response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.target().parse().unwrap_or_else(|_| panic!("a status line: {:?}", self.start))
    }

    /// The value of the first line of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all lines of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length").and_then(|value| value.parse().ok())
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Wire {
        socket.be_patient();
        Wire { socket, held: Vec::new() }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref())?;
        self.socket.flush()
    }

    /// Reads a head; `None` where the connection ended before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return Ok(Some(Message::parse(&String::from_utf8_lossy(&head[..end]))));
            }
            if self.more()? == 0 {
                return if self.held.is_empty() { Ok(None) } else { Err(cut_off()) };
            }
        }
    }

    /// Reads a request's body.
    pub(crate) fn request_body(&mut self, request: &mut Message) -> io::Result<()> {
        if request.is_chunked() {
            (request.body, request.trailers) = self.chunked()?;
        } else {
            request.body = self.exactly(request.length().unwrap_or(0))?;
        }
        Ok(())
    }

    /// Reads a response's body.
    pub(crate) fn response_body(&mut self, response: &mut Message, to_head: bool) -> io::Result<()> {
        let status = response.status();
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(());
        }
        if response.is_chunked() {
            (response.body, response.trailers) = self.chunked()?;
        } else if let Some(length) = response.length() {
            response.body = self.exactly(length)?;
        } else {
            response.body = self.read_to_end()?;
        }
        Ok(())
    }

    /// Reads so many bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < length {
            if self.more()? == 0 {
                return Err(cut_off());
            }
        }
        let rest = self.held.split_off(length);
        Ok(std::mem::replace(&mut self.held, rest))
    }

    /// Reads up to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.held))
    }

    /// Reads a line, less its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.held.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.held.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.more()? == 0 {
                return Err(cut_off());
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn chunked(&mut self) -> io::Result<(Vec<u8>, Vec<(String, String)>)> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(io::Error::other("a chunk that does not end"));
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line()?;
            match header(&line) {
                Some(trailer) => trailers.push(trailer),
                None => return Ok((body, trailers)),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Closes so that the peer gets a reset.
    pub(crate) fn reset(&mut self) {
        if let Socket::Tcp(stream) = &self.socket {
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Goes through the handshake, where it is by TLS.
    pub(super) fn shake_hands(&mut self) -> io::Result<()> {
        let Socket::Tls(tls) = &mut self.socket else { return Ok(()) };
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(())
    }

    /// The connection of one by TLS.
    pub(super) fn tls(&self) -> Option<&rustls::ClientConnection> {
        match &self.socket {
            Socket::Tls(tls) => Some(&tls.conn),
            Socket::Tcp(_) | Socket::Unix(_) => None,
        }
    }

    /// The address on the other side, by which connections over TCP are told apart.
    pub(crate) fn peer(&self) -> String {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr(),
            Socket::Tls(tls) => tls.sock.peer_addr(),
            Socket::Unix(_) => return String::new(),
        }
        .map(|address| address.to_string())
        .unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut space = [0; 65536];
        let count = self.socket.read(&mut space)?;
        self.held.extend_from_slice(&space[..count]);
        Ok(count)
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a message")
}

impl Socket {
    pub(super) fn tls(connection: rustls::ClientConnection, stream: TcpStream) -> Socket {
        Socket::Tls(Box::new(rustls::StreamOwned::new(connection, stream)))
    }

    fn be_patient(&self) {
        let done = match self {
            Socket::Tcp(stream) => stream
                .set_nodelay(true)
                .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
                .and_then(|()| stream.set_write_timeout(Some(PATIENCE))),
            Socket::Unix(stream) => stream
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| stream.set_write_timeout(Some(PATIENCE))),
            Socket::Tls(tls) => tls
                .sock
                .set_nodelay(true)
                .and_then(|()| tls.sock.set_read_timeout(Some(PATIENCE)))
                .and_then(|()| tls.sock.set_write_timeout(Some(PATIENCE))),
        };
        // A peer that has gone already is met at the next read.
        let _ = done;
    }

    pub(super) fn try_clone(&self) -> io::Result<Socket> {
        match self {
            Socket::Tcp(stream) => stream.try_clone().map(Socket::Tcp),
            Socket::Unix(stream) => stream.try_clone().map(Socket::Unix),
            Socket::Tls(tls) => tls.sock.try_clone().map(Socket::Tcp),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.shutdown(how),
            Socket::Unix(stream) => stream.shutdown(how),
            Socket::Tls(tls) => tls.sock.shutdown(how),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(space),
            Socket::Unix(stream) => stream.read(space),
            Socket::Tls(tls) => tls.read(space),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Tcp(_) | Socket::Unix(_) => Ok(()),
            Socket::Tls(tls) => tls.flush(),
        }
    }
}
