//! HTTP/2, in clear text and by TLS: what clients get over one connection, and what hostile ones do not.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{Answer, Authority, Clients, Directory, Gate, Message, Next, PATIENCE, Proxy, Signal, Wire};
use super::kit::{client, origin, proxy, until};

/// What came: status, headers, body, trailers.
pub(super) type Answered = (StatusCode, HeaderMap, Bytes, Option<HeaderMap>);
pub(super) type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// A connection, and the runtime that it lives on.
pub(super) struct Http2 {
    pub(super) runtime: tokio::runtime::Runtime,
    sender: SendRequest<Body>,
    /// Its scheme and authority.
    base: String,
}

pub(super) fn http2(proxy: &Proxy) -> Http2 {
    let address = proxy.address().to_owned();
    let base = format!("http://{address}");
    http2_over(
        async move { tokio::net::TcpStream::connect(address).await.expect("nothing fails here") },
        base,
    )
}

/// The same by TLS, with these settings: what ALPN must have agreed on is HTTP/2.
fn http2_by_tls(proxy: &Proxy, clients: &Clients) -> Http2 {
    http2_by_tls_at(proxy.address(), clients)
}

pub(super) fn http2_by_tls_at(address: &str, clients: &Clients) -> Http2 {
    let mut config = rustls::ClientConfig::clone(&clients.0);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let address = address.to_owned();
    let connect = async move {
        let socket = tokio::net::TcpStream::connect(address).await.expect("nothing fails here");
        let name = "a.example".try_into().expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, socket).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    };
    http2_over(connect, "https://a.example".to_owned())
}

fn http2_over<Io>(connect: impl Future<Output = Io>, base: String) -> Http2
where
    Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("nothing fails here");
    let sender = runtime.block_on(async {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connect.await))
            .await
            .expect("nothing fails here");
        tokio::spawn(connection);
        sender
    });
    Http2 { runtime, sender, base }
}

impl Http2 {
    /// Whether the connection takes no further requests.
    pub(super) fn has_ended(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.base))
    }

    /// Sends a request; its response is to be waited for.
    pub(super) fn send(
        &mut self,
        request: Request<Body>,
    ) -> tokio::task::JoinHandle<hyper::Result<Response<hyper::body::Incoming>>> {
        self.runtime.spawn(self.sender.send_request(request))
    }

    /// The status, headers, body and trailers of a response.
    pub(super) fn response(&mut self, request: Request<Body>) -> hyper::Result<Answered> {
        let sent = self.send(request);
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                let (head, body) = sent.await.expect("nothing fails here")?.into_parts();
                let body = body.collect().await?;
                let trailers = body.trailers().cloned();
                Ok((head.status, head.headers, body.to_bytes(), trailers))
            })
            .await
            .expect("an answer in time")
        })
    }

    pub(super) fn get(&mut self, path: &str) -> Answered {
        let request = self.request(Method::GET, path).body(empty()).expect("nothing fails here");
        self.response(request).expect("a response")
    }
}

pub(super) fn empty() -> Body {
    Empty::new().boxed()
}

fn url(proxy: &Proxy, path: &str) -> String {
    format!("http://{}{path}", proxy.address())
}

#[test]
fn a_list_that_is_new_holds_for_old_connections() {
    let app = origin("app").start();
    let open = proxy().server(&app);
    let mut proxy = open.start();
    let mut client = http2(&proxy);
    assert_eq!(client.get("/").0, 200);
    proxy.reload(&open.clone().frontend("deny = \"127.0.0.0/8\""));
    let request = client.request(Method::GET, "/late").body(empty()).expect("nothing fails here");
    assert!(client.response(request).is_err());
    assert_eq!(app.requests().len(), 1);
}

