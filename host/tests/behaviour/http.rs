//! HTTP/1.1 as both sides see it: framing, connections, the headers of one hop.

use std::io;

use super::kit::{Answer, Client, Next, Wire, client, get, origin, proxy, until};

/// Sends chunks and trailers, whatever comes.
fn chunks(wire: &mut Wire) -> io::Result<Next> {
    wire.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n")?;
    wire.write("5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 11\r\n\r\n")?;
    Ok(Next::Keep)
}

fn chunked_request(client: &mut Client, path: &str) {
    client.send(format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
    ));
    client.send("4\r\nabcd\r\n3\r\nefg\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[test]
fn both_sides_keep_their_connection() {
    let a = origin("a").start();
    let proxy = proxy().global("nbthread = 1").server(&a);
    let proxy = proxy.start();
    let mut client = client(proxy.address());
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(a.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let a = origin("a")
        .route("/1", Answer::new(200, "one"))
        .route("/2", Answer::new(200, "two"))
        .route("/3", Answer::new(200, "three"))
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    let request = |n| format!("GET /{n} HTTP/1.1\r\nhost: test\r\n\r\n");
    client.send(request(1) + &request(2) + &request(3));
    let answers: Vec<String> = (0..3).map(|_| client.response().text()).collect();
    assert_eq!(answers, ["one", "two", "three"]);
}

#[test]
fn chunked_bodies_pass_both_ways_with_their_trailers() {
    let a = origin("a")
        .script("/up", |request, wire| {
            wire.request_body(request)?;
            chunks(wire)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    for turn in 0..2 {
        chunked_request(&mut client, "/up");
        let answer = client.response();
        assert_eq!((answer.text().as_str(), answer.trailers.len()), ("hello world", 1));
        assert_eq!(answer.trailers[0], ("x-sum".into(), "11".into()));
        // The origin keeps what came of it once it has answered.
        let request = until("the origin has all of it", || {
            Some(a.requests().remove(turn)).filter(|request| !request.trailers.is_empty())
        });
        assert_eq!((request.text().as_str(), request.trailers.len()), ("abcdefg", 1));
        assert_eq!(request.trailers[0], ("x-sum".into(), "7".into()));
    }
}

#[test]
fn a_client_of_http_1_0_gets_chunks_as_plain_bytes_up_to_the_end() {
    let a = origin("a").script("/", |_, wire| chunks(wire)).start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("hello world", None));
    client.expect_end();
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let a = origin("a")
        .route("/head", Answer::new(200, "not for HEAD"))
        .script("/204", |_, wire| wire.write("HTTP/1.1 204 No Content\r\n\r\n").map(|()| Next::Keep))
        .script("/304", |_, wire| {
            wire.write("HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: \"1\"\r\n\r\n")
                .map(|()| Next::Keep)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("HEAD", "/head", &[]);
    let head = client.response_to("HEAD");
    assert_eq!((head.status(), head.header("content-length")), (200, Some("12")));
    assert_eq!(client.get("/204").status(), 204);
    let unmodified = client.get("/304");
    assert_eq!((unmodified.status(), unmodified.header("etag")), (304, Some("\"1\"")));
    assert_eq!(client.get("/").text(), "a");
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let a = origin("a").route("/", Answer::bytes("HTTP/1.1 200 OK\r\n\r\nall there is")).start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    let answer = client.get("/");
    assert_eq!(answer.text(), "all there is");
    client.expect_end();
    assert_eq!(proxy.exchange("/").state, "----");
}

#[test]
fn expect_100_continue_is_the_servers_to_answer() {
    let a = origin("a")
        .script("/", |request, wire| {
            assert_eq!(request.header("expect"), Some("100-continue"));
            wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            Answer::new(200, "got it").send(request, wire)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("POST", "/", &[("content-length", "4"), ("expect", "100-continue")]);
    assert_eq!(client.head().status(), 100);
    client.send("body");
    assert_eq!(client.response().text(), "got it");
    // The origin notes the body once its script has ended.
    until("the body is noted", || (a.requests()[0].text() == "body").then_some(()));
}

#[test]
fn headers_of_one_hop_do_not_pass() {
    let a = origin("a")
        .script("/", |_, wire| {
            wire.write(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Mine, keep-alive\r\nKeep-Alive: timeout=9\r\n\
                 X-Mine: 1\r\nX-Yours: 2\r\n\r\nok",
            )?;
            Ok(Next::Keep)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let headers = [
        ("Connection", "X-Private, keep-alive"),
        ("Keep-Alive", "300"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("X-Private", "1"),
        ("X-Public", "2"),
    ];
    let answer = client(proxy.address()).get_with("/", &headers);
    let names = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&answer.headers), ["content-length", "x-yours"]);
    assert_eq!(names(&a.requests()[0].headers), ["host", "x-public"], "in lower case");
}

#[test]
fn a_kept_connection_that_the_server_closed_is_never_the_clients_matter() {
    let a = origin("a").start();
    let proxy = proxy().backend("retries = 0").server(&a).start();
    let mut client = client(proxy.address());
    for turn in 1..=5 {
        assert_eq!(client.get("/").text(), "a");
        a.cut_connections();
        assert_eq!(a.requests().len(), turn);
    }
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "----"));
}

#[test]
fn forwardfor_adds_a_line_of_its_own() {
    let a = origin("a").start();
    let proxy = proxy().frontend("forwardfor = true").server(&a).start();
    client(proxy.address()).get_with("/", &[("X-Forwarded-For", "192.0.2.1")]);
    assert_eq!(a.requests()[0].all("x-forwarded-for"), ["192.0.2.1", "127.0.0.1"]);
}

#[test]
fn forwardfor_leaves_out_whom_it_is_told_to() {
    let a = origin("a").start();
    let except = proxy().frontend("forwardfor = { except = \"127.0.0.0/8\" }").server(&a).start();
    get(except.address(), "/");
    let named = proxy().frontend("forwardfor = { header = \"x-client\", if_none = true }").server(&a).start();
    client(named.address()).get_with("/", &[("X-Client", "me")]);
    get(named.address(), "/");
    let seen: Vec<(Vec<String>, Vec<String>)> = a
        .requests()
        .iter()
        .map(|request| (owned(request.all("x-forwarded-for")), owned(request.all("x-client"))))
        .collect();
    let mine = |value: &str| (vec![], vec![value.to_owned()]);
    assert_eq!(seen, [(vec![], vec![]), mine("me"), mine("127.0.0.1")]);
}

fn owned(values: Vec<&str>) -> Vec<String> {
    values.into_iter().map(str::to_owned).collect()
}

#[test]
fn an_idle_client_costs_others_nothing() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let idle: Vec<Client> = (0..50).map(|_| client(proxy.address())).collect();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    drop(idle);
    until("the exchange is logged", || (!proxy.exchanges().is_empty()).then_some(()));
    assert_eq!(proxy.exchanges().len(), 1, "those who said nothing are not logged");
}

#[test]
fn a_status_line_that_ends_at_its_code_takes_no_header_for_its_phrase() {
    let a = origin("a")
        .route("/bare", Answer::bytes("HTTP/1.1 200\nX-Secret: 1\r\nContent-Length: 0\r\n\r\n"))
        .route("/none", Answer::bytes("HTTP/1.1 200\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"))
        .start();
    let proxy = proxy().server(&a).start();
    assert_eq!(get(proxy.address(), "/bare").status(), 502);
    assert_eq!(proxy.exchange("/bare").state, "PH--");
    let answer = get(proxy.address(), "/none");
    assert_eq!((answer.start.trim_end(), answer.header("x-a")), ("HTTP/1.1 200", Some("1")));
}

#[test]
fn an_answer_of_another_hop_breaks_no_client_of_http2() {
    let a = origin("a")
        .route("/", Answer::new(200, "a").header("TE", "gzip").header("Proxy-Connection", "close"))
        .start();
    let proxy = proxy().server(&a).start();
    let (status, headers, ..) = super::http2::http2(&proxy).get("/");
    assert_eq!((status.as_u16(), headers.get("te")), (200, None));
}
