//! What may be done twice: the one place where that is decided.
//!
//! A request is sent again only where it may come twice and do no more than once (RFC 9110, section 9.2.2), or where it
//! is proven that no server has processed it: there was no connection, not a byte of it was handed to one, or a server
//! of HTTP/2 has said that it did not look at it. A server that took all of it and died may have done what it asks, and
//! looks to this side exactly like one that closed the connection before the request reached it. So what must not come
//! twice is not only never sent again: it also gets no connection that may have been closed for having idled.

use std::time::Duration;

use tokio::time::Instant;

use super::Exchange;
use super::attempt::{Conversation, Tried};
use crate::config::model::care::HttpReuse;
use crate::failure::{Failure, Retry};
use crate::stream::Stream;
use crate::upstream::Demand;

/// A server that has answered within so short a time is not about to close its connection for having idled: no server's
/// own timeout is shorter. What has idled for longer may be closed by the time that a request reaches it, although the
/// system here still has it for open.
const RECENT: Duration = Duration::from_secs(1);

/// A server that closes its connection behind an answer without having said so does it at once; what its answer was
/// followed by in this time would have come.
const SETTLED: Duration = Duration::from_millis(1);

/// What a try has come to, as far as it can be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// No server has processed the request.
    Unprocessed,
    /// One may have.
    Unknown,
}

impl Exchange<'_> {
    /// Whether the request may be executed more than once.
    pub(super) fn may_come_twice(&self) -> bool {
        self.backend.shared.config.retry_on.any_method || self.client.scratch.request.is_idempotent()
    }

    /// Whether the request may be sent again after the try that failed last.
    pub(super) fn may_be_sent_again(&self) -> bool {
        self.upload.is_kept() && (self.fate == Fate::Unprocessed || self.may_come_twice())
    }

    /// Whether another try follows one that ended like this: by a failure, or with the answer whose head is there.
    pub(super) fn is_tried_again(&self, failure: Option<Failure>) -> bool {
        let config = &self.backend.shared.config;
        let on = &config.retry_on;
        let wanted = match failure.map(|failure| failure.outcome().retry) {
            None => on.statuses.contains(&self.client.scratch.response.status),
            Some(Retry::Connect) => on.conn_failure,
            Some(Retry::Empty) => on.empty_response,
            Some(Retry::Junk) => on.junk_response,
            Some(Retry::Timeout) => on.response_timeout,
            Some(Retry::Reconnect | Retry::Never) => false,
        };
        wanted
            && self.story.retries < config.retries
            && self.may_be_sent_again()
            && self.backend.shared.retry_budget.as_ref().is_none_or(|budget| budget.spend(Instant::now()))
    }

    /// Whether connections to this server are the client's own, and nobody else's.
    pub(super) fn is_own(&self, server: u32) -> bool {
        let backend = &self.backend.shared;
        backend.config.http_reuse == HttpReuse::Never
            || self.client.own.is_bound_to(&backend.servers[server as usize])
    }

    /// A connection that has served another request, where this one may have it and there is one.
    pub(super) fn take_idle(&mut self, server: u32, address_version: u64, now: Instant) -> Option<Stream> {
        let backend = self.backend;
        if self.is_own(server) {
            // What its server knows of the client does not hold on any other.
            return self.client.own.take(&backend.shared.servers[server as usize], address_version);
        }
        if !self.upload.is_read() {
            // By the time that it turns out to be closed, some of the body would be gone.
            return None;
        }
        let demand = if self.may_come_twice() {
            Demand::Likely
        } else {
            match (backend.shared.config.http_reuse, self.client.has_asked) {
                (HttpReuse::Never, _) | (HttpReuse::Safe, false) => return None,
                (HttpReuse::Safe, true) => {
                    Demand::Open { after: SETTLED, within: Some(RECENT), reused: false }
                }
                (HttpReuse::Aggressive, false) => {
                    Demand::Open { after: Duration::ZERO, within: None, reused: true }
                }
                (HttpReuse::Aggressive, true) | (HttpReuse::Always, _) => {
                    Demand::Open { after: Duration::ZERO, within: None, reused: false }
                }
            }
        };
        backend.pools[server as usize].borrow_mut().take(address_version, demand, now)
    }

    /// Has a connection belong to the client from the answer on that asks for credentials of such a kind.
    pub(super) fn claim(&mut self, server: u32, own: bool, conversation: Conversation) -> Conversation {
        let asked = self.client.scratch.response.binds_connection;
        if asked {
            self.client.own.bind(&self.backend.shared.servers[server as usize]);
        }
        Conversation { own: own || asked, ..conversation }
    }

    /// As [`Exchange::converse`], on a connection that takes the request's bytes from here and keeps none of them: where it
    /// has taken none, no server has.
    pub(super) async fn converse_by_socket(
        &mut self,
        stream: Stream,
        began: Instant,
        reused: bool,
    ) -> Result<Conversation, Tried> {
        let before = self.upload.written;
        let tried = self.converse(stream, began, reused).await;
        if tried.is_err() && self.upload.written == before {
            self.fate = Fate::Unprocessed;
        }
        tried
    }
}
