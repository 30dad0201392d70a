//! The socket of a client, or of a server, as hyper wants it, and where hyper's tasks run: on the worker's own thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use tokio::time::Instant;

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
    /// Whoever has it as well gets it back once hyper is done with it.
    stream: Rc<RefCell<Stream>>,
    /// What has been read and not handed on.
    buffer: Buffer,
    /// How much of a client's [`BEGIN`] has been handed on.
    begun: usize,
    /// What looks at a client's header blocks, and what it has put in their place that has not been handed on.
    screen: Option<(Screen, Replaced)>,
    /// For whoever wants to know how what is written goes out.
    progress: Option<Rc<Progress>>,
}

/// How what is written to a client goes out. More of it may be on its way than any exchange knows.
#[derive(Debug)]
pub(super) struct Progress {
    /// When something went out last.
    at: Cell<Instant>,
    /// Whether more would, if the client took it.
    waits: Cell<bool>,
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
    pub(crate) fn new(stream: Rc<RefCell<Stream>>, buffer: Buffer) -> Wire {
        Wire { stream, buffer, begun: BEGIN, screen: None, progress: None }
    }

    /// The same, of a client: what has been read and what follows must begin as clients begin, and is looked at.
    pub(super) fn of_client(stream: Rc<RefCell<Stream>>, buffer: Buffer, screen: Screen) -> Wire {
        Wire { begun: 0, screen: Some((screen, Replaced::default())), ..Wire::new(stream, buffer) }
    }

    /// The same, which notes how what is written goes out.
    pub(super) fn noting(self, progress: Rc<Progress>) -> Wire {
        Wire { progress: Some(progress), ..self }
    }
}

impl Progress {
    /// Nothing has been written yet.
    pub(super) fn new() -> Progress {
        Progress { at: Cell::new(Instant::now()), waits: Cell::new(false) }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        self.waits.set(written.is_pending());
        if matches!(written, Poll::Ready(Ok(count)) if *count > 0) {
            self.at.set(Instant::now());
        }
    }

    /// Since when, and how long, a connection that is ending waits for its client, who is told so at `told`: `farewell`
    /// from the last that went out, or as long as any client may take for more of an answer.
    pub(super) fn patience(
        &self,
        told: Instant,
        farewell: Duration,
        stall: Option<Duration>,
    ) -> (Instant, Option<Duration>) {
        (told.max(self.at.get()), if self.waits.get() { stall } else { Some(farewell) })
    }
}

/// Hands on what there is, as far as there is room for it and it has been looked at.
fn hand_on(
    buffer: &mut Buffer,
    begun: &mut usize,
    screen: &mut Option<(Screen, Replaced)>,
    space: &mut ReadBufCursor<'_>,
) -> io::Result<()> {
    loop {
        if let Some((_, replaced)) = screen {
            replaced.hand_on(space);
        }
        if space.remaining() == 0 || buffer.is_empty() {
            return Ok(());
        }
        let step = match screen {
            Some((screen, _)) => screen.step(buffer.data()),
            None => Step::Pass(buffer.data().len()),
        };
        let (used, other) = match step {
            Step::Pass(most) => (most.min(space.remaining()), None),
            Step::Instead(used, bytes) => (used, Some(Replaced { bytes, gone: 0 })),
            Step::More => return Ok(()),
        };
        let bytes = &buffer.data()[..used];
        if *begun < BEGIN && begins_wrongly(begun, bytes) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match (other, &mut *screen) {
            (Some(other), Some((_, replaced))) => *replaced = other,
            (_, screen) => {
                space.put_slice(bytes);
                screen.iter_mut().for_each(|(screen, _)| screen.passed(used));
            }
        }
        buffer.gone(used);
    }
}

