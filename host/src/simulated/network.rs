//! Connections in memory that behave as TCP does on a bad day: bytes come in pieces and late, readiness is reported in
//! vain, room is short, ends and resets arrive when they arrive, and a reset takes with it what was on its way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::chance::Chance;
use crate::stream::{Carrier, Ending, Stream};

/// So often may a world's connections be polled: whoever needs more waits without sleeping.
const MAX_POLLS: u64 = 3_000_000;

/// What all connections of a world share.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) chance: Rc<Chance>,
    /// Ends that the program under test holds.
    held: Cell<usize>,
    polls: Cell<u64>,
}

/// How a connection treats what is sent on it.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Bytes that may be on their way, or waiting to be read, in one direction.
    capacity: usize,
    /// How long a piece takes, at most.
    delay_ms: usize,
    /// Once in so many times something is pending that need not be; 0: never.
    pending: usize,
    /// Once in so many times a piece is cut short; 0: never.
    short: usize,
}

#[derive(Debug)]
struct Link {
    network: Rc<Network>,
    weather: Weather,
    /// What goes to each side.
    pipes: [RefCell<Pipe>; 2],
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    flying: VecDeque<(Instant, VecDeque<u8>)>,
    bytes: usize,
    /// When the latest of it arrives.
    latest: Option<Instant>,
    end: Option<(Instant, Close)>,
    /// Whether the other side is known to be gone, though its end has come first: who reads finds that, who writes this.
    gone: bool,
    /// Whether nobody will read any more.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    Finished,
    Reset,
}

/// One side of a connection. Dropped, it closes as a socket does: what it has not read makes that a reset.
pub(super) struct End {
    link: Rc<Link>,
    /// The index of what comes to it.
    side: usize,
    finished: Cell<bool>,
    gone: Cell<bool>,
    resets: Cell<bool>,
    alarm: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Network {
    pub(super) fn new(seed: u64) -> Rc<Network> {
        Rc::new(Network { chance: Rc::new(Chance::new(seed)), held: Cell::new(0), polls: Cell::new(0) })
    }

    /// How many connections the program under test holds.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// A connection: the program's end, and the script's.
    pub(super) fn connect(self: &Rc<Network>, peer: SocketAddr) -> (Stream, End) {
        let chance = &self.chance;
        // A line that is slow and narrow takes longer than any timeout.
        let delay_ms = chance.pick(&[0, 0, 0, 2, 15]);
        let capacity = chance.pick(&[65_536, 65_536, 65_536, 4_096, 700, 33]);
        let weather = Weather {
            capacity: if delay_ms > 0 { 65_536 } else { capacity },
            delay_ms,
            pending: chance.pick(&[0, 0, 5, 2]),
            short: chance.pick(&[0, 0, 4, 2]),
        };
        let pipes = [RefCell::default(), RefCell::default()];
        let link = Rc::new(Link { network: self.clone(), weather, pipes });
        self.held.set(self.held.get() + 1);
        let near = Near { end: End::new(&link, 0), peer };
        (Stream::Carried(Box::new(near)), End::new(&link, 1))
    }
}

impl Link {
    /// Whether an attempt comes to nothing this time, though it need not.
    fn is_in_vain(&self, context: &Context<'_>) -> bool {
        let polls = self.network.polls.get() + 1;
        self.network.polls.set(polls);
        assert!(polls < MAX_POLLS, "somebody polls a connection over and over");
        // Who asks without a wish to be woken, asks what is known.
        let asks = only_asks(context);
        let vain = !asks && self.weather.pending > 0 && self.network.chance.one_in(self.weather.pending);
        if vain {
            context.waker().wake_by_ref();
        }
        vain
    }

    /// How much of so many bytes goes at once.
    fn portion(&self, most: usize) -> usize {
        let short = most > 1 && self.weather.short > 0 && self.network.chance.one_in(self.weather.short);
        match (short, short && self.network.chance.one_in(3)) {
            (true, true) => 1,
            (true, false) => self.network.chance.between(1, most),
            _ => most,
        }
    }