#[test]
fn one_connection_carries_requests_at_the_same_time_and_each_is_an_exchange() {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let slow = client.request(Method::GET, "/slow").body(empty()).expect("nothing fails here");
    let slow = client.send(slow);
    a.wait_for_requests(1);
    let fast = client
        .request(Method::GET, "/fast?x")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(empty())
        .expect("nothing fails here");
    let (status, headers, body, trailers) = client.response(fast).expect("nothing fails here");
    assert_eq!((status, &body[..], trailers), (StatusCode::OK, &b"a"[..], None));
    assert_eq!(headers.get("content-length").expect("nothing fails here"), "1");
    let seen = &a.requests()[1];
    assert_eq!((seen.target(), seen.header("host")), ("/fast?x", Some(proxy.address())));
    assert_eq!(seen.all("cookie"), ["a=1; b=2"]);
    gate.open();
    let slow = client.runtime.block_on(slow).expect("nothing fails here").unwrap();
    assert_eq!(slow.status(), 200);
    let line = proxy.exchange(&url(&proxy, "/fast?x"));
    assert_eq!((line.status, line.state.as_str()), (200, "----"));
    assert!(line.request.ends_with(" HTTP/2.0"), "{}", line.request);
}

#[test]
fn all_connections_together_have_as_many_requests_as_there_may_be_connections_and_each_has_one() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let proxy = proxy().global("nbthread = 1").global("maxconn = 3").server(&a).start();
    let mut many = http2(&proxy);
    let ask = |client: &mut Http2| {
        let request = client.request(Method::GET, "/held").body(empty()).expect("nothing fails here");
        client.send(request)
    };
    let sent: Vec<_> = (0..5).map(|_| ask(&mut many)).collect();
    a.wait_for_requests(3);
    let mut few = http2(&proxy);
    let first = ask(&mut few);
    a.wait_for_requests(4);
    let second = ask(&mut few);
    assert_eq!(
        client(proxy.address()).get("/").text(),
        "a",
        "who speaks HTTP/1.1 is bounded by its connection"
    );
    assert_eq!(a.requests().len(), 5, "the others wait");
    gate.open();
    for (client, sent) in [(&many, sent), (&few, vec![first, second])] {
        for sent in sent {
            let answer = client.runtime.block_on(sent).expect("nothing fails here").expect("a response");
            assert_eq!(answer.status(), 200);
        }
    }
    assert_eq!(a.requests().len(), 8);
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let chunked = |request: &mut Message, wire: &mut Wire| {
        wire.request_body(request)?;
        wire.write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: x-hop\r\n",
        )?;
        wire.write("x-hop: 1\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")?;
        Ok(Next::Keep)
    };
    let a = origin("a").script("/trailers", chunked).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let trailers =
        HeaderMap::from_iter([("x-up".parse().expect("nothing fails here"), "5".parse().unwrap())]);
    let body = Pieces(VecDeque::from([
        Frame::data(Bytes::from_static(b"hello ")),
        Frame::data(Bytes::from_static(b"there")),
        Frame::trailers(trailers),
    ]))
    .boxed();
    let request = client
        .request(Method::POST, "/trailers")
        .header("te", "trailers")
        .body(body)
        .expect("nothing fails here");
    let (status, headers, body, trailers) = client.response(request).expect("nothing fails here");
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"abc"[..]));
    assert_eq!(trailers.expect("trailers").get("x-sum").expect("nothing fails here"), "7");
    assert!(["connection", "transfer-encoding", "x-hop"].iter().all(|name| !headers.contains_key(*name)));
    let seen = a.requests().remove(0);
    assert_eq!((seen.text().as_str(), seen.header("te")), ("hello there", Some("trailers")));
}

/// Frames that are there already, as a body.
pub(super) struct Pieces(pub(super) VecDeque<Frame<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[test]
fn a_large_body_passes_both_ways_at_the_pace_of_who_reads_it() {
    let echo = |request: &mut Message, wire: &mut Wire| {
        wire.request_body(request)?;
        let body = request.text().into_bytes();
        wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()))?;
        wire.write(body)?;
        Ok(Next::Keep)
    };
    let a = origin("a").script("/echo", echo).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let sent: Bytes = (0..1 << 20).map(|at| b'a' + (at % 23) as u8).collect::<Vec<_>>().into();
    for named in [true, false] {
        let mut request = client.request(Method::PUT, "/echo");
        let body = if named {
            request = request.header("content-length", sent.len());
            Full::new(sent.clone()).boxed()
        } else {
            Pieces(sent.chunks(100_000).map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect())
                .boxed()
        };
        let (status, _, body, _) = client.response(request.body(body).expect("nothing fails here")).unwrap();
        assert_eq!(status, 200);
        assert!(body == sent, "what came back differs");
    }
}

