//! What may stand behind a body: trailers as strict as heads, and none that a head alone may have.

use std::collections::VecDeque;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::{HeaderName, HeaderValue};

use super::http2::{Pieces, empty, http2};
use super::kit::{Client, Message, Next, Origin, Setup, Wire, client, origin, proxy, until};

const FORGED: &str = "Host: other\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\nConnection: x-sum\r\nTE: trailers\r\n\
                      Keep-Alive: 5\r\nUpgrade: h2c\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nSet-Cookie: a=b\r\n";

fn post(client: &mut Client, trailers: &str) {
    client.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n");
    client.send(trailers);
}

/// The first request, once its trailers are there.
fn received(origin: &Origin) -> Message {
    let whole = |request: &Message| !request.trailers.is_empty();
    until("the origin has all of it", || origin.requests().into_iter().find(whole))
}

fn answering(trailers: &'static str) -> Origin {
    let answer = |_: &mut Message, wire: &mut Wire, trailers: &str| {
        wire.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")?;
        wire.write(trailers).map(|()| Next::Keep)
    };
    origin("a").script("/", move |request, wire| answer(request, wire, trailers)).start()
}

fn setup(origin: &Origin) -> Setup {
    proxy().frontend("forwardfor = { header = \"x-client\" }").server(origin)
}

#[test]
fn a_requests_trailers_bring_a_server_nothing_that_a_head_decides() {
    let a = origin("a").start();
    let proxy = setup(&a).start();
    let mut client = client(proxy.address());
    post(&mut client, &format!("X-Sum: 1\r\n{FORGED}X_Forwarded_For: 10.0.0.1\r\n"));
    client
        .send("X-Forwarded-For: 10.0.0.1\r\nX-SSL-Client-CN: admin\r\nX-Client: 10.0.0.1\r\nLast: 2\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    let trailers: Vec<_> = received(&a).trailers;
    assert_eq!(trailers, [("x-sum".into(), "1".into()), ("last".into(), "2".into())]);
    assert_eq!(client.get("/next").text(), "a", "the connection goes on");
}

#[test]
fn an_answers_trailers_bring_a_client_nothing_that_a_head_decides() {
    let a = answering(concat!(
        "X-Sum: 1\r\nHost: other\r\nContent-Length: 5\r\nConnection: x-sum\r\nTE: gzip\r\nKeep-Alive: 5\r\n",
        "Upgrade: h2c\r\nProxy-Connection: close\r\nTransfer-Encoding: gzip\r\nSet-Cookie: a=b\r\nLast_One: 2\r\n\r\n",
    ));
    let proxy = setup(&a).start();
    let mut older = client(proxy.address());
    for _ in 0..2 {
        let answer = older.get("/");
        assert_eq!(answer.text(), "ok");
        assert_eq!(answer.trailers, [("x-sum".into(), "1".into()), ("last_one".into(), "2".into())]);
    }
    let mut newer = http2(&proxy);
    let (status, _, body, trailers) = newer.get("/");
    assert_eq!((status.as_u16(), &body[..]), (200, &b"ok"[..]));
    let trailers = trailers.expect("trailers");
    let names: Vec<&str> = trailers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-sum", "last_one"]);
}

#[test]
fn a_requests_trailers_by_http2_are_checked_as_those_by_http1() {
    let a = origin("a").start();
    let proxy = setup(&a).start();
    let mut client = http2(&proxy);
    let mut trailers = HeaderMap::new();
    for name in
        ["host", "content-length", "authorization", "x_forwarded_for", "x-forwarded-for", "x-client", "x-sum"]
    {
        trailers.insert(name.parse::<HeaderName>().expect("a name"), HeaderValue::from_static("1"));
    }
    let frames = [Frame::data(Bytes::from_static(b"ab")), Frame::trailers(trailers)];
    let body = Pieces(VecDeque::from(frames)).boxed();
    let request = client.request(hyper::Method::POST, "/").body(body).expect("a request");
    assert_eq!(client.response(request).expect("an answer").0, 200);
    assert_eq!(received(&a).trailers, [("x-sum".into(), "1".into())]);
}

#[test]
fn what_rules_take_away_does_not_come_behind_the_body() {
    let a = answering("X-Inner: 1\r\nX-Sum: 2\r\n\r\n");
    let rule = "[[frontends.web.rules]]\nresponse = { del_header = \"x-inner\" }\nrequest = { set_header = { x-who = \"lb\" } }";
    let proxy = proxy().frontend(rule).server(&a).start();
    let mut client = client(proxy.address());
    assert_eq!(client.get("/").trailers, [("x-sum".into(), "2".into())]);
    client.send("POST /up HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Who: me\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    let request = received(&a);
    assert_eq!((request.header("x-who"), request.trailers.len()), (Some("lb"), 1), "{:?}", request.trailers);
}

#[test]
fn trailers_that_are_none_are_refused_however_they_come() {
    let a = origin("a").start();
    let proxy = setup(&a).start();
    for trailers in
        ["X-A: b\n\r\n", "X-A: b\r\n\n", "X-A: b\nX-B: c\r\n\r\n", "X-A : b\r\n\r\n", "word\r\n\r\n"]
    {
        let mut at_once = client(proxy.address());
        post(&mut at_once, trailers);
        assert_eq!(at_once.response().status(), 400, "{trailers:?}");
        let mut in_pieces = client(proxy.address());
        post(&mut in_pieces, "");
        for byte in trailers.as_bytes().chunks(1) {
            // What is refused already may be closed already.
            let _ = in_pieces.wire.write(byte);
        }
        assert_eq!(in_pieces.response().status(), 400, "{trailers:?}");
    }
}

#[test]
fn a_server_whose_trailers_are_none_breaks_its_answer_off() {
    let a = answering("X-A: b\n\r\n");
    let proxy = setup(&a).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/", &[]);
    let head = client.head();
    // As long as nothing of the answer has gone out it is replaced.
    if head.status() == 200 {
        let rest = client.wire.read_to_end().unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    } else {
        assert_eq!(head.status(), 502);
    }
    let mut newer = http2(&proxy);
    let request = newer.request(hyper::Method::GET, "/").body(empty()).expect("a request");
    let answer = newer.response(request);
    assert!(answer.is_err() || answer.is_ok_and(|(status, ..)| status == 502));
}

#[test]
fn an_extension_is_too_long_however_it_comes() {
    let a = origin("a").start();
    let proxy = setup(&a).start();
    let head = "POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    for (length, status) in [(3000, 200), (5000, 400)] {
        let body = format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(length));
        let mut at_once = client(proxy.address());
        at_once.send(format!("{head}{body}"));
        assert_eq!(at_once.response().status(), status);
        let mut in_pieces = client(proxy.address());
        in_pieces.send(head);
        for piece in body.as_bytes().chunks(1000) {
            let _ = in_pieces.wire.write(piece);
        }
        assert_eq!(in_pieces.response().status(), status);
    }
}
