//! A client of HTTP/2 that follows a script: several requests at a time on one connection, some of which it takes back,
//! and at times the connection goes with all of them.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use hyper::Request as Head;
use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::ledger::{Ledger, Request, Seen, body, byte};
use super::network::{End, Wire};
use super::policies;

/// Longer than a timeout of the program.
const STALL: Duration = Duration::from_millis(2_700);
/// Nobody waits for an answer so long that the program still works on.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it goes out.
#[derive(Debug, Clone)]
struct Outgoing {
    number: usize,
    method: &'static str,
    body: Vec<u8>,
    says_length: bool,
    late: Duration,
    trouble: Option<(usize, Trouble)>,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It is taken back, while it is sent or while its answer comes.
    Reset(Reason),
    /// It stops for a while.
    Stall,
    /// Its answer is not taken for a while.
    Deaf,
    /// The connection breaks.
    Break,
    /// The connection ends.
    Finish,
}

/// A client's connection.
pub(super) struct Client {
    ledger: Rc<Ledger>,
    end: Rc<End>,
    name: usize,
    /// Whether the connection has been given up.
    broken: Rc<Cell<bool>>,
}

impl Client {
    /// Sends requests and takes what comes back, until there is nothing more to be had.
    pub(super) async fn run(ledger: Rc<Ledger>, chance: &Chance, name: usize, end: End, wild: bool) {
        let mut requests: Vec<_> =
            (0..chance.between(1, 6)).map(|_| Outgoing::new(&ledger, chance, name)).collect();
        if wild {
            let at = chance.below(requests.len());
            requests[at].misbehave(&ledger, chance);
        }
        let client = Rc::new(Client { ledger, end: Rc::new(end), name, broken: Rc::default() });
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(chance.pick(&[65_535, 65_535, 1_000, 200_000]));
        builder.enable_push(false);
        // Small frames wait behind one another where the line is narrow; that they are not empty is held all the same.
        builder.data_frame_budget(usize::MAX);
        let shaken = builder.handshake::<_, Bytes>(Wire(client.end.clone())).await;
        let Ok((sender, connection)) = shaken else { return };
        let ledger = client.ledger.clone();
        let driver = tokio::task::spawn_local(async move {
            let ended = connection.await;
            if ended.as_ref().is_err_and(h2::Error::is_library) {
                ledger.violation(format!("client {name} is sent what it cannot take: {ended:?}"));
            }
            ledger.trace(format_args!("the connection of client {name} ends: {ended:?}"));
        });
        let all: Vec<_> = requests
            .into_iter()
            .map(|request| {
                let (client, sender) = (client.clone(), sender.clone());
                tokio::task::spawn_local(async move { client.request(sender, request).await })
            })
            .collect();
        for one in all {
            if one.await.is_err() {
                client.ledger.violation(format!("client {name} failed"));
            }
        }
        client.ledger.trace(format_args!("client {name} leaves"));
        drop(sender);
        client.end.close();
        driver.abort();
    }

    async fn request(&self, sender: SendRequest<Bytes>, outgoing: Outgoing) {
        sleep(outgoing.late).await;
        let number = outgoing.number;
        let Ok(mut sender) = sender.ready().await else { return };
        let key = self.ledger.request(number).and_then(|request| request.key);
        let (target, line) = policies::said(&self.ledger, number, key.as_deref());
        let head = Head::builder().method(outgoing.method).uri(format!("http://sim.example{target}"));
        let head = line.into_iter().fold(head, |head, (name, value)| head.header(name, value));
        let head = match outgoing.says_length {
            true => head.header("content-length", outgoing.body.len()),
            false => head,
        };
        let head = head.body(()).expect("a head");
        let ends = outgoing.body.is_empty() && outgoing.trouble.is_none();
        self.ledger.note(number, |request| request.begun = true);
        self.ledger.trace(format_args!("client {} sends {} {number}", self.name, outgoing.method));
        let Ok((response, upload)) = sender.send_request(head, ends) else { return };
        let mut seen = Seen::default();
        let took = {
            let mut receive = pin!(timeout(PATIENCE, async {
                let response = response.await?;
                seen.status = Some(response.status().as_u16());
                let value = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok();
                seen.answer = value("x-answer");
                if value("x-of").is_some_and(|of: usize| of != number) {
                    self.ledger.violation(format!("{number} gets an answer to {:?}", value("x-of")));
                }
                policies::answer_arrives(&self.ledger, number, seen.answer, |name| {
                    policies::lines(response.headers(), name)
                });
                let deaf = matches!(outgoing.trouble, Some((_, Trouble::Deaf)));
                if deaf {
                    self.disturb(number, "does not listen");
                    // What it leaves unread takes the window from all that it has asked for.
                    self.ledger.disturb_all(self.name);
                    sleep(STALL).await;
                }
                self.take(response.into_body(), &mut seen).await
            }));
            let mut send = pin!(self.send(upload, &outgoing, ends));
            let mut goes_on = true;
            poll_fn(|context| {
                if goes_on && let std::task::Poll::Ready(more) = send.as_mut().poll(context) {
                    goes_on = false;
                    if !more {
                        return std::task::Poll::Ready(None);
                    }
                }
                receive.as_mut().poll(context).map(Some)
            })
            .await
        };
        match took {
            Some(Ok(Ok(()))) => {
                seen.whole = true;
                self.ledger.whole_at_client(number, &seen);
            }
            Some(Ok(Err(error))) => self.ledger.trace(format_args!("{number} breaks: {error:?}")),
            None => {}
            Some(Err(_elapsed)) => self.ledger.violation(format!("{number} waits for ever")),
        }
        self.ledger.trace(format_args!("client {} has of {number}: {seen:?}", self.name));
        let broken = self.broken.get();
        self.ledger.note(number, |request| {
            request.seen = seen;
            request.disturbed |= broken;
        });
    }

