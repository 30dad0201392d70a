//! Who is waited for: the client, while its request waits in here, and which of the two sides while they talk.
//!
//! A request waits in a queue, for a connection, between two tries. If its client leaves meanwhile, it is dropped there and
//! then: it costs no server anything, and nobody waits behind it. The client's socket is looked at only while the exchange
//! really waits; a request that has its place and an idle connection at once never comes here.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::Exchange;
use super::transfer::{Transfer, Waiting};
use crate::buffer::Buffer;
use crate::config::model::AbortOnClose;
use crate::connection::Client;
use crate::failure::Failure;
use crate::stream::Reader;

/// A connection that takes longer than this really waits. A client that sends its request, closes its side, and listens is
/// not taken for one that has left because a server is some way off.
const CONNECTING: Duration = Duration::from_millis(250);
/// A client that is silent for so long within its upload keeps the server waiting.
const HELD_UP: Duration = Duration::from_millis(100);

/// What ended a wait before what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client has left.
    Left,
    /// The time was up.
    Elapsed,
}

impl Exchange<'_> {
    /// Waits for a turn in a queue, up to the deadline and for as long as the client stays.
    pub(super) async fn wait_for_turn<F: Future + Unpin>(&mut self, mut turn: F) -> Result<F::Output, Cut> {
        let (watches, bufsize) = (self.watches_client(), self.worker.tune.bufsize);
        let client = &mut *self.client;
        poll_fn(|context| {
            // The client comes first: a turn that has come goes on to the next one if nobody wants it any more.
            if watches && has_left(client, bufsize, context) {
                return Poll::Ready(Err(Cut::Left));
            }
            if let Poll::Ready(output) = std::pin::Pin::new(&mut turn).poll(context) {
                return Poll::Ready(Ok(output));
            }
            client.timer.poll_elapsed(context).map(|_| Err(Cut::Elapsed))
        })
        .await
    }

    /// Waits for a connection, `after` from now at most and for as long as the client stays.
    pub(super) async fn wait_for_connection<F: Future>(
        &mut self,
        after: Option<Duration>,
        connecting: F,
    ) -> Result<F::Output, Cut> {
        let (watches, bufsize) = (self.watches_client(), self.worker.tune.bufsize);
        let client = &mut *self.client;
        let began = Instant::now();
        let mut connecting = std::pin::pin!(connecting);
        let watches = watches && after.is_none_or(|after| after > CONNECTING);
        let mut calm = watches;
        client.timer.set(began, if calm { Some(CONNECTING) } else { after });
        poll_fn(|context| {
            if let Poll::Ready(output) = connecting.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if calm {
                ready!(client.timer.poll_elapsed(context));
                calm = false;
                client.timer.set(began, after);
            }
            if watches && has_left(client, bufsize, context) {
                return Poll::Ready(Err(Cut::Left));
            }
            client.timer.poll_elapsed(context).map(|_| Err(Cut::Elapsed))
        })
        .await
    }

    /// How long a client may be silent that is waited for.
    pub(super) fn client_timeout(&self) -> Option<Duration> {
        self.frontend.shared.config.timeout.client
    }

    /// How long a server may be silent that is waited for.
    pub(super) fn server_timeout(&self) -> Option<Duration> {
        self.backend.shared.config.timeout.server
    }

    /// How long the side may be silent that is waited for now.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.pace.is_clients() { self.client_timeout() } else { self.server_timeout() }
    }

    /// Lets time pass before the next try.
    ///
    /// # Errors
    /// When the client leaves before.
    pub(super) async fn rest(&mut self, pause: Duration) -> Result<(), Failure> {
        self.client.timer.set(Instant::now(), Some(pause));
        match self.wait_for_turn(std::future::pending::<()>()).await {
            Err(Cut::Left) => Err(Failure::ClientAbortsConnect),
            Ok(()) | Err(Cut::Elapsed) => Ok(()),
        }
    }

    /// Whether a client of HTTP/1 that leaves is looked out for while a server is at work on its request.
    pub(super) fn watches_on(&self) -> bool {
        self.backend.shared.config.abortonclose == AbortOnClose::Always
            && !self.client.stream.ends_with_request()
    }

    /// Whether a client that leaves is looked out for while its request waits in here. A stream of HTTP/2 says without doubt
    /// that it is given up; a connection that ends may still be listened on.
    fn watches_client(&self) -> bool {
        let abort = self.backend.shared.config.abortonclose;
        abort != AbortOnClose::Never || self.client.stream.ends_with_request()
    }
}

