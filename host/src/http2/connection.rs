//! A client's connection: frames in, messages to those who serve its streams, and frames out.
//!
//! Bytes come by [`Connection::receive`] and go by [`Connection::output`]. Between them each stream is a request and its
//! response, to be taken and given piece by piece under its [`Key`]. Whoever waits for a stream is woken when it has news.
//! What a client can have it hold is bounded: heads by [`Limits`], bodies by windows, what goes out by [`OUTPUT`] and by
//! reading no more from a client who takes nothing, streams by number, and those that it takes back by count.

mod control;
mod data;
mod heads;
mod serving;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::frame::{DEFAULT_WINDOW, FrameHead, HEAD, MIN_MAX_FRAME, PREFACE, Reason, flag, kind, write_u32};
use super::hpack::Decoder;
use super::output::{OUTPUT, Output};
use super::streams::{Incoming, Key, Streams};
use crate::scratch::Scratch;

use data::Data;
use heads::Block;

/// Streams that a client may reset before they are looked at, and streams that may be reset for its errors, more than it
/// has others: past these the connection ends (CVE-2023-44487, CVE-2025-8671).
pub(crate) const MAX_RESETS: u32 = 32;
/// What a client may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Streams at a time.
    pub(crate) streams: usize,
    /// What may be sent on a stream before it is taken, in bytes.
    pub(crate) stream_window: u32,
    /// The same on all streams together.
    pub(crate) connection_window: u32,
    /// The largest frame's payload.
    pub(crate) frame: u32,
    /// The size of a list of fields, as the protocol counts it.
    pub(crate) header_list: usize,
    /// Lines of a head, as HTTP/1 would have them.
    pub(crate) lines: usize,
    /// Bytes of a head, as HTTP/1 would have them.
    pub(crate) head: usize,
}

/// A request that has come, as far as its head.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: Key,
    /// Its head, among memory for what is made of it.
    pub(crate) scratch: Scratch,
    /// Whether the head is one.
    pub(crate) is_sound: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    limits: Limits,
    // What comes.
    stage: Stage,
    decoder: Decoder,
    /// A header block of which more frames are to come.
    block: Option<Block>,
    /// A frame of data of which not all has come.
    data: Option<Data>,
    /// So many bytes of a frame that nobody wants are to come.
    skipped: usize,
    requests: VecDeque<Request>,
    streams: Streams,
    /// How much the client may send on all streams together, and how much of what was taken it was not given back.
    window: i64,
    taken: i64,
    /// The window of new streams: what the client knows of, or the larger default as long as it may not.
    stream_window: i64,
    /// How many more streams the client took back than were begun, and how many more had to be reset for its errors than were
    /// answered whole.
    taken_back: u32,
    faults: u32,
    // What goes.
    output: Output,
    send_window: i64,
    peer: Peer,
    /// Streams that wait for room, in their order.
    queue: VecDeque<Key>,
    /// Whether the next header block says that it needs no table.
    says_table_size: bool,
    end: End,
}

/// What the client has said of itself.
#[derive(Debug)]
struct Peer {
    /// The window of new streams.
    stream_window: i64,
    /// The largest payload that it takes.
    max_frame: usize,
    /// Whether it opens no more streams.
    has_gone: bool,
}

/// How far the connection's beginning has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// So much of the preface has come.
    Preface(usize),
    /// The client's settings come next.
    Settings,
    Frames,
}

/// How the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It does not yet.
    Open,
    /// The client was told to open no more streams, and has not said that it knows.
    Announced,
    /// Streams above this number are not looked at.
    After(u32),
    /// It has ended, whatever is on it.
    Dead,
}

/// An error of the whole connection (RFC 9113, section 5.4.1).
type Fatal<T> = Result<T, Reason>;

impl Connection {
    /// A connection on which nothing has come yet, the preface included.
    pub(crate) fn new(limits: Limits) -> Connection {
        let mut connection = Connection {
            stage: Stage::Preface(0),
            decoder: Decoder::default(),
            block: None,
            data: None,
            skipped: 0,
            requests: VecDeque::new(),
            streams: Streams::default(),
            window: DEFAULT_WINDOW.max(limits.connection_window.into()),
            taken: 0,
            stream_window: DEFAULT_WINDOW.max(limits.stream_window.into()),
            taken_back: 0,
            faults: 0,
            output: Output::default(),
            send_window: DEFAULT_WINDOW,
            peer: Peer { stream_window: DEFAULT_WINDOW, max_frame: MIN_MAX_FRAME, has_gone: false },
            queue: VecDeque::new(),
            says_table_size: false,
            end: End::Open,
            limits,
        };
        connection.introduce();
        connection
    }

