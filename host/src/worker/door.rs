//! A worker's doors: where clients are let in, as far as the bounds allow, and counted while they stay.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Worker;
use crate::connection;
use crate::count::Count;
use crate::limit::Place;
use crate::listener::Listener;
use crate::stream::Stream;
use crate::tls;

/// How long accepting rests after the system refused for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A door to a frontend: a listening address, which may lead to another frontend after a reload, or to none.
pub(crate) struct Doorway {
    frontend: Cell<Option<usize>>,
    connections: Arc<Count>,
    closed: Notify,
    /// Told when it may lead to another frontend.
    moved: Notify,
    /// Which of the frontend's listeners it is, from 1 on.
    number: Cell<usize>,
    /// TLS with those who come from now on.
    tls: RefCell<Option<Rc<tls::Listener>>>,
}

impl Doorway {
    /// A door to the frontend of this index, whose clients are counted there.
    pub(super) fn new(frontend: usize, connections: Arc<Count>) -> Rc<Doorway> {
        let (closed, moved, number, tls) = (Notify::new(), Notify::new(), Cell::new(1), RefCell::default());
        Rc::new(Doorway { frontend: Cell::new(Some(frontend)), connections, closed, moved, number, tls })
    }

    /// From now on it leads to another frontend.
    pub(super) fn lead_to(&self, frontend: usize) {
        self.frontend.set(Some(frontend));
        self.moved.notify_waiters();
    }

    /// From now on clients are met with this TLS, or in clear.
    pub(super) fn secure(&self, number: usize, tls: Option<tls::Listener>) {
        self.number.set(number);
        self.tls.replace(tls.map(Rc::new));
    }

    /// Which of the frontend's listeners it is, from 1 on.
    pub(crate) fn number(&self) -> usize {
        self.number.get()
    }

    /// Nobody is let in any more; who is in may end the exchange at hand.
    pub(super) fn shut(&self) {
        self.closed.notify_one();
    }

    /// As [`Doorway::shut`], and it leads nowhere any more.
    pub(super) fn wall_up(&self) {
        self.frontend.set(None);
        self.shut();
    }

    /// The frontend's index in the present generation.
    pub(crate) fn frontend(&self) -> Option<usize> {
        self.frontend.get()
    }
}

/// Lets clients in, as long as the bounds allow; past them they wait in the kernel's queue.
pub(super) async fn accept(worker: Rc<Worker>, listener: Listener, doorway: Rc<Doorway>) {
    // While it is at work, a worker that drains is not done: somebody may still stand before the door.
    let _task = Task::new(&worker, None, Vec::new());
    loop {
        let waited = tokio::select! {
            waited = listener.wait() => waited,
            () = doorway.closed.notified() => break,
        };
        let places = tokio::select! {
            places = Places::take(&worker, &doorway) => places,
            () = doorway.closed.notified() => break,
        };
        let Some(places) = places else { return };
        match waited.and_then(|()| listener.accept()) {
            Ok(Some((stream, peer))) => admit(&worker, &doorway, places, stream, peer),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Who stands in the kernel's queue when the process is told to end is still served.
    while worker.is_draining() {
        let Some(places) = Places::take(&worker, &doorway).await else { return };
        let Ok(Some((stream, peer))) = listener.accept() else { return };
        admit(&worker, &doorway, places, stream, peer);
    }
}

/// Starts a connection's task.
fn admit(
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
    if let Some(listener) = tls {
        let secured = secured(worker.clone(), doorway.clone(), listener, stream, peer);
        drop(tokio::task::spawn_local(task.run(secured)));
        return;
    }
    tokio::task::spawn_local(task.run(connection::serve(
        worker.clone(),
        doorway.clone(),
        stream,
        peer,
        None,
    )));
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
) {
    if !is_permitted(&worker, &doorway, peer) {
        return denied(&worker, &doorway);
    }
    if let Some((stream, session)) = tls::accept(&worker, &doorway, &listener, stream, peer).await {
        drop(listener);
        connection::serve(worker, doorway, stream, peer, Some(session)).await;
    }
}

/// A connection's places under the bounds of its listener, frontend and process.
struct Places([Option<Arc<Count>>; 3]);

impl Places {
    /// Takes a place under each bound, all at once: whoever waits for one holds none. `None` where the door
    /// leads nowhere any more.
    async fn take(worker: &Worker, doorway: &Doorway) -> Option<Places> {
        loop {
            match Places::try_take(worker, doorway)? {
                Ok(places) => return Some(places),
                // A reload may have the door lead to another frontend, whose bound is another.
                Err(full) => tokio::select! {
                    () = full.has_room() => {}
                    () = doorway.moved.notified() => {}
                },
            }
        }
    }

    /// Takes a place under each bound, or says which one is reached. Whoever waits for that holds nothing of the
    /// generation, which a reload may replace meanwhile.
    fn try_take(worker: &Worker, doorway: &Doorway) -> Option<Result<Places, Arc<Count>>> {
        let generation = worker.generation();
        let frontend = generation.frontends.get(doorway.frontend()?)?;
        let counts = [&doorway.connections, &frontend.shared.connections, &worker.process.connections];
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

    async fn run(self, connection: impl Future<Output = ()>) {
        std::future::poll_fn(|context| {
            self.worker.tasks.borrow_mut()[self.id] = context.waker().clone();
            Poll::Ready(())
        })
        .await;
        connection.await;
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
