//! Requests that wait for a place, or for a connection: they move on when their server goes DOWN, and are dropped when their
//! client leaves.

use hyper::Method;

use super::http2::{empty, http2};
use super::kit::{Client, Gate, Origin, Proxy, Refusing, Setup, Unanswering, client, origin, proxy, until};
use super::metrics::{Samples, watched};

/// Nobody waits so long: who is served, or refused, is so for another reason.
const LONG: &str = "1d";

fn asking(proxy: &Proxy, path: &str) -> Client {
    let mut client = client(proxy.address());
    client.ask("GET", path, &[]);
    client
}

#[track_caller]
fn logged(proxy: &Proxy, path: &str, server: &str, status: i64, state: &str) {
    let line = proxy.exchange(path);
    assert_eq!((&*line.server, line.status, &*line.state), (server, status, state), "{}", line.line);
}

/// Waits until so many requests wait, at a server or at the backend.
#[track_caller]
fn queued(proxy: &Proxy, count: usize) {
    let metric = "lb_backend_current_queue{backend=\"app\"}";
    until("they wait", || (Samples::of(proxy).value(metric) == count as f64).then_some(()));
}

/// The server `a` has room for one request, and one holds it.
fn full(a: &Origin, setup: Setup) -> (Proxy, Client) {
    let proxy = setup.start();
    let holding = asking(&proxy, "/held");
    a.wait_for_requests(1);
    (proxy, holding)
}

/// Servers are checked; `a` takes one request at a time.
fn setup(a: &Origin) -> Setup {
    watched().checked().timeout("queue", LONG).server_with(a, "maxconn = 1\nrise = 1")
}

#[test]
fn who_waits_for_the_last_active_server_is_served_by_the_backup_when_it_goes_down() {
    for redispatch in [false, true] {
        let (gate, b) = (Gate::default(), origin("b").start());
        let a = origin("a").held("/held", &gate).start();
        let backend = format!("redispatch = {redispatch}");
        let (proxy, mut holding) =
            full(&a, setup(&a).backend(&backend).server_with(&b, "backup = true\nmaxconn = 1"));
        let mut waiting: Vec<_> = (0..4).map(|n| asking(&proxy, &format!("/{n}"))).collect();
        queued(&proxy, 4);
        a.pass_checks(false);
        waiting.iter_mut().for_each(|client| assert_eq!(client.response().text(), "b"));
        gate.open();
        assert_eq!(holding.response().text(), "a");
        logged(&proxy, "/3", "app/b", 200, "----");
    }
}

#[test]
fn they_are_served_in_the_order_in_which_they_came() {
    let (gate, b) = (Gate::default(), origin("b").start());
    let a = origin("a").held("/held", &gate).start();
    let cookie = "redispatch = true\ncookie = { name = \"S\", insert = true, indirect = true }";
    let setup = watched().checked().timeout("queue", LONG).backend(cookie).global("nbthread = 1");
    let setup = setup.server_with(&a, "maxconn = 1\ncookie = \"a\"");
    let (proxy, _holding) = full(&a, setup.server_with(&b, "backup = true\nmaxconn = 1\ncookie = \"b\""));
    let mut waiting = Vec::new();
    for number in 0..6 {
        // Every other one is bound to the server that goes DOWN.
        let headers: &[_] = if number % 2 == 0 { &[("cookie", "S=a")] } else { &[] };
        let mut client = client(proxy.address());
        client.ask("GET", &format!("/{number}"), headers);
        waiting.push(client);
        queued(&proxy, number + 1);
    }
    a.pass_checks(false);
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().text(), "b"));
    let seen: Vec<String> = b.requests().iter().map(|request| request.target().to_owned()).collect();
    // Those that wait for any server move on at once; those that were bound choose again a moment later, among themselves
    // in their order.
    let of =
        |paths: [&str; 3]| seen.iter().filter(|path| paths.contains(&&***path)).cloned().collect::<Vec<_>>();
    assert_eq!(of(["/0", "/2", "/4"]), ["/0", "/2", "/4"]);
    assert_eq!(of(["/1", "/3", "/5"]), ["/1", "/3", "/5"]);
    gate.open();
}

