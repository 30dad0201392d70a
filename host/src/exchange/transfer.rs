//! A body on its way from one side to the other, in constant memory: what cannot be written is not read. A large one
//! whose length is known stays inside the kernel.
//!
//! Either side may be HTTP/1, where framing is part of the bytes, or a protocol that frames messages by itself: then the body
//! comes, or goes, as it is, and its end beside it.

use std::io;
use std::task::{Context, Poll, Waker, ready};

use crate::buffer::Buffer;
use crate::http::body::{self, Decoder, Encoding, Piece};
use crate::http::head::Framing;
use crate::http::semantics::Malformed;
use crate::http::trailers::Sender;
use crate::splice::Pipe;
use crate::stream::{MessageStream, Reader, Writer};

/// Up to here, small pieces are gathered into one write.
const GATHER: usize = 16 * 1024;
/// What a buffer grows to once a body fills it, so that large bodies take fewer system calls.
pub(crate) const LARGE: usize = 64 * 1024;
/// With so much left, a body is spliced: below that, the pipe costs more than the copies.
const SPLICED: u64 = 128 * 1024;

/// Why a transfer ended before its time.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The side that sends closed in the middle.
    SourceClosed,
    /// The side that sends broke.
    SourceFailed,
    /// The side that sends broke the framing.
    Malformed,
    /// The side that receives broke or closed.
    SinkFailed,
}

/// Whom a transfer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Source,
    Sink,
}

/// A body on its way.
#[derive(Debug)]
pub(crate) struct Transfer {
    decoder: Decoder,
    encoding: Encoding,
    /// Bytes to be written first: a head, chunks.
    pending: Vec<u8>,
    sent: usize,
    /// So many of them are a head that is to be sent as one.
    encoded_head: usize,
    /// Whether the sink frames messages by itself; then these are trailers for it.
    to_message: bool,
    trailers: Vec<u8>,
    /// So many bytes of the buffer are body and can be written as they are.
    direct: usize,
    /// Where the body goes through, while it is spliced.
    pipe: Option<Pipe>,
    /// Whether it may be spliced, as far as is known.
    spliceable: bool,
    /// Whether any of it was: then nobody has looked at what follows it.
    pub(crate) spliced: bool,
    /// Whether the body's end has been read.
    ended: bool,
    /// Whether writing came upon a reset of the side that receives, and not upon its end in order.
    pub(crate) sink_was_reset: bool,
    /// Whether any of the body has come.
    pub(crate) received: bool,
    /// Whether some of what was written is no longer there.
    lost: bool,
    /// Bytes written.
    pub(crate) written: u64,
    /// Whether anything moved since this was last set to `false`.
    pub(crate) moved: bool,
    /// Whom it waits for, where it is pending.
    pub(crate) waiting: Waiting,
}

impl Transfer {
    /// A body framed like this, from this side, to be written in that encoding, after `pending`.
    pub(crate) fn new(framing: Framing, sender: Sender, encoding: Encoding, pending: Vec<u8>) -> Transfer {
        Transfer {
            decoder: Decoder::new(framing, sender),
            encoding,
            pending,
            sent: 0,
            encoded_head: 0,
            to_message: false,
            trailers: Vec::new(),
            direct: 0,
            pipe: None,
            spliceable: encoding == Encoding::Plain,
            spliced: false,
            ended: framing == Framing::None,
            sink_was_reset: false,
            received: false,
            lost: false,
            written: 0,
            moved: false,
            waiting: Waiting::Sink,
        }
    }

    /// The same of a body whose source frames messages by itself.
    pub(crate) fn of_message(
        framing: Framing,
        sender: Sender,
        encoding: Encoding,
        pending: Vec<u8>,
    ) -> Transfer {
        let mut transfer = Transfer::new(framing, sender, encoding, pending);
        // Where a length was named, it counts as in HTTP/1; the source sees that it is true.
        if framing == Framing::Chunked {
            transfer.decoder = Decoder::of_message(sender);
        }
        transfer
    }

    /// The same for a sink that frames messages by itself; what is pending is a head, encoded for it.
    pub(crate) fn into_message(self) -> Transfer {
        debug_assert_eq!(self.encoding, Encoding::Plain);
        Transfer { encoded_head: self.pending.len(), to_message: true, spliceable: false, ..self }
    }

    /// Whether all of the body has been read, though perhaps not written.
    pub(crate) fn is_read(&self) -> bool {
        self.ended && self.direct == 0
    }

