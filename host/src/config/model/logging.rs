//! How a frontend's exchanges become lines: what a line says, which exchanges have one, and what is kept of
//! their headers for it.

use std::path::PathBuf;
use std::sync::Arc;

use super::tls::{PemFile, Spot};

/// How a frontend logs its exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// What a line says.
    pub line: LogLine,
    /// What it shows of headers and cookies.
    pub captures: Captures,
    /// Whether exchanges without an error have no line.
    pub only_errors: bool,
    /// Whether exchanges with an error are logged at `err` rather than `info`.
    pub separate_errors: bool,
    /// Of how many exchanges without an error how many have a line; `None`: all.
    pub sample: Option<Sample>,
}

impl Logging {
    /// Whether its line is a log-format string that asks for such a field.
    pub fn asks_for(&self, such: impl Fn(&Field) -> bool) -> bool {
        match &self.line {
            LogLine::Pattern(pieces) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Field(field, _) if such(field)))
            }
            LogLine::Connect | LogLine::Http | LogLine::Json => false,
        }
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// The connection's ends.
    Connect,
    /// HAProxy's HTTP format.
    Http,
    /// An object of JSON.
    Json,
    /// What a log-format string asks for.
    Pattern(Arc<[Piece]>),
}

/// A connection that log lines go over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogStream {
    /// Who is at its other end.
    pub peer: LogPeer,
    /// How lines are told apart.
    pub framing: LogFraming,
}

/// Who takes log lines over a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogPeer {
    /// `host:port`.
    Tcp(String),
    /// The same, by TLS.
    Tls(LogTls),
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// A log daemon that is reached by TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogTls {
    /// `host:port`.
    pub address: String,
    /// The authorities that its certificate may come from; `None`: the system's.
    pub ca_file: Option<PemFile>,
    /// Whether its certificate is verified.
    pub verify: bool,
    /// The name in its certificate, where it is not the host's.
    pub sni: Option<String>,
    /// Where it is named.
    pub spot: Spot,
}

/// How lines are told apart on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFraming {
    /// Each has its length before it (RFC 6587, section 3.4.1).
    Octets,
    /// Each has a line feed after it.
    Lines,
}

/// So many exchanges of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many have a line; at least 1, and no more than `of`.
    pub lines: u32,
    /// Of how many.
    pub of: u32,
}

/// What is kept of headers and cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    /// Of requests' headers.
    pub request: Vec<Capture>,
    /// Of responses' headers.
    pub response: Vec<Capture>,
    /// A cookie, in requests and in responses.
    pub cookie: Option<Capture>,
}

/// A header, or a cookie, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// A header's name in lower case; a cookie's as it is.
    pub name: Box<str>,
    /// The most bytes of it.
    pub length: usize,
}

/// A piece of a log-format string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(Box<[u8]>),
    /// White space: one space, unless one was just written.
    Space,
    /// What is known of the exchange.
    Field(Field, Flags),
}

/// How a field is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// `+Q`: text between quotes.
    pub quote: bool,
    /// `+X`: addresses, ports and some numbers in hexadecimal.
    pub hex: bool,
    /// `+E`: `"`, `\` and `]` after a `\`.
    pub escape: bool,
}

/// What a log-format string can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    ClientIp,
    ClientPort,
    FrontendIp,
    FrontendPort,
    ServerIp,
    ServerPort,
    Frontend,
    FrontendTransport,
    Backend,
    Server,
    Date,
    DateUtc,
    DateLocal,
    Seconds,
    Milliseconds,
    RequestTime,
    QueueTime,
    ConnectTime,
    ResponseTime,
    DataTime,
    TotalTime,
    Status,
    Bytes,
    Uploaded,
    Termination,
    TerminationAndCookie,
    RequestCookie,
    ResponseCookie,
    ProcessConnections,
    FrontendConnections,
    BackendConnections,
    ServerConnections,
    Retries,
    ServerQueue,
    BackendQueue,
    RequestCaptures,
    RequestCaptureList,
    ResponseCaptures,
    ResponseCaptureList,
    RequestLine,
    Method,
    Uri,
    Path,
    PathOnly,
    Query,
    QueryOnly,
    Version,
    VersionNumber,
    TlsVersion,
    TlsCipher,
    TlsName,
    TlsProtocol,
    TlsClient,
    IsTls,
    HostName,
    ProcessId,
    RequestCapture(usize),
    ResponseCapture(usize),
    RequestHeader(Box<str>),
    ResponseHeader(Box<str>),
}
