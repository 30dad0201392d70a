//! A request to a server over HTTP/2, as an exchange sees it: a connection of HTTP/1.1 that takes one request.
//!
//! A connection that the server is leaving, or that is full by the time that a request reaches it, may hand the request
//! back: then it goes, as it is, to another one. That is why a [`Call`] outlives the [`Stream`] made of it.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::{Request, Response, StatusCode};
use tokio::io::ReadBuf;

use super::Sessions;
use super::head::{self, CONTINUE, trailer_map};
use super::outgoing::{Body, Outgoing};
use super::session::Seat;
use super::upload::Upload;
use crate::http::body::{Decoder, Piece};
use crate::http::head::{Framing, RequestHead};
use crate::http::parse;
use crate::http::trailers::Sender;
use crate::stream::{Carrier, Stream};
use crate::tune::Tune;

/// A request on its way, and the response to it.
#[derive(Debug)]
pub(crate) struct Call {
    outgoing: Rc<Outgoing>,
    state: RefCell<State>,
}

struct State {
    tune: Tune,
    https: bool,
    seat: Option<Seat>,
    /// What could not be taken apart before more comes.
    rest: Vec<u8>,
    /// The request's head, once it is there.
    request: Option<Request<()>>,
    to_head: bool,
    decoder: Decoder,
    /// What is to be read before anything else.
    text: Vec<u8>,
    read: usize,
    answer: Answer,
}

type Sent = Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>>>>;

/// What comes from the server.
enum Answer {
    /// Nothing before the request's head is there.
    Unsent,
    Awaited(Sent),
    /// A body, and how much of it is to come, where that is known.
    Coming(Upload, Option<u64>),
    /// Nothing more.
    Ended,
    /// The server has not looked at the request.
    HandedBack,
    /// The connection broke; what the server made of the request is not known.
    Lost,
    /// The server, or this side, gave up the request.
    Broken,
}

impl Call {
    /// A request that is to go to a server by TLS or in clear.
    pub(crate) fn new(tune: Tune, https: bool) -> Rc<Call> {
        let state = State {
            tune,
            https,
            seat: None,
            rest: Vec::new(),
            request: None,
            to_head: false,
            decoder: Decoder::new(Framing::None, Sender::Client),
            text: Vec::new(),
            read: 0,
            answer: Answer::Unsent,
        };
        Rc::new(Call { outgoing: Outgoing::new(), state: RefCell::new(state) })
    }

    /// The connection that it seems to have to the server, at this place. What was written to an earlier one counts.
    pub(crate) fn at(self: &Rc<Call>, seat: Seat) -> Stream {
        let mut state = self.state.borrow_mut();
        state.seat = Some(seat);
        state.dispatch(&self.outgoing);
        drop(state);
        Stream::Carried(Box::new(Side(self.clone())))
    }

    /// Whether the server says that it has not looked at the request.
    pub(crate) fn is_handed_back(&self) -> bool {
        matches!(self.state.borrow().answer, Answer::HandedBack)
    }

    /// Whether the connection broke before anything came.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.state.borrow().answer, Answer::Lost)
    }

    /// Whether all that was written of the request is still there, so that another connection can have it.
    pub(crate) fn is_kept(&self) -> bool {
        self.outgoing.is_kept()
    }

    /// Has the connection belong to others, who alone share it from now on.
    pub(crate) fn give(&self, from: &Sessions, to: &Sessions) {
        if let Some(seat) = &self.state.borrow().seat {
            from.give(seat, to);
        }
    }

    /// The server did not answer in time. If it said nothing to anybody else either, others do not wait for it.
    pub(crate) fn timed_out(&self) {
        if let Some(seat) = &self.state.borrow().seat {
            seat.suspect();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // What is awaited is reset before the body is cut, so that the server hears that nobody wants it any more, not
        // that something is wrong with it.
        match std::mem::replace(&mut state.answer, Answer::Ended) {
            Answer::Coming(tail, Some(0)) => {
                if let Some(seat) = &state.seat {
                    seat.see_off(tail);
                }
            }
            answer => drop(answer),
        }
        self.outgoing.cut();
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("request", &self.request).finish_non_exhaustive()
    }
}