/// Whether a client that waits has left; else wakes the task when it does. What it sends meanwhile is kept, as far as
/// there is room.
pub(super) fn has_left(client: &mut Client, bufsize: usize, context: &mut Context<'_>) -> bool {
    if client.stream.ends_with_request() {
        return client.stream.split().0.is_abandoned(context);
    }
    has_ended(&mut client.stream.split().0, &mut client.buffer, bufsize, context)
}

/// Whether a connection of HTTP/1 has ended on the client's side; else as [`has_left`].
pub(super) fn has_ended(
    reader: &mut Reader<'_>,
    buffer: &mut Buffer,
    bufsize: usize,
    context: &mut Context<'_>,
) -> bool {
    while buffer.data().len() < bufsize {
        match reader.poll_fill(context, buffer, bufsize) {
            Poll::Ready(Ok(count)) if count > 0 => {}
            Poll::Ready(_) => return true,
            Poll::Pending => return false,
        }
    }
    // Its end may stand behind what there is no room for.
    reader.is_closed()
}

/// Whom an exchange waits for while the response is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Client,
    Server,
    /// Each may wait for the other: the server for more of the request, the client for more of the response. That the
    /// server is silent is no failure of its own then.
    Either,
}

impl Waits {
    /// For the client, or for the server.
    pub(super) fn of(client: bool) -> Waits {
        if client { Waits::Client } else { Waits::Server }
    }

    /// How long it waits, by what client and server are given; where it waits for either, as long as the more patient of
    /// the two.
    pub(super) fn patience(self, client: Option<Duration>, server: Option<Duration>) -> Option<Duration> {
        match self {
            Waits::Client => client,
            Waits::Server => server,
            Waits::Either => Some(client?.max(server?)),
        }
    }
}

/// Which side an exchange waits for while a request is on its way, and how long the client has been that.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when the client is waited for; `None`: the server is.
    client_since: Option<Instant>,
    /// How long the client was waited for before that.
    client_took: Duration,
    /// Whether the client waits for the server to ask for the body (RFC 9110, section 10.1.1).
    unasked: bool,
}

impl Pace {
    /// At the beginning of a try. `unasked` says that the client waits to be asked for the request's body.
    pub(super) fn begin(unasked: bool) -> Pace {
        Pace { unasked, ..Pace::default() }
    }

    /// The server has asked for the body.
    pub(super) fn asked(&mut self) {
        self.unasked = false;
    }

    /// Whether a request that is not done waits for its client.
    pub(super) fn waits_for_client(&self, upload: &Transfer) -> bool {
        upload.waiting == Waiting::Source && (upload.received || !self.unasked)
    }

    /// Notes whom the exchange waits for now. Answers the time if the deadline is to be set anew: something moved, or it is
    /// the other one's turn.
    pub(super) fn turn(&mut self, client: bool, moved: bool) -> Option<Instant> {
        if !moved && client == self.client_since.is_some() {
            return None;
        }
        let now = Instant::now();
        self.client_took += self.client_waited(now);
        self.client_since = client.then_some(now);
        Some(now)
    }

    /// Whether it is the client that is waited for.
    pub(super) fn is_clients(&self) -> bool {
        self.client_since.is_some()
    }

    /// Whether the client has kept the server waiting, so that it is not the server's doing if that gives up.
    pub(super) fn is_held_up(&self) -> bool {
        self.client_since.is_some() && self.client_waited(Instant::now()) >= HELD_UP
    }

    /// How long the client was waited for in all, until now.
    pub(super) fn client_took(&self, now: Instant) -> Duration {
        self.client_took + self.client_waited(now)
    }

    fn client_waited(&self, now: Instant) -> Duration {
        self.client_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_client_takes_is_its_own() {
        let mut pace = Pace::begin(false);
        let ms = |ms| tokio::time::advance(Duration::from_millis(ms));
        assert!(pace.turn(true, true).is_some());
        ms(60).await;
        assert!(pace.turn(true, false).is_none() && !pace.is_held_up());
        ms(60).await;
        assert!(pace.is_clients() && pace.is_held_up());
        assert!(pace.turn(true, true).is_some() && !pace.is_held_up(), "it has sent something");
        ms(30).await;
        assert!(pace.turn(false, false).is_some(), "it is the server's turn");
        ms(500).await;
        assert!(pace.turn(false, false).is_none() && !pace.is_clients() && !pace.is_held_up());
        assert_eq!(pace.client_took(Instant::now()), Duration::from_millis(150));
    }
}
