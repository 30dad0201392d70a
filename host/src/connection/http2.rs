//! A client's connection of HTTP/2: its socket, and its streams, each of which is an exchange.
//!
//! The protocol is `http2/`'s, which knows no socket. What reads and writes is one task, the connection's own; each exchange is
//! a task too, and finds its client's side to be a message stream (`stream.rs`). They share the connection on one thread,
//! so that a response goes from the exchange into the connection's output without another copy, and what several of them say
//! goes out in one write.

mod stream;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Came, Client, Permitted};
use crate::buffer::Buffer;
use crate::config::model::Http2;
use crate::exchange::{Exchange, Next};
use crate::failure::Failure;
use crate::http2::{Connection as Protocol, Limits, Request};
use crate::stream::{Ending, Stream};
use crate::timer::Timer;
use crate::tls::TlsSession;
use crate::tune::Tune;
use crate::upstream::Own;
use crate::worker::{Doorway, Worker};
use stream::ClientStream;

/// How long a client may take to close a connection that it was told is ending, from the last that went out on it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection, for its streams.
struct Connection {
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    peer: Option<SocketAddr>,
    tls: Option<Arc<TlsSession>>,
    protocol: RefCell<Protocol>,
    /// Exchanges that have begun and have not been logged.
    active: Cell<usize>,
    max_active: usize,
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
    /// Wakes the connection's own task, unless it has been woken already.
    waker: RefCell<Option<Waker>>,
}

/// Counts an exchange for as long as this lives.
struct Active {
    connection: Rc<Connection>,
    /// Whether it is counted among those of the process too.
    counted: bool,
}

/// When something came.
type Moment = (Instant, SystemTime);

