//! Answers that come before their requests have ended: a client that sends everything before it reads gets them all the
//! same, and whoever is heard out for that keeps nobody else waiting.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rustls::version::{TLS12, TLS13};

use super::http2::{frame, http2};
use super::kit::{
    Authority, Client, Clients, Directory, Origin, PATIENCE, Proxy, Setup, Signal, client, origin, proxy,
    until,
};

/// More than sockets on the way can hold.
const MUCH: usize = 16 << 20;

/// A frontend with an answer of its own for each path, and with this.
fn answering(app: &Origin, with: &str) -> Setup {
    let large = "x".repeat(1 << 20);
    let large = format!("when = {{ path = \"/large\" }}\nrespond = {{ status = 400, body = \"{large}\" }}");
    let rules = [
        "when = { path = \"/deny\" }\ndeny = 403",
        "when = { path = \"/tarpit\" }\ntarpit = \"10ms\"",
        "when = { path = \"/redirect\" }\nredirect = { location = \"/elsewhere\" }",
        &large,
        "when = { path = \"/gone\" }\nuse_backend = \"gone\"",
    ];
    let gone = "[backends.gone]\nretries = 0\nservers = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n";
    rules.iter().fold(proxy().server(app).more(gone).frontend(with), |setup, rule| {
        setup.frontend(&format!("[[frontends.web.rules]]\n{rule}"))
    })
}

/// Listens on TCP, by TLS, and at a Unix socket.
fn everywhere(setup: Setup) -> (Proxy, Clients) {
    let authority = Authority::new();
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    let socket = directory.write("lb.sock", "");
    std::fs::remove_file(&socket).expect("a file");
    let setup = setup
        .bind("{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\" } }")
        .bind(&format!("unix@{}", socket.display()));
    (setup.start_in(directory), authority.clients())
}

/// Sends a request and all of its body; then the answer is to be there.
#[track_caller]
fn upload(client: &mut Client, path: &str, headers: &str) -> u16 {
    client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {MUCH}\r\n\r\n"));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..MUCH >> 20 {
        client.send(&piece);
    }
    let answer = client.response();
    client.expect_end();
    answer.status()
}

#[test]
fn answers_of_its_own_reach_a_client_that_sends_everything_before_it_reads() {
    let app = origin("app").start();
    let limits = "limits = [{ requests = 1, per = \"1h\", key = \"header:x-limited\" }]";
    let (proxy, clients) = everywhere(answering(&app, limits));
    assert_eq!(client(&proxy.addresses[0]).get_with("/", &[("x-limited", "1")]).status(), 200);
    for (path, headers, status) in [
        ("/deny", "", 403),
        ("/tarpit", "", 500),
        ("/redirect", "", 302),
        ("/large", "", 400),
        ("/gone", "", 503),
        ("/", "x-limited: 1\r\n", 429),
        ("/", "no header\r\n", 400),
    ] {
        for address in &proxy.addresses {
            let mut client = if address.starts_with("127.0.0.2") {
                clients.connect(address, "a.example")
            } else {
                client(address)
            };
            assert_eq!(upload(&mut client, path, headers), status, "{path} {headers} {address}");
        }
    }
    assert!(app.requests().len() == 1, "none of them reached the server");
}

#[test]
fn a_body_that_is_on_its_way_when_the_answer_goes_out_does_not_cost_the_client_the_answer() {
    let app = origin("app").start();
    let (proxy, clients) = everywhere(answering(&app, ""));
    for address in &proxy.addresses {
        let mut client = if address.starts_with("127.0.0.2") {
            clients.connect(address, "a.example")
        } else {
            client(address)
        };
        let lines = proxy.exchanges().len();
        client.send("POST /deny HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n");
        until("it is answered", || (proxy.exchanges().len() > lines).then_some(()));
        for _ in 0..4 {
            client.send(vec![b'x'; 1_000_000]);
        }
        assert_eq!(client.response().status(), 403, "{address}");
        client.expect_end();
    }
}

#[test]
fn a_body_that_turns_out_malformed_is_answered_though_more_of_it_comes() {
    let app = origin("app").silent("/").start();
    let proxy = proxy().server(&app).start();
    let mut client = client(proxy.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nwhat?\r\n");
    for _ in 0..MUCH >> 20 {
        client.send(vec![b'x'; 1 << 20]);
    }
    assert_eq!(client.response().status(), 400);
    client.expect_end();
}

#[test]
fn a_servers_early_answer_reaches_a_client_that_sends_everything_before_it_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut head = [0; 16];
            socket.read_exact(&mut head).expect("a request");
            let answer = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!";
            socket.write_all(answer.as_bytes()).expect("it takes the answer");
            // It closes on what it has not read: a reset.
        }
    });
    let setup = proxy().backend("retries = 0").server_at("s", &address, "");
    let (proxy, clients) = everywhere(setup);
    for address in &proxy.addresses {
        let mut client = if address.starts_with("127.0.0.2") {
            clients.connect(address, "a.example")
        } else {
            client(address)
        };
        assert_eq!(upload(&mut client, "/", ""), 413, "{address}");
    }
}

