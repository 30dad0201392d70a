//! Checks of origins that answer, misbehave, or stay silent. The findings expected are HAProxy's.

use std::pin::pin;

use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::backend::fixtures;

const SECOND: Duration = Duration::from_secs(1);
const BUDGET: Budget = Budget { connect: SECOND, answer: None };
const LIMITS: HeadLimits = HeadLimits { bytes: 15_360, lines: 101 };

/// Answers one connection, and returns what it was asked.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut asked = vec![0; 4096];
    let length = stream.read(&mut asked).await.expect("a request");
    stream.write_all(answer).await.expect("an answer");
    String::from_utf8_lossy(&asked[..length]).into_owned()
}

/// What a check finds at a server that answers like this and closes, and what it asked.
async fn checked(http: HttpCheck, text: &[u8]) -> (Finding, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Tcp(listener.local_addr().expect("an address"));
    let kind = CheckKind::Http(http);
    let (finding, asked) = tokio::join!(check(&target, &kind, None, BUDGET, LIMITS), async {
        let (stream, _) = listener.accept().await.expect("a connection");
        answer(stream, text).await
    });
    (finding, asked)
}

#[tokio::test]
async fn the_request_has_nothing_that_was_not_asked_for() {
    let (finding, asked) = checked(fixtures::http_check(), b"HTTP/1.0 200 OK\r\n\r\n").await;
    assert_eq!(asked, "GET /status HTTP/1.0\r\n\r\n");
    assert_eq!(finding, Finding::Layer7Passed(200));
}

#[tokio::test]
async fn the_request_names_its_headers_and_ends_the_connection_in_http_1_1() {
    let http = HttpCheck {
        version: "HTTP/1.1".into(),
        headers: vec![("host".into(), "example.org".into()), ("x-foo".into(), "Bar".into())],
        ..fixtures::http_check()
    };
    let (_, asked) = checked(http, b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(asked, "GET /status HTTP/1.1\r\nhost: example.org\r\nx-foo: Bar\r\nconnection: close\r\n\r\n");
}

#[tokio::test]
async fn answers_are_judged_as_haproxy_judges_them() {
    let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 20_000], b"\r\n\r\n"].concat();
    let long_body = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; 30_000]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 200 OK\r\n\r\n", "Layer7 check passed, code 200"),
        (b"HTTP/1.1 200\r\n\r\n", "Layer7 check passed, code 200"),
        (b"HTTP/1.1 200 OK\nX: y\n\n", "Layer7 check passed, code 200"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "Layer7 check passed, code 302"),
        (&long_body, "Layer7 check passed, code 200"),
        (b"HTTP/1.1 503 Bad Thing\r\n\r\nhello", "Layer7 wrong status, code 503, Bad Thing"),
        (b"HTTP/1.1 404 \r\n\r\n", "Layer7 wrong status, code 404"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "Layer7 check passed, code 200"),
        (
            b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 Bad\r\n\r\n",
            "Layer7 wrong status, code 503, Bad",
        ),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "Layer7 invalid response, head incomplete"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "Layer7 wrong status, code 101, Switching"),
        (b"SSH-2.0-foo\r\n", "Layer7 invalid response, a version that is neither HTTP/1.0 nor HTTP/1.1"),
        (
            b"HTTP/1.1 200 OK\r\nbad header line\r\n\r\n",
            "Layer7 invalid response, a header name that is not a token",
        ),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "Layer7 invalid response, an invalid status line"),
        (b"HTTP/1.1 200\nX: y\r\n\r\n", "Layer7 invalid response, an invalid status line"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Layer7 invalid response, a Transfer-Encoding other than chunked",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "Layer7 invalid response, a header name that is not a token",
        ),
        (b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "Layer7 invalid response, a header name that is not a token"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
            "Layer7 invalid response, a Content-Length that is not a number",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "Layer7 invalid response, conflicting Content-Length",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "Layer7 invalid response, an invalid chunk size",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
            "Layer7 invalid response, a trailer's line end that is not CRLF",
        ),
        (b"HTTP/1.1 200 OK\r\nFoo: bar\r\n", "Layer7 invalid response, head incomplete"),
        (b"", "Layer7 invalid response, head incomplete"),
        (&long, "Layer7 invalid response, head too long"),
    ];
    for (text, expected) in cases {
        let (finding, _) = checked(fixtures::http_check(), text).await;
        assert_eq!(
            finding.to_string(),
            *expected,
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(60)])
        );
        assert_eq!(finding.passed(), expected.contains("passed"));
    }
}

