//! Servers to stand behind the proxy: each does as its script says and keeps what it saw.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use socket2::{Domain, SockAddr, Type};

use super::wire::{Message, Socket, Wire};
use super::{PATIENCE, until};

/// What health checks ask for.
const STATUS: &str = "/status";

/// Whether a connection serves another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Keep,
    Close,
}

type Script = Arc<dyn Fn(&mut Message, &mut Wire) -> io::Result<Next> + Send + Sync>;

/// An answer to send once the whole request is there.
#[derive(Clone)]
pub(crate) struct Answer {
    head: String,
    body: Vec<u8>,
    framed: bool,
    next: Next,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        let head = format!("HTTP/1.1 {status} Test\r\n");
        Answer { head, body: body.into(), framed: true, next: Next::Keep }
    }

    /// These bytes, then the end of the connection.
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { head: String::new(), body: bytes.into(), framed: false, next: Next::Close }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Answer {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn send(&self, request: &mut Message, wire: &mut Wire) -> io::Result<Next> {
        wire.request_body(request)?;
        if self.framed {
            let length = self.body.len();
            wire.write(format!("{}content-length: {length}\r\n\r\n", self.head))?;
        }
        if request.method() != "HEAD" {
            wire.write(&self.body)?;
        }
        Ok(self.next)
    }
}

/// Holds whoever comes until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic") = true;
        self.0.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let closed = self.0.0.lock().expect("no panic");
        drop(self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open));
    }
}

/// An origin in the making.
pub(crate) struct Builder {
    name: String,
    scripts: BTreeMap<String, Script>,
    unix: Option<PathBuf>,
    address: SocketAddr,
}

/// An origin by this name. Unless it is told otherwise it answers its name, and its health checks pass.
pub(crate) fn origin(name: &str) -> Builder {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Builder { name: name.to_owned(), scripts: BTreeMap::new(), unix: None, address }
}

impl Builder {
    /// Answers requests for a path.
    pub(crate) fn route(self, path: &str, answer: Answer) -> Builder {
        self.script(path, move |request, wire| answer.send(request, wire))
    }

    /// Answers requests for a path with its name, once the gate is open.
    pub(crate) fn held(self, path: &str, gate: &Gate) -> Builder {
        let (gate, answer) = (gate.clone(), Answer::new(200, self.name.clone()));
        self.script(path, move |request, wire| {
            gate.pass();
            answer.send(request, wire)
        })
    }

    /// Never answers requests for a path.
    pub(crate) fn silent(self, path: &str) -> Builder {
        self.script(path, |_, wire| wire.read_to_end().map(|_| Next::Close))
    }

    /// Answers requests for a path with a body that never ends.
    pub(crate) fn endless(self, path: &str) -> Builder {
        self.script(path, |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                wire.write([b'x'; 65536])?;
            }
        })
    }

    /// Does this with a request for a path, of which only the head has been read.
    pub(crate) fn script(
        mut self,
        path: &str,
        script: impl Fn(&mut Message, &mut Wire) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Builder {
        self.scripts.insert(path.to_owned(), Arc::new(script));
        self
    }

    /// Listens on a Unix socket.
    pub(crate) fn unix(self, path: &Path) -> Builder {
        Builder { unix: Some(path.to_owned()), ..self }
    }

    /// Listens at this address.
    pub(crate) fn at(self, address: SocketAddr) -> Builder {
        Builder { address, ..self }
    }

    pub(crate) fn start(self) -> Origin {
        let state = Arc::new(State {
            name: self.name,
            scripts: self.scripts,
            healthy: AtomicBool::new(true),
            checks: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            seen: Mutex::default(),
            open: Mutex::default(),
            running: AtomicBool::new(true),
        });
        let place = match self.unix {
            Some(path) => Place::Unix(path),
            None => Place::Tcp(tcp_socket(self.address)),
        };
        let mut origin = Origin { state, place, listener: None };
        origin.bring_back();
        origin
    }
}

/// A server.
pub(crate) struct Origin {
    state: Arc<State>,
    place: Place,
    listener: Option<(socket2::Socket, JoinHandle<()>)>,
}

enum Place {
    /// Bound but not listening: it keeps the port while the origin is down.
    Tcp(socket2::Socket),
    Unix(PathBuf),
}

struct State {
    name: String,
    scripts: BTreeMap<String, Script>,
    healthy: AtomicBool,
    checks: AtomicUsize,
    connections: AtomicUsize,
    ended: AtomicUsize,
    seen: Mutex<Vec<Message>>,
    open: Mutex<Vec<Socket>>,
    running: AtomicBool,
}

fn tcp_socket(address: SocketAddr) -> socket2::Socket {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("the port can be shared");
    socket.bind(&address.into()).expect("a free port");
    socket
}

impl Origin {
    pub(crate) fn name(&self) -> &str {
        &self.state.name
    }

    /// The address, as `lb.toml` names it.
    pub(crate) fn address(&self) -> String {
        match &self.place {
            Place::Tcp(socket) => local(socket).to_string(),
            Place::Unix(path) => format!("unix@{}", path.display()),
        }
    }

