//! Where servers come from, other than from `lb.toml` itself: what a template follows, and who is asked for names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tls::{PemFile, Spot};

/// `servers = { from = … }`: the source that fills a backend's slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The source as it is written, for logs.
    pub text: Arc<str>,
    /// What is followed.
    pub source: Source,
    /// Who is asked for names.
    pub resolution: Resolution,
    /// How long the last servers stay after the source has said that there are none.
    pub hold: Duration,
}

/// What a template follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The addresses of a name, all with this port.
    Addresses(String, u16),
    /// The SRV records of a name.
    Services(String),
    /// A file.
    File(PathBuf, FileFormat),
    /// Consul's list of a service's instances.
    Consul(Consul),
}

/// How a file of servers is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

/// A question to Consul's health API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consul {
    /// `host:port`.
    pub authority: String,
    /// Whom to trust; `None`: it is asked in clear text.
    pub tls: Option<ConsulTls>,
    /// The path, and the query where there is one.
    pub target: String,
    /// How long an answer may be held back while nothing changes.
    pub wait: Duration,
    /// Where the token is.
    pub token: Option<Token>,
}

/// TLS to Consul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulTls {
    /// The authorities that its certificate must come from; `None`: those of the system.
    pub ca_file: Option<PemFile>,
    /// Where it is asked for.
    pub spot: Spot,
}

/// Where Consul's token is, which is read anew for each question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// How a server's name becomes an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Who is asked; `None`: the operating system.
    pub resolvers: Option<Arc<Resolvers>>,
    /// Which addresses are wanted where a name has both kinds.
    pub prefer: Family,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    #[default]
    Ipv6,
}

/// `[resolvers.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolvers {
    /// The servers that are asked; empty: those of the system's `resolv.conf`.
    pub nameservers: Vec<NameServer>,
    /// How long a server may take to answer, each time that it is asked.
    pub timeout: Duration,
    /// How often a question is asked again where no answer comes.
    pub retries: u32,
    /// The shortest time between two questions, whatever the TTL.
    pub min_ttl: Duration,
    /// The longest time between two questions, whatever the TTL.
    pub max_ttl: Duration,
    /// How long the last answer holds after the name is said not to exist, or to have no address.
    pub hold_nx: Duration,
    /// How long an address holds that an answer no longer has.
    pub hold_obsolete: Duration,
}

impl Default for Resolvers {
    fn default() -> Resolvers {
        Resolvers {
            nameservers: Vec::new(),
            timeout: Duration::from_secs(1),
            retries: 3,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(3_600),
            hold_nx: Duration::from_secs(30),
            hold_obsolete: Duration::ZERO,
        }
    }
}

/// A DNS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is asked over TCP alone; otherwise that is for answers that do not fit into a datagram.
    pub tcp: bool,
}
