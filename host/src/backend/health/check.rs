//! One health check: a connection, and where the backend says so an HTTP request, judged within a budget.
//! It changes nothing but what it returns.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::backend::server::Server;
use crate::config::model::{self, CheckKind, HttpCheck, ServerAddress};

/// Where a check goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To an address and port.
    Tcp(SocketAddr),
    /// To a Unix socket.
    Unix(PathBuf),
}

/// How long a check may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// For the connection, or for all where `answer` is `None`.
    pub connect: Duration,
    /// For the answer, once connected.
    pub answer: Option<Duration>,
}

/// What a check found. Its text is HAProxy's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The server accepted the connection, and no more was asked.
    Layer4Passed,
    /// It answered with a status that passes.
    Layer7Passed(u16),
    /// The connection failed.
    Layer4Problem(String),
    /// No connection came about in time.
    Layer4Timeout,
    /// It answered with a status that does not pass, and this reason phrase.
    Layer7WrongStatus(u16, String),
    /// What it answered is not HTTP, or too long, or breaks off.
    Layer7Invalid(&'static str),
    /// Its answer did not come in time.
    Layer7Timeout,
    /// The connection broke, or could not even be tried.
    SocketError(String),
}

impl Finding {
    /// Whether the check passed.
    pub fn passed(&self) -> bool {
        matches!(self, Finding::Layer4Passed | Finding::Layer7Passed(_))
    }
}

/// The longest response head that is read, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// The most header lines in a response's head.
const HEAD_LINES: usize = 101;

impl Target {
    /// Where a server's checks go; `None` while its name does not resolve.
    pub fn of(server: &Server, check: &model::Check) -> Option<Target> {
        let tcp = |ip, port| Some(Target::Tcp(SocketAddr::new(ip, check.port.unwrap_or(port))));
        match (server.address(), &server.config.address, check.addr, check.port) {
            (_, _, Some(ip), Some(port)) => tcp(ip, port),
            (Some(own), _, other, _) => tcp(other.unwrap_or(own.ip()), own.port()),
            (None, ServerAddress::Unix(path), ..) => Some(Target::Unix(path.clone())),
            (None, ..) => None,
        }
    }
}

impl Budget {
    /// The budget that a backend's timeouts and a server's interval make: with `timeout check` that for the
    /// answer, and for the connection the shorter of `timeout connect` and the interval; without it the
    /// interval for all.
    pub fn of(timeouts: &model::ServerTimeouts, inter: Duration) -> Budget {
        match timeouts.check {
            Some(answer) => Budget {
                connect: timeouts.connect.map_or(inter, |connect| connect.min(inter)),
                answer: Some(answer),
            },
            None => Budget { connect: inter, answer: None },
        }
    }
}

/// Checks a server.
pub async fn check(target: &Target, kind: &CheckKind, budget: Budget) -> Finding {
    let start = Instant::now();
    let connect_until = start + budget.connect;
    match target {
        Target::Tcp(address) => match timeout_at(connect_until, TcpStream::connect(address)).await {
            Err(_) => Finding::Layer4Timeout,
            Ok(Err(error)) => Finding::Layer4Problem(words(&error)),
            Ok(Ok(stream)) => {
                // A reset at the end, as HAProxy's checks do, so that they leave no sockets in TIME_WAIT.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                ask(stream, kind, connect_until, budget.answer).await
            }
        },
        Target::Unix(path) => match timeout_at(connect_until, UnixStream::connect(path)).await {
            Err(_) => Finding::Layer4Timeout,
            Ok(Err(error)) => Finding::SocketError(words(&error)),
            Ok(Ok(stream)) => ask(stream, kind, connect_until, budget.answer).await,
        },
    }
}

async fn ask<S>(stream: S, kind: &CheckKind, until: Instant, answer: Option<Duration>) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let CheckKind::Http(http) = kind else { return Finding::Layer4Passed };
    let until = answer.map_or(until, |answer| Instant::now() + answer);
    match timeout_at(until, exchange(stream, http)).await {
        Ok(finding) => finding,
        Err(_) => Finding::Layer7Timeout,
    }
}

async fn exchange<S>(mut stream: S, http: &HttpCheck) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = stream.write_all(request(http).as_bytes()).await {
        return Finding::SocketError(words(&error));
    }
    let mut head = Vec::with_capacity(1024);
    let mut stream = stream.take(HEAD_BYTES as u64);
    loop {
        match stream.read_buf(&mut head).await {
            Err(error) => return Finding::SocketError(words(&error)),
            Ok(0) if head.len() == HEAD_BYTES => return Finding::Layer7Invalid("head too long"),
            Ok(0) => return Finding::Layer7Invalid("head incomplete"),
            Ok(_) => {}
        }
        if let Some(finding) = judge(&head, &http.expect) {
            return finding;
        }
    }
}

