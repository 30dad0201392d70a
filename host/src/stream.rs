//! A connection to a client or a server, whatever carries it: a socket, a [`Carrier`] that makes a byte stream of something
//! else, or a [`MessageStream`] of a protocol that frames messages by itself.

mod carrier;
mod message;

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::net::{self, RecvFlags, SendFlags};
use tokio::io::{AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::buffer::Buffer;
use crate::splice::Pipe;

pub(crate) use carrier::Carrier;
pub(crate) use message::MessageStream;

/// A connection that is to end on this side: its socket, and what goes out on that before.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) socket: Stream,
    pub(crate) rest: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over something that is no socket.
    Carried(Box<dyn Carrier>),
    /// A request and its response.
    Message(Box<dyn MessageStream>),
}

/// A connection's incoming side.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    /// Over TCP.
    Tcp(tcp::ReadHalf<'a>),
    /// Over a Unix socket.
    Unix(unix::ReadHalf<'a>),
    /// Over something that is no socket.
    Carried(&'a dyn Carrier),
    /// A request, or a response.
    Message(&'a dyn MessageStream),
}

/// A connection's outgoing side.
#[derive(Debug)]
pub(crate) enum Writer<'a> {
    /// Over TCP.
    Tcp(tcp::WriteHalf<'a>),
    /// Over a Unix socket.
    Unix(unix::WriteHalf<'a>),
    /// Over something that is no socket.
    Carried(&'a dyn Carrier),
    /// A request, or a response.
    Message(&'a dyn MessageStream),
}

impl Stream {
    /// How it ends: on its socket, where it has one of its own.
    pub(crate) fn into_ending(self) -> Option<Ending> {
        match self {
            Stream::Carried(carrier) => carrier.into_ending(),
            Stream::Message(_) => None,
            socket => Some(Ending { socket, rest: Vec::new() }),
        }
    }

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
            Stream::Carried(carrier) => (Reader::Carried(&**carrier), Writer::Carried(&**carrier)),
            Stream::Message(message) => (Reader::Message(&**message), Writer::Message(&**message)),
        }
    }

    /// The request and its response, where the protocol frames them by itself.
    pub(crate) fn message(&self) -> Option<&dyn MessageStream> {
        match self {
            Stream::Message(message) => Some(&**message),
            _ => None,
        }
    }

    /// Writes all of it, and sends it on.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = std::future::poll_fn(|context| self.split().1.poll_write(context, bytes)).await?;
            bytes = &bytes[count..];
        }
        std::future::poll_fn(|context| self.split().1.poll_flush(context)).await
    }

    /// The address on this side; `None` where there is none, as for a Unix socket.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) | Stream::Message(_) => None,
            Stream::Carried(carrier) => carrier.local(),
        }
    }

    /// Whether the runtime has seen something arrive, or the end, that has not been read. Costs no system
    /// call, so it may be late to know. Nobody is woken for it.
    pub(crate) fn has_news(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Stream::Carried(carrier) => {
                carrier.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready()
            }
            Stream::Message(message) => {
                message.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_ready()
            }
        }
    }

    /// Whether reading its end says nothing of whether the peer has left.
    pub(crate) fn ends_with_request(&self) -> bool {
        matches!(self, Stream::Message(_))
    }

    /// Whether nothing has arrived that has not been read, not even the end, by asking the system. Always so for what
    /// is no socket: nothing passes there unseen.
    pub(crate) fn is_drained(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Stream::Tcp(stream) => {
                stream.try_io(Interest::READABLE, || socket2::SockRef::from(stream).peek(&mut byte))
            }
            Stream::Unix(stream) => {
                stream.try_io(Interest::READABLE, || socket2::SockRef::from(stream).peek(&mut byte))
            }
            Stream::Carried(_) | Stream::Message(_) => return true,
        };
        is_would_block(&peeked)
    }

    /// Whether the system says, asked at this moment, that nothing has arrived that has not been read, not even the end:
    /// the peer has not closed it, as far as can be known on this side. [`Stream::has_news`] is late to know.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        is_would_block(&match self {
            Stream::Tcp(stream) => socket2::SockRef::from(stream).peek(&mut byte),
            Stream::Unix(stream) => socket2::SockRef::from(stream).peek(&mut byte),
            Stream::Carried(carrier) => return carrier.is_quiet(),
            Stream::Message(_) => return false,
        })
    }

    /// Makes closing send a reset at once, so that the peer learns that what it got is not whole; or takes that back.
    pub(crate) fn reset_on_close(&self, resets: bool) {
        match self {
            // Where it fails, the peer sees an ordinary end: nothing better can be done.
            Stream::Tcp(stream) => {
                let _ = socket2::SockRef::from(stream).set_linger(resets.then_some(Duration::ZERO));
            }
            // What a message lacks is told anyway.
            Stream::Unix(_) | Stream::Message(_) => {}
            Stream::Carried(carrier) => carrier.reset_on_close(resets),
        }
    }
}

