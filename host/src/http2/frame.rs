//! Frames: their heads, kinds and flags, and the codes of errors (RFC 9113, sections 4, 6 and 7).

/// With these bytes a client begins that knows that HTTP/2 is spoken here (section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a frame's head is, in bytes.
pub(super) const HEAD: usize = 9;
/// The largest payload that everybody takes (section 4.2).
pub(super) const MIN_MAX_FRAME: usize = 1 << 14;
/// The largest payload that anybody may ask for.
pub(super) const MAX_MAX_FRAME: u32 = (1 << 24) - 1;
/// The largest window (section 6.9.1).
pub(super) const MAX_WINDOW: i64 = (1 << 31) - 1;
/// The window that everybody begins with.
pub(super) const DEFAULT_WINDOW: i64 = 65_535;

/// The kinds of frames.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Their flags. ACK is that of SETTINGS and PING.
pub(super) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// What settings are called on the wire (section 6.5.2; RFC 8441, section 3).
pub(super) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// Why a stream or a connection ends (section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reason {
    NoError = 0x0,
    Protocol = 0x1,
    Internal = 0x2,
    FlowControl = 0x3,
    StreamClosed = 0x5,
    FrameSize = 0x6,
    RefusedStream = 0x7,
    Compression = 0x9,
    Connect = 0xa,
    EnhanceYourCalm = 0xb,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Of the payload, in bytes.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0: the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) fn read(bytes: &[u8; HEAD]) -> FrameHead {
        let [l0, l1, l2, kind, flags, stream @ ..] = *bytes;
        FrameHead {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        debug_assert!(self.length <= MAX_MAX_FRAME as usize && self.stream <= 0x7fff_ffff);
        let [_, l0, l1, l2] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        out.extend_from_slice(&[l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]);
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Writes a frame of four bytes: RST_STREAM or WINDOW_UPDATE.
pub(super) fn write_u32(kind: u8, stream: u32, value: u32, out: &mut Vec<u8>) {
    FrameHead { length: 4, kind, flags: 0, stream }.write(out);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Reads four bytes, of which the first bit is reserved.
pub(super) fn read_u31(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?) & 0x7fff_ffff)
}

/// A payload without its padding; `None` where there is more padding than payload (section 6.1).
pub(super) fn unpadded(head: FrameHead, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(flag::PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = FrameHead { length: 0x01_02_03, kind: 9, flags: 0x2d, stream: 0x7fff_fffe };
        let mut out = Vec::new();
        head.write(&mut out);
        assert_eq!(out, [1, 2, 3, 9, 0x2d, 0x7f, 0xff, 0xff, 0xfe]);
        assert_eq!(FrameHead::read(out[..].try_into().unwrap()), head);
        out[5] |= 0x80;
        assert_eq!(FrameHead::read(out[..].try_into().unwrap()), head, "the first bit says nothing");
    }

    #[test]
    fn padding_is_taken_off_and_more_of_it_than_there_is_refused() {
        let head = FrameHead { length: 4, kind: kind::DATA, flags: flag::PADDED, stream: 1 };
        assert_eq!(unpadded(head, b"\x02abc"), Some(&b"a"[..]));
        assert_eq!(unpadded(head, b"\x03abc"), Some(&b""[..]));
        assert_eq!(unpadded(head, b"\x04abc"), None);
        assert_eq!(unpadded(head, b""), None);
        assert_eq!(unpadded(FrameHead { flags: 0, ..head }, b"\x04abc"), Some(&b"\x04abc"[..]));
    }
}
