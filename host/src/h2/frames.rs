//! A response on its way from an exchange to its stream: the head, then frames, a bounded number of bytes at a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{self, Frame};
use hyper::{HeaderMap, Response};

/// With so many bytes waiting, no more are taken.
const ENOUGH: usize = 32 * 1024;

/// What waits between the two.
#[derive(Debug, Default)]
pub(super) struct Frames(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    head: Option<Response<()>>,
    waiting: VecDeque<Frame<Bytes>>,
    bytes: usize,
    end: End,
    /// Whether nobody wants them any more.
    unwanted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
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
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if let Some(head) = state.head.take() {
                return Poll::Ready(Ok(head));
            }
            if state.end != End::Open {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            state.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Hands over the response's head.
    pub(super) fn begin(&self, head: Response<()>) {
        self.0.borrow_mut().head = Some(head);
        self.wake_reader();
    }

    /// Ready where more may be handed over.
    ///
    /// # Errors
    /// When the stream has ended.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if state.unwanted {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.bytes < ENOUGH {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ready once the stream has ended before its time.
    pub(super) fn poll_unwanted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        if state.unwanted {
            return Poll::Ready(());
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Hands over a piece of the body.
    pub(super) fn data(&self, piece: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.bytes += piece.len();
        state.waiting.push_back(Frame::data(Bytes::copy_from_slice(piece)));
        drop(state);
        self.wake_reader();
    }

    /// Says that the body is whole; with trailers or none.
    pub(super) fn finish(&self, trailers: Option<HeaderMap>) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            state.waiting.extend(trailers.map(Frame::trailers));
            state.end = End::Whole;
        }
        drop(state);
        self.wake_reader();
    }

    /// Says that nothing more comes; where the body is not whole, the stream is reset.
    pub(super) fn cut(&self) {
        let mut state = self.0.borrow_mut();
        if state.end == End::Open {
            state.end = End::Cut;
        }
        drop(state);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        let reader = self.0.borrow_mut().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
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
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut state = self.0.0.borrow_mut();
        if let Some(frame) = state.waiting.pop_front() {
            let was_full = state.bytes >= ENOUGH;
            state.bytes -= frame.data_ref().map_or(0, Bytes::len);
            let writer = if was_full && state.bytes < ENOUGH { state.writer.take() } else { None };
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        match state.end {
            End::Whole => Poll::Ready(None),
            End::Cut => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            End::Open => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.0.borrow();
        state.end == End::Whole && state.waiting.is_empty()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut state = self.0.0.borrow_mut();
        state.unwanted = true;
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}
