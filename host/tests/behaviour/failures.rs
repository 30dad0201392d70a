//! Servers that fail, and what becomes of their requests.

use std::time::{Duration, Instant};

use super::kit::{Answer, Next, Proxy, Refusing, Wire, client, get, origin, proxy, until};

#[track_caller]
fn logged(proxy: &Proxy, path: &str, server: &str, status: i64, state: &str) {
    let line = proxy.exchange(path);
    assert_eq!(
        (line.server.as_str(), line.status, line.state.as_str()),
        (server, status, state),
        "{}",
        line.line
    );
}

#[test]
fn a_server_that_refuses_is_tried_again_and_then_given_up() {
    let refusing = Refusing::new();
    let proxy = proxy()
        .timeout("connect", "20ms")
        .backend("retries = 2")
        .server_at("a", &refusing.address(), "")
        .start();
    let answer = get(proxy.address(), "/refused");
    assert_eq!((answer.status(), answer.header("content-type")), (503, Some("text/html")));
    logged(&proxy, "/refused", "app/a", 503, "SC--");
    assert_eq!(proxy.exchange("/refused").retries, "2");
}

#[test]
fn a_retry_meets_a_server_that_has_come_back() {
    let mut a = origin("a").start();
    a.kill();
    let proxy = proxy().timeout("connect", "20ms").backend("retries = 100").server(&a).start();
    let mut waiting = client(proxy.address());
    waiting.ask("GET", "/patient", &[]);
    a.bring_back();
    assert_eq!(waiting.response().text(), "a");
    logged(&proxy, "/patient", "app/a", 200, "----");
}

#[test]
fn with_redispatch_the_only_server_left_has_its_pauses_too() {
    let (a, b) = (Refusing::new(), Refusing::new());
    for other in ["disabled = true", "backup = true"] {
        let proxy = proxy()
            .timeout("connect", "50ms")
            .backend("retries = 2\nredispatch = true")
            .server_at("a", &a.address(), "")
            .server_at("b", &b.address(), other)
            .start();
        let began = Instant::now();
        assert_eq!(get(proxy.address(), "/lone").status(), 503);
        assert!(began.elapsed() >= Duration::from_millis(100));
        logged(&proxy, "/lone", "app/a", 503, "SC--");
        // No plus before them: it was the same server each time.
        assert_eq!(proxy.exchange("/lone").retries, "2");
    }
}

#[test]
fn with_redispatch_the_last_try_goes_to_another_server() {
    let (refusing, b) = (Refusing::new(), origin("b").start());
    let proxy = proxy()
        .timeout("connect", "20ms")
        .backend("retries = 1\nredispatch = true")
        .server_at("a", &refusing.address(), "")
        .server(&b)
        .start();
    for turn in 0..4 {
        assert_eq!(get(proxy.address(), &format!("/{turn}")).text(), "b");
    }
    let redispatched = (0..4).map(|turn| proxy.exchange(&format!("/{turn}")).retries);
    assert!(redispatched.filter(|retries| retries == "+1").count() >= 1);
}

#[test]
fn without_redispatch_a_request_stays_with_its_server() {
    let (refusing, b) = (Refusing::new(), origin("b").start());
    let proxy = proxy()
        .timeout("connect", "20ms")
        .backend("retries = 1")
        .server_at("a", &refusing.address(), "")
        .server(&b)
        .start();
    let statuses: Vec<u16> = (0..4).map(|_| get(proxy.address(), "/").status()).collect();
    assert_eq!(statuses, [503, 200, 503, 200]);
    assert_eq!(b.requests().len(), 2);
}

#[test]
fn with_redispatch_a_cookie_does_not_hold_a_client_at_a_dead_server() {
    let (refusing, b) = (Refusing::new(), origin("b").start());
    let proxy = proxy()
        .timeout("connect", "20ms")
        .backend("retries = 1\nredispatch = true\ncookie = { name = \"S\", insert = true, indirect = true }")
        .server_at("a", &refusing.address(), "cookie = \"a\"")
        .server_with(&b, "cookie = \"b\"")
        .start();
    let answer = client(proxy.address()).get_with("/moved", &[("cookie", "S=a")]);
    assert_eq!((answer.text().as_str(), answer.header("set-cookie")), ("b", Some("S=b; path=/")));
    assert_eq!(proxy.exchange("/moved").retries, "+1");
}

