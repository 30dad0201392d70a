//! A policy under examination: the calls, what came of each, and what to say where one went wrong.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::report::CallTime;
use super::samples::{self, Rng, Sample};
use crate::backend::{Backend, Candidate};
use crate::config::model;
use crate::http::head::{RequestHead, ResponseHead};
use crate::policy::{
    Affinity, Amendment, Arrival, Fault, NotStarted, Outcome, Policy, Probe, REQUEST_BUDGET, Reply,
    SETUP_BUDGET, Settings, UPDATE_BUDGET,
};

/// A kind of call to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `configure`, and whatever making an instance takes.
    Configure,
    /// `update`.
    Update,
    /// `pick`.
    Pick,
    /// `recall`.
    Recall,
    /// `respond`.
    Respond,
    /// `observe`.
    Observe,
}

impl Call {
    /// All of them, in the order in which an instance gets them.
    pub const ALL: [Call; 6] =
        [Call::Configure, Call::Update, Call::Pick, Call::Recall, Call::Respond, Call::Observe];

    /// Its name in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Call::Configure => "configure",
            Call::Update => "update",
            Call::Pick => "pick",
            Call::Recall => "recall",
            Call::Respond => "respond",
            Call::Observe => "observe",
        }
    }

    /// The processor time that it may take.
    pub fn budget(self) -> Duration {
        match self {
            Call::Configure => SETUP_BUDGET,
            Call::Update => UPDATE_BUDGET,
            _ => REQUEST_BUDGET,
        }
    }
}

/// Why a case ends before its end.
pub(super) enum Stop {
    /// Something is wrong.
    Wrong { message: String, sent: String },
    /// The policy would not have these servers, as it may.
    Refused(String),
}

impl Stop {
    pub(super) fn wrong(message: impl Into<String>, sent: impl Into<String>) -> Stop {
        Stop::Wrong { message: message.into(), sent: sent.into() }
    }
}

/// An answer, to be compared with that of another instance.
#[derive(Debug, PartialEq)]
enum Answer {
    Pick(Option<u32>),
    Recall(Affinity),
    Respond(Amendment),
}

/// What a case has seen.
#[derive(Default)]
pub(super) struct Log {
    answers: Vec<Answer>,
    /// Nanoseconds, by call.
    took: [Vec<u64>; 6],
    /// The most memory that an instance held.
    pub(super) memory_bytes: usize,
}

impl Log {
    fn time(&mut self, call: Call, probe: &Probe) {
        self.took[call as usize].push(probe.took().as_nanos() as u64);
        self.memory_bytes = self.memory_bytes.max(probe.memory_bytes());
    }

    pub(super) fn calls(&self) -> usize {
        self.took.iter().map(Vec::len).sum()
    }

    pub(super) fn add(&mut self, other: Log) {
        self.answers.extend(other.answers);
        self.took.iter_mut().zip(other.took).for_each(|(all, more)| all.extend(more));
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
    }

    /// The first answer that is another.
    pub(super) fn differs_from(&self, other: &Log) -> Option<String> {
        let mut both = self.answers.iter().zip(&other.answers).enumerate();
        let (number, (one, two)) = both.find(|(_, (one, two))| one != two)?;
        Some(format!("answer {number} was {one:?}, then {two:?}"))
    }

    /// Whether it was to pick, and never did.
    pub(super) fn never_picked(&self) -> bool {
        let mut picks = self.answers.iter().filter(|answer| matches!(answer, Answer::Pick(_))).peekable();
        picks.peek().is_some() && picks.all(|answer| *answer == Answer::Pick(None))
    }

    /// The times of each call that was made.
    pub(super) fn times(&mut self) -> Vec<CallTime> {
        let mut times = Vec::new();
        for call in Call::ALL {
            let took = &mut self.took[call as usize];
            took.sort_unstable();
            if let Some(most_ns) = took.last().copied() {
                times.push(CallTime { call, calls: took.len(), median_ns: took[took.len() / 2], most_ns });
            }
        }
        times
    }
}

/// Where a case is played: the policy, the numbers of its seed, and what it has seen.
pub(super) struct Scene<'a> {
    pub(super) policy: &'a Policy,
    pub(super) settings: &'a Settings,
    pub(super) rng: Rng,
    log: Log,
    notes: Vec<String>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(policy: &'a Policy, settings: &'a Settings, rng: Rng) -> Scene<'a> {
        Scene { policy, settings, rng, log: Log::default(), notes: Vec::new() }
    }

    pub(super) fn into_log(self) -> (Log, Vec<String>) {
        (self.log, self.notes)
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// An instance for these servers.
    pub(super) fn start(&mut self, servers: Vec<model::Server>) -> Result<Exam<'_>, Stop> {
        let sent = servers_in_words(&servers);
        let backend = samples::backend_of(servers);
        let probe = Probe::start(self.policy, self.settings, &backend)
            .map_err(|why| not_started(why, "did not start", &sent))?;
        self.log.time(Call::Configure, &probe);
        Ok(Exam {
            candidates: Arc::new([]),
            sequence: 0,
            time_ms: samples::START,
            policy: self.policy,
            settings: self.settings,
            rng: &mut self.rng,
            log: &mut self.log,
            probe,
            backend,
        })
    }
}

fn not_started(why: NotStarted, when: &str, sent: &str) -> Stop {
    match why {
        NotStarted::Fault(fault) => Stop::wrong(format!("it {when}: it {fault}"), sent),
        refused @ NotStarted::Refused { .. } => Stop::Refused(format!("it {refused} ({sent})")),
    }
}

