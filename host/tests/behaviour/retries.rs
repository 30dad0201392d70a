//! Requests that are tried again after a server has seen them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::kit::{Answer, Next, Origin, Proxy, Refusing, Setup, client, get, origin, proxy, until};

/// An origin that answers requests for `/` badly, and after so many of them well.
fn failing(name: &str, times: usize, bad: Answer) -> Origin {
    let (seen, good) = (AtomicUsize::new(0), Answer::new(200, name));
    let script = move |request: &mut _, wire: &mut _| {
        let answer = if seen.fetch_add(1, Relaxed) < times { &bad } else { &good };
        answer.send(request, wire)
    };
    origin(name).script("/", script).start()
}

fn busy() -> Answer {
    Answer::new(503, "busy")
}

fn retrying(events: &str) -> Setup {
    proxy().timeout("connect", "10ms").backend("retries = 2").backend(&format!("retry_on = {events}"))
}

#[track_caller]
fn logged(proxy: &Proxy, status: i64, retries: &str, state: &str) {
    let line = proxy.exchange("/");
    assert_eq!((line.status, &*line.retries, &*line.state), (status, retries, state), "{}", line.line);
}

#[test]
fn each_event_is_tried_again_where_it_is_named_and_only_there() {
    let partial = || Answer::bytes("HTTP/1.1 200 OK\r\ncontent-le");
    type Case = (&'static str, fn() -> Answer, i64, &'static str);
    let cases: [Case; 5] = [
        ("\"empty-response\"", || Answer::bytes(""), 502, "SH--"),
        ("\"junk-response\"", || Answer::bytes("SSH-2.0-OpenSSH_9\r\n\r\n"), 502, "PH--"),
        ("[\"junk-response\", \"conn-failure\"]", partial, 502, "SH--"),
        ("503", busy, 503, "----"),
        ("\"all-retryable-errors\"", busy, 503, "----"),
    ];
    for (events, bad, status, state) in cases {
        let a = failing("a", 1, bad());
        let proxy = retrying(events).server(&a).start();
        assert_eq!(get(proxy.address(), "/").text(), "a", "{events}");
        logged(&proxy, 200, "1", "----");
        assert_eq!(a.requests().len(), 2, "{events}");

        let a = failing("a", 1, bad());
        let proxy = retrying("[\"response-timeout\", 500]").server(&a).start();
        assert_eq!(i64::from(get(proxy.address(), "/").status()), status, "{events}");
        logged(&proxy, status, "0", state);
        assert_eq!(a.requests().len(), 1, "{events}");
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_asked_for_again() {
    let a = failing("a", 2, Answer::new(200, "late"));
    let slow = origin("slow").silent("/").start();
    let setup = retrying("\"response-timeout\"").timeout("server", "100ms").backend("redispatch = true");
    let proxy = setup.server(&slow).server(&a).start();
    assert_eq!(get(proxy.address(), "/").text(), "late");
    logged(&proxy, 200, "+1", "----");
    assert_eq!((slow.requests().len(), a.requests().len()), (1, 1));
}

#[test]
fn when_retries_are_used_up_the_last_answer_is_the_clients() {
    let a = failing("a", 9, busy().header("x-from", "a"));
    let proxy = retrying("503").server(&a).start();
    let answer = get(proxy.address(), "/");
    assert_eq!((answer.status(), answer.text().as_str(), answer.header("x-from")), (503, "busy", Some("a")));
    logged(&proxy, 503, "2", "----");
    assert_eq!(a.requests().len(), 3);
}

#[test]
fn with_redispatch_another_server_is_asked_at_once() {
    let (a, b) = (failing("a", 9, busy()), origin("b").start());
    let proxy = retrying("503").backend("redispatch = true").server(&a).server(&b).start();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    assert!(proxy.exchanges().iter().all(|line| line.status == 200));
    assert!(!a.requests().is_empty());
}

#[test]
fn a_client_that_is_bound_leaves_its_server_at_the_last_retry_and_is_bound_anew() {
    let (a, b) = (failing("a", 9, busy()), origin("b").start());
    let backend = "redispatch = true\ncookie = { name = \"S\", insert = true, indirect = true }";
    let proxy = retrying("503")
        .backend(backend)
        .server_with(&a, "cookie = \"a\"")
        .server_with(&b, "cookie = \"b\"")
        .start();
    let answer = client(proxy.address()).get_with("/", &[("cookie", "S=a")]);
    assert_eq!((answer.text().as_str(), answer.header("set-cookie")), ("b", Some("S=b; path=/")));
    assert_eq!(a.requests().len(), 2);
    logged(&proxy, 200, "+2", "--DI");
}

#[test]
fn what_may_not_come_twice_is_sent_once_unless_all_methods_are_allowed() {
    let post = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello";
    let a = failing("a", 1, busy());
    let once = retrying("503").server(&a).start();
    let mut asking = client(once.address());
    asking.send(post);
    assert_eq!(asking.response().status(), 503);
    assert_eq!(a.requests().len(), 1);

    let a = failing("a", 1, busy());
    let twice = retrying("503").backend("retry_methods = \"all\"").server(&a).start();
    let mut asking = client(twice.address());
    asking.send(post);
    assert_eq!(asking.response().status(), 200);
    // The origin keeps a request's body once it has answered.
    until("both requests came with their bodies", || {
        let bodies: Vec<String> = a.requests().iter().map(|request| request.text()).collect();
        (bodies == ["hello", "hello"]).then_some(())
    });
}

#[test]
fn a_body_that_was_passed_on_as_it_came_cannot_be_sent_again() {
    let early = |_: &mut _, wire: &mut super::kit::Wire| {
        wire.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")?;
        Ok(Next::Close)
    };
    let a = origin("a").script("/", early).start();
    let proxy = retrying("503").server(&a).start();
    let mut asking = client(proxy.address());
    asking.send("PUT / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(asking.response().status(), 503);
    assert_eq!(a.requests().len(), 1);
}

#[test]
fn nothing_is_tried_again_where_nothing_is_named() {
    let refusing = Refusing::new();
    let proxy = retrying("\"none\"").server_at("a", &refusing.address(), "").start();
    assert_eq!(get(proxy.address(), "/").status(), 503);
    logged(&proxy, 503, "0", "SC--");
}

#[test]
fn a_budget_bounds_retries_over_all_requests() {
    let a = failing("a", usize::MAX, busy());
    let budget = "retry_budget = { percent = 50, min_per_second = 0, window = \"60s\" }";
    let proxy = retrying("503").backend(budget).server(&a).start();
    for _ in 0..20 {
        assert_eq!(get(proxy.address(), "/").text(), "busy");
    }
    assert_eq!(a.requests().len(), 20 + 10);
}
