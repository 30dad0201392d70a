//! A server of HTTP/2 that follows a script drawn anew for each request: when it answers, where it resets the stream or
//! leaves, and with which words.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use hyper::{HeaderMap, Request, Response};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::chance::Chance;
use super::client2::send_part;
use super::ledger::{Answer, Ledger, body, byte};
use super::network::{End, Wire};
use super::policies;

/// Longer than a timeout of the program.
const STALL: Duration = Duration::from_millis(2_700);

/// A server's side of a connection.
pub(super) struct Server {
    pub(super) ledger: Rc<Ledger>,
    pub(super) name: usize,
    pub(super) end: Rc<End>,
    /// Whether it misbehaves.
    pub(super) wild: bool,
    departure: Cell<Option<Departure>>,
    departing: Notify,
}

/// How a server leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Departure {
    /// It takes no further streams.
    Gracefully,
    /// With a GOAWAY, and all that is under way ends.
    Abruptly(Reason),
    Reset,
    Close,
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Reset(Reason),
    Stall,
    Depart(Departure),
}

struct Script {
    early: bool,
    think: Duration,
    head: Response<()>,
    interim: Option<u16>,
    body: Vec<u8>,
    bodiless: bool,
    trailers: bool,
    answer: usize,
    /// `None` as a place stands for before the head.
    trouble: Option<(Option<usize>, Trouble)>,
}

impl Server {
    pub(super) fn new(ledger: Rc<Ledger>, name: usize, end: End, wild: bool) -> Rc<Server> {
        let (departure, departing) = (Cell::new(None), Notify::new());
        Rc::new(Server { ledger, name, end: Rc::new(end), wild, departure, departing })
    }

    /// Serves until the connection ends.
    pub(super) async fn run(self: Rc<Server>, chance: Rc<Chance>) {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(chance.pick(&[100, 100, 2, 1]));
        builder.initial_window_size(chance.pick(&[65_535, 65_535, 5_000]));
        builder.data_frame_budget(usize::MAX);
        let Ok(mut connection) = builder.handshake::<_, Bytes>(Wire(self.end.clone())).await else { return };
        let mut streams = Vec::new();
        loop {
            let next = {
                let mut departing = pin!(self.departing.notified());
                poll_fn(|context| match connection.poll_accept(context) {
                    Poll::Ready(next) => Poll::Ready(Some(next)),
                    Poll::Pending => departing.as_mut().poll(context).map(|()| None),
                })
                .await
            };
            match next {
                Some(Some(Ok((request, respond)))) => {
                    let (server, chance) = (self.clone(), chance.clone());
                    streams.push(tokio::task::spawn_local(async move {
                        server.stream(request, respond, &chance).await;
                    }));
                }
                Some(Some(Err(error))) => {
                    if error.is_library() {
                        let name = self.name;
                        self.ledger
                            .violation(format!("server {name} is sent what it cannot take: {error:?}"));
                    }
                    break;
                }
                Some(None) => break,
                None => match self.departure.take() {
                    Some(Departure::Gracefully) => connection.graceful_shutdown(),
                    Some(Departure::Abruptly(reason)) => connection.abrupt_shutdown(reason),
                    Some(Departure::Reset) => self.end.reset(),
                    Some(Departure::Close) => self.end.close(),
                    None => {}
                },
            }
        }
        streams.iter().for_each(tokio::task::JoinHandle::abort);
        self.end.close();
    }

    fn depart(&self, how: Departure) {
        self.departure.set(Some(how));
        self.departing.notify_one();
    }

