//! What rules make of a request before a server has it: its backend, changes to its heads, or an answer of our own.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::answer::Answer;
use super::edits::{Edits, LineEdit};
use super::{Admission, Exchange};
use crate::connection::Client;
use crate::failure::Failure;
use crate::rules::{Answered, Decision, Ending, Facts, HeaderEdit, RuleSet, Tls, reason};

impl Exchange<'_> {
    /// Evaluates the rules of the frontend, and then those of the backend that serves. `None` where the request goes
    /// on.
    pub(super) fn obey_rules(&mut self) -> Option<Admission> {
        let rules = &self.frontend.shared.config.rules;
        if rules.is_empty() && self.backend.shared.config.rules.is_empty() {
            return None;
        }
        let mut facts = facts(self.client);
        complete(&mut facts, self.client, rules);
        let mut decision = Decision::default();
        rules.decide(&facts, &mut decision, |_| {});
        let mut admission = decision.ending.map(|ending| admission_for(ending, &facts));
        if admission.is_none() {
            if let Some(backend) = decision.backend.and_then(|index| self.generation.backends.get(index)) {
                self.backend = backend;
            }
            let rules = &self.backend.shared.config.rules;
            complete(&mut facts, self.client, rules);
            rules.decide(&facts, &mut decision, |_| {});
            admission = decision.ending.map(|ending| admission_for(ending, &facts));
            // The log names the backend that ended it.
            self.story.admitted = admission.is_some();
        }
        if admission.is_none() {
            let lines = |edits: Vec<HeaderEdit<'_>>| edits.into_iter().map(line_edit).collect();
            self.edits = Edits {
                request: lines(decision.request),
                response: lines(decision.response),
                target: decision.target,
            };
        }
        admission
    }
}

/// The facts that each rule goes by.
fn facts(client: &Client) -> Facts<'_> {
    let mut facts = Facts::new(&client.scratch.request, client.peer);
    facts.tls = client.tls.as_deref().map(|tls| Tls {
        version: tls.version,
        cipher: tls.cipher,
        sni: tls.server_name.as_deref().unwrap_or_default(),
        client: tls.client.as_ref().map_or("", |certificate| &certificate.subject),
    });
    facts
}

/// Adds what these rules ask for, and what not everybody should pay for.
fn complete(facts: &mut Facts<'_>, client: &Client, rules: &RuleSet) {
    if rules.needs_local() && facts.local.is_none() {
        facts.local = client.stream.local();
    }
    if rules.needs_request_id() && facts.request_id == 0 {
        facts.request_id = request_id();
    }
}

/// A number that no other request has: random for each worker, and counted on from there.
fn request_id() -> u128 {
    thread_local! {
        static LAST: Cell<u128> = Cell::new({
            let half = || u128::from(RandomState::new().hash_one(0));
            half() << 64 | half()
        });
    }
    LAST.with(|last| {
        last.set(last.get().wrapping_add(1));
        last.get()
    })
}

/// What becomes of a request that a rule ends.
fn admission_for(ending: &Ending, facts: &Facts<'_>) -> Admission {
    match ending {
        Ending::Deny(403) => Admission::Refused(Failure::Forbidden),
        Ending::Deny(429) => Admission::Refused(Failure::TooManyRequests),
        Ending::Deny(status) => Admission::Answered(Box::new(refusal(*status, *b"PR"))),
        Ending::Tarpit(wait, status) => {
            Admission::Answered(Box::new(Answer { delay: Some(*wait), ..refusal(*status, *b"PT") }))
        }
        Ending::Redirect(redirect) => Admission::Answered(Box::new(answer(redirect.answer(facts)))),
        Ending::Respond(respond) => Admission::Answered(Box::new(answer(respond.answer(facts)))),
    }
}

/// An answer that a rule gives.
fn answer(answered: Answered) -> Answer {
    Answer {
        status: answered.status,
        reason: reason(answered.status),
        headers: answered.headers,
        body: Arc::from(answered.body),
        termination: *b"LR",
        delay: None,
    }
}

/// A refusal that has no page among those of failures.
fn refusal(status: u16, termination: [u8; 2]) -> Answer {
    let reason = reason(status);
    let text = "A rule of this site does not allow this request.";
    let body = format!("<html><body><h1>{status} {reason}</h1>\n{text}\n</body></html>\n");
    let line = |name: &str, value: &str| (Box::from(name), value.as_bytes().to_vec());
    Answer {
        status,
        reason,
        headers: vec![line("cache-control", "no-cache"), line("content-type", "text/html")],
        body: Arc::from(body.into_bytes()),
        termination,
        delay: None,
    }
}

fn line_edit(edit: HeaderEdit<'_>) -> LineEdit {
    match edit {
        HeaderEdit::Remove(name) => LineEdit::Remove(name.into()),
        HeaderEdit::Set(name, value) => LineEdit::Set(name.into(), value),
        HeaderEdit::Add(name, value) => LineEdit::Add(name.into(), value),
    }
}
