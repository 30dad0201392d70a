//! Whose fault an end was: what a client does, or leaves undone, counts never against the server.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Body, Frame};

use super::http2::http2;
use super::kit::{
    Client, Gate, Message, Next, Origin, Proxy, Setup, Wire, client, get, origin, proxy, until,
};

/// Short enough to wait for.
const SHORT: &str = "200ms";
/// Two failures, and nobody is served any more.
const BREAKER: &str = "circuit_breaker = { error_percent = 1, min_requests = 2, open_for = \"1d\" }";
/// Two errors, and the server is DOWN for the rest of the test.
const OBSERVED: &str = "check = true\ninter = \"1d\"\nrise = 1\nobserve = \"layer7\"\nerror_limit = 2\n\
                        on_error = \"mark-down\"";

/// Everything that counts failures against a server, at its most sensitive.
fn sensitive(a: &Origin) -> Setup {
    proxy().backend(BREAKER).server_with(a, &format!("{OBSERVED}\n{BREAKER}"))
}

/// Lets time pass, at least so much.
fn pass(time: Duration) {
    let start = Instant::now();
    until("time has passed", || (start.elapsed() >= time).then_some(()));
}

/// Nothing was counted against the server.
#[track_caller]
fn unharmed(proxy: &Proxy) {
    assert_eq!(get(proxy.address(), "/after").text(), "a");
    let blamed = |line: &String| line.contains("is DOWN") || line.contains("circuit breaker open");
    assert_eq!(proxy.log.all().into_iter().find(blamed), None);
}

/// Waits for so many log lines of a path, all of this status and state.
#[track_caller]
fn logged(proxy: &Proxy, path: &str, count: usize, status: i64, state: &str) {
    let lines = until("all are logged", || {
        let lines: Vec<_> = proxy.exchanges().into_iter().filter(|line| line.path() == path).collect();
        (lines.len() >= count).then_some(lines)
    });
    for line in lines {
        assert_eq!((line.status, line.state.as_str()), (status, state), "{}", line.line);
    }
}

const LENGTH: &str = "POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf";
const CHUNKS: &str = "POST /up HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
const NOTHING: &str = "POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n";

fn sending(proxy: &Proxy, bytes: &str) -> Client {
    let mut client = client(proxy.address());
    client.send(bytes);
    client
}

#[test]
fn a_client_that_stalls_within_its_upload_is_told_so_and_the_server_is_not_blamed() {
    let a = origin("a").start();
    let proxy = sensitive(&a).timeout("client", SHORT).timeout("server", "100ms").start();
    let mut stalling: Vec<_> = [LENGTH, CHUNKS, NOTHING].map(|bytes| sending(&proxy, bytes)).into();
    for client in &mut stalling {
        let answer = client.response();
        assert_eq!((answer.status(), answer.header("connection")), (408, Some("close")));
        client.expect_end();
    }
    logged(&proxy, "/up", 3, 408, "cD--");
    unharmed(&proxy);
}

#[test]
fn the_servers_time_does_not_run_while_the_client_is_waited_for() {
    let a = origin("a").start();
    let proxy = sensitive(&a).timeout("server", SHORT).start();
    let mut client = sending(&proxy, "POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhello");
    pass(Duration::from_millis(500));
    client.send("w");
    pass(Duration::from_millis(500));
    client.send("orld");
    assert_eq!(client.response().text(), "a");
    logged(&proxy, "/up", 1, 200, "----");
    unharmed(&proxy);
}

#[test]
fn once_all_of_the_request_has_come_the_server_has_its_own_time() {
    let a = origin("a").silent("/up").start();
    let proxy = proxy().server(&a).timeout("client", "1d").timeout("server", SHORT).start();
    let mut client = sending(&proxy, LENGTH);
    pass(Duration::from_millis(300));
    client.send([b'x'; 96]);
    assert_eq!(client.response().status(), 504);
    logged(&proxy, "/up", 1, 504, "sH--");
}

#[test]
fn a_server_that_takes_nothing_of_an_upload_is_late_itself() {
    let gate = Gate::default();
    let a = origin("a").held("/up", &gate).start();
    let proxy = proxy().server(&a).timeout("client", "1d").timeout("server", SHORT).start();
    let mut client = sending(&proxy, "POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: 100000000\r\n\r\n");
    // As much as goes, until the connection ends.
    while client.wire.write(vec![b'x'; 65536]).is_ok() {}
    logged(&proxy, "/up", 1, 504, "sH--");
    gate.open();
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_does_not_stall() {
    let a = origin("a").silent("/up").start();
    let proxy = proxy().server(&a).timeout("client", SHORT).timeout("server", "400ms").start();
    let head = "POST /up HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    assert_eq!(sending(&proxy, head).response().status(), 504, "it is the server's word that is missing");
    logged(&proxy, "/up", 1, 504, "sH--");
}

#[test]
fn a_client_that_was_asked_for_its_body_and_sends_none_stalls() {
    let asking = |request: &mut Message, wire: &mut Wire| {
        wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        wire.request_body(request).map(|()| Next::Close)
    };
    let a = origin("a").script("/up", asking).start();
    let proxy = sensitive(&a).timeout("client", SHORT).timeout("server", "100ms").start();
    let head = "POST /up HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    for _ in 0..2 {
        let mut client = sending(&proxy, head);
        assert_eq!(client.head().status(), 100);
        assert_eq!(client.response().status(), 408);
    }
    logged(&proxy, "/up", 2, 408, "cD--");
    unharmed(&proxy);
}

