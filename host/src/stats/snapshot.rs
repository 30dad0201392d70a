//! Everything that is counted, as it is at one moment: plain data, for whoever shows it.

use serde::Serialize;

use super::intake::{Discovery, Limit};
use super::tally::ServerTally;
use crate::histogram::{CallTimes, Times};

/// The process and all that it serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// The process.
    pub process: Process,
    /// Its workers.
    pub workers: Vec<Worker>,
    /// The frontends, in the order of the file.
    pub frontends: Vec<Frontend>,
    /// The backends, in the order of the file.
    pub backends: Vec<Backend>,
    /// The policies of all backends.
    pub policies: Vec<Policy>,
    /// The sources of backends' servers.
    pub discoveries: Vec<Discovery>,
    /// The limits of all frontends and backends.
    pub limits: Vec<Limit>,
    /// Where log lines go.
    pub logs: Vec<Log>,
    /// The certificates in use.
    pub certificates: Vec<Certificate>,
}

/// The process.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Process {
    /// The program's version.
    pub version: &'static str,
    /// Its process id.
    pub pid: u32,
    /// When it started: milliseconds since 1970.
    pub started_ms: u64,
    /// For how long it has been running.
    pub uptime_seconds: f64,
    /// Client connections now.
    pub connections: u32,
    /// The most client connections there were at once.
    pub connections_max: u32,
    /// How many there may be; `None`: no limit.
    pub connections_limit: Option<u32>,
    /// Processor time used.
    pub cpu_seconds: f64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Address space in use.
    pub virtual_bytes: u64,
    /// File descriptors open.
    pub open_fds: u64,
    /// File descriptors that may be open; `None`: no limit.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Configurations that requests are served by: the one in force, and those of before whose last exchanges have not
    /// ended.
    pub generations: usize,
    /// Configurations that were put into force since the start, the first not counted.
    pub reloads: u64,
    /// Configurations that were refused.
    pub reloads_failed: u64,
    /// When the configuration in force was put there: milliseconds since 1970.
    pub configured_ms: u64,
    /// Whether the last configuration that was read is in force.
    pub configuration_current: bool,
    /// Whether the process drains.
    pub draining: bool,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worker {
    /// Its number, from 0.
    pub index: usize,
    /// How long it was at work since it started.
    pub busy_seconds: f64,
    /// How often it went to sleep, to be woken by the next events.
    pub sleeps: u64,
}

/// A frontend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frontend {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Client connections now.
    pub connections: u32,
    /// The most client connections there were at once.
    pub connections_max: u32,
    /// How many there may be; `None`: no limit.
    pub connections_limit: Option<u32>,
    /// Client connections so far.
    pub connections_total: u64,
    /// Those that lists of networks or limits closed unread.
    pub connections_denied: u64,
    /// TLS handshakes that went well.
    pub tls_handshakes: u64,
    /// Those that took up an earlier session.
    pub tls_resumed: u64,
    /// TLS handshakes that came to nothing.
    pub tls_failures: u64,
    /// Requests that are over, and what was no request.
    pub requests: u64,
    /// Answers by class of status: 1xx to 5xx, others.
    pub responses: [u64; 6],
    /// Bytes of requests that went to servers.
    pub bytes_in: u64,
    /// Bytes that went to clients.
    pub bytes_out: u64,
    /// Requests that a rule or a limit refused.
    pub denied: u64,
    /// What was no request, or not in time.
    pub request_errors: u64,
    /// Requests that were answered without a server: redirects, fixed answers.
    pub intercepted: u64,
    /// Requests that this program failed at.
    pub internal_errors: u64,
    /// From the request's first byte to the end.
    pub total_time: Times,
}

/// What went through a server or a backend.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Traffic {
    /// Requests that are over.
    pub requests: u64,
    /// Answers by class of status: 1xx to 5xx, others.
    pub responses: [u64; 6],
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// Connections tried.
    pub connects: u64,
    /// Requests that went over a connection that was there already.
    pub reuses: u64,
    /// Connections that failed, and requests that found no server.
    pub connection_errors: u64,
    /// Answers that were none, broken or late.
    pub response_errors: u64,
    /// Tries after a failed one.
    pub retries: u64,
    /// Tries that went to another server than before.
    pub redispatches: u64,
    /// Exchanges that the client broke off.
    pub client_aborts: u64,
    /// Answers that the server broke off.
    pub server_aborts: u64,
    /// From the request's head to the server's assignment.
    pub queue_time: Times,
    /// From there until the connection stood.
    pub connect_time: Times,
    /// From there until the answer's head was there.
    pub response_time: Times,
    /// From the request's first byte to the end.
    pub total_time: Times,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Whether any server may be chosen.
    pub up: bool,
    /// Servers that may serve, backups aside.
    pub active: usize,
    /// Backups that may serve.
    pub backups: usize,
    /// The weight of the servers that may be chosen, together.
    pub weight: u32,
    /// Requests now, those that wait included.
    pub requests_current: u32,
    /// The most requests there were at once, as of those that are over.
    pub requests_max: u64,
    /// Requests that wait for any server or a certain one.
    pub queue: u32,
    /// The longest that the backend's own queue was, as of those that are over.
    pub queue_max: u64,
    /// Retries that its budget refused.
    pub retries_refused: u64,
    /// How its circuit breaker stands; `None`: failures do not open it.
    pub circuit: Option<&'static str>,
    /// Requests that its circuit breaker refused.
    pub circuit_refused: u64,
    /// What went through it.
    pub traffic: Traffic,
    /// Its servers, in the order of the file.
    pub servers: Vec<Server>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Where it is; empty while its name does not resolve.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// Whether it serves only where no other can.
    pub backup: bool,
    /// Whether it is out of service by the configuration.
    pub disabled: bool,
    /// Whether it is a slot that its source has no server for.
    pub vacant: bool,
    /// Whether it may serve.
    pub up: bool,
    /// How its circuit breaker stands; `None`: it has none.
    pub circuit: Option<&'static str>,
    /// Its checks; `None` where it is not checked.
    pub check: Option<Check>,
    /// Requests now.
    pub requests_current: u32,
    /// The most requests there were at once, as of those that are over.
    pub requests_max: u64,
    /// How many there may be; `None`: no limit.
    pub requests_limit: Option<u32>,
    /// Requests that wait for this server and no other.
    pub queue: u32,
    /// The longest that its queue was, as of those that are over.
    pub queue_max: u64,
    /// How often it went DOWN.
    pub downs: u64,
    /// For how long it has been DOWN, all in all.
    pub downtime_seconds: f64,
    /// When it last went UP or DOWN: milliseconds since 1970; `None`: it never did.
    pub changed_ms: Option<u64>,
    /// Its latest changes, the oldest first.
    pub history: Vec<Change>,
    /// What went through it.
    pub traffic: Traffic,
}

