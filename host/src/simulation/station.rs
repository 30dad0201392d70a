//! A simulated server: so many requests at once, the others in line.

use std::collections::VecDeque;

use super::words::{Nanoseconds, Window};

/// An attempt at a server: a request by its place, and which of the attempts from that place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) request: u32,
    pub(super) turn: u32,
}

/// A server and what it has before it.
#[derive(Debug)]
pub(super) struct Station {
    free: u32,
    waiting: VecDeque<Ticket>,
    present: u32,
    /// Requests times nanoseconds, within the time that counts.
    area: u64,
    since: Nanoseconds,
    counted: Window,
    peak: u32,
    taken: u64,
}

impl Station {
    /// One that serves so many requests at once, and whose load counts within a window.
    pub(super) fn new(concurrency: u32, counted: Window) -> Station {
        let waiting = VecDeque::new();
        Station { free: concurrency, waiting, present: 0, area: 0, since: 0, counted, peak: 0, taken: 0 }
    }

    /// Takes a request in.
    pub(super) fn enter(&mut self, now: Nanoseconds) {
        self.account(now);
        self.present += 1;
        if self.counted.holds(now) {
            self.peak = self.peak.max(self.present);
            self.taken += 1;
        }
    }

    /// Lets a request go.
    pub(super) fn leave(&mut self, now: Nanoseconds) {
        self.account(now);
        self.present -= 1;
    }

    /// Has a request served at once, or puts it in line. Says whether it is served.
    pub(super) fn serve_or_line_up(&mut self, ticket: Ticket) -> bool {
        if self.free == 0 {
            self.waiting.push_back(ticket);
            return false;
        }
        self.free -= 1;
        true
    }

    /// One has been served. Gives the next to be served, of those that are `alive` still.
    pub(super) fn served(&mut self, alive: impl Fn(Ticket) -> bool) -> Option<Ticket> {
        while let Some(ticket) = self.waiting.pop_front() {
            if alive(ticket) {
                return Some(ticket);
            }
        }
        self.free += 1;
        None
    }

    /// Requests that it has now.
    pub(super) fn present(&self) -> u32 {
        self.present
    }

    /// The most that it had at once.
    pub(super) fn peak(&self) -> u32 {
        self.peak
    }

    /// Requests that it was sent.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Requests that it had on average.
    pub(super) fn mean(&mut self) -> f64 {
        self.account(self.counted.to);
        self.area as f64 / (self.counted.to - self.counted.from) as f64
    }

    fn account(&mut self, now: Nanoseconds) {
        let from = self.since.max(self.counted.from);
        let to = now.min(self.counted.to);
        self.area += u64::from(self.present) * to.saturating_sub(from);
        self.since = self.since.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(request: u32) -> Ticket {
        Ticket { request, turn: 0 }
    }

    #[test]
    fn those_who_wait_are_served_in_order_but_for_those_who_left() {
        let mut station = Station::new(2, Window::ALWAYS);
        let served: Vec<bool> = (0..5).map(|n| station.serve_or_line_up(ticket(n))).collect();
        assert_eq!(served, [true, true, false, false, false]);
        assert_eq!(station.served(|ticket| ticket.request != 2), Some(ticket(3)));
        assert_eq!(station.served(|_| true), Some(ticket(4)));
        assert_eq!(station.served(|_| true), None);
        assert!(station.serve_or_line_up(ticket(5)), "a place is free again");
    }

    #[test]
    fn the_mean_is_over_the_time_that_counts() {
        let mut station = Station::new(1, Window { from: 10, to: 20 });
        station.enter(5);
        station.enter(15);
        station.leave(18);
        station.leave(40);
        assert_eq!(station.mean(), (10.0 + 3.0) / 10.0);
        assert_eq!((station.peak(), station.taken(), station.present()), (2, 1, 0));
    }
}
