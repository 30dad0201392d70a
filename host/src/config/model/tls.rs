//! TLS as the configuration has it: files are named, not read.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use crate::span::Span;

/// Where something is named. It makes no difference between two things that are otherwise the same.
#[derive(Debug, Clone)]
pub struct Spot(pub Span);

impl PartialEq for Spot {
    fn eq(&self, _: &Spot) -> bool {
        true
    }
}

impl Eq for Spot {}

impl Hash for Spot {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// TLS towards clients: what a listener's `tls` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BindTls {
    /// Its certificates; the first is what a client gets that names no host, or one that none is for.
    pub crt: Vec<CertificateFile>,
    /// Whether a client that names a host that no certificate is for is refused.
    pub strict_sni: bool,
    /// The protocols that are offered, the most wanted first.
    pub alpn: Vec<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The newest.
    pub max_version: TlsVersion,
    /// Whether sessions are handed to clients as tickets; otherwise they are kept here.
    pub tickets: bool,
    /// Whether clients show certificates.
    pub verify: ClientVerify,
    /// The authorities that clients' certificates must come from.
    pub ca_file: Option<PemFile>,
}

/// A certificate, or a directory of them, as `crt` names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFile {
    /// A PEM file, or a directory of PEM files.
    pub path: PathBuf,
    /// The private key's file, where it is not the same, or beside it.
    pub key: Option<PathBuf>,
    /// Where it is named.
    pub spot: Spot,
}

/// A PEM file of certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PemFile {
    /// The file.
    pub path: PathBuf,
    /// Where it is named.
    pub spot: Spot,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What is asked of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClientVerify {
    /// None is asked for.
    #[default]
    None,
    /// A client may show one; then it must be good.
    Optional,
    /// Without a good one there is no connection.
    Required,
}

/// TLS towards a server: what `ssl = true` and the keys beside it say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerTls {
    /// Whether the server's certificate must be good; otherwise anything passes.
    pub verify: bool,
    /// The authorities that it must come from; `None`: those of the system.
    pub ca_file: Option<PemFile>,
    /// The name that is asked for, and that the certificate must be for; `None`: the address's own host.
    pub sni: Option<String>,
    /// What the server is shown, where it asks for a certificate.
    pub crt: Option<CertificateFile>,
    /// The protocols that are offered; none: the extension is not sent.
    pub alpn: Vec<String>,
    /// Whether requests are sent by TLS.
    pub requests: bool,
    /// Whether health checks are.
    pub checks: bool,
    /// Where it is switched on.
    pub spot: Spot,
}

/// `hsts`: what browsers are told by `strict-transport-security` (RFC 6797).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hsts {
    /// How long a browser comes by TLS only.
    pub max_age: Duration,
    /// Whether that holds for the hosts below this one too.
    pub include_subdomains: bool,
    /// Whether browsers may have it built in.
    pub preload: bool,
}

/// `redirect_https`: where requests that came in clear are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpsRedirect {
    /// The status of the answer: 301, 302, 307 or 308.
    pub status: u16,
    /// The port to come to; 443 is left out of the address.
    pub port: u16,
}
