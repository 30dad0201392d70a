//! Cookie persistence: HAProxy's `cookie` with insert, rewrite, prefix, indirect, nocache, preserve,
//! httponly, secure, domain, maxidle and maxlife.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(missing_docs, clippy::all)]
extern crate alloc;
use alloc::{format, string::{String, ToString}, vec, vec::Vec};
use core::cell::RefCell;
#[allow(warnings, clippy::all)]
#[path = "../../guest/bindings/persisting.rs"]
#[rustfmt::skip]
pub mod persisting;
use persisting::exports::lb::policy::persistence::{self, Affinity, Amendment, Header, HeaderEdit, Key, KeyEdit, Reply, Standing, Visit};
use persisting::exports::lb::policy::setup::{self, Description, Kind, Refusal, Server, Setting, Value};
use persisting::lb::policy::servers;
use lb_policy_guest as _;
struct Single<T>(RefCell<T>);
unsafe impl<T> Sync for Single<T> {}

#[derive(Default, Clone, Copy, PartialEq)]
enum Mode { #[default] Insert, Rewrite, Prefix, Passive }

#[derive(Default)]
struct State {
    name: String,
    mode: Mode,
    indirect: bool,
    nocache: bool,
    preserve: bool,
    max_idle_s: u64,
    max_life_s: u64,
    /// What follows the value in a Set-Cookie.
    attributes: String,
    /// The servers' cookie values, in order, and their hashes, sorted.
    values: Vec<Option<String>>,
    sorted: Vec<(u64, u32)>,
}
static STATE: Single<Option<State>> = Single(RefCell::new(None));

pub struct Cookie;

fn flag(name: &str, doc: &str) -> Setting {
    Setting { name: name.into(), kind: Kind::Boolean, default: Some(Value::Boolean(false)), required: false, choices: vec![], doc: doc.into() }
}
fn other(name: &str, kind: Kind, required: bool, doc: &str) -> Setting {
    Setting { name: name.into(), kind, default: None, required, choices: vec![], doc: doc.into() }
}

impl setup::Guest for Cookie {
    fn describe() -> Description {
        Description {
            name: "cookie".into(), version: "0.1.0".into(), summary: "keeps a client on its server by a cookie".into(),
            settings: vec![
                other("name", Kind::Text, true, "the cookie's name"),
                flag("insert", "set the cookie where the client has none that is valid"),
                flag("rewrite", "replace the value of the cookie that the server sets"),
                flag("prefix", "put the server's value before that of the cookie that the server sets"),
                flag("indirect", "hide the cookie from the servers, and set none where the client's is valid"),
                flag("nocache", "mark cacheable responses that set the cookie as private"),
                flag("preserve", "let a cookie that the server itself sets stand"),
                flag("httponly", "set the cookie with HttpOnly"),
                flag("secure", "set the cookie with Secure"),
                other("domain", Kind::Texts, false, "set the cookie with these domains"),
                other("maxidle", Kind::Duration, false, "ignore the cookie after so long without a visit"),
                other("maxlife", Kind::Duration, false, "ignore the cookie after so long in all"),
            ],
        }
    }
    fn configure(settings: Vec<(String, Value)>, servers: Vec<Server>) -> Result<(), Refusal> {
        let mut s = State::default();
        let (mut domains, mut httponly, mut secure) = (Vec::new(), false, false);
        let mut modes = 0;
        for (name, value) in settings {
            match (name.as_str(), value) {
                ("name", Value::Text(v)) => s.name = v,
                ("insert", Value::Boolean(v)) => if v { s.mode = Mode::Insert; modes += 1 },
                ("rewrite", Value::Boolean(v)) => if v { s.mode = Mode::Rewrite; modes += 1 },
                ("prefix", Value::Boolean(v)) => if v { s.mode = Mode::Prefix; modes += 1 },
                ("indirect", Value::Boolean(v)) => s.indirect = v,
                ("nocache", Value::Boolean(v)) => s.nocache = v,
                ("preserve", Value::Boolean(v)) => s.preserve = v,
                ("httponly", Value::Boolean(v)) => httponly = v,
                ("secure", Value::Boolean(v)) => secure = v,
                ("domain", Value::Texts(v)) => domains = v,
                ("maxidle", Value::Integer(v)) => s.max_idle_s = (v / 1000) as u64,
                ("maxlife", Value::Integer(v)) => s.max_life_s = (v / 1000) as u64,
                _ => return Err(Refusal { setting: Some(name), message: "not a setting of the cookie policy".into() }),
            }
        }
        if modes > 1 {
            return Err(Refusal { setting: Some("rewrite".into()), message: "only one of insert, rewrite and prefix can be used".into() });
        }
        if modes == 0 { s.mode = Mode::Passive }
        s.attributes = "; path=/".into();
        for domain in domains { s.attributes += &format!("; domain={domain}"); }
        if httponly { s.attributes += "; HttpOnly" }
        if secure { s.attributes += "; Secure" }
        s.values = servers.into_iter().map(|server| server.cookie).collect();
        s.sorted = s.values.iter().enumerate().filter_map(|(i, v)| v.as_ref().map(|v| (hash(v), i as u32))).collect();
        s.sorted.sort_unstable();
        *STATE.0.borrow_mut() = Some(s);
        Ok(())
    }
}

fn hash(text: &str) -> u64 { text.bytes().fold(0xcbf29ce484222325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3)) }