#[test]
fn responses_without_a_body_have_none() {
    let a = origin("a").route("/none", Answer::bytes("HTTP/1.1 204 No Content\r\n\r\n")).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let (status, headers, body, _) = client.get("/none");
    assert_eq!((status.as_u16(), headers.get("content-length"), body.len()), (204, None, 0));
    let head = client.request(Method::HEAD, "/").body(empty()).expect("nothing fails here");
    let (status, headers, body, _) = client.response(head).expect("nothing fails here");
    assert_eq!((status.as_u16(), body.len()), (200, 0));
    assert_eq!(headers.get("content-length").expect("nothing fails here"), "1");
}

#[test]
fn a_failure_gets_its_page_and_the_connection_stays() {
    let a = origin("a").route("/broken", Answer::bytes("what?\r\n\r\n")).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let (status, _, body, _) = client.get("/broken");
    assert_eq!(status, 502);
    assert!(body.starts_with(b"<html>"));
    assert_eq!(proxy.exchange(&url(&proxy, "/broken")).state, "PH--");
    assert_eq!(client.get("/").0, 200);
}

#[test]
fn a_response_that_breaks_off_resets_its_stream_alone() {
    let a =
        origin("a").route("/cut", Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let request = client.request(Method::GET, "/cut").body(empty()).expect("nothing fails here");
    assert!(client.response(request).is_err());
    assert_eq!(proxy.exchange(&url(&proxy, "/cut")).state, "SD--");
    assert_eq!(client.get("/").0, 200);
}

#[test]
fn a_stream_of_which_its_client_takes_nothing_is_cut_off_and_others_go_on() {
    let a = origin("a").endless("/endless").start();
    let proxy = proxy().server(&a).timeout("client", "500ms").start();
    let mut client = http2(&proxy);
    let request = client.request(Method::GET, "/endless").body(empty()).expect("nothing fails here");
    let sent = client.send(request);
    let endless = client.runtime.block_on(sent).expect("nothing fails here").expect("a response");
    assert_eq!((endless.status().as_u16(), client.get("/").0.as_u16()), (200, 200));
    assert_eq!(proxy.exchange(&url(&proxy, "/endless")).state, "cD--");
}

#[test]
fn a_request_that_its_client_resets_is_given_up() {
    let a = origin("a").silent("/slow").start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let request = client.request(Method::GET, "/slow").body(empty()).expect("nothing fails here");
    let sent = client.send(request);
    a.wait_for_requests(1);
    sent.abort();
    assert_eq!(proxy.exchange(&url(&proxy, "/slow")).state, "CH--");
    assert_eq!(client.get("/").0, 200);
}

#[test]
fn a_host_beside_another_authority_is_refused() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let request = client
        .request(Method::GET, "/")
        .header("host", "other.test")
        .body(empty())
        .expect("nothing fails here");
    assert_eq!(client.response(request).expect("nothing fails here").0, 400);
    assert_eq!(proxy.exchange("<BADREQ>").state, "PR--");
    assert_eq!(a.requests().len(), 0);
}

#[test]
fn spaces_around_a_value_are_refused() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    for value in [" x", "x ", "\tx", " "] {
        let request = client.request(Method::GET, "/").header("x", value).body(empty());
        assert_eq!(client.response(request.expect("a request")).expect("an answer").0, 400, "{value:?}");
    }
    assert_eq!((a.requests().len(), client.get("/").0.as_u16()), (0, 200));
}

