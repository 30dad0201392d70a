//! What is known of an exchange when it ends: all that a log line may say.

use std::net::SocketAddr;
use std::time::SystemTime;

/// A connection that ended before its first request: its handshake failed.
#[derive(Debug, Clone)]
pub struct LostConnection<'a> {
    /// The client; `None` for one on a Unix socket.
    pub client: Option<SocketAddr>,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// The frontend's name.
    pub frontend: &'a str,
    /// Which of the frontend's listeners it came to, from 1 on.
    pub listener: usize,
    /// What happened, in HAProxy's words.
    pub why: &'a str,
    /// What exactly was wrong.
    pub detail: Option<&'a str>,
}

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
    /// Whether the client came by TLS.
    pub tls: bool,
    /// The backend's name; the frontend's where none was reached.
    pub backend: &'a str,
    /// The server's name; `None` is logged as `<NOSRV>`.
    pub server: Option<&'a str>,
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
}
