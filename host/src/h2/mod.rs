//! HTTP/2 with clients: each of a connection's streams is one exchange.
//!
//! The exchange stays the one way of a request. It finds its client's side to be a byte stream of HTTP/1.1, whose bytes
//! are made of a stream's frames (`upload.rs`) and become frames again (`download.rs`); `stream.rs` is that stream.
//! hyper speaks the protocol, and bounds what a client can make this end hold. Nothing here knows of servers.

pub(crate) mod download;
pub(crate) mod frames;
mod hpack;
#[cfg(any(test, feature = "fuzzing"))]
mod passed_on;
mod request;
mod screen;
mod stream;
mod task;
pub(crate) mod upload;
pub(crate) mod wire;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::model::Http2;
use crate::connection::{Came, Client, Permitted};
use crate::exchange::{Exchange, Next};
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::stream::{Ending, Stream::Carried};
use crate::timer::Timer;
use crate::tls::TlsSession;
use crate::upstream::Own;
use crate::worker::{Doorway, Worker};
use frames::{Body, Frames};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use passed_on::{PassedOn, passed_on};
use request::Translated;
use screen::Screen;
use stream::Stream;
use task::Tasks;
use wire::{Progress, Wire};

/// With these bytes a client begins that knows that HTTP/2 is spoken here (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Streams that a client may reset before they are looked at, and streams that may be reset for its errors: past these
/// the connection ends (CVE-2023-44487, CVE-2025-8671).
pub(crate) const MAX_RESETS: usize = 32;
/// How long a client may take to close a connection that it was told is ending, from the last that went out on it.
const FAREWELL: Duration = Duration::from_secs(1);
/// What waits to be sent on one stream, in bytes.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;

/// A connection, for its streams.
struct Connection {
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    peer: Option<SocketAddr>,
    tls: Option<Arc<TlsSession>>,
    /// Exchanges that have begun and have not been logged.
    active: Cell<usize>,
    max_active: usize,
    /// Told when one of them has ended.
    room: Notify,
    /// Whether any has begun.
    greeted: Cell<bool>,
    /// Connections to servers that belong to the client.
    own: Own,
    /// The lists of networks that have let the client in.
    permitted: RefCell<Permitted>,
    /// Whether lists that came into force since do not.
    unwanted: Cell<bool>,
    /// Since when none is active.
    idle_since: Cell<Instant>,
    /// Wakes the connection's own task.
    waker: RefCell<Waker>,
}

/// Counts an exchange for as long as this lives.
struct Active {
    connection: Rc<Connection>,
    /// Whether it is counted among those of the process too.
    counted: bool,
}

/// Serves a client until its connection ends. What is returned has to end in such a way that the client sees the last
/// frames.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    settings: Http2,
    client: Client,
) -> Option<Ending> {
    let connection = Rc::new(Connection {
        worker,
        doorway,
        peer: client.peer,
        tls: client.tls.clone(),
        active: Cell::new(0),
        max_active: settings.max_concurrent_streams as usize,
        room: Notify::new(),
        greeted: Cell::new(false),
        own: Own::shared(),
        permitted: RefCell::default(),
        unwanted: Cell::new(false),
        idle_since: Cell::new(Instant::now()),
        waker: RefCell::new(Waker::noop().clone()),
    });
    let header_list = settings.max_header_list_size.unwrap_or(connection.worker.tune.max_head());
    let shared = connection.clone();
    let tasks = Tasks::default();
    let builder = builder(tasks.clone(), &settings, header_list);
    let service =
        service_fn(move |request: Request<Incoming>| answer(shared.clone(), tasks.clone(), request));
    let screen = Screen::new(settings.max_frame_size as usize, header_list);
    let stream = Rc::new(RefCell::new(client.stream));
    let progress = Rc::new(Progress::new());
    let wire = Wire::of_client(stream.clone(), client.buffer, screen).noting(progress.clone());
    let mut served = Box::pin(builder.serve_connection(wire, service));
    let mut timer = Timer::default();
    let mut leaving = false;
    poll_fn(|context| {
        connection.waker.borrow_mut().clone_from(context.waker());
        loop {
            if served.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let active = connection.active.get() > 0;
            if !leaving && connection.is_over() {
                leaving = true;
                connection.idle_since.set(Instant::now());
                served.as_mut().graceful_shutdown();
                continue;
            }
            if active {
                return Poll::Pending;
            }
            let idle_since = connection.idle_since.get();
            // Exchanges end before their clients have all of the answer: what is owed yet goes out.
            let (since, patience) = if leaving {
                progress.patience(idle_since, FAREWELL, connection.stall())
            } else {
                (idle_since, connection.patience())
            };
            timer.set(since, patience);
            if timer.poll_elapsed(context).is_pending() {
                return Poll::Pending;
            }
            if std::mem::replace(&mut leaving, true) {
                return Poll::Ready(());
            }
            connection.idle_since.set(Instant::now());
            served.as_mut().graceful_shutdown();
        }
    })
    .await;
    drop(served);
    // Those whose client has gone still end, and are logged.
    while connection.active.get() > 0 {
        connection.room.notified().await;
    }
    Rc::into_inner(stream)?.into_inner().into_ending()
}

