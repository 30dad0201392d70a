//! The handshake with a client: bounded in time, and logged where it fails, in HAProxy's words.

use std::fmt::Display;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use rustls::{CertificateError, Connection, Error, ServerConnection};
use tokio::time::Instant;

use super::carrier::{Broken, State};
use super::listener::Listener;
use super::session::TlsSession;
use crate::log::LostConnection;
use crate::stats::tally::TlsTally;
use crate::stream::{Ending, Stream};
use crate::timer::Timer;
use crate::worker::{Doorway, Worker};

/// How long a handshake may take where the configuration has no timeout.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How long one may still take while the process drains.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Why there is no connection.
enum Failed {
    /// The handshake failed.
    Broken(Broken),
    /// It took too long.
    Timeout,
    /// The listener has gone meanwhile.
    Gone,
}

/// Makes TLS of a client's connection. Where that fails, which is logged, the client may have to be heard out, so that it
/// sees why.
pub(crate) async fn accept(
    worker: &Worker,
    doorway: &Doorway,
    listener: &Listener,
    socket: Stream,
    peer: Option<SocketAddr>,
) -> Result<(Stream, Arc<TlsSession>), Option<Ending>> {
    let accepted = SystemTime::now();
    let timeout = {
        let generation = worker.generation();
        let frontend = doorway.frontend().and_then(|index| generation.frontends.get(index));
        let timeouts = frontend.ok_or(None)?.shared.config.timeout;
        timeouts.http_request.or(timeouts.client).unwrap_or(HANDSHAKE)
    };
    let connection = match ServerConnection::new(listener.config.clone()) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(%error, "a client's TLS cannot begin");
            return Err(None);
        }
    };
    let mut state = State::new(socket, Connection::Server(connection));
    let mut timer = Timer::default();
    timer.set(Instant::now(), Some(timeout));
    let mut hurried = false;
    let done = poll_fn(|context| {
        if let Poll::Ready(done) = state.poll_handshake(context) {
            return Poll::Ready(done.map_err(Failed::Broken));
        }
        if doorway.frontend().is_none() {
            return Poll::Ready(Err(Failed::Gone));
        }
        if worker.is_draining() && !std::mem::replace(&mut hurried, true) {
            timer.set(Instant::now(), Some(LAST_CALL));
        }
        timer.poll_elapsed(context).map(|_| Err(Failed::Timeout))
    })
    .await;
    match done {
        Ok(()) => {
            let Connection::Server(connection) = state.connection() else { return Err(None) };
            let session = TlsSession::of(connection);
            count(worker, doorway, |tally| {
                tally.handshakes.add(1);
                tally.resumed.add(u64::from(session.resumed));
            });
            Ok((state.into_stream(), Arc::new(session)))
        }
        Err(failed) => {
            count(worker, doorway, |tally| tally.failures.add(1));
            log(worker, doorway, accepted, peer, &failed);
            let told = matches!(failed, Failed::Broken(Broken::Refused(_)));
            Err(if told { state.into_ending() } else { None })
        }
    }
}

/// Counts at the frontend that the door leads to.
fn count(worker: &Worker, doorway: &Doorway, add: impl FnOnce(&TlsTally)) {
    let generation = worker.generation();
    if let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) {
        add(&frontend.tally.tls);
    }
}

/// Writes HAProxy's line for a connection that came to nothing: `CLIENT [DATE] FRONTEND/LISTENER: WHY`.
fn log(worker: &Worker, doorway: &Doorway, accepted: SystemTime, peer: Option<SocketAddr>, failed: &Failed) {
    let generation = worker.generation();
    let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) else { return };
    let silent = matches!(failed, Failed::Broken(Broken::Closed | Broken::Io(_)));
    if silent && frontend.shared.config.dontlognull {
        return;
    }
    let (words, detail): (_, Option<&dyn Display>) = match failed {
        Failed::Gone => return,
        Failed::Timeout => ("Timeout during SSL handshake", None),
        Failed::Broken(Broken::Closed) => ("Connection closed during SSL handshake", None),
        Failed::Broken(Broken::Io(_)) => ("Connection error during SSL handshake", None),
        Failed::Broken(Broken::Refused(error)) => (words(error), Some(error)),
    };
    let detail = detail.map(|detail| detail.to_string());
    let lost = LostConnection {
        client: peer,
        accepted,
        frontend: &frontend.shared.config.name,
        listener: doorway.number(),
        why: words,
        detail: detail.as_deref(),
    };
    worker.log_connection(&frontend.log, &lost);
}

fn words(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "SSL client CA chain cannot be verified"
        }
        // The latter are ours, and say more than rustls's.
        Error::InvalidCertificate(_) | Error::Other(_) => "SSL client certificate not trusted",
        _ => "SSL handshake failure",
    }
}
