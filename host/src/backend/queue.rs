//! Places at servers that have a `maxconn`, and the lines in which requests wait for them.
//!
//! As in HAProxy, a request that is bound to a server (by persistence, or by a hash) waits in that server's
//! line, and any other waits in the backend's for whichever server has a place first. A place that comes
//! free goes to whoever has waited longest in either. Nobody overtakes: while there is a line, newcomers
//! join it. A server without `maxconn` is never full, and costs one atomic addition and one subtraction.
//!
//! Nobody waits for what cannot come: when the last candidate goes, whoever waited for any is sent away, and where others
//! take its place (a backup, say) they serve at once who waits. Who is sent away and has to wait again keeps the turn that
//! it had.
//!
//! All lines of a backend stand behind one lock, taken only where a server is full. The lines outlive a
//! reload, together with the servers. How long a request waits is the caller's business: it gives up by
//! dropping [`Waiting`].

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Backend;
use super::care::ramp;
use super::server::Server;

/// Who else may serve a request when the server that was chosen for it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Nobody: it waits for this very server.
    Bound,
    /// Any candidate of the backend.
    Free,
}

/// What came of asking for a place.
#[derive(Debug)]
pub enum Place {
    /// There is one.
    Ready(Slot),
    /// There is none yet.
    Wait(Waiting),
}

/// A place at a server, free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    backend: Arc<Backend>,
    server: usize,
    /// Whether dropping it frees the place; false only where that is done by hand.
    frees: bool,
}

/// Who was waited for went DOWN before the request's turn came: choose again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server went DOWN while the request waited for it")]
pub struct Evicted {
    /// The turn that it had, to be kept where it has to wait again.
    pub turn: Turn,
}

/// When a request joined a line first: the lower, the sooner it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(u64);

/// A request in a line. Dropping it leaves the line.
#[derive(Debug)]
pub struct Waiting {
    /// Whether it waits for one server, or for any of the backend.
    pub binding: Binding,
    /// Its position when it joined; 1 is the head. HAProxy logs it as `%sq` for a server's line and `%bq`
    /// for a backend's.
    pub position: u32,
    server: Arc<Server>,
    queue: Arc<Queue>,
    turn: Turn,
    outcome: oneshot::Receiver<Result<Slot, Evicted>>,
}

/// The lines of a backend, over all of its generations.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait for any server.
    waiting: AtomicU32,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    next_turn: u64,
    free: Line,
    /// By the server's address in memory. No line stays when it is empty.
    bound: HashMap<usize, Line>,
}

/// Requests by their turns: the first has waited longest.
type Line = BTreeMap<Turn, Entry>;

#[derive(Debug)]
struct Entry {
    backend: Arc<Backend>,
    /// The server's index in `backend`.
    server: usize,
    outcome: oneshot::Sender<Result<Slot, Evicted>>,
}

impl Backend {
    /// Asks for a place at the server of this index, or, where the request is free, at any candidate.
    ///
    /// # Panics
    /// If the backend has no such server.
    pub fn place(self: Arc<Self>, server: usize, binding: Binding) -> Place {
        self.place_again(server, binding, None)
    }

    /// As [`Backend::place`], for a request that may have waited before, and keeps the turn that it had then.
    pub(crate) fn place_again(self: Arc<Self>, server: usize, binding: Binding, kept: Option<Turn>) -> Place {
        if self.take(server) {
            return Place::Ready(Slot { backend: self, server, frees: true });
        }
        if binding == Binding::Free
            && let Some(server) = self.take_another(server)
        {
            return Place::Ready(Slot { backend: self, server, frees: true });
        }
        Place::Wait(self.join(server, binding, kept))
    }

    /// Takes a place at a server, if it has one and nobody waits for it.
    fn take(&self, server: usize) -> bool {
        let server = &self.servers[server];
        if server.config.maxconn.is_none() {
            server.in_flight.fetch_add(1, Relaxed);
            return true;
        }
        server.queued.load(SeqCst) == 0 && self.queue.waiting.load(SeqCst) == 0 && server.take_place()
    }

    /// Takes a place at the first candidate after `full` that has one, as HAProxy's algorithms pass over
    /// full servers.
    fn take_another(&self, full: usize) -> Option<usize> {
        let candidates = self.candidates();
        let next = candidates.partition_point(|c| c.server as usize <= full);
        let (before, after) = candidates.split_at(next);
        after.iter().chain(before).map(|c| c.server as usize).find(|&server| self.take(server))
    }

