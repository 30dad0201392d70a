//! What is sent a second time, and what is not: each method, each moment at which a server can go away, each way to go.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::http2::frame;
use super::kit::{Answer, Client, Next, Origin, PATIENCE, Proxy, Setup, client, get, origin, proxy};

/// Methods, and whether a request may come twice (RFC 9110, section 9.2.2).
const METHODS: [(&str, bool); 9] = [
    ("GET", true),
    ("HEAD", true),
    ("OPTIONS", true),
    ("TRACE", true),
    ("PUT", true),
    ("DELETE", true),
    ("POST", false),
    ("PATCH", false),
    ("LOCK", false),
];

/// When the server goes away, and whether not a byte of an answer has come by then.
const MOMENTS: [(&str, bool); 5] =
    [("unread", true), ("taken", true), ("hint", false), ("half", false), ("body", false)];

/// How it goes.
const WAYS: [&str; 2] = ["end", "reset"];

fn cases() -> impl Iterator<Item = (&'static str, bool, &'static str, bool, &'static str)> {
    METHODS.into_iter().flat_map(|(method, idempotent)| {
        MOMENTS.into_iter().flat_map(move |(moment, silent)| {
            WAYS.into_iter().map(move |way| (method, idempotent, moment, silent, way))
        })
    })
}

fn path(method: &str, moment: &str, way: &str) -> String {
    format!("/{method}/{moment}/{way}")
}

/// A server that goes away under the first request for each path, and answers the second well.
fn leaving() -> Origin {
    cases()
        .fold(origin("a"), |builder, (method, _, moment, _, way)| {
            let seen = AtomicUsize::new(0);
            builder.script(&path(method, moment, way), move |request, wire| {
                if seen.fetch_add(1, SeqCst) > 0 {
                    return Answer::new(200, "again").send(request, wire);
                }
                if moment != "unread" {
                    wire.request_body(request)?;
                }
                match moment {
                    "hint" => wire.write("HTTP/1.1 103 Early Hints\r\n\r\n")?,
                    "half" => wire.write("HTTP/1.1 200 OK\r\ncontent-le")?,
                    "body" => wire.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?,
                    _ => {}
                }
                if way == "reset" {
                    wire.reset();
                }
                Ok(Next::Close)
            })
        })
        .start()
}

fn ask(client: &mut Client, method: &str, path: &str) {
    let body = if matches!(method, "PUT" | "POST" | "PATCH" | "LOCK") { "hello" } else { "" };
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{length}\r\n{body}"));
}

/// The status of the answer, or nothing where none came.
fn status(client: &mut Client) -> u16 {
    loop {
        match client.wire.head() {
            Ok(Some(head)) if head.status() < 200 => {}
            Ok(Some(head)) => return head.status(),
            Ok(None) | Err(_) => return 0,
        }
    }
}

fn times(origin: &Origin, path: &str) -> usize {
    origin.requests().iter().filter(|request| request.target() == path).count()
}

fn single() -> Setup {
    proxy().global("nbthread = 1")
}

#[test]
fn a_request_comes_again_only_where_it_may_and_nothing_of_an_answer_has_come() {
    for reuse in ["never", "safe", "aggressive", "always"] {
        let a = leaving();
        let proxy = single().backend(&format!("http_reuse = \"{reuse}\"")).server(&a).start();
        for (method, idempotent, moment, silent, way) in cases() {
            let (path, case) = (path(method, moment, way), format!("{reuse}: {method}, {moment}, {way}"));
            let mut asking = client(proxy.address());
            assert_eq!(asking.get("/").text(), "a");
            ask(&mut asking, method, &path);
            let again = idempotent && silent;
            let expected = if again || moment == "body" { 200 } else { 502 };
            assert_eq!(status(&mut asking), expected, "{case}");
            assert_eq!(times(&a, &path), if again { 2 } else { 1 }, "{case}");
        }
        for (method, idempotent, moment, silent, way) in cases() {
            let line = proxy.exchange(&path(method, moment, way));
            let state = match moment {
                _ if idempotent && silent => "----",
                // The answer to HEAD has no body that could break off.
                "body" if method == "HEAD" => "----",
                "body" => "SD--",
                _ => "SH--",
            };
            assert_eq!((&*line.state, &*line.retries), (state, "0"), "{reuse}: {}", line.line);
        }
    }
}

