//! The memory in which a request and its response are dealt with, and the worker's store of it.
//!
//! As with buffers, a connection has some only while it has a request: one that idles holds none, and the next
//! request, whoever sends it, finds memory that has grown to what requests need and is still in the cache.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use crate::http::head::{RequestHead, ResponseHead};

/// How much of it a worker keeps for the next requests.
const MAX_SPARE: usize = 256;
/// What is larger than this, in bytes, was needed for an unusual request and is not kept.
const LARGE: usize = 8 * 1024;

/// Memory for one exchange at a time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The request's head.
    pub(crate) request: Arc<RequestHead>,
    /// The head of its response.
    pub(crate) response: Arc<ResponseHead>,
    /// For the request's head on its way up.
    pub(crate) up: Vec<u8>,
    /// For the response's head on its way down.
    pub(crate) down: Vec<u8>,
}

/// What a connection has of it: nothing, which reads as empty heads, until something is written to it.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Option<Box<Memory>>);

static NOTHING: LazyLock<Memory> = LazyLock::new(Memory::default);

thread_local! {
    static SPARE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
}

impl Memory {
    fn with_room() -> Box<Memory> {
        let (up, down) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
        Box::new(Memory { up, down, ..Memory::default() })
    }

    fn is_large(&self) -> bool {
        let heads = self.request.lines().capacity() + self.response.lines().capacity();
        heads + self.up.capacity() + self.down.capacity() > LARGE
    }
}

impl Scratch {
    /// Gives the memory back to the worker.
    pub(crate) fn release(&mut self) {
        let own = std::mem::take(self);
        if own.0.as_ref().is_some_and(|memory| !memory.is_large()) {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(own);
                }
            });
        }
    }
}

impl Deref for Scratch {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// Takes memory from the worker's store where there is none yet.
impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Memory {
        self.0.get_or_insert_with(|| {
            let spare = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
            spare.0.unwrap_or_else(Memory::with_room)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round_and_what_grew_large_is_let_go() {
        let mut first = Scratch::default();
        assert_eq!(first.up.capacity(), 0);
        first.up.push(b'x');
        let address = first.up.as_ptr();
        first.release();
        assert_eq!(first.up.capacity(), 0);
        let mut second = Scratch::default();
        assert_eq!(second.deref_mut().up.as_ptr(), address);
        second.up.reserve(LARGE);
        let large = second.up.as_ptr();
        second.release();
        assert_ne!(second.deref_mut().up.as_ptr(), large);
    }
}
