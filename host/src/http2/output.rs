//! What is on its way out. A frame of which not one byte has gone out yet can still be changed: the last one of a stream gets
//! more data, or the flag that ends the stream, in place of another frame behind it.

use super::frame::{FrameHead, HEAD, flag};

/// So much may wait here before bodies have to wait themselves, in bytes.
pub(crate) const OUTPUT: usize = 64 * 1024;

/// What a small answer takes, in bytes.
const SMALL: usize = 1024;

/// Bytes that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// So many of them have gone out.
    gone: usize,
    /// So many had gone out before those.
    base: u64,
}

impl Output {
    /// What is to go out.
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    /// Notes that so much of it has gone out.
    pub(super) fn gone(&mut self, count: usize) {
        self.gone += count;
        debug_assert!(self.gone <= self.bytes.len());
        if self.gone == self.bytes.len() {
            self.base += self.gone as u64;
            self.gone = 0;
            self.bytes.clear();
        } else if self.gone >= OUTPUT {
            self.base += self.gone as u64;
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Gives its memory back, where nothing is in it.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// How much more body may come.
    pub(super) fn room(&self) -> usize {
        OUTPUT.saturating_sub(self.data().len())
    }

    /// Where frames are written. They are written whole.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(SMALL);
        }
        &mut self.bytes
    }

    /// Where the next frame begins, in all that was ever sent.
    pub(super) fn position(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The head of the frame that begins there, where nothing of that has gone out.
    fn head(&mut self, frame: u64) -> Option<(usize, FrameHead)> {
        let at = frame.checked_sub(self.base)? as usize;
        if at < self.gone {
            return None;
        }
        let head = self.bytes.get(at..at + HEAD)?.try_into().ok()?;
        Some((at, FrameHead::read(head)))
    }

    /// Has that frame end its stream, if it still can.
    pub(super) fn end_stream(&mut self, frame: u64) -> bool {
        let Some((at, head)) = self.head(frame) else { return false };
        self.bytes[at + 4] = head.flags | flag::END_STREAM;
        true
    }

    /// Adds as much data to that frame, whose payload may have this length, as it can take; says how much that was.
    pub(super) fn extend(&mut self, frame: u64, data: &[u8], max_length: usize) -> usize {
        let Some((at, head)) = self.head(frame) else { return 0 };
        if head.kind != super::frame::kind::DATA || at + HEAD + head.length != self.bytes.len() {
            return 0;
        }
        let count = data.len().min(max_length.saturating_sub(head.length));
        self.bytes.extend_from_slice(&data[..count]);
        let [_, l0, l1, l2] = ((head.length + count) as u32).to_be_bytes();
        self.bytes[at..at + 3].copy_from_slice(&[l0, l1, l2]);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::kind;
    use super::*;

    fn frame(output: &mut Output, payload: &[u8]) -> u64 {
        let position = output.position();
        FrameHead { length: payload.len(), kind: kind::DATA, flags: 0, stream: 1 }.write(output.bytes());
        output.bytes().extend_from_slice(payload);
        position
    }

    #[test]
    fn a_frame_can_be_changed_until_its_first_byte_has_gone() {
        let mut output = Output::default();
        let first = frame(&mut output, b"ab");
        assert_eq!(output.extend(first, b"cdef", 5), 3);
        let second = frame(&mut output, b"x");
        assert_eq!(output.extend(first, b"g", 100), 0, "another is behind it");
        assert!(output.end_stream(first));
        assert_eq!(&output.data()[..HEAD + 5], b"\0\0\x05\0\x01\0\0\0\x01abcde");
        output.gone(1);
        assert!(!output.end_stream(first) && output.end_stream(second));
        output.gone(output.data().len());
        assert!(!output.end_stream(second) && output.extend(second, b"y", 100) == 0);
        let third = frame(&mut output, b"z");
        assert!(third > second && output.end_stream(third));
        output.gone(output.data().len());
        output.release();
        assert_eq!((output.bytes.capacity(), output.position()), (0, third + HEAD as u64 + 1));
    }

    #[test]
    fn what_has_gone_out_is_let_go_of_while_there_is_more() {
        let mut output = Output::default();
        let payload = [0; OUTPUT];
        frame(&mut output, &payload);
        let last = frame(&mut output, b"z");
        assert_eq!(output.room(), 0);
        output.gone(OUTPUT);
        assert_eq!(output.room(), OUTPUT - output.data().len());
        assert!(output.end_stream(last));
        output.gone(HEAD);
        assert_eq!(output.data(), b"\0\0\x01\0\x01\0\0\0\x01z");
    }
}
