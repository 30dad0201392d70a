//! What an exchange gets of a client's bytes, for what is fuzzed: each request as its HTTP/1.1, without sockets, and
//! without a runtime.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::ReadBuf;

use super::request::{self, Rest, Translated};
use super::screen::Screen;
use super::wire::Wire;
use crate::buffer::Buffer;
use crate::config::model::Http2;
use crate::scratch::Memory;
use crate::stream::{Carrier, Stream};

/// The longest head that is let in, as the default configuration has it.
const MAX_HEAD: usize = 15 * 1024;
/// So often at most anybody goes on without anything new.
const MOST_ROUNDS: usize = 100_000;

/// A request on its way to an exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PassedOn {
    /// Its head; empty where it is refused before it has one.
    pub(crate) head: Vec<u8>,
    /// The request line for the log.
    pub(crate) line: Vec<u8>,
    /// What came behind the head, in the encoding that the head names.
    pub(crate) body: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) is_whole: bool,
    /// Whether it asks for a tunnel, of which nothing is read.
    pub(crate) is_tunnel: bool,
}

/// The requests on a connection whose bytes come in such pieces, in their order.
pub(crate) fn passed_on<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<PassedOn> {
    let requests = Rc::<RefCell<Vec<PassedOn>>>::default();
    let (feed, tasks) = (Rc::<Feed>::default(), Tasks::default());
    let settings = Http2::default();
    let builder = super::builder(tasks.clone(), &settings, MAX_HEAD);
    let screen = Screen::new(settings.max_frame_size as usize, MAX_HEAD);
    let stream = Rc::new(RefCell::new(Stream::Carried(Box::new(Client(feed.clone())))));
    let wire = Wire::of_client(stream, Buffer::none(), screen);
    let seen = requests.clone();
    let service = service_fn(move |request| read(seen.clone(), request));
    let served = builder.serve_connection(wire, service);
    tasks.execute(async move { drop(served.await) });
    for piece in pieces {
        feed.bytes.borrow_mut().extend(piece);
        tasks.run();
    }
    feed.ended.set(true);
    tasks.run();
    requests.take()
}

/// Reads a request as an exchange does.
fn read(
    seen: Rc<RefCell<Vec<PassedOn>>>,
    request: Request<Incoming>,
) -> impl Future<Output = io::Result<Response<Empty<Bytes>>>> {
    let mut memory = Memory::default();
    let Translated { head, rest, .. } = request::translate(request, &mut memory);
    let Memory { up: text, down: line, .. } = memory;
    let head = head.map_or_else(|_| Vec::new(), |()| text);
    let number = seen.borrow().len();
    let is_tunnel = matches!(rest, Rest::Tunnel(_));
    seen.borrow_mut().push(PassedOn { head, line, is_tunnel, ..PassedOn::default() });
    async move {
        if let Rest::Body(mut upload) = rest {
            loop {
                let count = poll_fn(|context| {
                    upload.poll_pending(context).map_ok(|bytes| {
                        seen.borrow_mut()[number].body.extend_from_slice(bytes);
                        bytes.len()
                    })
                });
                match count.await {
                    Ok(0) => seen.borrow_mut()[number].is_whole = true,
                    Ok(count) => {
                        upload.gone(count);
                        continue;
                    }
                    Err(_) => {}
                }
                break;
            }
        }
        // An answer would close the stream, and what the client sends on a closed one may end the connection.
        pending().await
    }
}

/// What the client has sent, and whether that is all.
#[derive(Debug, Default)]
struct Feed {
    bytes: RefCell<VecDeque<u8>>,
    ended: Cell<bool>,
}

/// A client that reads nothing.
#[derive(Debug)]
struct Client(Rc<Feed>);

impl Carrier for Client {
    fn poll_read_ready(&self, _context: &mut Context<'_>) -> Poll<()> {
        if self.0.bytes.borrow().is_empty() && !self.0.ended.get() { Poll::Pending } else { Poll::Ready(()) }
    }

    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_read_ready(context));
        let mut bytes = self.0.bytes.borrow_mut();
        let count = bytes.len().min(space.remaining());
        bytes.drain(..count).for_each(|byte| space.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }

    fn reset_on_close(&self, _resets: bool) {}
}

/// What runs hyper's tasks, all of them in turn.
#[derive(Clone, Default)]
struct Tasks(Rc<RefCell<Vec<Boxed>>>);

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Tasks {
    /// Polls them until none has anything to do.
    fn run(&self) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut rounds = 0;
        while woken.0.swap(false, Relaxed) {
            let mut tasks = self.0.take();
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            if !self.0.borrow().is_empty() {
                waker.wake_by_ref();
            }
            self.0.borrow_mut().splice(0..0, tasks);
            rounds += 1;
            assert!(rounds < MOST_ROUNDS, "it goes on and on");
        }
    }
}

impl<Task: Future<Output = ()> + 'static> Executor<Task> for Tasks {
    fn execute(&self, task: Task) {
        self.0.borrow_mut().push(Box::pin(task));
    }
}
