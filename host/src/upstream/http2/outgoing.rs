//! A request's body on its way to a session: pieces, a bounded number of bytes at a time. A copy of the first ones is
//! kept until the server is known to have taken the request, so that another session can have it from the start.
//!
//! What waits is handed on as one piece, in however many it came: servers end connections with many small frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{self, Frame};

/// With so many bytes waiting, no more are taken.
pub(crate) const ENOUGH: usize = 32 * 1024;
/// So many bytes that were handed on are kept. A longer body cannot begin again.
pub(crate) const KEPT: usize = 64 * 1024;

/// What waits to be sent, and what was.
#[derive(Debug)]
pub(super) struct Outgoing(RefCell<State>);

#[derive(Debug)]
struct State {
    /// Those that were handed on and are kept stand first.
    pieces: VecDeque<Bytes>,
    handed: usize,
    kept_bytes: usize,
    /// Behind them, what may still grow.
    tail: Vec<u8>,
    waiting_bytes: usize,
    /// Whether what is handed on is kept.
    keeps: bool,
    end: End,
    trailers: Option<HeaderMap>,
    /// Counts the sessions that were given the body.
    round: u32,
    /// Whether the session wants no more of it.
    unwanted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Cut,
}

impl Outgoing {
    /// A body of which nothing has come.
    pub(super) fn new() -> Rc<Outgoing> {
        Rc::new(Outgoing(RefCell::new(State {
            pieces: VecDeque::new(),
            handed: 0,
            kept_bytes: 0,
            tail: Vec::new(),
            waiting_bytes: 0,
            keeps: true,
            end: End::Open,
            trailers: None,
            round: 0,
            unwanted: false,
            reader: None,
            writer: None,
        })))
    }

    /// The body from its start, for a session; what an earlier one has is void. `None` where the start is not kept.
    pub(super) fn begin(self: &Rc<Outgoing>) -> Option<Body> {
        let mut state = self.0.borrow_mut();
        if !state.keeps {
            return None;
        }
        state.round += 1;
        state.waiting_bytes += state.kept_bytes;
        (state.handed, state.kept_bytes, state.unwanted) = (0, 0, false);
        Some(Body { outgoing: self.clone(), round: state.round })
    }

    /// The server has taken the request: nothing of it is needed again.
    pub(super) fn settle(&self) {
        self.0.borrow_mut().forget();
    }

    /// Whether the body can still be given to another session from its start.
    pub(super) fn is_kept(&self) -> bool {
        self.0.borrow().keeps
    }

    /// Ready where more may be handed over.
    ///
    /// # Errors
    /// When the session wants no more.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if state.unwanted {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.waiting_bytes < ENOUGH {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ready once the session wants no more.
    pub(super) fn poll_unwanted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        if state.unwanted {
            return Poll::Ready(());
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Hands over a piece.
    pub(super) fn data(&self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let mut state = self.0.borrow_mut();
        state.waiting_bytes += piece.len();
        state.tail.extend_from_slice(piece);
        wake(state.reader.take());
    }

    /// Says that the body is whole; with trailers or none.
    pub(super) fn finish(&self, trailers: Option<HeaderMap>) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            (state.end, state.trailers) = (End::Whole, trailers);
        }
        wake(state.reader.take());
    }

    /// Says that nothing more comes; where the body is not whole, its stream is reset.
    pub(super) fn cut(&self) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            state.end = End::Cut;
        }
        wake(state.reader.take());
    }
}

impl State {
    fn forget(&mut self) {
        self.keeps = false;
        let handed = std::mem::take(&mut self.handed);
        self.pieces.drain(..handed);
        self.kept_bytes = 0;
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.handed == self.pieces.len() && !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).into());
        }
        let piece = self.pieces.get(self.handed)?.clone();
        self.waiting_bytes -= piece.len();
        self.handed += 1;
        self.kept_bytes += piece.len();
        if !self.keeps || self.kept_bytes > KEPT {
            self.forget();
        }
        Some(piece)
    }
}

/// The body as one session has it.
#[derive(Debug)]
pub(super) struct Body {
    outgoing: Rc<Outgoing>,
    round: u32,
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut state = self.outgoing.0.borrow_mut();
        if state.round != self.round {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some(piece) = state.next() {
            wake(state.writer.take());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end {
            // Behind trailers nothing is asked for.
            End::Whole => Poll::Ready(state.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers)))),
            End::Cut => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            End::Open => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.outgoing.0.borrow();
        let is_handed_on = state.handed == state.pieces.len() && state.tail.is_empty();
        state.end == End::Whole && is_handed_on && state.trailers.is_none()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut state = self.outgoing.0.borrow_mut();
        if state.round == self.round {
            state.unwanted = true;
            wake(state.writer.take());
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use hyper::body::Body as _;

    use super::*;

    /// What the body has now.
    fn taken(body: &mut Body) -> Vec<u8> {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = Vec::new();
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut context) {
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn a_body_begins_again_until_the_server_is_known_to_have_it() {
        let outgoing = Outgoing::new();
        let mut first = outgoing.begin().unwrap();
        outgoing.data(b"one ");
        assert_eq!(taken(&mut first), b"one ");
        outgoing.data(b"two ");
        let mut second = outgoing.begin().unwrap();
        assert_eq!(taken(&mut second), b"one two ");
        let mut context = Context::from_waker(Waker::noop());
        let stale = Pin::new(&mut first).poll_frame(&mut context);
        assert!(matches!(stale, Poll::Ready(Some(Err(_)))));
        drop(first);
        assert!(matches!(outgoing.poll_room(&mut context), Poll::Ready(Ok(()))));
        outgoing.settle();
        outgoing.data(b"three");
        outgoing.finish(None);
        assert!(outgoing.begin().is_none());
        assert_eq!(taken(&mut second), b"three");
        assert!(second.is_end_stream());
    }

    #[test]
    fn what_waits_is_one_piece_and_none_is_empty() {
        let outgoing = Outgoing::new();
        let mut body = outgoing.begin().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        outgoing.data(b"");
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        ["o", "", "ne"].iter().for_each(|piece| outgoing.data(piece.as_bytes()));
        for expected in ["one", "two"] {
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
                panic!("a frame")
            };
            assert_eq!(frame.into_data().unwrap(), expected);
            assert!(!body.is_end_stream());
            outgoing.data(b"two");
        }
        outgoing.finish(None);
        assert_eq!(taken(&mut body), b"two");
        assert!(body.is_end_stream());
    }

    #[test]
    fn what_is_kept_and_what_waits_are_bounded() {
        let outgoing = Outgoing::new();
        let mut body = outgoing.begin().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let piece = [0; 16 * 1024];
        for _ in 0..2 {
            assert!(outgoing.poll_room(&mut context).is_ready());
            outgoing.data(&piece);
        }
        assert!(outgoing.poll_room(&mut context).is_pending());
        for _ in 0..3 {
            assert!(outgoing.is_kept());
            taken(&mut body);
            outgoing.data(&piece);
        }
        assert_eq!(taken(&mut body).len(), piece.len());
        assert!(!outgoing.is_kept() && outgoing.0.borrow().pieces.is_empty());
    }

    #[test]
    fn a_body_that_breaks_off_is_no_whole_one() {
        let outgoing = Outgoing::new();
        let mut body = outgoing.begin().unwrap();
        outgoing.cut();
        outgoing.finish(None);
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut context), Poll::Ready(Some(Err(_)))));
    }
}
