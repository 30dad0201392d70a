//! HTTP/2 with servers: how requests share connections, and what becomes of those that a server hands back.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::health::probing;
use super::http2::{Pieces, empty, frame, http2};
use super::kit::{
    Answer, Authority, Directory, Message, PATIENCE, Proxy, Setup, client, get, origin, proxy, until,
};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Error>;

/// A body that breaks where another one would end.
struct Breaking(Piped);

impl hyper::body::Body for Breaking {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.0.poll_recv(context).map(|frame| Some(frame.ok_or_else(|| Error::from("broken"))))
    }
}

/// A body that is sent while it is read.
struct Piped(Receiver<Frame<Bytes>>);

fn piped() -> (Sender<Frame<Bytes>>, Piped) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Piped(receiver))
}

impl hyper::body::Body for Piped {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// A server that speaks HTTP/2 and nothing else.
struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    connections: AtomicUsize,
    /// Those that have not ended.
    open: AtomicUsize,
    seen: Mutex<Vec<(String, HeaderMap)>>,
    /// Requests that were given up before they were answered.
    cancelled: AtomicUsize,
    gate: Semaphore,
    /// Whether checks fail.
    sick: AtomicBool,
    leave: Notify,
}

/// Counts a request as given up unless it was answered.
struct Underway(Arc<Shared>, bool);

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.1 {
            self.0.cancelled.fetch_add(1, SeqCst);
        }
    }
}

impl Origin {
    /// Takes so many requests at once on a connection.
    fn start(streams: u32) -> Origin {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("nothing fails here");
        let shared = Arc::new(Shared {
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            seen: Mutex::default(),
            cancelled: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            sick: AtomicBool::new(false),
            leave: Notify::new(),
        });
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, shared.clone(), streams));
        Origin { address, shared, _runtime: runtime }
    }

    fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    fn seen(&self) -> Vec<(String, HeaderMap)> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    fn wait_for_requests(&self, count: usize) {
        until("the requests have come", || (self.seen().len() >= count).then_some(()));
    }
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>, streams: u32) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        shared.connections.fetch_add(1, SeqCst);
        shared.open.fetch_add(1, SeqCst);
        let served = shared.clone();
        let service = service_fn(move |request| answer(served.clone(), request));
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(streams);
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
            let mut left = std::pin::pin!(shared.leave.notified());
            let mut leaving = false;
            loop {
                tokio::select! {
                    _ = connection.as_mut() => break,
                    () = left.as_mut(), if !leaving => {
                        leaving = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
            shared.open.fetch_sub(1, SeqCst);
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Error> {
    let path = request.uri().path().to_owned();
    shared.seen.lock().expect("no panic").push((request.uri().to_string(), request.headers().clone()));
    let mut underway = Underway(shared.clone(), false);
    let response = match path.as_str() {
        "/echo" => Response::new(request.into_body().map_err(Error::from).boxed_unsync()),
        "/held" => {
            shared.gate.acquire().await.expect("open").forget();
            Response::new(full("held"))
        }
        "/never" => std::future::pending().await,
        "/trailers-only" => Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
            .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
            .expect("a response"),
        "/stream" => stream(&shared),
        "/breaking" | "/breaking-call" => {
            let kind = if path == "/breaking" { "text/plain" } else { "application/grpc" };
            Response::builder()
                .header("content-type", kind)
                .body(breaking(&shared).boxed_unsync())
                .expect("a response")
        }
        "/busy" => Response::builder().status(503).body(full("busy")).expect("a response"),
        "/reset" => return Err("reset".into()),
        "/status" if shared.sick.load(SeqCst) => {
            Response::builder().status(503).body(full("sick")).expect("a response")
        }
        "/many" => {
            let lines = (0..30).map(|number| (format!("x-{number}"), "y"));
            lines
                .fold(Response::builder(), |made, (name, value)| made.header(name, value))
                .body(full("many"))?
        }
        "/length" => Response::builder().header("content-length", "3").body(full("abc")).expect("a response"),
        _ => Response::new(full("h2")),
    };
    underway.1 = true;
    Ok(response)
}

/// A word as soon as it is asked, and one more, with trailers, once the gate lets it.
fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let (sender, body) = piped();
    let shared = shared.clone();
    tokio::spawn(async move {
        sender.send(Frame::data(Bytes::from_static(b"first "))).await.expect("wanted");
        shared.gate.acquire().await.expect("open").forget();
        sender.send(Frame::data(Bytes::from_static(b"second"))).await.expect("wanted");
        let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]);
        sender.send(Frame::trailers(trailers)).await.expect("wanted");
    });
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body.map_err(|never| match never {}).boxed_unsync())
        .expect("a response")
}

