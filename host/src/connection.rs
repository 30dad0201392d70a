//! A client's connection: requests are read off it, one after the other, and each becomes an exchange.
//!
//! What cannot be read as a request is answered and logged here. Between requests the connection holds no
//! buffer and no heads.

mod http2;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::exchange::{Exchange, Next, secure};
use crate::failure::{self, Failure};
use crate::http::arrival;
use crate::http::parse;
use crate::http2::PREFACE;
use crate::linger;
use crate::log::record::{Record, Tls};
use crate::rules::Access;
use crate::scratch::Scratch;
use crate::stats::ending;
use crate::stats::tally::Finished;
use crate::stream::{Ending, Stream};
use crate::timer::Timer;
use crate::tls::TlsSession;
use crate::upstream::Own;
use crate::worker::{Doorway, FrontendSeat, Worker};

/// How long a connection that has brought no request yet may still bring one while the process drains.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The client's side of its exchanges.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    /// The client's address; `None` on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// What its handshake settled, where it came by TLS.
    pub(crate) tls: Option<Arc<TlsSession>>,
    /// What has come from the client and has not been used.
    pub(crate) buffer: Buffer,
    /// The one deadline that counts at the time.
    pub(crate) timer: Timer,
    /// The heads of the request and its response, and memory to write them in.
    pub(crate) scratch: Scratch,
    /// Connections to servers that belong to the client.
    pub(crate) own: Own,
    /// Whether it has sent a request before the one at hand.
    pub(crate) has_asked: bool,
}

/// When a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Its first byte.
    pub(crate) first_byte: Instant,
    /// Its first byte, by the clock on the wall.
    pub(crate) first_byte_at: SystemTime,
    /// Its head, whole.
    pub(crate) head: Instant,
}

/// What came of waiting for a request.
enum Arrival {
    /// Its head is there.
    Head(Came),
    /// The client speaks HTTP/2.
    Http2((Instant, SystemTime)),
    /// None comes any more: the client has gone, is too slow, or the process ends.
    Silence,
    /// None came at all: the client closed a connection that it had said nothing on.
    Nothing((Instant, SystemTime)),
    /// What came is no request.
    Failed(Failure, (Instant, SystemTime)),
}

/// How long a client is waited for, copied from the configuration: who waits must not hold on to that.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a request, from its first byte or from the connection's beginning on.
    request: Option<Duration>,
    /// For the first byte of a further one.
    keep_alive: Option<Duration>,
}

/// What was read.
enum Read {
    /// A head, which was there at once or had to be waited for.
    Head { waited: bool },
    /// What clients of HTTP/2 begin with; it is still in the buffer.
    Preface,
}

/// Serves a client until its connection ends. What is returned has to end in such a way that the client sees the last
/// answer.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    stream: Stream,
    peer: Option<SocketAddr>,
    tls: Option<Arc<TlsSession>>,
) -> Option<Ending> {
    let accepted = (Instant::now(), SystemTime::now());
    let mut client = Client::new(stream, peer, tls);
    let mut first = true;
    let mut permitted = Permitted::default();
    loop {
        let Some(patience) = patience(&worker, &doorway, &mut permitted, peer) else {
            return client.leave().await;
        };
        let arrival = client.await_request(&worker, &doorway, patience, first.then_some(accepted)).await;
        first = false;
        // A reload may have come while this waited, which held on to nothing of the configuration of before: the
        // request belongs to the one in force now, from here to its end.
        let generation = worker.generation();
        // The frontend may have gone: then its connections end with what they are at.
        let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) else {
            return client.leave().await;
        };
        if !permitted.admits(frontend, peer) {
            frontend.tally.denied_connections.add(1);
            break;
        }
        match arrival {
            Arrival::Head(came) => {
                let next =
                    Exchange::new(&worker, &doorway, &generation, frontend, &mut client, came).run().await;
                match next {
                    Next::Keep => {}
                    Next::Close => break,
                    Next::Linger => return client.hear_out(),
                    Next::Reset => return None,
                }
                client.has_asked = true;
            }
            Arrival::Http2(began) => {
                let Some(settings) = frontend.shared.config.http2.clone() else {
                    client.refuse(&worker, frontend, Failure::BadRequest, began).await;
                    return client.hear_out();
                };
                client.scratch.release();
                // A connection of HTTP/2 may last for days.
                drop(generation);
                // In a box, so that connections of HTTP/1 do not carry the room for it.
                return Box::pin(http2::serve(worker, doorway, settings, client)).await;
            }
            Arrival::Silence => return client.leave().await,
            Arrival::Nothing(_) if frontend.shared.config.dontlognull => return None,
            Arrival::Nothing(began) => {
                client.refuse(&worker, frontend, Failure::ClientAbortsRequest, began).await;
                break;
            }
            Arrival::Failed(failure, began) => {
                client.refuse(&worker, frontend, failure, began).await;
                if failure == Failure::BadRequest {
                    // Nobody knows how much of it is still on its way.
                    return client.hear_out();
                }
                break;
            }
        }
    }
    client.scratch.release();
    client.part().await
}

