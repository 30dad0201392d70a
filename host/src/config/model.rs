//! The configuration as the rest of the program sees it: checked, defaults filled in, and every name
//! replaced by an index. Behind this module nothing is looked up by name.

mod admin;
pub mod care;
pub mod discovery;
mod http2;
pub mod limits;
mod logging;
pub mod pages;
pub mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::rules::{Access, ListFile, Network, RuleSet};
use crate::span::Span;
pub use admin::Admin;
pub use http2::Http2;
pub use logging::{
    Capture, Captures, Field, Flags, LogFraming, LogLine, LogPeer, LogStream, LogTls, Logging, Piece, Sample,
};

/// Everything that `lb.toml` says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[global]`.
    pub global: Global,
    /// `[frontends.*]`, in the order of the file.
    pub frontends: Vec<Frontend>,
    /// `[backends.*]`, in the order of the file.
    pub backends: Vec<Backend>,
    /// The files that rules name; to be read before the configuration comes into force.
    pub lists: Vec<ListFile>,
}

/// `[global]`: what holds for the process.
#[derive(Debug, Clone)]
pub struct Global {
    /// Worker threads; at least 1.
    pub nbthread: usize,
    /// Client connections held at once; past it accepting pauses. `None`: no limit but the process's own.
    pub maxconn: Option<u32>,
    /// Where the process's own messages go, and the logs of every proxy that says `log = "global"`.
    pub log: Vec<LogTarget>,
    /// From which level on parts of the program speak: their targets, and levels, in the words of `tracing`.
    pub log_levels: Vec<(&'static str, &'static str)>,
    /// How long a drain may take before what is left is cut off. `None`: as long as it takes.
    pub hard_stop_after: Option<Duration>,
    /// Whether a change of `lb.toml`, or of a policy's file that it names, is a reload.
    pub watch: bool,
    /// The listener for those who watch.
    pub admin: Option<Admin>,
    /// Sizes and bounds.
    pub tune: Tune,
}

/// `[global] tune`: sizes and bounds.
#[derive(Debug, Clone)]
pub struct Tune {
    /// The largest message head, in bytes; also the size of a connection's buffers.
    pub bufsize: usize,
    /// The most header lines in a head.
    pub maxhdr: usize,
    /// The most idle connections that a worker keeps to one server.
    pub pool_max_idle: usize,
    /// How long an idle connection to a server is kept.
    pub pool_idle_timeout: Duration,
}

/// `[frontends.NAME]`: where clients come in.
#[derive(Debug, Clone)]
pub struct Frontend {
    /// Its name, for logs.
    pub name: Arc<str>,
    /// Where it listens; a port range is one entry a port.
    pub bind: Vec<Bind>,
    /// Connections held at once over all its listeners; past it accepting pauses.
    pub maxconn: Option<u32>,
    /// The length of the kernel's queue of connections not yet accepted.
    pub backlog: u32,
    /// The backend that serves it: an index into [`Config::backends`].
    pub default_backend: usize,
    /// Whether, and how, servers are told the client's address.
    pub forwardfor: Option<ForwardFor>,
    /// Where its exchanges are logged.
    pub log: Vec<LogTarget>,
    /// What its lines say, and which exchanges have one.
    pub logging: Logging,
    /// Whether a connection that carried no data goes unlogged.
    pub dontlognull: bool,
    /// What clients of HTTP/2 may do; `None` where it is not spoken.
    pub http2: Option<Http2>,
    /// Its timeouts.
    pub timeout: ClientTimeouts,
    /// Pages of the user's own, those of `[defaults]` included.
    pub errorfile: Vec<pages::ErrorFile>,
    /// How much it lets in.
    pub limits: Vec<limits::Limit>,
    /// What browsers are told of TLS.
    pub hsts: Option<tls::Hsts>,
    /// Whether its servers may be told of clients' certificates: one of its listeners asks for them, or one of another
    /// frontend with the same servers. Then nobody else tells them.
    pub asks_certificates: bool,
    /// Where requests that came in clear are sent.
    pub redirect_https: Option<tls::HttpsRedirect>,
    /// Whether a request by TLS must be for the host that its connection was made to.
    pub strict_sni_host: bool,
    /// What becomes of lines with names that servers may take for others.
    pub unusual_names: UnusualNames,
    /// What is done to which requests, before a backend has them.
    pub rules: Arc<RuleSet>,
    /// Who may connect. `None`: everybody.
    pub access: Option<Arc<Access>>,
}

