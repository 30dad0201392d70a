//! After an upgrade or a CONNECT: bytes both ways, of which nothing is known, until the server has ended.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::Exchange;
use super::attempt::Attempt;
use super::transfer::{Halt, Transfer, Waiting};
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::failure::Failure;
use crate::http::body::Encoding;
use crate::http::head::Framing;
use crate::http::trailers::Sender;
use crate::stream::{Reader, Writer};

impl Exchange<'_> {
    /// Passes bytes both ways; `download` begins with the head of the answer.
    pub(super) async fn tunnel(
        &mut self,
        attempt: &mut Attempt,
        download: &mut Transfer,
    ) -> Result<(), Failure> {
        let client_timeout = self.frontend.shared.config.timeout.client;
        let timeouts = &self.backend.shared.config.timeout;
        let timeout = timeouts.tunnel.or(match (client_timeout, timeouts.server) {
            (Some(client), Some(server)) => Some(client.min(server)),
            (client, server) => client.or(server),
        });
        let Client { stream: client, buffer, timer, .. } = &mut *self.client;
        let mut upload = Transfer::new(Framing::Close, Sender::Client, Encoding::Plain, Vec::new());
        let (story, before) = (&mut self.story, self.upload.written);
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = attempt.stream.split();
        timer.set(Instant::now(), timeout);
        let (mut up_done, mut down_done) = (false, false);
        let ended = poll_fn(|context| {
            if !up_done {
                match poll_to_end(&mut upload, context, &mut from_client, buffer, &mut to_server) {
                    Poll::Ready(Ok(())) => up_done = true,
                    Poll::Ready(Err(Halt::SinkFailed)) => return Poll::Ready(Err(Failure::ServerAbortsData)),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientAbortsData)),
                    Poll::Pending => {}
                }
            }
            if !down_done {
                match poll_to_end(download, context, &mut from_server, &mut attempt.buffer, &mut to_client) {
                    Poll::Ready(Ok(())) => down_done = true,
                    Poll::Ready(Err(Halt::SinkFailed)) => return Poll::Ready(Err(Failure::ClientAbortsData)),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ServerAbortsData)),
                    Poll::Pending => {}
                }
            }
            (story.under_way, story.uploaded) = (download.written, before + upload.written);
            // A server that has ended is listened to no more by those who know HTTP; what the client has sent it
            // until then still goes there.
            if down_done && (up_done || upload.waiting == Waiting::Source) {
                return Poll::Ready(Ok(()));
            }
            if std::mem::take(&mut upload.moved) | std::mem::take(&mut download.moved) {
                timer.set(Instant::now(), timeout);
            }
            let late = match (&*download, &upload) {
                (down, _) if !down_done && down.waiting == Waiting::Sink => Failure::ClientTimeoutData,
                (_, up) if !up_done && up.waiting == Waiting::Sink => Failure::ServerTimeoutData,
                _ => Failure::TunnelIdle,
            };
            timer.poll_elapsed(context).map(|_| Err(late))
        })
        .await;
        self.upload.written += upload.written;
        ended
    }
}

/// Moves bytes one way up to the end, and passes that on too.
fn poll_to_end(
    transfer: &mut Transfer,
    context: &mut Context<'_>,
    source: &mut Reader<'_>,
    held: &mut Buffer,
    sink: &mut Writer<'_>,
) -> Poll<Result<(), Halt>> {
    ready!(transfer.poll(context, source, held, sink))?;
    // A peer that is gone already has no use for the news.
    let _ = ready!(sink.poll_shutdown(context));
    Poll::Ready(Ok(()))
}