    /// Whether the sender's closing is the body's end.
    pub(crate) fn ends_by_close(&self) -> bool {
        self.decoder.ends_by_close()
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.is_read() && self.sent == self.pending.len()
    }

    /// Has trailers of these names, which are in lower case, stay behind: the head has what they would say.
    pub(crate) fn withhold<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.decoder.withhold(names);
    }

    /// What is to be written first.
    pub(crate) fn pending_mut(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Its memory, for the next transfer, once this one has come to its end.
    pub(crate) fn take_spare(&mut self) -> Vec<u8> {
        self.pending.clear();
        std::mem::take(&mut self.pending)
    }

    /// Whether all that was written is still there, so that it can be written again.
    pub(crate) fn is_kept(&self) -> bool {
        !self.lost
    }

    /// Begins again with what is pending, for another connection. Only where all that was written is kept: from anywhere
    /// else a message would begin in its middle.
    pub(crate) fn rewind(&mut self) {
        debug_assert!(self.is_kept());
        self.sent = 0;
        self.sink_was_reset = false;
    }

    /// Takes what has come already, so that it goes in one write with what is pending.
    pub(crate) fn gather(&mut self, held: &mut Buffer) -> Result<(), Malformed> {
        // To a message sink data whose length is known go without this copy.
        let is_copied = !self.to_message || self.decoder.unframed() == 0;
        while is_copied && !self.ended && self.direct == 0 && self.pending.len() < GATHER {
            match self.decoder.next(held.data())? {
                Piece::Data { range, used } => {
                    self.received = true;
                    body::write_data(self.encoding, &held.data()[range], &mut self.pending);
                    held.gone(used);
                }
                Piece::End { used } => {
                    self.end();
                    held.gone(used);
                }
                Piece::More => break,
            }
        }
        self.ended |= self.decoder.is_done() && self.encoding == Encoding::Plain;
        Ok(())
    }

    /// The same of a message.
    pub(crate) fn gather_message(
        &mut self,
        message: &dyn MessageStream,
        held: &mut Buffer,
    ) -> Result<(), Malformed> {
        // Nothing is waited for here.
        let mut context = Context::from_waker(Waker::noop());
        while !self.ended && self.pending.len() < GATHER && held.is_empty() {
            match message.poll_take(&mut context, held) {
                Poll::Ready(Ok(0)) if self.decoder.is_message() => {
                    self.decoder.end_message(&message.take_trailers())?;
                    self.end();
                }
                Poll::Ready(Ok(1..)) => self.gather(held)?,
                // What has broken off shows when it is read.
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// The body's end has been read.
    fn end(&mut self) {
        let trailers = self.decoder.trailers();
        if self.to_message {
            self.trailers = trailers;
        } else {
            body::write_end(self.encoding, &trailers, &mut self.pending);
        }
        self.ended = true;
    }

    /// Moves what can be moved; ready when the whole body has been written.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Reader<'_>,
        held: &mut Buffer,
        sink: &mut Writer<'_>,
    ) -> Poll<Result<(), Halt>> {
        loop {
            self.waiting = Waiting::Sink;
            if self.encoded_head > 0 {
                let count = std::mem::take(&mut self.encoded_head);
                let sent = sink.send_head(&self.pending[..count]);
                self.sent = self.note(sent.map(|()| count))?;
            }
            if self.sent < self.pending.len() {
                let written = sink.poll_write(context, &self.pending[self.sent..]);
                self.sent += self.note(ready!(written))?;
                continue;
            }
            if self.direct > 0 {
                let written = sink.poll_write(context, &held.data()[..self.direct]);
                let count = self.note(ready!(written))?;
                self.lost = true;
                held.gone(count);
                self.direct -= count;
                continue;
            }
            if self.ended && self.to_message {
                return Poll::Ready(sink.finish(&self.trailers).map_err(|_| Halt::SinkFailed));
            }
            if self.ended {
                return sink.poll_flush(context).map_err(|_| Halt::SinkFailed);
            }
            self.lost |= self.sent > 0;
            self.pending.clear();
            self.sent = 0;
            if self.pipe.is_some()
                || (held.is_empty()
                    && self.spliceable
                    && self.decoder.unframed() >= SPLICED
                    && source.is_socket()
                    && sink.is_socket()
                    && Pipe::is_at_hand())
            {
                ready!(self.poll_spliced(context, source, sink))?;
                continue;
            }
            match self.decoder.next(held.data()).map_err(|_| Halt::Malformed)? {
                Piece::Data { range, .. } if self.encoding == Encoding::Plain => {
                    self.received = true;
                    held.gone(range.start);
                    self.direct = range.len();
                }
                Piece::Data { range, used } => {
                    self.received = true;
                    body::write_data(self.encoding, &held.data()[range], &mut self.pending);
                    held.gone(used);
                    self.gather(held).map_err(|_| Halt::Malformed)?;
                }
                Piece::End { used } => {
                    self.end();
                    held.gone(used);
                }
                Piece::More => {
                    // What was written goes out while this waits for more.
                    if let Poll::Ready(Err(_)) = sink.poll_flush(context) {
                        return Poll::Ready(Err(Halt::SinkFailed));
                    }
                    self.waiting = Waiting::Source;
                    ready!(self.poll_more(context, source, held))?;
                }
            }
        }
    }

    /// Moves the rest of the body, or as much as can be, through a pipe. Ready when it is done, or turns out not to
    /// work here.
    fn poll_spliced(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Reader<'_>,
        sink: &mut Writer<'_>,
    ) -> Poll<Result<(), Halt>> {
        let Some(mut pipe) = self.pipe.take().or_else(Pipe::take) else {
            self.spliceable = false;
            return Poll::Ready(Ok(()));
        };
        let moved = self.poll_through(context, source, sink, &mut pipe);
        match moved {
            // It is kept for what is in it alone: a sender that stalls holds none.
            Poll::Pending if pipe.held() > 0 => self.pipe = Some(pipe),
            _ => pipe.give_back(),
        }
        moved
    }

    fn poll_through(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Reader<'_>,
        sink: &mut Writer<'_>,
        pipe: &mut Pipe,
    ) -> Poll<Result<(), Halt>> {
        loop {
            self.waiting = Waiting::Sink;
            while pipe.held() > 0 {
                let written = sink.poll_splice(context, pipe);
                self.note(ready!(written))?;
            }
            if self.decoder.is_done() {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            self.waiting = Waiting::Source;
            let left = usize::try_from(self.decoder.unframed()).unwrap_or(usize::MAX);
            match ready!(source.poll_splice(context, pipe, left)) {
                Ok(0) => return Poll::Ready(Err(Halt::SourceClosed)),
                Ok(count) => {
                    (self.moved, self.spliced, self.received) = (true, true, true);
                    self.decoder.pass(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.spliceable = false;
                    return Poll::Ready(Ok(()));
                }
                Err(_) => return Poll::Ready(Err(Halt::SourceFailed)),
            }
        }
    }

    fn poll_more(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Reader<'_>,
        held: &mut Buffer,
    ) -> Poll<Result<(), Halt>> {
        if source.is_message() {
            return self.poll_more_of_message(context, source, held);
        }
        held.ensure(GATHER);
        if held.is_full() {
            return Poll::Ready(Err(Halt::Malformed));
        }
        let space = held.space().len();
        match ready!(source.poll_read(context, held)) {
            Ok(0) if self.decoder.ends_by_close() => self.ended = true,
            Ok(0) => return Poll::Ready(Err(Halt::SourceClosed)),
            Ok(count) => {
                self.moved = true;
                if count == space {
                    held.ensure(LARGE);
                }
            }
            Err(_) => return Poll::Ready(Err(Halt::SourceFailed)),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_more_of_message(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Reader<'_>,
        held: &mut Buffer,
    ) -> Poll<Result<(), Halt>> {
        debug_assert!(held.is_empty(), "all of a message is body");
        match ready!(source.poll_read(context, held)) {
            Ok(0) if self.decoder.is_message() => {
                self.decoder.end_message(&source.take_trailers()).map_err(|_| Halt::Malformed)?;
                self.end();
            }
            Ok(0) if self.decoder.ends_by_close() => self.ended = true,
            Ok(0) => return Poll::Ready(Err(Halt::SourceClosed)),
            Ok(_) => self.moved = true,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Poll::Ready(Err(Halt::Malformed));
            }
            Err(_) => return Poll::Ready(Err(Halt::SourceFailed)),
        }
        Poll::Ready(Ok(()))
    }

    fn note(&mut self, written: io::Result<usize>) -> Result<usize, Halt> {
        let count = written.map_err(|error| {
            // Behind an end in order it is EPIPE (Linux, tcp_reset).
            self.sink_was_reset = error.kind() == io::ErrorKind::ConnectionReset;
            Halt::SinkFailed
        })?;
        self.written += count as u64;
        self.moved = true;
        Ok(count)
    }
}
