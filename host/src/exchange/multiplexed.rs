//! A try at a server that speaks HTTP/2: a place on a connection to it, open already or opened now; and another one
//! where the connection turns out not to take the request.

use tokio::time::Instant;

use super::Exchange;
use super::attempt::{Conversation, Tried, connect_failure};
use super::patience::Cut;
use crate::failure::Failure;
use crate::upstream::{Call, Seat, Sessions};

/// How many connections may hand a request back.
const MAX_HANDED_BACK: usize = 3;

impl Exchange<'_> {
    /// Sends the request over HTTP/2, and waits for the answer's head.
    pub(super) async fn try_http2(
        &mut self,
        server: u32,
        address_version: u64,
        began: Instant,
    ) -> Result<Conversation, Failure> {
        let backend = self.backend;
        let shared = &backend.shared.servers[server as usize];
        let sessions = backend.pools[server as usize].borrow_mut().sessions(address_version);
        let call = Call::new(self.worker.tune, shared.tls().is_some_and(|connector| connector.requests));
        self.upload.rewind();
        for round in 0..=MAX_HANDED_BACK {
            let (seat, began) = match sessions.take() {
                Some(seat) => {
                    backend.tallies.server(server).reuses.add(1);
                    self.story.connected = self.story.assigned;
                    (seat, began)
                }
                None => {
                    let opened = self.open_session(server, &sessions).await;
                    let seat = opened.map_err(|failure| {
                        // What has been written of the body already cannot be written again.
                        if round == 0 || self.upload.is_read() { failure } else { Failure::ServerClosed }
                    })?;
                    let now = Instant::now();
                    self.story.connected = Some(now);
                    (seat, now)
                }
            };
            // A connection that is shared may always turn out to have ended.
            match self.converse(call.at(seat), began, true).await {
                Err(Tried::Stale) if call.may_go_again() => self.story.connected = None,
                Err(Tried::Stale) if self.pace.is_held_up() => return Err(Failure::ServerGaveUp),
                Err(Tried::Stale) => return Err(Failure::ServerEmpty),
                Err(Tried::Failed(Failure::ServerTimeout)) => {
                    call.timed_out();
                    return Err(Failure::ServerTimeout);
                }
                Err(Tried::Failed(failure)) => return Err(failure),
                Ok(conversation) => return Ok(conversation),
            }
        }
        Err(Failure::ServerStale)
    }

    async fn open_session(&mut self, server: u32, sessions: &Sessions) -> Result<Seat, Failure> {
        let backend = self.backend;
        let tally = backend.tallies.server(server);
        let shared = &backend.shared.servers[server as usize];
        let opening = sessions.open(shared, self.worker.tune, || tally.connects.add(1));
        let opened = self.wait_for_connection(backend.shared.config.timeout.connect, opening).await;
        if !matches!(opened, Ok(Ok(_)) | Err(Cut::Left)) {
            tally.connection_errors.add(1);
        }
        match opened {
            Ok(Ok(seat)) => Ok(seat),
            Ok(Err(error)) => Err(connect_failure(&error)),
            Err(Cut::Elapsed) => Err(Failure::ConnectTimeout),
            Err(Cut::Left) => Err(Failure::ClientAbortsConnect),
        }
    }
}
