//! How the program ends: not before its last exchange, unless it is told twice.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::http2::{empty, http2};
use super::kit::{Client, Gate, Origin, Proxy, Setup, Signal, Unanswering, client, origin, proxy, until};

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
    let line = proxy.exchange("/slow");
    assert_eq!((line.status, &*line.state), (-1, "KH--"), "{}", line.line);
}

/// A server that sends half a body, or becomes a tunnel, or never answers.
fn endless() -> Origin {
    let rest = |head: &'static str| {
        move |_: &mut _, wire: &mut super::kit::Wire| {
            wire.write(head)?;
            wire.read_to_end().map(|_| super::kit::Next::Close)
        }
    };
    origin("a")
        .script("/body", rest("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf"))
        .script("/tunnel", rest("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello"))
        .silent("/head")
        .silent("/stream")
        .silent("/queue")
        .start()
}

#[test]
fn what_is_cut_off_is_logged_once_where_it_was() {
    let (a, unanswering) = (endless(), Unanswering::new());
    let rules = "rules = [{ when = { path = \"/connect\" }, use_backend = \"far\" }, \
                 { when = { path = \"/tarpit\" }, tarpit = \"1h\" }, { when = { path = \"/no\" }, deny = true }]";
    let far = format!(
        "[backends.far]\n[[backends.far.servers]]\nname = \"b\"\naddress = \"{}\"\n",
        unanswering.address()
    );
    let setup = proxy().global("nbthread = 1").frontend(rules).server_with(&a, "maxconn = 4").more(&far);
    let mut proxy = setup.start();
    let mut clients = Vec::new();
    for path in ["/head", "/body", "/tunnel"] {
        let mut asking = client(proxy.address());
        asking.ask("GET", path, &[("connection", "upgrade"), ("upgrade", "x")]);
        clients.push(asking);
    }
    assert_eq!(clients[1].head().status(), 200);
    assert_eq!(clients[2].head().status(), 101);
    let mut newer = http2(&proxy);
    let request = newer.request(hyper::Method::GET, "/stream").body(empty()).expect("a request");
    let stream = newer.send(request);
    a.wait_for_requests(4);
    for path in ["/queue", "/connect", "/tarpit"] {
        let mut asking = client(proxy.address());
        asking.ask("GET", path, &[]);
        // Once others that came behind it have been answered, one after the other, it is under way.
        let mut others = client(proxy.address());
        assert_eq!((others.get("/no").status(), others.get("/no").status()), (403, 403));
        clients.push(asking);
    }
    proxy.process.signal(Signal::Terminate);
    proxy.log.wait("draining");
    proxy.process.signal(Signal::Terminate);
    assert_eq!(proxy.process.wait().code(), Some(0));
    let _ = newer.runtime.block_on(stream);
    proxy.log.wait("ended");
    let expected = [
        ("/head", "KH--", -1, 0),
        ("/stream", "KH--", -1, 0),
        ("/body", "KD--", 200, 4),
        ("/tunnel", "KD--", 101, 5),
        ("/queue", "KQ--", -1, 0),
        ("/connect", "KC--", -1, 0),
        ("/tarpit", "PT--", -1, 0),
    ];
    for (path, state, status, bytes) in expected {
        // Over HTTP/2 the log shows the whole URL.
        let lines: Vec<_> =
            proxy.exchanges().into_iter().filter(|line| line.path().ends_with(path)).collect();
        assert_eq!(lines.len(), 1, "{path}");
        let line = &lines[0];
        assert_eq!((&*line.state, line.status), (state, status), "{}", line.line);
        assert!(line.bytes >= bytes && (line.bytes > 0) == (bytes > 0), "{}", line.line);
    }
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
    assert_eq!(proxy.exchange("/slow").state, "KH--");
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