#[test]
fn a_server_that_closes_before_it_answers_makes_a_502_and_is_not_asked_twice() {
    let a = origin("a")
        .script("/closed", |_, _| Ok(Next::Close))
        .script("/reset", |_, wire| {
            wire.reset();
            Ok(Next::Close)
        })
        .route("/part", Answer::bytes("HTTP/1.1 200 OK\r\ncontent-le"))
        .start();
    let proxy = proxy().server(&a).start();
    for (number, path) in ["/closed", "/reset", "/part"].into_iter().enumerate() {
        assert_eq!(get(proxy.address(), path).status(), 502, "{path}");
        logged(&proxy, path, "app/a", 502, "SH--");
        assert_eq!(a.requests().len(), number + 1, "{path}");
    }
}

#[test]
fn a_server_that_closes_after_an_answer_before_the_answer_is_not_asked_twice() {
    let hint =
        |_: &mut _, wire: &mut Wire| wire.write("HTTP/1.1 103 Early Hints\r\n\r\n").map(|()| Next::Close);
    let a = origin("a").script("/new", hint).script("/kept", hint).start();
    let backend = "retries = 2\nretry_on = [\"empty-response\", \"conn-failure\"]";
    let proxy = proxy().global("nbthread = 1").backend(backend).server(&a).start();
    for path in ["/new", "/kept"] {
        if path == "/kept" {
            assert_eq!(get(proxy.address(), "/").text(), "a");
        }
        let mut asking = client(proxy.address());
        asking.ask("GET", path, &[]);
        assert_eq!(asking.head().status(), 103);
        assert_eq!(asking.response().status(), 502);
        logged(&proxy, path, "app/a", 502, "SH--");
    }
    assert_eq!((a.requests().len(), a.connections()), (3, 2));
}

#[test]
fn a_server_that_talks_rubbish_makes_a_502() {
    let rubbish = [
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "\r\n\r\n\0\0\0\0",
        "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
    ];
    let builder = rubbish.iter().enumerate().fold(origin("a"), |builder, (number, bytes)| {
        builder.route(&format!("/{number}"), Answer::bytes(*bytes))
    });
    let a = builder.start();
    let proxy = proxy().server(&a).start();
    for (number, bytes) in rubbish.iter().enumerate() {
        let path = format!("/{number}");
        assert_eq!(get(proxy.address(), &path).status(), 502, "{bytes:?}");
        logged(&proxy, &path, "app/a", 502, "PH--");
    }
}

#[test]
fn an_answer_that_ends_too_early_is_not_passed_off_as_whole() {
    let a = origin("a")
        .route("/length", Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"))
        .route("/chunks", Answer::bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"))
        .start();
    let proxy = proxy().server(&a).start();
    for path in ["/length", "/chunks"] {
        let mut client = client(proxy.address());
        client.ask("GET", path, &[]);
        let mut head = client.head();
        assert_eq!(head.status(), 200);
        assert!(client.wire.response_body(&mut head, false).is_err(), "{path}");
        logged(&proxy, path, "app/a", 200, "SD--");
    }
}

#[test]
fn a_client_that_goes_away_is_logged_and_its_server_freed() {
    let a = origin("a").endless("/endless").start();
    let proxy = proxy().server_with(&a, "maxconn = 1").start();
    let mut leaving = client(proxy.address());
    leaving.ask("GET", "/endless", &[]);
    assert_eq!(leaving.head().status(), 200);
    drop(leaving);
    logged(&proxy, "/endless", "app/a", 200, "CD--");
    assert_eq!(get(proxy.address(), "/").text(), "a", "its place is free");
}

#[test]
fn a_server_that_answers_before_the_body_has_come_is_believed() {
    let a = origin("a")
        .script("/early", |_, wire| {
            wire.write("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")?;
            Ok(Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("POST", "/early", &[("content-length", "1000000")]);
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "no"));
    drop(client);
    until("it is logged", || (!proxy.exchanges().is_empty()).then_some(()));
    assert_eq!(proxy.exchange("/early").status, 413);
}
