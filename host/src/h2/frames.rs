//! A response on its way from an exchange to its stream: the head, then frames, a bounded number of bytes at a time.
//!
//! Both sides are polled by one task ([`super::task`]), which asks here whether there is anything new for the other one:
//! nobody need be woken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{self, Frame};
use hyper::{HeaderMap, Response};

/// So many bytes wait at most, and with half of them waiting no more are taken.
pub(crate) const ENOUGH: usize = 32 * 1024;

/// What waits between the two.
#[derive(Debug, Default)]
pub(super) struct Frames(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    head: Option<Response<()>>,
    waiting: VecDeque<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    end: End,
    /// Whether a tunnel broke off.
    tunnel_is_cut: bool,
    /// Whether nobody wants them any more.
    unwanted: bool,
    /// Whether there is something new for the stream.
    news: bool,
    /// Whether there is something new for the exchange.
    room: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Whole,
    Cut,
}

impl Frames {
    /// The response's head, once it is there.
    ///
    /// # Errors
    /// When the exchange ended without one.
    pub(super) async fn head(&self) -> io::Result<Response<()>> {
        poll_fn(|_| {
            let mut state = self.0.borrow_mut();
            if let Some(head) = state.head.take() {
                return Poll::Ready(Ok(head));
            }
            if state.end != End::Open {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Poll::Pending
        })
        .await
    }

    /// Whether there has been anything new for the stream since this was asked last.
    pub(super) fn take_news(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().news)
    }

    /// Whether there has been anything new for the exchange since this was asked last.
    pub(super) fn take_room(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().room)
    }

    /// Hands over the response's head.
    pub(super) fn begin(&self, head: Response<()>) {
        let mut state = self.0.borrow_mut();
        state.head = Some(head);
        state.news = true;
    }

    /// Ready where more may be handed over: so many bytes.
    ///
    /// # Errors
    /// When the stream has ended.
    pub(super) fn poll_room(&self) -> Poll<io::Result<usize>> {
        let state = self.0.borrow();
        if state.unwanted {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.bytes < ENOUGH / 2 {
            return Poll::Ready(Ok(ENOUGH - state.bytes));
        }
        Poll::Pending
    }

    /// Ready once the stream has ended before its time.
    pub(super) fn poll_unwanted(&self) -> Poll<()> {
        if self.0.borrow().unwanted { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Hands over a piece of the body.
    pub(super) fn data(&self, piece: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.bytes += piece.len();
        state.waiting.push_back(Bytes::copy_from_slice(piece));
        state.news = true;
    }

    /// Says that the body is whole; with trailers or none.
    pub(super) fn finish(&self, trailers: Option<HeaderMap>) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            state.trailers = trailers;
            state.end = End::Whole;
        }
        state.news = true;
    }

    /// Says that nothing more comes; where the body is not whole, the stream is reset.
    pub(super) fn cut(&self) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            state.end = End::Cut;
        }
        state.news = true;
    }

    /// Says that a tunnel, whose bytes do not pass here, broke off.
    pub(super) fn cut_tunnel(&self) {
        self.0.borrow_mut().tunnel_is_cut = true;
    }

    /// Whether a tunnel broke off.
    pub(super) fn tunnel_is_cut(&self) -> bool {
        self.0.borrow().tunnel_is_cut
    }
}

/// The frames as the body of a response. Dropped before their end, it tells the exchange that nobody wants them.
#[derive(Debug)]
pub(super) struct Body(Rc<Frames>);

impl Body {
    /// The body that these are.
    pub(super) fn of(frames: Rc<Frames>) -> Body {
        Body(frames)
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut state = self.0.0.borrow_mut();
        if let Some(piece) = state.waiting.pop_front() {
            let was_full = state.bytes >= ENOUGH / 2;
            state.bytes -= piece.len();
            state.room |= was_full && state.bytes < ENOUGH / 2;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(trailers) = state.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match state.end {
            End::Whole => Poll::Ready(None),
            End::Cut => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            End::Open => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.0.borrow();
        state.end == End::Whole && state.waiting.is_empty() && state.trailers.is_none()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut state = self.0.0.borrow_mut();
        state.unwanted = true;
        state.room = true;
    }
}