#[test]
fn a_server_that_gives_up_on_a_stalling_client_is_not_blamed() {
    let impatient = |_: &mut Message, wire: &mut Wire| {
        wire.exactly(4)?;
        pass(Duration::from_millis(400));
        Ok(Next::Close)
    };
    let a = origin("a").script("/up", impatient).start();
    let proxy = sensitive(&a).start();
    for _ in 0..2 {
        assert_eq!(sending(&proxy, LENGTH).response().status(), 502);
    }
    logged(&proxy, "/up", 2, 502, "SH--");
    unharmed(&proxy);
}

#[test]
fn a_client_that_stalls_though_the_response_has_begun_is_not_the_servers_fault() {
    let early = |request: &mut Message, wire: &mut Wire| {
        wire.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nearly")?;
        wire.request_body(request).map(|()| Next::Close)
    };
    let a = origin("a").script("/up", early).start();
    let proxy = sensitive(&a).timeout("client", "400ms").timeout("server", "100ms").start();
    for _ in 0..2 {
        let mut client = sending(&proxy, LENGTH);
        assert_eq!(client.head().status(), 200);
        assert!(client.wire.exactly(10).is_err(), "the body is not whole");
    }
    logged(&proxy, "/up", 2, 200, "cD--");
    unharmed(&proxy);
}

#[test]
fn clients_that_leave_or_send_what_is_no_body_say_nothing_of_the_server() {
    let a = origin("a").start();
    let proxy = sensitive(&a).start();
    for _ in 0..2 {
        let mut leaving = sending(&proxy, LENGTH);
        leaving.wire.end();
        let _ = leaving.wire.read_to_end();
        let mut resetting = sending(&proxy, CHUNKS);
        a.wait_for_requests(1);
        resetting.wire.reset();
        drop(resetting);
        let mut broken = sending(&proxy, CHUNKS);
        broken.send("zz\r\n");
        let _ = broken.wire.read_to_end();
    }
    until("all are logged", || (proxy.exchanges().len() >= 6).then_some(()));
    unharmed(&proxy);
}

#[test]
fn a_client_that_does_not_take_its_answer_says_nothing_of_the_server() {
    let a = origin("a").endless("/endless").start();
    let proxy = sensitive(&a).timeout("client", SHORT).timeout("server", "100ms").start();
    let mut deaf: Vec<_> = (0..2).map(|_| client(proxy.address())).collect();
    for client in &mut deaf {
        client.ask("GET", "/endless", &[]);
        assert_eq!(client.head().status(), 200);
    }
    logged(&proxy, "/endless", 2, 200, "cD--");
    unharmed(&proxy);
}

#[test]
fn a_tunnel_through_which_nothing_passes_is_nobodys_fault() {
    let silent = |_: &mut Message, wire: &mut Wire| {
        wire.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")?;
        wire.read_to_end().map(|_| Next::Close)
    };
    let a = origin("a").script("/socket", silent).start();
    let proxy = sensitive(&a).timeout("tunnel", SHORT).start();
    for _ in 0..2 {
        let mut client = client(proxy.address());
        client.ask("GET", "/socket", &[("connection", "upgrade"), ("upgrade", "websocket")]);
        assert_eq!(client.head().status(), 101);
        client.expect_end();
    }
    logged(&proxy, "/socket", 2, 101, "cD--");
    unharmed(&proxy);
}

#[test]
fn a_stream_of_http2_that_stalls_within_its_upload_is_the_clients_fault() {
    let a = origin("a").start();
    let proxy = sensitive(&a).timeout("client", SHORT).timeout("server", "100ms").start();
    let mut client = http2(&proxy);
    for _ in 0..2 {
        let body = Stalling(Some(Bytes::from_static(b"half"))).boxed();
        let request = client.request(Method::POST, "/up").body(body).expect("a request");
        assert_eq!(client.response(request).expect("a response").0, 408);
    }
    logged(&proxy, &format!("http://{}/up", proxy.address()), 2, 408, "cD--");
    unharmed(&proxy);
}

/// A body of one piece that does not come to its end.
struct Stalling(Option<Bytes>);

impl Body for Stalling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}