#[test]
fn who_waits_is_told_at_once_when_no_server_is_left() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let (proxy, mut holding) = full(&a, setup(&a));
    let mut waiting: Vec<_> = (0..3).map(|n| asking(&proxy, &format!("/{n}"))).collect();
    queued(&proxy, 3);
    a.pass_checks(false);
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().status(), 503));
    logged(&proxy, "/0", "app/<NOSRV>", 503, "SC--");
    gate.open();
    assert_eq!(holding.response().text(), "a");
}

#[test]
fn a_server_that_comes_up_takes_those_who_wait_for_another() {
    let (gate, b) = (Gate::default(), origin("b").start());
    b.pass_checks(false);
    let a = origin("a").held("/held", &gate).start();
    let proxy = setup(&a).server_with(&b, "maxconn = 1\nrise = 1").start();
    proxy.log.wait("server app/b is DOWN");
    let _holding = asking(&proxy, "/held");
    a.wait_for_requests(1);
    let mut waiting: Vec<_> = (0..3).map(|n| asking(&proxy, &format!("/{n}"))).collect();
    queued(&proxy, 3);
    b.pass_checks(true);
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().text(), "b"));
    gate.open();
}

#[test]
fn requests_of_clients_that_have_left_do_not_wait_before_those_of_the_living() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let (proxy, mut holding) = full(&a, watched().timeout("queue", LONG).server_with(&a, "maxconn = 1"));
    let mut leaving: Vec<_> = (0..12).map(|_| asking(&proxy, "/dead")).collect();
    queued(&proxy, 12);
    let mut living = asking(&proxy, "/living");
    queued(&proxy, 13);
    // Some close, some reset, some only say that nothing more comes.
    leaving.iter_mut().step_by(3).for_each(|client| client.wire.reset());
    let mut half = leaving.split_off(8);
    half.iter_mut().for_each(|client| client.wire.end());
    drop(leaving);
    queued(&proxy, 1);
    half.iter_mut().for_each(Client::expect_end);
    gate.open();
    assert_eq!((holding.response().text(), living.response().text()), ("a".to_owned(), "a".to_owned()));
    assert_eq!(a.requests().len(), 2);
    logged(&proxy, "/dead", "app/<NOSRV>", -1, "CQ--");
    // Each worker hands its lines over by itself.
    let dead = until("each is logged", || {
        let lines = proxy.exchanges().into_iter().filter(|line| line.path() == "/dead");
        Some(lines.collect::<Vec<_>>()).filter(|lines| lines.len() >= 12)
    });
    assert_eq!(dead.len(), 12, "each is logged once");
    assert!(dead.iter().all(|line| (line.status, &*line.state, line.bytes) == (-1, "CQ--", 0)));
    assert!(dead.iter().all(|line| line.timers[1] >= 0 && line.timers[2] == -1));
}

#[test]
fn a_request_whose_body_fills_what_there_is_room_for_is_not_served_once_its_client_has_left() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let (proxy, mut holding) = full(&a, watched().timeout("queue", LONG).server_with(&a, "maxconn = 1"));
    let mut leaving = client(proxy.address());
    leaving.send("POST /dead HTTP/1.1\r\nhost: test\r\ncontent-length: 65536\r\n\r\n");
    leaving.send(vec![b'x'; 65536]);
    queued(&proxy, 1);
    drop(leaving);
    let mut living = asking(&proxy, "/living");
    queued(&proxy, 2);
    gate.open();
    assert_eq!((holding.response().text(), living.response().text()), ("a".to_owned(), "a".to_owned()));
    logged(&proxy, "/dead", "app/<NOSRV>", -1, "CQ--");
    assert_eq!(a.requests().len(), 2);
}

