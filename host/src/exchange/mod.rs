//! One request and its response, from head to log: the place to start reading.
//!
//! ```text
//!  client ──head──▶ recall? ──▶ pick ──▶ queue ──▶ connect or reuse ──▶ request ──▶ server
//!                  (policy)    (policy)    ▲              │ no                         │
//!                                          └── retry ◀────┘                            │
//!  client ◀──body── relay ◀── respond? ◀──────────────────────────────────head─────────┘
//!     │                       (policy)
//!     └──▶ log
//! ```
//!
//! Everything runs on the client connection's own task: no channel, no second task, no lock. Whatever goes
//! wrong becomes a [`Failure`], and in one place an answer.

mod answer;
mod attempt;
mod edits;
mod limits;
mod multiplexed;
mod observe;
#[cfg(any(test, feature = "fuzzing"))]
mod passed_on;
mod patience;
mod relay;
mod repeat;
mod request;
mod response;
mod ruled;
pub(crate) mod secure;
mod story;
pub(crate) mod transfer;
mod tunnel;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::backend::care::breaker::Permit;
use crate::backend::care::sign::Sign;
use crate::connection::{Came, Client};
use crate::failure::{Connection, Failure};
use crate::http::body::Encoding;
use crate::http::cookies;
use crate::http::head::{Framing, Known, Version};
use crate::http::semantics::Malformed;
use crate::http::trailers::Sender;
use crate::limit::Refusal;
use crate::linger;
use crate::policy::{Affinity, Key, Standing};
use crate::worker::{BackendSeat, Doorway, FrontendSeat, Generation, Worker};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use passed_on::{amended_head, head_for_client, head_for_server, head_with_key, ruled_head};

use answer::Answer;
use edits::Edits;
use patience::Pace;
use repeat::Fate;
use story::Story;
use transfer::Transfer;

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for the next request.
    Keep,
    /// It is closed.
    Close,
    /// It is closed once the client, of whose request more may be on its way, has had time to see the answer.
    Linger,
    /// It is reset: the answer broke off, and an end in order would make it look whole.
    Reset,
}

/// What becomes of a request before it has a backend.
enum Admission {
    /// Its backend serves it.
    Admitted,
    /// It is answered here.
    Answered(Box<Answer>),
    /// A rule denies it with this status; the client waits so long for that.
    Denied(u16, Option<Duration>),
    /// It is over a limit.
    Limited(Box<Refusal>),
    /// It is none that this frontend takes.
    Malformed,
}

/// A request on its way.
pub(crate) struct Exchange<'a> {
    worker: &'a Worker,
    doorway: &'a Doorway,
    generation: &'a Generation,
    frontend: &'a FrontendSeat,
    /// The one that serves it; the frontend's default until it is admitted.
    backend: &'a BackendSeat,
    client: &'a mut Client,
    /// What the heads are to be changed in, beside what persistence wants.
    edits: Edits,
    /// The request: its head as the server gets it, then its body.
    upload: Transfer,
    affinity: Affinity,
    /// Which of several keys in the request the affinity comes from.
    key_number: usize,
    story: Story,
    /// Whom the try that is under way waits for.
    pace: Pace,
    /// Whether it has been counted and logged.
    concluded: bool,
    /// What the server's circuit breaker has let through.
    permit: Option<Permit>,
    /// Whether the client takes the end of its connection for that of the response which is on its way.
    ends_by_close: bool,
    /// What the last try has come to.
    fate: Fate,
    /// The server that the client's own connections lead to.
    bound: Option<u32>,
    /// When the request arrived: milliseconds since 1970.
    time_ms: u64,
}

