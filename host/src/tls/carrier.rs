//! The byte stream that a handshake makes of a socket: what is read is decrypted, what is written encrypted.
//!
//! Records that carry no data (tickets, new keys) are dealt with as they come, so that a connection which idles is
//! ready to be read only when there is data, or the end.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::{Carrier, Ending, Stream};

/// The most plain text that is encrypted before some of it has gone out: what one write to the socket can take.
const BUFFER_LIMIT: usize = 64 * 1024;

/// TLS over a socket.
#[derive(Debug)]
pub(super) struct Tls(RefCell<State>);

#[derive(Debug)]
pub(super) struct State {
    socket: Stream,
    connection: Connection,
    /// Decrypted bytes that have not been read.
    held: usize,
    /// Whether nothing more will come.
    ended: bool,
    /// Whether the end came without being said: what came before it may not be all (RFC 8446, section 6.1).
    cut_off: bool,
    /// Whether the peer has been told that nothing more will come.
    closing: bool,
    /// What went wrong behind data that was handed out first.
    failed: Option<io::Error>,
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer closed the connection.
    Closed,
    /// The connection broke.
    Io(io::Error),
    /// What the peer sent is not TLS, or not TLS that is accepted here.
    Refused(rustls::Error),
}

impl State {
    /// At its beginning, before the handshake.
    pub(super) fn new(socket: Stream, mut connection: Connection) -> State {
        connection.set_buffer_limit(Some(BUFFER_LIMIT));
        State { socket, connection, held: 0, ended: false, cut_off: false, closing: false, failed: None }
    }

    /// Goes on with the handshake; ready when it is done, and what it had to send has been sent.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            ready!(self.poll_send(context)).map_err(Broken::Io)?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let mut socket = Socket { stream: &mut self.socket, context };
            match self.connection.read_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(Broken::Closed)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(Broken::Io(error))),
            }
            match self.connection.process_new_packets() {
                Ok(state) => self.held = state.plaintext_bytes_to_read(),
                Err(error) => {
                    // The peer is told what it did wrong, if it takes that at once.
                    let _ = self.poll_send(context);
                    return Poll::Ready(Err(Broken::Refused(error)));
                }
            }
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The byte stream, once the handshake is done.
    pub(super) fn into_stream(self) -> Stream {
        Stream::Carried(Box::new(Tls(RefCell::new(self))))
    }

    /// The socket, and what of TLS goes out on it before its end. What still comes there need not be decrypted.
    pub(super) fn into_ending(self) -> Option<Ending> {
        let State { socket, mut connection, closing, .. } = self;
        if !closing {
            connection.send_close_notify();
        }
        let mut rest = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut rest).ok()?;
        }
        Some(Ending { socket, rest })
    }

    /// Ready when there is data, or the end, or an error.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while self.held == 0 && !self.ended {
            let mut socket = Socket { stream: &mut self.socket, context };
            match self.connection.read_tls(&mut socket) {
                Ok(0) => (self.ended, self.cut_off) = (true, true),
                Ok(_) => {
                    let state = self.connection.process_new_packets();
                    // Something to say to the peer goes now if it can, or else with what is written next.
                    if self.connection.wants_write() {
                        let _ = self.poll_send(context);
                    }
                    let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    self.held = state.plaintext_bytes_to_read();
                    self.ended = state.peer_has_closed();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_data(context))?;
            while self.held > 0 && space.remaining() > 0 {
                let count = self.connection.reader().read(space.initialize_unfilled())?;
                if count == 0 {
                    self.held = 0;
                    break;
                }
                space.advance(count);
                self.held = self.held.saturating_sub(count);
            }
            // Whoever has room gets all that has come, so that it goes on in few pieces.
            let more = space.remaining() > 0 && !self.ended && !space.filled().is_empty();
            if more {
                match self.poll_data(context) {
                    Poll::Ready(Ok(())) if self.held > 0 => continue,
                    Poll::Ready(Err(error)) => self.failed = Some(error),
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            let nothing = space.filled().is_empty() && space.remaining() > 0;
            if nothing && self.cut_off {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            return Poll::Ready(Ok(()));
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What was taken before goes first: no more than one write waits here.
        ready!(self.poll_send(context))?;
        let count = self.connection.writer().write(bytes)?;
        match self.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let mut socket = Socket { stream: &mut self.socket, context };
            match self.connection.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.closing, true) {
            self.connection.send_close_notify();
        }
        ready!(self.poll_send(context))?;
        self.socket.split().1.poll_shutdown(context)
    }
}

impl Carrier for Tls {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error is news too, and shows when it is read.
        let mut state = self.0.borrow_mut();
        let news = ready!(state.poll_data(context));
        state.failed = news.err();
        Poll::Ready(())
    }

    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(context, space)
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(context, bytes)
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(context)
    }

    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_shutdown(context)
    }

    fn is_quiet(&self) -> bool {
        let state = self.0.borrow();
        state.held == 0 && !state.ended && state.failed.is_none() && state.socket.is_quiet()
    }

    fn is_closed(&self) -> bool {
        let state = &mut *self.0.borrow_mut();
        state.ended || state.socket.split().0.is_closed()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.0.borrow().socket.local()
    }

    fn reset_on_close(&self, resets: bool) {
        self.0.borrow().socket.reset_on_close(resets);
    }

    fn into_ending(self: Box<Self>) -> Option<Ending> {
        self.0.into_inner().into_ending()
    }
}

/// A socket as rustls wants it: what cannot be done at once is an error, and wakes the task when it can.
struct Socket<'a, 'b> {
    stream: &'a mut Stream,
    context: &'a mut Context<'b>,
}

impl Socket<'_, '_> {
    fn pending<T>(done: Poll<io::Result<T>>) -> io::Result<T> {
        match done {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut space = ReadBuf::new(space);
        let read = match self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(self.context, &mut space),
            Stream::Unix(stream) => Pin::new(stream).poll_read(self.context, &mut space),
            Stream::Carried(carrier) => carrier.poll_read(self.context, &mut space),
            Stream::Message(_) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        };
        Self::pending(read)?;
        Ok(space.filled().len())
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::pending(match self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(self.context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(self.context, bytes),
            Stream::Carried(carrier) => carrier.poll_write(
                self.context,
                bytes.iter().find(|part| !part.is_empty()).map_or(&[], |part| part),
            ),
            Stream::Message(_) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