/// The body of a response once its head has come.
async fn answered(sent: JoinHandle<hyper::Result<Response<Incoming>>>) -> Incoming {
    let answered = tokio::time::timeout(PATIENCE, sent).await.expect("in time").expect("no panic");
    answered.expect("a response").into_body()
}

/// The next piece of a body.
async fn piece(body: &mut Incoming) -> Option<Bytes> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("in time")?;
    Some(frame.expect("no error").into_data().expect("data"))
}

fn posted(proxy: &Proxy, body: &str) -> Message {
    let mut client = client(proxy.address());
    let length = body.len();
    client.send(format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"));
    client.response()
}

/// A word, and no proper end once the gate lets it.
fn breaking(shared: &Arc<Shared>) -> Breaking {
    let (sender, body) = piped();
    let shared = shared.clone();
    tokio::spawn(async move {
        sender.send(Frame::data(Bytes::from_static(b"begun"))).await.expect("wanted");
        shared.gate.acquire().await.expect("open").forget();
    });
    Breaking(body)
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

/// One worker, so that what it shares is shared by all.
fn before(origin: &Origin) -> Setup {
    proxy().global("nbthread = 1").server_at("s", &origin.address.to_string(), "proto = \"h2\"")
}

fn text(proxy: &Proxy, path: &str) -> String {
    get(proxy.address(), path).text()
}

#[test]
fn clients_of_both_versions_reach_a_server_of_http2_by_one_connection() {
    let origin = Origin::start(100);
    let proxy = before(&origin).backend("forwardfor = true").start();
    assert_eq!(text(&proxy, "/one?x=1"), "h2");
    let mut newer = http2(&proxy);
    let (status, headers, body, _) = newer.get("/two");
    assert_eq!((status.as_u16(), &body[..]), (200, &b"h2"[..]));
    assert!(!headers.contains_key("connection") && !headers.contains_key("transfer-encoding"));
    assert_eq!(origin.connections(), 1);
    let seen = origin.seen();
    assert_eq!(seen[0].0, "http://test/one?x=1");
    assert_eq!(seen[0].1.get("x-forwarded-for").expect("a header"), "127.0.0.1");
    assert!(["host", "connection", "transfer-encoding"].iter().all(|name| !seen[0].1.contains_key(*name)));
    let line = proxy.exchange("/one?x=1");
    assert_eq!((line.status, line.state.as_str()), (200, "----"));
}

#[test]
fn a_server_is_told_no_host_that_no_client_named_and_urls_as_urls_are_written() {
    let origin = Origin::start(100);
    let proxy = before(&origin)
        .backend("rules = [{ when = { path = \"/none\" }, request = { del_header = \"host\" } }]")
        .start();
    for (request, seen) in [
        ("GET /old HTTP/1.0\r\n", "/old"),
        ("GET /none HTTP/1.1\r\nhost: a\r\n", "/none"),
        ("GET /\"a\"`b`?<c>|{d} HTTP/1.1\r\nhost: a\r\n", "http://a/%22a%22%60b%60?%3Cc%3E%7C%7Bd%7D"),
        ("GET http://a?x HTTP/1.1\r\nhost: a:80\r\n", "http://a/?x"),
        ("OPTIONS http://a HTTP/1.1\r\nhost: a\r\n", "http://a*"),
    ] {
        let mut client = client(proxy.address());
        client.send(format!("{request}\r\n"));
        assert_eq!(client.response().status(), 200, "{request}");
        let (url, headers) = origin.seen().pop().expect("a request");
        assert_eq!((url.as_str(), headers.get("host")), (seen, None), "{request}");
    }
}

#[test]
fn responses_keep_their_length_and_heads_have_no_body() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut client = client(proxy.address());
    for _ in 0..2 {
        let response = client.get("/length");
        assert_eq!((response.header("content-length"), response.text().as_str()), (Some("3"), "abc"));
    }
    client.ask("HEAD", "/length", &[]);
    assert_eq!(client.response_to("HEAD").header("content-length"), Some("3"));
    assert_eq!(client.get("/").text(), "h2");
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut newer = http2(&proxy);
    let sent: Bytes = (0..1 << 20).map(|at| b'a' + (at % 23) as u8).collect::<Vec<_>>().into();
    let trailers = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from(7))]);
    let pieces = sent.chunks(100_000).map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
    let body = Pieces(pieces.chain([Frame::trailers(trailers)]).collect()).boxed();
    let request = newer.request(hyper::Method::POST, "/echo").body(body).expect("a request");
    let (status, _, body, trailers) = newer.response(request).expect("a response");
    assert!(status == 200 && body == sent, "what came back differs");
    assert_eq!(trailers.expect("trailers").get("x-sum").expect("a trailer"), "7");
    let mut older = client(proxy.address());
    older.send("POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(older.head().status(), 100);
    older.send("hello");
    assert_eq!(older.response().text(), "hello");
    assert!(origin.seen().iter().all(|(_, headers)| !headers.contains_key("expect")));
}

