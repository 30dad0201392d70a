//! A byte stream to a client or a server, whatever carries it.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::buffer::Buffer;
use crate::splice::Pipe;

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// A connection's incoming side.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    /// Over TCP.
    Tcp(tcp::ReadHalf<'a>),
    /// Over a Unix socket.
    Unix(unix::ReadHalf<'a>),
}

/// A connection's outgoing side.
#[derive(Debug)]
pub(crate) enum Writer<'a> {
    /// Over TCP.
    Tcp(tcp::WriteHalf<'a>),
    /// Over a Unix socket.
    Unix(unix::WriteHalf<'a>),
}

impl Stream {
    /// Both sides, to be used at the same time.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Stream::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Stream::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
        }
    }

    /// Reads what there is into the buffer, which must have space; answers how many bytes, 0 at the end.
    pub(crate) async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        std::future::poll_fn(|context| self.split().0.poll_read(context, buffer)).await
    }

    /// Writes all of it.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = std::future::poll_fn(|context| self.split().1.poll_write(context, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// The address on this side; `None` for a Unix socket.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Whether the runtime has seen something arrive, or the end, that has not been read. Costs no system
    /// call, so it may be late to know.
    pub(crate) fn has_news(&self, context: &mut Context<'_>) -> bool {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(context).is_ready(),
            Stream::Unix(stream) => stream.poll_read_ready(context).is_ready(),
        }
    }

    /// Whether nothing has arrived that has not been read, not even the end, by asking the system.
    pub(crate) fn is_drained(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Stream::Tcp(stream) => {
                stream.try_io(Interest::READABLE, || socket2::SockRef::from(stream).peek(&mut byte))
            }
            Stream::Unix(stream) => {
                stream.try_io(Interest::READABLE, || socket2::SockRef::from(stream).peek(&mut byte))
            }
        };
        is_would_block(&peeked)
    }

    /// Makes closing send a reset at once, so that the peer learns that the answer is not whole.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(stream) = self {
            // Where it fails, the peer sees an ordinary end: nothing better can be done.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl Reader<'_> {
    /// Whether there is something to read, as far as the runtime knows; else wakes the task when there is.
    pub(crate) fn is_ready(&self, context: &mut Context<'_>) -> bool {
        match self {
            Reader::Tcp(half) => half.as_ref().poll_read_ready(context).is_ready(),
            Reader::Unix(half) => half.as_ref().poll_read_ready(context).is_ready(),
        }
    }

    /// Reads what there is into the buffer; 0 bytes at the end, and where the buffer is full.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(buffer.space());
        let read = match self {
            Reader::Tcp(stream) => Pin::new(stream).poll_read(context, &mut space),
            Reader::Unix(stream) => Pin::new(stream).poll_read(context, &mut space),
        };
        ready!(read)?;
        let count = space.filled().len();
        buffer.came(count);
        Poll::Ready(Ok(count))
    }

    /// Moves what there is into the pipe, at most so many bytes; 0 at the end.
    pub(crate) fn poll_splice(
        &mut self,
        context: &mut Context<'_>,
        pipe: &mut Pipe,
        at_most: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let moved = match self {
                Reader::Tcp(half) => {
                    let stream = half.as_ref();
                    ready!(stream.poll_read_ready(context))?;
                    stream.try_io(Interest::READABLE, || pipe.fill(stream.as_fd(), at_most))
                }
                Reader::Unix(half) => {
                    let stream = half.as_ref();
                    ready!(stream.poll_read_ready(context))?;
                    stream.try_io(Interest::READABLE, || pipe.fill(stream.as_fd(), at_most))
                }
            };
            if !is_would_block(&moved) {
                return Poll::Ready(moved);
            }
        }
    }
}

impl Writer<'_> {
    /// Moves as much as goes out of the pipe, which must hold something.
    pub(crate) fn poll_splice(
        &mut self,
        context: &mut Context<'_>,
        pipe: &mut Pipe,
    ) -> Poll<io::Result<usize>> {
        loop {
            let moved = match self {
                Writer::Tcp(half) => {
                    let stream = half.as_ref();
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || pipe.drain(stream.as_fd()))
                }
                Writer::Unix(half) => {
                    let stream = half.as_ref();
                    ready!(stream.poll_write_ready(context))?;
                    stream.try_io(Interest::WRITABLE, || pipe.drain(stream.as_fd()))
                }
            };
            if !is_would_block(&moved) {
                return Poll::Ready(moved);
            }
        }
    }

    /// Writes as much as goes.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self {
            Writer::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Writer::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        match ready!(written)? {
            0 if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    /// Says that nothing more will come.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Writer::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Writer::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

fn is_would_block(moved: &io::Result<usize>) -> bool {
    moved.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
