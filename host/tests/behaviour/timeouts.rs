//! Who is too slow is told so, and the log says who it was and in which phase.

use std::io;
use std::time::{Duration, Instant};

use super::kit::{Gate, Next, Origin, Proxy, Setup, Unanswering, client, get, origin, proxy, until};

/// Short enough to wait for.
const SHORT: &str = "300ms";

#[track_caller]
fn logged(proxy: &Proxy, path: &str, status: i64, state: &str) {
    let line = proxy.exchange(path);
    assert_eq!((line.status, line.state.as_str()), (status, state), "{}", line.line);
}

#[test]
fn a_request_head_that_does_not_come_to_its_end_gets_a_408() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).timeout("http_request", SHORT).start();
    let mut client = client(proxy.address());
    client.send("GET / HTTP/1.1\r\nhost: te");
    assert_eq!(client.response().status(), 408);
    client.expect_end();
    logged(&proxy, "<BADREQ>", 408, "cR--");
    assert!(a.requests().is_empty());
}

#[test]
fn a_request_head_that_trickles_gets_no_more_time() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).timeout("http_request", SHORT).start();
    let mut client = client(proxy.address());
    client.send("GET / HTTP/1.1\r\n");
    let (start, pace) = (Instant::now(), Duration::from_millis(20));
    for number in 1.. {
        let due = pace * number;
        until("the next line is due", || (start.elapsed() >= due).then_some(()));
        // It cannot be sent once the answer has been given and the connection closed.
        if !proxy.exchanges().is_empty() || client.wire.write("x: 1\r\n").is_err() {
            break;
        }
    }
    logged(&proxy, "<BADREQ>", 408, "cR--");
}

#[test]
fn a_client_that_says_nothing_is_closed_and_not_logged() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).timeout("client", SHORT).start();
    let mut silent = client(proxy.address());
    // An answer for nobody's question may come before the end.
    let _ = silent.wire.read_to_end();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    proxy.exchange("/");
    assert_eq!(proxy.exchanges().len(), 1);
}

#[test]
fn a_client_that_idles_between_requests_is_closed_without_a_word() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).timeout("http_keep_alive", SHORT).start();
    let mut client = client(proxy.address());
    assert_eq!(client.get("/").text(), "a");
    client.expect_end();
    assert_eq!(proxy.exchanges().len(), 1);
}

#[test]
fn a_server_that_does_not_answer_in_time_makes_a_504() {
    let a = origin("a").silent("/silent").start();
    let proxy = proxy().server(&a).timeout("server", SHORT).start();
    assert_eq!(get(proxy.address(), "/silent").status(), 504);
    logged(&proxy, "/silent", 504, "sH--");
}

#[test]
fn a_server_that_falls_silent_within_its_answer_cuts_it_off() {
    let a = origin("a")
        .script("/half", |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
            wire.read_to_end().map(|_| Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).timeout("server", SHORT).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/half", &[]);
    assert_eq!(client.head().status(), 200);
    assert!(client.wire.exactly(10).is_err(), "the body is not whole");
    logged(&proxy, "/half", 200, "sD--");
}

#[test]
fn a_server_that_cannot_be_reached_in_time_makes_a_503() {
    let nowhere = Unanswering::new();
    let proxy = proxy()
        .timeout("connect", SHORT)
        .backend("retries = 1")
        .server_at("a", &nowhere.address(), "")
        .start();
    assert_eq!(get(proxy.address(), "/nowhere").status(), 503);
    logged(&proxy, "/nowhere", 503, "sC--");
    assert_eq!(proxy.exchange("/nowhere").retries, "1");
}

#[test]
fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let a = origin("a").endless("/endless").start();
    let proxy = proxy().server(&a).timeout("client", SHORT).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/endless", &[]);
    assert_eq!(client.head().status(), 200);
    logged(&proxy, "/endless", 200, "cD--");
}

fn one_at_a_time(gate: &Gate) -> (Origin, Setup) {
    let a = origin("a").held("/slow", gate).start();
    let setup = proxy().server_with(&a, "maxconn = 1");
    (a, setup)
}

#[test]
fn who_waits_too_long_in_the_queue_gets_a_503() {
    let gate = Gate::default();
    let (a, setup) = one_at_a_time(&gate);
    let proxy = setup.timeout("queue", SHORT).start();
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    assert_eq!(get(proxy.address(), "/queued").status(), 503);
    logged(&proxy, "/queued", 503, "sQ--");
    gate.open();
    assert_eq!(slow.response().text(), "a");
    assert_eq!(a.requests().len(), 1);
}

#[test]
fn timeouts_do_not_hit_who_keeps_moving() -> io::Result<()> {
    let a = origin("a")
        .script("/steady", |request, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n")?;
            for _ in 0..30 {
                // The client's byte sets the pace, which is far from the timeouts.
                let byte = wire.exactly(1)?;
                request.body.extend(&byte);
                wire.write(byte)?;
            }
            Ok(Next::Keep)
        })
        .start();
    let proxy = proxy().server(&a).timeout("server", "2s").timeout("client", "2s").start();
    let mut client = client(proxy.address());
    let start = Instant::now();
    client.ask("POST", "/steady", &[("content-length", "30")]);
    let pace = Duration::from_millis(100);
    for number in 0..30 {
        let due = pace * number;
        until("the next byte is due", || (start.elapsed() >= due).then_some(()));
        client.send("x");
        if number == 0 {
            assert_eq!(client.head().status(), 200);
        }
        assert_eq!(client.wire.exactly(1)?, b"x");
    }
    assert!(start.elapsed() > Duration::from_secs(2), "longer in all than one timeout");
    logged(&proxy, "/steady", 200, "----");
    Ok(())
}
