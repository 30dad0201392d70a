//! Hearing clients out. One that sends all of its request before it reads would lose an answer that comes before the
//! request's end: a socket that is closed on bytes which nobody has read is reset, and takes the answer with it (RFC 9112,
//! section 9.6). So the connection is ended on this side alone, and what still comes is thrown away for a while, as nginx
//! does it; and an answer that does not go out at once goes out while what comes is thrown away.
//!
//! Who is heard out has given back its places under all bounds, and holds nothing but its socket. How many there are is
//! bounded here.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::connection::Client;
use crate::http::head::ResponseHead;
use crate::http::parse;
use crate::stream::{Ending, MessageStream, Reader, Writer};
use crate::timer::Timer;
use crate::worker::Worker;

/// How long a client is heard out at most, and how long one that is silent (nginx: `lingering_time`,
/// `lingering_timeout`).
const AT_MOST: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(5);
/// How long at most while the process drains.
const LAST_CALL: Duration = Duration::from_secs(1);
/// How many a worker hears out at a time. Past that the one that it has heard for longest is let go.
pub(crate) const MOST: usize = 256;
/// How much is read at once of what nobody wants.
const DISCARD: usize = 16 * 1024;

/// Those that a worker hears out, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    next: Cell<u64>,
    heard: RefCell<BTreeMap<u64, Waker>>,
}

/// One of them.
struct Heard<'a> {
    all: &'a Lingering,
    number: u64,
}

impl Lingering {
    /// Counts one in. Where there are too many, the one that was counted first goes.
    fn enter(&self) -> Heard<'_> {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let mut heard = self.heard.borrow_mut();
        heard.insert(number, Waker::noop().clone());
        let oldest = if heard.len() > MOST { heard.pop_first() } else { None };
        debug_assert!(heard.len() <= MOST);
        drop(heard);
        if let Some((_, waker)) = oldest {
            waker.wake();
        }
        Heard { all: self, number }
    }
}

impl Heard<'_> {
    /// Whether it is heard on; then the task is woken when it is not any more.
    fn goes_on(&self, context: &Context<'_>) -> bool {
        let mut heard = self.all.heard.borrow_mut();
        let waker = heard.get_mut(&self.number);
        waker.map(|waker| waker.clone_from(context.waker())).is_some()
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.all.heard.borrow_mut().remove(&self.number);
    }
}

/// What comes of a client and is thrown away.
#[derive(Debug, Default)]
pub(crate) struct Discard {
    began: Option<Instant>,
    ended: bool,
}

impl Discard {
    /// Throws away what there is, and what `buffer` holds. Says whether there was anything, by which the client puts off
    /// the end of its time; not for ever.
    pub(crate) fn take(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut Reader<'_>,
        buffer: &mut Buffer,
    ) -> bool {
        let mut came = false;
        while !self.ended {
            buffer.gone(buffer.data().len());
            buffer.release();
            match reader.poll_fill(context, buffer, DISCARD) {
                Poll::Ready(Ok(count)) if count > 0 => came = true,
                Poll::Ready(_) => self.ended = true,
                Poll::Pending => break,
            }
        }
        came && {
            let now = Instant::now();
            now < *self.began.get_or_insert(now) + AT_MOST
        }
    }
}

/// Sends an answer of our own, and says whether all of it went out. A client that `sends` may still be sending: what
/// comes of it is thrown away while the answer has to wait for it to read. It has `timeout` for each step.
pub(crate) async fn answer(
    client: &mut Client,
    answer: &[u8],
    timeout: Option<Duration>,
    sends: bool,
) -> bool {
    let Client { stream, buffer, timer, .. } = client;
    timer.set(Instant::now(), timeout);
    let answer = match stream.message() {
        None => answer,
        Some(message) => match send_head(message, answer) {
            Some(body) => body,
            None => return false,
        },
    };
    let (mut reader, mut writer) = stream.split();
    let (mut sent, mut discard) = (0, Discard::default());
    poll_fn(|context| {
        let before = sent;
        if let Poll::Ready(sent) = poll_write(&mut writer, context, answer, &mut sent) {
            return Poll::Ready(sent && (writer.is_byte_stream() || writer.finish(b"").is_ok()));
        }
        let came = sends && discard.take(context, &mut reader, buffer);
        if came || sent > before {
            timer.set(Instant::now(), timeout);
        }
        timer.poll_elapsed(context).map(|_| false)
    })
    .await
}