    /// Takes what has come, as far as whole pieces of it are there; says how much that was, and how much has to be there at
    /// least before more can be taken.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> (usize, usize) {
        let mut used = 0;
        while used < bytes.len() {
            if self.end == End::Dead {
                return (bytes.len(), 0);
            }
            match self.step(&bytes[used..]) {
                Ok(Step::Used(count)) => used += count,
                Ok(Step::Needs(length)) => return (used, length),
                Err(reason) => self.fail(reason),
            }
        }
        (used, 0)
    }

    /// Whether more is to be received: not from a client who does not take what was sent to it.
    pub(crate) fn is_receptive(&self) -> bool {
        self.end != End::Dead && self.output.data().len() < 2 * OUTPUT
    }

    /// The client sends nothing more, and takes nothing either.
    pub(crate) fn hung_up(&mut self) {
        self.cut_all();
    }

    /// The next request that has come.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// What is to go out.
    pub(crate) fn output(&self) -> &[u8] {
        self.output.data()
    }

    /// Notes that so much has gone out.
    pub(crate) fn sent(&mut self, count: usize) {
        self.output.gone(count);
        if self.output.room() >= OUTPUT / 2 {
            self.wake_queue();
        }
    }

    /// Gives back what memory it can while nothing happens.
    pub(crate) fn rest(&mut self) {
        self.output.release();
    }

    /// Whether it has ended, or has come to its end with nothing left on it.
    pub(crate) fn is_over(&self) -> bool {
        let is_idle = self.streams.is_empty() && self.requests.is_empty();
        let ends = matches!(self.end, End::After(_)) || self.peer.has_gone;
        self.end == End::Dead || (ends && is_idle)
    }

    /// Whether the client was told of the end, and has not said that it knows.
    pub(crate) fn is_announced(&self) -> bool {
        self.end == End::Announced
    }

    fn step(&mut self, bytes: &[u8]) -> Fatal<Step> {
        if self.skipped > 0 {
            let count = self.skipped.min(bytes.len());
            self.skipped -= count;
            return Ok(Step::Used(count));
        }
        if let Some(data) = self.data.take() {
            return Ok(Step::Used(self.take_data(data, bytes)));
        }
        if let Stage::Preface(come) = self.stage {
            let count = bytes.len().min(PREFACE.len() - come);
            if bytes[..count] != PREFACE[come..come + count] {
                return Err(Reason::Protocol);
            }
            let come = come + count;
            self.stage = if come == PREFACE.len() { Stage::Settings } else { Stage::Preface(come) };
            return Ok(Step::Used(count));
        }
        let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(Step::Needs(HEAD)) };
        let head = FrameHead::read(head);
        self.check(head)?;
        if head.kind == kind::DATA {
            return self.begin_data(head, &bytes[HEAD..]);
        }
        if head.kind > kind::CONTINUATION {
            self.skipped = head.length;
            return Ok(Step::Used(HEAD));
        }
        let Some(payload) = bytes.get(HEAD..HEAD + head.length) else {
            return Ok(Step::Needs(HEAD + head.length));
        };
        self.frame(head, payload)?;
        Ok(Step::Used(HEAD + head.length))
    }

    /// Sees that a frame may come now, and is not too large.
    fn check(&mut self, head: FrameHead) -> Fatal<()> {
        if head.length > self.limits.frame as usize {
            return Err(Reason::FrameSize);
        }
        if self.stage == Stage::Settings {
            // RFC 9113, section 3.4.
            if head.kind != kind::SETTINGS || head.has(flag::ACK) {
                return Err(Reason::Protocol);
            }
            self.stage = Stage::Frames;
        }
        if let Some(block) = &self.block {
            // Section 6.10.
            if head.kind != kind::CONTINUATION || head.stream != block.stream {
                return Err(Reason::Protocol);
            }
            return Ok(());
        }
        // Where larger ones are allowed, it is for data.
        if head.kind != kind::DATA && head.kind <= kind::CONTINUATION && head.length > self.largest_block() {
            return Err(Reason::EnhanceYourCalm);
        }
        Ok(())
    }

    fn frame(&mut self, head: FrameHead, payload: &[u8]) -> Fatal<()> {
        match head.kind {
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::SETTINGS => self.settings(head, payload),
            kind::WINDOW_UPDATE => self.window_update(head, payload),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::PING => self.ping(head, payload),
            kind::GOAWAY => self.goaway(head, payload),
            kind::PRIORITY => self.priority(head, payload),
            // Section 8.4: a client promises nothing.
            _ => Err(Reason::Protocol),
        }
    }

    /// A message has come to its end.
    fn end_incoming(&mut self, key: Key) {
        let stream = self.streams.get_mut(key);
        if stream.incoming == Incoming::Open {
            stream.incoming = Incoming::Whole;
        }
        stream.wake();
        self.close_if_done(key);
    }

    /// Has the protocol forget a stream that is over.
    fn close_if_done(&mut self, key: Key) {
        let stream = self.streams.get(key);
        if stream.is_closed() {
            self.streams.close(stream.id);
        }
    }

    /// Resets a stream that somebody serves.
    fn reset(&mut self, key: Key, reason: Reason) {
        let stream = self.streams.get_mut(key);
        let (id, lost) = (stream.id, stream.cut());
        self.give_back(lost as i64);
        self.reset_id(id, reason);
        self.streams.close(id);
    }

    fn reset_id(&mut self, id: u32, reason: Reason) {
        write_u32(kind::RST_STREAM, id, reason as u32, self.output.bytes());
        self.streams.remember_reset(id);
    }

    /// Counts a stream that had to be reset, or refused, for an error of the client's.
    fn note_fault(&mut self) {
        self.faults += 1;
        if self.faults > MAX_RESETS {
            self.fail(Reason::EnhanceYourCalm);
        }
    }

    /// Whether streams of this number are not looked at, since the connection was ending when it came.
    fn ignores(&self, id: u32) -> bool {
        matches!(self.end, End::After(last) if id > last)
    }

    /// Ends the connection with an error.
    fn fail(&mut self, reason: Reason) {
        if self.end == End::Dead {
            return;
        }
        self.write_goaway(self.streams.last(), reason);
        self.cut_all();
    }

    fn cut_all(&mut self) {
        self.end = End::Dead;
        for stream in self.streams.iter_mut() {
            // What has been answered whole stays so.
            if !stream.is_closed() {
                stream.cut();
            }
        }
        self.streams.close_all();
        self.queue.clear();
    }

    fn wake_queue(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            let stream = self.streams.get_mut(key);
            stream.is_queued = false;
            stream.wake();
        }
    }
}

/// What came of bytes.
enum Step {
    /// So many were used.
    Used(usize),
    /// So many have to be there.
    Needs(usize),
}