#[test]
fn a_stream_of_http2_that_is_reset_leaves_the_queue() {
    for abort in ["", "abortonclose = false"] {
        let gate = Gate::default();
        let a = origin("a").held("/held", &gate).start();
        let setup = watched().timeout("queue", LONG).backend(abort).server_with(&a, "maxconn = 1");
        let (proxy, mut holding) = full(&a, setup);
        let mut client = http2(&proxy);
        let request = client.request(Method::GET, "/dead").body(empty()).expect("a request");
        let sent = client.send(request);
        queued(&proxy, 1);
        sent.abort();
        logged(&proxy, &format!("http://{}/dead", proxy.address()), "app/<NOSRV>", -1, "CQ--");
        gate.open();
        assert_eq!(holding.response().text(), "a");
        assert_eq!(client.get("/after").0, 200);
    }
}

#[test]
fn a_client_that_leaves_while_a_connection_is_made_is_let_go() {
    let nowhere = Unanswering::new();
    for protocol in ["", "proto = \"h2\""] {
        let setup = watched().timeout("connect", LONG).server_at("a", &nowhere.address(), protocol);
        let proxy = setup.start();
        let connecting = |count: f64| {
            let metric = "lb_server_connection_attempts_total{backend=\"app\",server=\"a\"}";
            until("it is on its way", || (Samples::of(&proxy).value(metric) >= count).then_some(()));
        };
        let mut leaving = asking(&proxy, "/half");
        leaving.wire.end();
        leaving.expect_end();
        logged(&proxy, "/half", "app/a", -1, "CC--");
        let mut resetting = asking(&proxy, "/reset");
        connecting(2.0);
        resetting.wire.reset();
        drop(resetting);
        logged(&proxy, "/reset", "app/a", -1, "CC--");
        let mut client = http2(&proxy);
        let request = client.request(Method::GET, "/stream").body(empty()).expect("a request");
        let sent = client.send(request);
        connecting(3.0);
        sent.abort();
        logged(&proxy, &format!("http://{}/stream", proxy.address()), "app/a", -1, "CC--");
    }
}

#[test]
fn a_client_that_leaves_between_two_tries_is_let_go() {
    let refusing = Refusing::new();
    let backend = "retries = 100\ntimeout.connect = \"1d\"";
    let proxy = watched().backend(backend).server_at("a", &refusing.address(), "").start();
    let mut leaving = asking(&proxy, "/half");
    let tries = "lb_server_retry_warnings_total{backend=\"app\",server=\"a\"}";
    until("it was tried", || (Samples::of(&proxy).value(tries) >= 1.0).then_some(()));
    leaving.wire.end();
    leaving.expect_end();
    logged(&proxy, "/half", "app/a", -1, "CC--");
}

#[test]
fn a_client_that_only_says_that_nothing_more_comes_is_served_where_nobody_waits() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    for path in ["/new", "/kept"] {
        let mut half = client(proxy.address());
        half.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        half.wire.end();
        assert_eq!(half.response().text(), "a");
    }
}

#[test]
fn with_abortonclose_off_it_is_served_in_its_turn_too() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let setup =
        watched().timeout("queue", LONG).backend("abortonclose = false").server_with(&a, "maxconn = 1");
    let (proxy, mut holding) = full(&a, setup);
    let mut half = asking(&proxy, "/half");
    half.wire.end();
    queued(&proxy, 1);
    gate.open();
    assert_eq!((holding.response().text(), half.response().text()), ("a".to_owned(), "a".to_owned()));
    logged(&proxy, "/half", "app/a", 200, "----");
}

#[test]
fn with_abortonclose_on_a_client_that_leaves_is_let_go_while_the_server_is_at_work() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let proxy = proxy().backend("abortonclose = true").server(&a).start();
    let mut half = asking(&proxy, "/held");
    a.wait_for_requests(1);
    half.wire.end();
    assert_eq!(half.response().status(), 400);
    logged(&proxy, "/held", "app/a", 400, "CH--");
    gate.open();
}
