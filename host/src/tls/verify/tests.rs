//! Handshakes in memory, between what lb verifies and who shows all kinds of certificates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;
use crate::tls::certificate;

const NAME: &str = "app.internal";

/// Made by `openssl x509 -req` without an extension, for `app.internal`, for a hundred years.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBKzCB0QIUX/oWUrazgH0Bj6DrvDzRX3xh1PswCgYIKoZIzj0EAwIwFzEVMBMG
A1UEAwwMYXBwLmludGVybmFsMCAXDTI2MTEzMDE2MDEzNFoYDzIxMjYxMTA2MTYw
MTM0WjAXMRUwEwYDVQQDDAxhcHAuaW50ZXJuYWwwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASxj+YbE8Se90BOINwJNxsHVwlJ4UD+CpbTM3Nqc8Nup7vbNC1CAo0o
nNrLrIa4ReNfkrWIV6KtP5ZTNXcVMkarMAoGCCqGSM49BAMCA0kAMEYCIQCXTxV1
f5r70Y56pYzC5NGMdEqCIaewH0R1tWOZaWfgNgIhAJ5yGpngd8jBealmI5vIT++D
MRabaoVPK7NwmMD0arr9
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg04afCKjIpHnUG1RY
xAudYiz8Mbgh+YTSgMKSl4e7WpuhRANCAASxj+YbE8Se90BOINwJNxsHVwlJ4UD+
CpbTM3Nqc8Nup7vbNC1CAo0onNrLrIa4ReNfkrWIV6KtP5ZTNXcVMkar
-----END PRIVATE KEY-----
";

/// A certificate that somebody shows, with its issuers, and the private key.
#[derive(Clone)]
struct Shown {
    /// The first of the chain alone.
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Shown {
    fn of(made: &rcgen::Certificate, issuers: &[CertificateDer<'static>], pair: &KeyPair) -> Shown {
        let key = PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).unwrap();
        let chain = std::iter::once(made.der().clone()).chain(issuers.iter().cloned()).collect();
        Shown { pem: made.pem(), chain, key: Arc::new(key) }
    }

    fn certified(&self) -> Arc<CertifiedKey> {
        let key = ring::sign::any_supported_type(&self.key).unwrap();
        // Without a look at whether they belong together, which a certificate of version 1 would not pass.
        Arc::new(CertifiedKey::new(self.chain.clone(), key))
    }
}

fn version_1() -> Shown {
    let key = PrivateKeyDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
    let chain = CertificateDer::pem_slice_iter(VERSION_1.as_bytes()).collect::<Result<_, _>>().unwrap();
    Shown { pem: VERSION_1.to_owned(), chain, key: Arc::new(key) }
}

fn params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    change(&mut params);
    params
}

/// A certificate that has signed itself.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Shown {
    let pair = KeyPair::generate().unwrap();
    let made = params(change).self_signed(&pair).unwrap();
    Shown::of(&made, &[], &pair)
}

fn is_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// One that this one signs, and that is shown with it, whether or not it is an authority.
fn signed_by(
    issuer: &Shown,
    issuer_params: CertificateParams,
    change: impl FnOnce(&mut CertificateParams),
) -> Shown {
    let der = issuer.key.secret_der().to_vec();
    let issuer_pair = KeyPair::try_from(der).unwrap();
    let pair = KeyPair::generate().unwrap();
    let made = params(change).signed_by(&pair, &Issuer::new(issuer_params, issuer_pair)).unwrap();
    Shown::of(&made, &issuer.chain, &pair)
}

/// Whom a file with these certificates has lb trust.
fn trusting(certificates: &[&Shown]) -> Trusted {
    let pem: String = certificates.iter().map(|shown| &*shown.pem).collect();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let path = std::env::temp_dir().join(format!("lb-trust-{}-{number}.pem", std::process::id()));
    std::fs::write(&path, pem).unwrap();
    let trusted = Trusted::read(Some(&path));
    std::fs::remove_file(&path).unwrap();
    trusted.unwrap_or_else(|unusable| panic!("{}", unusable.message))
}

/// A resolver without a look at what it has.
#[derive(Debug)]
struct Whatever(Arc<CertifiedKey>);

