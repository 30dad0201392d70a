//! A client of HTTP/1 that follows a script: what it sends, in which pieces and with which pauses, and what it does
//! that a client had better not do.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::chance::Chance;
use super::ledger::{Ledger, Request, Seen, body};
use super::network::End;
use super::policies;
use super::reader::{Broken, Framing, Head, Reader};

/// Longer than a timeout of the program.
const STALL: Duration = Duration::from_millis(2_700);
/// How long it waits for a 100 before it sends the body without one.
const PATIENCE: Duration = Duration::from_millis(400);

/// A request as it goes out.
#[derive(Debug)]
struct Outgoing {
    number: usize,
    method: &'static str,
    bytes: Vec<u8>,
    /// What is done at which byte, in order.
    steps: Vec<(usize, Step)>,
}

/// What a client does at some byte of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pause(u64),
    AwaitContinue,
    Stall,
    Finish,
    Reset,
}

/// What it does with what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Well,
    /// Leaves at so many bytes.
    LeavesAt(usize),
    /// Stops reading for a while at so many bytes.
    StallsAt(usize),
}

/// A client's connection.
pub(super) struct Client {
    ledger: Rc<Ledger>,
    end: End,
    name: usize,
    requests: Vec<Outgoing>,
    pipelines: bool,
    listening: Listening,
    /// Whether it has done what may end its exchanges.
    disturbed: Cell<bool>,
    /// The number of the request that it is at.
    sending: Cell<usize>,
    answered: Cell<usize>,
    continued: Cell<bool>,
    news: Notify,
}

impl Client {
    /// A client that misbehaves where it is `wild`.
    pub(super) fn new(ledger: &Rc<Ledger>, chance: &Chance, name: usize, end: End, wild: bool) -> Client {
        let count = chance.between(1, 4);
        let mut requests: Vec<_> = (0..count).map(|_| Outgoing::new(ledger, chance, name)).collect();
        let mut listening = Listening::Well;
        if wild {
            let at = chance.below(count);
            match chance.below(8) {
                0..=3 => requests[at].misbehave(ledger, chance),
                4 => requests[at].become_nonsense(ledger, chance),
                5 | 6 => listening = Listening::LeavesAt(chance.below(3_000)),
                _ => listening = Listening::StallsAt(chance.below(3_000)),
            }
        }
        Client {
            ledger: ledger.clone(),
            end,
            name,
            requests,
            pipelines: chance.one_in(4),
            listening,
            disturbed: Cell::new(false),
            sending: Cell::new(0),
            answered: Cell::new(0),
            continued: Cell::new(false),
            news: Notify::new(),
        }
    }

    /// Sends its requests and takes what comes back, until there is nothing more to be had.
    pub(super) async fn run(self) {
        let (mut send, mut listen) = (pin!(self.send()), pin!(self.listen()));
        let mut sent = false;
        let stays = std::future::poll_fn(|context| {
            sent = sent || send.as_mut().poll(context).is_ready();
            listen.as_mut().poll(context)
        })
        .await;
        if stays && !sent {
            // An answer may come before its request's end: that is still owed.
            send.await;
        }
        self.ledger.trace(format_args!("client {} leaves", self.name));
        self.end.close();
    }

    async fn send(&self) {
        for (index, request) in self.requests.iter().enumerate() {
            while !self.pipelines && self.answered.get() < index {
                self.news.notified().await;
            }
            self.continued.set(false);
            self.sending.set(request.number);
            self.ledger.note(request.number, |request| request.begun = true);
            self.ledger
                .trace(format_args!("client {} sends {} {}", self.name, request.method, request.number));
            let mut at = 0;
            for (place, step) in &request.steps {
                if self.end.put(&request.bytes[at..*place]).await.is_err() {
                    return;
                }
                at = *place;
                if self.take(*step).await {
                    return;
                }
            }
            if self.end.put(&request.bytes[at..]).await.is_err() {
                return;
            }
        }
    }

    /// Takes a step; says whether it was the last.
    async fn take(&self, step: Step) -> bool {
        match step {
            Step::Pause(ms) => sleep(Duration::from_millis(ms)).await,
            Step::AwaitContinue => {
                let waited = async {
                    while !self.continued.get() {
                        self.news.notified().await;
                    }
                };
                let _ = tokio::time::timeout(PATIENCE, waited).await;
            }
            Step::Stall => {
                self.disturb("stalls");
                sleep(STALL).await;
            }
            Step::Finish => {
                self.disturb("ends early");
                self.end.finish();
                return true;
            }
            Step::Reset => {
                self.disturb("breaks off");
                self.end.reset();
                return true;
            }
        }
        false
    }