#[test]
fn on_a_new_connection_nothing_comes_again() {
    let a = leaving();
    let proxy = single().global("tune = { pool_max_idle = 0 }").server(&a).start();
    for (method, _, moment, _, way) in cases() {
        let path = path(method, moment, way);
        let mut asking = client(proxy.address());
        ask(&mut asking, method, &path);
        assert_eq!(status(&mut asking), if moment == "body" { 200 } else { 502 }, "{path}");
        assert_eq!(times(&a, &path), 1, "{path}");
    }
}

#[test]
fn words_of_retry_on_repeat_what_may_come_twice_and_all_methods_where_that_is_said() {
    for (methods, all) in [("idempotent", false), ("all", true)] {
        let a = leaving();
        let backend = format!(
            "retries = 1\nretry_on = [\"empty-response\", \"junk-response\"]\nretry_methods = \"{methods}\""
        );
        let proxy = single().backend(&backend).server(&a).start();
        for (method, idempotent, moment, _, way) in cases().filter(|(_, _, moment, ..)| *moment != "body") {
            // The first request of its client: what must not come twice has a new connection.
            let path = path(method, moment, way);
            let mut asking = client(proxy.address());
            ask(&mut asking, method, &path);
            let again = idempotent || all;
            assert_eq!(status(&mut asking), if again { 200 } else { 502 }, "{methods}: {path}");
            assert_eq!(times(&a, &path), if again { 2 } else { 1 }, "{methods}: {path}");
        }
    }
}

#[test]
fn what_is_not_wanted_again_is_not_sent_again_by_a_budget_or_another_server_either() {
    let (a, b) = (leaving(), origin("b").start());
    let backend = "retries = 3\nredispatch = true\nretry_on = \"all-retryable-errors\"\n\
                   retry_budget = { percent = 1000, min_per_second = 1000 }\n\
                   balance = { policy = \"first\", maxconn = 9 }";
    let proxy = single().backend(backend).server(&a).server(&b).start();
    for (method, _, moment, _, way) in
        cases().filter(|(_, idempotent, moment, ..)| !*idempotent && *moment != "body")
    {
        let path = path(method, moment, way);
        let mut asking = client(proxy.address());
        assert_eq!(asking.get("/").text(), "a");
        ask(&mut asking, method, &path);
        assert_eq!(status(&mut asking), 502, "{path}");
        assert_eq!((times(&a, &path), times(&b, &path)), (1, 0), "{path}");
    }
}

#[test]
fn a_connection_that_cannot_be_made_is_tried_again_with_any_method() {
    let mut a = origin("a").start();
    let proxy = single().timeout("connect", "10ms").backend("retries = 100").server(&a).start();
    for (method, _) in METHODS {
        a.kill();
        let mut asking = client(proxy.address());
        ask(&mut asking, method, &format!("/{method}"));
        a.bring_back();
        assert_eq!(status(&mut asking), 200, "{method}");
        assert_eq!(times(&a, &format!("/{method}")), 1, "{method}");
    }
}

/// Sends a request and takes its answer.
fn served(client: &mut Client, method: &str) {
    ask(client, method, "/");
    assert_eq!(client.response_to(method).status(), 200);
}

