//! The response on its way to the client, and what is left of the request on its way to the server.

use std::future::poll_fn;
use std::task::Poll;
use std::time::SystemTime;

use tokio::time::Instant;

use super::attempt::Attempt;
use super::patience::Waits;
use super::response::{self, Shape};
use super::transfer::{Halt, Transfer, Waiting};
use super::{Exchange, Next, edits, encoding, since_1970_ms};
use crate::connection::Client;
use crate::failure::Failure;
use crate::http::body::Encoding;
use crate::http::head::{Framing, Version};
use crate::http::trailers::Sender;
use crate::linger::Discard;
use crate::policy::{Amendment, Key, KeyEdit, Reply, Standing};
use crate::stream::Stream;

/// Trailers of a call of gRPC that broke off: `UNAVAILABLE`, so that a client may call again.
const BROKEN_CALL: &[u8] = b"grpc-status: 14\r\ngrpc-message: the call was broken off\r\n";

impl Exchange<'_> {
    /// Passes the response on. From its first byte on, no other answer can be given.
    pub(super) async fn relay(&mut self, mut attempt: Attempt) -> Result<Next, Failure> {
        let tunnel = self.is_tunnel();
        debug_assert!(!tunnel || self.upload.is_done(), "a tunnel begins behind the request");
        let (request, response) = (&self.client.scratch.request, &self.client.scratch.response);
        let switching = response.status == 101;
        let dechunk = request.version == Version::Http10 && response.framing == Framing::Chunked;
        let framing = if tunnel { Framing::Close } else { response.framing };
        let ends_by_itself = framing != Framing::Close
            && !(framing == Framing::Chunked && (dechunk || response.version == Version::Http10));
        let keep_alive = request.keep_alive && ends_by_itself && !self.is_last();
        let cookie_attributes = self.cookie_attributes();
        let shape = Shape { dechunk, keep_alive: keep_alive || tunnel, switching, cookie_attributes };
        self.ends_by_close = !ends_by_itself;
        let mut head = std::mem::take(&mut self.client.scratch.down);
        self.key_fate_and_head(attempt.server, &shape, tunnel, &mut head);
        let is_message = self.client.stream.message().is_some();
        let encoding = if dechunk || is_message { Encoding::Plain } else { encoding(framing) };
        let mut download = Transfer::new(framing, Sender::Server, encoding, head);
        if is_message {
            download = download.into_message();
        }
        download.withhold(edits::names(&self.edits.response));
        // What has come is looked at before anything goes out: an answer that is broken from the start can
        // still be replaced.
        if download.gather(&mut attempt.buffer).is_err() {
            self.story.responded = None;
            self.story.key_fate = b'N';
            return Err(Failure::ServerInvalid);
        }
        self.story.status = Some(self.client.scratch.response.status);
        // Whatever cuts it off, this process's end included, the other side is not to take it for an end in order.
        if self.ends_by_close {
            self.client.stream.reset_on_close(true);
        }
        if tunnel {
            attempt.stream.reset_on_close(true);
        }
        let ended = if tunnel {
            self.tunnel(&mut attempt, &mut download).await
        } else {
            self.transfer(&mut attempt, &mut download).await
        };
        let ended_at = Instant::now();
        self.story.ended = Some(ended_at);
        (self.story.under_way, self.story.bytes) = (0, self.story.bytes + download.written);
        let whole = ended.is_ok() && self.upload.is_done() && !tunnel;
        let spliced = download.spliced;
        self.client.scratch.down = download.take_spare();
        if ended.is_err() && (!self.upload.is_done() || tunnel) {
            // Whoever was still being sent to learns that what it has is not all.
            attempt.stream.reset_on_close(true);
        }
        self.leave_place(attempt.slot);
        if ended.is_err() && !tunnel {
            self.end_call();
        }
        ended?;
        if self.ends_by_close {
            self.client.stream.reset_on_close(false);
        }
        if tunnel {
            attempt.stream.reset_on_close(false);
        }
        let is_clean =
            attempt.buffer.is_empty() && !attempt.broken && (!spliced || attempt.stream.is_drained());
        if whole && self.client.scratch.response.keep_alive && is_clean {
            let (server, version) = (attempt.server, attempt.address_version);
            if attempt.own {
                let server = &self.backend.shared.servers[server as usize];
                self.client.own.put(server, version, attempt.stream);
            } else {
                self.keep_upstream(server, attempt.stream, version, attempt.reused, ended_at);
            }
        }
        Ok(if whole && keep_alive { Next::Keep } else { self.part() })
    }

    /// Asks persistence what to change, and writes the head for the client.
    fn key_fate_and_head(&mut self, server: u32, shape: &Shape, tunnel: bool, out: &mut Vec<u8>) {
        let (request, response) = (&self.client.scratch.request, &self.client.scratch.response);
        let edits = &self.edits.response[..];
        let message = self.client.stream.message();
        let write = |amendment: Option<(&Key, &Amendment)>, out: &mut Vec<u8>| match message {
            None => response::write(response, request.version, shape, amendment, edits, out),
            Some(message) => message.encode_head(tunnel, out, &mut |sink| {
                response::write(response, request.version, shape, amendment, edits, sink);
            }),
        };
        let Some(persistence) = &self.backend.persistence else { return write(None, out) };
        let mut persistence = persistence.borrow_mut();
        let sent = response::sent_key(response, persistence.key());
        let reply = Reply {
            server,
            standing: self.affinity.standing,
            note: self.affinity.note,
            cacheable: response::is_cacheable(request, response),
            sent,
            // Long after the request, perhaps: what is dated now must not seem older than it is.
            time_ms: since_1970_ms(SystemTime::now()),
        };
        let amendment = persistence.respond(request, response, reply);
        self.story.key_fate = key_fate(&amendment, self.affinity.standing, sent.is_some());
        write(Some((persistence.key(), &amendment)), out);
    }

    /// Ends a call of gRPC whose answer broke off by its own status, where the client's protocol has room for that: a reset
    /// would be an error of the client's library, and this is none.
    fn end_call(&self) {
        if let Some(message) = self.client.stream.message()
            && self.client.scratch.response.is_grpc()
        {
            // Where the client has gone itself there is nobody to tell.
            let _ = message.finish(BROKEN_CALL);
        }
    }

    /// Moves both bodies to their ends.
    async fn transfer(&mut self, attempt: &mut Attempt, download: &mut Transfer) -> Result<(), Failure> {
        let (clients, servers) = (self.client_timeout(), self.server_timeout());
        let Client { stream: client, buffer, timer, .. } = &mut *self.client;
        let (upload, story, pace) = (&mut self.upload, &mut self.story, &self.pace);
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = attempt.stream.split();
        let (mut waits, mut discard) = (None, Discard::default());
        poll_fn(|context| {
            let down = match download.poll(context, &mut from_server, &mut attempt.buffer, &mut to_client) {
                // A reset shows but once, and sending the request came upon it: this was no end in order.
                Poll::Ready(Ok(())) if upload.sink_was_reset && download.ends_by_close() => {
                    return Poll::Ready(Err(Failure::ServerAbortsData));
                }
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(halt)) => return Poll::Ready(Err(download_failure(&halt))),
                Poll::Pending => false,
            };
            story.under_way = download.written;
            // Where messages have ends of their own, a client says so that wants no more; the server may be silent for long.
            if !down && from_client.is_message() && from_client.is_abandoned(context) {
                return Poll::Ready(Err(Failure::ClientAbortsData));
            }
            let up = attempt.broken || upload.is_done() || {
                match upload.poll(context, &mut from_client, buffer, &mut to_server) {
                    Poll::Ready(Err(Halt::SinkFailed)) => {
                        attempt.broken = true;
                        true
                    }
                    Poll::Ready(Err(Halt::Malformed)) => return Poll::Ready(Err(Failure::BadRequestData)),
                    // A client of HTTP/2 that has its response may take back the rest of its request.
                    Poll::Ready(Err(_)) if down && !from_client.is_socket() => {
                        attempt.broken = true;
                        true
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientAbortsData)),
                    Poll::Ready(Ok(())) => true,
                    Poll::Pending => false,
                }
            };
            if attempt.broken && !upload.is_read() {
                // The client may read nothing before all of it is sent.
                upload.moved |= discard.take(context, &mut from_client, buffer);
            }
            // A server of HTTP/2 that has answered may want no more of the request.
            if down && !up && from_server.is_abandoned(context) {
                attempt.broken = true;
                return Poll::Ready(Ok(()));
            }
            if down && up {
                return Poll::Ready(Ok(()));
            }
            let moved = std::mem::take(&mut download.moved) | std::mem::take(&mut upload.moved);
            // Whoever holds things up now has this long; the body that goes down decides while it lasts.
            let now = match (down, up) {
                (true, _) => Waits::of(upload.waiting == Waiting::Source),
                (false, false) if download.waiting == Waiting::Source && pace.waits_for_client(upload) => {
                    Waits::Either
                }
                (false, _) => Waits::of(download.waiting == Waiting::Sink),
            };
            if moved || waits != Some(now) {
                waits = Some(now);
                timer.set(Instant::now(), now.patience(clients, servers));
            }
            timer.poll_elapsed(context).map(|_| {
                Err(if now == Waits::Server {
                    Failure::ServerTimeoutData
                } else {
                    Failure::ClientTimeoutData
                })
            })
        })
        .await
    }

    /// Keeps the connection to the server for the next request, whoever sends it.
    fn keep_upstream(&self, server: u32, stream: Stream, address_version: u64, reused: bool, now: Instant) {
        if let Some(pool) = self.backend.pools.get(server as usize) {
            pool.borrow_mut().put(stream, address_version, reused, self.worker.tune.pool_max_idle, now);
        }
    }
}

fn download_failure(halt: &Halt) -> Failure {
    match halt {
        Halt::SourceClosed | Halt::SourceFailed => Failure::ServerAbortsData,
        Halt::Malformed => Failure::ServerInvalidData,
        Halt::SinkFailed => Failure::ClientAbortsData,
    }
}

/// The fourth character of the termination state: what became of the key.
fn key_fate(amendment: &Amendment, standing: Standing, sent: bool) -> u8 {
    match (&amendment.key, response::sets_cookie(amendment)) {
        (_, true) if standing == Standing::Valid => b'U',
        (_, true) => b'I',
        (KeyEdit::Replace(_), false) => b'R',
        (KeyEdit::Remove, false) => b'D',
        (KeyEdit::Keep, false) if sent => b'P',
        (KeyEdit::Keep, false) => b'N',
    }
}
