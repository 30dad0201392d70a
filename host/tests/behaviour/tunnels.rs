//! After an upgrade, or CONNECT, bytes pass both ways and nobody looks at them.

use std::io;

use super::kit::{Client, Message, Next, Origin, Setup, Wire, client, origin, proxy};

/// Sends back what comes, up to the end.
fn echo(head: &'static str) -> impl Fn(&mut Message, &mut Wire) -> io::Result<Next> {
    move |_, wire| {
        wire.write(head)?;
        loop {
            let byte = wire.exactly(1)?;
            wire.write(byte)?;
        }
    }
}

fn echoing() -> Origin {
    origin("a")
        .script(
            "/socket",
            echo("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        )
        .script("db.test:5432", echo("HTTP/1.1 200 OK\r\n\r\n"))
        .start()
}

fn upgrade(client: &mut Client) {
    let headers = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")];
    client.ask("GET", "/socket", &headers);
    let answer = client.head();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert!(answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
}

fn exchange_words(client: &mut Client) {
    for word in ["hello", "\0\r\n\r\n\u{ff}", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(word);
        assert_eq!(client.wire.exactly(word.len()).expect("an echo"), word.as_bytes());
    }
}

fn setup(a: &Origin) -> Setup {
    proxy().server(a)
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    let a = echoing();
    let proxy = setup(&a).start();
    let mut client = client(proxy.address());
    upgrade(&mut client);
    exchange_words(&mut client);
    let seen = a.requests().remove(0);
    assert_eq!((seen.header("connection"), seen.header("upgrade")), (Some("Upgrade"), Some("websocket")));
    client.wire.end();
    client.expect_end();
    assert_eq!(proxy.exchange("/socket").status, 101);
}

#[test]
fn connect_opens_a_tunnel_where_the_server_agrees() {
    let a = echoing();
    let proxy = setup(&a).start();
    let mut client = client(proxy.address());
    client.send("CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n");
    assert_eq!(client.head().status(), 200);
    exchange_words(&mut client);
}

#[test]
fn a_tunnel_outlives_the_other_timeouts_and_ends_by_its_own() {
    let a = echoing();
    let setup = setup(&a).timeout("client", "100ms").timeout("server", "100ms").timeout("tunnel", "1s");
    let proxy = setup.start();
    let mut client = client(proxy.address());
    upgrade(&mut client);
    exchange_words(&mut client);
    let since = std::time::Instant::now();
    client.expect_end();
    assert!(since.elapsed() > std::time::Duration::from_millis(500), "{:?}", since.elapsed());
    assert_eq!(proxy.exchange("/socket").state, "cD--");
}
