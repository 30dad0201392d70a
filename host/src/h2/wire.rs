//! The socket of a client, or of a server, as hyper wants it, and where hyper's tasks run: on the worker's own thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Executor, Read, ReadBufCursor, Write};

use super::PREFACE;
use super::screen::{Screen, Step};
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
    /// What looks at a client's header blocks, and what it has put in their place that has not been handed on.
    screen: Option<(Screen, Replaced)>,
}

/// Bytes of which some have been handed on.
#[derive(Debug, Default)]
struct Replaced {
    bytes: Vec<u8>,
    gone: usize,
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
        Wire { stream, buffer, begun: BEGIN, screen: None }
    }

    /// The same, of a client: what has been read and what follows must begin as clients begin, and is looked at.
    pub(super) fn of_client(stream: Stream, buffer: Buffer, screen: Screen) -> Wire {
        Wire { begun: 0, screen: Some((screen, Replaced::default())), ..Wire::new(stream, buffer) }
    }

    /// Hands on what there is, as far as there is room for it and it has been looked at.
    fn hand_on(&mut self, space: &mut ReadBufCursor<'_>) -> io::Result<()> {
        let Wire { buffer, begun, screen, .. } = self;
        while space.remaining() > 0 && !buffer.is_empty() {
            let mut count = buffer.data().len().min(space.remaining());
            if let Some((screen, replaced)) = screen {
                if replaced.hand_on(space) {
                    continue;
                }
                match screen.step(buffer.data()) {
                    Step::Pass(most) => count = count.min(most),
                    Step::Instead(most, bytes) => {
                        buffer.gone(most);
                        *replaced = Replaced { bytes, gone: 0 };
                        replaced.hand_on(space);
                        continue;
                    }
                    Step::More => break,
                }
                screen.passed(count);
            }
            let bytes = &buffer.data()[..count];
            if *begun < BEGIN && begins_wrongly(begun, bytes) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            space.put_slice(bytes);
            buffer.gone(count);
        }
        if let Some((_, replaced)) = screen {
            replaced.hand_on(space);
        }
        Ok(())
    }
}

impl Replaced {
    /// Hands on as much as there is room for; whether anything is left.
    fn hand_on(&mut self, space: &mut ReadBufCursor<'_>) -> bool {
        let left = &self.bytes[self.gone..];
        let count = left.len().min(space.remaining());
        space.put_slice(&left[..count]);
        self.gone += count;
        if self.gone == self.bytes.len() {
            *self = Replaced::default();
        }
        !self.bytes.is_empty()
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
        let before = space.remaining();
        loop {
            wire.hand_on(&mut space)?;
            if space.remaining() < before || before == 0 {
                wire.buffer.release();
                return Poll::Ready(Ok(()));
            }
            // Part of a frame that is looked at as a whole may be here.
            let held = wire.buffer.data().len();
            let read = wire.stream.split().0.poll_fill(context, &mut wire.buffer, READ.max(held + 1));
            if ready!(read)? == 0 {
                match &mut wire.screen {
                    Some((screen, _)) if held > 0 => screen.ended(),
                    _ => return Poll::Ready(Ok(())),
                }
            }
        }
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
