//! Policies of a simulated world: scripts that pick as they like, or not at all, know clients again by what these say of
//! themselves, and change what goes by; and what must have become of it, and of rules, on either side.

use std::cell::RefCell;
use std::rc::Rc;

use hyper::HeaderMap;

use super::chance::Chance;
use super::ledger::{Ledger, Request};
use crate::backend::Candidate;
use crate::http::head::RequestHead;
use crate::policy::scripted::Scripted;
use crate::policy::{
    Affinity, Amendment, Arrival, HeaderEdit, Key, KeyEdit, Outcome, Reply, Standing, Verdict,
};

/// How a balancing policy picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    First,
    Random,
    /// Once more whoever failed.
    Stubborn,
    /// It fails half of the time.
    Failing,
}

/// Where a persistence policy has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Cookie,
    Header,
    Query,
}

/// What a world's policies are like; `None`: there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policies {
    pub(super) mood: Option<Mood>,
    pub(super) spot: Option<Spot>,
    /// Whether there are rules and limits, too.
    pub(super) rules: bool,
}

/// What a policy is made from may go from thread to thread: what it knows of its world is the thread's.
#[derive(Clone)]
struct Surroundings {
    ledger: Rc<Ledger>,
    chance: Rc<Chance>,
}

thread_local! {
    static SURROUNDINGS: RefCell<Option<Surroundings>> = const { RefCell::new(None) };
}

/// Has this thread's policies be of this world.
pub(super) fn begin(ledger: Rc<Ledger>, chance: Rc<Chance>) {
    SURROUNDINGS.set(Some(Surroundings { ledger, chance }));
}

/// Ends what [`begin`] began.
pub(super) fn end() {
    SURROUNDINGS.set(None);
}

fn surroundings() -> Option<Surroundings> {
    SURROUNDINGS.with_borrow(Clone::clone)
}

/// A policy of a world with so many servers.
pub(super) struct Policy(pub(super) usize);

impl Policies {
    pub(super) fn new(chance: &Chance) -> Policies {
        let mood = chance.pick(&[
            None,
            None,
            Some(Mood::First),
            Some(Mood::Random),
            Some(Mood::Stubborn),
            Some(Mood::Failing),
        ]);
        let spot =
            chance.pick(&[None, None, None, Some(Spot::Cookie), Some(Spot::Header), Some(Spot::Query)]);
        Policies { mood, spot, rules: chance.one_in(3) }
    }
}

impl Spot {
    pub(super) fn key(self) -> Key {
        match self {
            Spot::Cookie => Key::Cookie("S".into()),
            Spot::Header => Key::Header("x-key".into()),
            Spot::Query => Key::Query("S".into()),
        }
    }

    /// What stands there, with what is around it.
    fn written(self, value: Option<&str>) -> Option<String> {
        match (self, value) {
            (Spot::Header, value) => value.map(str::to_owned),
            (Spot::Cookie, Some(value)) => Some(format!("a=1; S={value}; b=2")),
            (Spot::Cookie, None) => Some("a=1; b=2".into()),
            (Spot::Query, Some(value)) => Some(format!("a=1&S={value}&b=2")),
            (Spot::Query, None) => Some("a=1&b=2".into()),
        }
    }
}

/// What a client says of itself: what its policy is to do, and which server it means.
pub(super) fn key(ledger: &Ledger, chance: &Chance) -> Option<String> {
    ledger.policies.spot?;
    if chance.one_in(3) {
        return None;
    }
    Some(format!("{}-{}", chance.pick(&["keep", "cut", "new"]), chance.below(4)))
}