    /// When arrives what is sent now.
    fn arrival(&self, pipe: &mut Pipe) -> Instant {
        let delay = self.network.chance.below(self.weather.delay_ms + 1);
        let at = Instant::now() + Duration::from_millis(delay as u64);
        let at = pipe.latest.map_or(at, |latest| at.max(latest));
        pipe.latest = Some(at);
        at
    }

    /// Sends a reset to a side.
    fn reset(&self, side: usize) {
        let mut pipe = self.pipes[side].borrow_mut();
        let at = self.arrival(&mut pipe);
        if self.network.chance.one_in(2) {
            // It overtakes what was sent before and has not been read.
            while pipe.flying.len() > self.network.chance.below(3) {
                let lost = pipe.flying.pop_back().map_or(0, |(_, bytes)| bytes.len());
                pipe.bytes -= lost;
            }
        }
        pipe.end = Some((at, Close::Reset));
        wake(&mut pipe.reader);
    }
}

/// Whether nobody is to be woken. That a waker is [`Waker::noop`] shows in its data alone: its table need not be one.
fn only_asks(context: &Context<'_>) -> bool {
    context.waker().data().is_null()
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn remember(waker: &mut Option<Waker>, context: &Context<'_>) {
    if !only_asks(context) {
        *waker = Some(context.waker().clone());
    }
}

impl End {
    fn new(link: &Rc<Link>, side: usize) -> End {
        let (finished, gone, resets) = (Cell::new(false), Cell::new(false), Cell::new(false));
        End { link: link.clone(), side, finished, gone, resets, alarm: RefCell::default() }
    }

    /// How much fits in at once.
    pub(super) fn capacity(&self) -> usize {
        self.link.weather.capacity
    }

    /// Whether what is sent arrives at once.
    pub(super) fn is_immediate(&self) -> bool {
        self.link.weather.delay_ms == 0
    }

    /// Ready when there is something to be read, or an end.
    fn poll_news(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.link.is_in_vain(context) {
            return Poll::Pending;
        }
        let mut pipe = self.link.pipes[self.side].borrow_mut();
        let (front, end) = (pipe.flying.front().map(|(at, _)| *at), pipe.end.map(|(at, _)| at));
        let next = match (front, end) {
            // A reset is known when it is there; what came before it can be read yet.
            (Some(front), _) => Some(front),
            (None, end) => end,
        };
        match next {
            Some(at) if at <= Instant::now() => Poll::Ready(()),
            next => {
                remember(&mut pipe.reader, context);
                drop(pipe);
                self.wake_at(next, context)
            }
        }
    }

    fn wake_at(&self, at: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at.filter(|_| !only_asks(context)) else { return Poll::Pending };
        let mut alarm = self.alarm.borrow_mut();
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        alarm.as_mut().poll(context)
    }

    /// Reads what there is, some of it at least; 0 at the end.
    pub(super) fn poll_take(&self, context: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.gone.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        std::task::ready!(self.poll_news(context));
        let mut pipe = self.link.pipes[self.side].borrow_mut();
        if pipe.flying.is_empty() {
            return Poll::Ready(match pipe.end {
                Some((_, Close::Finished)) => Ok(0),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            });
        }
        let now = Instant::now();
        let mut count = 0;
        while count < space.len() {
            let Some((at, bytes)) = pipe.flying.front_mut() else { break };
            if *at > now {
                break;
            }
            let most = bytes.len().min(space.len() - count);
            let portion = self.link.portion(most);
            for (to, byte) in space[count..].iter_mut().zip(bytes.drain(..portion)) {
                *to = byte;
            }
            count += portion;
            if bytes.is_empty() {
                pipe.flying.pop_front();
            }
            if portion < most {
                break;
            }
        }
        pipe.bytes -= count;
        wake(&mut pipe.writer);
        Poll::Ready(Ok(count))
    }

    /// Sends some of it at least.
    pub(super) fn poll_put(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.finished.get() || self.gone.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let end = self.link.pipes[self.side].borrow().end;
        if matches!(end, Some((at, Close::Reset)) if at <= Instant::now()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.link.is_in_vain(context) {
            return Poll::Pending;
        }
        let mut pipe = self.link.pipes[1 - self.side].borrow_mut();
        if pipe.deaf {
            drop(pipe);
            match end {
                None => self.link.reset(self.side),
                Some(_) if self.link.pipes[self.side].borrow().gone => {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                Some(_) => self.link.pipes[self.side].borrow_mut().gone = true,
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let room = self.link.weather.capacity.saturating_sub(pipe.bytes);
        if room == 0 {
            remember(&mut pipe.writer, context);
            return Poll::Pending;
        }
        let portion = self.link.portion(room.min(bytes.len()));
        let at = self.link.arrival(&mut pipe);
        pipe.flying.push_back((at, bytes[..portion].iter().copied().collect()));
        pipe.bytes += portion;
        wake(&mut pipe.reader);
        Poll::Ready(Ok(portion))
    }

    /// Says that nothing more will come.
    pub(super) fn finish(&self) {
        if self.finished.replace(true) || self.gone.get() {
            return;
        }
        let mut pipe = self.link.pipes[1 - self.side].borrow_mut();
        let at = self.link.arrival(&mut pipe);
        if pipe.end.is_none() {
            pipe.end = Some((at, Close::Finished));
            wake(&mut pipe.reader);
        }
    }

    /// Closes at once, and has the other side know that it was broken off.
    pub(super) fn reset(&self) {
        self.resets.set(true);
        self.close();
    }

    /// Closes as a socket does.
    pub(super) fn close(&self) {
        if self.gone.replace(true) {
            return;
        }
        let mut own = self.link.pipes[self.side].borrow_mut();
        // What is on its way yet is met by nobody.
        let unread = own.flying.front().is_some_and(|(at, _)| *at <= Instant::now());
        let is_over = matches!(own.end, Some((_, Close::Reset)));
        own.deaf = true;
        own.flying.clear();
        own.bytes = 0;
        wake(&mut own.writer);
        wake(&mut own.reader);
        drop(own);
        if self.resets.get() || (unread && !is_over) {
            self.link.reset(1 - self.side);
        } else if !self.finished.get() {
            let mut pipe = self.link.pipes[1 - self.side].borrow_mut();
            let at = self.link.arrival(&mut pipe);
            if pipe.end.is_none() {
                pipe.end = Some((at, Close::Finished));
                wake(&mut pipe.reader);
            }
        }
    }

    /// Reads what there is, some of it at least; 0 at the end.
    pub(super) async fn take(&self, space: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_take(context, space)).await
    }

    /// Sends all of it.
    pub(super) async fn put(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|context| self.poll_put(context, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close();
    }
}

/// The program's end of a connection.
struct Near {
    end: End,
    peer: SocketAddr,
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        let network = &self.end.link.network;
        network.held.set(network.held.get() - 1);
    }
}

impl Carrier for Near {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.end.poll_news(context)
    }

    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = std::task::ready!(self.end.poll_take(context, space.initialize_unfilled()))?;
        space.advance(read);
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.end.poll_put(context, bytes)
    }

    fn poll_flush(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.finish();
        Poll::Ready(Ok(()))
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }

    fn into_ending(self: Box<Self>) -> Option<Ending> {
        Some(Ending { socket: Stream::Carried(self), rest: Vec::new() })
    }

    fn reset_on_close(&self, resets: bool) {
        self.end.resets.set(resets);
    }
}

/// An end as a library wants it.
pub(super) struct Wire(pub(super) Rc<End>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = std::task::ready!(self.0.poll_take(context, space.initialize_unfilled()))?;
        space.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_put(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}
