//! A worker's doors: where clients are let in, as far as the bounds allow, and counted while they stay.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Worker, handshake};
use crate::connection;
use crate::count::Count;
use crate::limit::Place;
use crate::linger;
use crate::listener::Listener;
use crate::stream::{Ending, Stream};
use crate::tls;

/// How long accepting rests after the system refused for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening address of a worker, which may lead to another frontend after a reload, or to none.
pub(super) struct Entrance {
    /// What those who come in now know of it.
    doorway: RefCell<Rc<Doorway>>,
    connections: Arc<Count>,
    closed: Notify,
    /// Told when it may lead to another frontend.
    moved: Notify,
}

/// A listening address as its clients know it: for as long as it leads anywhere, and lets in whom it let in when they came.
pub(crate) struct Doorway {
    frontend: Cell<Option<usize>>,
    /// Which of the frontend's listeners it is, from 1 on.
    number: Cell<usize>,
    /// TLS with those who come from now on.
    tls: RefCell<Option<Rc<tls::Listener>>>,
}

impl Entrance {
    /// One whose clients are counted there, and which leads nowhere yet.
    pub(super) fn new(connections: Arc<Count>) -> Rc<Entrance> {
        let doorway = RefCell::new(Doorway::new(None, 1, None));
        Rc::new(Entrance { doorway, connections, closed: Notify::new(), moved: Notify::new() })
    }

    /// From now on it leads to this frontend, as its listener of this number, and clients are met with this TLS, or in
    /// clear. Those who are in stay, unless it was for other clients that they were let in: by other certificates of
    /// theirs, or in clear. They may end the exchange at hand.
    pub(super) fn lead_to(&self, frontend: usize, number: usize, tls: Option<tls::Listener>) {
        let present = self.doorway();
        if present.lets_in_as(tls.as_ref()) {
            present.frontend.set(Some(frontend));
            present.number.set(number);
            present.tls.replace(tls.map(Rc::new));
        } else {
            present.frontend.set(None);
            self.doorway.replace(Doorway::new(Some(frontend), number, tls));
        }
        self.moved.notify_waiters();
    }

    /// Nobody is let in any more; who is in may end the exchange at hand.
    pub(super) fn shut(&self) {
        self.closed.notify_one();
    }

    /// As [`Entrance::shut`], and it leads nowhere any more.
    pub(super) fn wall_up(&self) {
        self.doorway().frontend.set(None);
        self.shut();
    }

    pub(super) fn doorway(&self) -> Rc<Doorway> {
        self.doorway.borrow().clone()
    }
}

impl Doorway {
    fn new(frontend: Option<usize>, number: usize, tls: Option<tls::Listener>) -> Rc<Doorway> {
        let (frontend, number) = (Cell::new(frontend), Cell::new(number));
        Rc::new(Doorway { frontend, number, tls: RefCell::new(tls.map(Rc::new)) })
    }

    /// Whether those who are in could have come in by this, too.
    fn lets_in_as(&self, tls: Option<&tls::Listener>) -> bool {
        match (&*self.tls.borrow(), tls) {
            // Before it leads anywhere nobody is in.
            (None, Some(_)) => self.frontend.get().is_none(),
            (None, None) => true,
            (Some(present), Some(next)) => present.lets_in_as(next),
            (Some(_), None) => false,
        }
    }

    /// Which of the frontend's listeners it is, from 1 on.
    pub(crate) fn number(&self) -> usize {
        self.number.get()
    }

    /// The frontend's index in the present generation. `None`: connections that came in by it end with what they are at.
    pub(crate) fn frontend(&self) -> Option<usize> {
        self.frontend.get()
    }
}

/// Lets clients in, as long as the bounds allow; past them they wait in the kernel's queue.
pub(super) async fn accept(worker: Rc<Worker>, listener: Listener, entrance: Rc<Entrance>) {
    // While it is at work, a worker that drains is not done: somebody may still stand before the door.
    let _task = Task::new(&worker, None, Vec::new());
    loop {
        let waited = tokio::select! {
            waited = listener.wait() => waited,
            () = entrance.closed.notified() => break,
        };
        let places = tokio::select! {
            places = Places::take(&worker, &entrance) => places,
            () = entrance.closed.notified() => break,
        };
        let Some(places) = places else { return };
        match waited.and_then(|()| listener.accept()) {
            Ok(Some((stream, peer))) => admit(&worker, &entrance.doorway(), places, stream, peer),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Who stands in the kernel's queue when the process is told to end is still served.
    while worker.is_draining() {
        let Some(places) = Places::take(&worker, &entrance).await else { return };
        let Ok(Some((stream, peer))) = listener.accept() else { return };
        admit(&worker, &entrance.doorway(), places, stream, peer);
    }
}

/// Starts a connection's task.
pub(super) fn admit(
    worker: &Rc<Worker>,
    doorway: &Rc<Doorway>,
    places: Places,
    stream: Stream,
    peer: Option<SocketAddr>,
) {
    let generation = worker.generation();
    if let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) {
        frontend.tally.connections.add(1);
    }
    // Who is over a limit is let go unread: `stream` closes here.
    let Some(held) = counted(worker, doorway, peer) else { return denied(worker, doorway) };
    let task = Task::new(worker, Some(places), held);
    let tls = doorway.tls.borrow().clone();
    let (worker, doorway) = (worker.clone(), doorway.clone());
    if let Some(listener) = tls {
        drop(tokio::task::spawn_local(task.run(move || secured(worker, doorway, listener, stream, peer))));
        return;
    }
    drop(tokio::task::spawn_local(task.run(move || connection::serve(worker, doorway, stream, peer, None))));
}

/// Counts a connection at its frontend's limits. `None`: it is over one.
fn counted(worker: &Worker, doorway: &Doorway, peer: Option<SocketAddr>) -> Option<Vec<Place>> {
    let generation = worker.generation();
    let frontend = doorway.frontend().and_then(|index| generation.frontends.get(index));
    match frontend.and_then(|frontend| frontend.shared.limits.as_ref()) {
        Some(limits) => limits.connection(peer.map(|peer| peer.ip()), Instant::now()),
        None => Some(Vec::new()),
    }
}

/// Counts a connection that is closed unread.
fn denied(worker: &Worker, doorway: &Doorway) {
    let generation = worker.generation();
    if let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) {
        frontend.tally.denied_connections.add(1);
    }
}

