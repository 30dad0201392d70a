//! The socket of a server as hyper wants it, and where hyper's tasks run: on the worker's own thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Executor, Read, ReadBufCursor, Write};

use crate::buffer::Buffer;
use crate::stream::Stream;

/// Runs hyper's tasks on this thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

impl<Task: Future<Output = ()> + 'static> Executor<Task> for Local {
    fn execute(&self, task: Task) {
        run(task);
    }
}

/// Runs a task on this thread. It is large, and the runtime would copy it several times on its way in and out: in a box
/// it stays where it is.
pub(super) fn run(task: impl Future<Output = ()> + 'static) {
    drop(tokio::task::spawn_local(Box::pin(task)));
}

/// The byte stream under a connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// What has been read and not handed on.
    buffer: Buffer,
}

/// How much is read at once: a frame of the usual size and its head.
const READ: usize = 16 * 1024 + 9;

impl Wire {
    /// The stream from which `buffer` has been read already.
    pub(super) fn new(stream: Stream, buffer: Buffer) -> Wire {
        Wire { stream, buffer }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut space: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Wire { stream, buffer } = self.get_mut();
        if buffer.is_empty() {
            ready!(stream.split().0.poll_fill(context, buffer, READ))?;
        }
        let count = buffer.data().len().min(space.remaining());
        space.put_slice(&buffer.data()[..count]);
        buffer.gone(count);
        buffer.release();
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().stream.split().1.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.split().1.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.split().1.poll_shutdown(context)
    }
}
