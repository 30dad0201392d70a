//! Which certificate a client gets: by the name that it asks for (SNI), exactly or by a wildcard, and by the kinds of
//! signatures that it can verify.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::Certificate;

/// The certificates of a listener.
#[derive(Debug)]
pub(super) struct Resolver {
    /// By name.
    exact: HashMap<Box<str>, Keys>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Keys>,
    /// What everybody else gets; `None`: nothing, and so no connection.
    default: Option<Keys>,
}

/// Certificates for the same name, of different kinds: who can verify ECDSA gets that, for it costs least.
#[derive(Debug, Clone, Default)]
struct Keys(Vec<Arc<CertifiedKey>>);

impl Resolver {
    /// One for these certificates, of which the first is the default; none is with `strict`.
    pub(super) fn new(certificates: &[Certificate], strict: bool) -> Resolver {
        let mut resolver = Resolver { exact: HashMap::new(), wildcard: HashMap::new(), default: None };
        for certificate in certificates {
            for name in &certificate.names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent),
                    None => (&mut resolver.exact, name.as_str()),
                };
                table.entry(name.into()).or_default().add(&certificate.key);
            }
        }
        if let (false, Some(first)) = (strict, certificates.first()) {
            // Others of the same names serve those who cannot verify the first.
            let others = certificates.iter().filter(|other| other.names == first.names);
            let mut keys = Keys::default();
            others.for_each(|other| keys.add(&other.key));
            resolver.default = Some(keys);
        }
        resolver
    }

    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                self.named(&name.to_ascii_lowercase())
            } else {
                self.named(name)
            }
        });
        named.or(self.default.as_ref())?.choose(schemes)
    }

    fn named(&self, name: &str) -> Option<&Keys> {
        // A wildcard stands for one label (RFC 9525, section 6.3).
        let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(name).or_else(parent)
    }
}

impl Keys {
    /// Adds one; the first of each kind counts.
    fn add(&mut self, key: &Arc<CertifiedKey>) {
        let kind = key.key.algorithm();
        if self.0.iter().all(|other| other.key.algorithm() != kind) {
            self.0.push(key.clone());
            self.0.sort_by_key(|key| key.key.algorithm() == SignatureAlgorithm::RSA);
        }
    }

    fn choose(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let fit = self.0.iter().find(|key| key.key.choose_scheme(schemes).is_some());
        fit.or(self.0.first()).cloned()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use rustls::crypto::ring::sign::any_supported_type;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    use super::*;

    fn certificate(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let made = CertificateParams::new(names.clone()).unwrap().self_signed(&pair).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let key = CertifiedKey::new(vec![made.der().clone()], any_supported_type(&key).unwrap());
        Certificate { path: names[0].clone().into(), key: Arc::new(key), names, not_after: 0 }
    }

    const ECDSA: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];

    fn found(resolver: &Resolver, certificates: &[Certificate], name: Option<&str>) -> Option<usize> {
        let key = resolver.find(name, ECDSA)?;
        certificates.iter().position(|certificate| Arc::ptr_eq(&certificate.key, &key))
    }

    #[test]
    fn the_exact_name_goes_before_the_wildcard_and_that_before_the_default() {
        let certificates = [
            certificate(&["first.example"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["*.b.example", "b.example"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["exact.b.example"], &PKCS_ECDSA_P256_SHA256),
        ];
        for (strict, default) in [(false, Some(0)), (true, None)] {
            let resolver = Resolver::new(&certificates, strict);
            for (name, expected) in [
                (Some("first.example"), Some(0)),
                (Some("FIRST.example"), Some(0)),
                (Some("b.example"), Some(1)),
                (Some("x.b.example"), Some(1)),
                (Some("exact.b.example"), Some(2)),
                (Some("y.x.b.example"), default),
                (Some("example"), default),
                (Some(""), default),
                (Some("."), default),
                (None, default),
            ] {
                assert_eq!(found(&resolver, &certificates, name), expected, "{name:?}, strict: {strict}");
            }
        }
    }

    #[test]
    fn of_two_kinds_each_client_gets_the_one_that_it_can_verify() {
        let certificates = [
            certificate(&["a.example"], &PKCS_ED25519),
            certificate(&["a.example"], &PKCS_ECDSA_P256_SHA256),
        ];
        let resolver = Resolver::new(&certificates, false);
        assert_eq!(found(&resolver, &certificates, Some("a.example")), Some(1));
        assert_eq!(found(&resolver, &certificates, None), Some(1));
        let edwards = resolver.find(Some("a.example"), &[SignatureScheme::ED25519]).unwrap();
        assert!(Arc::ptr_eq(&edwards, &certificates[0].key));
    }
}
