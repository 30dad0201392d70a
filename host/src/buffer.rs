//! The buffers that bytes pass through, and the worker's store of spare ones.
//!
//! A connection holds a buffer only while bytes are in it or on their way: one that idles has none, so ten
//! thousand idle clients cost little more than their sockets.

use std::cell::RefCell;

/// Spare buffers that a worker keeps for the next connection.
const MAX_SPARE: usize = 256;

/// Bytes on their way: `data` is what came and has not gone, `space` is where more can come.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
thread_local! {
    /// Buffers with memory that are not given back yet.
    static OUTSTANDING: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
}

/// How many buffers of this thread hold memory.
#[cfg(test)]
pub(crate) fn outstanding() -> isize {
    OUTSTANDING.get()
}

impl Buffer {
    /// A buffer that holds nothing and takes no memory, until [`Buffer::ensure`].
    pub(crate) const fn none() -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, end: 0 }
    }

    /// Sees that the buffer has room for `size` bytes in all, from the worker's spare ones where it can.
    pub(crate) fn ensure(&mut self, size: usize) {
        if self.bytes.len() >= size {
            return;
        }
        #[cfg(test)]
        OUTSTANDING.set(OUTSTANDING.get() + 1);
        let spare = SPARE.with_borrow_mut(Vec::pop).filter(|spare| spare.len() >= size);
        let mut bytes = spare.unwrap_or_else(|| vec![0; size]);
        let held = self.end - self.start;
        bytes[..held].copy_from_slice(&self.bytes[self.start..self.end]);
        let old = std::mem::replace(&mut self.bytes, bytes);
        (self.start, self.end) = (0, held);
        give_back(old);
    }

    /// Gives the memory back to the worker, where nothing is in it.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            give_back(std::mem::take(&mut self.bytes));
        }
    }

    /// What is in it.
    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where more can come. Moves what is in it to the front where that is needed to make room.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Notes that `count` bytes came into [`Buffer::space`].
    pub(crate) fn came(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Notes that `count` bytes of [`Buffer::data`] have gone.
    pub(crate) fn gone(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether what is in it takes all its room.
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

fn give_back(bytes: Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    #[cfg(test)]
    let _ = OUTSTANDING.try_with(|outstanding| outstanding.set(outstanding.get() - 1));
    // A buffer may be dropped while its thread ends, when the store is gone already.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_goes_in_order_and_room_is_made_again() {
        let mut buffer = Buffer::none();
        buffer.ensure(8);
        buffer.space()[..8].copy_from_slice(b"abcdefgh");
        buffer.came(8);
        assert!(buffer.is_full());
        buffer.gone(6);
        assert_eq!(buffer.space().len(), 6);
        buffer.space()[..2].copy_from_slice(b"ij");
        buffer.came(2);
        assert_eq!(buffer.data(), b"ghij");
        buffer.ensure(32);
        assert_eq!((buffer.data(), buffer.bytes.len()), (&b"ghij"[..], 32));
        buffer.release();
        assert_eq!(buffer.data(), b"ghij");
        buffer.gone(4);
        buffer.release();
        assert!(buffer.bytes.is_empty());
    }
}
