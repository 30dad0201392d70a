//! TLS towards clients as a listener does it: certificates, versions, sessions, clients' certificates.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConfig, ServerSessionMemoryCache};
use rustls::version::{TLS12, TLS13};

use super::certificate::{Certificate, Unusable};
use super::resolver::Resolver;
use super::trust::Trusted;
use super::verify::ClientVerifier;
use crate::config::model::BindAddress;
use crate::config::model::tls::{BindTls, ClientVerify, TlsVersion};

/// Sessions that are kept where clients get no tickets.
const SESSIONS: usize = 20_480;

/// TLS on one address.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(super) address: BindAddress,
    pub(super) config: Arc<ServerConfig>,
    trust: Trust,
}

/// Whom a listener lets in. A session of one that trusts others must not be taken up: it would spare a client the
/// proof of who it is.
#[derive(Debug, Clone, PartialEq)]
struct Trust {
    tickets: bool,
    verify: ClientVerify,
    /// The subjects and keys of the authorities.
    authorities: Vec<rustls::pki_types::TrustAnchor<'static>>,
    /// The certificates that are trusted for themselves.
    pinned: Vec<rustls::pki_types::CertificateDer<'static>>,
}

impl Listener {
    /// One that shows these certificates.
    pub(super) fn new(
        address: BindAddress,
        bind: &BindTls,
        certificates: &[Certificate],
        trusted: Option<Arc<Trusted>>,
    ) -> Result<Listener, Unusable> {
        let failed = |error: &dyn std::fmt::Display| {
            Unusable::new(format!("this listener's TLS cannot be set up: {error}"), "")
        };
        let provider = Arc::new(ring::default_provider());
        let versions = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
        let versions: Vec<_> = versions
            .into_iter()
            .filter(|(version, _)| (bind.min_version..=bind.max_version).contains(version))
            .map(|(_, version)| version)
            .collect();
        let authorities = trusted.as_ref().map(|trusted| trusted.authorities.roots.clone());
        let pinned = trusted.as_ref().map(|trusted| trusted.pinned.to_vec());
        let verifier: Arc<dyn ClientCertVerifier> = match (bind.verify, &trusted) {
            (ClientVerify::None, _) | (_, None) => Arc::new(NoClientAuth),
            (verify, Some(trusted)) => {
                let is_optional = verify == ClientVerify::Optional;
                let verifier = ClientVerifier::new(trusted, is_optional, provider.clone());
                Arc::new(verifier.map_err(|error| failed(&error))?)
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| failed(&error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Resolver::new(certificates, bind.strict_sni)));
        config.alpn_protocols = bind.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        if bind.tickets {
            config.ticketer = ring::Ticketer::new().map_err(|error| failed(&error))?;
        }
        let trust = Trust {
            tickets: bind.tickets,
            verify: bind.verify,
            authorities: authorities.unwrap_or_default(),
            pinned: pinned.unwrap_or_default(),
        };
        Ok(Listener { address, config: Arc::new(config), trust })
    }

    /// The same on another address.
    pub(super) fn at(self, address: BindAddress) -> Listener {
        Listener { address, ..self }
    }

    /// Whether a client that one of them has let in could have come in by the other, too: both ask for the same proof of
    /// who it is.
    pub(crate) fn lets_in_as(&self, other: &Listener) -> bool {
        // By tickets or not makes no difference here.
        Trust { tickets: other.trust.tickets, ..self.trust.clone() } == other.trust
    }

    /// Goes on with the sessions of the listener that had this address before, where both let in the same clients.
    pub(super) fn keep_sessions_of(&mut self, before: &[Listener]) {
        let same = |old: &&Listener| old.address == self.address && old.trust == self.trust;
        if let Some(old) = before.iter().find(same) {
            let config = Arc::make_mut(&mut self.config);
            config.session_storage = old.config.session_storage.clone();
            config.ticketer = old.config.ticketer.clone();
        }
    }
}
