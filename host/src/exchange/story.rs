//! What an exchange's log line will say: filled in as the exchange goes, written once, at its end.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use crate::connection::{Came, Client};
use crate::log::record::{Record, Tls};
use crate::policy::Standing;
use crate::stats::ending;
use crate::stats::tally::{Finished, Served};
use crate::worker::{BackendSeat, FrontendSeat, Worker};

/// The story of an exchange so far.
pub(super) struct Story {
    pub(super) came: Came,
    /// When the last server was assigned, or the wait for one given up: queues left behind.
    pub(super) assigned: Option<Instant>,
    /// When the connection stood.
    pub(super) connected: Option<Instant>,
    /// When the response's head was there.
    pub(super) responded: Option<Instant>,
    /// When both bodies had passed.
    pub(super) ended: Option<Instant>,
    /// The last server assigned.
    pub(super) server: Option<u32>,
    /// The status sent.
    pub(super) status: Option<u16>,
    /// Bytes sent to the client.
    pub(super) bytes: u64,
    /// Bytes that are on their way to the client with the response, and are counted when that has ended.
    pub(super) under_way: u64,
    /// Bytes of the request that the last server got.
    pub(super) uploaded: u64,
    cause: u8,
    phase: u8,
    /// Whether a backend has the request: no rule and no limit ended it before.
    pub(super) admitted: bool,
    pub(super) has_persistence: bool,
    /// What became of the key in the response.
    pub(super) key_fate: u8,
    pub(super) retries: u32,
    pub(super) redispatched: bool,
    pub(super) server_queue: u32,
    pub(super) backend_queue: u32,
    /// Requests at the server when this one left it.
    pub(super) server_connections: u32,
    /// Whether the request turned out to be none.
    forgotten: bool,
}

impl Story {
    /// The story of a request that came then.
    pub(super) fn new(came: Came) -> Story {
        Story {
            came,
            assigned: None,
            connected: None,
            responded: None,
            ended: None,
            server: None,
            status: None,
            bytes: 0,
            under_way: 0,
            uploaded: 0,
            cause: b'-',
            phase: b'-',
            admitted: false,
            has_persistence: false,
            key_fate: b'N',
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            server_connections: 0,
            forgotten: false,
        }
    }

    /// Notes who ended the exchange, in which phase. The first word counts.
    pub(super) fn ended_by(&mut self, cause: u8, phase: u8) {
        if self.cause == b'-' {
            (self.cause, self.phase) = (cause, phase);
        }
    }

    /// Notes who cut the exchange off, where it was at the time.
    pub(super) fn cut_off_by(&mut self, cause: u8) {
        self.bytes += std::mem::take(&mut self.under_way);
        let phase = match self {
            Story { status: Some(_), .. } => b'D',
            Story { connected: Some(_), .. } => b'H',
            Story { assigned: Some(_), .. } => b'C',
            Story { admitted: true, .. } => b'Q',
            _ => b'R',
        };
        self.ended_by(cause, phase);
    }

    /// The request was malformed after all: as if its head had never been understood.
    pub(super) fn forget_request(&mut self) {
        self.forgotten = true;
    }

    /// Counts the exchange: the one place where that is done.
    pub(super) fn count(&mut self, frontend: &FrontendSeat, backend: &BackendSeat) {
        let ended = *self.ended.get_or_insert_with(Instant::now);
        let since = |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let finished = Finished {
            status: self.status,
            ending: ending::of(self.cause, self.phase, self.status),
            bytes_in: self.uploaded,
            bytes_out: self.bytes,
            total: ended.saturating_duration_since(self.came.first_byte),
        };
        frontend.tally.finish(&finished);
        if self.forgotten || !self.admitted {
            return;
        }
        let served = Served {
            queue: since(Some(self.came.head), self.assigned),
            connect: since(self.assigned, self.connected),
            response: since(self.connected, self.responded),
            server_requests: self.server_connections,
            server_queue: self.server_queue,
            backend_queue: self.backend_queue,
            backend_requests: backend.shared.requests.load(Relaxed),
        };
        backend.tallies.finish(self.server, &finished, &served);
    }

    /// Writes the log line.
    pub(super) fn log(
        &self,
        worker: &Worker,
        frontend: &FrontendSeat,
        backend: &BackendSeat,
        client: &Client,
        standing: Option<Standing>,
    ) {
        if !frontend.log.is_on() {
            return;
        }
        let ended = self.ended.unwrap_or_else(Instant::now);
        let ms = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_duration_since(from).as_millis() as i64,
            _ => -1,
        };
        let known = !self.forgotten;
        let server = self.server.and_then(|index| backend.shared.servers.get(index as usize));
        let letters = match standing {
            Some(standing) if self.has_persistence && known && self.admitted => {
                [standing.letter(), self.key_fate]
            }
            _ => [b'-', b'-'],
        };
        let frontend_name = &*frontend.shared.config.name;
        let record = Record {
            client: client.peer,
            // Finding it out is a system call.
            local: if frontend.log.names_local() { client.stream.local() } else { None },
            accepted: self.came.first_byte_at,
            frontend: frontend_name,
            tls: client.tls.as_deref().map(Tls::of),
            backend: if known && self.admitted { &backend.shared.config.name } else { frontend_name },
            server: server.map(|server| &*server.config.name),
            server_address: server
                .filter(|_| frontend.log.names_server())
                .and_then(|server| server.address()),
            request_ms: if known { ms(Some(self.came.first_byte), Some(self.came.head)) } else { -1 },
            queue_ms: ms(Some(self.came.head), self.assigned),
            connect_ms: ms(self.assigned, self.connected),
            response_ms: ms(self.connected, self.responded),
            total_ms: ms(Some(self.came.first_byte), Some(ended)),
            status: self.status,
            bytes: self.bytes,
            uploaded: self.uploaded,
            termination: [self.cause, self.phase, letters[0], letters[1]],
            process_connections: worker.process.connections.current(),
            frontend_connections: frontend.shared.connections.current(),
            backend_connections: backend.shared.requests.load(Relaxed),
            server_connections: self.server_connections,
            retries: self.retries,
            redispatched: self.redispatched,
            server_queue: self.server_queue,
            backend_queue: self.backend_queue,
            request_line: known.then(|| client.scratch.request.request_line()),
            request: known.then_some(&*client.scratch.request),
            response: self.responded.map(|_| &*client.scratch.response),
        };
        worker.log(&frontend.log, &record);
    }
}
