//! Verification of what the other side of a handshake shows, by whom lb trusts.
//!
//! Chains are webpki's to follow. A certificate that is trusted for itself has no chain: it is compared, its dates and
//! its purpose are looked at, and, where a server shows it, its name. What webpki cannot read, or has no words for, is
//! said here.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::trust::{Standing, Trusted, standing};

/// Verifies servers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    /// `None`: nobody vouches for others.
    chains: Option<Arc<WebPkiServerVerifier>>,
    pinned: Arc<[CertificateDer<'static>]>,
    provider: Arc<CryptoProvider>,
}

/// Verifies clients.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chains: Option<Arc<dyn ClientCertVerifier>>,
    pinned: Arc<[CertificateDer<'static>]>,
    is_optional: bool,
    provider: Arc<CryptoProvider>,
}

/// `verify = "none"`: whoever holds the key of the certificate that is shown, whatever it says.
#[derive(Debug)]
pub(super) struct Anybody(Arc<CryptoProvider>);

/// What a certificate is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Server,
    Client,
}

impl ServerVerifier {
    pub(super) fn new(trusted: &Trusted, provider: Arc<CryptoProvider>) -> Result<ServerVerifier, String> {
        let chains = match trusted.authorities.is_empty() {
            true => None,
            false => {
                let roots = trusted.authorities.clone();
                let builder = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
                Some(builder.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(ServerVerifier { chains, pinned: trusted.pinned.clone(), provider })
    }
}

impl ClientVerifier {
    /// With `is_optional`, a client need not show any.
    pub(super) fn new(
        trusted: &Trusted,
        is_optional: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<ClientVerifier, String> {
        let chains = match trusted.authorities.is_empty() {
            true => None,
            false => {
                let roots = trusted.authorities.clone();
                let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                Some(builder.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(ClientVerifier { chains, pinned: trusted.pinned.clone(), is_optional, provider })
    }
}

impl Anybody {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Anybody {
        Anybody(provider)
    }
}

/// Whether a certificate that is trusted for itself serves this purpose now.
fn check_pinned(certificate: &CertificateDer<'_>, purpose: Purpose, now: UnixTime) -> Result<(), Error> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = certificate.validity();
    let second = |time: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time).unwrap_or(0)))
    };
    let (not_before, not_after) =
        (second(validity.not_before.timestamp()), second(validity.not_after.timestamp()));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    let usage = certificate.extended_key_usage().map_err(|_| CertificateError::BadEncoding)?;
    let serves = usage.is_none_or(|usage| {
        let named = match purpose {
            Purpose::Server => usage.value.server_auth,
            Purpose::Client => usage.value.client_auth,
        };
        usage.value.any || named
    });
    if serves { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
}

/// Whether the certificate is for this name. Of one that is trusted for itself and has no list of names at all the
/// common name counts, as with OpenSSL: nothing but the certificate that was named can pass by it.
fn check_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let Err(error) = verify_server_name(&parsed, name) else { return Ok(()) };
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    if !matches!(certificate.subject_alternative_name(), Ok(None)) {
        return Err(error);
    }
    let is_named = |common: &str| {
        let name = name.to_str();
        let behind_first_label = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_ascii_lowercase());
        match common.strip_prefix("*.") {
            Some(parent) => behind_first_label(&name).is_some_and(|rest| rest.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(common),
        }
    };
    let mut common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    if common_names.any(is_named) { Ok(()) } else { Err(error) }
}

/// Whether a server that shows this pinned certificate would be let in by that name now; for `lb check`.
pub(super) fn try_pinned(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    check_pinned(certificate, Purpose::Server, UnixTime::now())?;
    check_name(certificate, name)
}

/// An error in words that say what to do about it, where webpki's do not.
fn explained(error: Error, certificate: &CertificateDer<'_>) -> Error {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return error };
    let words = match (parsed.version(), &error) {
        (X509Version::V1, _) => "the certificate is of X.509 version 1; version 3 alone is taken",
        (X509Version::V2, _) => "the certificate is of X.509 version 2; version 3 alone is taken",
        (_, Error::InvalidCertificate(CertificateError::Other(_)))
            if parsed.is_ca() && parsed.subject().as_raw() == parsed.issuer().as_raw() =>
        {
            "the certificate is self-signed, and is not the one in `ca_file`"
        }
        (_, Error::InvalidCertificate(CertificateError::Other(_))) if parsed.is_ca() => {
            "the certificate is an authority's, and is taken only where `ca_file` has it itself"
        }
        _ => return error,
    };
    Error::Other(OtherError(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(words))))
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            check_pinned(end_entity, Purpose::Server, now)?;
            check_name(end_entity, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let verified = match &self.chains {
            Some(chains) => chains.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verified.map_err(|error| explained(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(&self.provider, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        !self.is_optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // With certificates that nobody vouches for, clients get no list of those who may: it would keep them from
        // showing one.
        match &self.chains {
            Some(chains) if self.pinned.iter().all(|pinned| standing(pinned) == Standing::Authority) => {
                chains.root_hint_subjects()
            }
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            // Nothing odd in it is overlooked: webpki reads it too.
            ParsedCertificate::try_from(end_entity)?;
            check_pinned(end_entity, Purpose::Client, now)?;
            return Ok(ClientCertVerified::assertion());
        }
        let verified = match &self.chains {
            Some(chains) => chains.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verified.map_err(|error| explained(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(&self.provider, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(&self.0, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(&self.0, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn tls12(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = &provider.signature_verification_algorithms;
    verify_tls12_signature(message, certificate, signature, algorithms)
        .map_err(|error| explained(error, certificate))
}

fn tls13(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = &provider.signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signature, algorithms)
        .map_err(|error| explained(error, certificate))
}

#[cfg(test)]
mod tests;
