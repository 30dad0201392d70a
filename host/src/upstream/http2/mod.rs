//! HTTP/2 with servers: a few connections to each, which carry many requests at a time.
//!
//! The exchange stays the one way of a request. It finds the server's side to be a connection of HTTP/1.1 that is good
//! for one request (`call.rs`), whose bytes become frames of a connection that it shares with others (`session.rs`).
//! Who finds no place on one waits for the next to be opened; that is done by a task of its own, so that it does not
//! end with the client for whom it began.

mod call;
mod head;
mod outgoing;
mod session;
mod upload;
mod wire;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::backend::server::Server;
use crate::tune::Tune;
use session::Session;

pub(crate) use call::Call;
pub(crate) use head::as_http1;
pub(crate) use session::Seat;

/// What a request over it may hold, in bytes: of its response what the server may send before it is read, of its body what
/// waits (a last piece may go past the bound), is being sent, and is kept.
pub(crate) const MEMORY: usize = session::STREAM_WINDOW as usize
    + outgoing::ENOUGH
    + crate::exchange::transfer::LARGE
    + session::SEND_BUFFER
    + outgoing::KEPT;

/// The connections to one server of one worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: RefCell<Vec<Rc<Session>>>,
    opening: RefCell<Vec<Rc<Opening>>>,
    /// How many requests the connection took that was opened last.
    room: Cell<Option<usize>>,
}

/// An error's kind, and its number in the system: what everybody who waits can be told.
type Cause = (io::ErrorKind, Option<i32>);

/// A connection that is being made.
#[derive(Debug, Default)]
struct Opening {
    /// Requests that wait for it.
    waiting: Cell<usize>,
    /// How it ended.
    outcome: Cell<Option<Result<(), Cause>>>,
    done: Notify,
    task: RefCell<Option<AbortHandle>>,
}

/// Waits for a connection for as long as this lives.
struct Waiting {
    sessions: Sessions,
    opening: Rc<Opening>,
}

impl Sessions {
    /// A place on a connection, where there is one.
    pub(crate) fn take(&self) -> Option<Seat> {
        let mut open = self.0.open.borrow_mut();
        open.retain(|session| !session.is_gone());
        open.iter().find_map(Session::seat)
    }

    /// A place on a connection that is opened for it, and for others. Says by `begun` when it begins to open one.
    ///
    /// # Errors
    /// Those of connecting; `InvalidData` where the server does not speak HTTP/2.
    pub(crate) async fn open(&self, server: &Arc<Server>, tune: Tune, begun: impl Fn()) -> io::Result<Seat> {
        loop {
            self.join(server, tune, &begun).outcome().await?;
            // Whoever came first may have taken the last place.
            if let Some(seat) = self.take() {
                return Ok(seat);
            }
        }
    }

    /// Has the connection of a place belong to others, where it is one of these.
    pub(super) fn give(&self, seat: &Seat, to: &Sessions) {
        let mut open = self.0.open.borrow_mut();
        // Where somebody has taken it already, it is theirs alone.
        if let Some(at) = open.iter().position(|session| Rc::ptr_eq(session, seat.session())) {
            to.0.open.borrow_mut().push(open.remove(at));
        }
    }

    /// Closes those that have idled for longer than `timeout`.
    pub(super) fn purge(&self, now: Instant, timeout: Duration) {
        self.0.open.borrow_mut().retain(|session| {
            !session.is_gone() && session.idle_since().is_none_or(|since| now - since < timeout)
        });
    }

    /// Closes all of them, each once its requests have ended.
    pub(super) fn clear(&self) {
        self.0.open.borrow_mut().clear();
        self.0.opening.borrow_mut().clear();
    }

    /// Waits for a connection that is being made, or for one that is begun now.
    fn join(&self, server: &Arc<Server>, tune: Tune, begun: impl Fn()) -> Waiting {
        let room = self.0.room.get().unwrap_or(usize::MAX);
        let found = self.0.opening.borrow().iter().find(|opening| opening.waiting.get() < room).cloned();
        let opening = found.unwrap_or_else(|| {
            begun();
            self.begin(server.clone(), tune)
        });
        opening.waiting.set(opening.waiting.get() + 1);
        Waiting { sessions: self.clone(), opening }
    }

    fn begin(&self, server: Arc<Server>, tune: Tune) -> Rc<Opening> {
        let opening = Rc::new(Opening::default());
        self.0.opening.borrow_mut().push(opening.clone());
        let (sessions, begun) = (self.clone(), opening.clone());
        let task = tokio::task::spawn_local(async move {
            let opened = connect(&server, tune).await;
            let wanted = sessions.forget(&begun);
            begun.outcome.set(Some(match opened {
                Ok(session) => {
                    sessions.0.room.set(Some(session.room()));
                    if wanted {
                        sessions.0.open.borrow_mut().push(session);
                    }
                    Ok(())
                }
                Err(error) => Err((error.kind(), error.raw_os_error())),
            }));
            begun.done.notify_waiters();
        });
        opening.task.replace(Some(task.abort_handle()));
        opening
    }

    /// Takes a connection off those that are being made; says whether it was among them.
    fn forget(&self, ended: &Rc<Opening>) -> bool {
        let mut opening = self.0.opening.borrow_mut();
        let before = opening.len();
        opening.retain(|one| !Rc::ptr_eq(one, ended));
        opening.len() < before
    }
}

async fn connect(server: &Server, tune: Tune) -> io::Result<Rc<Session>> {
    let stream = super::connect(server).await?;
    Session::open(stream, tune).await
}

impl Waiting {
    async fn outcome(&self) -> io::Result<()> {
        loop {
            let done = self.opening.done.notified();
            match self.opening.outcome.get() {
                Some(Ok(())) => return Ok(()),
                Some(Err((_, Some(number)))) => return Err(io::Error::from_raw_os_error(number)),
                Some(Err((kind, None))) => return Err(kind.into()),
                None => done.await,
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = self.opening.waiting.get().saturating_sub(1);
        self.opening.waiting.set(waiting);
        if waiting == 0 && self.opening.outcome.get().is_none() {
            // Nobody wants it any more.
            self.sessions.forget(&self.opening);
            if let Some(task) = self.opening.task.take() {
                task.abort();
            }
        }
    }
}