#[test]
fn an_answer_of_trailers_only_stays_one_and_a_stream_comes_as_it_is_sent() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut newer = http2(&proxy);
    let (_, headers, body, trailers) = newer.get("/trailers-only");
    assert_eq!(
        (headers.get("grpc-status").expect("a status"), body.len(), trailers),
        (&"5".parse().expect("a value"), 0, None)
    );
    let request = newer.request(hyper::Method::POST, "/stream").body(empty()).expect("a request");
    let sent = newer.send(request);
    newer.runtime.block_on(async {
        let mut body = answered(sent).await;
        assert_eq!(piece(&mut body).await.expect("a piece"), "first ");
        origin.shared.gate.add_permits(1);
        let rest = tokio::time::timeout(PATIENCE, body.collect()).await.expect("in time").expect("no error");
        assert_eq!(rest.trailers().expect("trailers").get("grpc-status").expect("a status"), "0");
        assert_eq!(rest.to_bytes(), "second");
    });
}

#[test]
fn both_directions_stream_at_the_same_time() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut newer = http2(&proxy);
    let (sender, body) = piped();
    let request = newer.request(hyper::Method::POST, "/echo").body(body.boxed()).expect("a request");
    let sent = newer.send(request);
    newer.runtime.block_on(async {
        let mut body = answered(sent).await;
        for word in ["one", "two", "three"] {
            sender.send(Frame::data(Bytes::from_static(word.as_bytes()))).await.expect("wanted");
            assert_eq!(piece(&mut body).await.expect("a piece"), word);
        }
        drop(sender);
        assert!(piece(&mut body).await.is_none_or(|rest| rest.is_empty()));
    });
}

#[test]
fn a_full_connection_is_joined_by_another_and_they_are_left_when_they_idle() {
    let origin = Origin::start(2);
    let proxy = before(&origin).global("tune = { pool_idle_timeout = \"1s\" }").start();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..5).map(|_| scope.spawn(|| text(&proxy, "/held"))).collect();
        origin.wait_for_requests(5);
        assert_eq!(origin.connections(), 3);
        origin.shared.gate.add_permits(5);
        assert!(asked.into_iter().all(|asked| asked.join().expect("no panic") == "held"));
    });
    assert_eq!(text(&proxy, "/"), "h2");
    assert_eq!(origin.connections(), 3);
    until("they have been left", || (origin.shared.open.load(SeqCst) == 0).then_some(()));
}

#[test]
fn what_a_client_gives_up_is_given_up_at_the_server() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut newer = http2(&proxy);
    let request = newer.request(hyper::Method::GET, "/never").body(empty()).expect("a request");
    let sent = newer.send(request);
    origin.wait_for_requests(1);
    sent.abort();
    until("the server hears of it", || (origin.shared.cancelled.load(SeqCst) == 1).then_some(()));
    assert_eq!(newer.get("/").0, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_server_that_does_not_answer_in_time_loses_its_silent_connection() {
    let origin = Origin::start(100);
    let proxy = before(&origin).timeout("server", "200ms").start();
    assert_eq!(get(proxy.address(), "/never").status(), 504);
    assert_eq!(proxy.exchange("/never").state, "sH--");
    until("the server hears of it", || (origin.shared.cancelled.load(SeqCst) == 1).then_some(()));
    assert_eq!(text(&proxy, "/"), "h2");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_server_that_is_leaving_ends_what_it_has_and_others_go_elsewhere() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| text(&proxy, "/held"));
        origin.wait_for_requests(1);
        origin.shared.leave.notify_waiters();
        // Whether the word that it leaves has come or not: nothing is lost.
        for _ in 0..5 {
            assert_eq!(posted(&proxy, "again").text(), "again");
        }
        origin.shared.gate.add_permits(1);
        assert_eq!(held.join().expect("no panic"), "held");
    });
    assert_eq!(origin.connections(), 2);
}