impl ResolvesServerCert for Whatever {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl rustls::client::ResolvesClientCert for Whatever {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn run(client: ClientConfig, server: ServerConfig, name: &str) -> Result<(), String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..10 {
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut &*std::mem::take(&mut bytes)).unwrap();
        server.process_new_packets().map_err(|error| error.to_string())?;
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut &*std::mem::take(&mut bytes)).unwrap();
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

/// Whether lb, as a client that verifies by this, lets in a server that shows that.
fn server_passes(verifier: Arc<dyn ServerCertVerifier>, shown: &Shown, name: &str) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let mut outcomes = [&rustls::version::TLS12, &rustls::version::TLS13].map(|version| {
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Whatever(shown.certified())));
        run(client, server, name)
    });
    assert_eq!(outcomes[0], outcomes[1], "each version of TLS comes to the same");
    std::mem::replace(&mut outcomes[0], Ok(()))
}

fn passes(trusted: &[&Shown], shown: &Shown, name: &str) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = ServerVerifier::new(&trusting(trusted), provider).unwrap();
    server_passes(Arc::new(verifier), shown, name)
}

/// Whether lb, as a listener that verifies by this, lets in a client that shows that.
fn client_passes(trusted: &[&Shown], shown: &Shown) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = ClientVerifier::new(&trusting(trusted), false, provider.clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody::new(provider.clone())))
        .with_client_cert_resolver(Arc::new(Whatever(shown.certified())));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Whatever(self_signed(|_| {}).certified())));
    run(client, server, NAME)
}

#[track_caller]
fn assert_refused(outcome: Result<(), String>, why: &str) {
    let error = outcome.expect_err("it is let in");
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_certificate_that_is_named_itself_is_let_in_whatever_it_is() {
    let authority = self_signed(is_authority);
    let issued = signed_by(&authority, params(is_authority), |_| {});
    let alone = Shown { chain: issued.chain[..1].to_vec(), ..issued.clone() };
    let no_authority = self_signed(|params| params.is_ca = IsCa::ExplicitNoCa);
    for shown in [&authority, &self_signed(|_| {}), &no_authority, &alone, &issued] {
        assert_eq!(passes(&[shown], shown, NAME), Ok(()));
        assert_eq!(client_passes(&[shown], shown), Ok(()));
        // Among others it is as good.
        assert_eq!(passes(&[&self_signed(is_authority), shown], shown, NAME), Ok(()));
    }
}

#[test]
fn exactly_that_certificate_is_let_in_and_what_it_has_signed_is_not() {
    let pinned = self_signed(|_| {});
    let again = self_signed(|_| {});
    assert_refused(passes(&[&pinned], &again, NAME), "UnknownIssuer");
    assert_refused(client_passes(&[&pinned], &again), "UnknownIssuer");
    let signed = signed_by(&pinned, params(|_| {}), |params| {
        params.distinguished_name.push(DnType::OrganizationName, "another");
    });
    assert_refused(passes(&[&pinned], &signed, NAME), "UnknownIssuer");
    assert_refused(client_passes(&[&pinned], &signed), "UnknownIssuer");
    // Who has the certificate and not its key gets nowhere.
    let thief = Shown { chain: pinned.chain.clone(), ..self_signed(|_| {}) };
    assert_refused(passes(&[&pinned], &thief, NAME), "BadSignature");
    assert_refused(client_passes(&[&pinned], &thief), "BadSignature");
    let other_authority = self_signed(is_authority);
    let words = "the certificate is self-signed, and is not the one in `ca_file`";
    assert_refused(passes(&[&other_authority], &self_signed(is_authority), NAME), words);
}

#[test]
fn authorities_vouch_for_others_be_they_the_first_or_in_between() {
    let root = self_signed(is_authority);
    let named = |params: &mut CertificateParams| {
        is_authority(params);
        params.distinguished_name.push(DnType::OrganizationName, "in between");
    };
    let between = signed_by(&root, params(is_authority), named);
    let leaf = signed_by(&between, params(named), |_| {});
    for trusted in [&root, &between] {
        assert_eq!(passes(&[trusted], &leaf, NAME), Ok(()));
        assert_refused(passes(&[trusted], &leaf, "other.internal"), "not valid for name");
        assert_eq!(client_passes(&[trusted], &leaf), Ok(()));
    }
}

#[test]
fn who_may_sign_is_said_by_basic_constraints_or_else_by_the_key_usage() {
    let usages = |usages: &[KeyUsagePurpose]| usages.to_vec();
    for (constraints, usage, vouches) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), usages(&[]), true),
        (IsCa::Ca(BasicConstraints::Unconstrained), usages(&[KeyUsagePurpose::KeyCertSign]), true),
        (IsCa::Ca(BasicConstraints::Unconstrained), usages(&[KeyUsagePurpose::DigitalSignature]), false),
        (IsCa::NoCa, usages(&[KeyUsagePurpose::KeyCertSign]), true),
        (IsCa::NoCa, usages(&[]), false),
        (IsCa::ExplicitNoCa, usages(&[KeyUsagePurpose::KeyCertSign]), false),
    ] {
        let change = |params: &mut CertificateParams| {
            params.is_ca = constraints;
            params.key_usages = usage.clone();
        };
        let issuer = self_signed(change);
        let leaf = signed_by(&issuer, params(|params| params.is_ca = constraints), |_| {});
        assert_eq!(passes(&[&issuer], &leaf, NAME).is_ok(), vouches, "{constraints:?} {usage:?}");
    }
}