impl Client {
    /// A client of whom nothing has been read.
    pub(crate) fn new(stream: Stream, peer: Option<SocketAddr>, tls: Option<Arc<TlsSession>>) -> Client {
        let (buffer, timer, scratch) = (Buffer::none(), Timer::default(), Scratch::default());
        let (own, has_asked) = (Own::default(), false);
        Client { stream, peer, tls, buffer, timer, scratch, own, has_asked }
    }

    /// Waits for the next request's head. `accepted` is set for the first one on the connection.
    async fn await_request(
        &mut self,
        worker: &Worker,
        doorway: &Doorway,
        patience: Patience,
        accepted: Option<(Instant, SystemTime)>,
    ) -> Arrival {
        let now = accepted.map_or_else(Instant::now, |(instant, _)| instant);
        self.timer.set(now, if accepted.is_some() { patience.request } else { patience.keep_alive });
        if self.buffer.is_empty() {
            match self.first_bytes(worker, doorway, accepted.is_some()).await {
                Some(Ok(count)) if count > 0 => {}
                Some(Err(failure)) if accepted.is_some() => {
                    return Arrival::Failed(failure, accepted.unwrap_or_else(now_twice));
                }
                Some(Ok(_)) if accepted.is_some() => {
                    return Arrival::Nothing(accepted.unwrap_or_else(now_twice));
                }
                _ => return Arrival::Silence,
            }
        }
        let began = now_twice();
        if accepted.is_none() {
            self.timer.set(began.0, patience.request);
        }
        let http2 = accepted.is_some() && speaks_http2(worker, doorway);
        match self.whole_head(worker, http2).await {
            Ok(Read::Preface) => Arrival::Http2(began),
            Ok(Read::Head { waited }) => {
                let (first_byte, first_byte_at) = began;
                // Nearly always all of it came at once, and the time need not be asked for again.
                let head = if waited { Instant::now() } else { first_byte };
                Arrival::Head(Came { first_byte, first_byte_at, head })
            }
            Err(failure) => Arrival::Failed(failure, began),
        }
    }

    /// Waits without a buffer; then reads what came. `None` when the process ends, or at the client's end;
    /// an error when the time is up.
    async fn first_bytes(
        &mut self,
        worker: &Worker,
        doorway: &Doorway,
        first: bool,
    ) -> Option<Result<usize, Failure>> {
        self.buffer.release();
        self.scratch.release();
        let mut hurried = false;
        poll_fn(|context| {
            if doorway.frontend().is_none() || (worker.is_draining() && !first) {
                return Poll::Ready(None);
            }
            if worker.is_draining() && !std::mem::replace(&mut hurried, true) {
                // The first request may be on its way: it is not refused for having come late.
                self.timer.set(Instant::now(), Some(LAST_CALL));
            }
            let mut reader = self.stream.split().0;
            match reader.poll_fill(context, &mut self.buffer, worker.tune.bufsize) {
                Poll::Ready(read) => Poll::Ready(Some(Ok(read.unwrap_or(0)))),
                Poll::Pending => self.timer.poll_elapsed(context).map(|_| Some(Err(Failure::RequestTimeout))),
            }
        })
        .await
    }