/// The dates in a cookie: `VALUE|LAST|FIRST`, each in seconds, in hexadecimal. In a note: first << 32 | last.
fn dates(text: &str) -> u64 {
    let mut parts = text.split('|').map(|p| u64::from_str_radix(p, 16).unwrap_or(0) & 0xffff_ffff);
    parts.next().unwrap_or(0) | parts.next().unwrap_or(0) << 32
}

impl persistence::Guest for Cookie {
    fn place() -> Key { Key::Cookie(STATE.0.borrow().as_ref().map_or(String::new(), |s| s.name.clone())) }

    fn recall(visit: Visit) -> Affinity {
        let state = STATE.0.borrow();
        let s = state.as_ref().unwrap();
        let dated = s.max_idle_s + s.max_life_s > 0;
        let (value, rest) = match s.mode {
            Mode::Prefix => visit.value.split_once('~').unwrap_or((&visit.value, "")),
            _ if dated => visit.value.split_once('|').unwrap_or((&visit.value, "")),
            _ => (visit.value.as_str(), ""),
        };
        let key = match s.mode {
            Mode::Insert if s.indirect => KeyEdit::Remove,
            Mode::Prefix if value.len() < visit.value.len() => KeyEdit::Replace(rest.to_string()),
            _ => KeyEdit::Keep,
        };
        let mut standing = Standing::Unknown;
        let mut note = 0;
        if dated {
            note = dates(rest);
            let now = visit.time_ms / 1000;
            let (last, first) = (note & 0xffff_ffff, note >> 32);
            if s.max_life_s > 0 && first > 0 && now.saturating_sub(first) > s.max_life_s { return Affinity { server: None, standing: Standing::Old, key, note } }
            if s.max_idle_s > 0 && last > 0 && now.saturating_sub(last) > s.max_idle_s { return Affinity { server: None, standing: Standing::Expired, key, note } }
        }
        // Several servers may share a value: the first that is usable.
        let hash = hash(value);
        let from = s.sorted.partition_point(|(h, _)| *h < hash);
        for (_, server) in s.sorted[from..].iter().take_while(|(h, _)| *h == hash) {
            if s.values[*server as usize].as_deref() != Some(value) { continue }
            if servers::usable(*server) { return Affinity { server: Some(*server), standing: Standing::Valid, key, note } }
            standing = Standing::Down;
        }
        Affinity { server: None, standing, key, note }
    }

    fn respond(reply: Reply) -> Amendment {
        let state = STATE.0.borrow();
        let s = state.as_ref().unwrap();
        let own = s.values.get(reply.server as usize).and_then(|v| v.as_deref());
        let mut answer = Amendment { key: KeyEdit::Keep, headers: Vec::new(), reusable_ms: u32::MAX };
        let Some(own) = own else {
            if s.mode == Mode::Insert && reply.standing != Standing::Absent {
                let line = format!("{}=; Expires=Thu, 01-Jan-1970 00:00:01 GMT{}", s.name, s.attributes);
                answer.headers.push(HeaderEdit::Append(Header { name: "set-cookie".into(), value: line }));
            }
            return answer;
        };
        match (s.mode, reply.sent) {
            (Mode::Insert, sent) => {
                if sent.is_some() && s.preserve { return answer }
                if sent.is_some() { answer.key = KeyEdit::Remove }
                let dated = s.max_idle_s + s.max_life_s > 0;
                let (now, last) = (reply.time_ms / 1000, reply.note & 0xffff_ffff);
                let valid = reply.standing == Standing::Valid;
                if dated { answer.reusable_ms = if valid { 0 } else { 1000 } }
                // A valid cookie stands, unless its dates are to be kept up: at most once in a quarter of a minute.
                if valid && (!dated || now.saturating_sub(last) < 15) { return answer }
                let value = if dated {
                    let first = if valid && reply.note >> 32 > 0 { reply.note >> 32 } else { now };
                    format!("{}={own}|{now:x}|{first:x}{}", s.name, s.attributes)
                } else {
                    [s.name.as_str(), "=", own, s.attributes.as_str()].concat()
                };
                answer.headers.push(HeaderEdit::Append(Header { name: "set-cookie".into(), value }));
                if s.nocache && reply.cacheable {
                    answer.headers.push(HeaderEdit::Append(Header { name: "cache-control".into(), value: "private".into() }));
                }
            }
            (Mode::Rewrite, Some(_)) => answer.key = KeyEdit::Replace(own.to_string()),
            (Mode::Prefix, Some(sent)) => answer.key = KeyEdit::Replace([own, "~", &sent].concat()),
            _ => {}
        }
        answer
    }
}
#[cfg(target_arch = "wasm32")]
persisting::export!(Cookie with_types_in persisting);
