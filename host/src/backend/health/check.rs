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
use crate::config::model::{self, CheckKind, HttpCheck, Protocol, ServerAddress};
use crate::http::arrival::Arrival;
use crate::http::body::{Decoder, Piece};
use crate::http::head::ResponseHead;
use crate::http::parse;
use crate::http::semantics::Malformed;
use crate::http::trailers::Sender;
use crate::tls::Connector;

mod http2;

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
    /// It took part in a TLS handshake, and no more was asked.
    Layer6Passed,
    /// It answered with a status that passes.
    Layer7Passed(u16),
    /// The connection failed.
    Layer4Problem(String),
    /// No connection came about in time.
    Layer4Timeout,
    /// The TLS handshake failed.
    Layer6Invalid(String),
    /// It did not come to an end in time.
    Layer6Timeout,
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
        matches!(self, Finding::Layer4Passed | Finding::Layer6Passed | Finding::Layer7Passed(_))
    }
}

/// The version of a check's request to a server that is spoken to in HTTP/2.
const HTTP2: &str = "HTTP/2";

/// The largest head of an answer: as for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// In bytes.
    pub bytes: usize,
    /// In header lines.
    pub lines: usize,
}

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

/// How a server of a backend is checked: in the HTTP that its requests get, unless checks go elsewhere.
pub(crate) fn kind_of(backend: &CheckKind, server: &model::Server, check: &model::Check) -> CheckKind {
    let elsewhere = check.addr.is_some() || check.port.is_some();
    match backend {
        CheckKind::Http(http) if server.protocol == Protocol::Http2 && !elsewhere => {
            CheckKind::Http(HttpCheck { version: HTTP2.into(), ..http.clone() })
        }
        kind => kind.clone(),
    }
}

/// Checks a server.
pub(crate) async fn check(
    target: &Target,
    kind: &CheckKind,
    tls: Option<&Connector>,
    budget: Budget,
    limits: HeadLimits,
) -> Finding {
    let start = Instant::now();
    let connect_until = start + budget.connect;
    match target {
        Target::Tcp(address) => match timeout_at(connect_until, TcpStream::connect(address)).await {
            Err(_) => Finding::Layer4Timeout,
            Ok(Err(error)) => Finding::Layer4Problem(words(&error)),
            Ok(Ok(stream)) => {
                // A reset at the end, as HAProxy's checks do, so that they leave no sockets in TIME_WAIT.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                shake_hands(stream, kind, tls, connect_until, budget.answer, limits).await
            }
        },
        Target::Unix(path) => match timeout_at(connect_until, UnixStream::connect(path)).await {
            Err(_) => Finding::Layer4Timeout,
            Ok(Err(error)) => Finding::SocketError(words(&error)),
            Ok(Ok(stream)) => shake_hands(stream, kind, tls, connect_until, budget.answer, limits).await,
        },
    }
}

/// Goes on by TLS, where that is wanted. Without a request to ask, a handshake that is done is a check passed.
async fn shake_hands<S>(
    stream: S,
    kind: &CheckKind,
    tls: Option<&Connector>,
    until: Instant,
    answer: Option<Duration>,
    limits: HeadLimits,
) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else { return ask(stream, kind, until, answer, limits).await };
    let until = answer.map_or(until, |answer| Instant::now() + answer);
    let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
    match timeout_at(until, connector.connect(tls.name.clone(), stream)).await {
        Err(_) => Finding::Layer6Timeout,
        Ok(Err(error)) => Finding::Layer6Invalid(words(&error)),
        Ok(Ok(_)) if *kind == CheckKind::Tcp => Finding::Layer6Passed,
        Ok(Ok(stream)) => ask(stream, kind, until, None, limits).await,
    }
}

async fn ask<S>(
    stream: S,
    kind: &CheckKind,
    until: Instant,
    answer: Option<Duration>,
    limits: HeadLimits,
) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let CheckKind::Http(http) = kind else { return Finding::Layer4Passed };
    let until = answer.map_or(until, |answer| Instant::now() + answer);
    match timeout_at(until, exchange(stream, http, limits)).await {
        Ok(finding) => finding,
        Err(_) => Finding::Layer7Timeout,
    }
}

async fn exchange<S>(mut stream: S, http: &HttpCheck, limits: HeadLimits) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if &*http.version == HTTP2 {
        return http2::exchange(stream, http, limits).await;
    }
    if let Err(error) = stream.write_all(request(http).as_bytes()).await {
        return Finding::SocketError(words(&error));
    }
    let mut held = Vec::with_capacity(1024);
    let mut judge = Judge::new(http, limits);
    loop {
        match stream.read_buf(&mut held).await {
            Err(error) => return Finding::SocketError(words(&error)),
            Ok(0) => return Finding::Layer7Invalid("head incomplete"),
            Ok(_) => {}
        }
        if let Some(finding) = judge.look(&mut held) {
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

/// Reads a check's answer by the parser that reads those to requests, so that no server passes whose answers nobody gets.
struct Judge<'a> {
    http: &'a HttpCheck,
    limits: HeadLimits,
    head: ResponseHead,
    arrival: Arrival,
}

impl<'a> Judge<'a> {
    fn new(http: &'a HttpCheck, limits: HeadLimits) -> Judge<'a> {
        Judge { http, limits, head: ResponseHead::default(), arrival: Arrival::default() }
    }

    /// What the answer, as far as it has come, says of the server; `None` if more must be read. Interim answers are
    /// taken off the front.
    fn look(&mut self, held: &mut Vec<u8>) -> Option<Finding> {
        while self.arrival.is_worth_a_look(held, self.limits.bytes) {
            let to_head = self.http.method == "HEAD";
            let length = match parse::response(held, self.limits.lines, to_head, &mut self.head) {
                Err(Malformed(why)) => return Some(Finding::Layer7Invalid(why)),
                Ok(Some(length)) if length <= self.limits.bytes => length,
                Ok(None) if held.len() <= self.limits.bytes => return None,
                Ok(_) => return Some(Finding::Layer7Invalid("head too long")),
            };
            let status = self.head.status;
            if !is_interim(status) {
                return Some(self.body(&held[length..]).unwrap_or_else(|| self.verdict(status)));
            }
            held.drain(..length);
            self.arrival.restart();
            if held.is_empty() {
                return None;
            }
        }
        None
    }

    /// What is wrong with what has come of the body; a request's answer would not be passed on either.
    fn body(&self, mut bytes: &[u8]) -> Option<Finding> {
        let mut decoder = Decoder::new(self.head.framing, Sender::Server);
        loop {
            match decoder.next(bytes) {
                Err(Malformed(why)) => return Some(Finding::Layer7Invalid(why)),
                Ok(Piece::Data { used, .. }) => bytes = &bytes[used..],
                Ok(Piece::End { .. } | Piece::More) => return None,
            }
        }
    }

    fn verdict(&self, status: u16) -> Finding {
        if self.http.expect.iter().any(|&(from, to)| (from..=to).contains(&status)) {
            return Finding::Layer7Passed(status);
        }
        Finding::Layer7WrongStatus(status, String::from_utf8_lossy(self.head.reason()).into_owned())
    }
}

/// Whether another answer follows: what 101 stands for does not.
fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
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
            Finding::Layer6Passed => f.write_str("Layer6 check passed"),
            Finding::Layer6Invalid(info) => write!(f, "Layer6 invalid response, {info}"),
            Finding::Layer6Timeout => f.write_str("Layer6 timeout"),
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
mod tests;