#[test]
fn which_requests_may_have_a_connection_that_has_idled() {
    // What another client's connection has served; then who asks for what: its connections in the end, of the first
    // client's and new ones.
    let cases: [(&str, &[&str], &[&str], usize); 10] = [
        ("safe", &["GET"], &["GET"], 1),
        ("safe", &["GET"], &["POST"], 2),
        ("safe", &["GET", "GET"], &["POST"], 2),
        ("always", &["GET"], &["POST"], 1),
        ("aggressive", &["GET"], &["POST"], 2),
        ("aggressive", &["GET", "GET"], &["POST"], 1),
        ("aggressive", &["GET"], &["GET"], 1),
        ("never", &["GET", "GET"], &["GET"], 2),
        ("never", &["GET", "GET"], &["GET", "POST", "GET"], 2),
        ("always", &["POST", "GET"], &["PUT", "POST"], 1),
    ];
    for (reuse, first, second, connections) in cases {
        let a = origin("a").start();
        let proxy = single().backend(&format!("http_reuse = \"{reuse}\"")).server(&a).start();
        let (mut one, mut other) = (client(proxy.address()), client(proxy.address()));
        first.iter().for_each(|method| served(&mut one, method));
        second.iter().for_each(|method| served(&mut other, method));
        assert_eq!(a.connections(), connections, "{reuse}: {first:?}, {second:?}");
    }
}

#[test]
fn a_body_that_is_still_to_come_has_a_new_connection() {
    let a = origin("a").start();
    let proxy = single().backend("http_reuse = \"always\"").server(&a).start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    let mut asking = client(proxy.address());
    asking.send("PUT /put HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    a.wait_for_requests(2);
    asking.send("a body");
    assert_eq!(asking.response().status(), 200);
    assert_eq!(a.connections(), 2);
}

#[test]
fn a_connection_that_its_server_has_closed_costs_nobody_anything() {
    for reuse in ["never", "safe", "aggressive", "always"] {
        let a = origin("a").start();
        let proxy = single().backend(&format!("http_reuse = \"{reuse}\"")).server(&a).start();
        let mut asking = client(proxy.address());
        for (number, (method, _)) in METHODS.into_iter().enumerate() {
            served(&mut asking, "GET");
            a.cut_connections();
            ask(&mut asking, method, &format!("/{method}"));
            assert_eq!(asking.response_to(method).status(), 200, "{reuse}: {method}");
            assert_eq!(times(&a, &format!("/{method}")), 1, "{reuse}: {method}");
            a.cut_connections();
            assert_eq!(a.requests().len(), 2 * (number + 1), "{reuse}: {method}");
        }
    }
}

/// A server that keeps its connections and closes each at the first byte of a second request, unread: what a server does
/// whose timeout passes at that moment. Counts the requests that it has answered.
fn closing() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, answered) = (socket.expect("a connection"), counted.clone());
            std::thread::spawn(move || {
                let mut came = [0; 4096];
                if socket.read(&mut came).is_ok_and(|count| count > 0) {
                    answered.fetch_add(1, SeqCst);
                    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    let _ = socket.read(&mut came[..1]);
                }
            });
        }
    });
    (address, answered)
}

#[test]
fn a_server_that_closes_as_a_request_comes_fails_no_clients_first_request() {
    let (address, answered) = closing();
    let proxy = single().server_at("a", &address, "").start();
    for (number, (method, _)) in METHODS.into_iter().chain(METHODS).enumerate() {
        let mut asking = client(proxy.address());
        ask(&mut asking, method, "/");
        assert_eq!(status(&mut asking), 200, "{method}");
        assert_eq!(answered.load(SeqCst), number + 1, "{method}");
    }
}

/// A server of HTTP/2 by hand. It answers the first request of each connection, notes every other, and does with it as
/// it is told.
struct Http2 {
    address: String,
    connections: Arc<AtomicUsize>,
    /// Requests that it has taken whole, by the number of their connection.
    taken: Arc<Mutex<Vec<usize>>>,
    _thread: JoinHandle<()>,
}