    fn disturb(&self, how: &str) {
        self.disturbed.set(true);
        // What it has sent ahead goes too.
        self.ledger.disturb_all(self.name);
        // It may have its answer already.
        self.ledger.note(self.sending.get(), |request| request.disturbed = true);
        self.ledger.trace(format_args!("client {} {how}", self.name));
    }

    /// Takes the responses; says whether the connection stays.
    async fn listen(&self) -> bool {
        let mut reader = Reader::default();
        for request in &self.requests {
            if !self.response(&mut reader, request).await {
                return false;
            }
            self.answered.set(self.answered.get() + 1);
            self.news.notify_one();
        }
        true
    }

    /// Reads a response; says whether another may follow.
    async fn response(&self, reader: &mut Reader, request: &Outgoing) -> bool {
        let before = reader.used;
        let mut seen = Seen::default();
        let read = self.as_scripted(self.whole(reader, request, &mut seen)).await;
        seen.bytes = reader.used - before;
        let stays = match &read {
            Some(Ok(stays)) => {
                seen.whole = true;
                self.ledger.whole_at_client(request.number, &seen);
                *stays
            }
            Some(Err(Broken::Malformed(what))) => {
                self.ledger.violation(format!("client {} cannot read {}: {what}", self.name, request.number));
                false
            }
            Some(Err(Broken::Ended | Broken::Failed(_))) | None => false,
        };
        seen.reset = matches!(read, Some(Err(Broken::Failed(_))));
        self.ledger.trace(format_args!("client {} has of {}: {seen:?}, {read:?}", self.name, request.number));
        let (disturbed, status) = (self.disturbed.get(), seen.status);
        self.ledger.note(request.number, |request| {
            request.seen = seen;
            request.disturbed |= disturbed;
        });
        // What was not understood is answered with a body, whatever was asked for.
        let refused = request.method == "HEAD" && status == Some(400);
        if !stays && !disturbed && !refused && matches!(read, Some(Ok(_))) {
            self.expect_end(reader).await;
        }
        stays
    }

    /// After the last response nothing may come but the end.
    async fn expect_end(&self, reader: &mut Reader) {
        if !reader.is_empty()
            || !matches!(reader.more(&self.end).await, Err(Broken::Ended | Broken::Failed(_)))
        {
            self.ledger.violation(format!("client {} gets something behind its last response", self.name));
        }
    }

    /// Reads as the script has it. `None`: it has left.
    async fn as_scripted<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        let mut reading = pin!(reading);
        match self.listening {
            Listening::Well => Some(reading.await),
            Listening::LeavesAt(polls) | Listening::StallsAt(polls) => {
                // So many looks, in place of bytes: the reader knows nothing of scripts.
                let mut left = polls % 7;
                let early = std::future::poll_fn(|context| {
                    if left == 0 {
                        return Poll::Ready(None);
                    }
                    left -= 1;
                    reading.as_mut().poll(context).map(Some)
                })
                .await;
                if early.is_some() {
                    return early;
                }
                if matches!(self.listening, Listening::StallsAt(_)) {
                    self.disturb("does not listen");
                    sleep(STALL).await;
                    return Some(reading.await);
                }
                self.disturb("leaves");
                self.end.reset();
                None
            }
        }
    }

    /// Reads a response to its end; answers whether the connection stays.
    async fn whole(&self, reader: &mut Reader, request: &Outgoing, seen: &mut Seen) -> Result<bool, Broken> {
        let head = loop {
            let head = reader.head(&self.end).await?;
            let status = status(&head)?;
            if status >= 200 {
                seen.status = Some(status);
                break head;
            }
            self.continued.set(true);
            self.news.notify_one();
        };
        let status = seen.status.unwrap_or_default();
        seen.answer = head.number("x-answer");
        if head.number("x-of").is_some_and(|of| of != request.number) {
            return Err(Broken::Malformed(format!("an answer to {:?}", head.number("x-of"))));
        }
        policies::answer_arrives(&self.ledger, request.number, seen.answer, |name| head.all(name));
        let closes = head.has("connection", "close")
            || (head.first.starts_with("HTTP/1.0") && !head.has("connection", "keep-alive"));
        let framing = head.framing()?;
        if request.method == "HEAD" || status == 204 || status == 304 {
            return Ok(!closes);
        }
        let framing = framing.unwrap_or(Framing::Close);
        reader.body(&self.end, framing, seen.answer, &mut seen.length).await?;
        Ok(!closes && framing != Framing::Close)
    }
}

