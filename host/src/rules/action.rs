//! What rules do: header edits, another path, a backend, or an end.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::facts::Facts;
use super::file::Contents;
use super::map::Map;
use super::template::Template;
use crate::http::target;

/// Changes to header lines: first those that go, then those that are set, then those that are added.
#[derive(Debug, Default)]
pub struct HeaderEdits {
    /// Names whose lines go, in lower case.
    pub del: Vec<Box<str>>,
    /// Names with the one value that they have from then on.
    pub set: Vec<(Box<str>, Template)>,
    /// Lines that are added.
    pub add: Vec<(Box<str>, Template)>,
}

/// A change to header lines, for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit<'r> {
    /// The lines of this name go.
    Remove(&'r str),
    /// The lines of this name go, and this one comes.
    Set(&'r str, Vec<u8>),
    /// This line comes.
    Add(&'r str, Vec<u8>),
}

#[cfg(any(test, feature = "fuzzing"))]
impl HeaderEdit<'_> {
    /// The name of the lines that it changes.
    pub(crate) fn name(&self) -> &str {
        match self {
            HeaderEdit::Remove(name) | HeaderEdit::Set(name, _) | HeaderEdit::Add(name, _) => name,
        }
    }
}

impl HeaderEdits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.del.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.set.iter().chain(&self.add).map(|(_, value)| value)
    }

    pub(super) fn apply<'r>(&'r self, facts: &Facts<'_>, edits: &mut Vec<HeaderEdit<'r>>) {
        let rendered = |template: &Template| {
            let mut value = Vec::new();
            template.render(facts, &mut value);
            value
        };
        edits.extend(self.del.iter().map(|name| HeaderEdit::Remove(name)));
        edits.extend(self.set.iter().map(|(name, value)| HeaderEdit::Set(name, rendered(value))));
        edits.extend(self.add.iter().map(|(name, value)| HeaderEdit::Add(name, rendered(value))));
    }
}

/// Another path for the server.
#[derive(Debug)]
pub enum RewritePath {
    /// What the path begins with gives way to something else.
    Prefix(Box<[u8]>, Box<[u8]>),
    /// What a pattern finds gives way; `$1` is what its first group found.
    Regex(Regex, Box<[u8]>),
}

impl RewritePath {
    /// Changes what rules have made of the target so far. Where a target comes with its scheme and host, they stay; one
    /// that means no path is left alone.
    pub(super) fn apply(&self, facts: &Facts<'_>, target: &mut Option<Vec<u8>>) {
        let current = target.as_deref().unwrap_or(facts.head.target());
        let Some(Range { start, end }) = path_of(facts, current) else { return };
        let path = if start == end { b"/" } else { &current[start..end] };
        let path = match self {
            RewritePath::Prefix(prefix, with) => match path.strip_prefix(&**prefix) {
                Some(rest) => [&**with, rest].concat(),
                None => return,
            },
            RewritePath::Regex(regex, with) => regex.replacen(path, 1, &**with).into_owned(),
        };
        let slash: &[u8] = if path.first() == Some(&b'/') { b"" } else { b"/" };
        *target = Some([&current[..start], slash, &path, &current[end..]].concat());
    }
}

/// Another query for the server.
#[derive(Debug)]
pub enum SetQuery {
    /// This one; an empty one is none.
    Whole(Template),
    /// Whatever a pattern finds gives way; `$1` is what its first group found.
    Regex(Regex, Box<[u8]>),
}

impl SetQuery {
    /// Changes the query of what rules have made of the target so far; a target without a path is left alone, and so is
    /// one without a query where a pattern should find something.
    pub(super) fn apply(&self, facts: &Facts<'_>, target: &mut Option<Vec<u8>>) {
        let current = target.as_deref().unwrap_or(facts.head.target());
        let Some(Range { start, end }) = path_of(facts, current) else { return };
        let query = match (self, current.get(end + 1..)) {
            (SetQuery::Whole(template), _) => {
                let mut query = Vec::new();
                template.render(facts, &mut query);
                query
            }
            (SetQuery::Regex(regex, with), Some(query)) => regex.replace_all(query, &**with).into_owned(),
            (SetQuery::Regex(..), None) => return,
        };
        let mut changed = current[..end].to_vec();
        // A URL without a path means `/`, but in OPTIONS only as long as it has a query.
        changed.extend_from_slice(if start == end { b"/" } else { b"" });
        changed.extend_from_slice(if query.is_empty() { b"" } else { b"?" });
        for byte in query {
            // Nothing that a client put in can end the target.
            match target::is_in_target(byte) {
                true => changed.push(byte),
                false => changed.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            }
        }
        *target = Some(changed);
    }
}