#[test]
fn by_tls_it_is_agreed_on_and_an_exchange_is_as_in_clear() {
    let authority = Authority::new();
    let a = origin("a").start();
    let bind = "{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\" } }";
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    let proxy = proxy().only_bind(bind).server(&a).start_in(directory);
    let mut client = http2_by_tls(&proxy, &authority.clients());
    let sent: Bytes = vec![b'x'; 300_000].into();
    let request =
        client.request(Method::PUT, "/up").header("cookie", "a=1").body(Full::new(sent.clone()).boxed());
    let (status, headers, body, trailers) = client.response(request.expect("a request")).expect("an answer");
    assert_eq!((status.as_u16(), &body[..], trailers), (200, &b"a"[..], None));
    assert!(!headers.contains_key("connection"));
    assert_eq!(client.get("/again").0, 200);
    let seen = a.requests();
    assert_eq!((seen[0].text().len(), seen[0].header("host")), (sent.len(), Some("a.example")));
    let line = proxy.exchange("https://a.example/up");
    assert_eq!((line.status, line.state.as_str(), line.frontend.as_str()), (200, "----", "web~"));
    assert!(line.request.ends_with(" HTTP/2.0"), "{}", line.request);
    // A client that offers nothing gets HTTP/1.1.
    assert_eq!(authority.clients().connect(proxy.address(), "a.example").get("/").text(), "a");
}

#[test]
fn a_client_that_does_not_begin_with_its_settings_gets_nothing() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let request = frame(1, 5, 1, GET);
    for first in
        [frame(6, 0, 0, &[0; 8]), frame(8, 0, 0, &[0, 0, 0, 1]), frame(4, 1, 0, &[]), request.clone()]
    {
        let mut socket = TcpStream::connect(proxy.address()).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
        let preface = &PREFACE[..24];
        socket.write_all(&[preface, &first, &request].concat()).expect("nothing fails here");
        let mut answer = Vec::new();
        let ended = socket.read_to_end(&mut answer);
        let in_time = ended.err().is_none_or(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(in_time, "{first:?}");
    }
    assert_eq!((a.requests().len(), http2(&proxy).get("/").0.as_u16()), (0, 200));
}

#[test]
fn a_websocket_comes_by_an_extended_connect() {
    let echo = |_: &mut Message, wire: &mut Wire| {
        // The first word comes together with the head.
        wire.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome",
        )?;
        loop {
            let byte = wire.exactly(1)?;
            wire.write(byte)?;
        }
    };
    let a = origin("a").script("/chat", echo).start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    // The setting that allows it has come once anything has.
    assert_eq!(client.get("/").0, 200);
    let mut request = client.request(Method::CONNECT, "/chat").body(empty()).expect("nothing fails here");
    request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let sent = client.send(request);
    client.runtime.block_on(async {
        let mut response = sent.await.expect("nothing fails here").unwrap();
        assert_eq!(response.status(), 200);
        let mut socket = TokioIo::new(hyper::upgrade::on(&mut response).await.expect("nothing fails here"));
        for word in ["welcome", "hello", "there"] {
            if word != "welcome" {
                socket.write_all(word.as_bytes()).await.expect("nothing fails here");
            }
            let mut came = vec![0; word.len()];
            socket.read_exact(&mut came).await.expect("nothing fails here");
            assert_eq!(came, word.as_bytes());
        }
    });
    let seen = &a.requests()[1];
    assert_eq!((seen.method(), seen.header("upgrade")), ("GET", Some("websocket")));
    assert_eq!(seen.header("sec-websocket-key").map(str::len), Some(24));
}

#[test]
fn a_drain_lets_streams_end_and_takes_no_more() {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let mut proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let slow = client.request(Method::GET, "/slow").body(empty()).expect("nothing fails here");
    let slow = client.send(slow);
    a.wait_for_requests(1);
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    gate.open();
    let slow = client.runtime.block_on(slow).expect("nothing fails here").unwrap();
    assert_eq!(slow.status(), 200);
    assert_eq!(proxy.process.wait().code(), Some(0));
    assert_eq!(proxy.exchange(&url(&proxy, "/slow")).state, "----");
}