#[test]
fn what_is_refused_before_it_was_looked_at_goes_to_another_connection_with_its_body() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let setup = proxy().global("nbthread = 1").server_at("s", &address.to_string(), "proto = \"h2\"");
    let proxy = setup.start();
    let served = std::thread::spawn(move || {
        let refused = |reset: &[u8]| {
            let (mut socket, _) = listener.accept().expect("a connection");
            socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
            socket.write_all(&frame(4, 0, 0, b"")).expect("a socket");
            // Everything up to the body's end, which is a frame of data with the flag for it.
            let mut came = Vec::new();
            while !came.windows(14).any(|window| window == b"\0\0\x05\0\x01\0\0\0\x01hello") {
                let mut bytes = [0; 1024];
                let count = socket.read(&mut bytes).expect("no error");
                assert!(count > 0, "it left after {came:?}");
                came.extend_from_slice(&bytes[..count]);
            }
            socket.write_all(reset).expect("a socket");
            socket
        };
        let refuse = frame(3, 0, 1, &7_u32.to_be_bytes());
        let leave = frame(7, 0, 0, &[0; 8]);
        // 200, and an empty piece of data that ends it.
        let answer = [frame(1, 4, 1, b"\x88"), frame(0, 1, 1, b"")].concat();
        [refused(&refuse), refused(&leave), refused(&answer)]
    });
    let response = posted(&proxy, "hello");
    assert_eq!((response.status(), response.text().as_str()), (200, ""));
    drop(served.join().expect("no panic"));
    let line = proxy.exchange("/echo");
    assert_eq!((line.state.as_str(), line.retries.as_str()), ("----", "0"));
}

/// Takes frames until one has this kind and stream.
fn await_frame(socket: &mut TcpStream, kind: u8, stream: u32) {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        socket.read_exact(&mut vec![0; length as usize]).expect("all of it");
        if head[3] == kind && head[5..] == stream.to_be_bytes() {
            return;
        }
    }
}

#[test]
fn a_connection_that_takes_no_more_requests_is_closed_once_its_last_answer_has_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let setup = proxy().global("nbthread = 1").server_at("s", &address.to_string(), "proto = \"h2\"");
    let proxy = setup.start();
    let served = std::thread::spawn(move || {
        let accept = || {
            let (mut socket, _) = listener.accept().expect("a connection");
            socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
            socket.write_all(&frame(4, 0, 0, b"")).expect("a socket");
            socket.read_exact(&mut [0; 24]).expect("the preface");
            socket
        };
        let mut first = accept();
        await_frame(&mut first, 1, 1);
        // 200 with `content-length: 5`: all its bytes, and not its end.
        let whole = [frame(1, 4, 1, b"\x88\x0f\x0d\x015"), frame(0, 0, 1, b"hello")].concat();
        first.write_all(&whole).expect("a socket");
        await_frame(&mut first, 1, 3);
        first.write_all(&frame(3, 0, 3, &7_u32.to_be_bytes())).expect("a socket");
        let mut second = accept();
        await_frame(&mut second, 1, 1);
        second.write_all(&frame(1, 5, 1, b"\x88")).expect("a socket");
        first.write_all(&frame(0, 1, 1, b"")).expect("a socket");
        first.read_to_end(&mut Vec::new()).expect("it is closed");
    });
    assert_eq!(text(&proxy, "/one"), "hello");
    assert_eq!(text(&proxy, "/two"), "");
    served.join().expect("no panic");
}

