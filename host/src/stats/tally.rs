//! What a worker counts: a block of cells for each frontend, backend and server, which it alone writes. At the end
//! of an exchange one block of its frontend and one of its server are touched; a backend's figures are the sum of
//! its servers' and of what reached none. Nothing here locks, allocates or shares a cache line with a writer.

use std::sync::Arc;
use std::time::Duration;

use super::ending::Ending;
use crate::cell::Cell;
use crate::histogram::Histogram;

/// Classes of statuses: 1xx to 5xx, and others.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// An exchange that is over, as the counters see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    /// The status that was answered, if any was.
    pub(crate) status: Option<u16>,
    pub(crate) ending: Ending,
    /// Bytes that went to the server.
    pub(crate) bytes_in: u64,
    /// Bytes that went to the client.
    pub(crate) bytes_out: u64,
    /// From the request's first byte to the end.
    pub(crate) total: Duration,
}

/// What reached a backend, more of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    /// From the request's head to the server's assignment.
    pub(crate) queue: Option<Duration>,
    /// From there until the connection stood.
    pub(crate) connect: Option<Duration>,
    /// From there until the response's head was there.
    pub(crate) response: Option<Duration>,
    /// Requests at the server when this one left it.
    pub(crate) server_requests: u32,
    /// Its places in the queues; 0 where it did not wait.
    pub(crate) server_queue: u32,
    pub(crate) backend_queue: u32,
    /// Requests at the backend when this one left it.
    pub(crate) backend_requests: u32,
}

/// A frontend on one worker.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct FrontendTally {
    pub(crate) connections: Cell,
    /// Those that lists of networks or limits closed unread.
    pub(crate) denied_connections: Cell,
    pub(crate) tls: TlsTally,
    pub(crate) requests: Cell,
    pub(crate) responses: [Cell; 6],
    pub(crate) bytes_in: Cell,
    pub(crate) bytes_out: Cell,
    pub(crate) denied: Cell,
    pub(crate) request_errors: Cell,
    pub(crate) intercepted: Cell,
    pub(crate) internal_errors: Cell,
    pub(crate) total: Histogram,
}

/// Handshakes of a frontend on one worker.
#[derive(Debug, Default)]
pub(crate) struct TlsTally {
    pub(crate) handshakes: Cell,
    /// Those that took up an earlier session.
    pub(crate) resumed: Cell,
    pub(crate) failures: Cell,
}

impl FrontendTally {
    /// Counts an exchange, or what was no request.
    pub(crate) fn finish(&self, finished: &Finished) {
        self.requests.add(1);
        if let Some(status) = finished.status {
            self.responses[class(status)].add(1);
        }
        self.bytes_in.add(finished.bytes_in);
        self.bytes_out.add(finished.bytes_out);
        self.total.add(finished.total);
        match finished.ending {
            Ending::Denied => self.denied.add(1),
            Ending::RequestError => self.request_errors.add(1),
            Ending::Intercepted => self.intercepted.add(1),
            Ending::Internal => self.internal_errors.add(1),
            _ => {}
        }
    }
}

/// A server on one worker; also what reached a backend but none of its servers.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct ServerTally {
    pub(crate) requests: Cell,
    pub(crate) responses: [Cell; 6],
    pub(crate) bytes_in: Cell,
    pub(crate) bytes_out: Cell,
    pub(crate) requests_max: Cell,
    pub(crate) queue_max: Cell,
    /// Connections that were tried, and those that were there already.
    pub(crate) connects: Cell,
    pub(crate) reuses: Cell,
    pub(crate) connection_errors: Cell,
    pub(crate) response_errors: Cell,
    pub(crate) retries: Cell,
    pub(crate) redispatches: Cell,
    pub(crate) client_aborts: Cell,
    pub(crate) server_aborts: Cell,
    pub(crate) queue: Histogram,
    pub(crate) connect: Histogram,
    pub(crate) response: Histogram,
    pub(crate) total: Histogram,
}

impl ServerTally {
    fn finish(&self, finished: &Finished, served: &Served) {
        self.requests.add(1);
        if let Some(status) = finished.status {
            self.responses[class(status)].add(1);
        }
        self.bytes_in.add(finished.bytes_in);
        self.bytes_out.add(finished.bytes_out);
        for (histogram, time) in [
            (&self.queue, served.queue),
            (&self.connect, served.connect),
            (&self.response, served.response),
            (&self.total, Some(finished.total)),
        ] {
            if let Some(time) = time {
                histogram.add(time);
            }
        }
        match finished.ending {
            Ending::ResponseError => self.response_errors.add(1),
            Ending::ClientAbort => self.client_aborts.add(1),
            Ending::ServerAbort => self.server_aborts.add(1),
            _ => {}
        }
    }
}

/// A backend on one worker: what is not the sum of its servers.
#[derive(Debug, Default)]
pub(crate) struct BackendTally {
    /// What reached no server.
    pub(crate) unserved: ServerTally,
    pub(crate) requests_max: Cell,
    pub(crate) queue_max: Cell,
}

/// A backend and its servers on one worker.
#[derive(Debug, Clone)]
pub(crate) struct BackendTallies {
    pub(crate) backend: Arc<BackendTally>,
    pub(crate) servers: Box<[Arc<ServerTally>]>,
}

impl BackendTallies {
    /// The block of a server.
    pub(crate) fn server(&self, index: u32) -> &ServerTally {
        self.servers.get(index as usize).map_or(&self.backend.unserved, |server| server)
    }

    /// Counts an exchange; `server` is the last one assigned.
    pub(crate) fn finish(&self, server: Option<u32>, finished: &Finished, served: &Served) {
        self.backend.requests_max.raise(u64::from(served.backend_requests) + 1);
        self.backend.queue_max.raise(u64::from(served.backend_queue));
        match server {
            Some(index) => {
                let server = self.server(index);
                server.requests_max.raise(u64::from(served.server_requests) + 1);
                server.queue_max.raise(u64::from(served.server_queue));
                server.finish(finished, served);
            }
            None => self.backend.unserved.finish(finished, served),
        }
    }
}

/// The index in [`CLASSES`] of a status.
fn class(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100 - 1),
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_fall_into_classes() {
        let classes = [100, 204, 302, 404, 599, 600, 99].map(|status| CLASSES[class(status)]);
        assert_eq!(classes, ["1xx", "2xx", "3xx", "4xx", "5xx", "other", "other"]);
    }
}
