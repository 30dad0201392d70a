//! What a rule does.

use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::{Reader, condition, path};
use crate::config::read::{boolean, duration, is_token, is_visible};
use crate::config::section::{Complaint, Value};
use crate::rules::{
    Contents, Cookie, Ending, HeaderEdits, HostOrPath, ListFile, Redirect, RedirectTo, Respond, RewritePath,
    SetQuery, Template, UseBackend, VARIABLES,
};
use crate::suggest;

/// The longest that a client is held in a tarpit.
const LONGEST_TARPIT: Duration = Duration::from_hours(1);

/// Headers that say where a message ends or whose connection it is: rules that changed them would break framing.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "http2-settings",
];

impl Reader {
    pub(super) fn use_backend(&self, value: Value<'_>) -> Option<UseBackend> {
        if self.in_backend.get() {
            let message = "a backend's rules cannot choose another backend";
            value.refuse(Complaint::new(message, "put this rule among those of the frontend"));
            return None;
        }
        if !value.toml().is_table() {
            return self.backend(value).map(UseBackend::Fixed);
        }
        let table = value.section()?;
        let map = table.require("map", |value| self.map_file(value));
        let keys = [("host", HostOrPath::Host), ("path", HostOrPath::Path)];
        let key = table.read("key", |value| value.one_of(&keys)).unwrap_or(HostOrPath::Host);
        let default = table.read("default", |value| self.backend(value));
        Some(UseBackend::Map { map: map?, key, default })
    }

    pub(super) fn header_edits(&self, value: Value<'_>) -> Option<HeaderEdits> {
        let table = value.section()?;
        let del = table.read("del_header", |value| {
            Some(value.one_or_many().into_iter().filter_map(|value| header(value, value.text()?)).collect())
        });
        Some(HeaderEdits {
            del: del.unwrap_or_default(),
            set: table.read("set_header", headers).unwrap_or_default(),
            add: table.read("add_header", headers).unwrap_or_default(),
        })
    }

    pub(super) fn respond(&self, value: Value<'_>) -> Option<Ending> {
        let table = value.section()?;
        let status = table.read("status", |value| value.integer(200..=599_u16)).unwrap_or(200);
        let content_type = table.read("content_type", visible_text);
        let text = table.read("body", |value| Some(value.text()?.as_bytes().to_vec()));
        let file = table.read("file", |value| {
            let (path, span) = path(value)?;
            let file = Arc::new(Contents::new(path, span));
            self.lists.borrow_mut().push(ListFile::Body(file.clone()));
            Some(file)
        });
        let headers = table.read("headers", headers).unwrap_or_default();
        if table.span_of("body").is_some() && table.span_of("file").is_some() {
            value.refuse("an answer has one body: `body` or `file`".to_owned());
        }
        if matches!(status, 204 | 205 | 304) && (text.is_some() || file.is_some()) {
            value.refuse(format!("an answer with status {status} has no body"));
        }
        let has_body = text.is_some() || file.is_some();
        let body = file.unwrap_or_else(|| {
            let body = Contents::new(std::path::PathBuf::new(), value.span());
            body.fill(text.unwrap_or_default());
            Arc::new(body)
        });
        let plain = if has_body { "text/plain" } else { "" };
        let content_type = content_type.unwrap_or(plain).into();
        Some(Ending::Respond(Respond { status, headers, content_type, body }))
    }
}

pub(super) fn deny(value: Value<'_>) -> Option<Option<Ending>> {
    match value.toml() {
        DeValue::Boolean(true) => Some(Some(Ending::Deny(403))),
        DeValue::Integer(_) => status(value).map(|status| Some(Ending::Deny(status))),
        _ => {
            value.unfit("this is neither");
            None
        }
    }
}

pub(super) fn tarpit(value: Value<'_>) -> Option<Ending> {
    let wait = |value: Value<'_>| {
        let wait = duration(value)?;
        if wait > LONGEST_TARPIT {
            value.unfit("longer than an hour");
        }
        Some(wait)
    };
    if !value.toml().is_table() {
        return wait(value).map(|wait| Ending::Tarpit(wait, 500));
    }
    let table = value.section()?;
    let wait = table.require("for", wait);
    let status = table.read("status", status).unwrap_or(500);
    Some(Ending::Tarpit(wait?, status))
}

fn status(value: Value<'_>) -> Option<u16> {
    value.integer(400..=599)
}

pub(super) fn redirect(value: Value<'_>) -> Option<Ending> {
    let table = value.section()?;
    let location = table.read("location", template).map(RedirectTo::Location);
    let prefix = table.read("prefix", template).map(RedirectTo::Prefix);
    let scheme = table.read("scheme", |value| Some(RedirectTo::Scheme(scheme(value)?)));
    let given = ["location", "prefix", "scheme"].iter().filter(|key| table.span_of(key).is_some()).count();
    if given != 1 {
        value.refuse("a redirect has one of `location`, `prefix` and `scheme`".to_owned());
    }
    let code = table.read("code", code).unwrap_or(302);
    let drop_query = table.read("drop_query", boolean);
    let append_slash = table.read("append_slash", boolean);
    if table.span_of("location").is_some() && (drop_query.is_some() || append_slash.is_some()) {
        let message = "`drop_query` and `append_slash` go with `prefix` and `scheme`: a `location` is whole";
        value.refuse(Complaint::new(message, ""));
    }
    let set = table.read("set_cookie", |value| cookie(value, true)).map(Cookie::Set);
    let clear = table.read("clear_cookie", |value| cookie(value, false)).map(Cookie::Clear);
    if set.is_some() && clear.is_some() {
        value.refuse("a redirect sets a cookie or clears one, not both".to_owned());
    }
    Some(Ending::Redirect(Redirect {
        to: location.or(prefix).or(scheme)?,
        code,
        drop_query: drop_query.unwrap_or(false),
        append_slash: append_slash.unwrap_or(false),
        cookie: set.or(clear),
    }))
}