    /// Joins a line. A place may have come free meanwhile, or the last server gone: then the turn has come already.
    fn join(self: Arc<Self>, server: usize, binding: Binding, kept: Option<Turn>) -> Waiting {
        let (sender, outcome) = oneshot::channel();
        let (queue, whose) = (self.queue.clone(), self.servers[server].clone());
        let mut lines = queue.lock();
        let turn = kept.unwrap_or(Turn(lines.next_turn));
        // A turn that was kept is lower than any that is to come.
        lines.next_turn += u64::from(kept.is_none());
        debug_assert!(turn.0 < lines.next_turn);
        let entry = Entry { backend: self.clone(), server, outcome: sender };
        let (counter, line) = match binding {
            Binding::Bound => (&whose.queued, lines.bound.entry(whose.key()).or_default()),
            Binding::Free => (&queue.waiting, &mut lines.free),
        };
        line.insert(turn, entry);
        let position = if kept.is_some() { line.range(..=turn).count() } else { line.len() } as u32;
        // Said before looking for a place, as `Slot::drop` frees its place before it looks for this: one of
        // the two sees the other.
        counter.fetch_add(1, SeqCst);
        match binding {
            // It may have gone DOWN after the request was bound to it, and before this lock was taken.
            Binding::Bound if self.config.redispatch && !whose.is_usable() => {
                queue.evict_bound(&mut lines, &whose);
            }
            Binding::Bound => queue.serve(&mut lines, &self, server),
            Binding::Free => queue.settle(&mut lines, &self),
        }
        drop(lines);
        Waiting { binding, position, server: whose, queue, turn, outcome }
    }

    /// Sends away those who wait for this server alone. Returns how many.
    pub(super) fn evict(&self, server: usize) -> u32 {
        self.queue.evict_bound(&mut self.queue.lock(), &self.servers[server])
    }

    /// Has those who wait for any server served by the candidates that there are now, or sends them away where there is
    /// none: to be called after each change of the candidates.
    pub(super) fn settle_queue(self: &Arc<Self>) {
        // The lock orders this with `join`: who joins after it sees the new candidates.
        let mut lines = self.queue.lock();
        for other in lines.other_generations(self) {
            // It shares servers with this one, and nobody else tells it of them any more.
            other.refresh();
            self.queue.settle(&mut lines, &other);
        }
        self.queue.settle(&mut lines, self);
    }

    /// Gives this server's free places to those who wait: to be called when it becomes a candidate.
    pub(super) fn serve_waiting(self: &Arc<Self>, server: usize) {
        let queue = &self.queue;
        if queue.waiting.load(SeqCst) > 0 || self.servers[server].queued.load(SeqCst) > 0 {
            queue.serve(&mut queue.lock(), self, server);
        }
    }

    /// Requests that wait for any of its servers.
    pub fn waiting(&self) -> u32 {
        self.queue.waiting.load(Relaxed)
    }
}

impl Server {
    fn take_place(&self) -> bool {
        let limit = self.config.maxconn.map_or(u32::MAX, |maxconn| ramp::part(maxconn, self.ramp()));
        self.in_flight.fetch_update(SeqCst, SeqCst, |n| (n < limit).then(|| n + 1)).is_ok()
    }