impl State {
    /// Sends the request, where its head is there, from its start.
    fn dispatch(&mut self, outgoing: &Rc<Outgoing>) {
        let (Some(seat), Some(request)) = (&self.seat, &self.request) else { return };
        self.answer = match outgoing.begin() {
            Some(body) => Answer::Awaited(Box::pin(seat.send(request.clone().map(|()| body)))),
            None => Answer::Broken,
        };
    }

    /// Takes all of it.
    fn take(&mut self, bytes: &[u8], outgoing: &Rc<Outgoing>) -> io::Result<()> {
        let held = std::mem::take(&mut self.rest);
        let joined;
        let mut left = bytes;
        if !held.is_empty() {
            joined = [&held[..], bytes].concat();
            left = &joined;
        }
        let is_first = self.request.is_none();
        if is_first && matches!(self.answer, Answer::Unsent) {
            left = &left[self.head(left)?..];
        }
        while !left.is_empty() && self.request.is_some() {
            let (used, ended) = self.step(left, outgoing)?;
            left = if ended { &[] } else { &left[used..] };
            if used == 0 {
                break;
            }
        }
        if matches!(self.answer, Answer::Unsent) || self.request.is_some() {
            self.rest.extend_from_slice(left);
        }
        if is_first && self.request.is_some() {
            if self.decoder.is_done() {
                outgoing.finish(None);
            }
            self.dispatch(outgoing);
        }
        Ok(())
    }

