//! Servers that authenticate connections: such a connection is its client's alone.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::Method;

use super::http2::{empty, frame, http2};
use super::kit::{Answer, Client, Origin, PATIENCE, Setup, client, get, origin, proxy, until};

/// How a server asks: by status, header, the client's header, and scheme.
const WORDS: [(u16, &str, &str, &str); 4] = [
    (401, "www-authenticate", "authorization", "NTLM"),
    (401, "WWW-Authenticate", "Authorization", "Negotiate"),
    (407, "proxy-authenticate", "proxy-authorization", "NTLM"),
    (407, "Proxy-Authenticate", "Proxy-Authorization", "Negotiate"),
];

/// A server that knows who a connection is of once its client has answered the challenge that came by it. To each it
/// says its own name and the client's; `/open` is for everybody, `/basic` asks for what comes with each request.
fn authenticating(name: &'static str, words: (u16, &'static str, &'static str, &'static str)) -> Origin {
    let (status, asking, credentials, scheme) = words;
    let users: Mutex<HashMap<String, String>> = Mutex::default();
    let ask = move |token: &str| {
        Answer::new(status, "who?")
            .header(asking, "Basic realm=\"app, staff\"")
            .header(asking, format!("{scheme} {token}").trim())
    };
    let basic = Answer::new(401, "who?").header("www-authenticate", "Basic realm=\"app\"");
    origin(name)
        .route("/basic", basic)
        .script("/", move |request, wire| {
            let connection = wire.peer();
            let mut users = users.lock().expect("no panic");
            let sent = request.header(credentials).and_then(|value| value.split(' ').nth(1));
            let known = users.get(&connection).cloned();
            let answer = match (sent.map(str::to_owned), known) {
                (Some(token), _) if token == "hello" => {
                    users.insert(connection, String::new());
                    ask("challenge")
                }
                (Some(user), known) if known.is_some() || user.starts_with("ticket-") => {
                    let user = user.trim_start_matches("ticket-").to_owned();
                    users.insert(connection, user.clone());
                    Answer::new(200, format!("{name} {user}"))
                }
                (None, Some(user)) if !user.is_empty() => Answer::new(200, format!("{name} {user}")),
                _ => ask(""),
            };
            drop(users);
            answer.send(request, wire)
        })
        .start()
}

fn single() -> Setup {
    proxy().global("nbthread = 1")
}

/// Goes through the handshake of three requests.
fn sign_in(client: &mut Client, words: (u16, &str, &str, &str), user: &str) -> String {
    let (status, asking, credentials, scheme) = words;
    assert_eq!(client.get("/").status(), status);
    let challenge = client.get_with("/", &[(credentials, &format!("{scheme} hello"))]);
    assert_eq!(challenge.all(asking).last(), Some(&&*format!("{scheme} challenge")));
    let answer = client.get_with("/", &[(credentials, &format!("{scheme} {user}"))]);
    assert_eq!(answer.status(), 200);
    answer.text()
}

#[test]
fn a_connection_that_was_asked_for_credentials_is_its_clients_from_then_on() {
    for words in WORDS {
        let a = authenticating("a", words);
        let proxy = single().server(&a).start();
        let (mut alice, mut bob) = (client(proxy.address()), client(proxy.address()));
        assert_eq!(sign_in(&mut alice, words, "alice"), "a alice");
        assert_eq!(a.connections(), 1, "{words:?}");
        for _ in 0..3 {
            assert_eq!(bob.get("/").status(), words.0, "{words:?}");
            assert_eq!(get(proxy.address(), "/").status(), words.0, "{words:?}");
            assert_eq!(alice.get("/").text(), "a alice", "{words:?}");
        }
        assert_eq!(sign_in(&mut bob, words, "bob"), "a bob");
        alice.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(alice.response().text(), "a alice");
        alice.send("POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
        alice.send("0\r\n\r\n");
        assert_eq!(alice.response().text(), "a alice");
        assert_eq!(bob.get("/").text(), "a bob");
    }
}

#[test]
fn credentials_that_come_unasked_make_a_connection_the_clients_too() {
    for (status, _, credentials, scheme) in WORDS {
        let a = authenticating("a", (status, "www-authenticate", credentials, scheme));
        let proxy = single().server(&a).start();
        assert_eq!(get(proxy.address(), "/open").text(), "a");
        let mut alice = client(proxy.address());
        let answer = alice.get_with("/", &[(credentials, &format!("{scheme} ticket-alice"))]);
        assert_eq!(answer.text(), "a alice");
        assert_eq!(get(proxy.address(), "/").status(), status);
        assert_eq!(alice.get("/").text(), "a alice");
    }
}

#[test]
fn a_clients_own_connection_ends_with_the_client() {
    let a = authenticating("a", WORDS[0]);
    let proxy = single().global("tune = { pool_idle_timeout = \"1d\" }").server(&a).start();
    let mut alice = client(proxy.address());
    sign_in(&mut alice, WORDS[0], "alice");
    assert_eq!(a.ended(), 0);
    drop(alice);
    until("its connection has ended", || (a.ended() == 1).then_some(()));
    assert_eq!(get(proxy.address(), "/").status(), 401);
}

#[test]
fn credentials_of_each_request_bind_no_connection() {
    let a = authenticating("a", WORDS[0]);
    let proxy = single().server(&a).start();
    for _ in 0..3 {
        assert_eq!(get(proxy.address(), "/basic").status(), 401);
        let mut asking = client(proxy.address());
        assert_eq!(asking.get_with("/open", &[("authorization", "Basic YTpi")]).text(), "a");
    }
    assert_eq!(a.connections(), 1);
}

#[test]
fn a_client_stays_with_the_server_that_knows_its_connection_until_that_is_down() {
    let (mut a, b) = (authenticating("a", WORDS[0]), authenticating("b", WORDS[0]));
    let proxy = single().checked().server(&a).server(&b).start();
    let mut alice = client(proxy.address());
    let known = sign_in(&mut alice, WORDS[0], "alice");
    assert_eq!(known, "a alice");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/open").status(), 200);
        assert_eq!(alice.get("/").text(), known);
    }
    assert!(b.requests().iter().any(|request| request.target() == "/open"), "others take turns");
    a.kill();
    proxy.log.wait("server app/a is DOWN");
    assert_eq!(sign_in(&mut alice, WORDS[0], "alice"), "b alice");
}