/// A server's health checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// As HAProxy writes it: `3/3 UP`.
    pub health: String,
    /// Checks that are over.
    pub total: u64,
    /// Those that failed.
    pub failed: u64,
    /// What the last one found; empty before the first.
    pub last: String,
    /// How long that took.
    pub last_ms: Option<u64>,
}

/// A server that went UP or DOWN.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it went UP.
    pub up: bool,
    /// Why.
    pub cause: String,
}

/// A policy in one role of a backend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// Its name, by its own account.
    pub name: String,
    /// The backend.
    pub backend: String,
    /// `balance` or `persistence`.
    pub role: &'static str,
    /// Its place among the policies of its role, from 0.
    pub position: usize,
    /// Calls that it decided.
    pub decisions: u64,
    /// Picks that it passed on.
    pub passes: u64,
    /// Answers that were given again without a call.
    pub reused: u64,
    /// Calls that the host decided in its place.
    pub fallbacks: u64,
    /// Failed calls, by kind.
    pub faults: Vec<(&'static str, u64)>,
    /// Instances made.
    pub instances: u64,
    /// How often it was left out for a while.
    pub benches: u64,
    /// Whether it is left out now.
    pub benched: bool,
    /// How long its calls took, of those that were timed.
    pub call_times: CallTimes,
}

/// A certificate that is shown to clients, or to servers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    /// The frontend or backend that shows it.
    pub proxy: String,
    /// Its file.
    pub file: String,
    /// The hosts that it is for.
    pub names: Vec<String>,
    /// When it ends: seconds since 1970.
    pub not_after: i64,
}

/// A destination of log lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// `stdout`, a path, `host:port`.
    pub destination: String,
    /// Lines written.
    pub written: u64,
    /// Lines lost: the reader was too slow, or is not there.
    pub dropped: u64,
}

impl Traffic {
    /// Adds what a worker's block has.
    pub(crate) fn take(&mut self, tally: &ServerTally) {
        let ServerTally { responses, queue, connect, response, total, .. } = tally;
        for (sum, cell) in self.responses.iter_mut().zip(responses) {
            *sum = sum.wrapping_add(cell.read());
        }
        for (sum, cell) in [
            (&mut self.requests, &tally.requests),
            (&mut self.bytes_in, &tally.bytes_in),
            (&mut self.bytes_out, &tally.bytes_out),
            (&mut self.connects, &tally.connects),
            (&mut self.reuses, &tally.reuses),
            (&mut self.connection_errors, &tally.connection_errors),
            (&mut self.response_errors, &tally.response_errors),
            (&mut self.retries, &tally.retries),
            (&mut self.redispatches, &tally.redispatches),
            (&mut self.client_aborts, &tally.client_aborts),
            (&mut self.server_aborts, &tally.server_aborts),
        ] {
            *sum = sum.wrapping_add(cell.read());
        }
        self.queue_time.take(queue);
        self.connect_time.take(connect);
        self.response_time.take(response);
        self.total_time.take(total);
    }

    /// Adds other traffic.
    pub(crate) fn merge(&mut self, other: &Traffic) {
        for (sum, more) in self.responses.iter_mut().zip(&other.responses) {
            *sum = sum.wrapping_add(*more);
        }
        for (sum, more) in [
            (&mut self.requests, other.requests),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
            (&mut self.connects, other.connects),
            (&mut self.reuses, other.reuses),
            (&mut self.connection_errors, other.connection_errors),
            (&mut self.response_errors, other.response_errors),
            (&mut self.retries, other.retries),
            (&mut self.redispatches, other.redispatches),
            (&mut self.client_aborts, other.client_aborts),
            (&mut self.server_aborts, other.server_aborts),
        ] {
            *sum = sum.wrapping_add(more);
        }
        self.queue_time.merge(&other.queue_time);
        self.connect_time.merge(&other.connect_time);
        self.response_time.merge(&other.response_time);
        self.total_time.merge(&other.total_time);
    }
}
