//! The socket of a client, or of a server, as hyper wants it, and where hyper's tasks run: on the worker's own thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Executor, Read, ReadBufCursor, Write};

use super::PREFACE;
use crate::buffer::Buffer;
use crate::stream::Stream;

/// Runs hyper's tasks on this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local;

impl<Task: Future<Output = ()> + 'static> Executor<Task> for Local {
    fn execute(&self, task: Task) {
        run(task);
    }
}

/// Runs a task on this thread. It is large, and the runtime would copy it several times on its way in and out: in a box
/// it stays where it is.
pub(crate) fn run(task: impl Future<Output = ()> + 'static) {
    drop(tokio::task::spawn_local(Box::pin(task)));
}

/// The byte stream under a connection of HTTP/2.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    /// What has been read and not handed on.
    buffer: Buffer,
    /// How much of a client's [`BEGIN`] has been handed on.
    begun: usize,
}

/// How much decides whether a client began as it must: the preface, and the head of a frame up to its flags.
const BEGIN: usize = PREFACE.len() + 5;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;

/// How much is read at once: a frame of the usual size and its head.
const READ: usize = 16 * 1024 + 9;

impl Wire {
    /// The stream from which `buffer` has been read already.
    pub(crate) fn new(stream: Stream, buffer: Buffer) -> Wire {
        Wire { stream, buffer, begun: BEGIN }
    }

    /// The same, of a client: what has been read and what follows must begin as clients begin.
    pub(super) fn of_client(stream: Stream, buffer: Buffer) -> Wire {
        Wire { begun: 0, ..Wire::new(stream, buffer) }
    }
}

/// Whether these bytes, which come behind as many as have `begun`, are no beginning: the frame behind the preface has
/// to be SETTINGS (RFC 9113, section 3.4), and hyper takes any other.
fn begins_wrongly(begun: &mut usize, bytes: &[u8]) -> bool {
    let from = *begun;
    *begun = (from + bytes.len()).min(BEGIN);
    (from..*begun).zip(bytes).any(|(at, byte)| match BEGIN - at {
        2 => *byte != SETTINGS,
        1 => byte & ACK != 0,
        _ => false,
    })
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut space: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let Wire { stream, buffer, .. } = wire;
        if buffer.is_empty() {
            ready!(stream.split().0.poll_fill(context, buffer, READ))?;
        }
        let count = buffer.data().len().min(space.remaining());
        space.put_slice(&buffer.data()[..count]);
        let wrong = wire.begun < BEGIN && begins_wrongly(&mut wire.begun, &buffer.data()[..count]);
        buffer.gone(count);
        buffer.release();
        if wrong { Poll::Ready(Err(io::ErrorKind::InvalidData.into())) } else { Poll::Ready(Ok(())) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_begins_with_its_settings_however_they_are_cut() {
        let frame = |kind: u8, flags: u8| [PREFACE, &[0, 0, 0, kind, flags, 0, 0, 0, 0], &[0; 9]].concat();
        for (kind, flags, wrong) in [
            (SETTINGS, 0, false),
            (SETTINGS, 0xfe, false),
            (SETTINGS, ACK, true),
            (6, 0, true),
            (0, ACK, true),
        ] {
            for size in [1, 2, 7, 24, 28, 100] {
                let mut begun = 0;
                let bytes = frame(kind, flags);
                let seen = bytes.chunks(size).filter(|piece| begins_wrongly(&mut begun, piece)).count();
                assert_eq!((seen > 0, begun), (wrong, BEGIN), "{kind} {flags} {size}");
            }
        }
    }
}
