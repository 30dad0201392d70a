//! TLS towards servers: whom to trust, what name to ask for, and what to show.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustls::SignatureScheme;
use rustls::client::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;

use super::certificate::{Certificate, Unusable};
use super::expiry::now_s;
use super::trust::Trusted;
use super::verify::{Anybody, ServerVerifier};
use crate::config::model::tls::ServerTls;
use crate::config::model::{Server, ServerAddress};

/// How often the log hears of a server whose handshakes fail.
const COMPLAINT_S: u64 = 30;

/// How one server is spoken to by TLS.
#[derive(Debug)]
pub(crate) struct Connector {
    /// Versions, trust and sessions.
    pub(crate) config: Arc<ClientConfig>,
    /// The name to ask for.
    pub(crate) name: ServerName<'static>,
    /// Whether requests go by TLS.
    pub(crate) requests: bool,
    /// Whether health checks do.
    pub(crate) checks: bool,
    /// Whom it trusts; `None`: anybody.
    trusted: Option<Arc<Trusted>>,
    /// What it shows, the chain of certificates.
    shown: Option<Arc<rustls::sign::CertifiedKey>>,
    /// The second since 1970 when the log last heard of a failure.
    complained_s: AtomicU64,
}

impl Connector {
    /// For one server; `trusted` where its certificate is verified.
    pub(super) fn new(
        server: &Server,
        tls: &ServerTls,
        trusted: Option<Arc<Trusted>>,
        certificate: Option<&Certificate>,
    ) -> Result<Connector, Unusable> {
        let failed = |error: &dyn std::fmt::Display| {
            Unusable::new(format!("TLS to this server cannot be set up: {error}"), "")
        };
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match &trusted {
            Some(trusted) => {
                Arc::new(ServerVerifier::new(trusted, provider.clone()).map_err(|error| failed(&error))?)
            }
            None => Arc::new(Anybody::new(provider.clone())),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match certificate {
            Some(certificate) => builder.with_client_cert_resolver(Arc::new(Shown(certificate.key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
        Ok(Connector {
            config: Arc::new(config),
            name: name(server, tls)?,
            requests: tls.requests,
            checks: tls.checks,
            trusted,
            shown: certificate.map(|certificate| certificate.key.clone()),
            complained_s: AtomicU64::new(0),
        })
    }

    /// Tells the log that a handshake failed, once in a while.
    pub(crate) fn complain(&self, server: &str, error: &std::io::Error) {
        let now = now_s().unsigned_abs();
        let last = self.complained_s.load(Relaxed);
        let due = last == 0 || now >= last + COMPLAINT_S;
        if due && self.complained_s.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            tracing::warn!(server, "the TLS handshake with server {server} fails: {error}");
        }
    }
}

/// Tells whether connectors come to the same. It remembers what it has compared, for many servers trust the same.
#[derive(Default)]
pub(crate) struct Comparison(HashMap<(*const Trusted, *const Trusted), bool>);

impl Comparison {
    /// Whether a connection that one of them has made could be one of the other's: they ask for the same name, trust the
    /// same, and show the same.
    pub(crate) fn alike(&mut self, one: &Connector, other: &Connector) -> bool {
        let chain = |connector: &Connector| connector.shown.as_ref().map(|shown| shown.cert.clone());
        (&one.name, one.requests, one.checks) == (&other.name, other.requests, other.checks)
            && one.config.alpn_protocols == other.config.alpn_protocols
            && chain(one) == chain(other)
            && match (&one.trusted, &other.trusted) {
                (Some(one), Some(other)) => {
                    let both = (Arc::as_ptr(one), Arc::as_ptr(other));
                    *self.0.entry(both).or_insert_with(|| one.is_like(other))
                }
                (None, None) => true,
                _ => false,
            }
    }
}

fn name(server: &Server, tls: &ServerTls) -> Result<ServerName<'static>, Unusable> {
    let host = match (&tls.sni, &server.address) {
        (Some(sni), _) => sni.clone(),
        (None, ServerAddress::Ip(address)) => return Ok(ServerName::from(address.ip())),
        (None, ServerAddress::Name(name, _)) => name.clone(),
        (None, ServerAddress::Unix(_) | ServerAddress::Slot(_)) if !tls.verify => "localhost".to_owned(),
        (None, ServerAddress::Unix(_) | ServerAddress::Slot(_)) => {
            let message = "there is no name to verify this server's certificate by";
            return Err(Unusable::new(message, "say `sni = \"…\"`"));
        }
    };
    ServerName::try_from(host.clone()).map_err(|_| {
        Unusable::new(
            format!("`{host}` cannot be asked for by TLS"),
            "say `sni = \"…\"` with a name that can",
        )
    })
}

/// `crt`: what servers are shown that ask for a certificate.
#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