#[test]
fn the_name_of_a_pinned_certificate_must_be_the_one_that_is_asked_for() {
    let listed = self_signed(|params| {
        params.distinguished_name.push(DnType::CommonName, "common.internal");
    });
    assert_refused(passes(&[&listed], &listed, "common.internal"), "not valid for name");
    let common = |name: &'static str| {
        self_signed(|params| {
            params.subject_alt_names.clear();
            params.distinguished_name.push(DnType::CommonName, name);
        })
    };
    for (name, asked, is_good) in [
        ("common.internal", "common.internal", true),
        ("Common.Internal", "common.internal", true),
        ("common.internal", "app.internal", false),
        ("*.internal", "app.internal", true),
        ("*.internal", "a.app.internal", false),
        ("*.internal", "internal", false),
        ("10.0.0.1", "10.0.0.1", true),
    ] {
        let shown = common(name);
        assert_eq!(passes(&[&shown], &shown, asked).is_ok(), is_good, "{name} for {asked}");
    }
    let authority = self_signed(is_authority);
    let issued = signed_by(&authority, params(is_authority), |params| params.subject_alt_names.clear());
    assert_refused(passes(&[&authority], &issued, NAME), "not valid for name");
}

#[test]
fn the_dates_and_the_purpose_of_a_pinned_certificate_count() {
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let ended = self_signed(|params| {
        (params.not_before, params.not_after) = ((now - day * 3).into(), (now - day).into());
    });
    let early = self_signed(|params| {
        (params.not_before, params.not_after) = ((now + day).into(), (now + day * 3).into());
    });
    for (shown, why) in [(&ended, "certificate expired"), (&early, "not valid yet")] {
        assert_refused(passes(&[shown], shown, NAME), why);
        assert_refused(client_passes(&[shown], shown), why);
    }
    let client = self_signed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let server = self_signed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(passes(&[&server], &server, NAME), Ok(()));
    assert_eq!(client_passes(&[&client], &client), Ok(()));
    assert_refused(passes(&[&client], &client, NAME), "InvalidPurpose");
    assert_refused(client_passes(&[&server], &server), "InvalidPurpose");
}

#[test]
fn certificates_of_version_1_are_refused_by_that_reason() {
    let words = "the certificate is of X.509 version 1; version 3 alone is taken";
    let shown = version_1();
    let authority = self_signed(is_authority);
    assert_refused(passes(&[&shown], &shown, NAME), words);
    assert_refused(passes(&[&authority], &shown, NAME), words);
    assert_refused(client_passes(&[&authority], &shown), words);
    let anybody = Arc::new(Anybody::new(Arc::new(ring::default_provider())));
    assert_refused(server_passes(anybody, &shown, NAME), words);
    let path = std::env::temp_dir().join(format!("lb-version-1-{}.pem", std::process::id()));
    std::fs::write(&path, VERSION_1).unwrap();
    let unusable = certificate::read(&path, None).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(unusable.message.ends_with("is of X.509 version 1; version 3 alone is taken"), "{unusable:?}");
}
