//! Memory that has been freed goes back to the system. glibc's allocator keeps what a thread frees for that thread, and a
//! configuration is made by many threads and freed by others: after a reload most of what the former one took would stay
//! with the process, in pieces, and grow with every reload.

/// Gives the memory that is free back to the system, in milliseconds for each hundred megabytes of heap. The allocator
/// locks one arena at a time meanwhile: call it off the workers' threads, and rarely.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim touches nothing but the allocator's own lists, under their locks; any thread may call it.
    unsafe {
        libc::malloc_trim(0);
    }
}
