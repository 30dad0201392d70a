//! Getting a request served: who serves it, a place and a connection there, and the head of the answer; again
//! where that fails and may be tried again.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::patience::{Cut, Pace, has_ended};
use super::repeat::Fate;
use super::transfer::Halt;
use super::{Exchange, client_ip, response};
use crate::backend::queue::{Binding, Evicted, Place, Slot};
use crate::buffer::Buffer;
use crate::config::model::Protocol;
use crate::connection::Client;
use crate::failure::{Failure, Fault, Retry};
use crate::http::arrival::Arrival;
use crate::http::head::Version;
use crate::http::parse;
use crate::scratch::Memory;
use crate::stream::Stream;
use crate::upstream;

/// The longest pause before the same server is tried again.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A server that has answered: the response's head is in the client's scratch memory, what came with it in `buffer`.
pub(super) struct Attempt {
    pub(super) server: u32,
    pub(super) began: Instant,
    pub(super) address_version: u64,
    pub(super) stream: Stream,
    pub(super) buffer: Buffer,
    /// Whether the server stopped reading before the request's end.
    pub(super) broken: bool,
    /// Whether the connection has served another request before.
    pub(super) reused: bool,
    /// Whether it is the client's own, and for nobody else.
    pub(super) own: bool,
    /// The place at the server, given back when this is dropped.
    pub(super) slot: Slot,
}

/// A try that was answered.
pub(super) struct Conversation {
    pub(super) stream: Stream,
    /// What came behind the head.
    pub(super) buffer: Buffer,
    /// Whether the server stopped reading before the request's end.
    pub(super) broken: bool,
    /// Whether the connection has served another request before.
    pub(super) reused: bool,
    /// Whether it is the client's own, and for nobody else.
    pub(super) own: bool,
}

/// Why a try came to nothing.
pub(super) enum Tried {
    /// A connection that had served another request was closed by the server, before one byte of an answer.
    Stale,
    /// Anything else, and whether another try may follow stands in the table.
    Failed(Failure),
}