#[tokio::test]
async fn only_expected_statuses_pass() {
    let http = || HttpCheck { expect: vec![(200, 200), (500, 502)], ..fixtures::http_check() };
    assert!(checked(http(), b"HTTP/1.0 501 X\r\n\r\n").await.0.passed());
    assert!(!checked(http(), b"HTTP/1.0 201 X\r\n\r\n").await.0.passed());
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_socket_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Tcp(listener.local_addr().expect("an address"));
    let kind = CheckKind::Http(fixtures::http_check());
    let (finding, ()) = tokio::join!(check(&target, &kind, None, BUDGET, LIMITS), async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.read_u8().await.expect("the request");
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
    });
    assert_eq!(finding, Finding::SocketError("Connection reset by peer".into()));
}

#[tokio::test]
async fn a_tcp_check_asks_for_a_connection_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Tcp(listener.local_addr().expect("an address"));
    assert_eq!(check(&target, &CheckKind::Tcp, None, BUDGET, LIMITS).await, Finding::Layer4Passed);
    drop(listener);
    let finding = check(&target, &CheckKind::Tcp, None, BUDGET, LIMITS).await;
    assert_eq!(finding.to_string(), "Layer4 connection problem, Connection refused");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_silent_is_given_up_when_the_budget_is_spent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::Tcp(listener.local_addr().expect("an address"));
    let kind = CheckKind::Http(fixtures::http_check());
    let start = Instant::now();
    assert_eq!(check(&target, &kind, None, BUDGET, LIMITS).await, Finding::Layer7Timeout);
    assert_eq!(start.elapsed().as_secs(), 1);
    let slow = Budget { connect: SECOND, answer: Some(3 * SECOND) };
    let start = Instant::now();
    assert_eq!(check(&target, &kind, None, slow, LIMITS).await, Finding::Layer7Timeout);
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_no_connection_is_a_layer_4_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(0).expect("a listener");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    // Connections that nobody accepts fill the kernel's queue, until one hangs.
    let mut held = Vec::new();
    loop {
        let mut connect = pin!(TcpStream::connect(address));
        match timeout_at(Instant::now() + SECOND, &mut connect).await {
            Ok(stream) => held.push(stream.expect("a connection")),
            Err(_) => break,
        }
    }
    assert_eq!(
        check(&Target::Tcp(address), &CheckKind::Tcp, None, BUDGET, LIMITS).await,
        Finding::Layer4Timeout
    );
}

#[tokio::test]
async fn unix_sockets_are_checked_like_addresses() {
    let path = std::env::temp_dir().join(format!("lb-check-{}.sock", std::process::id()));
    let kind = CheckKind::Http(fixtures::http_check());
    let target = Target::Unix(path.clone());
    let finding = check(&target, &kind, None, BUDGET, LIMITS).await;
    assert_eq!(finding.to_string(), "socket error, No such file or directory");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (finding, _) = tokio::join!(check(&target, &kind, None, BUDGET, LIMITS), async {
        let (stream, _) = listener.accept().await.expect("a connection");
        answer(stream, b"HTTP/1.0 204 X\r\n\r\n").await
    });
    std::fs::remove_file(&path).expect("the socket's file");
    assert_eq!(finding, Finding::Layer7Passed(204));
}

#[test]
fn the_budget_follows_timeout_check() {
    let timeouts = |connect: Option<u64>, check: Option<u64>| model::ServerTimeouts {
        connect: connect.map(Duration::from_secs),
        check: check.map(Duration::from_secs),
        ..model::ServerTimeouts::default()
    };
    let whole = Budget { connect: 2 * SECOND, answer: None };
    assert_eq!(Budget::of(&timeouts(Some(1), None), 2 * SECOND), whole);
    let split = |connect: u32| Budget { connect: connect * SECOND, answer: Some(9 * SECOND) };
    assert_eq!(Budget::of(&timeouts(Some(1), Some(9)), 2 * SECOND), split(1));
    assert_eq!(Budget::of(&timeouts(Some(5), Some(9)), 2 * SECOND), split(2));
    assert_eq!(Budget::of(&timeouts(None, Some(9)), 2 * SECOND), split(2));
}

#[test]
fn addr_and_port_replace_the_servers_own() {
    let target = |addr: Option<&str>, port| {
        let check = model::Check {
            addr: addr.map(|ip| ip.parse().expect("an address")),
            port,
            ..fixtures::check(2, 3)
        };
        match Target::of(&Server::all(&[fixtures::server("a")])[0], &check) {
            Some(Target::Tcp(address)) => address.to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(target(None, None), "127.0.0.1:1");
    assert_eq!(target(None, Some(9)), "127.0.0.1:9");
    assert_eq!(target(Some("::1"), None), "[::1]:1");
    assert_eq!(target(Some("10.0.0.1"), Some(9)), "10.0.0.1:9");
}