    async fn stream(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>, chance: &Chance) {
        let (parts, mut incoming) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let Some((number, query)) = policies::number(target) else {
            return self.ledger.violation(format!("server {} gets {}", self.name, parts.uri));
        };
        if self.wild && chance.one_in(12) {
            // As far as anybody can tell, it has never seen it.
            self.ledger.trace(format_args!("server {} refuses {number}", self.name));
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        self.ledger.head_at_server(self.name, number, parts.method.as_str());
        policies::request_arrives(&self.ledger, number, query, |name| policies::lines(&parts.headers, name));
        let script = self.script(number, parts.method.as_str(), chance);
        self.ledger.trace(format_args!(
            "server {} answers {number}: early {}, {:?} of {}",
            self.name,
            script.early,
            script.trouble,
            script.body.len()
        ));
        let taking = async {
            let mut length = 0;
            while let Some(piece) = incoming.data().await {
                let Ok(piece) = piece else { return false };
                for got in &piece {
                    if *got != byte(number, length) {
                        self.ledger.violation(format!("byte {length} of {number} is another's"));
                        return false;
                    }
                    length += 1;
                }
                let _ = incoming.flow_control().release_capacity(piece.len());
            }
            let whole = incoming.trailers().await.is_ok();
            if whole {
                self.ledger.whole_at_server(self.name, number, length);
            }
            whole
        };
        if !script.early {
            if taking.await {
                self.answer(respond, script).await;
            }
        } else {
            tokio::join!(taking, self.answer(respond, script));
        }
    }

    async fn answer(&self, mut respond: SendResponse<Bytes>, script: Script) {
        sleep(script.think).await;
        if let Some(status) = script.interim {
            let interim = Response::builder().status(status).body(()).expect("a head");
            let _ = respond.send_informational(interim);
        }
        let place = script.trouble.map(|(place, _)| place);
        if place == Some(None) && self.trouble(script.trouble, |reason| respond.send_reset(reason)).await {
            return;
        }
        let ends =
            script.bodiless || (script.body.is_empty() && !script.trailers && script.trouble.is_none());
        let Ok(mut stream) = respond.send_response(script.head, ends) else { return };
        if ends {
            return;
        }
        let until = place.flatten().unwrap_or(script.body.len());
        let mut at = 0;
        if !send_part(&mut stream, &script.body[..until], &mut at).await {
            return;
        }
        if matches!(place, Some(Some(_)))
            && self.trouble(script.trouble, |reason| stream.send_reset(reason)).await
        {
            return;
        }
        if !send_part(&mut stream, &script.body[until..], &mut at).await {
            return;
        }
        if script.trailers {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", script.answer.into());
            let _ = stream.send_trailers(trailers);
        } else {
            let _ = stream.send_data(Bytes::new(), true);
        }
    }

    /// Does what goes wrong; whether that is the end.
    async fn trouble(&self, trouble: Option<(Option<usize>, Trouble)>, reset: impl FnOnce(Reason)) -> bool {
        match trouble.map(|(_, trouble)| trouble) {
            None => return false,
            Some(Trouble::Stall) => {
                sleep(STALL).await;
                return false;
            }
            Some(Trouble::Reset(reason)) => reset(reason),
            Some(Trouble::Depart(how)) => {
                self.depart(how);
                if how == Departure::Gracefully {
                    return false;
                }
                // The connection takes this stream with it.
                std::future::pending::<()>().await;
            }
        }
        true
    }

    fn script(&self, number: usize, method: &str, chance: &Chance) -> Script {
        let answer = self.ledger.number();
        let status = chance.pick(&[200_u16, 200, 200, 200, 201, 204, 304, 404, 500]);
        let bodiless = method == "HEAD" || status == 204 || status == 304;
        let length = chance.pick(&[0, 1, 40, 900, 5_000, 90_000]);
        let length = if length > 1 { chance.between(1, length) } else { length };
        let says_length = chance.one_in(2) && status != 204;
        let head = Response::builder().status(status).header("x-of", number).header("x-answer", answer);
        let head = if says_length { head.header("content-length", length) } else { head };
        let lines = policies::server_lines(&self.ledger, chance);
        let head = lines.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        let head = head.body(()).expect("a head");
        let length = if bodiless { 0 } else { length };
        let has_key = lines.len() > 1;
        let mut whole = Answer { request: number, status, length, is_whole: true, has_key };
        let mut trouble = None;
        if self.wild && chance.one_in(3) {
            let reason = chance.pick(&[Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR]);
            let what = match chance.below(10) {
                0..=3 => Trouble::Reset(reason),
                4 => Trouble::Stall,
                5 => Trouble::Depart(Departure::Gracefully),
                6 => Trouble::Depart(Departure::Abruptly(reason)),
                7 => Trouble::Depart(Departure::Close),
                _ => Trouble::Depart(Departure::Reset),
            };
            let place = if bodiless || chance.one_in(4) { None } else { Some(chance.below(length + 1)) };
            let goes_on = matches!(what, Trouble::Stall | Trouble::Depart(Departure::Gracefully));
            // Where the length is known, nothing is missing that could come.
            whole.is_whole = goes_on || (says_length && place == Some(length));
            trouble = Some((place, what));
        }
        self.ledger.add_answer(answer, whole);
        let interim = chance.one_in(10).then_some(103);
        let think = Duration::from_millis(chance.pick(&[0, 0, 0, 1, 40, 300]));
        let (early, trailers) = (chance.one_in(5), !bodiless && chance.one_in(5));
        Script {
            early,
            think,
            head,
            interim,
            body: body(answer, length),
            bodiless,
            trailers,
            answer,
            trouble,
        }
    }
}
