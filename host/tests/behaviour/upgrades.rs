//! Upgrade and Connection agree, and nobody gets past the rules by a switch to HTTP.

use super::kit::{Answer, Message, Next, client, origin, proxy};

/// What a server gets of a request with these lines.
fn passed_on(lines: &[(&str, &str)]) -> Message {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    assert_eq!(client(proxy.address()).get_with("/", lines).text(), "a");
    a.requests().remove(0)
}

#[test]
fn clear_text_http2_in_no_spelling_reaches_a_server() {
    for lines in [
        &[("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Upgrade", "websocket")][..],
        &[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "H2C")],
        &[("Connection", "Upgrade"), ("Upgrade", "h2c/1, websocket")],
        &[
            ("Upgrade", "websocket, h2c, \"h2c\", h2c ;q=1"),
            ("Connection", "keep-alive"),
            ("Connection", "upgrade"),
        ],
        &[
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "HTTP/2.0,h2C,websocket"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ],
    ] {
        let request = passed_on(lines);
        assert_eq!(request.all("upgrade"), ["websocket"], "{lines:?}");
        let connection = request.all("connection");
        assert!(matches!(connection[..], [one] if one.eq_ignore_ascii_case("upgrade")), "{connection:?}");
        assert_eq!(request.header("http2-settings"), None);
    }
}

#[test]
fn where_nothing_is_left_to_switch_to_neither_line_goes_on() {
    for lines in [
        &[
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ][..],
        &[("Connection", "Upgrade"), ("Upgrade", "h2c/1"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")],
        &[("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Upgrade", "h2c;x")],
        &[("Connection", "Upgrade")],
        &[("Connection", "keep-alive"), ("Upgrade", "websocket")],
        &[("Upgrade", "websocket")],
    ] {
        let request = passed_on(lines);
        let left =
            (request.header("connection"), request.header("upgrade"), request.header("http2-settings"));
        assert_eq!(left, (None, None, None), "{lines:?}");
    }
}

#[test]
fn a_connection_line_that_names_more_loses_what_it_names_and_no_upgrade() {
    let request = passed_on(&[("Connection", "Upgrade, Foo"), ("Upgrade", "websocket"), ("Foo", "bar")]);
    assert_eq!(request.all("connection"), ["Upgrade"]);
    assert_eq!(request.all("upgrade"), ["websocket"]);
    assert_eq!(request.header("foo"), None);
}

#[test]
fn a_server_says_by_426_what_it_wants() {
    let required = |connection: &str, upgrade: &str| {
        let answer = Answer::new(426, "no").header("Connection", connection).header("Upgrade", upgrade);
        let a = origin("a").route("/", answer).start();
        let proxy = proxy().server(&a).start();
        let answer = client(proxy.address()).get("/");
        let lines = |name| answer.all(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        (answer.status(), lines("connection"), lines("upgrade"))
    };
    let websocket = || vec!["websocket".to_owned()];
    assert_eq!(required("Upgrade", "websocket"), (426, vec!["Upgrade".into()], websocket()));
    assert_eq!(required("keep-alive", "websocket"), (426, vec!["upgrade".into()], websocket()));
    assert_eq!(
        required("X-Hop, Upgrade", "h2c, TLS/1.0"),
        (426, vec!["Upgrade".into()], vec!["TLS/1.0".into()])
    );
    assert_eq!(required("Upgrade", "h2c"), (426, vec![], vec![]));
}

#[test]
fn a_server_cannot_switch_to_what_it_was_not_asked_for() {
    let a = origin("a")
        .script("/", |_, wire| {
            wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")?;
            Ok(Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket, h2c")];
    assert_eq!(client(proxy.address()).get_with("/", &headers).status(), 502);
}

#[test]
fn a_switch_before_the_request_has_ended_is_no_answer() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let a = origin("a")
        .script("/early", move |_, wire| {
            wire.write(switching)?;
            // The rest of the body must not come as the tunnel's first bytes.
            let rest = wire.read_to_end().unwrap_or_default();
            assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
            Ok(Next::Close)
        })
        .script("db.test:1", |_, wire| wire.write("HTTP/1.1 200 OK\r\n\r\n").map(|()| Next::Close))
        .script("/late", move |request, wire| {
            wire.request_body(request)?;
            wire.write(switching)?;
            wire.write("hello").map(|()| Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "4")];
    let mut early = client(proxy.address());
    early.ask("POST", "/early", &upgrade);
    assert_eq!(early.response().status(), 502);
    early.expect_end();
    let line = proxy.exchange("/early");
    assert_eq!((line.status, line.state.as_str()), (502, "PH--"));
    let mut tunnel = client(proxy.address());
    tunnel.send("CONNECT db.test:1 HTTP/1.1\r\nhost: db.test:1\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(tunnel.response().status(), 502);
    let mut late = client(proxy.address());
    late.ask("POST", "/late", &upgrade);
    late.send("body");
    assert_eq!(late.head().status(), 101);
    assert_eq!(late.wire.exactly(5).expect("the tunnel's bytes"), b"hello");
}

#[test]
fn an_interim_answer_brings_nothing_of_its_hop() {
    let a = origin("a")
        .script("/", |request, wire| {
            wire.write(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\n\
                 Proxy-Connection: close\r\nTE: gzip\r\n\r\n",
            )?;
            Answer::new(200, "a").send(request, wire)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/", &[]);
    assert_eq!(client.head().headers, [("link".into(), "</a>".into())]);
    assert_eq!(client.response().text(), "a");
}
