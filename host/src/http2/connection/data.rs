//! Frames of data: whose each one is, whether it may come, and where its bytes go as they arrive.

use super::{Connection, Fatal, Step};
use crate::buffer::Buffer;
use crate::http2::frame::{FrameHead, HEAD, Reason, flag};
use crate::http2::streams::{Incoming, Key};

/// A body's buffer begins with this size, and grows as far as its window.
const BODY: usize = 16 * 1024;

/// A frame of data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    /// Whose; `None`: nobody wants it any more.
    pub(super) key: Option<Key>,
    /// So much of it is to come, and so much padding behind it.
    pub(super) left: usize,
    padding: usize,
    ends: bool,
}

impl Connection {
    /// The head of a frame of data, and the length of its padding.
    pub(super) fn begin_data(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<Step> {
        let (mut used, mut left, mut padding) = (HEAD, head.length, 0);
        if head.has(flag::PADDED) {
            if head.length == 0 {
                return Err(Reason::FrameSize);
            }
            let Some(length) = payload.first() else { return Ok(Step::Needs(HEAD + 1)) };
            padding = usize::from(*length);
            used += 1;
            left = (left - 1).checked_sub(padding).ok_or(Reason::Protocol)?;
        }
        let size = head.length as i64;
        if head.stream == 0 || head.stream > self.streams.last() {
            return Err(Reason::Protocol);
        }
        self.window -= size;
        if self.window < 0 {
            return Err(Reason::FlowControl);
        }
        let key = self.stream_for_data(head, size, left);
        if key.is_none() {
            // Nobody takes it.
            self.give_back(size);
        } else {
            // Padding is taken at once.
            self.note_taken(key, size - left as i64);
        }
        let data = Data { key, left, padding, ends: head.has(flag::END_STREAM) };
        if left + padding == 0 {
            self.end_data(data);
        } else {
            self.data = Some(data);
        }
        Ok(Step::Used(used))
    }

    /// Whose a frame of data is, if it may have it.
    fn stream_for_data(&mut self, head: FrameHead, size: i64, left: usize) -> Option<Key> {
        let Some(key) = self.streams.find(head.stream) else {
            if !self.streams.was_reset(head.stream) && !self.ignores(head.stream) {
                self.reset_id(head.stream, Reason::StreamClosed);
                self.note_fault();
            }
            return None;
        };
        let stream = self.streams.get_mut(key);
        stream.window -= size;
        let fault = match stream {
            // Section 5.1.
            _ if stream.incoming != Incoming::Open => Some(Reason::StreamClosed),
            _ if stream.window < 0 => Some(Reason::FlowControl),
            // Section 8.1.1: more than, or less than, the length that was named.
            _ => {
                let rest = stream.left.map(|length| length.checked_sub(left as u64));
                let ends = head.has(flag::END_STREAM);
                let is_wrong = matches!(rest, Some(None)) || matches!(rest, Some(Some(1..)) if ends);
                stream.left = rest.flatten();
                is_wrong.then_some(Reason::Protocol)
            }
        };
        if let Some(reason) = fault {
            self.reset(key, reason);
            self.note_fault();
            return None;
        }
        Some(key)
    }

    /// More of a frame of data, whose rest is `data`; says how much of the bytes it was.
    pub(super) fn take_data(&mut self, mut data: Data, bytes: &[u8]) -> usize {
        let count = data.left.min(bytes.len());
        let key = data.key.filter(|key| self.streams.get(*key).incoming == Incoming::Open);
        match key {
            Some(key) if count > 0 => {
                let stream = self.streams.get_mut(key);
                store(&mut stream.received, &bytes[..count]);
                stream.wake();
            }
            // The stream has been reset while its frame was on its way.
            None if data.key.is_some() => self.give_back(count as i64),
            _ => {}
        }
        data.left -= count;
        let padding = data.padding.min(bytes.len() - count);
        data.padding -= padding;
        if data.left + data.padding == 0 {
            self.end_data(data);
        } else {
            self.data = Some(data);
        }
        count + padding
    }

    fn end_data(&mut self, data: Data) {
        if let Some(key) = data.key.filter(|_| data.ends) {
            self.end_incoming(key);
        }
    }
}

/// Adds to a body's buffer, which grows with it.
fn store(buffer: &mut Buffer, bytes: &[u8]) {
    let length = buffer.data().len() + bytes.len();
    let mut size = BODY;
    while size < length {
        size *= 2;
    }
    buffer.ensure(size);
    buffer.space()[..bytes.len()].copy_from_slice(bytes);
    buffer.came(bytes.len());
}
