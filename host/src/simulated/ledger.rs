//! What clients and servers of a simulated world sent and saw, message by message, and what of it must never be.
//!
//! Each message has a number, and its body is made of that: a byte that is found where it does not belong gives itself
//! away.

use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hasher};

use tokio::time::Instant;

use super::policies::Policies;
use crate::policy::Amendment;

/// The byte at a place of the body of this number.
pub(super) fn byte(number: usize, at: usize) -> u8 {
    (number * 151 + at * 7 + at / 251) as u8
}

/// A body.
pub(super) fn body(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| byte(number, at)).collect()
}

/// A request, as its client means it and what became of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) length: usize,
    /// Whether its client means to send all of it.
    pub(super) is_whole: bool,
    /// Whether its head is one.
    pub(super) has_head: bool,
    /// Whether its first byte has been sent.
    pub(super) begun: bool,
    /// Whether its client did, before it had the whole answer, what may end the exchange.
    pub(super) disturbed: bool,
    /// Whose it is.
    pub(super) client: usize,
    /// How many servers have seen its head, and all of it.
    pub(super) heads: usize,
    pub(super) wholes: usize,
    /// What its client says of itself.
    pub(super) key: Option<String>,
    /// The server that its policy bound it to.
    pub(super) bound: Option<u32>,
    /// Whether its policy failed when it was asked for that.
    pub(super) has_failed_policy: bool,
    /// What its policy changed in its answer.
    pub(super) amended: Option<Amendment>,
    pub(super) seen: Seen,
}

/// What a client saw of the response.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    /// The number of the server's answer; `None`: it is the program's own.
    pub(super) answer: Option<usize>,
    pub(super) length: usize,
    pub(super) whole: bool,
    /// Whether the connection was reset under it.
    pub(super) reset: bool,
    /// Bytes on the wire, interim responses among them.
    pub(super) bytes: usize,
}

/// What a server answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) request: usize,
    pub(super) status: u16,
    pub(super) length: usize,
    /// Whether the server means to send all of it, and as it should be.
    pub(super) is_whole: bool,
    /// Whether it has a key of the server's own.
    pub(super) has_key: bool,
}

/// All that happened.
#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    speaks: bool,
    pub(super) policies: Policies,
    /// How many outcomes the policies were told.
    pub(super) outcomes: Cell<usize>,
    next: Cell<usize>,
    pub(super) requests: RefCell<Vec<Option<Request>>>,
    pub(super) answers: RefCell<Vec<Option<Answer>>>,
    violations: RefCell<Vec<String>>,
    trace: RefCell<DefaultHasher>,
}

impl Ledger {
    /// An empty one, that prints what happens where it `speaks`.
    pub(super) fn new(speaks: bool, policies: Policies) -> Ledger {
        Ledger {
            started: Instant::now(),
            speaks,
            policies,
            outcomes: Cell::new(0),
            next: Cell::new(1),
            requests: RefCell::default(),
            answers: RefCell::default(),
            violations: RefCell::default(),
            trace: RefCell::default(),
        }
    }

    /// A number that no message has yet.
    pub(super) fn number(&self) -> usize {
        self.next.replace(self.next.get() + 1)
    }

    pub(super) fn add_request(&self, number: usize, request: Request) {
        put(&mut self.requests.borrow_mut(), number, request);
    }

    pub(super) fn add_answer(&self, number: usize, answer: Answer) {
        put(&mut self.answers.borrow_mut(), number, answer);
    }

    /// A request, to be read.
    pub(super) fn request(&self, number: usize) -> Option<Request> {
        self.requests.borrow().get(number).cloned().flatten()
    }

    /// An answer, to be read.
    pub(super) fn answer(&self, number: usize) -> Option<Answer> {
        self.answers.borrow().get(number).cloned().flatten()
    }

    /// Changes what is known of a request.
    pub(super) fn note(&self, number: usize, change: impl FnOnce(&mut Request)) {
        if let Some(Some(request)) = self.requests.borrow_mut().get_mut(number) {
            change(request);
        }
    }

    /// A client's connection goes, with all that has no whole answer yet.
    pub(super) fn disturb_all(&self, client: usize) {
        for request in self.requests.borrow_mut().iter_mut().flatten() {
            request.disturbed |= request.client == client && !request.seen.whole;
        }
    }

    /// Notes something that must not be.
    pub(super) fn violation(&self, what: String) {
        self.trace(format_args!("VIOLATION {what}"));
        self.violations.borrow_mut().push(what);
    }

    /// What must not have been.
    pub(super) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    /// Notes that something happened.
    #[allow(clippy::print_stderr)]
    pub(super) fn trace(&self, what: Arguments<'_>) {
        // Once the world has ended there is no time.
        let now = tokio::runtime::Handle::try_current().map_or(0, |_| self.started.elapsed().as_millis());
        let line = format!("{now:>7} {what}");
        if self.speaks {
            eprintln!("{line}");
        }
        self.trace.borrow_mut().write(line.as_bytes());
    }

    /// A number that stands for all that happened, in its order.
    pub(super) fn fingerprint(&self) -> u64 {
        self.trace.borrow().finish()
    }

    /// A server has read the head of a request.
    pub(super) fn head_at_server(&self, server: usize, number: usize, method: &str) {
        self.trace(format_args!("server {server} has the head of {number}"));
        match self.request(number) {
            Some(request) if request.method == method => self.note(number, |request| request.heads += 1),
            Some(request) => self.violation(format!("{} {number} comes as {method}", request.method)),
            None => self.violation(format!("nobody sent {number}")),
        }
    }

    /// A server takes what it has of a request for whole.
    pub(super) fn whole_at_server(&self, server: usize, number: usize, length: usize) {
        self.trace(format_args!("server {server} has all of {number}"));
        self.note(number, |request| request.wholes += 1);
        let Some(request) = self.request(number) else { return };
        if !request.is_whole || request.length != length {
            let (means, whole) = (request.length, request.is_whole);
            self.violation(format!(
                "{number} is whole at its server with {length} bytes; its client means {means}, whole: {whole}"
            ));
        }
    }

    /// A client takes what it has of a response for whole.
    pub(super) fn whole_at_client(&self, number: usize, seen: &Seen) {
        let Some(answer) = seen.answer else { return };
        let Some(sent) = self.answer(answer) else {
            return self.violation(format!("{number} is answered by {answer}, which nobody sent"));
        };
        if sent.request != number {
            self.violation(format!("{number} gets answer {answer}, which is for {}", sent.request));
        }
        if !sent.is_whole || sent.length != seen.length || Some(sent.status) != seen.status {
            self.violation(format!("{number} takes answer {answer} for whole: {seen:?} of {sent:?}"));
        }
    }
}

fn put<T>(all: &mut Vec<Option<T>>, number: usize, one: T) {
    if all.len() <= number {
        all.resize_with(number + 1, || None);
    }
    all[number] = Some(one);
}
