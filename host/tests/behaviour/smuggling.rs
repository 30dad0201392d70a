//! What two readers could read in two ways is refused: 400, and the end of the connection. The server never
//! sees it, nor what stands behind it.

use super::kit::{client, origin, proxy};

/// Sends requests, each of which must be refused.
fn refused(requests: &[&str]) {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    for request in requests {
        let mut client = client(proxy.address());
        client.send(request);
        // Some parts are seen only when the server has part of the request: then it is cut off there.
        let answer = client.response();
        assert_eq!(answer.status(), 400, "{request:?}");
        client.expect_end();
    }
    let whole = a.requests().into_iter().filter(|seen| seen.target() == "/smuggled");
    assert_eq!(whole.count(), 0);
    assert_eq!(client(proxy.address()).get("/").text(), "a", "others are served");
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n";

fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: test\r\n{headers}\r\n{body}{SMUGGLED}")
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    refused(&[
        &post("content-length: 4\r\ncontent-length: 5\r\n", "abcd"),
        &post("content-length: 4, 5\r\n", "abcd"),
        &post("content-length: +4\r\n", "abcd"),
        &post("content-length: 0x4\r\n", "abcd"),
        &post("content-length: -1\r\n", ""),
        &post("content-length: 18446744073709551617\r\n", "a"),
        &post("content-length:\r\n", ""),
    ]);
}

#[test]
fn encodings_that_can_be_read_in_two_ways_are_refused() {
    refused(&[
        &post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
        &post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"),
        &post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        &format!(
            "POST / HTTP/1.0\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
        ),
    ]);
}

#[test]
fn malformed_lines_are_refused() {
    refused(&[
        &format!("GET / HTTP/1.1\r\nhost: test\r\nx: 1\r\n folded: 2\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\r\nhost: test\r\nname with space: 1\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\r\nhost: test\r\nx : 1\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\r\nhost: test\r\n: nameless\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\r\nhost: test\r\nx: a\0b\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\r\nhost: test\r\nx: a\rb\r\n\r\n{SMUGGLED}"),
        &format!("GET /a b HTTP/1.1\r\nhost: test\r\n\r\n{SMUGGLED}"),
        &format!("GET / HTTP/1.1\nhost: test\n\n{SMUGGLED}"),
        &format!("GET / HTTP/3.7\r\nhost: test\r\n\r\n{SMUGGLED}"),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}",
    ]);
}

#[test]
fn broken_chunks_are_refused() {
    refused(&[
        &post("transfer-encoding: chunked\r\n", "g\r\nabcd\r\n0\r\n\r\n"),
        &post("transfer-encoding: chunked\r\n", "-4\r\nabcd\r\n0\r\n\r\n"),
        &post("transfer-encoding: chunked\r\n", "4\r\nabcdX\r\n0\r\n\r\n"),
        &post("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\nabcd\r\n0\r\n\r\n"),
        &post("transfer-encoding: chunked\r\n", "4\nabcd\n0\n\n"),
    ]);
}

#[test]
fn heads_beyond_their_bounds_are_refused() {
    let long = format!("GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", "x: 1\r\n".repeat(150));
    refused(&[&long, &many]);
}

#[test]
fn the_log_shows_what_was_no_request_as_such() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.send("rubbish\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    let line = proxy.exchange("<BADREQ>");
    assert_eq!((line.server.as_str(), line.status, line.state.as_str()), ("web/<NOSRV>", 400, "PR--"));
}
