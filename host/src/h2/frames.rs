//! A response on its way from an exchange to its stream: the head, then frames, a bounded number of bytes at a time.
//!
//! Both sides are polled by one task ([`super::task`]), which asks here whether there is anything new for the other one:
//! nobody need be woken.
//!
//! A frame is what waits when the stream asks. In how many pieces it came makes no difference: clients end connections on
//! which many frames are empty, or small (CVE-2019-9518), and a chunk, or part of its size line, is no reason for one.

use std::cell::RefCell;
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
    waiting: Vec<u8>,
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
        if state.waiting.len() < ENOUGH / 2 {
            return Poll::Ready(Ok(ENOUGH - state.waiting.len()));
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
        state.waiting.extend_from_slice(piece);
        state.news |= !piece.is_empty();
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
        if !state.waiting.is_empty() {
            let waiting = std::mem::take(&mut state.waiting);
            state.room |= waiting.len() >= ENOUGH / 2;
            return Poll::Ready(Some(Ok(Frame::data(waiting.into()))));
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use hyper::body::Body as _;

    use super::*;

    /// The data of the frames that there are now.
    fn data(body: &mut Body) -> Vec<Bytes> {
        let mut context = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match Pin::new(&mut *body).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn no_frame_is_empty_and_what_waits_is_one() {
        let frames = Rc::new(Frames::default());
        let mut body = Body::of(frames.clone());
        frames.data(b"");
        assert!(!frames.take_news());
        assert_eq!(data(&mut body), [""; 0]);
        for piece in ["", "o", "ne", "", " piece"] {
            frames.data(piece.as_bytes());
        }
        assert_eq!(data(&mut body), ["one piece"]);
        frames.data(b"another");
        frames.finish(None);
        assert_eq!(data(&mut body), ["another"]);
        assert!(body.is_end_stream());
    }

    #[test]
    fn what_waits_is_bounded() {
        let frames = Rc::new(Frames::default());
        let mut body = Body::of(frames.clone());
        assert!(matches!(frames.poll_room(), Poll::Ready(Ok(ENOUGH))));
        frames.data(&[0; ENOUGH / 2 - 1]);
        assert!(matches!(frames.poll_room(), Poll::Ready(Ok(room)) if room == ENOUGH / 2 + 1));
        frames.data(&[0]);
        assert!(frames.poll_room().is_pending());
        assert_eq!(data(&mut body).len(), 1);
        assert!(frames.take_room() && frames.poll_room().is_ready());
    }
}