/// The target of a request, and the lines that say who its client is.
pub(super) fn said(
    ledger: &Ledger,
    number: usize,
    key: Option<&str>,
) -> (String, Option<(&'static str, String)>) {
    let target = format!("/n/{number}");
    let written =
        ledger.policies.spot.zip(key).and_then(|(spot, key)| Some((spot, spot.written(Some(key))?)));
    match written {
        Some((Spot::Query, query)) => (format!("{target}?{query}"), None),
        Some((Spot::Cookie, cookies)) => (target, Some(("cookie", cookies))),
        Some((Spot::Header, key)) => (target, Some(("x-key", key))),
        None => (target, None),
    }
}

/// The number in a target, and the query.
pub(super) fn number(target: &str) -> Option<(usize, Option<&str>)> {
    let rest = target.split_once("/n/")?.1;
    let (number, query) = match rest.split_once('?') {
        Some((number, query)) => (number, Some(query)),
        None => (rest, None),
    };
    Some((number.parse().ok()?, query))
}

/// Holds a request as its server sees it against what its policy said.
pub(super) fn request_arrives(
    ledger: &Ledger,
    number: usize,
    query: Option<&str>,
    lines: impl Fn(&str) -> Vec<String>,
) {
    if ledger.policies.rules && lines("x-rule") != ["1"] {
        ledger.violation(format!("{number} arrives without what a rule adds"));
    }
    let (Some(spot), Some(request)) = (ledger.policies.spot, ledger.request(number)) else { return };
    let found = match spot {
        Spot::Query => query.map(str::to_owned),
        Spot::Cookie => Some(lines("cookie").join("; ")).filter(|cookies| !cookies.is_empty()),
        Spot::Header => lines("x-key").first().cloned(),
    };
    let expected = expected(spot, &request);
    if found != expected {
        ledger.violation(format!("{number} arrives with {found:?}, and should with {expected:?}"));
    }
}

fn expected(spot: Spot, request: &Request) -> Option<String> {
    let key = request.key.as_deref()?;
    if request.has_failed_policy || key.starts_with("keep") {
        return spot.written(Some(key));
    }
    spot.written(key.strip_prefix("new").map(|server| format!("put{server}")).as_deref())
}

/// The values of the lines of this name.
pub(super) fn lines(all: &HeaderMap, name: &str) -> Vec<String> {
    all.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
}

/// What a server says beside its answer: a key of its own at times, and a line that may have to go.
pub(super) fn server_lines(ledger: &Ledger, chance: &Chance) -> Vec<(&'static str, &'static str)> {
    let mut lines = Vec::new();
    if let Some(spot) = ledger.policies.spot {
        lines.push(("x-gone", "1"));
        match spot {
            Spot::Cookie if chance.one_in(2) => lines.push(("set-cookie", "S=own; Path=/")),
            Spot::Header if chance.one_in(2) => lines.push(("x-key", "own")),
            _ => {}
        }
    }
    lines
}

/// Holds an answer as its client sees it against what its policy said.
pub(super) fn answer_arrives(
    ledger: &Ledger,
    number: usize,
    answer: Option<usize>,
    lines: impl Fn(&str) -> Vec<String>,
) {
    let Some(answer) = answer else { return };
    if ledger.policies.rules && lines("x-ruled") != ["1"] {
        ledger.violation(format!("{number} is answered without what a rule adds"));
    }
    let (Some(spot), Some(request)) = (ledger.policies.spot, ledger.request(number)) else { return };
    let Some(amendment) = &request.amended else { return };
    let sent = ledger.answer(answer).is_some_and(|answer| answer.has_key);
    let has = |edit: &dyn Fn(&HeaderEdit) -> bool| amendment.headers.iter().any(edit);
    let key = match (&amendment.key, sent) {
        (KeyEdit::Keep, true) => Some("own"),
        (KeyEdit::Replace(_), true) => Some("mine"),
        _ => None,
    };
    let (name, key) = match spot {
        Spot::Cookie => ("set-cookie", key.map(|key| format!("S={key}; Path=/"))),
        Spot::Header => ("x-key", key.map(str::to_owned)),
        Spot::Query => ("x-key", None),
    };
    for (name, expected) in [
        (name, key),
        ("x-gone", (!has(&|edit| matches!(edit, HeaderEdit::Remove(_)))).then(|| "1".to_owned())),
        ("x-set", has(&|edit| matches!(edit, HeaderEdit::Set { .. })).then(|| number.to_string())),
        ("x-added", has(&|edit| matches!(edit, HeaderEdit::Append { .. })).then(|| number.to_string())),
    ] {
        let found = lines(name);
        if found != expected.iter().cloned().collect::<Vec<_>>() {
            ledger.violation(format!(
                "{number} is answered with {name} {found:?}, and should with {expected:?}"
            ));
        }
    }
}

impl Scripted for Policy {
    fn pick(&mut self, arrival: Arrival, candidates: &[Candidate]) -> Option<u32> {
        let Surroundings { ledger, chance } = surroundings()?;
        let any = chance.below(candidates.len()) as u32;
        match ledger.policies.mood? {
            Mood::First => Some(0),
            Mood::Random => Some(any),
            Mood::Stubborn => Some(arrival.failed.unwrap_or(any)),
            Mood::Failing => (!chance.one_in(2)).then_some(any),
        }
    }

    fn observe(&mut self, outcome: &Outcome) {
        let Some(Surroundings { ledger, .. }) = surroundings() else { return };
        ledger.outcomes.set(ledger.outcomes.get() + 1);
        let (verdict, status) = (outcome.verdict, outcome.status);
        let is_fit = match verdict {
            Verdict::Answered => status >= 200 || status == 101,
            Verdict::Unreachable => status == 0 && outcome.connect_us == 0,
            _ => true,
        };
        if !is_fit || outcome.server as usize >= self.0 {
            ledger.violation(format!("an outcome that cannot be: {outcome:?}"));
        }
    }

    fn recall(&mut self, request: &RequestHead, value: &str) -> Option<(Affinity, u32)> {
        let (number, _) = number(str::from_utf8(request.target()).ok()?)?;
        let Surroundings { ledger, chance } = surroundings()?;
        if chance.one_in(5) {
            ledger.note(number, |request| request.has_failed_policy = true);
            return None;
        }
        let (what, server) = value.split_once('-')?;
        let key = match what {
            "keep" => KeyEdit::Keep,
            "cut" => KeyEdit::Remove,
            _ => KeyEdit::Replace(format!("put-{server}")),
        };
        let server = server.parse().ok().filter(|server| (*server as usize) < self.0);
        ledger.note(number, |request| request.bound = server);
        let standing = if server.is_some() { Standing::Valid } else { Standing::Unknown };
        // What is kept is found by a hash, and for a time, that differ from run to run.
        Some((Affinity { server, standing, key, note: number as u64 }, 0))
    }

    fn respond(&mut self, request: &RequestHead, _: &Reply<'_>) -> Option<(Amendment, u32)> {
        let (number, _) = number(str::from_utf8(request.target()).ok()?)?;
        let Surroundings { ledger, chance } = surroundings()?;
        if chance.one_in(5) {
            ledger.note(number, |request| request.amended = Some(Amendment::default()));
            return None;
        }
        let key = match chance.below(3) {
            0 => KeyEdit::Keep,
            1 => KeyEdit::Remove,
            _ => KeyEdit::Replace("mine".into()),
        };
        let value = number.to_string();
        let all = [
            HeaderEdit::Append { name: "x-added".into(), value: value.clone() },
            HeaderEdit::Set { name: "x-set".into(), value },
            HeaderEdit::Remove("x-gone".into()),
        ];
        let headers = all.into_iter().filter(|_| chance.one_in(2)).collect();
        let amendment = Amendment { key, headers };
        ledger.note(number, |request| request.amended = Some(amendment.clone()));
        Some((amendment, 0))
    }
}