/// What becomes of a second request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    /// The connection ends, or is reset.
    End,
    Reset,
    /// The server says that it looks at no further request, or that it looked at this one, and the connection ends.
    LeaveBefore,
    LeaveAfter,
    /// It refuses the request, or gives it up.
    Refuse,
    GiveUp,
}

fn http2(second: Second) -> Http2 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (connections, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, noted) = (connections.clone(), taken.clone());
    let thread = std::thread::spawn(move || {
        for socket in listener.incoming() {
            let number = counted.fetch_add(1, SeqCst);
            let (socket, noted) = (socket.expect("a connection"), noted.clone());
            std::thread::spawn(move || serve_http2(socket, number, &noted, second));
        }
    });
    Http2 { address, connections, taken, _thread: thread }
}

/// Reads frames up to one that ends its stream, and says which.
fn request(socket: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        socket.read_exact(&mut vec![0; length]).ok()?;
        if head[3] <= 1 && head[4] & 1 != 0 {
            return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

fn serve_http2(mut socket: TcpStream, number: usize, taken: &Mutex<Vec<usize>>, second: Second) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.set_nodelay(true).expect("a socket");
    socket.write_all(&frame(4, 0, 0, b"")).expect("a socket");
    let mut preface = [0; 24];
    if socket.read_exact(&mut preface).is_err() {
        return;
    }
    let mut requests = 0;
    while let Some(stream) = request(&mut socket) {
        taken.lock().expect("no panic").push(number);
        requests += 1;
        let leave = |last: u32| frame(7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
        let sent = match second {
            _ if number > 0 || requests != 2 => frame(1, 5, stream, b"\x88"),
            Second::End => return,
            Second::Reset => {
                let _ = socket2::SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO));
                return;
            }
            Second::LeaveBefore => leave(1),
            Second::LeaveAfter => {
                let _ = socket.write_all(&leave(3));
                return;
            }
            Second::Refuse => frame(3, 0, stream, &7_u32.to_be_bytes()),
            Second::GiveUp => frame(3, 0, stream, &2_u32.to_be_bytes()),
        };
        if socket.write_all(&sent).is_err() {
            return;
        }
    }
}

fn posted_to_http2(proxy: &Proxy, method: &str) -> u16 {
    let mut asking = client(proxy.address());
    ask(&mut asking, method, "/second");
    status(&mut asking)
}

#[test]
fn over_http2_a_request_comes_again_where_it_was_not_looked_at_or_may_come_twice() {
    use Second::*;
    for second in [End, Reset, LeaveBefore, LeaveAfter, Refuse, GiveUp] {
        for (method, idempotent) in METHODS {
            let server = http2(second);
            let proxy = single().server_at("a", &server.address, "proto = \"h2\"").start();
            assert_eq!(get(proxy.address(), "/first").status(), 200);
            let unseen = matches!(second, LeaveBefore | Refuse);
            let again = unseen || idempotent && second != GiveUp;
            let case = format!("{second:?}: {method}");
            assert_eq!(posted_to_http2(&proxy, method), if again { 200 } else { 502 }, "{case}");
            let taken = server.taken.lock().expect("no panic").clone();
            assert_eq!(taken, if again { vec![0, 0, 1] } else { vec![0, 0] }, "{case}");
            assert_eq!(proxy.exchange("/second").retries, "0", "{case}");
        }
    }
}

#[test]
fn with_never_clients_share_no_connection_of_http2_and_each_keeps_its_own() {
    let server = http2(Second::Refuse);
    let shared = single().server_at("a", &server.address, "proto = \"h2\"");
    let proxy = shared.backend("http_reuse = \"never\"").start();
    let (mut one, mut other) = (client(proxy.address()), client(proxy.address()));
    assert_eq!(one.get("/").status(), 200);
    assert_eq!(other.get("/").status(), 200);
    assert_eq!(server.connections.load(SeqCst), 2);
    assert_eq!(other.get("/").status(), 200);
    assert_eq!(server.connections.load(SeqCst), 2);
}