/// A live instance in a case.
pub(super) struct Exam<'a> {
    policy: &'a Policy,
    pub(super) settings: &'a Settings,
    pub(super) rng: &'a mut Rng,
    log: &'a mut Log,
    probe: Probe,
    pub(super) backend: Arc<Backend>,
    pub(super) candidates: Arc<[Candidate]>,
    pub(super) sequence: u64,
    pub(super) time_ms: u64,
}

impl Exam<'_> {
    /// Another instance that has been told the same of servers and settings, and no candidates.
    pub(super) fn another(&mut self) -> Result<Probe, Stop> {
        Probe::start(self.policy, self.settings, &self.backend)
            .map_err(|why| not_started(why, "did not start a second time", "the same as the first"))
    }

    /// Has the other instance answer from now on.
    pub(super) fn trade(&mut self, other: &mut Probe) {
        std::mem::swap(&mut self.probe, other);
    }

    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Configures the same instance anew.
    pub(super) fn configure(&mut self, servers: Vec<model::Server>) -> Result<(), Stop> {
        let sent = servers_in_words(&servers);
        self.backend = samples::backend_of(servers);
        let outcome = self.probe.configure(self.settings, &self.backend);
        self.log.time(Call::Configure, &self.probe);
        outcome.map_err(|why| not_started(why, "did not take another configuration", &sent))
    }

    pub(super) fn update(&mut self, candidates: Vec<Candidate>) -> Result<(), Stop> {
        self.candidates = candidates.into();
        let outcome = self.probe.update(&self.candidates);
        self.log.time(Call::Update, &self.probe);
        outcome.map_err(|fault| self.failed(Call::Update, &fault, candidates_in_words(&self.candidates)))
    }

    /// A pick, the next of its backend.
    pub(super) fn pick(
        &mut self,
        request: &Sample<RequestHead>,
        client: IpAddr,
        failed: Option<u32>,
    ) -> Result<Option<u32>, Stop> {
        let arrival = Arrival { sequence: self.sequence, time_ms: self.time_ms, client, failed };
        self.sequence += 1;
        self.time_ms += 1;
        let outcome = self.probe.pick(&request.head, arrival);
        self.log.time(Call::Pick, &self.probe);
        let answer = outcome.map_err(|fault| {
            let failed = failed.map_or("none".to_owned(), |failed| failed.to_string());
            let sent = format!(
                "sequence {}, client {client}, failed {failed}; {}; {}",
                arrival.sequence,
                request.about,
                candidates_in_words(&self.candidates)
            );
            self.failed(Call::Pick, &fault, sent)
        })?;
        self.log.answers.push(Answer::Pick(answer));
        Ok(answer)
    }

    pub(super) fn observe(&mut self, outcome: Outcome) -> Result<(), Stop> {
        let ended = self.probe.observe(&outcome);
        self.log.time(Call::Observe, &self.probe);
        ended.map_err(|fault| self.failed(Call::Observe, &fault, format!("{outcome:?}")))
    }

    pub(super) fn recall(
        &mut self,
        request: &Sample<RequestHead>,
        value: &str,
        client: IpAddr,
    ) -> Result<(Affinity, u32), Stop> {
        self.time_ms += 1;
        let outcome = self.probe.recall(&request.head, value, client, self.time_ms);
        self.log.time(Call::Recall, &self.probe);
        let (affinity, reusable_ms) = outcome.map_err(|fault| {
            let sent = format!("the key's value {}, client {client}; {}", start_of(&value), request.about);
            self.failed(Call::Recall, &fault, sent)
        })?;
        self.log.answers.push(Answer::Recall(affinity.clone()));
        Ok((affinity, reusable_ms))
    }

    pub(super) fn respond(
        &mut self,
        request: &Sample<RequestHead>,
        response: &Sample<ResponseHead>,
        reply: Reply<'_>,
    ) -> Result<(Amendment, u32), Stop> {
        let outcome = self.probe.respond(&request.head, &response.head, &reply);
        self.log.time(Call::Respond, &self.probe);
        let (amendment, reusable_ms) = outcome
            .map_err(|fault| self.failed(Call::Respond, &fault, reply_in_words(&reply, request, response)))?;
        self.log.answers.push(Answer::Respond(amendment.clone()));
        Ok((amendment, reusable_ms))
    }

    fn failed(&self, call: Call, fault: &Fault, sent: String) -> Stop {
        let mut message = format!("it {fault}, in `{}`", call.name());
        let calls = self.log.took[call as usize].len();
        message += &format!(", call {calls} of the case");
        Stop::wrong(message, sent)
    }
}

/// The first words of something long.
pub(super) fn start_of(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}

pub(super) fn reply_in_words(
    reply: &Reply<'_>,
    request: &Sample<RequestHead>,
    response: &Sample<ResponseHead>,
) -> String {
    let sent = reply.sent.map_or("nothing".to_owned(), |sent| start_of(&String::from_utf8_lossy(sent)));
    format!(
        "server {}, standing {:?}, note {}, cacheable {}, sent by the server {sent}; {}; response {}",
        reply.server, reply.standing, reply.note, reply.cacheable, request.about, response.about
    )
}

fn servers_in_words(servers: &[model::Server]) -> String {
    match servers.len() {
        0 => "no servers".to_owned(),
        1 => "one server".to_owned(),
        count => format!("{count} servers"),
    }
}

fn candidates_in_words(candidates: &[Candidate]) -> String {
    let some: Vec<String> =
        candidates.iter().take(5).map(|c| format!("{} of weight {}", c.server, c.weight)).collect();
    let more = if candidates.len() > 5 { " …" } else { "" };
    format!("{} candidates: servers {}{more}", candidates.len(), some.join(", "))
}
