//! Circuit breakers of backends and servers.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::kit::{Answer, Builder, Gate, Proxy, client, get, origin, proxy, until};

/// An origin that fails for its first so many requests, and is well after them.
fn failing(name: &str, times: usize) -> Builder {
    let (seen, bad, good) = (AtomicUsize::new(0), Answer::new(500, "broken"), Answer::new(200, name));
    origin(name).script("/", move |request, wire| {
        let answer = if seen.fetch_add(1, Relaxed) < times { &bad } else { &good };
        answer.send(request, wire)
    })
}

#[track_caller]
fn refused(proxy: &Proxy, path: &str) {
    assert_eq!(get(proxy.address(), path).status(), 503);
    let line = proxy.exchange(path);
    assert_eq!((line.server.as_str(), line.state.as_str()), ("app/<NOSRV>", "PC--"), "{}", line.line);
}

#[test]
fn a_backend_that_holds_as_many_requests_as_it_may_refuses_more_at_once() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let proxy = proxy().backend("circuit_breaker = { max_requests = 2 }").server(&a).start();
    let mut holding: Vec<_> = (0..2).map(|_| client(proxy.address())).collect();
    holding.iter_mut().for_each(|client| client.ask("GET", "/held", &[]));
    a.wait_for_requests(2);
    refused(&proxy, "/more");
    gate.open();
    holding.iter_mut().for_each(|client| assert_eq!(client.response().text(), "a"));
    until("there is room again", || (get(proxy.address(), "/after").status() == 200).then_some(()));
}

#[test]
fn a_line_that_is_as_long_as_it_may_be_takes_nobody_else() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let proxy =
        proxy().backend("circuit_breaker = { max_pending = 1 }").server_with(&a, "maxconn = 1").start();
    let mut holding = client(proxy.address());
    holding.ask("GET", "/held", &[]);
    a.wait_for_requests(1);
    // One of these waits, whichever comes first, and the other is refused.
    let mut rivals = [client(proxy.address()), client(proxy.address())];
    rivals.iter_mut().for_each(|client| client.ask("GET", "/rival", &[]));
    let line = proxy.exchange("/rival");
    assert_eq!((line.status, line.state.as_str()), (503, "PC--"), "{}", line.line);
    gate.open();
    assert_eq!(holding.response().text(), "a");
    let mut statuses = rivals.map(|mut client| client.response().status());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
}

#[test]
fn a_backend_whose_requests_fail_is_left_alone() {
    let a = failing("a", usize::MAX).start();
    let breaker = "circuit_breaker = { error_percent = 50, min_requests = 4, open_for = \"1d\" }";
    let proxy = proxy().backend(breaker).server(&a).start();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "broken");
    }
    proxy.log.wait("backend app: circuit breaker open, 4 of 4 requests failed");
    refused(&proxy, "/refused");
    assert_eq!(a.requests().len(), 4);
}

#[test]
fn a_backend_that_is_well_again_is_found_out_by_probes() {
    let a = failing("a", 5).start();
    let breaker =
        "circuit_breaker = { error_percent = 50, min_requests = 4, open_for = \"20ms\", probes = 2 }";
    let proxy = proxy().backend(breaker).server(&a).start();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "broken");
    }
    proxy.log.wait("circuit breaker open, 4 of 4 requests failed");
    until("a request is served", || (get(proxy.address(), "/").status() == 200).then_some(()));
    until("the breaker has closed", || {
        get(proxy.address(), "/");
        proxy.log.all().iter().any(|line| line.contains("backend app: circuit breaker closed")).then_some(())
    });
    proxy.log.wait("circuit breaker open, a probe failed");
}

#[test]
fn a_server_whose_requests_fail_is_no_candidate_until_it_is_well_again() {
    let (a, b) = (origin("a").start(), failing("b", 2).start());
    let breaker =
        "circuit_breaker = { error_percent = 100, min_requests = 2, open_for = \"300ms\", probes = 1 }";
    let proxy = proxy().server(&a).server_with(&b, breaker).start();
    (0..4).for_each(|_| drop(get(proxy.address(), "/")));
    let down = proxy.log.wait("server app/b is DOWN");
    assert!(down.contains("circuit breaker open, 2 of 2 requests failed"), "{down}");
    assert_eq!(b.requests().len(), 2);
    let up = proxy.log.wait("server app/b is UP");
    assert!(up.contains("circuit breaker half-open"), "{up}");
    (0..2).for_each(|_| assert_eq!(get(proxy.address(), "/").status(), 200));
    proxy.log.wait("server app/b: circuit breaker closed");
}

#[test]
fn clients_who_are_bound_to_a_server_whose_breaker_opens_are_bound_anew() {
    let (a, b) = (origin("a").start(), failing("b", usize::MAX).start());
    let breaker = "circuit_breaker = { error_percent = 100, min_requests = 2, open_for = \"1d\" }";
    let proxy = proxy()
        .backend("cookie = { name = \"S\", insert = true, indirect = true }")
        .server_with(&a, "cookie = \"a\"")
        .server_with(&b, &format!("cookie = \"b\"\n{breaker}"))
        .start();
    let mut bound = client(proxy.address());
    (0..2).for_each(|_| assert_eq!(bound.get_with("/", &[("cookie", "S=b")]).status(), 500));
    proxy.log.wait("server app/b is DOWN");
    let answer = bound.get_with("/", &[("cookie", "S=b")]);
    assert_eq!((answer.text().as_str(), answer.header("set-cookie")), ("a", Some("S=a; path=/")));
}

#[test]
fn the_only_server_serves_on_whatever_its_breaker_says() {
    let a = failing("a", usize::MAX).start();
    let breaker = "circuit_breaker = { error_percent = 1, min_requests = 1, open_for = \"1d\" }";
    let proxy = proxy().server_with(&a, breaker).start();
    for _ in 0..5 {
        assert_eq!(get(proxy.address(), "/").text(), "broken");
    }
    assert_eq!(a.requests().len(), 5);
}
