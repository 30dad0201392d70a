//! The task of a stream: hyper's side of it, and its exchange beside that.
//!
//! The two wait for each other more than for anyone else. One task that looks after both costs less than two that wake
//! each other, and what passes between them needs no wakers: a poll of the one is followed by a poll of the other, where
//! there is news for it.
//!
//! hyper sends a tunnel's bytes by a task of its own, which ends the stream in order once nobody writes to it any more. It
//! is run here too, and where the tunnel broke off it is dropped instead: then the stream is reset.

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::Executor;

use super::frames::Frames;

/// Where hyper's tasks run: on the worker's own thread, each with the exchange that it begins.
#[derive(Clone, Default)]
pub(super) struct Tasks(Rc<Shared>);

/// What hyper's side of a stream leaves for its task while that polls it.
#[derive(Default)]
struct Shared {
    /// Whether one is being polled: then what hyper wants run is the sender of its tunnel.
    polled: Cell<bool>,
    begun: Cell<Option<Begun>>,
    sender: Cell<Option<Boxed>>,
}

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// An exchange, and what its response goes to.
struct Begun {
    exchange: Boxed,
    frames: Rc<Frames>,
}

/// A task of hyper's, in a box: it is large, and the runtime would copy it several times on its way in and out.
struct Task<Side> {
    side: Option<Pin<Box<Side>>>,
    exchange: Option<Boxed>,
    /// What sends a tunnel's bytes.
    sender: Option<Boxed>,
    /// What passes between the two.
    frames: Option<Rc<Frames>>,
    tasks: Tasks,
}

impl Tasks {
    /// Has the task in which this is called run an exchange, whose response goes to `frames`. It is run to its end, even
    /// where hyper's side ends before it.
    pub(super) fn begin(&self, frames: Rc<Frames>, exchange: impl Future<Output = ()> + 'static) {
        self.0.begun.set(Some(Begun { exchange: Box::pin(exchange), frames }));
    }
}

impl Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl<Side: Future<Output = ()> + 'static> Executor<Side> for Tasks {
    fn execute(&self, side: Side) {
        if self.0.polled.get() {
            return self.0.sender.set(Some(Box::pin(side)));
        }
        let (side, tasks) = (Some(Box::pin(side)), self.clone());
        drop(tokio::task::spawn_local(Task { side, exchange: None, sender: None, frames: None, tasks }));
    }
}

impl<Side: Future<Output = ()>> Future for Task<Side> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        // Who woke the task may have meant either.
        let mut woken = true;
        loop {
            // The sender first: it hears of a reset, and the exchange asks it.
            poll_option(&mut task.sender, context);
            poll_option(&mut task.exchange, context);
            task.drop_sender_of_cut_tunnel();
            let news = task.frames.as_ref().is_some_and(|frames| frames.take_news());
            if !news && !std::mem::take(&mut woken) {
                break;
            }
            task.tasks.0.polled.set(true);
            poll_option(&mut task.side, context);
            task.tasks.0.polled.set(false);
            if let Some(Begun { exchange, frames }) = task.tasks.0.begun.take() {
                (task.exchange, task.frames) = (Some(exchange), Some(frames));
            } else if let Some(sender) = task.tasks.0.sender.take() {
                task.sender = Some(sender);
                // The exchange may have ended before the tunnel stood.
                task.drop_sender_of_cut_tunnel();
            } else if !task.frames.as_ref().is_some_and(|frames| frames.take_room()) {
                break;
            }
        }
        let ended = task.side.is_none() && task.exchange.is_none() && task.sender.is_none();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<Side> Task<Side> {
    fn drop_sender_of_cut_tunnel(&mut self) {
        if self.exchange.is_none() && self.frames.as_ref().is_some_and(|frames| frames.tunnel_is_cut()) {
            self.sender = None;
        }
    }
}

/// Polls a future that may have ended, and lets go of it once it has.
fn poll_option<F: Future<Output = ()> + ?Sized>(future: &mut Option<Pin<Box<F>>>, context: &mut Context<'_>) {
    if future.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready()) {
        *future = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use hyper::Response;
    use hyper::body::Body as _;

    use super::super::frames::Body;
    use super::*;

    /// Runs both sides on one task; answers once what either of them `done` is there.
    async fn run<Side: Future<Output = ()> + 'static>(
        tasks: &Tasks,
        side: Side,
        done: &Cell<usize>,
    ) -> usize {
        let both = async {
            tasks.execute(side);
            while done.get() == 0 {
                tokio::task::yield_now().await;
            }
            done.get()
        };
        let both = tokio::time::timeout(Duration::from_secs(60), both);
        tokio::task::LocalSet::new().run_until(both).await.expect("both sides to end")
    }

    #[tokio::test]
    async fn a_body_passes_though_more_than_waits_at_once_and_nobody_is_woken() {
        const PIECE: [u8; 10_000] = [b'x'; 10_000];
        let (tasks, frames, done) = (Tasks::default(), Rc::new(Frames::default()), Rc::new(Cell::new(0)));
        let side = {
            let (tasks, done, body) = (tasks.clone(), done.clone(), Body::of(frames.clone()));
            async move {
                let exchange = frames.clone();
                tasks.begin(frames.clone(), async move {
                    exchange.begin(Response::new(()));
                    for _ in 0..100 {
                        poll_fn(|_| exchange.poll_room()).await.expect("a reader");
                        exchange.data(&PIECE);
                    }
                    exchange.finish(None);
                });
                frames.head().await.expect("a head");
                let mut body = std::pin::pin!(body);
                let mut bytes = 0;
                while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
                    bytes += frame.expect("a frame").into_data().expect("data").len();
                }
                done.set(bytes);
            }
        };
        assert_eq!(run(&tasks, side, &done).await, 100 * PIECE.len());
    }

    #[tokio::test]
    async fn an_exchange_is_told_that_its_stream_has_gone_and_runs_to_its_end() {
        let (tasks, frames, done) = (Tasks::default(), Rc::new(Frames::default()), Rc::new(Cell::new(0)));
        let side = {
            let (tasks, done, body) = (tasks.clone(), done.clone(), Body::of(frames.clone()));
            async move {
                let exchange = frames.clone();
                tasks.begin(frames, async move {
                    poll_fn(|_| exchange.poll_unwanted()).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    done.set(1);
                });
                drop(body);
            }
        };
        assert_eq!(run(&tasks, side, &done).await, 1);
    }
}