fn code(value: Value<'_>) -> Option<u16> {
    let code: u16 = value.integer(0..=u16::MAX)?;
    if !matches!(code, 301 | 302 | 303 | 307 | 308) {
        value.unfit("this is not");
        return None;
    }
    Some(code)
}

fn scheme(value: Value<'_>) -> Option<Box<str>> {
    let text = value.text()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        let bare = text.trim_end_matches([':', '/']);
        value.refuse(Complaint::new(
            format!("`{}` is no scheme", text.escape_debug()),
            format!("write `{bare}`"),
        ));
        return None;
    }
    Some(text.into())
}

fn cookie(value: Value<'_>, with_value: bool) -> Option<Box<str>> {
    let text = value.text()?;
    let (name, rest) = text.split_once('=').unwrap_or((text, ""));
    let has_rest = text.contains('=');
    if !is_token(name)
        || (has_rest && !with_value)
        || (!rest.is_empty() && (!is_visible(rest) || rest.contains([';', ',', '"', '\\'])))
    {
        value.unfit("this is not");
        return None;
    }
    Some(text.into())
}

pub(super) fn rewrite_path(value: Value<'_>) -> Option<RewritePath> {
    let table = value.section()?;
    let prefix = table.read("prefix", path_text);
    let regex = table.read("regex", condition::regex);
    let with = table.require("with", path_text);
    let given = ["prefix", "regex"].iter().filter(|key| table.span_of(key).is_some()).count();
    if given != 1 {
        value.refuse("what gives way is either a `prefix` or a `regex`".to_owned());
    }
    let with = with?;
    match (prefix, regex) {
        (Some(prefix), None) => Some(RewritePath::Prefix(prefix, with)),
        (None, Some(regex)) => Some(RewritePath::Regex(regex, with)),
        _ => None,
    }
}

pub(super) fn set_query(value: Value<'_>) -> Option<SetQuery> {
    if !value.toml().is_table() {
        let query = template(value)?;
        query.texts().all(|text| is_query(value, text)).then_some(())?;
        return Some(SetQuery::Whole(query));
    }
    let table = value.section()?;
    let regex = table.require("regex", condition::regex);
    let with = table.require("with", |value| {
        let text = value.text()?;
        is_query(value, text).then(|| Box::from(text.as_bytes()))
    });
    Some(SetQuery::Regex(regex?, with?))
}

/// Whether this can stand in a query; complains where it cannot.
fn is_query(value: Value<'_>, text: &str) -> bool {
    let fits = !text.starts_with('?') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !fits {
        value.refuse(Complaint::new(
            format!("`{}` cannot stand in a query", text.escape_debug()),
            "a query has visible ASCII characters and no `#`, and begins behind its `?`",
        ));
    }
    fits
}

/// A piece of a path: what may stand in a request line and is no query.
fn path_text(value: Value<'_>) -> Option<Box<[u8]>> {
    let text = value.text()?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) {
        value.refuse(Complaint::new(
            format!("`{}` cannot stand in a path", text.escape_debug()),
            "a path has visible ASCII characters, and neither `?` nor `#`",
        ));
        return None;
    }
    Some(text.as_bytes().into())
}

fn visible_text<'a>(value: Value<'a>) -> Option<&'a str> {
    let text = value.text()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        value.unfit("this is not");
        return None;
    }
    Some(text)
}

/// Header lines: names in lower case, and templates of their values.
fn headers(value: Value<'_>) -> Option<Vec<(Box<str>, Template)>> {
    let entries = value.named()?;
    let lines =
        entries.into_iter().filter_map(|(name, _, value)| Some((header(value, name)?, template(value)?)));
    Some(lines.collect())
}

/// A header's name that rules may change, in lower case.
fn header(value: Value<'_>, name: &str) -> Option<Box<str>> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        value.refuse(format!("`{}` cannot name a header", name.escape_debug()));
        return None;
    }
    if OURS.contains(&&*lower) {
        value.refuse(format!("`{lower}` belongs to the connection: rules cannot change it"));
        return None;
    }
    Some(lower.into())
}

/// A value with variables.
fn template(value: Value<'_>) -> Option<Template> {
    let text = value.text()?;
    let complaint = |name: String| {
        if name.is_empty() {
            return Complaint::new(
                "a variable's brace is never closed",
                "write `${host}`, or `$${` for the two characters",
            );
        }
        let help = suggest::help(&name, VARIABLES.iter().copied());
        Complaint::new(format!("there is no variable `{}`", name.escape_debug()), help)
    };
    let template = value.accept(Template::parse(text).map_err(complaint))?;
    if template.texts().any(|text| text.chars().any(|c| c.is_control() && c != '\t')) {
        value.refuse("a header's value has no control characters".to_owned());
        return None;
    }
    Some(template)
}