#[test]
fn the_end_of_an_answer_waits_for_a_client_that_is_slow_to_take_it_on_a_connection_that_ends() {
    const BODY: usize = 1 << 20;
    let directory = Directory::new();
    // A Unix socket holds little, and as much as is taken out of it is put in.
    let front = directory.path("front.sock");
    let a = origin("a").route("/large", Answer::new(200, vec![b'x'; BODY])).start();
    let setup = proxy().bind(&format!("unix@{}", front.display())).server(&a);
    let mut proxy = setup.start_in(directory);
    let mut socket = UnixStream::connect(front).expect("nothing fails here");
    socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
    // Windows that never close: what is not sent waits for the socket alone.
    let windows = [
        frame(4, 0, 0, &[&4_u16.to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat()),
        frame(8, 0, 0, &(i32::MAX - 65_535).to_be_bytes()),
    ];
    let get = frame(1, 5, 1, b"\x82\x86\x04\x06/large\x41\x01a");
    socket.write_all(&[PREFACE, &windows.concat(), &get].concat()).expect("nothing fails here");
    // The exchange ends once nothing of the answer is left but what the socket has not taken: one piece at a time, so that
    // it is seen before that is gone, too.
    let (mut came, mut piece) = (Vec::new(), [0; 16 * 1024]);
    while proxy.exchanges().is_empty() {
        let count = socket.read(&mut piece).expect("the answer goes on");
        came.extend_from_slice(&piece[..count]);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(proxy.exchange("http://a/large").state, "----");
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    // Longer than a client may take that nothing is owed to.
    std::thread::sleep(Duration::from_millis(1_500));
    socket.read_to_end(&mut came).expect("the connection ends behind the answer");
    let (mut body, mut ended, mut rest) = (0, false, &came[..]);
    while let [a, b, c, kind, flags, _, _, _, _, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == 0 {
            (body, ended) = (body + length, flags & 1 == 1);
        }
        rest = payload.get(length..).expect("no frame breaks off");
    }
    assert_eq!((body, ended), (BODY, true));
    assert_eq!(proxy.process.wait().code(), Some(0));
}

#[test]
fn where_it_is_switched_off_the_preface_is_no_request() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).frontend("h2 = false").start();
    let mut client = client(proxy.address());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.response().status(), 400);
}

/// A frame: its type, flags and stream, then what is in it.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("nothing fails here").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// GET of `/` from `a`, by static table entries and one literal.
const GET: &[u8] = b"\x82\x86\x84\x41\x01a";

/// A connection that has begun, with these frames sent on it.
fn begun(proxy: &Proxy, frames: &[Vec<u8>]) -> TcpStream {
    let mut socket = TcpStream::connect(proxy.address()).expect("nothing fails here");
    socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
    socket.write_all(&[PREFACE, &frames.concat()].concat()).expect("nothing fails here");
    socket
}