    /// What tells servers apart, as long as they live.
    fn key(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the free places of a server, which is named by its index in one of the backend's generations,
    /// to those who have waited longest.
    fn serve(&self, lines: &mut Lines, backend: &Arc<Backend>, index: usize) {
        while self.serve_one(lines, backend, index) {}
    }

    /// Gives one free place of a server to whoever has waited longest, if there are both.
    fn serve_one(&self, lines: &mut Lines, backend: &Arc<Backend>, index: usize) -> bool {
        let server = &backend.servers[index];
        let own = lines.bound.get(&server.key()).and_then(|line| line.first_key_value());
        let own = own.map(|(&turn, entry)| (turn, entry.server));
        let free = lines.oldest_free(backend, index);
        let free_is_next = match (own, free) {
            (None, None) => return false,
            (Some((own, _)), Some((free, _))) => free < own,
            (own, _) => own.is_none(),
        };
        let Some((turn, index)) = (if free_is_next { free } else { own }) else { return false };
        if !server.take_place() {
            return false;
        }
        let binding = if free_is_next { Binding::Free } else { Binding::Bound };
        let Some(entry) = self.leave(lines, server, binding, turn) else { return false };
        let slot = Slot { backend: entry.backend, server: index, frees: true };
        if let Err(Ok(mut slot)) = entry.outcome.send(Ok(slot)) {
            // The request has given up, and is about to leave the line. The place goes to the next one;
            // dropping the slot would ask for the lock that is held here.
            slot.frees = false;
            server.in_flight.fetch_sub(1, SeqCst);
        }
        true
    }

    /// Has the backend's candidates serve those who wait for any of them, each in its turn so that none gets them all.
    /// Where there is no candidate, those of this generation who wait are sent away.
    fn settle(&self, lines: &mut Lines, backend: &Arc<Backend>) {
        if lines.free.is_empty() {
            return;
        }
        let candidates = backend.candidates();
        if candidates.is_empty() {
            let gone = lines.free.extract_if(.., |_, entry| Arc::ptr_eq(&entry.backend, backend));
            self.send_away(&self.waiting, gone);
            return;
        }
        let mut served = true;
        while std::mem::take(&mut served) {
            for candidate in candidates.iter() {
                served |= self.serve_one(lines, backend, candidate.server as usize);
            }
        }
    }

    /// Sends away those who wait for this server alone. Returns how many.
    fn evict_bound(&self, lines: &mut Lines, server: &Arc<Server>) -> u32 {
        let line = lines.bound.remove(&server.key()).unwrap_or_default();
        self.send_away(&server.queued, line)
    }

    /// Tells these, who have left their line, to choose again, in the order of their turns. Returns how many.
    fn send_away(&self, counter: &AtomicU32, entries: impl IntoIterator<Item = (Turn, Entry)>) -> u32 {
        let mut count = 0;
        for (turn, entry) in entries {
            count += 1;
            // Who has given up meanwhile needs no word.
            let _ = entry.outcome.send(Err(Evicted { turn }));
        }
        counter.fetch_sub(count, SeqCst);
        count
    }

    fn leave(&self, lines: &mut Lines, server: &Arc<Server>, binding: Binding, turn: Turn) -> Option<Entry> {
        let (counter, entry) = match binding {
            Binding::Free => (&self.waiting, lines.free.remove(&turn)),
            Binding::Bound => {
                let key = server.key();
                let line = lines.bound.get_mut(&key)?;
                let entry = line.remove(&turn);
                if line.is_empty() {
                    lines.bound.remove(&key);
                }
                (&server.queued, entry)
            }
        };
        if entry.is_some() {
            counter.fetch_sub(1, SeqCst);
        }
        entry
    }
}

impl Lines {
    /// The oldest free request that this server may serve, and the server's index in that request's
    /// generation of the backend.
    fn oldest_free(&self, backend: &Arc<Backend>, index: usize) -> Option<(Turn, usize)> {
        // All but always of one generation, so that the first settles it.
        let mut judged: Option<(&Arc<Backend>, Option<usize>)> = None;
        self.free.iter().find_map(|(&turn, entry)| {
            let index = match judged {
                Some((generation, index)) if Arc::ptr_eq(generation, &entry.backend) => index,
                _ => entry.backend.candidate_like(backend, index),
            };
            judged = Some((&entry.backend, index));
            index.map(|index| (turn, index))
        })
    }

    /// The backend's generations, but for this one, of which somebody waits for any server.
    fn other_generations(&self, backend: &Arc<Backend>) -> Vec<Arc<Backend>> {
        let mut others: Vec<Arc<Backend>> = Vec::new();
        for Entry { backend: of, .. } in self.free.values() {
            if !Arc::ptr_eq(of, backend) && !others.iter().any(|other| Arc::ptr_eq(other, of)) {
                others.push(of.clone());
            }
        }
        others
    }
}

impl Backend {
    /// The index here of a candidate that is server `index` of `other`.
    fn candidate_like(&self, other: &Backend, index: usize) -> Option<usize> {
        let index = if std::ptr::eq(self, other) {
            index
        } else {
            self.servers.iter().position(|server| Arc::ptr_eq(server, &other.servers[index]))?
        };
        self.candidates().binary_search_by_key(&index, |c| c.server as usize).is_ok().then_some(index)
    }
}

impl Slot {
    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The server's index in the backend.
    pub fn index(&self) -> usize {
        self.server
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.backend.servers[self.server]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.frees {
            return;
        }
        let server = self.server();
        if server.config.maxconn.is_none() {
            server.in_flight.fetch_sub(1, Relaxed);
            return;
        }
        server.in_flight.fetch_sub(1, SeqCst);
        self.backend.serve_waiting(self.server);
    }
}

impl Future for Waiting {
    type Output = Result<Slot, Evicted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let evicted = Evicted { turn: self.turn };
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(Err(evicted)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let entry = self.queue.leave(&mut self.queue.lock(), &self.server, self.binding, self.turn);
        drop(entry);
    }
}

#[cfg(test)]
mod tests;