/// The request, byte for byte as HAProxy sends it: no header that was not asked for, except that HTTP/1.1
/// needs to be told that the connection ends here.
fn request(http: &HttpCheck) -> String {
    let mut text = format!("{} {} {}\r\n", http.method, http.uri, http.version);
    let names_connection = http.headers.iter().any(|(name, _)| name == "connection");
    let close = (http.version == "HTTP/1.1" && !names_connection).then_some(("connection", "close"));
    for (name, value) in http.headers.iter().map(|(name, value)| (&**name, &**value)).chain(close) {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text
}

/// What a response's head, as far as it is read, says of the server; `None` if more must be read.
fn judge(head: &[u8], expect: &[(u16, u16)]) -> Option<Finding> {
    let mut lines = [httparse::EMPTY_HEADER; HEAD_LINES];
    let mut response = httparse::Response::new(&mut lines);
    let mut lenient = httparse::ParserConfig::default();
    lenient
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    match lenient.parse_response(&mut response, head) {
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(Finding::Layer7Invalid("not HTTP")),
        Ok(httparse::Status::Complete(_)) => {
            let status = response.code.unwrap_or_default();
            if expect.iter().any(|&(from, to)| (from..=to).contains(&status)) {
                return Some(Finding::Layer7Passed(status));
            }
            Some(Finding::Layer7WrongStatus(status, response.reason.unwrap_or_default().to_owned()))
        }
    }
}

/// The operating system's words for an error, without its number.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Layer4Passed => f.write_str("Layer4 check passed"),
            Finding::Layer7Passed(code) => write!(f, "Layer7 check passed, code {code}"),
            Finding::Layer4Problem(info) => write!(f, "Layer4 connection problem, {info}"),
            Finding::Layer4Timeout => f.write_str("Layer4 timeout"),
            Finding::Layer7WrongStatus(code, info) if info.is_empty() => {
                write!(f, "Layer7 wrong status, code {code}")
            }
            Finding::Layer7WrongStatus(code, info) => write!(f, "Layer7 wrong status, code {code}, {info}"),
            Finding::Layer7Invalid(info) => write!(f, "Layer7 invalid response, {info}"),
            Finding::Layer7Timeout => f.write_str("Layer7 timeout"),
            Finding::SocketError(info) => write!(f, "socket error, {info}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::backend::fixtures;

    const SECOND: Duration = Duration::from_secs(1);
    const BUDGET: Budget = Budget { connect: SECOND, answer: None };

    /// Answers one connection, and returns what it was asked.
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).await.expect("a request");
        stream.write_all(answer).await.expect("an answer");
        String::from_utf8_lossy(&asked[..length]).into_owned()
    }

    /// What a check finds at a server that answers like this and closes, and what it asked.
    async fn checked(http: HttpCheck, text: &[u8]) -> (Finding, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = Target::Tcp(listener.local_addr().expect("an address"));
        let kind = CheckKind::Http(http);
        let (finding, asked) = tokio::join!(check(&target, &kind, BUDGET), async {
            let (stream, _) = listener.accept().await.expect("a connection");
            answer(stream, text).await
        });
        (finding, asked)
    }

    #[tokio::test]
    async fn the_request_has_nothing_that_was_not_asked_for() {
        let (finding, asked) = checked(fixtures::http_check(), b"HTTP/1.0 200 OK\r\n\r\n").await;
        assert_eq!(asked, "GET /status HTTP/1.0\r\n\r\n");
        assert_eq!(finding, Finding::Layer7Passed(200));
    }

    #[tokio::test]
    async fn the_request_names_its_headers_and_ends_the_connection_in_http_1_1() {
        let http = HttpCheck {
            version: "HTTP/1.1".into(),
            headers: vec![("host".into(), "example.org".into()), ("x-foo".into(), "Bar".into())],
            ..fixtures::http_check()
        };
        let (_, asked) = checked(http, b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(
            asked,
            "GET /status HTTP/1.1\r\nhost: example.org\r\nx-foo: Bar\r\nconnection: close\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn answers_are_judged_as_haproxy_judges_them() {
        let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 20_000], b"\r\n\r\n"].concat();
        let long_body = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; 30_000]].concat();
        let cases: [(&[u8], &str); 14] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", "Layer7 check passed, code 200"),
            (b"HTTP/1.1 200\r\n\r\n", "Layer7 check passed, code 200"),
            (b"HTTP/1.1 200 OK\nX: y\n\n", "Layer7 check passed, code 200"),
            (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "Layer7 check passed, code 302"),
            (&long_body, "Layer7 check passed, code 200"),
            (b"HTTP/1.1 503 Bad Thing\r\n\r\nhello", "Layer7 wrong status, code 503, Bad Thing"),
            (b"HTTP/1.1 404 \r\n\r\n", "Layer7 wrong status, code 404"),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                "Layer7 wrong status, code 100, Continue",
            ),
            (b"SSH-2.0-foo\r\n", "Layer7 invalid response, not HTTP"),
            (b"HTTP/1.1 200 OK\r\nbad header line\r\n\r\n", "Layer7 invalid response, not HTTP"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "Layer7 invalid response, not HTTP"),
            (b"HTTP/1.1 200 OK\r\nFoo: bar\r\n", "Layer7 invalid response, head incomplete"),
            (b"", "Layer7 invalid response, head incomplete"),
            (&long, "Layer7 invalid response, head too long"),
        ];
        for (text, expected) in cases {
            let (finding, _) = checked(fixtures::http_check(), text).await;
            assert_eq!(
                finding.to_string(),
                expected,
                "{}",
                String::from_utf8_lossy(&text[..text.len().min(60)])
            );
            assert_eq!(finding.passed(), expected.contains("passed"));
        }
    }

    #[tokio::test]
    async fn only_expected_statuses_pass() {
        let http = || HttpCheck { expect: vec![(200, 200), (500, 502)], ..fixtures::http_check() };
        assert!(checked(http(), b"HTTP/1.0 501 X\r\n\r\n").await.0.passed());
        assert!(!checked(http(), b"HTTP/1.0 201 X\r\n\r\n").await.0.passed());
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_a_socket_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = Target::Tcp(listener.local_addr().expect("an address"));
        let kind = CheckKind::Http(fixtures::http_check());
        let (finding, ()) = tokio::join!(check(&target, &kind, BUDGET), async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.read_u8().await.expect("the request");
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
        });
        assert_eq!(finding, Finding::SocketError("Connection reset by peer".into()));
    }

    #[tokio::test]
    async fn a_tcp_check_asks_for_a_connection_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = Target::Tcp(listener.local_addr().expect("an address"));
        assert_eq!(check(&target, &CheckKind::Tcp, BUDGET).await, Finding::Layer4Passed);
        drop(listener);
        let finding = check(&target, &CheckKind::Tcp, BUDGET).await;
        assert_eq!(finding.to_string(), "Layer4 connection problem, Connection refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_silent_is_given_up_when_the_budget_is_spent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = Target::Tcp(listener.local_addr().expect("an address"));
        let kind = CheckKind::Http(fixtures::http_check());
        let start = Instant::now();
        assert_eq!(check(&target, &kind, BUDGET).await, Finding::Layer7Timeout);
        assert_eq!(start.elapsed().as_secs(), 1);
        let slow = Budget { connect: SECOND, answer: Some(3 * SECOND) };
        let start = Instant::now();
        assert_eq!(check(&target, &kind, slow).await, Finding::Layer7Timeout);
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_accepts_no_connection_is_a_layer_4_timeout() {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        socket.listen(0).expect("a listener");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        // Connections that nobody accepts fill the kernel's queue, until one hangs.
        let mut held = Vec::new();
        loop {
            let mut connect = pin!(TcpStream::connect(address));
            match timeout_at(Instant::now() + SECOND, &mut connect).await {
                Ok(stream) => held.push(stream.expect("a connection")),
                Err(_) => break,
            }
        }
        assert_eq!(check(&Target::Tcp(address), &CheckKind::Tcp, BUDGET).await, Finding::Layer4Timeout);
    }

    #[tokio::test]
    async fn unix_sockets_are_checked_like_addresses() {
        let path = std::env::temp_dir().join(format!("lb-check-{}.sock", std::process::id()));
        let kind = CheckKind::Http(fixtures::http_check());
        let target = Target::Unix(path.clone());
        let finding = check(&target, &kind, BUDGET).await;
        assert_eq!(finding.to_string(), "socket error, No such file or directory");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (finding, _) = tokio::join!(check(&target, &kind, BUDGET), async {
            let (stream, _) = listener.accept().await.expect("a connection");
            answer(stream, b"HTTP/1.0 204 X\r\n\r\n").await
        });
        std::fs::remove_file(&path).expect("the socket's file");
        assert_eq!(finding, Finding::Layer7Passed(204));
    }

    #[test]
    fn the_budget_follows_timeout_check() {
        let timeouts = |connect: Option<u64>, check: Option<u64>| model::ServerTimeouts {
            connect: connect.map(Duration::from_secs),
            check: check.map(Duration::from_secs),
            ..model::ServerTimeouts::default()
        };
        let whole = Budget { connect: 2 * SECOND, answer: None };
        assert_eq!(Budget::of(&timeouts(Some(1), None), 2 * SECOND), whole);
        let split = |connect: u32| Budget { connect: connect * SECOND, answer: Some(9 * SECOND) };
        assert_eq!(Budget::of(&timeouts(Some(1), Some(9)), 2 * SECOND), split(1));
        assert_eq!(Budget::of(&timeouts(Some(5), Some(9)), 2 * SECOND), split(2));
        assert_eq!(Budget::of(&timeouts(None, Some(9)), 2 * SECOND), split(2));
    }

    #[test]
    fn addr_and_port_replace_the_servers_own() {
        let target = |addr: Option<&str>, port| {
            let check = model::Check {
                addr: addr.map(|ip| ip.parse().expect("an address")),
                port,
                ..fixtures::check(2, 3)
            };
            match Target::of(&Server::new(fixtures::server("a")), &check) {
                Some(Target::Tcp(address)) => address.to_string(),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(target(None, None), "127.0.0.1:1");
        assert_eq!(target(None, Some(9)), "127.0.0.1:9");
        assert_eq!(target(Some("::1"), None), "[::1]:1");
        assert_eq!(target(Some("10.0.0.1"), Some(9)), "10.0.0.1:9");
    }
}