fn builder<E: Clone>(executor: E, settings: &Http2, header_list: usize) -> http2::Builder<E> {
    let mut builder = http2::Builder::new(executor);
    builder
        .auto_date_header(false)
        .enable_connect_protocol()
        .max_concurrent_streams(settings.max_concurrent_streams)
        .initial_stream_window_size(settings.initial_window_size)
        .initial_connection_window_size(settings.initial_connection_window_size)
        .max_frame_size(settings.max_frame_size)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS);
    builder
}

impl Connection {
    /// Whether it is to end with what it is at: the process ends, its listener is gone, or a reload brought lists that
    /// keep its client out.
    fn is_over(&self) -> bool {
        self.worker.is_draining() || self.doorway.frontend().is_none() || self.is_unwanted()
    }

    /// Whether the lists in force keep the client out.
    fn is_unwanted(&self) -> bool {
        if self.unwanted.get() {
            return true;
        }
        let generation = self.worker.generation();
        let frontend = self.doorway.frontend().and_then(|index| generation.frontends.get(index));
        let Some(frontend) = frontend else { return false };
        if self.permitted.borrow_mut().admits(frontend, self.peer) {
            return false;
        }
        frontend.tally.denied_connections.add(1);
        self.unwanted.set(true);
        true
    }

    /// How long the connection may go without a request.
    fn patience(&self) -> Option<Duration> {
        let generation = self.worker.generation();
        let frontend = generation.frontends.get(self.doorway.frontend()?)?;
        let timeouts = &frontend.shared.config.timeout;
        let request = timeouts.http_request.or(timeouts.client);
        if self.greeted.get() { timeouts.http_keep_alive.or(request) } else { request }
    }

    /// How long the client may let what is on its way to it wait.
    fn stall(&self) -> Option<Duration> {
        let generation = self.worker.generation();
        let frontend = self.doorway.frontend().and_then(|index| generation.frontends.get(index));
        frontend.map_or(Some(FAREWELL), |frontend| frontend.shared.config.timeout.client)
    }

    /// Counts an exchange, once there is room for it: a client that resets streams does not get more of them done at
    /// once than it may have, and all clients together not more than there may be connections, so that memory and sockets
    /// have a bound. A connection that has none gets one all the same: nobody is kept out by others with many.
    async fn enter(self: &Rc<Connection>) -> Active {
        let streams = &self.worker.process.streams;
        let counted = loop {
            if self.active.get() >= self.max_active {
                self.room.notified().await;
                continue;
            }
            let counted = streams.try_enter();
            if counted || self.active.get() == 0 {
                break counted;
            }
            tokio::select! {
                () = self.room.notified() => {}
                () = streams.has_room() => {}
            }
        };
        debug_assert!(self.active.get() < self.max_active);
        self.active.set(self.active.get() + 1);
        self.greeted.set(true);
        Active { connection: self.clone(), counted }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let connection = &self.connection;
        if self.counted {
            connection.worker.process.streams.leave();
        }
        connection.active.set(connection.active.get().saturating_sub(1));
        connection.idle_since.set(Instant::now());
        connection.room.notify_one();
        connection.waker.borrow().wake_by_ref();
    }
}

/// Has a request served by an exchange, and answers as soon as the response's head is there.
async fn answer(
    connection: Rc<Connection>,
    tasks: Tasks,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let came = (Instant::now(), SystemTime::now());
    let has_asked = connection.greeted.get();
    let active = connection.enter().await;
    let frames = Rc::new(Frames::default());
    let body = Body::of(frames.clone());
    let mut scratch = Scratch::default();
    let Translated { head, rest, kind } = request::translate(request, &mut scratch);
    let stream = Stream::new(rest, kind, frames.clone(), connection.worker.tune);
    let mut client = Client::new(Carried(Box::new(stream)), connection.peer, connection.tls.clone());
    (client.scratch, client.own, client.has_asked) = (scratch, connection.own.clone(), has_asked);
    tasks.begin(frames.clone(), exchange(active, client, head, came));
    let head = frames.head().await?;
    Ok(head.map(|()| body))
}

/// Runs the exchange, or refuses what is no request.
async fn exchange(
    active: Active,
    mut client: Client,
    head: Result<(), Failure>,
    (first_byte, first_byte_at): (Instant, SystemTime),
) {
    let connection = &active.connection;
    let worker = &connection.worker;
    let generation = worker.generation();
    let Some(frontend) = connection.doorway.frontend().and_then(|index| generation.frontends.get(index))
    else {
        return;
    };
    if connection.is_unwanted() {
        // The stream is reset.
        return;
    }
    match head.and_then(|()| client.take_head(worker.tune)) {
        Ok(()) => {
            let came = Came { first_byte, first_byte_at, head: first_byte };
            let doorway = &connection.doorway;
            let next = Exchange::new(worker, doorway, &generation, frontend, &mut client, came).run().await;
            if next == Next::Reset {
                // Dropped without its end, the stream is reset.
                return;
            }
        }
        Err(failure) => client.refuse(worker, frontend, failure, (first_byte, first_byte_at)).await,
    }
    // Over, and what follows takes as long as the client likes.
    drop(generation);
    client.finish().await;
}