/// The next frame: its type, flags and stream, and what is in it. `None` at the connection's end.
fn next_frame(socket: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    if socket.read(&mut head[..1]).expect("a frame or the end") == 0 {
        return None;
    }
    socket.read_exact(&mut head[1..]).expect("a whole head");
    let [l0, l1, l2, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
    socket.read_exact(&mut payload).expect("a whole frame");
    Some((kind, flags, u32::from_be_bytes(stream), payload))
}

/// The frames of streams up to the one that ends its stream: type, flags, and what is in it.
fn answer(socket: &mut TcpStream) -> Vec<(u8, u8, Vec<u8>)> {
    let mut frames = Vec::new();
    loop {
        let (kind, flags, stream, payload) = next_frame(socket).expect("an end of the stream");
        if stream > 0 {
            frames.push((kind, flags, payload));
        }
        if stream > 0 && flags & 1 == 1 {
            return frames;
        }
    }
}

#[test]
fn interim_answers_come_before_the_answer_without_what_ends_at_their_hop() {
    let a = origin("a")
        .script("/", |request, wire| {
            wire.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n")?;
            wire.write("HTTP/1.1 102 Processing\r\n\r\n")?;
            Answer::new(200, "a").send(request, wire)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut frames = answer(&mut begun(&proxy, &[frame(1, 5, 1, GET)]));
    let hint = b"\x08\x03103\x0f\x1e\x04</a>";
    assert_eq!(frames.remove(0), (1, 4, hint.to_vec()));
    assert_eq!(frames.remove(0), (1, 4, b"\x08\x03102".to_vec()));
    assert!(frames[0].0 == 1 && frames[0].2.starts_with(b"\x88"), "{frames:?}");
    assert_eq!(frames.last().expect("a body").2, b"a");
    assert_eq!(proxy.exchange("http://a/").status, 200);
}

#[test]
fn an_answer_that_its_client_wants_no_more_of_is_given_up_while_its_server_is_silent() {
    let a = origin("a")
        .script("/", |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")?;
            wire.read_to_end().map(|_| Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut socket = begun(&proxy, &[frame(1, 5, 1, GET)]);
    while next_frame(&mut socket).expect("an answer").0 != 0 {}
    socket.write_all(&frame(3, 0, 1, &8_u32.to_be_bytes())).expect("nothing fails here");
    assert_eq!(proxy.exchange("http://a/").state, "CD--");
}

#[test]
fn an_answer_goes_out_in_as_few_frames_as_it_takes() {
    let a = origin("a")
        .route("/none", Answer::new(204, ""))
        .script("/chunks", |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")
                .map(|()| Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let get = |path: &str| {
        let path = [&[0x04, path.len() as u8], path.as_bytes()].concat();
        let get = frame(1, 5, 1, &[&b"\x82\x86\x41\x01a"[..], &path].concat());
        answer(&mut begun(&proxy, &[get]))
    };
    let shapes =
        |frames: &[(u8, u8, Vec<u8>)]| frames.iter().map(|frame| (frame.0, frame.1)).collect::<Vec<_>>();
    assert_eq!(shapes(&get("/none")), [(1, 5)]);
    assert_eq!(shapes(&get("/")), [(1, 4), (0, 1)]);
    let chunks = get("/chunks");
    assert_eq!(shapes(&chunks), [(1, 4), (0, 1)]);
    assert_eq!(chunks[1].2, b"abc");
}

#[test]
fn a_client_that_does_not_hear_of_a_drain_is_served_no_new_stream_for_long() {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let mut proxy = proxy().server(&a).start();
    let mut socket = begun(&proxy, &[frame(1, 5, 1, b"\x82\x86\x04\x05/slow\x41\x01a")]);
    a.wait_for_requests(1);
    proxy.process.signal(Signal::Terminate);
    // The first says that the connection ends, the second which streams are looked at yet.
    let mut last_streams = Vec::new();
    while last_streams.len() < 2 {
        let (kind, _, _, payload) = next_frame(&mut socket).expect("the connection goes on");
        if kind == 7 {
            last_streams.push(u32::from_be_bytes(payload[..4].try_into().expect("a number")));
        }
    }
    assert_eq!(last_streams, [0x7fff_ffff, 1]);
    socket.write_all(&frame(1, 5, 3, GET)).expect("nothing fails here");
    gate.open();
    let streams: Vec<u32> = std::iter::from_fn(|| next_frame(&mut socket)).map(|frame| frame.2).collect();
    assert!(streams.contains(&1) && !streams.contains(&3), "{streams:?}");
    assert_eq!(proxy.process.wait().code(), Some(0));
    assert_eq!(proxy.exchanges().len(), 1);
}

/// Sends frames until the proxy ends the connection; panics where it has not after so many rounds.
fn flood(proxy: &Proxy, rounds: usize, mut frames: impl FnMut(u32) -> Vec<u8>) {
    let mut socket = TcpStream::connect(proxy.address()).expect("nothing fails here");
    socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
    socket.write_all(PREFACE).expect("nothing fails here");
    let refused = (0..rounds)
        .any(|round| socket.write_all(&frames(u32::try_from(round).expect("nothing fails here"))).is_err());
    let mut answer = Vec::new();
    let ended = socket.read_to_end(&mut answer);
    // A reset, or an end: the read does not run into its time.
    let in_time =
        ended.as_ref().err().is_none_or(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
    assert!(in_time, "refused {refused}, then {ended:?}");
}

#[test]
fn floods_end_their_connection_and_others_go_on() {
    let b = origin("b").start();
    let proxy = proxy().server(&b).start();
    // Streams that are opened and reset at once.
    flood(&proxy, 2_000, |round| {
        let stream = 2 * round + 1;
        [frame(1, 5, stream, GET), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    // A head that never ends.
    flood(&proxy, 20_000, |round| match round {
        0 => frame(1, 1, 1, GET),
        _ => frame(9, 0, 1, &[&b"\x00\x01x\x7f\x81\x01"[..], &[b'y'; 256]].concat()),
    });
    // What is no frame of this protocol: data on a stream that was never opened.
    flood(&proxy, 1, |_| frame(0, 0, 1, b"x"));
    assert_eq!(client(proxy.address()).get("/").text(), "b");
    assert_eq!(http2(&proxy).get("/").0, 200);
}

#[test]
fn a_field_that_no_request_may_have_is_one_requests_fault_and_the_connection_stays() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut socket = TcpStream::connect(proxy.address()).expect("nothing fails here");
    socket.write_all(PREFACE).expect("nothing fails here");
    let fields: [&[u8]; 4] = [b"\0\x01X\x01y", b"\0\x03x y\x01y", b"\0\x02:x\x01y", b"\0\x01x\x03a\nb"];
    for (stream, bad) in (1..).step_by(2).zip(fields) {
        socket.write_all(&frame(1, 5, stream, &[GET, bad].concat())).expect("the connection stays");
    }
    // One of them behind a body.
    let post =
        [frame(1, 4, 9, b"\x83\x86\x84\x41\x01a"), frame(0, 0, 9, b"hello"), frame(1, 5, 9, fields[0])];
    socket.write_all(&post.concat()).expect("the connection stays");
    socket.write_all(&frame(1, 5, 11, GET)).expect("the connection stays");
    let lines = until("all have their lines", || Some(proxy.exchanges()).filter(|lines| lines.len() == 6));
    let with = |status: i64, word: &str| {
        lines.iter().filter(|line| line.status == status && line.line.contains(word)).count()
    };
    assert_eq!((with(400, "<BADREQ>"), with(400, "POST"), with(200, "GET")), (4, 1, 1));
}

#[test]
fn what_a_client_sends_out_of_turn_does_not_fill_the_log() {
    let a = origin("a").start();
    for setup in [proxy(), proxy().global("log_levels = { health = \"warn\" }")] {
        let proxy = setup.server(&a).start();
        let lines = proxy.log.all().len();
        acknowledge_what_nobody_sent(&proxy);
        assert_eq!(client(proxy.address()).get("/").text(), "a");
        proxy.exchange("/");
        let said = &proxy.log.all()[lines..];
        assert_eq!(said.len(), 1, "{said:?}");
    }
}

/// Sends 2,000 acknowledgements of pings, each another one, and waits until all have been read.
fn acknowledge_what_nobody_sent(proxy: &Proxy) {
    let mut socket = TcpStream::connect(proxy.address()).expect("nothing fails here");
    socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
    let pings: Vec<u8> = (1..=2_000_u64).flat_map(|number| frame(6, 1, 0, &number.to_be_bytes())).collect();
    let last = *b"the last";
    socket.write_all(&[PREFACE, &pings, &frame(6, 0, 0, &last)].concat()).expect("nothing fails here");
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    while !came.windows(last.len()).any(|window| window == last) {
        let count = socket.read(&mut piece).expect("its answer comes");
        assert_ne!(count, 0, "the connection stays");
        came.extend_from_slice(&piece[..count]);
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut client = http2(&proxy);
    let value = "x".repeat(14_000);
    let request = client.request(Method::GET, "/").header("x-a", &value).header("x-b", &value);
    let refused = client.response(request.body(empty()).expect("nothing fails here"));
    assert!(refused.is_err() || refused.is_ok_and(|(status, ..)| status == 431 || status == 400));
    assert_eq!(a.requests().len(), 0);
    assert_eq!(http2(&proxy).get("/").0, 200);
}

#[test]
fn a_connection_without_requests_is_ended() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).timeout("http_keep_alive", "50ms").start();
    let mut client = http2(&proxy);
    assert_eq!(client.get("/").0, 200);
    until("the connection is told to end", || client.sender.is_closed().then_some(()));
}