    /// Takes a body to its end.
    async fn take(&self, mut body: RecvStream, seen: &mut Seen) -> Result<(), h2::Error> {
        while let Some(piece) = body.data().await {
            let piece = piece?;
            for got in &piece {
                if seen.answer.is_some_and(|answer| *got != byte(answer, seen.length)) {
                    self.ledger.violation(format!("byte {} of {:?} is another's", seen.length, seen.answer));
                    return Ok(());
                }
                seen.length += 1;
            }
            body.flow_control().release_capacity(piece.len())?;
        }
        body.trailers().await.map(|_| ())
    }

    fn disturb(&self, number: usize, how: &str) {
        self.ledger.note(number, |request| request.disturbed = true);
        self.ledger.trace(format_args!("client {} {how} with {number}", self.name));
    }

    /// Sends a body, as far as it goes; `false` where its sender gave up.
    async fn send(&self, mut upload: SendStream<Bytes>, outgoing: &Outgoing, ends: bool) -> bool {
        if ends {
            return true;
        }
        let mut at = 0;
        let until = outgoing.trouble.map_or(usize::MAX, |(until, _)| until).min(outgoing.body.len());
        if !send_part(&mut upload, &outgoing.body[..until], &mut at).await {
            return true;
        }
        if let Some((_, trouble)) = outgoing.trouble {
            match trouble {
                Trouble::Reset(reason) => {
                    self.disturb(outgoing.number, "takes back");
                    upload.send_reset(reason);
                    return false;
                }
                Trouble::Stall => {
                    self.disturb(outgoing.number, "stalls");
                    sleep(STALL).await;
                }
                Trouble::Deaf => {}
                Trouble::Break | Trouble::Finish => {
                    self.broken.set(true);
                    self.disturb(outgoing.number, "breaks off");
                    self.ledger.disturb_all(self.name);
                    if trouble == Trouble::Break {
                        self.end.reset()
                    } else {
                        self.end.close()
                    }
                    return false;
                }
            }
        }
        if send_part(&mut upload, &outgoing.body[until..], &mut at).await {
            let _ = upload.send_data(Bytes::new(), true);
        }
        true
    }
}

/// Sends a piece as the windows allow; `false` where it is not wanted.
pub(super) async fn send_part(upload: &mut SendStream<Bytes>, mut piece: &[u8], at: &mut usize) -> bool {
    while !piece.is_empty() {
        upload.reserve_capacity(piece.len());
        let room = match poll_fn(|context| upload.poll_capacity(context)).await {
            Some(Ok(room)) => room.min(piece.len()),
            _ => return false,
        };
        if room == 0 {
            continue;
        }
        if upload.send_data(Bytes::copy_from_slice(&piece[..room]), false).is_err() {
            return false;
        }
        *at += room;
        piece = &piece[room..];
    }
    true
}

impl Outgoing {
    fn new(ledger: &Ledger, chance: &Chance, client: usize) -> Outgoing {
        let number = ledger.number();
        let method =
            chance.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "DELETE", "PATCH"]);
        let has_body = !matches!(method, "GET" | "HEAD" | "DELETE");
        let length = if has_body { chance.pick(&[0, 1, 17, 400, 3_000, 20_000, 90_000]) } else { 0 };
        let length = if length > 1 { chance.between(1, length) } else { length };
        let key = policies::key(ledger, chance);
        let request =
            Request { method, length, is_whole: true, has_head: true, client, key, ..Request::default() };
        ledger.add_request(number, request);
        let late = Duration::from_millis(chance.pick(&[0, 0, 0, 3, 200]));
        let says_length = has_body && chance.one_in(2);
        Outgoing { number, method, body: body(number, length), says_length, late, trouble: None }
    }

    fn misbehave(&mut self, ledger: &Ledger, chance: &Chance) {
        let reason = chance.pick(&[Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR]);
        let trouble = match chance.below(8) {
            0..=3 => Trouble::Reset(reason),
            4 => Trouble::Stall,
            5 => Trouble::Deaf,
            6 => Trouble::Break,
            _ => Trouble::Finish,
        };
        let at = chance.below(self.body.len() + 1);
        // Where the length is known, nothing is missing that could come.
        let is_whole =
            matches!(trouble, Trouble::Stall | Trouble::Deaf) || (self.says_length && at == self.body.len());
        ledger.note(self.number, |request| request.is_whole = is_whole);
        self.trouble = Some((at, trouble));
    }
}