fn status(head: &Head) -> Result<u16, Broken> {
    let mut words = head.first.splitn(3, ' ');
    let version = words.next();
    let status = words.next().and_then(|status| status.parse().ok());
    match (version, status) {
        (Some("HTTP/1.1" | "HTTP/1.0"), Some(status)) => Ok(status),
        _ => Err(Broken::Malformed(format!("a status line of {:?}", head.first))),
    }
}

impl Outgoing {
    fn new(ledger: &Ledger, chance: &Chance, client: usize) -> Outgoing {
        let number = ledger.number();
        let method =
            chance.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "DELETE", "PATCH"]);
        let has_body = !matches!(method, "GET" | "HEAD" | "DELETE");
        let length = if has_body { chance.pick(&[0, 1, 17, 400, 3_000, 20_000, 70_000]) } else { 0 };
        let length = if length > 1 { chance.between(1, length) } else { length };
        let key = policies::key(ledger, chance);
        let (target, line) = policies::said(ledger, number, key.as_deref());
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: sim.example\r\n").into_bytes();
        if let Some((name, value)) = line {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let mut steps = Vec::new();
        let chunked = has_body && chance.one_in(3);
        let expects = has_body && length > 0 && chance.one_in(6);
        if expects {
            bytes.extend_from_slice(b"expect: 100-continue\r\n");
        }
        if chunked {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        } else if has_body {
            bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        } else {
            bytes.extend_from_slice(b"\r\n");
        }
        if expects {
            steps.push((bytes.len(), Step::AwaitContinue));
        }
        let body = body(number, length);
        if chunked {
            write_chunks(&body, number, chance, &mut bytes);
        } else {
            bytes.extend_from_slice(&body);
        }
        if chance.one_in(3) {
            let at = chance.between(1, bytes.len() - 1);
            steps.push((at, Step::Pause(chance.between(1, 250) as u64)));
            steps.sort_by_key(|(at, _)| *at);
        }
        let request =
            Request { method, length, is_whole: true, has_head: true, client, key, ..Request::default() };
        ledger.add_request(number, request);
        Outgoing { number, method, bytes, steps }
    }

    /// Something goes wrong while it is sent.
    fn misbehave(&mut self, ledger: &Ledger, chance: &Chance) {
        let at = chance.below(self.bytes.len());
        let step = chance.pick(&[Step::Stall, Step::Finish, Step::Reset, Step::Reset]);
        if step != Step::Stall {
            ledger.note(self.number, |request| request.is_whole = false);
        }
        self.steps.push((at, step));
        self.steps.sort_by_key(|(at, _)| *at);
    }

    /// It turns out to be no request.
    fn become_nonsense(&mut self, ledger: &Ledger, chance: &Chance) {
        let lines: [&[u8]; 6] = [
            b"content-length: 5\r\ncontent-length: 6\r\n",
            b"content-length: 0x5\r\n",
            b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            b"transfer-encoding: gzip\r\n",
            b"no colon\r\n",
            b"na me: value\r\n",
        ];
        let line = chance.pick(&lines);
        let at = self.bytes.windows(2).position(|two| two == b"\r\n").map_or(0, |at| at + 2);
        self.bytes.splice(at..at, line.iter().copied());
        self.steps.clear();
        ledger.note(self.number, |request| (request.is_whole, request.has_head) = (false, false));
    }
}

/// Writes a body in chunks, with what else may stand there at times.
pub(super) fn write_chunks(body: &[u8], number: usize, chance: &Chance, out: &mut Vec<u8>) {
    let mut left = body;
    while !left.is_empty() {
        let count = chance.between(1, left.len().min(9_000));
        let extension = if chance.one_in(8) { ";name=value" } else { "" };
        out.extend_from_slice(format!("{count:x}{extension}\r\n").as_bytes());
        out.extend_from_slice(&left[..count]);
        out.extend_from_slice(b"\r\n");
        left = &left[count..];
    }
    out.extend_from_slice(b"0\r\n");
    if chance.one_in(4) {
        out.extend_from_slice(format!("x-trailer: {number}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