impl<'a> Exchange<'a> {
    /// The exchange of the request whose head the client's side holds.
    pub(crate) fn new(
        worker: &'a Worker,
        doorway: &'a Doorway,
        generation: &'a Generation,
        frontend: &'a FrontendSeat,
        client: &'a mut Client,
        came: Came,
    ) -> Exchange<'a> {
        let story = Story::new(came);
        let backend = &generation.backends[frontend.shared.config.default_backend];
        let time_ms = since_1970_ms(came.first_byte_at);
        let pending = std::mem::take(&mut client.scratch.up);
        let framing = client.scratch.request.framing;
        let transfer = if client.stream.message().is_some() { Transfer::of_message } else { Transfer::new };
        let upload = transfer(framing, Sender::Client, encoding(framing), pending);
        Exchange {
            worker,
            doorway,
            generation,
            frontend,
            backend,
            client,
            edits: Edits::default(),
            upload,
            affinity: Affinity::default(),
            key_number: 0,
            story,
            pace: Pace::default(),
            concluded: false,
            permit: None,
            ends_by_close: false,
            fate: Fate::Unprocessed,
            bound: None,
            time_ms,
        }
    }

    /// Serves the request, counts it and logs it.
    pub(crate) async fn run(&mut self) -> Next {
        let next = match self.admit() {
            Admission::Admitted => match self.serve().await {
                Ok(next) => next,
                Err(failure) => self.fail(failure).await,
            },
            Admission::Answered(answer) => self.answer(*answer).await,
            Admission::Denied(status, wait) => self.deny(status, wait).await,
            Admission::Limited(refusal) => self.turn_away(&refusal).await,
            Admission::Malformed => self.fail(Failure::BadRequest).await,
        };
        self.conclude();
        self.client.scratch.up = self.upload.take_spare();
        next
    }

    /// Counts the exchange and logs it: once, whatever comes of that.
    fn conclude(&mut self) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        self.story.uploaded = self.story.uploaded.max(self.upload.written);
        self.story.count(self.frontend, self.backend);
        self.story.log(self.worker, self.frontend, self.backend, self.client, Some(self.affinity.standing));
    }

    /// Lets the request in to its backend, or says what it gets instead.
    fn admit(&mut self) -> Admission {
        if self.client.scratch.request.lines().has_unusual_names() && !self.sift_names() {
            return Admission::Malformed;
        }
        if self.frontend.shared.config.asks_certificates || self.is_vouched_for() {
            self.forget_forged();
        }
        if let Some(limits) = &self.frontend.shared.limits
            && let Err(refusal) = self.count(limits)
        {
            return Admission::Limited(refusal);
        }
        if self.is_misdirected() {
            return Admission::Denied(421, None);
        }
        if let Some(answer) = self.secure() {
            return Admission::Answered(Box::new(answer));
        }
        if let Some(ended) = self.obey_rules() {
            return ended;
        }
        self.story.admitted = true;
        self.story.has_persistence = self.backend.persistence.is_some();
        if let Some(limits) = &self.backend.limits
            && let Err(refusal) = self.count(limits)
        {
            return Admission::Limited(refusal);
        }
        Admission::Admitted
    }

    async fn serve(&mut self) -> Result<Next, Failure> {
        self.recall();
        self.bound = self.own_server();
        self.compose()?;
        let backend = self.backend;
        let _entered = backend.enter();
        let permit = match &backend.shared.circuit {
            None => None,
            Some(circuit) => circuit.admit(backend.shared.requests.load(Relaxed), self.story.came.head)?,
        };
        let served = self.serve_admitted().await;
        if let Some(permit) = permit {
            let status = self.client.scratch.response.status;
            let turn = permit.settle(Sign::of(served.as_ref().err().copied(), status), Instant::now());
            backend.shared.say_turn(turn);
        }
        served
    }

    async fn serve_admitted(&mut self) -> Result<Next, Failure> {
        let attempt = self.attempt().await?;
        let (server, began, status) = (attempt.server, attempt.began, self.client.scratch.response.status);
        let relayed = self.relay(attempt).await;
        self.observe(server, relayed.as_ref().err().copied(), status, began);
        relayed
    }

    /// Asks persistence, where the request carries its key, for the server that the client is bound to. Of
    /// several cookies of the name, the first that names a server counts.
    fn recall(&mut self) {
        let Some(persistence) = &self.backend.persistence else { return };
        let mut persistence = persistence.borrow_mut();
        let request = &self.client.scratch.request;
        let key = persistence.key().clone();
        let values: &mut dyn Iterator<Item = &[u8]> = match &*key {
            Key::Cookie(name) => &mut request
                .lines()
                .known(Known::Cookie)
                .flat_map(cookies::pairs)
                .filter(|pair| pair.name == name.as_bytes())
                .map(|pair| pair.value),
            Key::Header(name) => &mut request.lines().header(name.as_bytes()).into_iter(),
            Key::Query(name) => {
                &mut query_parameter(request.query().unwrap_or_default(), name.as_bytes()).into_iter()
            }
        };
        for (number, value) in values.enumerate() {
            self.affinity = persistence.recall(request, value, client_ip(self.client), self.time_ms);
            self.key_number = number;
            if self.affinity.server.is_some() {
                break;
            }
        }
    }

    /// The server at which the client has authenticated a connection, unless it is DOWN.
    fn own_server(&self) -> Option<u32> {
        let servers = &self.backend.shared.servers;
        let server = self.client.own.bound_among(servers)?;
        servers[server].is_usable().then_some(server as u32)
    }

    /// Writes the request for the server, with as much of its body as has come.
    fn compose(&mut self) -> Result<(), Failure> {
        let persistence = self.backend.persistence.as_ref().map(|persistence| persistence.borrow());
        let key = persistence
            .as_ref()
            .map(|persistence| (&**persistence.key(), &self.affinity.key, self.key_number));
        let changes = request::Changes {
            key,
            forwardfor: [
                self.frontend.shared.config.forwardfor.as_ref(),
                self.backend.shared.config.forwardfor.as_ref(),
            ],
            client: self.client.peer.map(|peer| peer.ip()),
            edits: &self.edits,
        };
        // What only this program tells of the client, or rules say, is not said again behind the body.
        let told = changes.forwardfor.into_iter().flatten().map(|forwardfor| &*forwardfor.header);
        self.upload.withhold(told.chain(edits::names(&self.edits.request)));
        request::write(&self.client.scratch.request, &changes, self.upload.pending_mut());
        self.gather().map_err(|_| Failure::BadRequest)?;
        self.client.buffer.release();
        Ok(())
    }

    /// Takes what has come of the request's body already.
    fn gather(&mut self) -> Result<(), Malformed> {
        let Client { stream, buffer, .. } = &mut *self.client;
        match stream.message() {
            None => self.upload.gather(buffer),
            Some(message) => self.upload.gather_message(message, buffer),
        }
    }

    /// Answers for a failure, where an answer is still possible. The one place where that is done.
    async fn fail(&mut self, failure: Failure) -> Next {
        let outcome = failure.outcome();
        self.story.ended_by(outcome.cause, outcome.phase);
        if failure == Failure::BadRequest {
            self.story.forget_request();
        }
        let Some(status) = outcome.status.filter(|_| self.story.status.is_none()) else {
            return if self.ends_by_close { Next::Reset } else { self.part() };
        };
        let whole = self.upload.is_read() && failure != Failure::BadRequest;
        let page = self.page(status);
        let connection = self.connection_after(whole && !page.is_silence());
        let answer = page.response(connection, self.client.scratch.request.method() == b"HEAD");
        self.send_own(page.status(), answer, connection).await
    }

    /// Answers in a server's place.
    async fn answer(&mut self, answer: Answer) -> Next {
        let [cause, phase] = answer.termination;
        self.story.ended_by(cause, phase);
        // A body that comes with the request, and is small, is here already: the connection can stay then.
        let whole = self.gather().is_ok() && self.upload.is_read();
        let connection = self.connection_after(whole);
        let bytes = answer.response(connection, self.client.scratch.request.method() == b"HEAD");
        self.send_own(answer.status, &bytes, connection).await
    }

    /// What becomes of the client's connection behind an answer of our own; `whole` says whether the request has been
    /// read to its end.
    fn connection_after(&self, whole: bool) -> Connection {
        let request = &self.client.scratch.request;
        match (whole && request.keep_alive && !self.is_last(), request.version) {
            (false, _) => Connection::Close,
            (true, Version::Http10) => Connection::KeepAlive,
            (true, Version::Http11) => Connection::Keep,
        }
    }

    /// Whether the client's connection ends with this exchange, whatever its heads say: the process drains, or a
    /// reload has closed the listener.
    fn is_last(&self) -> bool {
        self.worker.is_draining() || self.doorway.frontend().is_none()
    }

    /// Sends an answer of our own.
    async fn send_own(&mut self, status: u16, answer: &[u8], connection: Connection) -> Next {
        let answer = &*secure::with_hsts(answer, self.frontend, self.client);
        self.story.status = Some(status);
        self.story.bytes += answer.len() as u64;
        let timeout = self.frontend.shared.config.timeout.client;
        let sent = linger::answer(self.client, answer, timeout, !self.upload.is_read()).await;
        if connection != Connection::Close && sent { Next::Keep } else { self.part() }
    }

    /// How a connection ends that is not kept.
    fn part(&self) -> Next {
        if self.upload.is_read() { Next::Close } else { Next::Linger }
    }

    /// What the log says of the cookie once the request had to leave its server.
    fn leave_server(&mut self) {
        self.bound = None;
        if self.affinity.server.take().is_some() {
            self.affinity.standing = Standing::Down;
        }
    }
}

/// An exchange that is let go of before its end was cut off from without: its worker ends and does not wait for it, or
/// something panicked on its way. It is counted and logged as any other.
impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.concluded {
            let failure = if std::thread::panicking() { Failure::Internal } else { Failure::Killed };
            self.story.cut_off_by(failure.outcome().cause);
            self.conclude();
        }
    }
}

/// How a body framed like this is passed on.
fn encoding(framing: Framing) -> Encoding {
    if framing == Framing::Chunked { Encoding::Chunked } else { Encoding::Plain }
}

/// Milliseconds since 1970, UTC.
fn since_1970_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The client's address for policies; that of nobody on a Unix socket.
fn client_ip(client: &Client) -> IpAddr {
    client.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

fn query_parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    query.split(|b| *b == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}
