//! Header blocks: requests, and trailers.

use std::sync::Arc;

use super::{Connection, End, Fatal, Request};
use crate::http::head::Framing;
use crate::http2::frame::{FrameHead, HEAD, MIN_MAX_FRAME, Reason, flag, unpadded};
use crate::http2::request::{Bounds, Fields};
use crate::http2::streams::{Incoming, Key, Stream};
use crate::scratch::{Memory, Scratch};

/// A header block of which more frames are to come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    ends: bool,
    bytes: Vec<u8>,
    /// What its frames took, their heads among it: empty ones count as well.
    weight: usize,
}

impl Connection {
    /// The largest block that is waited for, in bytes. Coded, a head is hardly ever larger than as text; what is larger than
    /// this is meant to cost memory.
    pub(super) fn largest_block(&self) -> usize {
        self.limits.header_list.saturating_mul(4).saturating_add(MIN_MAX_FRAME)
    }

    pub(super) fn headers(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        if head.stream == 0 || head.stream.is_multiple_of(2) {
            return Err(Reason::Protocol);
        }
        let mut block = unpadded(head, payload).ok_or(Reason::Protocol)?;
        if head.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(Reason::FrameSize)?;
        }
        let ends = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.whole_block(head.stream, ends, block);
        }
        let weight = HEAD + payload.len();
        self.block = Some(Block { stream: head.stream, ends, bytes: block.to_vec(), weight });
        Ok(())
    }

    pub(super) fn continuation(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        let mut block = self.block.take().ok_or(Reason::Protocol)?;
        block.weight += HEAD + payload.len();
        if block.weight > self.largest_block() {
            return Err(Reason::EnhanceYourCalm);
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.whole_block(block.stream, block.ends, &block.bytes);
        }
        self.block = Some(block);
        Ok(())
    }

    fn whole_block(&mut self, id: u32, ends: bool, block: &[u8]) -> Fatal<()> {
        let mut fields = Fields::new(self.limits.header_list);
        // Also where nobody wants it: the table goes on.
        self.decoder.read(block, |name, value| fields.push(name, value)).map_err(|_| Reason::Compression)?;
        let done = if id > self.streams.last() {
            self.open(id, ends, &fields);
            Ok(())
        } else if let Some(key) = self.streams.find(id) {
            self.trailers(key, ends, &fields);
            Ok(())
        } else if self.streams.was_reset(id) || self.ignores(id) {
            Ok(())
        } else {
            // RFC 9113, section 5.1: its number has been used, or passed over.
            Err(Reason::StreamClosed)
        };
        fields.release();
        done
    }

    /// The client opens a stream.
    fn open(&mut self, id: u32, ends: bool, fields: &Fields) {
        self.streams.used(id);
        if self.ignores(id) {
            return;
        }
        if self.streams.count_open() >= self.limits.streams {
            // It may come again (section 8.7).
            self.reset_id(id, Reason::RefusedStream);
            self.note_fault();
            return;
        }
        let mut scratch = Scratch::default();
        let Memory { request, down: log, .. } = &mut *scratch;
        let head = Arc::make_mut(request);
        let bounds = Bounds { lines: self.limits.lines, bytes: self.limits.head };
        let is_sound = fields.request(ends, bounds, head, log).is_ok();
        log.clear();
        let mut stream = Stream::new(id, self.stream_window, self.peer.stream_window);
        if is_sound {
            stream.is_tunnel = head.upgrade || head.method() == b"CONNECT";
            stream.left = match head.framing {
                Framing::Length(length) => Some(length),
                // A length of 0 was named, or there would be chunks.
                Framing::None if !stream.is_tunnel => Some(0),
                _ => None,
            };
        } else {
            self.note_fault();
            if self.end == End::Dead {
                return;
            }
        }
        if ends {
            stream.incoming = Incoming::Whole;
        }
        let is_short = ends && stream.left.is_some_and(|left| left > 0);
        let key = self.streams.insert(stream);
        if is_short {
            // Section 8.1.1. Nobody has begun to serve it, and so nobody will.
            self.reset(key, Reason::Protocol);
            self.streams.remove(key);
            self.note_fault();
            return;
        }
        self.requests.push_back(Request { key, scratch, is_sound });
    }

    /// A message's last fields.
    fn trailers(&mut self, key: Key, ends: bool, fields: &Fields) {
        let trailers = fields.trailers();
        let stream = self.streams.get_mut(key);
        let fault = match trailers {
            _ if stream.incoming != Incoming::Open => Some(Reason::StreamClosed),
            // Section 8.1: a block in the middle of a message, or before its end; section 8.5: in a tunnel.
            _ if !ends || stream.is_tunnel || stream.left.is_some_and(|left| left > 0) => {
                Some(Reason::Protocol)
            }
            Ok(lines) => {
                stream.trailers = lines;
                None
            }
            // Whoever serves it answers for that, unless all that counts has come before.
            Err(_) if stream.left.is_none() => {
                stream.incoming = Incoming::Malformed;
                None
            }
            Err(_) => Some(Reason::Protocol),
        };
        match fault {
            None => self.end_incoming(key),
            Some(reason) => {
                self.reset(key, reason);
                self.note_fault();
            }
        }
    }
}