/// Where the path stands in what rules have made of a target; `None` where the request has none.
fn path_of(facts: &Facts<'_>, target: &[u8]) -> Option<Range<usize>> {
    if facts.head.has_path() { target::path_of(target) } else { None }
}

/// The backend that serves, by its index.
#[derive(Debug, Clone)]
pub enum UseBackend {
    /// This one.
    Fixed(usize),
    /// That which a map leads to.
    Map {
        /// The map.
        map: Arc<Contents<Map>>,
        /// What is looked up in it.
        key: HostOrPath,
        /// The backend where it leads nowhere. `None`: the rules that follow choose.
        default: Option<usize>,
    },
}

/// What a map is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostOrPath {
    /// The host.
    Host,
    /// The path.
    Path,
}

impl UseBackend {
    /// The backend for a request.
    pub fn choose(&self, facts: &Facts<'_>) -> Option<usize> {
        match self {
            UseBackend::Fixed(index) => Some(*index),
            UseBackend::Map { map, key, default } => {
                let map = map.loaded();
                let found = map.and_then(|map| match key {
                    HostOrPath::Host => map.host(facts.host),
                    HostOrPath::Path => map.path(facts.path),
                });
                found.or(*default)
            }
        }
    }

    /// Whether it always chooses one.
    pub fn is_total(&self) -> bool {
        matches!(self, UseBackend::Fixed(_) | UseBackend::Map { default: Some(_), .. })
    }
}

/// How a request ends without a server.
#[derive(Debug)]
pub enum Ending {
    /// It is denied with this status.
    Deny(u16),
    /// The client waits so long, and is then denied with this status.
    Tarpit(Duration, u16),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// It gets a fixed answer.
    Respond(Respond),
}

impl Ending {
    pub(super) fn templates(&self) -> Box<dyn Iterator<Item = &Template> + '_> {
        match self {
            Ending::Deny(_) | Ending::Tarpit(..) => Box::new(std::iter::empty()),
            Ending::Redirect(redirect) => match &redirect.to {
                RedirectTo::Location(template) | RedirectTo::Prefix(template) => {
                    Box::new(std::iter::once(template))
                }
                RedirectTo::Scheme(_) => Box::new(std::iter::empty()),
            },
            Ending::Respond(respond) => Box::new(respond.headers.iter().map(|(_, value)| value)),
        }
    }
}

/// A redirect.
#[derive(Debug)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTo,
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
    /// Whether the query stays behind; of [`RedirectTo::Prefix`] and [`RedirectTo::Scheme`].
    pub drop_query: bool,
    /// Whether a path without a slash at its end gets one; of the same.
    pub append_slash: bool,
    /// A cookie that is set or taken away with it.
    pub cookie: Option<Cookie>,
}

/// Where a redirect leads.
#[derive(Debug)]
pub enum RedirectTo {
    /// There.
    Location(Template),
    /// There, and on with the request's path and query.
    Prefix(Template),
    /// To the same host, path and query by another scheme.
    Scheme(Box<str>),
}

/// What a redirect does with a cookie.
#[derive(Debug)]
pub enum Cookie {
    /// It is set: `NAME=VALUE`, or a name.
    Set(Box<str>),
    /// It is taken away.
    Clear(Box<str>),
}

/// A fixed answer.
#[derive(Debug)]
pub struct Respond {
    /// Its status.
    pub status: u16,
    /// Its header lines, less its length and the type of its body.
    pub headers: Vec<(Box<str>, Template)>,
    /// The type of its body; empty where there is none.
    pub content_type: Box<str>,
    /// Its body.
    pub body: Arc<Contents<Vec<u8>>>,
}

