//! What becomes of the cookie in a request and in a response. Pure: time and the servers' health are handed in.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use lb_policy::{Affinity, Amendment, Header, HeaderEdit, KeyEdit, Reply, Standing, Visit};

use crate::dates::{self, Dates};

/// For `reusable_ms`: until the next `configure`.
const FOREVER: u32 = u32::MAX;

/// Who sets the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// This policy, beside whatever the server sets.
    Insert,
    /// The server; its value is replaced.
    Rewrite,
    /// The server; the value of ours stands before its own.
    Prefix,
    /// The server, with a value that names it already.
    Passive,
}

impl Mode {
    /// What ends a server's value inside a cookie's.
    pub fn mark(self) -> char {
        if self == Self::Prefix { '~' } else { '|' }
    }
}

/// The configured policy.
#[derive(Debug)]
pub struct Cookie {
    /// The cookie's name.
    pub name: String,
    /// Who sets the cookie.
    pub mode: Mode,
    /// Hides it from the servers.
    pub indirect: bool,
    /// Marks responses that set it as private.
    pub nocache: bool,
    /// Sets it on answers to POST only.
    pub postonly: bool,
    /// Lets a server's own stand.
    pub preserve: bool,
    /// For how long it may be unused; 0 for ever.
    pub max_idle_s: u64,
    /// For how long it may be used; 0 for ever.
    pub max_life_s: u64,
    /// What follows the value where it is set.
    pub attributes: String,
    /// The servers' values, by server.
    pub values: Vec<Option<String>>,
    /// The same with their servers, sorted.
    pub by_value: Vec<(String, u32)>,
}

impl Cookie {
    /// Finds the server that a client's cookie names.
    pub fn recall(&self, visit: &Visit, usable: impl Fn(u32) -> bool) -> Affinity {
        let split = visit.value.split_once(self.mode.mark());
        let (value, rest) = split.unwrap_or((&visit.value, ""));
        let key = match self.mode {
            Mode::Insert if self.indirect => KeyEdit::Remove,
            Mode::Prefix if split.is_some() => KeyEdit::Replace(rest.to_string()),
            _ => KeyEdit::Keep,
        };
        let dates = if self.mode == Mode::Prefix { Dates::default() } else { Dates::parse(rest) };
        if let Some(standing) = self.too_old(dates, visit.time_ms) {
            return Affinity { server: None, standing, key, note: 0, reusable_ms: 0 };
        }
        // A date is worth less with time, and a value with something of the server's own comes from one client only.
        let steady = !(self.is_dated() && dates != Dates::default() || self.mode == Mode::Prefix);
        let (server, standing) = self.find(value, usable);
        let dates = match server {
            Some(_) => dates,
            // The client keeps its first day whatever server it goes to.
            None if self.max_life_s > 0 => Dates { last: 0, first: dates.first },
            None => Dates::default(),
        };
        let reusable_ms = if steady { FOREVER } else { 0 };
        Affinity { server, standing, key, note: dates.to_note(), reusable_ms }
    }

    fn too_old(&self, dates: Dates, time_ms: u64) -> Option<Standing> {
        let is_past = |date, max_s| date > 0 && max_s > 0 && dates::is_past(date, max_s, time_ms);
        if is_past(dates.first, self.max_life_s) {
            Some(Standing::Old)
        } else if is_past(dates.last, self.max_idle_s) {
            Some(Standing::Expired)
        } else {
            None
        }
    }

    /// The first usable server of this value: several may share one.
    fn find(&self, value: &str, usable: impl Fn(u32) -> bool) -> (Option<u32>, Standing) {
        let start = self.by_value.partition_point(|(other, _)| other.as_str() < value);
        let mut same = self.by_value[start..].iter().take_while(|(other, _)| other == value).peekable();
        if same.peek().is_none() {
            return (None, Standing::Unknown);
        }
        match same.find(|(_, server)| usable(*server)) {
            Some((_, server)) => (Some(*server), Standing::Valid),
            None => (None, Standing::Down),
        }
    }

    /// Says what to change in a response.
    pub fn respond(&self, reply: &Reply, is_post: impl FnOnce() -> bool) -> Amendment {
        let own = self.values.get(reply.server as usize).and_then(Option::as_deref);
        let key = reply.sent.as_deref().map_or(KeyEdit::Keep, |sent| self.edit(sent, own, reply.standing));
        let mut answer = Amendment { key, headers: Vec::new(), reusable_ms: FOREVER };
        let stands = self.preserve && reply.sent.is_some();
        if self.mode != Mode::Insert || stands || self.is_current(reply) {
            // What a dated cookie is worth changes with time.
            if reply.note > 0 {
                answer.reusable_ms = 0;
            }
            return answer;
        }
        if self.postonly {
            // The method is no part of the reply, so the answer to the next may be another.
            answer.reusable_ms = 0;
            if !is_post() {
                return answer;
            }
        }
        let line = match own {
            Some(value) => self.line(value, reply),
            None => [&self.name, "=; Expires=Thu, 01-Jan-1970 00:00:01 GMT", &self.attributes].concat(),
        };
        answer.headers.push(append("set-cookie", line));
        if self.nocache && reply.cacheable {
            answer.headers.push(append("cache-control", "private".into()));
        }
        if reply.note > 0 {
            answer.reusable_ms = 0;
        } else if own.is_some() && self.is_dated() {
            answer.reusable_ms = answer.reusable_ms.min(dates::steady_ms(reply.time_ms));
        }
        answer
    }

    fn is_dated(&self) -> bool {
        self.max_idle_s > 0 || self.max_life_s > 0
    }

    /// What to do with a cookie of this name that the server itself sends.
    fn edit(&self, sent: &str, own: Option<&str>, standing: Standing) -> KeyEdit {
        if self.preserve {
            return KeyEdit::Keep;
        }
        if self.mode == Mode::Insert || self.indirect && standing == Standing::Valid {
            return KeyEdit::Remove;
        }
        match (self.mode, own) {
            (Mode::Rewrite, Some(own)) => KeyEdit::Replace(own.into()),
            (Mode::Prefix, Some(own)) => KeyEdit::Replace([own, "~", sent].concat()),
            _ => KeyEdit::Keep,
        }
    }

    /// Whether the client's cookie can stay as it is: it names the server, and its dates are those that it
    /// would get now.
    fn is_current(&self, reply: &Reply) -> bool {
        let dates = Dates::from_note(reply.note);
        let lacks_last = self.max_idle_s > 0 && dates.last == 0;
        let first_is_right = (self.max_life_s > 0) == (dates.first > 0);
        let is_behind = dates.last > 0 && dates.last < dates::at(reply.time_ms);
        reply.standing == Standing::Valid && first_is_right && !lacks_last && !is_behind
    }

    fn line(&self, value: &str, reply: &Reply) -> String {
        let mut line = [self.name.as_str(), "=", value].concat();
        if self.is_dated() {
            let now = dates::at(reply.time_ms);
            line.push('|');
            dates::push(&mut line, now);
            if self.max_life_s > 0 {
                let first = Dates::from_note(reply.note).first;
                line.push('|');
                dates::push(&mut line, if first > 0 { first } else { now });
            }
        }
        line.push_str(&self.attributes);
        line
    }
}

fn append(name: &str, value: String) -> HeaderEdit {
    HeaderEdit::Append(Header { name: name.into(), value })
}

#[cfg(test)]
mod tests;