/// What becomes of a request's lines whose names have anything but letters, digits and `-` in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnusualNames {
    /// They do not go on.
    #[default]
    Drop,
    /// The request is refused.
    Refuse,
    /// They go on, but for those that pass for lines of this program's own.
    Allow,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bind {
    /// The address.
    pub address: BindAddress,
    /// Connections held at once on this listener; past it accepting pauses on it.
    pub maxconn: Option<u32>,
    /// Whether, and how, clients come by TLS.
    pub tls: Option<tls::BindTls>,
    /// Where it is named.
    pub spot: tls::Spot,
    /// Who may connect, where it is a Unix socket.
    pub access: SocketAccess,
}

/// Who may connect to a Unix socket: whoever may write to its file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SocketAccess {
    /// Its permissions; `None`: all but those that the umask takes away.
    pub mode: Option<u32>,
    /// Its owner; `None`: the user that runs the process.
    pub user: Option<Account>,
    /// Its group; `None`: that of the process.
    pub group: Option<Account>,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Account {
    /// By its number.
    Number(u32),
    /// By its name, and where that is written.
    Name(String, tls::Spot),
}

/// What a listener is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// An address and a port; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
    /// A listening socket inherited from the parent process, by its file descriptor.
    Fd(i32),
}

/// `forwardfor`: an `x-forwarded-for` line with the client's address, after any that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFor {
    /// No line for clients of these networks.
    pub except: Vec<Network>,
    /// The header's name, in lower case.
    pub header: String,
    /// No line where the request carries one already.
    pub if_none: bool,
}

/// How long to wait for a client. `None`: for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientTimeouts {
    /// Inactivity of the client's side.
    pub client: Option<Duration>,
    /// A whole request head, from its first byte (or from the accept).
    pub http_request: Option<Duration>,
    /// The wait for the next request's first byte.
    pub http_keep_alive: Option<Duration>,
}

/// How long to wait for servers. `None`: for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerTimeouts {
    /// A connection to a server.
    pub connect: Option<Duration>,
    /// Inactivity of the server's side, the wait for its response head included.
    pub server: Option<Duration>,
    /// A place at a server that is full; falls back to `connect`.
    pub queue: Option<Duration>,
    /// Inactivity of both sides after an upgrade; falls back to the client's and the server's.
    pub tunnel: Option<Duration>,
    /// The answer to a health check, once connected; falls back to the check's interval in all.
    pub check: Option<Duration>,
}

/// `[backends.NAME]`: servers, and who chooses among them.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its name, for logs.
    pub name: Arc<str>,
    /// Balancers, the first that picks wins; at least one.
    pub balance: Vec<PolicySpec>,
    /// Persistence, asked before any balancer.
    pub persistence: Option<PolicySpec>,
    /// The servers, in the order of the file.
    pub servers: Vec<Server>,
    /// What fills the servers, where they are slots.
    pub template: Option<discovery::Template>,
    /// What a health check asks.
    pub check: CheckKind,
    /// Whether, and how, servers are told the client's address, whatever the frontend says.
    pub forwardfor: Option<ForwardFor>,
    /// Attempts after the first.
    pub retries: u32,
    /// What is tried again.
    pub retry_on: care::RetryOn,
    /// How many retries there may be, over all requests; `None`: no bound.
    pub retry_budget: Option<care::RetryBudget>,
    /// When it refuses requests at once.
    pub circuit_breaker: Option<care::Circuit>,
    /// Whether the last retry, and a request bound to a server that is DOWN, may go to another server.
    pub redispatch: bool,
    /// When a client that says that nothing more comes has its request dropped.
    pub abortonclose: AbortOnClose,
    /// Which requests may have a connection that has served others.
    pub http_reuse: care::HttpReuse,
    /// Its timeouts.
    pub timeout: ServerTimeouts,
    /// Pages of the user's own, over those of the frontend.
    pub errorfile: Vec<pages::ErrorFile>,
    /// How much it lets in.
    pub limits: Vec<limits::Limit>,
    /// What is done to which requests, once it has them.
    pub rules: Arc<RuleSet>,
}

/// When a client that closes its side of a connection of HTTP/1, and may have left, has its request dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortOnClose {
    /// Never: it may be listening still.
    Never,
    /// Before a server has the request: in a queue, while a connection is made, between two tries.
    WhileWaiting,
    /// Until the response begins.
    Always,
}

/// A policy as a backend names it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySpec {
    /// Which component.
    pub source: PolicySource,
    /// Whether workers share one instance.
    pub instances: Instances,
    /// Settings as written, not yet held against the policy's `describe`.
    pub settings: Vec<RawSetting>,
    /// Where the policy is named.
    pub span: Span,
}