/// An answer of our own, less its length and what it says of the connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its header lines, names in lower case.
    pub headers: Vec<(Box<str>, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Redirect {
    /// The answer that sends the client on. Lines and their order are HAProxy's.
    pub fn answer(&self, facts: &Facts<'_>) -> Answered {
        let mut location = Vec::new();
        match &self.to {
            RedirectTo::Location(template) => {
                template.render(facts, &mut location);
                let doubled = if template.begins_with_text() { 0 } else { slashes(&location) };
                location.drain(1.min(doubled)..doubled);
            }
            RedirectTo::Prefix(prefix) => {
                prefix.render(facts, &mut location);
                if location == b"/" {
                    location.clear();
                }
                self.append_target(facts, &mut location);
            }
            RedirectTo::Scheme(scheme) => {
                location.extend_from_slice(scheme.as_bytes());
                location.extend_from_slice(b"://");
                location.extend_from_slice(facts.head.authority());
                self.append_target(facts, &mut location);
            }
        }
        if lacks_host(&location) {
            return Answered { status: 400, ..Answered::default() };
        }
        let mut headers = vec![("location".into(), location)];
        if matches!(self.code, 302 | 303 | 307) {
            headers.push(("cache-control".into(), b"no-cache".to_vec()));
        }
        match &self.cookie {
            Some(Cookie::Set(pair)) => {
                headers.push(("set-cookie".into(), format!("{pair}; path=/;").into_bytes()))
            }
            Some(Cookie::Clear(name)) => {
                headers.push(("set-cookie".into(), format!("{name}=; path=/; Max-Age=0;").into_bytes()));
            }
            None => {}
        }
        Answered { status: self.code, headers, body: Vec::new() }
    }

    /// Appends path and query, `/` where the target has none, as `*` has not.
    fn append_target(&self, facts: &Facts<'_>, location: &mut Vec<u8>) {
        let mut path: &[u8] = if facts.head.has_path() { facts.path } else { b"/" };
        if location.is_empty() && slashes(path) > 1 {
            location.push(b'/');
            path = &path[slashes(path)..];
        }
        location.extend_from_slice(path);
        if self.append_slash && location.last() != Some(&b'/') {
            location.push(b'/');
        }
        if let Some(query) = facts.query.filter(|_| !self.drop_query) {
            location.push(b'?');
            location.extend_from_slice(query);
        }
    }
}

/// With how many slashes a place begins. Browsers take a backslash for one, and behind two of them they look for a host:
/// a path of a client's must not send anybody there.
fn slashes(place: &[u8]) -> usize {
    let is_slash = |byte: &&u8| matches!(byte, b'/' | b'\\');
    if place.first() == Some(&b'/') { place.iter().take_while(is_slash).count() } else { 0 }
}

/// Whether a place begins as a host would come and has none there, as where a client of HTTP/1.0 names none. Browsers
/// skip any number of slashes before a host, and would take the path's first part for one.
fn lacks_host(place: &[u8]) -> bool {
    let rest = match target::scheme(place) {
        Some(scheme) => &place[scheme + 1..],
        None => place,
    };
    match slashes(rest) {
        2 => matches!(rest.get(2), None | Some(b'?' | b'#')),
        count => count > 2,
    }
}

impl Respond {
    /// The answer for a request.
    pub fn answer(&self, facts: &Facts<'_>) -> Answered {
        let mut headers = Vec::new();
        for (name, template) in &self.headers {
            let mut value = Vec::new();
            template.render(facts, &mut value);
            // As in HAProxy: what is not there is not said.
            if !value.is_empty() {
                headers.push((name.clone(), value));
            }
        }
        let body = self.body.loaded().cloned().unwrap_or_default();
        // As in HAProxy, nothing has no type: the file may be empty.
        if !self.content_type.is_empty() && !body.is_empty() {
            headers.push(("content-type".into(), self.content_type.as_bytes().to_vec()));
        }
        Answered { status: self.status, headers, body }
    }
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        _ => "Other",
    }
}