#[test]
fn what_fails_after_it_was_looked_at_is_tried_again_where_its_event_is_named_and_only_there() {
    let other = Answer::new(200, "other");
    let other = ["/busy", "/never", "/reset"]
        .into_iter()
        .fold(origin("other"), |origin, path| origin.route(path, other.clone()))
        .start();
    let cases = [
        ("503", "/busy", 503, "----"),
        ("\"response-timeout\"", "/never", 504, "sH--"),
        ("\"empty-response\"", "/reset", 502, "SH--"),
    ];
    for (event, path, status, state) in cases {
        for (events, status, retries, state) in [(event, 200, "+1", "----"), ("500", status, "0", state)] {
            let origin = Origin::start(100);
            let backend = format!("retries = 1\nredispatch = true\nretry_on = {events}");
            let proxy = before(&origin).timeout("server", "200ms").backend(&backend).server(&other).start();
            assert_eq!(get(proxy.address(), path).status(), status, "{event}");
            let line = proxy.exchange(path);
            assert_eq!((&*line.retries, &*line.state), (retries, state), "{event}: {}", line.line);
            assert_eq!(origin.seen().len(), 1, "{event}");
        }
    }
}

#[test]
fn a_server_that_speaks_no_http2_is_a_failed_connection() {
    let older = origin("a").route("PRI", Answer::bytes("HTTP/1.1 400 Bad request\r\n\r\n")).start();
    let setup = proxy().backend("retries = 0").timeout("connect", "2s");
    let proxy = setup.server_with(&older, "proto = \"h2\"").start();
    assert_eq!(get(proxy.address(), "/").status(), 503);
    assert!(proxy.exchange("/").state.ends_with("C--"));
}

#[test]
fn hostile_servers_break_their_connection_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let setup = proxy().backend("retries = 0").timeout("server", "5s");
    let proxy = setup.server_at("s", &address.to_string(), "proto = \"h2\"").start();
    let hostile: Vec<Vec<u8>> = vec![
        // A status that is none, a header that belongs to HTTP/1.1, and one with a line end in it.
        frame(1, 5, 1, b"\x08\x03abc"),
        frame(1, 5, 1, b"\x88\x00\x0aconnection\x05close"),
        frame(1, 5, 1, b"\x88\x00\x01x\x06a\r\nb: c"),
        // A length that is not kept, and two of them.
        [frame(1, 4, 1, b"\x88\x0f\x0d\x019"), frame(0, 1, 1, b"abc")].concat(),
        frame(1, 4, 1, b"\x88\x0f\x0d\x011\x0f\x0d\x012"),
        // Data before a head, a frame that is too long, a push that nobody allowed, and a window that runs over.
        frame(0, 1, 1, b"abc"),
        frame(0, 0, 1, &[0; 20_000]),
        frame(5, 4, 1, b"\0\0\0\x02\x82"),
        frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
    ];
    for (index, bytes) in hostile.iter().enumerate() {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let mut client = client(proxy.address());
                client.ask("GET", &format!("/{index}"), &[]);
                client.head().status()
            });
            let (mut socket, _) = listener.accept().expect("a connection");
            socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
            socket.write_all(&frame(4, 0, 0, b"")).expect("a socket");
            let mut came = [0; 1024];
            let mut seen = Vec::new();
            // The request: a frame of headers that ends its stream.
            while !seen.windows(6).any(|window| window == b"\x01\x05\0\0\0\x01") {
                let count = socket.read(&mut came).expect("no error");
                assert!(count > 0, "it left");
                seen.extend_from_slice(&came[..count]);
            }
            // It may be gone before all of it is written.
            let _ = socket.write_all(bytes);
            let _ = socket.shutdown(std::net::Shutdown::Write);
            let _ = socket.read_to_end(&mut Vec::new());
            let status = asked.join().expect("no panic");
            assert!(status == 502 || status == 200, "{index}: {status}");
        });
    }
}

#[test]
fn tls_goes_by_the_protocol_that_is_offered() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let directory = Directory::new();
    directory.write("inner.pem", authority.sign(&["app.internal"]).pem());
    let bind = "{ address = \"127.0.0.1:0\", tls = { crt = \"inner.pem\", alpn = [\"h2\"] } }";
    let inner = proxy().only_bind(bind).server(&behind).start_in(directory);
    let directory = Directory::new();
    directory.write("ca.pem", authority.pem());
    let keys = "proto = \"h2\"\nssl = true\nca_file = \"ca.pem\"\nsni = \"app.internal\"";
    let outer = proxy().server_at("s", inner.address(), keys).start_in(directory);
    assert_eq!(get(outer.address(), "/x").text(), "a");
    let line = until("it is logged", || inner.exchanges().into_iter().next());
    assert!(line.request.ends_with("/x HTTP/2.0"), "{}", line.request);
    assert!(line.request.contains("https://"), "{}", line.request);
}

