//! A connection to a server that speaks HTTP/2, and the places on it: one a request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response};
use tokio::time::Instant;

use super::outgoing::Body;
use super::upload::Upload;
use super::wire::{Local, Wire, run};
use crate::buffer::Buffer;
use crate::stream::Stream;
use crate::tune::Tune;

/// The most requests on one connection at a time, whatever the server allows: HAProxy's
/// `tune.h2.be.max-concurrent-streams`.
const MAX_STREAMS: usize = 100;
/// What a server may send on one stream before it is taken, in bytes: the protocol's own default, as in HAProxy.
pub(crate) const STREAM_WINDOW: u32 = 65_535;
/// As much for all streams together, so that a client who does not read holds up nobody else's.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// What waits to be sent on one stream, in bytes.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;
/// Responses whose bytes are all there and whose end has not come, at most. Further ones are reset.
const MAX_TAILS: usize = 32;
/// How long such a response may hold up the end of a connection that takes no requests any more.
const TAIL_TIME: Duration = Duration::from_secs(5);

/// A connection.
pub(super) struct Session {
    sender: SendRequest<Body>,
    connection: Rc<Driven>,
    life: Rc<Life>,
    /// Requests on it.
    active: Cell<usize>,
    /// Since when there is none.
    idle_since: Cell<Instant>,
    /// Whether it takes no further ones.
    retired: Cell<bool>,
}

/// hyper's side of a connection, for as long as it takes requests. Those that wait in it are handed back when it goes.
type Driven = RefCell<Option<Connection<Line, Body, Local>>>;

/// What a connection's own task and its users tell each other.
#[derive(Debug, Default)]
struct Life {
    /// Counts the pieces of responses that came.
    heard: Cell<u64>,
    /// Responses that only want their end.
    tails: RefCell<VecDeque<Upload>>,
    /// Whether there is a task that sees them to their ends.
    driven: Cell<bool>,
    /// Wakes the connection's own task.
    driver: RefCell<Option<Waker>>,
    /// Wakes whoever waits for the server's first word.
    opener: RefCell<Option<Waker>>,
}

/// The socket, and who waits for something to come.
#[derive(Debug)]
pub(super) struct Line {
    wire: Wire,
    life: Rc<Life>,
}

/// A place on a connection, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    session: Rc<Session>,
    /// What had come before this was taken.
    heard: u64,
}

impl Session {
    /// Begins to speak HTTP/2 on a connection, and waits for the server's settings: without them there is no telling
    /// whether it speaks it too, and how much it takes.
    ///
    /// # Errors
    /// When the server does not speak it.
    pub(super) async fn open(stream: Stream, tune: Tune) -> io::Result<Rc<Session>> {
        let life = Rc::new(Life::default());
        let wire = Wire::new(stream, Buffer::none());
        let line = Line { wire, life: life.clone() };
        let (sender, connection) =
            builder(tune).handshake(line).await.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        life.driven.set(true);
        run(drive(connection.clone(), life.clone()));
        let session = Session {
            sender,
            connection,
            life,
            active: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            retired: Cell::new(false),
        };
        poll_fn(|context| {
            if session.is_gone() {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
            }
            if session.room() > 0 {
                return Poll::Ready(Ok(()));
            }
            session.life.opener.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await?;
        Ok(Rc::new(session))
    }

    /// How many requests the server takes at once.
    pub(super) fn room(&self) -> usize {
        let connection = self.connection.borrow();
        connection.as_ref().map_or(0, Connection::current_max_send_streams).min(MAX_STREAMS)
    }

    /// A place, where there is one.
    pub(super) fn seat(self: &Rc<Session>) -> Option<Seat> {
        if self.is_gone() || self.active.get() >= self.room() {
            return None;
        }
        self.active.set(self.active.get() + 1);
        Some(Seat { session: self.clone(), heard: self.life.heard.get() })
    }

    /// Whether it takes no further requests.
    pub(super) fn is_gone(&self) -> bool {
        self.retired.get() || self.sender.is_closed()
    }

    /// Since when no request is on it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.idle_since.get())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Seat {
    /// Sends a request on the connection.
    pub(super) fn send(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Body>>>> + 'static
    {
        self.session.sender.clone().try_send_request(request)
    }

    /// Whether no other request is on the connection.
    pub(crate) fn is_alone(&self) -> bool {
        self.session.active.get() == 1
    }

    /// Whether the connection takes no further requests.
    pub(crate) fn is_gone(&self) -> bool {
        self.session.is_gone()
    }

    /// The connection that it is on.
    pub(super) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// Keeps further requests off the connection.
    pub(super) fn retire(&self) {
        self.session.retired.set(true);
    }

    /// Notes that something came.
    pub(super) fn hear(&self) {
        let heard = &self.session.life.heard;
        heard.set(heard.get().wrapping_add(1));
    }

    /// Keeps further requests off a connection that has been silent since this place was taken.
    pub(super) fn suspect(&self) {
        if self.session.life.heard.get() == self.heard {
            self.retire();
        }
    }

    /// Sees a response to its end of which all bytes have been taken: to reset it would be a reproach.
    pub(super) fn see_off(&self, tail: Upload) {
        let life = &self.session.life;
        let mut tails = life.tails.borrow_mut();
        tails.push_back(tail);
        let crowded = tails.len() > MAX_TAILS;
        let oldest = if crowded { tails.pop_front() } else { None };
        drop(tails);
        drop(oldest);
        if life.driven.replace(true) {
            wake(&life.driver);
        } else {
            run(end_tails(life.clone()));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let active = self.session.active.get().saturating_sub(1);
        self.session.active.set(active);
        self.session.idle_since.set(Instant::now());
    }
}

fn builder(tune: Tune) -> Builder<Local> {
    let mut builder = Builder::new(Local);
    builder
        // None before the server has said how many.
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(tune.max_head()).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER);
    builder
}

/// Drives a connection until it takes no requests any more, and what is left on it to its end.
async fn drive(connection: Rc<Driven>, life: Rc<Life>) {
    poll_fn(|context| {
        life.driver.replace(Some(context.waker().clone()));
        life.tails.borrow_mut().retain_mut(|tail| tail.poll_end(context).is_pending());
        match &mut *connection.borrow_mut() {
            Some(connection) => Pin::new(connection).poll(context).map(|_| ()),
            None => Poll::Ready(()),
        }
    })
    .await;
    let ended = connection.take();
    drop(ended);
    wake(&life.opener);
    end_tails(life).await;
}

/// Sees responses to their ends that only want these. hyper has a task of its own for the socket, which stays for as long
/// as anybody holds a stream: a tail that nobody looks at would keep the connection open for ever.
async fn end_tails(life: Rc<Life>) {
    let ended = poll_fn(|context| {
        life.driver.replace(Some(context.waker().clone()));
        let mut tails = life.tails.borrow_mut();
        tails.retain_mut(|tail| tail.poll_end(context).is_pending());
        if tails.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    // A server that does not end them has them reset.
    let _late = tokio::time::timeout(TAIL_TIME, ended).await;
    life.driven.set(false);
    let left = life.tails.take();
    drop(left);
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Read for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Line { wire, life } = self.get_mut();
        let read = Pin::new(wire).poll_read(context, space);
        if read.is_ready() {
            wake(&life.opener);
        }
        read
    }
}

impl Write for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(context)
    }
}
