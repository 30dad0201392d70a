//! An authority of a test's own, the certificates that it signs, and clients that come by TLS.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion};

use super::client::Client;
use super::wire::{Socket, Wire};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its private key.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Signed {
    /// Both in one file.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }
}

impl Signed {
    /// One for these hosts that has signed itself, as everybody makes them.
    pub(crate) fn by_itself(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).expect("names of hosts");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Signed { chain: made.pem(), key: key.serialize_pem() }
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two are called the same: a certificate is held against the authority that it names.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {} of a test", NEXT.fetch_add(1, Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let made = params.self_signed(&key).expect("a certificate");
        let (certificate, pem) = (made.der().clone(), made.pem());
        Authority { issuer: Issuer::new(params, key), certificate, pem }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these hosts.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_with(names, |_| {})
    }

    /// A certificate that ends so many days from now.
    pub(crate) fn sign_for_days(&self, names: &[&str], days: i64) -> Signed {
        self.sign_with(names, |params| {
            let day = Duration::from_secs(86_400) * days.unsigned_abs() as u32;
            let now = SystemTime::now();
            params.not_before = (now - day - Duration::from_secs(86_400)).into();
            // An hour more, so that the days are whole while the test runs.
            let hour = Duration::from_secs(3_600);
            params.not_after = (if days < 0 { now - day - hour } else { now + day + hour }).into();
        })
    }

    pub(crate) fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).expect("names of hosts");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed { chain: made.pem(), key: key.serialize_pem() }
    }

    /// Clients that trust it.
    pub(crate) fn clients(&self) -> Clients {
        self.clients_of(&[&rustls::version::TLS13, &rustls::version::TLS12], None)
    }

    /// Clients that trust it, and speak these versions, and show this.
    pub(crate) fn clients_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Signed>,
    ) -> Clients {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
                let chain = chain.collect::<Result<_, _>>().expect("a chain");
                builder.with_client_auth_cert(chain, key).expect("they belong together")
            }
        };
        Clients(Arc::new(config))
    }
}

/// Clients that share their sessions.
#[derive(Clone)]
pub(crate) struct Clients(pub(crate) Arc<ClientConfig>);

impl Clients {
    /// Connects, and asks for this host.
    pub(crate) fn try_connect(&self, address: &str, name: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(self.0.clone(), name).map_err(std::io::Error::other)?;
        let mut wire = Wire::new(Socket::tls(connection, stream));
        wire.shake_hands()?;
        Ok(Client { wire })
    }

    #[track_caller]
    pub(crate) fn connect(&self, address: &str, name: &str) -> Client {
        self.try_connect(address, name).unwrap_or_else(|error| panic!("no TLS with {address}: {error}"))
    }

    /// Why there is no connection: the error of the handshake, or of the first answer, where TLS 1.3 shows what the
    /// other side made of a client's certificate.
    #[track_caller]
    pub(crate) fn refused(&self, address: &str, name: &str) -> String {
        let asked = self.try_connect(address, name).and_then(|mut client| {
            client.wire.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n")?;
            client.wire.head()
        });
        match asked {
            Ok(answer) => panic!("it was let in: {answer:?}"),
            Err(error) => error.to_string(),
        }
    }
}

/// What a handshake settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) resumed: bool,
    /// The certificate, as DER.
    pub(crate) certificate: Vec<u8>,
}

impl Client {
    pub(crate) fn settled(&self) -> Settled {
        let connection = self.wire.tls().expect("a connection by TLS");
        Settled {
            version: connection.protocol_version(),
            resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            certificate: connection.peer_certificates().expect("a certificate")[0].to_vec(),
        }
    }
}