/// Where a policy's component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PolicySource {
    /// One that is embedded in the program, by name.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
}

/// Who has an instance of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instances {
    /// Each worker its own.
    #[default]
    PerWorker,
    /// One for all workers, behind a lock.
    Shared,
}

/// A policy's setting as it stands in `lb.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSetting {
    /// Its key.
    pub name: String,
    /// Where the key stands.
    pub name_span: Span,
    /// Its value.
    pub value: RawValue,
    /// Where the value stands.
    pub value_span: Span,
}

/// The value of a [`RawSetting`], by its TOML type.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// An array of strings.
    Texts(Vec<String>),
    /// Anything else; no policy can take it. Holds the name of its TOML type.
    Other(&'static str),
}

/// `[[backends.NAME.servers]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name, unique in the backend.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: ServerAddress,
    /// Its share of the traffic, 0 to 256; at 0 it takes persistent traffic only.
    pub weight: u32,
    /// Requests in flight at once over all workers; the excess queues.
    pub maxconn: Option<u32>,
    /// Whether it serves only where no other can.
    pub backup: bool,
    /// Whether it starts out of service.
    pub disabled: bool,
    /// Its health checks; `None`: it is always UP.
    pub check: Option<Check>,
    /// Its value for cookie persistence.
    pub cookie: Option<String>,
    /// Whether, and how, it is spoken to by TLS.
    pub tls: Option<tls::ServerTls>,
    /// Which HTTP it is spoken to in.
    pub protocol: Protocol,
    /// Free pairs for policies, sorted by key.
    pub labels: Vec<(String, String)>,
    /// How its name becomes an address, where it has one.
    pub resolution: discovery::Resolution,
    /// How long it takes to its whole share when it comes UP again; `None`: no time.
    pub slowstart: Option<Duration>,
    /// When its failures take it out of the candidates.
    pub circuit_breaker: Option<care::Tripping>,
}

/// `proto`: which HTTP a server is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, whether it was negotiated or not.
    Http2,
}

/// Where a server listens, as configured; names are resolved while the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A host name and a port.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
    /// Wherever this source says: a slot of a template.
    Slot(Arc<str>),
}

/// A server's health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The address to check, where it is not the server's own.
    pub addr: Option<IpAddr>,
    /// The port to check, where it is not the server's own.
    pub port: Option<u16>,
    /// Between two checks.
    pub inter: Duration,
    /// Between two checks while the state is in doubt.
    pub fastinter: Duration,
    /// Between two checks while DOWN.
    pub downinter: Duration,
    /// Failed checks in a row that take a server DOWN.
    pub fall: u32,
    /// Passed checks in a row that bring it UP.
    pub rise: u32,
    /// What live traffic counts for beside the checks; `None`: for nothing.
    pub observe: Option<care::Observe>,
}

/// What a health check asks of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// That it accepts a connection.
    Tcp,
    /// That it answers a request well.
    Http(HttpCheck),
}

/// `httpchk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// The method, in capitals.
    pub method: String,
    /// The request target.
    pub uri: String,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Statuses that pass, as inclusive ranges.
    pub expect: Vec<(u16, u16)>,
}

/// Where log lines go, and how they look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogTarget {
    /// Where to.
    pub destination: LogDestination,
    /// In which framing.
    pub format: LogFormat,
    /// The syslog facility's number, 0 to 23.
    pub facility: u8,
    /// The least urgent level that is written.
    pub level: LogLevel,
    /// The syslog tag.
    pub tag: String,
    /// The most bytes of a line; longer ones are cut. `None`: 1,024 for text, 8,192 for JSON.
    pub length: Option<usize>,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogDestination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
    /// Syslog over UDP, to `host:port`.
    Udp(String),
    /// Syslog over a Unix datagram socket.
    Unix(PathBuf),
    /// A connection.
    Stream(LogStream),
}

/// How a log line is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// The bare message.
    Raw,
    /// `<PRI>Mmm dd hh:mm:ss tag[pid]: ` before it: RFC 3164 as the syslog daemon of the same host wants it.
    Local,
    /// `<PRI>Mmm dd hh:mm:ss host tag[pid]: ` before it.
    Rfc3164,
    /// `<PRI>1 TIMESTAMP host tag pid - - ` before it.
    Rfc5424,
    /// `<LEVEL>` before it, as systemd reads it.
    Short,
    /// `<PRI>` before it.
    Priority,
    /// `<LEVEL>TIMESTAMP ` before it.
    Timed,
    /// `TIMESTAMP ` before it.
    Iso,
}

/// Syslog's levels, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum LogLevel {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}
