//! A stream for whoever serves it: the request's body in, the response out.

use std::io;
use std::task::{Context, Poll};

use super::{Connection, End, Incoming, Key};
use crate::buffer::Buffer;
use crate::http2::frame::{FrameHead, Reason, flag, kind};
use crate::http2::hpack;
use crate::http2::response::write_trailers;
use crate::http2::streams::Outgoing;

impl Connection {
    /// Whether the client has not given the stream up.
    pub(crate) fn is_wanted(&self, key: Key) -> bool {
        self.streams.get(key).incoming != Incoming::Cut
    }

    /// Somebody begins to serve the stream: it costs something from now on, and the client may take it back for that.
    pub(crate) fn begin(&mut self, key: Key) {
        self.streams.get_mut(key).begun = true;
        self.taken_back = self.taken_back.saturating_sub(1);
    }

    /// Nobody serves the stream any more. Where it is not over it is reset: for what has been answered whole without a
    /// reproach, since the rest of the request is not wanted (RFC 9113, section 8.1).
    pub(crate) fn release(&mut self, key: Key) {
        let stream = self.streams.get(key);
        if !stream.is_closed() && self.end != End::Dead {
            let reason = match stream.outgoing {
                Outgoing::Whole => Reason::NoError,
                _ if stream.is_tunnel => Reason::Connect,
                _ => Reason::Internal,
            };
            self.reset(key, reason);
        }
        let id = self.streams.get(key).id;
        self.streams.close(id);
        if self.streams.get(key).is_queued {
            self.queue.retain(|queued| *queued != key);
        }
        if let Some(data) = self.data.as_mut().filter(|data| data.key == Some(key)) {
            // The rest of the frame is still on its way.
            data.key = None;
            let left = data.left as i64;
            self.give_back(left);
        }
        let stream = self.streams.remove(key);
        if stream.outgoing == Outgoing::Whole && stream.incoming != Incoming::Cut {
            self.faults = self.faults.saturating_sub(1);
        }
        self.give_back(stream.received.data().len() as i64);
    }

    /// Ready when there is some of the body to be taken, or its end.
    pub(crate) fn poll_readable(&mut self, key: Key, context: &Context<'_>) -> Poll<()> {
        let stream = self.streams.get_mut(key);
        if !stream.received.is_empty() || stream.incoming != Incoming::Open {
            return Poll::Ready(());
        }
        stream.wait(context);
        Poll::Pending
    }

    /// Takes what has come of the body into a buffer, and says how much that was; nothing at its end. Without a copy, where
    /// the buffer is empty.
    ///
    /// # Errors
    /// Where the body has been cut off; [`io::ErrorKind::InvalidData`] where its trailers are none.
    pub(crate) fn poll_take(
        &mut self,
        key: Key,
        context: &Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        if self.poll_readable(key, context).is_pending() {
            return Poll::Pending;
        }
        let stream = self.streams.get_mut(key);
        if stream.incoming == Incoming::Cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if stream.incoming == Incoming::Malformed && stream.received.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let count = if buffer.is_empty() {
            std::mem::swap(buffer, &mut stream.received);
            buffer.data().len()
        } else {
            let space = buffer.space();
            let count = stream.received.data().len().min(space.len());
            space[..count].copy_from_slice(&stream.received.data()[..count]);
            buffer.came(count);
            stream.received.gone(count);
            count
        };
        stream.received.release();
        self.note_taken(Some(key), count as i64);
        Poll::Ready(Ok(count))
    }

    /// The body's trailers, as lines of HTTP/1, once its end has come. Asked for again there are none.
    pub(crate) fn take_trailers(&mut self, key: Key) -> Vec<u8> {
        std::mem::take(&mut self.streams.get_mut(key).trailers)
    }

    /// Ready once the client has given the stream up, or is gone.
    pub(crate) fn poll_abandoned(&mut self, key: Key, context: &Context<'_>) -> Poll<()> {
        let stream = self.streams.get_mut(key);
        // What has been answered whole may still be owed the rest of its request.
        if stream.incoming == Incoming::Cut || stream.outgoing == Outgoing::Cut {
            return Poll::Ready(());
        }
        stream.wait(context);
        Poll::Pending
    }

    /// Ready when there is room in what goes out, or nobody wants anything any more.
    pub(crate) fn poll_room(&mut self, key: Key, context: &Context<'_>) -> Poll<()> {
        let stream = self.streams.get_mut(key);
        if stream.outgoing == Outgoing::Cut || self.output.room() > 0 {
            return Poll::Ready(());
        }
        self.wait_in_queue(key, context);
        Poll::Pending
    }

