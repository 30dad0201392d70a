//! What is known of a client that came by TLS.

use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// The facts of a client's TLS connection, settled by its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSession {
    /// The protocol's version, as in `TLSv1.3`.
    pub(crate) version: &'static str,
    /// The cipher suite's name, as IANA has it.
    pub(crate) cipher: &'static str,
    /// The name that the client asked for (SNI), in lower case.
    pub(crate) server_name: Option<String>,
    /// The protocol that was agreed on (ALPN), as in `h2`.
    pub(crate) alpn: Option<Vec<u8>>,
    /// The certificate that the client showed, and that was found good.
    pub(crate) client: Option<ClientCertificate>,
    /// Whether an earlier session was taken up again.
    pub(crate) resumed: bool,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// Its subject, as in `CN=alice,O=Example` (RFC 4514), in visible ASCII.
    pub(crate) subject: String,
    /// The subject's common name, in visible ASCII.
    pub(crate) common_name: Option<String>,
}

impl TlsSession {
    /// Of a handshake that is done.
    pub(super) fn of(connection: &ServerConnection) -> TlsSession {
        TlsSession {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .map_or("", iana),
            server_name: connection.server_name().map(str::to_ascii_lowercase),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            client: connection.peer_certificates().and_then(<[_]>::first).and_then(subject),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// The suite's name in IANA's list; rustls tells those of TLS 1.3 apart by another prefix.
fn iana(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        name => name,
    }
}

fn subject(certificate: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject();
    let common_name = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    Some(ClientCertificate {
        subject: distinguished_name(name),
        common_name: common_name.map(|name| visible(name, false)),
    })
}

/// A name as RFC 4514 writes it, the innermost part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let attributes: Vec<_> = name.iter_attributes().collect();
    let parts = attributes.into_iter().rev().map(|attribute| {
        let kind = attribute.attr_type();
        let short = x509_parser::objects::oid2abbrev(kind, x509_parser::objects::oid_registry());
        let kind = short.map_or_else(|_| kind.to_id_string(), str::to_owned);
        format!("{kind}={}", visible(attribute.as_str().unwrap_or_default(), true))
    });
    parts.collect::<Vec<_>>().join(",")
}

/// A value that can stand in a header line: whoever signed the certificate may have let anything into it. What is not
/// visible ASCII is written as `\` and two hexadecimal digits a byte, and so is, in a name of many parts, what parts
/// them.
fn visible(text: &str, parted: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b',' | b'+' | b'"' | b'<' | b'>' | b';' | b'=' if parted => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn of(name: &[(DnType, &str)]) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        name.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        subject(made.der()).unwrap()
    }

    #[test]
    fn a_subject_is_written_the_innermost_part_first() {
        let alice = of(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "alice"),
        ]);
        assert_eq!(alice.subject, "CN=alice,O=Example,C=DE");
        assert_eq!(alice.common_name.as_deref(), Some("alice"));
        assert_eq!(of(&[(DnType::OrganizationName, "x")]).common_name, None);
    }

    #[test]
    fn nothing_in_a_subject_can_end_a_line_or_pass_for_another_part() {
        let hostile = of(&[(DnType::CommonName, "a,CN=admin\r\nx-admin: 1\u{e9}\\")]);
        assert_eq!(hostile.subject, "CN=a\\,CN\\=admin\\0D\\0Ax-admin: 1\\C3\\A9\\\\");
        assert_eq!(hostile.common_name.as_deref(), Some("a,CN=admin\\0D\\0Ax-admin: 1\\C3\\A9\\\\"));
    }
}
