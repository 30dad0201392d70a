//! Whom to trust: the authorities of a file or the system's, and certificates that are named themselves. Everybody in
//! lb who verifies a certificate, a server's, a log daemon's, Consul's or a client's, does it by this.
//!
//! A certificate in a file of one's own is trusted for itself, byte for byte, whatever signed it: so does a self-signed
//! one of a server verify that server, as with OpenSSL. Those of authorities also vouch for others; those that are
//! no authority's never do.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::certificate::{self, Unusable};
use super::verify::{Anybody, ServerVerifier};

/// Whom to trust. Many servers share it: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    /// Who vouches for others.
    pub(super) authorities: Arc<RootCertStore>,
    /// What is trusted for itself.
    pub(super) pinned: Arc<[CertificateDer<'static>]>,
}

/// What a certificate in a list of trusted ones is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may vouch for others.
    Authority,
    /// It can stand for itself alone.
    Own,
    /// It has no room to say what it is good for, and vouches for others; nobody who shows it is let in.
    Version1,
    /// Nobody knows.
    Unreadable,
}

impl Trusted {
    /// Whether both trust the same.
    pub(super) fn is_like(&self, other: &Trusted) -> bool {
        self.authorities.roots == other.authorities.roots && self.pinned == other.pinned
    }

    /// Those of a file, or of the system where none is named.
    ///
    /// # Errors
    /// Where there are none.
    pub(super) fn read(file: Option<&Path>) -> Result<Trusted, Unusable> {
        let Some(path) = file else { return Trusted::of_system() };
        let certificates = certificate::certificates_of(path)?;
        let may_be_shown =
            |it: &&CertificateDer<'_>| matches!(standing(it), Standing::Authority | Standing::Own);
        let pinned = certificates.iter().filter(may_be_shown).cloned().collect();
        let trusted = Trusted { pinned, ..Trusted::of(&certificates) };
        if trusted.authorities.is_empty() && trusted.pinned.is_empty() {
            let message = format!(
                "there is no authority's certificate in `{}`, and none to be trusted for itself",
                path.display()
            );
            let help =
                "it must be PEM, with the certificates of authorities, or the one that is shown itself";
            return Err(Unusable::new(message, help));
        }
        Ok(trusted)
    }

    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else the lists where Linux distributions have them. What is in them and no
    /// authority's is nothing that an administrator of lb has named.
    fn of_system() -> Result<Trusted, Unusable> {
        let found = rustls_native_certs::load_native_certs();
        let trusted = Trusted::of(&found.certs);
        if trusted.authorities.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            let message = format!("the system has no list of authorities{why}");
            return Err(Unusable::new(
                message,
                "name one by `ca_file`, or install the package ca-certificates",
            ));
        }
        Ok(trusted)
    }

    /// The authorities among them. One that is odd must not keep the others from being known, as there is in every
    /// system's bundle.
    fn of(certificates: &[CertificateDer<'static>]) -> Trusted {
        let mut authorities = RootCertStore::empty();
        let vouches =
            |it: &&CertificateDer<'_>| matches!(standing(it), Standing::Authority | Standing::Version1);
        authorities.add_parsable_certificates(certificates.iter().filter(vouches).cloned());
        Trusted { authorities: Arc::new(authorities), pinned: Arc::new([]) }
    }
}

/// By its basic constraints and key usage (RFC 5280, sections 4.2.1.3 and 4.2.1.9). Where it has no word of the former, the
/// latter may say that it signs others, as with OpenSSL.
pub(super) fn standing(certificate: &CertificateDer<'_>) -> Standing {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Standing::Unreadable };
    if certificate.version() != X509Version::V3 {
        return Standing::Version1;
    }
    let (Ok(constraints), Ok(usage)) = (certificate.basic_constraints(), certificate.key_usage()) else {
        return Standing::Unreadable;
    };
    let signs = usage.map(|usage| usage.value.key_cert_sign());
    match (constraints.map(|constraints| constraints.value.ca), signs) {
        (Some(true), None | Some(true)) | (None, Some(true)) => Standing::Authority,
        _ => Standing::Own,
    }
}

/// What a client needs that trusts those of a file, or the system's authorities where none is named; or, where it does
/// not verify, anybody.
///
/// # Errors
/// Where there is nobody to trust, as text for people.
pub(crate) fn client(verify: bool, ca_file: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous();
    let builder = if verify {
        let trusted = Trusted::read(ca_file).map_err(|unusable| io::Error::other(unusable.message))?;
        let verifier = ServerVerifier::new(&trusted, provider).map_err(io::Error::other)?;
        builder.with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_custom_certificate_verifier(Arc::new(Anybody::new(provider)))
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}