    /// Takes the head, and says how much that was; 0 before all of it has come.
    fn head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut head = RequestHead::default();
        // What this program adds to a request may come on top of the lines that a client may send.
        let parsed = parse::written_request(bytes, parse::MAX_LINES, &mut head);
        let (length, request) = match parsed {
            Ok(Some(length)) => (length, head::request(&head, self.https)),
            Ok(None) => {
                let too_long = bytes.len() > self.tune.bufsize.saturating_mul(2);
                return if too_long { Err(io::ErrorKind::InvalidData.into()) } else { Ok(0) };
            }
            // Rules may have made of it what no server would take.
            Err(_) => (bytes.len(), Err(StatusCode::BAD_REQUEST)),
        };
        match request {
            Ok(request) => self.request = Some(request),
            Err(status) => {
                self.text = head::refusal(status);
                self.answer = Answer::Ended;
                return Ok(bytes.len());
            }
        }
        self.to_head = head.method() == b"HEAD";
        self.decoder = Decoder::new(head.framing, Sender::Client);
        if head.framing != Framing::None && head.expects_continue() {
            // A server's own word does not come through.
            self.text = CONTINUE.to_vec();
        }
        Ok(length)
    }

    /// Takes a piece of the body; says how much that was, 0 before more has come, and whether it was the last.
    fn step(&mut self, bytes: &[u8], outgoing: &Outgoing) -> io::Result<(usize, bool)> {
        match self.decoder.next(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
            Piece::Data { range, used } => {
                outgoing.data(&bytes[range]);
                if self.decoder.is_done() {
                    outgoing.finish(None);
                }
                Ok((used, false))
            }
            Piece::End { used } => {
                outgoing.finish(trailer_map(&self.decoder.trailers()));
                Ok((used, true))
            }
            Piece::More => Ok((0, false)),
        }
    }

    /// What there is to be read; nothing at the end.
    fn poll_pending(&mut self, context: &mut Context<'_>, outgoing: &Outgoing) -> Poll<io::Result<&[u8]>> {
        if self.read < self.text.len() {
            return Poll::Ready(Ok(&self.text[self.read..]));
        }
        if let Answer::Awaited(sent) = &mut self.answer {
            match ready!(sent.as_mut().poll(context)) {
                Ok(response) => self.begin(response, outgoing),
                Err(error) => {
                    let unseen = error.message().is_some() || is_unseen(error.error());
                    if let Some(seat) = self.seat.as_ref().filter(|_| unseen) {
                        seat.retire();
                    }
                    self.answer = match () {
                        () if unseen => Answer::HandedBack,
                        () if is_broken_connection(error.error()) => Answer::Lost,
                        () => Answer::Broken,
                    };
                }
            }
            if self.read < self.text.len() {
                return Poll::Ready(Ok(&self.text[self.read..]));
            }
        }
        match &mut self.answer {
            Answer::Coming(upload, _) => upload.poll_pending(context),
            Answer::Ended => Poll::Ready(Ok(&[])),
            Answer::Broken | Answer::Lost | Answer::HandedBack => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            // Whoever reads has written the request's head before.
            Answer::Unsent | Answer::Awaited(_) => Poll::Pending,
        }
    }

    /// The response has come.
    fn begin(&mut self, response: Response<Incoming>, outgoing: &Outgoing) {
        outgoing.settle();
        self.seat.iter().for_each(Seat::hear);
        let (parts, body) = response.into_parts();
        let text = head::response(&parts, self.to_head);
        (self.text, self.read) = (text.bytes, 0);
        self.answer = Answer::Coming(Upload::new(body, text.encoding), text.length);
    }

    fn gone(&mut self, count: usize) {
        if self.read < self.text.len() {
            self.read += count;
            if self.read == self.text.len() {
                (self.text, self.read) = (Vec::new(), 0);
            }
            return;
        }
        if let Answer::Coming(upload, left) = &mut self.answer {
            upload.gone(count);
            self.seat.iter().for_each(Seat::hear);
            if let Some(left) = left {
                *left = left.saturating_sub(count as u64);
            }
        }
    }

    /// Reads as much as there is.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
        outgoing: &Outgoing,
    ) -> Poll<io::Result<()>> {
        let before = space.remaining();
        while space.remaining() > 0 {
            let count = match self.poll_pending(context, outgoing) {
                Poll::Ready(Ok(pending)) => {
                    let count = pending.len().min(space.remaining());
                    space.put_slice(&pending[..count]);
                    count
                }
                Poll::Ready(Err(error)) => {
                    if !matches!(self.answer, Answer::HandedBack | Answer::Lost) {
                        self.answer = Answer::Broken;
                    }
                    if space.remaining() == before {
                        return Poll::Ready(Err(error));
                    }
                    0
                }
                Poll::Pending if space.remaining() == before => return Poll::Pending,
                Poll::Pending => 0,
            };
            if count == 0 {
                break;
            }
            self.gone(count);
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the server says that it has not looked at the request (RFC 9113, section 8.7): the stream was refused, or
/// comes after the last one that it takes. hyper tells that only in words.
fn is_unseen(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| {
        let words = cause.to_string();
        words.starts_with("connection error received: ")
            || words.starts_with("stream error received: refused stream")
    })
}

/// Whether the connection broke under a request: neither it nor the connection was ended by a word of the protocol.
fn is_broken_connection(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<io::Error>())
}

/// A call's side towards the exchange.
#[derive(Debug)]
struct Side(Rc<Call>);

impl Carrier for Side {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.state.borrow_mut().poll_pending(context, &self.0.outgoing).map(|_| ())
    }

    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.state.borrow_mut().poll_read(context, space, &self.0.outgoing)
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let call = &*self.0;
        let mut state = call.state.borrow_mut();
        if state.request.is_some() {
            ready!(call.outgoing.poll_room(context))?;
        }
        state.take(bytes, &call.outgoing)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.outgoing.poll_unwanted(context)
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }

    /// What is not whole is reset anyway.
    fn reset_on_close(&self, _resets: bool) {}
}