/// Whether the lists of the frontend let a client in: asked before a handshake, which is work.
fn is_permitted(worker: &Worker, doorway: &Doorway, peer: Option<SocketAddr>) -> bool {
    let generation = worker.generation();
    let frontend = doorway.frontend().and_then(|index| generation.frontends.get(index));
    let access = frontend.and_then(|frontend| frontend.shared.config.access.as_ref());
    access.is_none_or(|access| access.permits(peer.map(|peer| peer.ip())))
}

/// Serves a client that comes by TLS.
async fn secured(
    worker: Rc<Worker>,
    doorway: Rc<Doorway>,
    listener: Rc<tls::Listener>,
    stream: Stream,
    peer: Option<SocketAddr>,
) -> Option<Ending> {
    if !is_permitted(&worker, &doorway, peer) {
        denied(&worker, &doorway);
        return None;
    }
    let (stream, session) = match handshake::accept(&worker, &doorway, listener, stream, peer).await {
        Ok(accepted) => accepted,
        Err(ending) => return ending,
    };
    connection::serve(worker, doorway, stream, peer, Some(session)).await
}

/// A connection's places under the bounds of its listener, frontend and process.
pub(super) struct Places([Option<Arc<Count>>; 3]);

impl Places {
    /// Takes a place under each bound, all at once: whoever waits for one holds none. `None` where the door
    /// leads nowhere any more.
    pub(super) async fn take(worker: &Worker, entrance: &Entrance) -> Option<Places> {
        loop {
            match Places::try_take(worker, entrance)? {
                Ok(places) => return Some(places),
                // A reload may have the door lead to another frontend, whose bound is another.
                Err(full) => tokio::select! {
                    () = full.has_room() => {}
                    () = entrance.moved.notified() => {}
                },
            }
        }
    }

    /// Takes a place under each bound, or says which one is reached. Whoever waits for that holds nothing of the
    /// generation, which a reload may replace meanwhile.
    fn try_take(worker: &Worker, entrance: &Entrance) -> Option<Result<Places, Arc<Count>>> {
        let generation = worker.generation();
        let frontend = generation.frontends.get(entrance.doorway.borrow().frontend()?)?;
        let counts = [&entrance.connections, &frontend.shared.connections, &worker.process.connections];
        let mut places = Places([const { None }; 3]);
        for (count, place) in counts.into_iter().zip(&mut places.0) {
            if !count.try_enter() {
                return Some(Err(count.clone()));
            }
            *place = Some(count.clone());
        }
        Some(Ok(places))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // The widest first: nobody is let in by one count while this connection is still in another.
        for count in self.0.iter().rev().flatten() {
            count.leave();
        }
    }
}

/// A task that a draining worker waits for: known to it, and with its places, while it runs.
struct Task {
    worker: Rc<Worker>,
    id: usize,
    _places: Option<Places>,
    /// Its places under the limits of its frontend.
    _held: Vec<Place>,
}

impl Task {
    fn new(worker: &Rc<Worker>, places: Option<Places>, held: Vec<Place>) -> Task {
        let id = worker.tasks.borrow_mut().insert(Waker::noop().clone());
        Task { worker: worker.clone(), id, _places: places, _held: held }
    }

    /// Serves a connection. What is given makes the future that does it, and is not that future: this one would hold it
    /// twice, as what it was given and as what it waits for, and every idle connection would be 2 KB larger.
    async fn run<Served>(self, serve: impl FnOnce() -> Served)
    where
        Served: Future<Output = Option<Ending>>,
    {
        self.register().await;
        if let Some(ending) = serve().await {
            // A task of its own holds nothing but the socket; with this one go its places and its memory.
            let task = Task::new(&self.worker, None, Vec::new());
            drop(tokio::task::spawn_local(task.hear_out(ending)));
        }
    }

    async fn hear_out(self, ending: Ending) {
        self.register().await;
        linger::hear_out(&self.worker, ending).await;
    }

    /// Lets the worker wake the task.
    async fn register(&self) {
        std::future::poll_fn(|context| {
            self.worker.tasks.borrow_mut()[self.id] = context.waker().clone();
            Poll::Ready(())
        })
        .await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut tasks = self.worker.tasks.borrow_mut();
        tasks.try_remove(self.id);
        if tasks.is_empty() {
            self.worker.idle.notify_one();
        }
    }
}