impl Reader<'_> {
    /// Whether the peer has given up what is under way, as far as it can be known without reading.
    pub(crate) fn is_abandoned(&self, context: &mut Context<'_>) -> bool {
        match self {
            Reader::Carried(carrier) => carrier.poll_abandoned(context).is_ready(),
            Reader::Message(message) => message.poll_abandoned(context).is_ready(),
            Reader::Tcp(_) | Reader::Unix(_) => false,
        }
    }

    /// Whether the system can move bytes out of it by itself.
    pub(crate) fn is_socket(&self) -> bool {
        matches!(self, Reader::Tcp(_) | Reader::Unix(_))
    }

    /// Whether the protocol frames messages by itself.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self, Reader::Message(_))
    }

    /// Trailers that came with a message's end.
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        match self {
            Reader::Message(message) => message.take_trailers(),
            _ => Vec::new(),
        }
    }

    /// Whether the peer is known to send nothing more, behind what may still be to be read. Costs no system call; nobody is
    /// woken for it.
    pub(crate) fn is_closed(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let ready = match self {
            Reader::Tcp(half) => std::pin::pin!(half.ready(Interest::READABLE)).poll(&mut context),
            Reader::Unix(half) => std::pin::pin!(half.ready(Interest::READABLE)).poll(&mut context),
            Reader::Carried(carrier) => return carrier.is_closed(),
            Reader::Message(_) => return false,
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Ready when there is something to read, or the end, as far as the runtime knows; else the task is woken when
    /// there is.
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Reader::Tcp(half) => half.as_ref().poll_read_ready(context),
            Reader::Unix(half) => half.as_ref().poll_read_ready(context),
            Reader::Carried(carrier) => carrier.poll_read_ready(context).map(Ok),
            Reader::Message(message) => message.poll_read_ready(context).map(Ok),
        }
    }

    /// Reads what there is into the buffer; 0 bytes at the end, and where the buffer is full.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        if let Reader::Message(message) = self {
            return message.poll_take(context, buffer);
        }
        loop {
            if self.is_socket() {
                ready!(self.poll_read_ready(context))?;
            }
            let read = self.read(context, buffer);
            if !is_in_vain(&read) {
                return read;
            }
        }
    }

    /// Reads what there is into the buffer, which gets its memory, `size` bytes in all, once something has come:
    /// who waits with nothing in it holds none.
    pub(crate) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
        size: usize,
    ) -> Poll<io::Result<usize>> {
        if let Reader::Message(message) = self {
            return message.poll_take(context, buffer);
        }
        loop {
            ready!(self.poll_read_ready(context))?;
            buffer.ensure(size);
            let read = self.read(context, buffer);
            if read.is_pending() || is_in_vain(&read) {
                buffer.release();
            }
            if !is_in_vain(&read) {
                return read;
            }
        }
    }

    /// Reads what there is. A socket that the runtime took for ready and that has nothing fails as one that would
    /// block, and the runtime knows better from then on.
    fn read(&mut self, context: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let space = buffer.space();
        let mut count = 0;
        let received = match self {
            Reader::Tcp(half) => {
                let stream = half.as_ref();
                stream.try_io(Interest::READABLE, || receive(stream.as_fd(), space, &mut count))
            }
            Reader::Unix(half) => {
                let stream = half.as_ref();
                stream.try_io(Interest::READABLE, || receive(stream.as_fd(), space, &mut count))
            }
            Reader::Carried(carrier) => {
                let mut space = ReadBuf::new(space);
                let read = ready!(carrier.poll_read(context, &mut space));
                count = space.filled().len();
                read
            }
            Reader::Message(_) => Err(io::ErrorKind::InvalidInput.into()),
        };
        buffer.came(count);
        Poll::Ready(if count > 0 { Ok(count) } else { received.map(|()| 0) })
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
                Reader::Carried(_) | Reader::Message(_) => Err(io::ErrorKind::InvalidInput.into()),
            };
            if !is_would_block(&moved) {
                return Poll::Ready(moved);
            }
        }
    }
}