/// Sends the head of an answer of our own to a client whose protocol has heads of its own; what follows it is the body. `None`
/// where there is nothing to be sent, or nobody to send it to.
fn send_head<'a>(message: &dyn MessageStream, answer: &'a [u8]) -> Option<&'a [u8]> {
    let mut head = ResponseHead::default();
    let length = parse::response(answer, parse::MAX_LINES, false, &mut head).ok()??;
    let mut encoded = Vec::new();
    message.encode_head(false, &mut encoded, &mut |sink| {
        sink.status(&head);
        head.lines().iter().for_each(|line| sink.line(&line));
        sink.end();
    });
    message.send_head(&encoded, false).ok()?;
    Some(&answer[length..])
}

/// Writes the rest of it, and sends it on; whether that went well.
fn poll_write(
    writer: &mut Writer<'_>,
    context: &mut Context<'_>,
    bytes: &[u8],
    sent: &mut usize,
) -> Poll<bool> {
    while *sent < bytes.len() {
        match writer.poll_write(context, &bytes[*sent..]) {
            Poll::Ready(Ok(count)) => *sent += count,
            Poll::Ready(Err(_)) => return Poll::Ready(false),
            Poll::Pending => return Poll::Pending,
        }
    }
    writer.poll_flush(context).map(|flushed| flushed.is_ok())
}

/// Ends a connection on this side, and hears the client out.
pub(crate) async fn hear_out(worker: &Worker, ending: Ending) {
    let Ending { mut socket, rest } = ending;
    let heard = worker.lingering.enter();
    let (mut buffer, mut timer) = (Buffer::none(), Timer::default());
    let mut end = Instant::now() + AT_MOST;
    timer.set(Instant::now(), Some(SILENCE));
    let (mut sent, mut told, mut over, mut hurried) = (0, false, false, false);
    poll_fn(|context| {
        if !heard.goes_on(context) {
            return Poll::Ready(());
        }
        if worker.is_draining() && !std::mem::replace(&mut hurried, true) {
            let now = Instant::now();
            end = end.min(now + LAST_CALL);
            timer.set(now, Some(end - now));
        }
        let (mut reader, mut writer) = socket.split();
        if !told && let Poll::Ready(went) = poll_write(&mut writer, context, &rest, &mut sent) {
            // An end that does not go out either is no worse.
            told = !went || writer.poll_shutdown(context).is_ready();
        }
        while !over {
            match reader.poll_fill(context, &mut buffer, DISCARD) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    buffer.gone(count);
                    buffer.release();
                    let now = Instant::now();
                    if now >= end {
                        return Poll::Ready(());
                    }
                    timer.set(now, Some(SILENCE.min(end - now)));
                }
                Poll::Ready(_) => over = true,
                Poll::Pending => break,
            }
        }
        if over && told {
            return Poll::Ready(());
        }
        timer.poll_elapsed(context).map(drop)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn past_the_bound_the_one_that_was_heard_for_longest_is_let_go() {
        let lingering = Lingering::default();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let context = Context::from_waker(&waker);
        let first = lingering.enter();
        assert!(first.goes_on(&context));
        let rest: Vec<_> = (1..MOST).map(|_| lingering.enter()).collect();
        assert!(first.goes_on(&context) && !woken.0.load(Relaxed));
        let last = lingering.enter();
        assert!(woken.0.load(Relaxed) && !first.goes_on(&context));
        assert!(rest[0].goes_on(&context) && last.goes_on(&context));
        drop((first, rest));
        assert_eq!(lingering.heard.borrow().len(), 1);
        drop(last);
        assert!(lingering.heard.borrow().is_empty());
    }
}