    /// Reads on until the head is whole, or turns out to be the preface of HTTP/2, where that may be.
    async fn whole_head(&mut self, worker: &Worker, http2: bool) -> Result<Read, Failure> {
        let tune = worker.tune;
        let head = Arc::make_mut(&mut self.scratch.request);
        head.client_port = self.peer.map_or(0, |peer| peer.port());
        let (buffer, timer) = (&mut self.buffer, &mut self.timer);
        let (mut reader, _) = self.stream.split();
        let (mut arrival, mut read_on) = (arrival::Arrival::default(), false);
        poll_fn(|context| {
            loop {
                let bytes = buffer.data();
                if arrival.is_worth_a_look(bytes, tune.max_head()) {
                    match parse::request(bytes, tune.maxhdr, head) {
                        Ok(Some(length)) if length <= tune.max_head() => {
                            buffer.gone(length);
                            return Poll::Ready(Ok(Read::Head { waited: read_on }));
                        }
                        Ok(None) if bytes.len() <= tune.max_head() => {}
                        // What is no request may be the preface, or become it.
                        Ok(_) | Err(_) if http2 && bytes.starts_with(PREFACE) => {
                            return Poll::Ready(Ok(Read::Preface));
                        }
                        Ok(_) | Err(_) if http2 && PREFACE.starts_with(bytes) => {}
                        Ok(_) | Err(_) => return Poll::Ready(Err(Failure::BadRequest)),
                    }
                }
                read_on = true;
                match reader.poll_read(context, buffer) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(Err(Failure::ClientAbortsRequest)),
                    Poll::Pending => {
                        let _elapsed = ready!(timer.poll_elapsed(context));
                        return Poll::Ready(Err(Failure::RequestTimeout));
                    }
                }
            }
        })
        .await
    }

    /// Answers and logs what is no request.
    pub(crate) async fn refuse(
        &mut self,
        worker: &Worker,
        frontend: &FrontendSeat,
        failure: Failure,
        (began, accepted): (Instant, SystemTime),
    ) {
        let config = &frontend.shared.config;
        let outcome = failure.outcome();
        let mut bytes = 0;
        if let Some(status) = outcome.status {
            let page = frontend.shared.pages.page(status).response(failure::Connection::Close, false);
            let page = secure::with_hsts(page, frontend, self);
            // Whether the client still takes the answer makes no difference now.
            let sends = failure == Failure::BadRequest;
            linger::answer(self, &page, config.timeout.client, sends).await;
            bytes = page.len() as u64;
        }
        let silent = self.buffer.is_empty() && failure == Failure::RequestTimeout;
        if silent && config.dontlognull {
            return;
        }
        frontend.tally.finish(&Finished {
            status: outcome.status,
            ending: ending::of(outcome.cause, outcome.phase, outcome.status),
            bytes_in: 0,
            bytes_out: bytes,
            total: began.elapsed(),
        });
        let record = Record {
            client: self.peer,
            // Finding it out is a system call.
            local: if frontend.log.names_local() { self.stream.local() } else { None },
            accepted,
            frontend: &config.name,
            tls: self.tls.as_deref().map(Tls::of),
            backend: &config.name,
            server: None,
            server_address: None,
            request_ms: -1,
            queue_ms: -1,
            connect_ms: -1,
            response_ms: -1,
            total_ms: began.elapsed().as_millis() as i64,
            status: outcome.status,
            bytes,
            uploaded: 0,
            termination: [outcome.cause, outcome.phase, b'-', b'-'],
            process_connections: worker.process.connections.current(),
            frontend_connections: frontend.shared.connections.current(),
            backend_connections: 0,
            server_connections: 0,
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            request_line: None,
            request: None,
            response: None,
        };
        worker.log(&frontend.log, &record);
    }

    /// Ends a connection on which nothing is owed; by TLS with a word, without which a client could not tell it from one
    /// that somebody has cut.
    async fn leave(mut self) -> Option<Ending> {
        if self.tls.is_some() {
            // Nobody waits until the socket takes it.
            poll_fn(|context| {
                let _ = self.stream.split().1.poll_shutdown(context);
                Poll::Ready(())
            })
            .await;
        }
        None
    }

    /// Ends the connection, on which more of a request may be on its way.
    fn hear_out(mut self) -> Option<Ending> {
        self.scratch.release();
        self.stream.into_ending()
    }

    /// Ends the connection, of whose requests all have been read. What is returned has to be heard out all the same.
    async fn part(mut self) -> Option<Ending> {
        let ended = poll_fn(|context| Poll::Ready(self.stream.split().1.poll_shutdown(context))).await;
        match ended {
            Poll::Ready(Ok(())) if self.buffer.is_empty() && !self.stream.has_news() => None,
            Poll::Ready(Err(_)) => None,
            _ => self.stream.into_ending(),
        }
    }
}

/// How long the frontend in force waits for the client. `None`: there is none, or its lists keep the client out.
fn patience(
    worker: &Worker,
    doorway: &Doorway,
    permitted: &mut Permitted,
    peer: Option<SocketAddr>,
) -> Option<Patience> {
    let generation = worker.generation();
    let frontend = generation.frontends.get(doorway.frontend()?)?;
    if !permitted.admits(frontend, peer) {
        frontend.tally.denied_connections.add(1);
        return None;
    }
    let timeouts = &frontend.shared.config.timeout;
    let request = timeouts.http_request.or(timeouts.client);
    Some(Patience { request, keep_alive: timeouts.http_keep_alive.or(request) })
}

fn speaks_http2(worker: &Worker, doorway: &Doorway) -> bool {
    let generation = worker.generation();
    let frontend = doorway.frontend().and_then(|index| generation.frontends.get(index));
    frontend.is_some_and(|frontend| frontend.shared.config.http2.is_some())
}

/// The lists of networks that have let a client in, so that they are asked once, and others when they come into force.
/// Not held on to: a client may stay for longer than they do.
#[derive(Debug, Default)]
pub(crate) struct Permitted(Weak<Access>);

impl Permitted {
    /// Whether the frontend's lists let the client in.
    pub(crate) fn admits(&mut self, frontend: &FrontendSeat, peer: Option<SocketAddr>) -> bool {
        let Some(access) = &frontend.shared.config.access else { return true };
        // As long as there is a weak reference, nothing else comes to stand at this address.
        if std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(access)) {
            return true;
        }
        let permits = access.permits(peer.map(|peer| peer.ip()));
        self.0 = if permits { Arc::downgrade(access) } else { Weak::new() };
        permits
    }
}

fn now_twice() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}
