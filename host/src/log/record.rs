//! What is known of an exchange when it ends: all that a log line may say.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::http::head::{RequestHead, ResponseHead};
use crate::tls::TlsSession;

/// An exchange, for the log. Times are in milliseconds; -1 stands for a phase that was not reached.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The client; `None` for one on a Unix socket, which is logged as `unix:1`.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to; `None` on a Unix socket. Only the line without `httplog`
    /// names it.
    pub local: Option<SocketAddr>,
    /// When the request's connection was accepted, or, on a connection that is kept, when the request began.
    pub accepted: SystemTime,
    /// The frontend's name.
    pub frontend: &'a str,
    /// The client's TLS; `None` where it came in clear text.
    pub tls: Option<Tls<'a>>,
    /// The backend's name; the frontend's where none was reached.
    pub backend: &'a str,
    /// The server's name; `None` is logged as `<NOSRV>`.
    pub server: Option<&'a str>,
    /// The server's address, where it has one.
    pub server_address: Option<SocketAddr>,
    /// `%TR`: from the first byte of the request to the end of its head.
    pub request_ms: i64,
    /// `%Tw`: in queues.
    pub queue_ms: i64,
    /// `%Tc`: to connect, retries included.
    pub connect_ms: i64,
    /// `%Tr`: to the end of the server's response head.
    pub response_ms: i64,
    /// `%Ta`: in all, from the first byte of the request to the last of the response.
    pub total_ms: i64,
    /// The status sent to the client; `None` is logged as -1.
    pub status: Option<u16>,
    /// Bytes sent to the client, heads included.
    pub bytes: u64,
    /// Bytes of the request, its head included, that the last server got.
    pub uploaded: u64,
    /// The termination state's four characters.
    pub termination: [u8; 4],
    /// Client connections of the process.
    pub process_connections: u32,
    /// Client connections of the frontend.
    pub frontend_connections: u32,
    /// Requests at the backend.
    pub backend_connections: u32,
    /// Requests at the server.
    pub server_connections: u32,
    /// Connection attempts after the first.
    pub retries: u32,
    /// Whether a retry went to another server.
    pub redispatched: bool,
    /// Requests that were ahead in the server's queue.
    pub server_queue: u32,
    /// Requests that were ahead in the backend's queue.
    pub backend_queue: u32,
    /// The request line as sent; `None` is logged as `<BADREQ>`.
    pub request_line: Option<&'a [u8]>,
    /// The request as sent.
    pub request: Option<&'a RequestHead>,
    /// The response as the server sent it.
    pub response: Option<&'a ResponseHead>,
}

/// The facts of a client's TLS.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// The protocol's version, as in `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite, as in `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'a str,
    /// The name that the client asked for (SNI).
    pub name: Option<&'a str>,
    /// The protocol agreed on (ALPN).
    pub protocol: Option<&'a [u8]>,
    /// The subject of the client's certificate.
    pub client: Option<&'a str>,
}

impl<'a> Tls<'a> {
    /// Those of a session.
    pub(crate) fn of(session: &'a TlsSession) -> Tls<'a> {
        Tls {
            version: session.version,
            cipher: session.cipher,
            name: session.server_name.as_deref(),
            protocol: session.alpn.as_deref(),
            client: session.client.as_ref().map(|certificate| &*certificate.subject),
        }
    }
}

impl Record<'_> {
    /// Whether HAProxy would not call it normal: whoever ended it, unless that was this program itself with
    /// an answer of its own; a retry, a redispatch, or a status of 500 or more.
    pub fn is_error(&self) -> bool {
        let cause = self.termination[0];
        self.redispatched
            || !matches!(cause, b'-' | b'L')
            || (cause == b'-' && self.retries > 0)
            || self.status.is_some_and(|status| status >= 500)
    }

    /// The request line's method, target and version.
    pub(super) fn request_parts(&self) -> Option<[&[u8]; 3]> {
        let line = self.request_line?;
        let method = memchr::memchr(b' ', line).unwrap_or(line.len());
        let rest = line.get(method + 1..).unwrap_or_default();
        let target = memchr::memrchr(b' ', rest).unwrap_or(rest.len());
        Some([&line[..method], &rest[..target], rest.get(target + 1..).unwrap_or_default()])
    }

    /// `%Td`: from the end of the server's response head to the end of all.
    pub(super) fn data_ms(&self) -> i64 {
        let before = [self.request_ms, self.queue_ms, self.connect_ms, self.response_ms];
        if before.iter().any(|ms| *ms < 0) { -1 } else { (self.total_ms - before.iter().sum::<i64>()).max(0) }
    }
}