impl Replaced {
    /// Hands on as much as there is room for.
    fn hand_on(&mut self, space: &mut ReadBufCursor<'_>) {
        let left = &self.bytes[self.gone..];
        let count = left.len().min(space.remaining());
        space.put_slice(&left[..count]);
        self.gone += count;
        if self.gone == self.bytes.len() {
            *self = Replaced::default();
        }
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
            hand_on(&mut wire.buffer, &mut wire.begun, &mut wire.screen, &mut space)?;
            if space.remaining() < before || before == 0 {
                wire.buffer.release();
                return Poll::Ready(Ok(()));
            }
            // Part of a frame that is looked at as a whole may be here.
            let held = wire.buffer.data().len();
            let mut stream = wire.stream.borrow_mut();
            let read = stream.split().0.poll_fill(context, &mut wire.buffer, READ.max(2 * held));
            drop(stream);
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
        let wire = self.get_mut();
        let written = wire.stream.borrow_mut().split().1.poll_write(context, bytes);
        wire.progress.iter().for_each(|progress| progress.note(&written));
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.borrow_mut().split().1.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.borrow_mut().split().1.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hyper gets of these bytes, which come so many at a time, with so much room.
    fn handed_on(bytes: &[u8], pieces: usize, room: usize) -> io::Result<Vec<u8>> {
        let (mut buffer, mut begun) = (Buffer::none(), 0);
        let mut screen = Some((Screen::new(READ, READ), Replaced::default()));
        let mut got = Vec::new();
        for piece in bytes.chunks(pieces) {
            buffer.ensure(buffer.data().len() + piece.len());
            buffer.space()[..piece.len()].copy_from_slice(piece);
            buffer.came(piece.len());
            loop {
                let mut memory = vec![0; room];
                let mut space = hyper::rt::ReadBuf::new(&mut memory);
                hand_on(&mut buffer, &mut begun, &mut screen, &mut space.unfilled())?;
                if space.filled().is_empty() {
                    break;
                }
                got.extend_from_slice(space.filled());
            }
        }
        Ok(got)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_what_is_owed_to_it_slowly_is_waited_for() {
        let (farewell, stall) = (Duration::from_secs(1), Some(Duration::from_secs(30)));
        let progress = Progress::new();
        let told = Instant::now();
        assert_eq!(progress.patience(told, farewell, stall), (told, Some(farewell)));
        tokio::time::advance(Duration::from_millis(900)).await;
        progress.note(&Poll::Pending);
        assert_eq!(progress.patience(told, farewell, stall), (told, stall));
        tokio::time::advance(Duration::from_secs(20)).await;
        progress.note(&Poll::Ready(Ok(1)));
        let last = Instant::now();
        assert_eq!(progress.patience(told, farewell, stall), (last, Some(farewell)));
        progress.note(&Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())));
        assert_eq!(progress.patience(told, farewell, stall), (last, Some(farewell)));
    }

    #[test]
    fn what_is_looked_at_is_the_same_however_much_room_there_is() {
        let frame = |kind: u8, flags: u8, payload: &[u8]| {
            [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1], payload].concat()
        };
        let settings = [PREFACE, &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]].concat();
        let requests =
            [frame(1, 4, b"\x44\x03/<a"), frame(0, 0, b"body"), frame(1, 4, b"\xbe"), frame(0, 1, b"")];
        let bytes = [settings, requests.concat()].concat();
        let whole = handed_on(&bytes, bytes.len(), 10_000).expect("a beginning");
        assert!(whole.len() > bytes.len() && whole.windows(5).any(|window| window == b"\x03/|a\0"));
        for (pieces, room) in [(1, 1), (1, 100), (7, 3), (1_000, 1), (1_000, 10), (13, 64)] {
            assert_eq!(handed_on(&bytes, pieces, room).expect("a beginning"), whole, "{pieces} {room}");
        }
        let wrong = [PREFACE, &requests.concat()].concat();
        assert!(handed_on(&wrong, wrong.len(), 10_000).is_err(), "what is replaced is no beginning either");
    }

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
