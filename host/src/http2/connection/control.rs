//! What is said of the connection itself: settings, windows, resets, its end.

use super::{Connection, End, Fatal};
use crate::http2::frame::{
    DEFAULT_WINDOW, FrameHead, MAX_MAX_FRAME, MAX_WINDOW, MIN_MAX_FRAME, Reason, flag, kind, read_u31,
    setting, write_u32,
};
use crate::http2::hpack::TABLE_SIZE;
use crate::http2::streams::{Incoming, Key};

/// What comes back from the client once it has seen that the connection is ending.
const FAREWELL: [u8; 8] = *b"farewell";

impl Connection {
    /// Sends what every connection begins with (RFC 9113, section 3.4).
    pub(super) fn introduce(&mut self) {
        let limits = self.limits;
        let settings = [
            (setting::MAX_CONCURRENT_STREAMS, u32::try_from(limits.streams).unwrap_or(u32::MAX)),
            (setting::INITIAL_WINDOW_SIZE, limits.stream_window),
            (setting::MAX_FRAME_SIZE, limits.frame),
            (setting::MAX_HEADER_LIST_SIZE, u32::try_from(limits.header_list).unwrap_or(u32::MAX)),
            (setting::ENABLE_CONNECT_PROTOCOL, 1),
        ];
        let out = self.output.bytes();
        FrameHead { length: 6 * settings.len(), kind: kind::SETTINGS, flags: 0, stream: 0 }.write(out);
        for (name, value) in settings {
            out.extend_from_slice(&name.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
        let more = self.window - DEFAULT_WINDOW;
        if more > 0 {
            write_u32(kind::WINDOW_UPDATE, 0, more as u32, out);
        }
    }

    /// Tells the client that the connection is ending. Streams that it opens before it knows are still served.
    pub(crate) fn announce_end(&mut self) {
        if self.end == End::Open {
            self.end = End::Announced;
            self.write_goaway(MAX_WINDOW as u32, Reason::NoError);
            self.write_ping(FAREWELL, 0);
        }
    }

    /// Looks at no stream that the client opens from now on.
    pub(crate) fn take_no_more(&mut self) {
        if matches!(self.end, End::Open | End::Announced) {
            let last = self.streams.last();
            self.end = End::After(last);
            self.write_goaway(last, Reason::NoError);
        }
    }

    pub(super) fn write_goaway(&mut self, last: u32, reason: Reason) {
        let out = self.output.bytes();
        FrameHead { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.write(out);
        out.extend_from_slice(&last.to_be_bytes());
        out.extend_from_slice(&(reason as u32).to_be_bytes());
    }

    fn write_ping(&mut self, payload: [u8; 8], flags: u8) {
        let out = self.output.bytes();
        FrameHead { length: 8, kind: kind::PING, flags, stream: 0 }.write(out);
        out.extend_from_slice(&payload);
    }

    pub(super) fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        if head.stream != 0 {
            return Err(Reason::Protocol);
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(Reason::FrameSize);
            }
            self.settings_are_known();
            return Ok(());
        }
        let (entries, []) = payload.as_chunks::<6>() else { return Err(Reason::FrameSize) };
        for [n0, n1, value @ ..] in entries {
            self.set(u16::from_be_bytes([*n0, *n1]), u32::from_be_bytes(*value))?;
        }
        FrameHead { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.write(self.output.bytes());
        Ok(())
    }

    /// Section 6.5.2.
    fn set(&mut self, name: u16, value: u32) -> Fatal<()> {
        match name {
            setting::HEADER_TABLE_SIZE => self.says_table_size |= (value as usize) < TABLE_SIZE,
            setting::ENABLE_PUSH | setting::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                return Err(Reason::Protocol);
            }
            setting::INITIAL_WINDOW_SIZE => {
                let window = i64::from(value);
                if window > MAX_WINDOW {
                    return Err(Reason::FlowControl);
                }
                let change = window - self.peer.stream_window;
                self.peer.stream_window = window;
                for stream in self.streams.iter_mut() {
                    stream.send_window += change;
                    if stream.send_window > MAX_WINDOW {
                        return Err(Reason::FlowControl);
                    }
                    if change > 0 {
                        stream.wake();
                    }
                }
            }
            setting::MAX_FRAME_SIZE => {
                if !(MIN_MAX_FRAME as u32..=MAX_MAX_FRAME).contains(&value) {
                    return Err(Reason::Protocol);
                }
                self.peer.max_frame = value as usize;
            }
            _ => {}
        }
        Ok(())
    }

    /// The client knows the windows of streams: a smaller one than the default counts from now on, also on streams that it has
    /// opened before.
    fn settings_are_known(&mut self) {
        let change = i64::from(self.limits.stream_window) - self.stream_window;
        if change != 0 {
            self.stream_window += change;
            self.streams.iter_mut().for_each(|stream| stream.window += change);
        }
    }

    pub(super) fn window_update(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        let more = i64::from(read_u31(payload).ok_or(Reason::FrameSize)?);
        if head.stream == 0 {
            if more == 0 {
                return Err(Reason::Protocol);
            }
            self.send_window += more;
            if self.send_window > MAX_WINDOW {
                return Err(Reason::FlowControl);
            }
            self.wake_queue();
            return Ok(());
        }
        let Some(key) = self.open_stream(head)? else { return Ok(()) };
        let stream = self.streams.get_mut(key);
        let fault = match stream.send_window + more {
            _ if more == 0 => Some(Reason::Protocol),
            window if window > MAX_WINDOW => Some(Reason::FlowControl),
            window => {
                stream.send_window = window;
                stream.wake();
                None
            }
        };
        if let Some(reason) = fault {
            self.reset(key, reason);
            self.note_fault();
        }
        Ok(())
    }

    pub(super) fn rst_stream(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        read_u31(payload).ok_or(Reason::FrameSize)?;
        let Some(key) = self.open_stream(head)? else { return Ok(()) };
        let stream = self.streams.get_mut(key);
        let (begun, lost) = (stream.begun, stream.cut());
        self.give_back(lost as i64);
        self.streams.close(head.stream);
        if !begun {
            self.taken_back += 1;
            if self.taken_back > super::MAX_RESETS {
                return Err(Reason::EnhanceYourCalm);
            }
        }
        Ok(())
    }

    /// The stream that a frame is for, where it is open. A frame for one that the client has not opened yet ends the
    /// connection (section 5.1).
    pub(super) fn open_stream(&self, head: FrameHead) -> Fatal<Option<Key>> {
        if head.stream == 0 || head.stream > self.streams.last() {
            return Err(Reason::Protocol);
        }
        Ok(self.streams.find(head.stream))
    }

    pub(super) fn priority(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        match (head.stream, payload.len()) {
            (0, _) => Err(Reason::Protocol),
            (_, 5) => Ok(()),
            // Section 6.3: an error of the stream, which may be one that was never opened.
            (id, _) => {
                match self.streams.find(id) {
                    Some(key) => self.reset(key, Reason::FrameSize),
                    None => self.reset_id(id, Reason::FrameSize),
                }
                self.note_fault();
                Ok(())
            }
        }
    }

    pub(super) fn ping(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        if head.stream != 0 {
            return Err(Reason::Protocol);
        }
        let payload: [u8; 8] = payload.try_into().map_err(|_| Reason::FrameSize)?;
        if !head.has(flag::ACK) {
            self.write_ping(payload, flag::ACK);
        } else if payload == FAREWELL && self.end == End::Announced {
            self.take_no_more();
        }
        Ok(())
    }

    pub(super) fn goaway(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        if head.stream != 0 {
            return Err(Reason::Protocol);
        }
        if payload.len() < 8 {
            return Err(Reason::FrameSize);
        }
        self.peer.has_gone = true;
        Ok(())
    }

    /// Notes that so much of what came has been taken, and lets the client send as much again once it is worth a frame.
    pub(super) fn note_taken(&mut self, key: Option<Key>, count: i64) {
        self.give_back(count);
        let Some(key) = key else { return };
        let whole = self.stream_window;
        let stream = self.streams.get_mut(key);
        stream.taken += count;
        let is_worth_it = stream.taken >= whole.max(2) / 2;
        if is_worth_it && stream.incoming == Incoming::Open {
            let (id, more) = (stream.id, std::mem::take(&mut stream.taken));
            stream.window += more;
            write_u32(kind::WINDOW_UPDATE, id, more as u32, self.output.bytes());
        }
    }

    /// The same, of the connection alone.
    pub(super) fn give_back(&mut self, count: i64) {
        self.taken += count;
        // However large the window is, some clients know of the default one alone.
        if self.taken >= DEFAULT_WINDOW / 2 && self.end != End::Dead {
            let more = std::mem::take(&mut self.taken);
            self.window += more;
            write_u32(kind::WINDOW_UPDATE, 0, more as u32, self.output.bytes());
        }
    }
}