/// Serves a client until its connection ends. What is returned has to end in such a way that the client sees the last
/// frames.
pub(super) async fn serve(
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    settings: Http2,
    client: Client,
) -> Option<Ending> {
    let connection = Rc::new(Connection {
        protocol: RefCell::new(Protocol::new(limits(&settings, worker.tune))),
        worker,
        doorway,
        peer: client.peer,
        tls: client.tls.clone(),
        active: Cell::new(0),
        max_active: settings.max_concurrent_streams as usize,
        greeted: Cell::new(false),
        own: Own::shared(),
        permitted: RefCell::default(),
        unwanted: Cell::new(false),
        idle_since: Cell::new(Instant::now()),
        waker: RefCell::new(None),
    });
    let mut driver = Driver {
        connection: connection.clone(),
        stream: client.stream,
        buffer: client.buffer,
        needs: 0,
        waiting: VecDeque::new(),
        has_room: None,
        timer: Timer::default(),
        leaving: None,
        sent_at: Instant::now(),
        is_stuck: false,
    };
    poll_fn(|context| driver.poll(context)).await;
    let Driver { stream, waiting, .. } = driver;
    connection.protocol.borrow_mut().hung_up();
    for (request, _) in waiting {
        connection.protocol.borrow_mut().release(request.key);
    }
    // Those whose client has gone still end, and are logged.
    poll_fn(|context| {
        connection.waker.replace(Some(context.waker().clone()));
        if connection.active.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    stream.into_ending()
}

/// What a client of a listener may ask for.
fn limits(settings: &Http2, tune: Tune) -> Limits {
    Limits {
        streams: settings.max_concurrent_streams as usize,
        stream_window: settings.initial_window_size,
        connection_window: settings.initial_connection_window_size,
        frame: settings.max_frame_size,
        header_list: settings.max_header_list_size.unwrap_or(tune.max_head()),
        lines: tune.maxhdr,
        head: tune.max_head(),
    }
}

/// The connection's own task.
struct Driver {
    connection: Rc<Connection>,
    stream: Stream,
    /// What has come and has not been taken.
    buffer: Buffer,
    /// How much has to be in it before more can be taken.
    needs: usize,
    /// Requests that there was no room for yet.
    waiting: VecDeque<(Request, Moment)>,
    /// Waits for room among all clients' exchanges.
    has_room: Option<Pin<Box<dyn Future<Output = ()>>>>,
    timer: Timer,
    /// Since when the connection has been ending.
    leaving: Option<Instant>,
    /// When something went out last, and whether more would, if the client took it.
    sent_at: Instant,
    is_stuck: bool,
}

impl Driver {
    /// Ready when the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.waker.replace(Some(context.waker().clone()));
        loop {
            let is_held = self.read(context);
            self.begin_exchanges(context);
            if self.leaving.is_none() && self.connection.is_over() {
                self.leave();
            }
            self.write(context);
            let protocol = self.connection.protocol.borrow();
            if protocol.is_over() && protocol.output().is_empty() {
                return Poll::Ready(());
            }
            // What kept it from reading may have gone out.
            if is_held && protocol.is_receptive() {
                continue;
            }
            drop(protocol);
            match self.poll_timeout(context) {
                // There is something to be sent.
                Poll::Ready(Timeout::Told) => {}
                Poll::Ready(Timeout::Over) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes what has come. Whether it stopped because the client takes nothing itself.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let mut protocol = self.connection.protocol.borrow_mut();
        while protocol.is_receptive() {
            if self.buffer.is_empty() || self.buffer.data().len() < self.needs {
                self.buffer.release();
                let size = self.connection.worker.tune.bufsize.max(self.needs);
                match self.stream.split().0.poll_fill(context, &mut self.buffer, size) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(_) => {
                        protocol.hung_up();
                        return false;
                    }
                    Poll::Pending => return false,
                }
            }
            let (used, needs) = protocol.receive(self.buffer.data());
            self.buffer.gone(used);
            self.needs = needs;
            let mut moment = None;
            while let Some(request) = protocol.next_request() {
                let moment = *moment.get_or_insert_with(|| (Instant::now(), SystemTime::now()));
                self.waiting.push_back((request, moment));
            }
        }
        true
    }

    /// Begins the exchanges that there is room for.
    fn begin_exchanges(&mut self, context: &mut Context<'_>) {
        while let Some((request, _)) = self.waiting.front() {
            let key = request.key;
            let is_wanted = self.connection.protocol.borrow().is_wanted(key);
            let counted = if is_wanted { self.room(context) } else { Some(false) };
            let Some(counted) = counted else { return };
            let Some((request, moment)) = self.waiting.pop_front() else { return };
            let mut protocol = self.connection.protocol.borrow_mut();
            if is_wanted {
                protocol.begin(key);
                drop(protocol);
                self.connection.begin(request, counted, moment);
            } else {
                protocol.release(key);
            }
        }
        self.has_room = None;
    }

    /// Whether there is room for one more exchange, and whether that is counted among all clients'. A client that resets streams
    /// does not get more of them done at once than it may have, and all clients together not more than there may be
    /// connections, so that memory and sockets have a bound. A connection that has none gets one all the same: nobody is
    /// kept out by others with many.
    fn room(&mut self, context: &mut Context<'_>) -> Option<bool> {
        let connection = &self.connection;
        let active = connection.active.get();
        if active >= connection.max_active {
            return None;
        }
        loop {
            if connection.worker.process.streams.try_enter() {
                return Some(true);
            }
            if active == 0 {
                return Some(false);
            }
            let process = connection.worker.process.clone();
            let has_room = async move { process.streams.has_room().await };
            let waiting = self.has_room.get_or_insert_with(|| Box::pin(has_room));
            if waiting.as_mut().poll(context).is_pending() {
                return None;
            }
            self.has_room = None;
        }
    }

    /// Sends what is to go out, as far as it goes.
    fn write(&mut self, context: &mut Context<'_>) {
        let mut protocol = self.connection.protocol.borrow_mut();
        let mut writer = self.stream.split().1;
        loop {
            let output = protocol.output();
            if output.is_empty() {
                break;
            }
            match writer.poll_write(context, output) {
                Poll::Ready(Ok(count)) => {
                    protocol.sent(count);
                    if self.leaving.is_some() {
                        self.sent_at = Instant::now();
                    }
                }
                Poll::Ready(Err(_)) => {
                    // Nobody is there to get the rest.
                    let rest = output.len();
                    protocol.hung_up();
                    protocol.sent(rest);
                    return;
                }
                Poll::Pending => {
                    self.is_stuck = true;
                    return;
                }
            }
        }
        self.is_stuck = writer.poll_flush(context).is_pending();
    }

    /// Tells the client that the connection is ending.
    fn leave(&mut self) {
        self.leaving = Some(Instant::now());
        self.connection.protocol.borrow_mut().announce_end();
    }

    /// Ready where the client has kept the connection waiting for too long.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<Timeout> {
        let connection = &self.connection;
        let is_idle = connection.active.get() == 0 && self.waiting.is_empty();
        let (since, patience) = match self.leaving {
            // Who does not say that it knows may open streams for ever.
            Some(told) if !is_idle && connection.protocol.borrow().is_announced() => (told, Some(FAREWELL)),
            _ if !is_idle => return Poll::Pending,
            // Exchanges end before their clients have all of the answer: what is owed yet goes out.
            Some(told) => {
                let since = told.max(connection.idle_since.get()).max(self.sent_at);
                (since, if self.is_stuck { connection.stall() } else { Some(FAREWELL) })
            }
            None => {
                connection.protocol.borrow_mut().rest();
                (connection.idle_since.get(), connection.patience())
            }
        };
        self.timer.set(since, patience);
        ready!(self.timer.poll_elapsed(context));
        match self.leaving {
            None => self.leave(),
            Some(_) if !is_idle => connection.protocol.borrow_mut().take_no_more(),
            Some(_) => return Poll::Ready(Timeout::Over),
        }
        Poll::Ready(Timeout::Told)
    }
}

/// What came of waiting for a client.
enum Timeout {
    /// It is told that the connection is ending.
    Told,
    /// It has been told, and the connection is over.
    Over,
}

impl Connection {
    /// Begins an exchange, on a task of its own: whatever becomes of the connection, it comes to its end and is logged.
    fn begin(self: &Rc<Connection>, request: Request, counted: bool, moment: Moment) {
        let Request { key, scratch, is_sound } = request;
        debug_assert!(self.active.get() < self.max_active);
        self.active.set(self.active.get() + 1);
        let active = Active { connection: self.clone(), counted };
        let stream = ClientStream::new(self.clone(), key);
        let mut client = Client::new(Stream::Message(Box::new(stream)), self.peer, self.tls.clone());
        client.scratch = scratch;
        client.own = self.own.clone();
        client.has_asked = self.greeted.replace(true);
        // In a box: it is large, and the runtime would copy it several times on its way in and out.
        drop(tokio::task::spawn_local(Box::pin(exchange(active, client, is_sound, moment))));
    }

    /// Has the connection's own task look after it.
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

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
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("active", &self.active).finish_non_exhaustive()
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
        connection.wake();
    }
}

/// Runs the exchange of a request, or refuses what is none.
async fn exchange(active: Active, mut client: Client, is_sound: bool, moment: Moment) {
    let connection = &active.connection;
    let worker = &connection.worker;
    let generation = worker.generation();
    let Some(frontend) = connection.doorway.frontend().and_then(|index| generation.frontends.get(index))
    else {
        return;
    };
    if connection.is_unwanted() {
        return;
    }
    if !is_sound {
        return client.refuse(worker, frontend, Failure::BadRequest, moment).await;
    }
    Arc::make_mut(&mut client.scratch.request).client_port = client.peer.map_or(0, |peer| peer.port());
    let (first_byte, first_byte_at) = moment;
    let came = Came { first_byte, first_byte_at, head: first_byte };
    // What the client did not get all of is reset as it is dropped.
    let _: Next =
        Exchange::new(worker, &connection.doorway, &generation, frontend, &mut client, came).run().await;
    client.scratch.release();
}
