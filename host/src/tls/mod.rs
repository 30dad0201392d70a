//! TLS: what is known of a client that came by it.

/// The facts of a client's TLS connection, settled by its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code)]
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
#[allow(dead_code)]
pub(crate) struct ClientCertificate {
    /// Its subject, as in `CN=alice,O=Example`.
    pub(crate) subject: String,
    /// The subject's common name.
    pub(crate) common_name: Option<String>,
}
