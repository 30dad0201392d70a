//! How the program ends: not before its last exchange, unless it is told twice.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::kit::{Client, Gate, Origin, Proxy, Setup, Signal, client, origin, proxy, until};

/// A server whose `/slow` waits for the gate, and a client that waits for it.
fn in_flight(setup: impl FnOnce(Setup) -> Setup) -> (Gate, Origin, Proxy, Client) {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let proxy = setup(proxy().server(&a)).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    (gate, a, proxy, client)
}

#[test]
fn sigterm_lets_the_exchange_in_flight_end_and_closes_what_idles() {
    let (gate, _a, mut proxy, mut slow) = in_flight(|setup| setup);
    let mut idle = client(proxy.address());
    assert_eq!(idle.get("/").text(), "a");
    proxy.process.signal(Signal::Terminate);
    idle.expect_end();
    let address = proxy.address().to_owned();
    until("nobody comes in any more", || TcpStream::connect(&address).is_err().then_some(()));
    assert!(!proxy.process.has_ended());
    gate.open();
    let answer = slow.response();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("a", Some("close")));
    slow.expect_end();
    assert_eq!(proxy.process.wait().code(), Some(0));
    proxy.log.wait("draining");
    proxy.log.wait("ended");
    assert_eq!(proxy.exchange("/slow").state, "----");
}

#[test]
fn sigint_does_the_same_and_an_idle_program_ends_at_once() {
    let a = origin("a").start();
    let mut proxy = proxy().server(&a).start();
    proxy.process.signal(Signal::Interrupt);
    assert_eq!(proxy.process.wait().code(), Some(0));
}

#[test]
fn who_was_in_the_queue_of_the_listener_is_still_served() {
    let (gate, _a, mut proxy, mut slow) = in_flight(|setup| setup.frontend("maxconn = 1"));
    let mut waiting = client(proxy.address());
    waiting.ask("GET", "/waiting", &[]);
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    gate.open();
    assert_eq!(slow.response().text(), "a");
    assert_eq!(waiting.response().text(), "a");
    assert_eq!(proxy.process.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (_gate, _a, mut proxy, mut slow) = in_flight(|setup| setup);
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    assert!(!proxy.process.has_ended());
    let start = Instant::now();
    proxy.process.signal(Signal::Terminate);
    proxy.process.wait();
    assert!(start.elapsed() < Duration::from_secs(20));
    proxy.log.wait("cutting off what is left");
    slow.expect_end();
}

#[test]
fn hard_stop_after_bounds_the_drain() {
    let (_gate, _a, mut proxy, mut slow) = in_flight(|setup| setup.global("hard_stop_after = \"300ms\""));
    let start = Instant::now();
    proxy.process.signal(Signal::Terminate);
    proxy.process.wait();
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    proxy.log.wait("hard_stop_after is over");
    slow.expect_end();
}

#[test]
fn a_drain_waits_for_a_body_that_is_on_its_way() {
    let gate = Gate::default();
    let held = gate.clone();
    let a = origin("a")
        .script("/body", move |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")?;
            held.pass();
            wire.write("half").map(|()| super::kit::Next::Keep)
        })
        .start();
    let mut proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/body", &[]);
    assert_eq!(client.head().status(), 200);
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    gate.open();
    assert_eq!(client.wire.exactly(8).expect("the whole body"), b"halfhalf");
    assert_eq!(proxy.process.wait().code(), Some(0));
}

#[test]
fn a_signal_right_behind_the_ready_line_is_heeded() {
    let a = origin("a").start();
    for _ in 0..10 {
        let mut proxy = proxy().server(&a).start();
        assert_eq!(proxy.terminate().code(), Some(0), "drained, not killed");
    }
}