    fn wait_in_queue(&mut self, key: Key, context: &Context<'_>) {
        let stream = self.streams.get_mut(key);
        stream.wait(context);
        if !std::mem::replace(&mut stream.is_queued, true) {
            self.queue.push_back(key);
        }
    }

    /// Sends a response's head, or that of an interim response.
    ///
    /// # Errors
    /// Where nobody wants it any more.
    pub(crate) fn send_head(&mut self, key: Key, block: &[u8], is_interim: bool) -> io::Result<()> {
        let stream = self.streams.get(key);
        if stream.outgoing == Outgoing::Cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        debug_assert!(stream.outgoing == Outgoing::Head, "a response has one head");
        let frame = self.write_block(stream.id, block, 0);
        if !is_interim {
            let stream = self.streams.get_mut(key);
            stream.outgoing = Outgoing::Body;
            stream.last_frame = Some(frame);
        }
        Ok(())
    }

    /// Sends as much of a response's body as goes now.
    ///
    /// # Errors
    /// Where nobody wants it any more.
    pub(crate) fn poll_send(
        &mut self,
        key: Key,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.streams.get_mut(key);
        if stream.outgoing != Outgoing::Body {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if stream.send_window <= 0 {
            // The stream's own window wakes it.
            stream.wait(context);
            return Poll::Pending;
        }
        let room = self.output.room();
        if room == 0 || self.send_window <= 0 {
            self.wait_in_queue(key, context);
            return Poll::Pending;
        }
        let window = stream.send_window.min(self.send_window);
        let most = bytes.len().min(room).min(usize::try_from(window).unwrap_or(usize::MAX));
        let max_frame = self.peer.max_frame;
        let mut count =
            stream.last_frame.map_or(0, |frame| self.output.extend(frame, &bytes[..most], max_frame));
        if count == 0 && most > 0 {
            count = most.min(max_frame);
            stream.last_frame = Some(self.output.position());
            let out = self.output.bytes();
            FrameHead { length: count, kind: kind::DATA, flags: 0, stream: stream.id }.write(out);
            out.extend_from_slice(&bytes[..count]);
        }
        stream.send_window -= count as i64;
        self.send_window -= count as i64;
        Poll::Ready(Ok(count))
    }

    /// Says that the response is whole; with trailers, which are lines of HTTP/1 with names in lower case, or none.
    ///
    /// # Errors
    /// Where nobody wants it any more.
    pub(crate) fn finish(&mut self, key: Key, trailers: &[u8]) -> io::Result<()> {
        let stream = self.streams.get(key);
        match stream.outgoing {
            Outgoing::Body => {}
            Outgoing::Whole => return Ok(()),
            Outgoing::Head | Outgoing::Cut => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        let id = stream.id;
        if !trailers.is_empty() {
            let mut block = Vec::with_capacity(trailers.len());
            write_trailers(trailers, &mut block);
            self.write_block(id, &block, flag::END_STREAM);
        } else if !stream.last_frame.is_some_and(|frame| self.output.end_stream(frame)) {
            let end = FrameHead { length: 0, kind: kind::DATA, flags: flag::END_STREAM, stream: id };
            end.write(self.output.bytes());
        }
        self.streams.get_mut(key).outgoing = Outgoing::Whole;
        self.close_if_done(key);
        Ok(())
    }

    /// Writes a header block in as many frames as it takes; says where the first one begins.
    fn write_block(&mut self, id: u32, block: &[u8], flags: u8) -> u64 {
        let position = self.output.position();
        let joined;
        let mut rest = block;
        if std::mem::take(&mut self.says_table_size) {
            let mut with_size = Vec::with_capacity(block.len() + 1);
            hpack::write_table_size_of_none(&mut with_size);
            with_size.extend_from_slice(block);
            joined = with_size;
            rest = &joined;
        }
        let out = self.output.bytes();
        let (mut kind, mut flags) = (kind::HEADERS, flags);
        loop {
            let (part, left) = rest.split_at(rest.len().min(self.peer.max_frame));
            let last = if left.is_empty() { flag::END_HEADERS } else { 0 };
            FrameHead { length: part.len(), kind, flags: flags | last, stream: id }.write(out);
            out.extend_from_slice(part);
            if left.is_empty() {
                return position;
            }
            (kind, flags, rest) = (kind::CONTINUATION, 0, left);
        }
    }
}
