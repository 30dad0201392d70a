//! What conditions and templates look at: the request as the client sent it, and where it came from.

use std::net::{IpAddr, SocketAddr};

use crate::http::head::RequestHead;

/// A request and its connection.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its head.
    pub head: &'a RequestHead,
    /// The client's address; `None` on a Unix socket.
    pub client: Option<SocketAddr>,
    /// The address that it connected to, where rules ask for it.
    pub local: Option<SocketAddr>,
    /// Its TLS, if the client speaks any.
    pub tls: Option<Tls<'a>>,
    /// The request's own number, where rules ask for it.
    pub request_id: u128,
    /// The host that was asked for, without its port.
    pub(super) host: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
}

/// What is known of a client's TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls<'a> {
    /// Its version, as in `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite's name.
    pub cipher: &'a str,
    /// The server name that the client asked for; may be empty.
    pub sni: &'a str,
    /// The client's certificate, which was found good.
    pub client: Option<Certificate<'a>>,
}

/// A client's certificate.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'a> {
    /// Its subject.
    pub subject: &'a str,
    /// The subject's common name, if it has one.
    pub common_name: Option<&'a str>,
}

/// The lines by which servers learn of a client's certificate, and which nobody else may write.
pub const CERTIFICATE_LINES: [&str; 3] = ["x-ssl-client-cn", "x-ssl-client-dn", "x-ssl-client-verify"];

impl<'a> Facts<'a> {
    /// The facts of a request from this client.
    pub fn new(head: &'a RequestHead, client: Option<SocketAddr>) -> Facts<'a> {
        Facts {
            head,
            client,
            local: None,
            tls: None,
            request_id: 0,
            host: head.host(),
            path: head.path(),
            query: head.query(),
        }
    }

    /// The value of a line that this program adds to the request, by what it knows of the client's certificate.
    pub(crate) fn vouched(&self, name: &str) -> Option<&'a [u8]> {
        let certificate = self.tls?.client?;
        let line = CERTIFICATE_LINES.iter().position(|line| name.eq_ignore_ascii_case(line))?;
        let value = [certificate.common_name, Some(certificate.subject), Some("0")][line];
        value.map(str::as_bytes)
    }

    /// The values of the request's lines of a name, as a server gets them from the client and from what is known of its
    /// certificate.
    pub(crate) fn headers<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'a [u8]> + 'f {
        let lines = self.head.lines().iter().filter(|line| line.name.eq_ignore_ascii_case(name.as_bytes()));
        lines.map(|line| line.value).chain(self.vouched(name))
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.client.map(|client| client.ip())
    }

    /// The value of the first query parameter of this name, as it stands; one without `=` has none.
    pub(super) fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.query?.split(|byte| *byte == b'&').find_map(|pair| {
            let rest = pair.strip_prefix(name)?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"=") }
        })
    }
}
