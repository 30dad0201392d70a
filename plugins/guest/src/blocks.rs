//! The allocator: free lists of blocks of a power of two, over memory that only grows.
//!
//! A policy allocates in `configure` and `update` and little per request, always the same sizes, so lists of
//! equal blocks neither fragment nor search. A block costs at most twice its size, and none is split or joined.

use core::{alloc::Layout, ptr};

/// The alignment of every block of that size or more: enough for every primitive and for a vector.
const ALIGN: usize = 16;
/// The smallest block has room for the link of its free list.
const SMALLEST: usize = 8;

/// Blocks below `top` are out or in the free list of their size; above it is untouched memory.
#[derive(Debug)]
struct Blocks {
    top: usize,
    /// By the binary logarithm of the size, the first free block; each block holds the address of the next.
    free: [*mut u8; usize::BITS as usize],
}

/// The binary logarithm of the size of the block for `layout`; `None` where there is no such block.
fn class(layout: Layout) -> Option<usize> {
    if layout.align() > ALIGN {
        return None;
    }
    let size = layout.size().max(layout.align()).max(SMALLEST).checked_next_power_of_two()?;
    Some(size.trailing_zeros() as usize)
}

impl Blocks {
    /// No blocks as yet, above an address.
    const fn new(top: usize) -> Self {
        Self { top, free: [ptr::null_mut(); usize::BITS as usize] }
    }

    /// A block for `layout`, or null. `reach` makes memory usable up to an address and says whether it could.
    ///
    /// # Safety
    /// Memory from `top` to whatever `reach` allowed belongs to these blocks alone.
    unsafe fn take(&mut self, layout: Layout, reach: impl FnOnce(usize) -> bool) -> *mut u8 {
        let Some(class) = class(layout) else { return ptr::null_mut() };
        let first = self.free[class];
        if !first.is_null() {
            // SAFETY: a free block holds the address of the next, written by `give`.
            self.free[class] = unsafe { first.cast::<*mut u8>().read_unaligned() };
            return first;
        }
        let size = 1_usize << class;
        let Some(start) = self.top.checked_next_multiple_of(size.min(ALIGN)) else { return ptr::null_mut() };
        let Some(end) = start.checked_add(size).filter(|end| reach(*end)) else { return ptr::null_mut() };
        self.top = end;
        ptr::with_exposed_provenance_mut(start)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from `take` with a layout of the same class and is no longer used.
    unsafe fn give(&mut self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return };
        // SAFETY: the block has room for an address and is ours.
        unsafe { block.cast::<*mut u8>().write_unaligned(self.free[class]) };
        self.free[class] = block;
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) use heap::Heap;

#[cfg(target_arch = "wasm32")]
mod heap {
    use core::{
        alloc::GlobalAlloc,
        arch::wasm32::{memory_grow, memory_size},
    };

    use super::*;
    use crate::export::Single;

    const PAGE: usize = 1 << 16;

    unsafe extern "C" {
        /// Where the linker's data ends and free memory begins.
        static __heap_base: u8;
    }

    /// The instance's linear memory as a heap.
    pub(crate) struct Heap(Single<Blocks>);

    // SAFETY: an instance has one thread.
    unsafe impl Send for Blocks {}

    impl Heap {
        pub(crate) const fn new() -> Self {
            Self(Single::new())
        }
    }

    fn reach(end: usize) -> bool {
        let have = memory_size(0) * PAGE;
        end <= have || memory_grow(0, (end - have).div_ceil(PAGE)) != usize::MAX
    }

    // SAFETY: blocks do not overlap, and each is as long and as aligned as asked for.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.with(|blocks| {
                let blocks = blocks.get_or_insert_with(|| Blocks::new((&raw const __heap_base).addr()));
                // SAFETY: memory above the linker's data is nobody else's.
                unsafe { blocks.take(layout, reach) }
            })
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as the caller promises.
            self.0.with(|blocks| unsafe { blocks.as_mut().map(|blocks| blocks.give(block, layout)) });
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: as the caller promises.
            let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            if class(wanted) == class(layout) {
                return block;
            }
            // SAFETY: the old block is `layout.size()` long, the new one `size`, and they are not the same.
            unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    /// Blocks over memory of this many bytes, given out at an address that is aligned to nothing.
    fn memory(bytes: usize) -> (Vec<u128>, Blocks, usize) {
        let mut memory = vec![0_u128; bytes.div_ceil(16)];
        let start = memory.as_mut_ptr().expose_provenance();
        (memory, Blocks::new(start + 1), start + bytes)
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let (_memory, mut blocks, end) = memory(1 << 14);
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (size, align) in [(1, 1), (3, 1), (24, 8), (8, 8), (40, 16), (100, 4), (9, 2), (1_000, 16)] {
            // SAFETY: the memory is this test's.
            let block = unsafe { blocks.take(layout(size, align), |reached| reached <= end) }.addr();
            assert!(block != 0 && block.is_multiple_of(align), "{size} bytes at {block:#x}");
            assert!(taken.iter().all(|(start, end)| block + size <= *start || *end <= block), "{size} bytes");
            taken.push((block, block + size));
        }
    }

    #[test]
    fn a_block_given_back_is_taken_again() {
        let (_memory, mut blocks, end) = memory(1 << 10);
        let reach = |reached| reached <= end;
        // SAFETY: the memory is this test's, and nothing is used after it was given back.
        unsafe {
            let (one, other) = (blocks.take(layout(20, 4), reach), blocks.take(layout(30, 8), reach));
            blocks.give(one, layout(20, 4));
            blocks.give(other, layout(30, 8));
            let again = [blocks.take(layout(32, 16), reach), blocks.take(layout(17, 1), reach)];
            assert_eq!(again, [other, one]);
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_refused() {
        let (_memory, mut blocks, end) = memory(64);
        // SAFETY: the memory is this test's.
        unsafe {
            assert!(blocks.take(layout(1 << 20, 8), |reached| reached <= end).is_null());
            assert!(blocks.take(layout(isize::MAX as usize, 1), |reached| reached <= end).is_null());
            assert!(blocks.take(layout(8, 4_096), |_| true).is_null());
            assert!(!blocks.take(layout(8, 8), |reached| reached <= end).is_null());
        }
    }
}