    /// The requests so far, health checks aside.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.state.seen.lock().expect("no panic").clone()
    }

    /// Waits until so many requests have come.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) {
        until("the origin has its requests", || {
            (self.state.seen.lock().expect("no panic").len() >= count).then_some(())
        });
    }

    pub(crate) fn checks(&self) -> usize {
        self.state.checks.load(Relaxed)
    }

    /// The connections so far, those of health checks included.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Relaxed)
    }

    /// How many of them have ended.
    pub(crate) fn ended(&self) -> usize {
        self.state.ended.load(Relaxed)
    }

    /// Says whether its health checks pass from now on.
    pub(crate) fn pass_checks(&self, healthy: bool) {
        self.state.healthy.store(healthy, Relaxed);
    }

    /// Ends: connections are cut, new ones refused.
    pub(crate) fn kill(&mut self) {
        let Some((socket, thread)) = self.listener.take() else { return };
        self.state.running.store(false, Relaxed);
        // Who waits for somebody to come is woken by this.
        let _ = socket.shutdown(Shutdown::Both);
        let _ = thread.join();
        self.cut_connections();
    }

    /// Cuts the connections, as a server does that ends those that idle.
    pub(crate) fn cut_connections(&self) {
        self.state.open.lock().expect("no panic").drain(..).for_each(|socket| {
            let _ = socket.shutdown(Shutdown::Both);
        });
    }

    /// Listens again, where it did before.
    pub(crate) fn bring_back(&mut self) {
        let state = self.state.clone();
        state.running.store(true, Relaxed);
        let socket = match &self.place {
            Place::Tcp(keeper) => tcp_socket(local(keeper)),
            Place::Unix(path) => {
                let _ = std::fs::remove_file(path);
                let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
                socket.bind(&SockAddr::unix(path).expect("a short path")).expect("the path is free");
                socket
            }
        };
        socket.listen(1024).expect("the address is ours");
        let listening = socket.try_clone().expect("another descriptor");
        let is_unix = matches!(self.place, Place::Unix(_));
        let thread = std::thread::spawn(move || {
            state.accept(|| {
                let (stream, _) = listening.accept()?;
                Ok(if is_unix { Socket::Unix(stream.into()) } else { Socket::Tcp(stream.into()) })
            });
        });
        self.listener = Some((socket, thread));
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.kill();
    }
}

fn local(socket: &socket2::Socket) -> SocketAddr {
    socket.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket")
}

impl State {
    fn accept(self: &Arc<Self>, accept: impl Fn() -> io::Result<Socket>) {
        loop {
            let accepted = accept();
            if !self.running.load(Relaxed) {
                return;
            }
            let Ok(socket) = accepted else { continue };
            let Ok(clone) = socket.try_clone() else { continue };
            self.open.lock().expect("no panic").push(clone);
            self.connections.fetch_add(1, Relaxed);
            let state = self.clone();
            std::thread::spawn(move || {
                let mut wire = Wire::new(socket);
                // A connection that breaks concerns its test alone, which sees it at the other end.
                while matches!(state.one(&mut wire), Ok(Next::Keep)) {}
                let _ = wire.socket().shutdown(Shutdown::Both);
                state.ended.fetch_add(1, Relaxed);
            });
        }
    }

    fn one(&self, wire: &mut Wire) -> io::Result<Next> {
        let Some(mut request) = wire.head()? else { return Ok(Next::Close) };
        if request.target() == STATUS {
            self.checks.fetch_add(1, Relaxed);
            let status = if self.healthy.load(Relaxed) { 200 } else { 503 };
            Answer::new(status, "").send(&mut request, wire)?;
            return Ok(Next::Close);
        }
        let number = {
            let mut seen = self.seen.lock().expect("no panic");
            seen.push(request.clone());
            seen.len() - 1
        };
        let next = match self.scripts.get(request.target()) {
            Some(script) => script(&mut request, wire),
            None => Answer::new(200, self.name.clone()).send(&mut request, wire),
        };
        self.seen.lock().expect("no panic")[number] = request;
        next
    }
}

/// A port where connections are refused, kept from everybody else.
pub(crate) struct Refusing(socket2::Socket);

impl Refusing {
    pub(crate) fn new() -> Refusing {
        Refusing(tcp_socket(SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    pub(crate) fn address(&self) -> String {
        local(&self.0).to_string()
    }
}

/// A port where connections are neither taken nor refused: its queue is full.
pub(crate) struct Unanswering {
    socket: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Unanswering {
    pub(crate) fn new() -> Unanswering {
        let socket = tcp_socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        socket.listen(0).expect("the port is ours");
        let queued = (0..4).map(|_| {
            let client = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            client.set_nonblocking(true).expect("a socket can be so");
            let _ = client.connect(&local(&socket).into());
            client
        });
        let queued = queued.collect();
        Unanswering { socket, _queued: queued }
    }

    pub(crate) fn address(&self) -> String {
        local(&self.socket).to_string()
    }
}