impl Writer<'_> {
    /// Whether a message's end is part of its bytes.
    pub(crate) fn is_byte_stream(&self) -> bool {
        !matches!(self, Writer::Message(_))
    }

    /// Whether the system can move bytes into it by itself.
    pub(crate) fn is_socket(&self) -> bool {
        matches!(self, Writer::Tcp(_) | Writer::Unix(_))
    }

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
                Writer::Carried(_) | Writer::Message(_) => Err(io::ErrorKind::InvalidInput.into()),
            };
            if !is_would_block(&moved) {
                return Poll::Ready(moved);
            }
        }
    }

    /// Writes as much as goes. A socket is nearly always ready for it, so the runtime is asked only where one was not.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = match self {
            Writer::Tcp(half) => send(half.as_ref(), bytes),
            Writer::Unix(half) => send(half.as_ref(), bytes),
            Writer::Carried(_) | Writer::Message(_) => Err(io::ErrorKind::WouldBlock.into()),
        };
        let written = match self {
            _ if !is_would_block(&sent) => Poll::Ready(sent),
            Writer::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Writer::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Writer::Carried(carrier) => carrier.poll_write(context, bytes),
            Writer::Message(message) => message.poll_write(context, bytes),
        };
        match ready!(written)? {
            0 if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => Poll::Ready(Ok(count)),
        }
    }

    /// Sends on what was written, where it waits for that; sockets do so by themselves.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Writer::Tcp(_) | Writer::Unix(_) | Writer::Message(_) => Poll::Ready(Ok(())),
            Writer::Carried(carrier) => carrier.poll_flush(context),
        }
    }

    /// Says that nothing more will come. A message says that by its end.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Writer::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Writer::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Writer::Carried(carrier) => carrier.poll_shutdown(context),
            Writer::Message(_) => Poll::Ready(Ok(())),
        }
    }

    /// Sends a response's head that was encoded for this client.
    pub(crate) fn send_head(&mut self, encoded: &[u8]) -> io::Result<()> {
        match self {
            Writer::Message(message) => message.send_head(encoded, false),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends a message.
    pub(crate) fn finish(&mut self, trailers: &[u8]) -> io::Result<()> {
        match self {
            Writer::Message(message) => message.finish(trailers),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Sends by the system call itself: what the C library puts around it, so that a thread may be cancelled there, is paid
/// for with two atomic exchanges a call.
fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// Receives into `space`, as [`send`] sends, and says of how many bytes in `count`. What leaves room has taken all there
/// was: then it fails as if it would block, for that is how the runtime learns that there is nothing more, as it does
/// from its own reading.
fn receive(socket: impl AsFd, space: &mut [u8], count: &mut usize) -> io::Result<()> {
    let room = space.len();
    (_, *count) = net::recv(socket, space, RecvFlags::empty())?;
    if 0 < *count && *count < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

/// Whether a socket had nothing although the runtime took it for ready.
fn is_in_vain(read: &Poll<io::Result<usize>>) -> bool {
    matches!(read, Poll::Ready(read) if is_would_block(read))
}

fn is_would_block(moved: &io::Result<usize>) -> bool {
    moved.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