impl Exchange<'_> {
    /// Tries servers until one answers or the tries are used up.
    pub(super) async fn attempt(&mut self) -> Result<Attempt, Failure> {
        let (mut failed, mut same) = (None, None);
        let mut now = self.story.came.head;
        if let Some(budget) = &self.backend.shared.retry_budget {
            budget.earn(now);
        }
        loop {
            let assigned = self.assign(same, failed).await;
            let nobody = |failure: &Failure| {
                if failure.outcome().fault != Fault::Client {
                    self.backend.tallies.backend.unserved.connection_errors.add(1);
                }
            };
            let (slot, waited) = assigned.inspect_err(nobody)?;
            let server = slot.index() as u32;
            self.note_redispatch(failed, server);
            let address_version = slot.server().address_version.load(Relaxed);
            let began = if waited { Instant::now() } else { now };
            self.story.server = Some(server);
            self.story.assigned.get_or_insert(began);
            self.pace = Pace::begin(self.waits_to_be_asked());
            let tried = self.try_server(server, began).await;
            let failure = tried.as_ref().err().copied();
            let again = self.is_tried_again(failure);
            if let (Ok(conversation), false) = (tried, again) {
                let Conversation { stream, buffer, broken, reused, own } = conversation;
                return Ok(Attempt {
                    server,
                    began,
                    address_version,
                    stream,
                    buffer,
                    broken,
                    reused,
                    own,
                    slot,
                });
            }
            self.leave_place(slot);
            let status = if failure.is_none() { self.client.scratch.response.status } else { 0 };
            self.observe(server, failure, status, began);
            if let (Some(failure), false) = (failure, again) {
                return Err(failure);
            }
            (same, failed) = match self.prepare_retry(server, failure).await? {
                true => (None, Some(server)),
                false => (Some(server), None),
            };
            now = Instant::now();
        }
    }

    /// Counts another try after one at this server, and waits where it has to. Says whether the request leaves the server
    /// for another; else it has to be the same again.
    async fn prepare_retry(&mut self, server: u32, failure: Option<Failure>) -> Result<bool, Failure> {
        let config = &self.backend.shared.config;
        self.story.retries += 1;
        (self.story.connected, self.story.responded) = (None, None);
        self.backend.tallies.server(server).retries.add(1);
        let last = self.story.retries >= config.retries;
        let bound = self.affinity.server.or(self.bound).is_some();
        let may_leave = config.redispatch && (last || !bound);
        if !(may_leave && self.backend.shared.has_other(server)) {
            self.pause(failure).await?;
        }
        if may_leave && last {
            self.story.assigned = None;
        }
        // Where there is another, it is asked at once: nothing is won by waiting. Where there is none, the same is, also if
        // it has been found DOWN meanwhile: it may be back before a check says so.
        if !may_leave || !self.backend.shared.has_other(server) {
            return Ok(false);
        }
        self.leave_server();
        self.story.assigned = None;
        Ok(true)
    }

    /// Counts that the request has left a server, which failed it, for this one.
    fn note_redispatch(&mut self, failed: Option<u32>, server: u32) {
        if let Some(failed) = failed.filter(|&failed| failed != server) {
            self.story.redispatched = true;
            self.backend.tallies.server(failed).redispatches.add(1);
        }
    }

    /// The pause before the same server is tried again: for one that could not be reached. A server that let the
    /// connection time out has had its pause.
    async fn pause(&mut self, failure: Option<Failure>) -> Result<(), Failure> {
        if let Some(failure) = failure
            && failure.outcome().retry == Retry::Connect
            && failure != Failure::ConnectTimeout
        {
            let connect = self.backend.shared.config.timeout.connect;
            self.rest(connect.unwrap_or(MAX_RETRY_PAUSE).min(MAX_RETRY_PAUSE)).await?;
        }
        Ok(())
    }

    /// Whether the client waits for a word of the server's before it sends the request's body.
    fn waits_to_be_asked(&self) -> bool {
        !self.upload.is_read() && !self.upload.received && self.client.scratch.request.expects_continue()
    }

    /// A place at a server, as [`Exchange::find_place`] has it, that its circuit breaker lets the request through to.
    /// Where that does not, at another; if that does not either, there is no better one.
    async fn assign(
        &mut self,
        mut same: Option<u32>,
        mut failed: Option<u32>,
    ) -> Result<(Slot, bool), Failure> {
        let mut refused = false;
        loop {
            let (slot, waited) = self.find_place(same, failed).await?;
            let Some(breaker) = &slot.server().breaker else { return Ok((slot, waited || refused)) };
            self.permit = breaker.admit(Instant::now());
            if self.permit.is_some() || refused {
                return Ok((slot, waited || refused));
            }
            (refused, same, failed) = (true, None, Some(slot.index() as u32));
            self.leave_server();
        }
    }

    /// A place at a server: the one tried before, the one that the client is bound to, or the balancer's pick. Says
    /// whether it had to wait for it.
    async fn find_place(
        &mut self,
        mut same: Option<u32>,
        failed: Option<u32>,
    ) -> Result<(Slot, bool), Failure> {
        let backend = &self.backend.shared;
        let (mut waited, mut kept) = (false, None);
        loop {
            let bound = same.or(self.affinity.server).or(self.bound);
            let server = match bound {
                Some(server) => server,
                None => self.pick(failed).ok_or(Failure::NoServer)?,
            };
            let binding = if bound.is_some() { Binding::Bound } else { Binding::Free };
            let waiting = match backend.clone().place_again(server as usize, binding, kept) {
                Place::Ready(slot) => return Ok((slot, waited)),
                Place::Wait(waiting) => waiting,
            };
            if let Some(circuit) = &backend.circuit {
                circuit.wait(waiting.position)?;
            }
            let timeouts = &backend.config.timeout;
            self.client.timer.set(Instant::now(), timeouts.queue.or(timeouts.connect));
            self.story.server = bound;
            match binding {
                Binding::Bound => self.story.server_queue = waiting.position,
                Binding::Free => self.story.backend_queue = waiting.position,
            }
            match self.wait_for_turn(waiting).await {
                Ok(Ok(slot)) => return Ok((slot, true)),
                // The server went DOWN while this waited: who is bound to it is so no more.
                Ok(Err(Evicted { turn })) => {
                    same = None;
                    (waited, kept) = (true, Some(turn));
                    self.leave_server();
                }
                Err(cut) => {
                    self.story.assigned = Some(Instant::now());
                    self.story.server_connections =
                        bound.map_or(0, |server| backend.servers[server as usize].in_flight.load(Relaxed));
                    return Err(match cut {
                        Cut::Left => Failure::ClientAbortsQueue,
                        Cut::Elapsed => Failure::QueueTimeout,
                    });
                }
            }
        }
    }

    /// Gives back the place at a server; the log line does not count the request there any more.
    pub(super) fn leave_place(&mut self, slot: Slot) {
        self.story.server_connections = slot.server().in_flight.load(Relaxed).saturating_sub(1);
    }

    fn pick(&mut self, failed: Option<u32>) -> Option<u32> {
        let client = client_ip(self.client);
        self.backend.balancer.borrow_mut().pick(&self.client.scratch.request, client, self.time_ms, failed)
    }

    /// Sends the request on a connection that idles, or on a new one, and waits for the answer's head.
    async fn try_server(&mut self, server: u32, began: Instant) -> Result<Conversation, Failure> {
        let backend = self.backend;
        let shared = &backend.shared.servers[server as usize];
        let address_version = shared.address_version.load(Relaxed);
        self.fate = Fate::Unprocessed;
        if self.client.scratch.request.binds_connection {
            self.client.own.bind(shared);
        }
        if shared.config.protocol == Protocol::Http2 {
            return self.try_http2(server, address_version, began).await;
        }
        self.upload.rewind();
        let tally = backend.tallies.server(server);
        let own = self.is_own(server);
        if let Some(stream) = self.take_idle(server, address_version, began) {
            self.story.connected = self.story.assigned;
            tally.reuses.add(1);
            match self.converse_by_socket(stream, began, true).await {
                Err(Tried::Stale) if self.may_be_sent_again() => {}
                Err(Tried::Stale) if self.pace.is_held_up() => return Err(Failure::ServerGaveUp),
                Err(Tried::Stale) => return Err(Failure::ServerEmpty),
                Err(Tried::Failed(failure)) => return Err(failure),
                Ok(conversation) => return Ok(self.claim(server, own, conversation)),
            }
            self.story.connected = None;
            self.fate = Fate::Unprocessed;
            self.upload.rewind();
        }
        tally.connects.add(1);
        let timeout = backend.shared.config.timeout.connect;
        let mut connected = self.wait_for_connection(timeout, upstream::connect(shared)).await;
        // Open files that idle connections hold are worth more to a request.
        if matches!(&connected, Ok(Err(error)) if are_files_used_up(error)) && self.worker.close_idle() {
            connected = self.wait_for_connection(timeout, upstream::connect(shared)).await;
        }
        if !matches!(connected, Ok(Ok(_)) | Err(Cut::Left)) {
            tally.connection_errors.add(1);
        }
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(connect_failure(&error)),
            Err(Cut::Elapsed) => return Err(Failure::ConnectTimeout),
            Err(Cut::Left) => return Err(Failure::ClientAbortsConnect),
        };
        let connected = Instant::now();
        self.story.connected = Some(connected);
        match self.converse_by_socket(stream, connected, false).await {
            Ok(conversation) => Ok(self.claim(server, own, conversation)),
            Err(Tried::Stale) => Err(Failure::ServerStale),
            Err(Tried::Failed(failure)) => Err(failure),
        }
    }

    /// Sends the request and reads heads up to the one that answers it.
    pub(super) async fn converse(
        &mut self,
        mut stream: Stream,
        mut began: Instant,
        reused: bool,
    ) -> Result<Conversation, Tried> {
        let mut buffer = Buffer::none();
        let (mut broken, mut silent) = (false, true);
        self.fate = Fate::Unknown;
        loop {
            self.client.timer.set(began, self.patience());
            let head = self.await_head(&mut stream, &mut buffer, reused, &mut silent, &mut broken).await;
            if head.is_err() && !self.upload.is_done() {
                // The server learns that what it has of the request is not all.
                stream.reset_on_close(true);
            }
            head?;
            if self.is_tunnel() && !self.upload.is_done() {
                // The rest of the body would be the tunnel's first bytes.
                stream.reset_on_close(true);
                return Err(Tried::Failed(Failure::ServerInvalid));
            }
            match self.client.scratch.response.status {
                101 if self.client.scratch.request.upgrade && self.client.scratch.response.upgrade => {}
                101 => return Err(Tried::Failed(Failure::ServerInvalid)),
                status @ 100..=199 => {
                    if status == 100 {
                        self.pace.asked();
                    }
                    self.pass_interim().await.map_err(Tried::Failed)?;
                    began = Instant::now();
                    continue;
                }
                _ => {}
            }
            self.story.responded = self.pace.turn(false, true);
            return Ok(Conversation { stream, buffer, broken, reused, own: false });
        }
    }

    /// Whether behind the response's head come bytes of which nothing is known, both ways.
    pub(super) fn is_tunnel(&self) -> bool {
        let Memory { request, response, .. } = &*self.client.scratch;
        response.status == 101 || (request.method() == b"CONNECT" && (200..300).contains(&response.status))
    }

    /// Sends what is left of the request while it waits for a response's head. `silent` as long as not one byte has
    /// come from the server, `broken` once it takes no more.
    async fn await_head(
        &mut self,
        stream: &mut Stream,
        held: &mut Buffer,
        reused: bool,
        silent: &mut bool,
        broken: &mut bool,
    ) -> Result<(), Tried> {
        let (clients, servers) = (self.client_timeout(), self.server_timeout());
        let (tune, watches) = (self.worker.tune, self.watches_on());
        let pace = &mut self.pace;
        let Client { stream: client, buffer, timer, scratch, .. } = &mut *self.client;
        let Memory { request, response, .. } = &mut **scratch;
        let response = Arc::make_mut(response);
        let (upload, to_head) = (&mut self.upload, request.method() == b"HEAD");
        let (mut from_client, _) = client.split();
        let (mut from_server, mut to_server) = stream.split();
        let mut arrival = Arrival::default();
        poll_fn(|context| {
            if !*broken && !upload.is_done() {
                match upload.poll(context, &mut from_client, buffer, &mut to_server) {
                    Poll::Ready(Err(Halt::SinkFailed)) => *broken = true,
                    Poll::Ready(Err(Halt::SourceClosed | Halt::SourceFailed)) => {
                        return Poll::Ready(Err(Tried::Failed(Failure::ClientAbortsUpload)));
                    }
                    Poll::Ready(Err(Halt::Malformed)) => {
                        return Poll::Ready(Err(Tried::Failed(Failure::BadRequestBody)));
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
                let waits = !*broken && !upload.is_done() && pace.waits_for_client(upload);
                if let Some(now) = pace.turn(waits, std::mem::take(&mut upload.moved)) {
                    timer.set(now, if waits { clients } else { servers });
                }
            }
            loop {
                if !held.is_empty() && arrival.is_worth_a_look(held.data(), tune.max_head()) {
                    match parse::response(held.data(), tune.maxhdr, to_head, response) {
                        Ok(Some(length)) if length <= tune.max_head() => {
                            held.gone(length);
                            return Poll::Ready(Ok(()));
                        }
                        Ok(None) if held.data().len() <= tune.max_head() => {}
                        Ok(_) | Err(_) => return Poll::Ready(Err(Tried::Failed(Failure::ServerInvalid))),
                    }
                }
                // While the server thinks there is no buffer: the few that are in use stay in the processor's cache.
                match from_server.poll_fill(context, held, tune.bufsize) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(count)) if count > 0 => *silent = false,
                    Poll::Ready(_) if pace.is_held_up() && !reused => {
                        return Poll::Ready(Err(Tried::Failed(Failure::ServerGaveUp)));
                    }
                    Poll::Ready(_) if reused && *silent => return Poll::Ready(Err(Tried::Stale)),
                    Poll::Ready(_) if *silent => {
                        return Poll::Ready(Err(Tried::Failed(Failure::ServerEmpty)));
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(Tried::Failed(Failure::ServerClosed))),
                }
            }
            if from_client.is_abandoned(context)
                || watches && upload.is_done() && has_ended(&mut from_client, buffer, tune.bufsize, context)
            {
                return Poll::Ready(Err(Tried::Failed(Failure::ClientAbortsWait)));
            }
            let late = if pace.is_clients() { Failure::ClientTimeoutUpload } else { Failure::ServerTimeout };
            timer.poll_elapsed(context).map(|_| Err(Tried::Failed(late)))
        })
        .await
    }

    /// Passes on an interim response, such as 100 or 103; a client of HTTP/1.0 knows none.
    async fn pass_interim(&mut self) -> Result<(), Failure> {
        let Client { stream, timer, scratch, .. } = &mut *self.client;
        if scratch.request.version == Version::Http10 {
            return Ok(());
        }
        let (mut out, response) = (Vec::new(), &scratch.response);
        if let Some(message) = stream.message() {
            message.encode_head(false, &mut out, &mut |sink| response::write_interim(response, sink));
        } else {
            response::write_interim(response, &mut out);
        }
        timer.set(Instant::now(), self.frontend.shared.config.timeout.client);
        let sent = timer.limit(async {
            match stream.message() {
                None => stream.write_all(&out).await,
                Some(message) => {
                    poll_fn(|context| message.poll_room(context)).await;
                    message.send_head(&out, true)
                }
            }
        });
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Failure::ClientAbortsData),
            Err(_elapsed) => return Err(Failure::ClientTimeoutData),
        }
        self.story.bytes += out.len() as u64;
        Ok(())
    }
}

pub(super) fn connect_failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        io::ErrorKind::OutOfMemory | io::ErrorKind::AddrNotAvailable => Failure::ConnectExhausted,
        _ if are_files_used_up(error) => Failure::ConnectExhausted,
        _ => Failure::ConnectRefused,
    }
}

/// Whether there is no open file left for a socket.
pub(super) fn are_files_used_up(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
