//! What rules make of a request before a server has it: its backend, changes to its heads, or an answer of our own.

use std::cell::Cell;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;
use super::edits::LineEdit;
use super::patience::has_left;
use super::{Admission, Exchange, Next};
use crate::connection::Client;
use crate::failure::Page;
use crate::rules::{Answered, Certificate, Decision, Ending, Facts, HeaderEdit, RuleSet, Tls, reason};

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
            // Behind those that TLS and limits ask for.
            self.edits.request.extend(decision.request.into_iter().map(line_edit));
            self.edits.response.extend(decision.response.into_iter().map(line_edit));
            self.edits.target = decision.target;
        }
        admission
    }

    /// Denies the request, after a while where it is to wait for that.
    pub(super) async fn deny(&mut self, status: u16, wait: Option<Duration>) -> Next {
        self.story.ended_by(b'P', if wait.is_some() { b'T' } else { b'R' });
        let left = match wait {
            Some(wait) => self.hold_back(wait).await,
            None => false,
        };
        // A body that comes with the request, and is small, is here already: the connection can stay then.
        let whole = self.upload.gather(&mut self.client.buffer).is_ok() && self.upload.is_read();
        let made;
        let page = match self.find_page(status) {
            Some(page) => page,
            None => {
                made = Page::refusal(status, reason(status));
                &made
            }
        };
        let connection = self.connection_after(whole && !left && !page.is_silence());
        let answer = page.response(connection, self.client.scratch.request.method() == b"HEAD");
        self.send_own(page.status(), answer, connection).await
    }

    /// Has the client wait; whether it left before.
    async fn hold_back(&mut self, wait: Duration) -> bool {
        let (client, bufsize) = (&mut *self.client, self.worker.tune.bufsize);
        client.timer.set(Instant::now(), Some(wait));
        poll_fn(|context| {
            if has_left(client, bufsize, context) {
                return Poll::Ready(true);
            }
            client.timer.poll_elapsed(context).map(|_| false)
        })
        .await
    }
}

/// The facts that each rule goes by.
pub(super) fn facts(client: &Client) -> Facts<'_> {
    let mut facts = Facts::new(&client.scratch.request, client.peer);
    facts.tls = client.tls.as_deref().map(|session| Tls {
        version: session.version,
        cipher: session.cipher,
        sni: session.server_name.as_deref().unwrap_or_default(),
        client: session.client.as_ref().map(|certificate| Certificate {
            subject: &certificate.subject,
            common_name: certificate.common_name.as_deref(),
        }),
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
        Ending::Deny(status) => Admission::Denied(*status, None),
        Ending::Tarpit(wait, status) => Admission::Denied(*status, Some(*wait)),
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
    }
}

pub(super) fn line_edit(edit: HeaderEdit<'_>) -> LineEdit {
    match edit {
        HeaderEdit::Remove(name) => LineEdit::Remove(name.into()),
        HeaderEdit::Set(name, value) => LineEdit::Set(name.into(), value),
        HeaderEdit::Add(name, value) => LineEdit::Add(name.into(), value),
    }
}
