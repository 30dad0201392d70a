//! A stream of HTTP/2 as an exchange sees it: a connection to a client that speaks HTTP/1.1 and sends one request, of
//! which the head has been read.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, Write};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::io::ReadBuf;

use super::download::Download;
use super::frames::{ENOUGH, Frames};
use super::request::{Kind, Rest};
use super::upload::Upload;
use crate::stream::Carrier;
use crate::tune::Tune;

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    frames: Rc<Frames>,
    upload: RefCell<Source>,
    download: RefCell<Download>,
    /// Whether a tunnel's client has been told that nothing more will come.
    ended: Cell<bool>,
}

/// What comes from the client.
#[derive(Debug)]
enum Source {
    Body(Upload),
    /// A tunnel to be, once hyper has sent the answer.
    Opening(OnUpgrade),
    /// A tunnel, and what has been read of it and was not asked for.
    Tunnel(Upgraded, Vec<u8>),
    /// A tunnel that broke.
    Broken,
}

/// How much of a tunnel is read at once.
const TUNNEL_READ: usize = 8 * 1024;

impl Stream {
    /// The stream of a request of this kind, whose answer goes to `frames`.
    pub(super) fn new(rest: Rest, kind: Kind, frames: Rc<Frames>, tune: Tune) -> Stream {
        let upload = match rest {
            Rest::Body(upload) => Source::Body(upload),
            Rest::Tunnel(opening) => Source::Opening(opening),
        };
        let download = Download::new(frames.clone(), kind, tune);
        Stream {
            frames,
            upload: RefCell::new(upload),
            download: RefCell::new(download),
            ended: Cell::new(false),
        }
    }
}

impl Source {
    /// The tunnel, once it stands.
    fn poll_tunnel(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(&mut Upgraded, &mut Vec<u8>)>> {
        if let Source::Opening(opening) = self {
            *self = match ready!(Pin::new(opening).poll(context)) {
                Ok(tunnel) => Source::Tunnel(tunnel, Vec::new()),
                Err(_) => Source::Broken,
            };
        }
        match self {
            Source::Tunnel(tunnel, read) => Poll::Ready(Ok((tunnel, read))),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// What has come; nothing at the end.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if let Source::Body(upload) = self {
            return upload.poll_pending(context);
        }
        let (tunnel, read) = ready!(self.poll_tunnel(context))?;
        if read.is_empty() {
            let mut bytes = vec![0; TUNNEL_READ];
            let mut space = hyper::rt::ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *tunnel).poll_read(context, space.unfilled()))?;
            let count = space.filled().len();
            bytes.truncate(count);
            *read = bytes;
            // hyper takes a reset with NO_ERROR or CANCEL for an end. The side that sends knows better; it is polled
            // before this one (`task.rs`).
            if count == 0
                && let Poll::Ready(Err(error)) = Pin::new(tunnel).poll_flush(context)
            {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(read))
    }

    fn gone(&mut self, count: usize) {
        match self {
            Source::Body(upload) => upload.gone(count),
            Source::Tunnel(_, read) => drop(read.drain(..count)),
            Source::Opening(_) | Source::Broken => {}
        }
    }
}

/// The tunnel, once it stands and has taken what came behind the answer's head.
fn poll_open<'a>(
    source: &'a mut Source,
    download: &mut Download,
    context: &mut Context<'_>,
) -> Poll<io::Result<&'a mut Upgraded>> {
    let (tunnel, _) = ready!(source.poll_tunnel(context))?;
    while !download.rest.is_empty() {
        let count = ready!(Pin::new(&mut *tunnel).poll_write(context, &download.rest))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        download.rest.drain(..count);
    }
    Poll::Ready(Ok(tunnel))
}

impl Carrier for Stream {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.upload.borrow_mut().poll_pending(context).map(|_| ())
    }

    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut upload = self.upload.borrow_mut();
        let pending = ready!(upload.poll_pending(context))?;
        let count = pending.len().min(space.remaining());
        space.put_slice(&pending[..count]);
        upload.gone(count);
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut download = self.download.borrow_mut();
        if download.tunnel {
            let mut source = self.upload.borrow_mut();
            let tunnel = ready!(poll_open(&mut source, &mut download, context))?;
            // What it takes waits in it, however much that is.
            return Pin::new(tunnel).poll_write(context, &bytes[..bytes.len().min(ENOUGH)]);
        }
        let room = ready!(self.frames.poll_room())?;
        let count = room.min(bytes.len());
        download.take(&bytes[..count])?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut download = self.download.borrow_mut();
        if !download.tunnel {
            return Poll::Ready(Ok(()));
        }
        let mut source = self.upload.borrow_mut();
        let tunnel = ready!(poll_open(&mut source, &mut download, context))?;
        Pin::new(tunnel).poll_flush(context)
    }

    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut download = self.download.borrow_mut();
        if !download.tunnel {
            download.ended();
            return Poll::Ready(Ok(()));
        }
        let mut source = self.upload.borrow_mut();
        let tunnel = ready!(poll_open(&mut source, &mut download, context))?;
        ready!(Pin::new(tunnel).poll_shutdown(context))?;
        self.ended.set(true);
        Poll::Ready(Ok(()))
    }

    fn poll_abandoned(&self, _context: &mut Context<'_>) -> Poll<()> {
        if self.download.borrow().tunnel { Poll::Pending } else { self.frames.poll_unwanted() }
    }

    fn ends_with_request(&self) -> bool {
        true
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }

    /// What is not whole is reset anyway.
    fn reset_on_close(&self, _resets: bool) {}
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended.get() {
            self.download.get_mut().cut();
        }
    }
}