#[test]
fn a_client_keeps_its_own_connection_across_a_reload() {
    let (a, b) = (authenticating("a", WORDS[1]), authenticating("b", WORDS[1]));
    let setup = single().server(&a);
    let mut proxy = setup.start();
    let mut alice = client(proxy.address());
    sign_in(&mut alice, WORDS[1], "alice");
    let before = a.connections();
    proxy.reload(&setup.clone().server(&b).backend("retries = 1\nbalance = \"leastconn\""));
    for _ in 0..4 {
        assert_eq!(alice.get("/").text(), "a alice");
    }
    // Another server, as far as weights go.
    let lines = "weight = 7\nmaxconn = 50";
    proxy.reload(&single().server(&b).server_with(&a, lines).backend("http_reuse = \"aggressive\""));
    for _ in 0..4 {
        assert_eq!(alice.get("/").text(), "a alice");
    }
    assert_eq!(a.connections(), before);
    let statuses: Vec<u16> = (0..4).map(|_| get(proxy.address(), "/").status()).collect();
    assert_eq!(statuses, [401; 4]);
}

#[test]
fn an_own_connection_that_its_server_closes_costs_the_client_another_handshake_and_no_more() {
    let a = authenticating("a", WORDS[0]);
    let proxy = single().server(&a).start();
    let mut alice = client(proxy.address());
    sign_in(&mut alice, WORDS[0], "alice");
    a.cut_connections();
    assert_eq!(sign_in(&mut alice, WORDS[0], "alice"), "a alice");
    assert_eq!(a.connections(), 2);
}

#[test]
fn streams_of_an_http2_client_share_what_is_the_clients_own() {
    let a = authenticating("a", WORDS[0]);
    let proxy = single().server(&a).start();
    let (mut alice, mut bob) = (http2(&proxy), http2(&proxy));
    for (token, status) in [("", 401), ("NTLM hello", 401), ("NTLM alice", 200)] {
        let request = alice.request(Method::GET, "/").header("authorization", token);
        let answer = alice.response(request.body(empty()).expect("a request")).expect("an answer");
        assert_eq!(answer.0, status, "{token}");
    }
    assert_eq!(bob.get("/").0, 401);
    assert_eq!(alice.get("/").2, Bytes::from_static(b"a alice"));
    assert_eq!(bob.get("/").0, 401);
    assert_eq!(get(proxy.address(), "/").status(), 401);
}

/// A server of HTTP/2 by hand, which asks for credentials on each connection once, and from then on knows it. Notes the
/// connection of each request.
fn authenticating_http2() -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let (seen, count) = (noted.clone(), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, seen, number) =
                (socket.expect("a connection"), seen.clone(), count.fetch_add(1, SeqCst));
            std::thread::spawn(move || serve_http2(socket, number, &seen));
        }
    });
    (address, noted)
}

fn serve_http2(mut socket: TcpStream, number: usize, seen: &Mutex<Vec<usize>>) -> Option<()> {
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_nodelay(true).ok()?;
    socket.write_all(&frame(4, 0, 0, b"")).ok()?;
    socket.read_exact(&mut [0; 24]).ok()?;
    let mut asked = false;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        socket.read_exact(&mut vec![0; length]).ok()?;
        if head[3] > 1 || head[4] & 1 == 0 {
            continue;
        }
        seen.lock().expect("no panic").push(number);
        // `:status: 401` with `www-authenticate: Negotiate`, both with names of the static table; or `:status: 200`.
        let block: &[u8] = if asked { b"\x88" } else { b"\x08\x03401\x0f\x2e\x09Negotiate" };
        asked = true;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        socket.write_all(&frame(1, 5, stream, block)).ok()?;
    }
}

#[test]
fn a_shared_connection_of_http2_that_asks_for_credentials_is_shared_no_more() {
    let (address, seen) = authenticating_http2();
    let proxy = single().server_at("a", &address, "proto = \"h2\"").start();
    let (mut alice, mut bob) = (client(proxy.address()), client(proxy.address()));
    let mut carol = http2(&proxy);
    assert_eq!(alice.get("/").status(), 401);
    assert_eq!(alice.get_with("/", &[("authorization", "Negotiate ticket")]).status(), 200);
    assert_eq!(bob.get("/").status(), 401);
    assert_eq!(carol.get("/").0, 401);
    assert_eq!((alice.get("/").status(), bob.get("/").status(), carol.get("/").0.as_u16()), (200, 200, 200));
    assert_eq!(*seen.lock().expect("no panic"), [0, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn credentials_that_come_unasked_never_go_by_a_shared_connection_of_http2() {
    let (address, seen) = authenticating_http2();
    let proxy = single().server_at("a", &address, "proto = \"h2\"").start();
    let mut alice = client(proxy.address());
    assert_eq!(alice.get_with("/", &[("authorization", "Negotiate ticket")]).status(), 401);
    assert_eq!(get(proxy.address(), "/").status(), 401);
    assert_eq!(alice.get("/").status(), 200);
    assert_eq!(*seen.lock().expect("no panic"), [0, 1, 0]);
}
