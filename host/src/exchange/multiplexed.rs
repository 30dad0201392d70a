//! A try at a server that speaks HTTP/2: a place on a connection to it, open already or opened now; and another one
//! where the connection turns out not to take the request.

use tokio::time::Instant;

use super::Exchange;
use super::attempt::{Conversation, Tried, are_files_used_up, connect_failure};
use super::patience::Cut;
use super::repeat::Fate;
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
        let own = self.is_own(server);
        let sessions = if own {
            self.client.own.sessions(shared, address_version)
        } else {
            backend.pools[server as usize].borrow_mut().sessions(address_version)
        };
        let call = Call::new(self.worker.tune, shared.tls().is_some_and(|connector| connector.requests));
        self.upload.rewind();
        let mut lost = false;
        for round in 0..=MAX_HANDED_BACK {
            // Others that have been open for as long as one that broke may be about to break too.
            let found = if lost { None } else { self.seat(&sessions).await };
            let (seat, began, used) = match found {
                Some(seat) => {
                    backend.tallies.server(server).reuses.add(1);
                    self.story.connected = self.story.assigned;
                    (seat, began, true)
                }
                None => {
                    let opened = self.open_session(server, &sessions).await;
                    let seat = opened.map_err(|failure| {
                        // What has been written of the body already cannot be written again.
                        if round == 0 || self.upload.is_kept() { failure } else { Failure::ServerClosed }
                    })?;
                    let now = Instant::now();
                    self.story.connected = Some(now);
                    (seat, now, false)
                }
            };
            // A connection that is shared may always turn out to have ended.
            match self.converse(call.at(seat), began, true).await {
                Ok(conversation) => {
                    if !own && self.client.scratch.response.binds_connection {
                        self.client.own.bind(shared);
                        call.give(&sessions, &self.client.own.sessions(shared, address_version));
                    }
                    return Ok(conversation);
                }
                Err(tried) => lost |= self.is_lost(tried, &call, used && !lost)?,
            }
            self.story.connected = None;
        }
        Err(Failure::ServerStale)
    }

    /// Whether the request goes to a connection that is made for it after a try that came to nothing, or to any other; a
    /// failure where it goes nowhere. `used`: the connection had carried others, and none before it broke so.
    fn is_lost(&mut self, tried: Tried, call: &Call, used: bool) -> Result<bool, Failure> {
        match tried {
            Tried::Stale | Tried::Failed(Failure::ServerClosed) if call.is_handed_back() => {
                self.fate = Fate::Unprocessed;
                if call.is_kept() { Ok(false) } else { Err(Failure::ServerEmpty) }
            }
            Tried::Stale if used && call.is_lost() && call.is_kept() && self.may_come_twice() => Ok(true),
            Tried::Stale if self.pace.is_held_up() => Err(Failure::ServerGaveUp),
            Tried::Stale => Err(Failure::ServerEmpty),
            Tried::Failed(failure) => {
                if failure == Failure::ServerTimeout {
                    call.timed_out();
                }
                Err(failure)
            }
        }
    }

    /// A place on a connection that is open already. What must not come twice gets none on one that has ended, though
    /// nobody here has heard of that: it waits until the system has been asked.
    async fn seat(&self, sessions: &Sessions) -> Option<Seat> {
        let seat = sessions.take()?;
        if self.may_come_twice() || !seat.is_alone() {
            return Some(seat);
        }
        // The first lets the runtime look at the sockets, the second what the connection's own tasks make of it.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        if seat.is_gone() { sessions.take() } else { Some(seat) }
    }

    async fn open_session(&mut self, server: u32, sessions: &Sessions) -> Result<Seat, Failure> {
        let backend = self.backend;
        let tally = backend.tallies.server(server);
        let shared = &backend.shared.servers[server as usize];
        let timeout = backend.shared.config.timeout.connect;
        let open = || sessions.open(shared, self.worker.tune, || tally.connects.add(1));
        let mut opened = self.wait_for_connection(timeout, open()).await;
        // As for a connection that is not shared.
        if matches!(&opened, Ok(Err(error)) if are_files_used_up(error)) && self.worker.close_idle() {
            opened = self.wait_for_connection(timeout, open()).await;
        }
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
