//! The memory in which a request and its response are dealt with, and the worker's store of it.
//!
//! As with buffers, a connection has some only while it has a request: one that idles holds none, and the next
//! request, whoever sends it, finds memory that has grown to what requests need and is still in the cache.

use std::cell::RefCell;
use std::sync::Arc;

use crate::http::head::{RequestHead, ResponseHead};

/// How much of it a worker keeps for the next requests.
const MAX_SPARE: usize = 256;
/// What is larger than this, in bytes, was needed for an unusual request and is not kept.
const LARGE: usize = 8 * 1024;

/// Memory for one exchange at a time.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The request's head.
    pub(crate) request: Arc<RequestHead>,
    /// The head of its response.
    pub(crate) response: Arc<ResponseHead>,
    /// For the request's head on its way up.
    pub(crate) up: Vec<u8>,
    /// For the response's head on its way down.
    pub(crate) down: Vec<u8>,
}

/// What a connection has that has none.
struct Nothing(Arc<RequestHead>, Arc<ResponseHead>);

thread_local! {
    static SPARE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
    static NOTHING: Nothing = Nothing(Arc::default(), Arc::default());
}

impl Scratch {
    /// No memory: empty heads, which all connections share that wait for a request.
    pub(crate) fn none() -> Scratch {
        NOTHING.with(|Nothing(request, response)| Scratch {
            request: request.clone(),
            response: response.clone(),
            up: Vec::new(),
            down: Vec::new(),
        })
    }

    /// Sees that there is memory, from the worker's store where it can.
    pub(crate) fn ensure(&mut self) {
        if self.up.capacity() == 0 {
            *self = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(Scratch::new);
        }
    }

    fn new() -> Scratch {
        Scratch {
            request: Arc::default(),
            response: Arc::default(),
            up: Vec::with_capacity(1024),
            down: Vec::with_capacity(1024),
        }
    }

    /// Gives the memory back to the worker.
    pub(crate) fn release(&mut self) {
        if self.up.capacity() == 0 {
            return;
        }
        let memory = std::mem::replace(self, Scratch::none());
        let heads = memory.request.lines().capacity() + memory.response.lines().capacity();
        if heads + memory.up.capacity() + memory.down.capacity() <= LARGE {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(memory);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round_and_what_grew_large_is_let_go() {
        let mut first = Scratch::none();
        first.ensure();
        let address = first.up.as_ptr();
        first.release();
        assert_eq!(first.up.capacity(), 0);
        let mut second = Scratch::none();
        second.ensure();
        assert_eq!(second.up.as_ptr(), address);
        second.up.reserve(LARGE);
        let large = second.up.as_ptr();
        second.release();
        second.ensure();
        assert_ne!(second.up.as_ptr(), large);
    }
}
