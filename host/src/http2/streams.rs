//! The streams of a connection: what each still expects, and which of them there are.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use slab::Slab;

use crate::buffer::Buffer;

/// Streams that this end has reset lately, and whose frames may still be on their way: those are not held against the client
/// (RFC 9113, section 5.1). So many are remembered.
const REMEMBERED: usize = 128;

/// A stream's place, for as long as whoever serves it holds on to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(usize);

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    /// What comes from the peer.
    pub(super) incoming: Incoming,
    /// What has come and has not been taken.
    pub(super) received: Buffer,
    /// Trailers, as lines of HTTP/1.
    pub(super) trailers: Vec<u8>,
    /// How much of the body is to come, where its length was named.
    pub(super) left: Option<u64>,
    /// Whether bytes of which nothing is known follow the head, both ways.
    pub(super) is_tunnel: bool,
    /// How much the peer may send.
    pub(super) window: i64,
    /// How much of what was taken it has not been given back.
    pub(super) taken: i64,
    /// What goes to the peer.
    pub(super) outgoing: Outgoing,
    /// How much may be sent.
    pub(super) send_window: i64,
    /// Where its last frame begins, in all that was ever sent on the connection, where more may be said of it.
    pub(super) last_frame: Option<u64>,
    /// Whether it waits for room on the connection.
    pub(super) is_queued: bool,
    /// Whether whoever serves it has begun.
    pub(super) begun: bool,
    waker: Option<Waker>,
}

/// What comes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// More.
    Open,
    /// All has come.
    Whole,
    /// All has come, and its trailers are none.
    Malformed,
    /// Nothing more, and what came is not all.
    Cut,
}

/// What goes to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// Nothing yet, but perhaps interim responses.
    Head,
    /// The body.
    Body,
    /// All of it has gone.
    Whole,
    /// Nothing more goes, and what went is not all.
    Cut,
}

impl Stream {
    pub(super) fn new(id: u32, window: i64, send_window: i64) -> Stream {
        Stream {
            id,
            incoming: Incoming::Open,
            received: Buffer::none(),
            trailers: Vec::new(),
            left: None,
            is_tunnel: false,
            window,
            taken: 0,
            outgoing: Outgoing::Head,
            send_window,
            last_frame: None,
            is_queued: false,
            begun: false,
            waker: None,
        }
    }

    /// Whether nothing passes on it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.incoming != Incoming::Open && matches!(self.outgoing, Outgoing::Whole | Outgoing::Cut)
    }

    /// Cuts it off, both ways. What has come of it is not kept; says how much that was.
    pub(super) fn cut(&mut self) -> usize {
        self.incoming = Incoming::Cut;
        if self.outgoing != Outgoing::Whole {
            self.outgoing = Outgoing::Cut;
        }
        let lost = self.received.data().len();
        self.received = Buffer::none();
        self.wake();
        lost
    }

    /// Has the task be woken when there is news.
    pub(super) fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Those that somebody serves, or is to serve.
    all: Slab<Stream>,
    /// Those of them that the protocol knows as open or half closed, in the order of their numbers.
    open: Vec<(u32, Key)>,
    /// The highest number that the peer has used.
    last: u32,
    /// Those that were reset lately.
    reset: VecDeque<u32>,
}

impl Streams {
    /// The highest number that the peer has used.
    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// Notes that the peer has used this number, and all below it.
    pub(super) fn used(&mut self, id: u32) {
        debug_assert!(id > self.last);
        self.last = id;
    }

    /// How many are open.
    pub(super) fn count_open(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none, and nobody holds one either.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds an open one, whose number is higher than any before.
    pub(super) fn insert(&mut self, stream: Stream) -> Key {
        let id = stream.id;
        debug_assert!(self.open.last().is_none_or(|(last, _)| *last < id));
        let key = Key(self.all.insert(stream));
        self.open.push((id, key));
        key
    }

    /// The open one with this number.
    pub(super) fn find(&self, id: u32) -> Option<Key> {
        let at = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.open[at].1)
    }

    /// Whether it is one of those that this end has reset lately.
    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.reset.contains(&id)
    }

    /// Remembers that this end has reset it.
    pub(super) fn remember_reset(&mut self, id: u32) {
        if self.reset.len() == REMEMBERED {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    /// The protocol knows it as closed.
    pub(super) fn close(&mut self, id: u32) {
        if let Ok(at) = self.open.binary_search_by_key(&id, |(id, _)| *id) {
            self.open.remove(at);
        }
    }

    /// Nobody serves it any more.
    pub(super) fn remove(&mut self, key: Key) -> Stream {
        let stream = self.all.remove(key.0);
        debug_assert!(self.find(stream.id).is_none(), "it is closed before");
        stream
    }

    pub(super) fn get(&self, key: Key) -> &Stream {
        &self.all[key.0]
    }

    pub(super) fn get_mut(&mut self, key: Key) -> &mut Stream {
        &mut self.all[key.0]
    }

    /// Each one that somebody serves.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.all.iter_mut().map(|(_, stream)| stream)
    }

    /// Closes all that are open.
    pub(super) fn close_all(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_found_by_their_numbers_while_they_are_open() {
        let mut streams = Streams::default();
        let keys: Vec<Key> = [1, 3, 9].map(|id| streams.insert(Stream::new(id, 0, 0))).into();
        assert_eq!(streams.find(3), Some(keys[1]));
        assert_eq!(streams.find(5), None);
        streams.close(3);
        assert_eq!((streams.find(3), streams.find(9), streams.count_open()), (None, Some(keys[2]), 2));
        assert_eq!(streams.get(keys[1]).id, 3, "somebody serves it");
        streams.remove(keys[1]);
        assert!(!streams.is_empty());
    }

    #[test]
    fn only_the_last_resets_are_remembered() {
        let mut streams = Streams::default();
        (0..=REMEMBERED as u32).for_each(|id| streams.remember_reset(id));
        assert!(!streams.was_reset(0) && streams.was_reset(1) && streams.was_reset(REMEMBERED as u32));
    }
}