#[test]
fn checks_speak_what_requests_speak() {
    let origin = Origin::start(100);
    let proxy = before(&origin).checked().start();
    origin.wait_for_requests(2);
    assert_eq!(text(&proxy, "/"), "h2");
    assert!(origin.seen()[0].0.ends_with("/status"), "{:?}", origin.seen()[0]);
    origin.shared.sick.store(true, SeqCst);
    proxy.log.wait("is DOWN: Layer7 wrong status, code 503, Service Unavailable");
    origin.shared.sick.store(false, SeqCst);
    proxy.log.wait("is UP");
}

#[test]
fn an_answer_over_http2_that_requests_would_not_get_passes_no_check() {
    let origin = Origin::start(100);
    let proxy = before(&origin)
        .global("tune = { maxhdr = 20 }")
        .timeout("check", "30s")
        .backend(&probing("GET /many"))
        .start();
    proxy.log.wait("is DOWN: Layer7 invalid response, too many header lines");
}

#[test]
fn a_server_that_speaks_no_http2_passes_no_check_of_it() {
    let older = origin("a").route("PRI", Answer::bytes("HTTP/1.1 400 Bad request\r\n\r\n")).start();
    let proxy = proxy().server_with(&older, "proto = \"h2\"").checked().start();
    proxy.log.wait("is DOWN: Layer7 invalid response, not HTTP/2");
}

#[test]
fn a_response_that_breaks_off_is_no_whole_one_and_a_call_of_grpc_is_unavailable() {
    let origin = Origin::start(100);
    let proxy = before(&origin).start();
    let mut newer = http2(&proxy);
    let sent = ["/breaking", "/breaking-call"].map(|path| {
        let request = newer.request(hyper::Method::GET, path).body(empty()).expect("a request");
        newer.send(request)
    });
    newer.runtime.block_on(async {
        let mut bodies = Vec::new();
        for sent in sent {
            let mut body = answered(sent).await;
            assert_eq!(piece(&mut body).await.expect("a piece"), "begun");
            bodies.push(body);
        }
        origin.shared.gate.add_permits(2);
        let call = tokio::time::timeout(PATIENCE, bodies.remove(1).collect()).await.expect("in time");
        let status = call.expect("an end").trailers().expect("trailers").get("grpc-status").cloned();
        assert_eq!(status.expect("a status"), "14");
        assert!(tokio::time::timeout(PATIENCE, bodies.remove(0).collect()).await.expect("in time").is_err());
    });
    let states = until("both are logged", || {
        let lines = proxy.exchanges();
        (lines.len() == 2).then(|| lines.into_iter().map(|line| line.state).collect::<Vec<_>>())
    });
    assert_eq!(states, ["SD--", "SD--"]);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_stalls_within_its_upload_is_not_the_servers_fault() {
    let origin = Origin::start(100);
    let breaker = "circuit_breaker = { error_percent = 1, min_requests = 2, open_for = \"1d\" }";
    let setup = before(&origin).backend(breaker).timeout("client", "200ms").timeout("server", "100ms");
    let proxy = setup.start();
    let stalling = |path: &str| {
        let mut client = client(proxy.address());
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf"));
        client
    };
    for _ in 0..2 {
        assert_eq!(stalling("/never").response().status(), 408);
        let mut begun = stalling("/echo");
        assert_eq!(begun.head().status(), 200);
        assert!(begun.wire.exactly(1000).is_err(), "the answer is not whole");
    }
    let states = |path: &str| {
        let lines = proxy.exchanges().into_iter().filter(|line| line.path() == path);
        lines.map(|line| (line.status, line.state)).collect::<Vec<_>>()
    };
    until("all are logged", || (proxy.exchanges().len() == 4).then_some(()));
    assert_eq!(states("/never"), [(408, "cD--".to_owned()), (408, "cD--".to_owned())]);
    assert_eq!(states("/echo"), [(200, "cD--".to_owned()), (200, "cD--".to_owned())]);
    assert_eq!(text(&proxy, "/after"), "h2");
}
