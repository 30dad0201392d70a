//! A client's TLS handshake as the worker sees it: how long it may take, what is counted of it, and the line in the log
//! where it fails.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Doorway, Worker};
use crate::log::LostConnection;
use crate::stats::tally::TlsTally;
use crate::stream::{Ending, Stream};
use crate::tls::{self, TlsSession, Wanted, Why};

/// How long a handshake may take where the configuration has no timeout.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// Makes TLS of a client's connection. Where that fails, which is logged, the client may have to be heard out, so that it
/// sees why.
pub(super) async fn accept(
    worker: &Worker,
    doorway: &Doorway,
    listener: Rc<tls::Listener>,
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
    let wanted = || match doorway.frontend() {
        None => Wanted::No,
        Some(_) if worker.is_draining() => Wanted::Soon,
        Some(_) => Wanted::Yes,
    };
    match tls::accept(&listener, socket, timeout, wanted).await {
        Ok((stream, session)) => {
            count(worker, doorway, |tally| {
                tally.handshakes.add(1);
                tally.resumed.add(u64::from(session.resumed));
            });
            Ok((stream, Arc::new(session)))
        }
        Err(failed) => {
            if !matches!(failed.why, Why::NotBegun) {
                count(worker, doorway, |tally| tally.failures.add(1));
            }
            log(worker, doorway, accepted, peer, &failed.why);
            Err(failed.ending)
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
fn log(worker: &Worker, doorway: &Doorway, accepted: SystemTime, peer: Option<SocketAddr>, why: &Why) {
    let generation = worker.generation();
    let Some(frontend) = doorway.frontend().and_then(|index| generation.frontends.get(index)) else { return };
    if why.is_silent() && frontend.shared.config.dontlognull {
        return;
    }
    let Some((words, detail)) = why.words() else { return };
    let detail = detail.map(ToString::to_string);
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