#[test]
fn who_is_heard_out_holds_no_place_under_any_bound() {
    let app = origin("app").start();
    for bound in ["maxconn = 1", "limits = [{ connections = 1 }]"] {
        let proxy = answering(&app, bound).start();
        let mut first = client(proxy.address());
        first.send("POST /deny HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n");
        assert_eq!(first.response().status(), 403);
        first.expect_end();
        // It does not close on its side, and is heard out meanwhile.
        let began = Instant::now();
        until("others are let in", || {
            let mut other = TcpStream::connect(proxy.address()).expect("a connection");
            other.set_read_timeout(Some(PATIENCE)).expect("a socket");
            other.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a request");
            let mut answer = Vec::new();
            let _ = other.read_to_end(&mut answer);
            answer.starts_with(b"HTTP/1.1 200").then_some(())
        });
        assert!(began.elapsed() < Duration::from_secs(4), "{bound}: {:?}", began.elapsed());
        first.send("nine more");
    }
}

#[test]
fn a_client_that_sends_without_end_does_not_hold_up_the_end_of_the_process() {
    let app = origin("app").start();
    let mut proxy = answering(&app, "").start();
    let mut socket = TcpStream::connect(proxy.address()).expect("a connection");
    socket
        .write_all(b"POST /deny HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999999\r\n\r\n")
        .expect("a head");
    let sending = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 16];
        while socket.write_all(&piece).is_ok() {}
    });
    assert_eq!(proxy.exchange("/deny").status, 403);
    let began = Instant::now();
    proxy.process.signal(Signal::Terminate);
    assert_eq!(proxy.process.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    sending.join().expect("no panic");
}

#[test]
fn over_http2_an_upload_gets_its_answer_and_others_their_window() {
    let app = origin("app").start();
    let proxy = answering(&app, "").start();
    let mut client = http2(&proxy);
    // Together far more than the window of the connection.
    for _ in 0..20 {
        let body = Full::new(Bytes::from(vec![b'x'; 1 << 20])).boxed();
        let request = client.request(hyper::Method::POST, "/deny").body(body).expect("a request");
        let (status, _, body, _) = client.response(request).expect("an answer");
        assert!(status == 403 && body.ends_with(b"</html>\n"), "{status}");
    }
    let body = Full::new(Bytes::from(vec![b'x'; 1 << 20])).boxed();
    let request = client.request(hyper::Method::POST, "/").body(body).expect("a request");
    assert_eq!(client.response(request).expect("an answer").0, 200);
}

#[test]
fn over_http2_the_rest_of_an_upload_is_declined_without_reproach() {
    let app = origin("app").start();
    let proxy = answering(&app, "").start();
    let mut socket = TcpStream::connect(proxy.address()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let head = frame(1, 4, 1, b"\x83\x86\x04\x05/deny\x01\x01a");
    let begun = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..], &head].concat();
    socket.write_all(&begun).expect("a request");
    socket.write_all(&frame(0, 0, 1, &[b'x'; 10_000])).expect("a body");
    let (mut came, mut at) = (Vec::new(), 0);
    // Frames of the stream: type, whether they end it, what is in them.
    let mut seen: Vec<(u8, u8, Vec<u8>)> = Vec::new();
    while seen.last().is_none_or(|(kind, ..)| *kind != 3) {
        let mut bytes = [0; 4096];
        let count = socket.read(&mut bytes).expect("no error");
        assert!(count > 0, "it ended after {seen:?}");
        came.extend_from_slice(&bytes[..count]);
        while let Some(head) = came.get(at..at + 9) {
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some(payload) = came.get(at + 9..at + 9 + length) else { break };
            if head[8] == 1 {
                seen.push((head[3], head[4] & 1, payload.to_vec()));
            }
            at += 9 + length;
        }
    }
    // A head, the whole page, and NO_ERROR behind it (RFC 9113, section 8.1).
    assert_eq!(seen.first().map(|(kind, end, _)| (*kind, *end)), Some((1, 0)), "{seen:?}");
    assert!(seen.iter().any(|(kind, end, _)| (*kind, *end) == (0, 1)), "{seen:?}");
    assert_eq!(seen.last(), Some(&(3, 0, vec![0; 4])));
}

#[test]
fn a_connection_of_http2_that_ends_in_an_error_says_why_to_a_client_that_goes_on_sending() {
    let app = origin("app").start();
    let (proxy, clients) = everywhere(proxy().server(&app));
    let mut client = client(proxy.address());
    // Data on a stream that was never opened.
    client.send(
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..], &frame(0, 0, 1, b"x")].concat(),
    );
    for _ in 0..MUCH >> 20 {
        client.send(vec![b'x'; 1 << 20]);
    }
    let came = client.wire.read_to_end().expect("an end in order");
    assert!(came.windows(5).any(|window| window == b"\x07\0\0\0\0"), "no GOAWAY in {came:?}");
    drop(clients);
}

#[test]
fn a_client_that_is_not_trusted_hears_why_though_it_goes_on_sending() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let app = origin("app").start();
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    directory.write("ca.pem", authority.pem());
    let bind = "{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\", ca_file = \"ca.pem\", verify = \"required\" } }";
    let proxy = proxy().only_bind(bind).server(&app).start_in(directory);
    let shown = stranger.sign(&["client"]);
    let clients = authority.clients_of(&[&TLS13, &TLS12], Some(&shown));
    let mut client = clients.try_connect(proxy.address(), "a.example").expect("as far as the client knows");
    for _ in 0..4 {
        client.send(vec![b'x'; 1 << 20]);
    }
    let error = client.wire.head().expect_err("no answer");
    assert!(error.to_string().contains("alert"), "{error}");
}
