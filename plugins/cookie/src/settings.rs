//! The settings of `cookie`, under HAProxy's names, and what is refused of them.
//!
//! Refused is what HAProxy refuses, and what it accepts although it cannot work: names and values that do not
//! come back from a client as they went out.

use alloc::{collections::BinaryHeap, string::String, vec, vec::Vec};

use crate::{
    bindings::exports::lb::policy::setup::{Kind, Refusal, Server, Setting, Value},
    dynamic,
    policy::{Cookie, Mode},
};

/// Every setting, for the host.
pub fn describe() -> Vec<Setting> {
    let flag = |name: &str, doc: &str| Setting {
        name: name.into(),
        kind: Kind::Boolean,
        default: Some(Value::Boolean(false)),
        required: false,
        choices: Vec::new(),
        doc: doc.into(),
    };
    let other = |name: &str, kind: Kind, required: bool, doc: &str| Setting {
        name: name.into(),
        kind,
        default: None,
        required,
        choices: Vec::new(),
        doc: doc.into(),
    };
    vec![
        other("name", Kind::Text, true, "The cookie's name."),
        flag("insert", "Set the cookie where the client has none for the server that answers."),
        flag("rewrite", "Replace the value of the cookie that the server sets."),
        flag("prefix", "Put the server's value and ~ before that of the cookie that the server sets."),
        flag(
            "indirect",
            "With insert, hide the cookie from the servers. A server's own is removed where the client's is valid.",
        ),
        flag("nocache", "With insert, mark cacheable responses that set the cookie as private."),
        flag("postonly", "With insert, set the cookie in responses to POST only."),
        flag(
            "preserve",
            "Let a cookie of this name that the server itself sets stand. Needs insert or indirect.",
        ),
        flag("httponly", "Insert the cookie with HttpOnly."),
        flag("secure", "Insert the cookie with Secure."),
        other("domain", Kind::Texts, false, "Insert the cookie with these domains."),
        other(
            "attr",
            Kind::Texts,
            false,
            "Insert the cookie with these further attributes, such as SameSite=Lax.",
        ),
        other(
            "maxidle",
            Kind::Duration,
            false,
            "Ignore a cookie that has not been used for so long. Whole seconds; 0s is no limit.",
        ),
        other(
            "maxlife",
            Kind::Duration,
            false,
            "Ignore a cookie that is so old. Whole seconds; 0s is no limit.",
        ),
        flag("dynamic", "Give servers without a cookie value one made of dynamic_key, address and port."),
        other(
            "dynamic_key",
            Kind::Text,
            false,
            "The secret key of dynamic: the same on all balancers of a fleet.",
        ),
    ]
}

/// The settings as they were given.
#[derive(Debug, Default)]
struct Given {
    name: String,
    insert: bool,
    rewrite: bool,
    prefix: bool,
    indirect: bool,
    nocache: bool,
    postonly: bool,
    preserve: bool,
    httponly: bool,
    secure: bool,
    domain: Vec<String>,
    attr: Vec<String>,
    max_idle_s: u64,
    max_life_s: u64,
    dynamic: bool,
    dynamic_key: String,
}

/// Checks settings and servers and makes the policy of them.
pub fn configure(settings: Vec<(String, Value)>, servers: Vec<Server>) -> Result<Cookie, Refusal> {
    let given = read(settings)?;
    let mode = mode(&given)?;
    check_texts(&given)?;
    let values = servers.iter().map(|server| value(&given, mode, server)).collect::<Result<Vec<_>, _>>()?;
    let by_value: BinaryHeap<(String, u32)> =
        values.iter().zip(0..).filter_map(|(value, server)| Some((value.clone()?, server))).collect();
    Ok(Cookie {
        mode,
        indirect: given.indirect,
        nocache: given.nocache,
        postonly: given.postonly,
        preserve: given.preserve,
        max_idle_s: given.max_idle_s,
        max_life_s: given.max_life_s,
        attributes: attributes(&given),
        values,
        by_value: by_value.into_sorted_vec(),
        name: given.name,
    })
}

fn read(settings: Vec<(String, Value)>) -> Result<Given, Refusal> {
    let mut given = Given::default();
    for (name, value) in settings {
        match (name.as_str(), value) {
            ("name", Value::Text(text)) => given.name = text,
            ("insert", Value::Boolean(on)) => given.insert = on,
            ("rewrite", Value::Boolean(on)) => given.rewrite = on,
            ("prefix", Value::Boolean(on)) => given.prefix = on,
            ("indirect", Value::Boolean(on)) => given.indirect = on,
            ("nocache", Value::Boolean(on)) => given.nocache = on,
            ("postonly", Value::Boolean(on)) => given.postonly = on,
            ("preserve", Value::Boolean(on)) => given.preserve = on,
            ("httponly", Value::Boolean(on)) => given.httponly = on,
            ("secure", Value::Boolean(on)) => given.secure = on,
            ("domain", Value::Texts(texts)) => given.domain = texts,
            ("attr", Value::Texts(texts)) => given.attr = texts,
            ("maxidle", Value::Integer(ms)) => given.max_idle_s = seconds("maxidle", ms)?,
            ("maxlife", Value::Integer(ms)) => given.max_life_s = seconds("maxlife", ms)?,
            ("dynamic", Value::Boolean(on)) => given.dynamic = on,
            ("dynamic_key", Value::Text(text)) => given.dynamic_key = text,
            _ => return Err(refusal(&name, "not a setting of the cookie policy, or not of its type")),
        }
    }
    Ok(given)
}

fn refusal(setting: &str, message: impl Into<String>) -> Refusal {
    Refusal { setting: Some(setting.into()), message: message.into() }
}

fn seconds(setting: &str, ms: i64) -> Result<u64, Refusal> {
    match u64::try_from(ms) {
        Ok(ms) if ms % 1_000 == 0 => Ok(ms / 1_000),
        _ => Err(refusal(setting, "cookies count in whole seconds: give 0s for no limit, or 1s or more")),
    }
}

fn mode(given: &Given) -> Result<Mode, Refusal> {
    let modes = [
        (given.insert, "insert", Mode::Insert),
        (given.rewrite, "rewrite", Mode::Rewrite),
        (given.prefix, "prefix", Mode::Prefix),
    ];
    let mut on = modes.into_iter().filter(|(on, ..)| *on);
    let first = on.next();
    if let (Some((_, one, _)), Some((_, other, _))) = (first, on.next()) {
        return Err(refusal(other, [one, " and ", other, " exclude each other"].concat()));
    }
    if given.rewrite && given.indirect {
        return Err(refusal(
            "indirect",
            "indirect and rewrite exclude each other: the server needs its cookie",
        ));
    }
    if given.preserve && !given.insert && !given.indirect {
        return Err(refusal(
            "preserve",
            "preserve needs insert or indirect: else the server's cookie is never removed",
        ));
    }
    if given.dynamic && given.dynamic_key.is_empty() {
        return Err(refusal("dynamic", "dynamic needs a dynamic_key"));
    }
    Ok(first.map_or(Mode::Passive, |(.., mode)| mode))
}

fn check_texts(given: &Given) -> Result<(), Refusal> {
    if given.name.is_empty() || !given.name.bytes().all(is_of_a_token) {
        let message = "the name of a cookie is made of letters, digits and any of !#$%&'*+-.^_`|~";
        return Err(refusal("name", message));
    }
    if given.domain.iter().any(|domain| domain.is_empty() || domain.bytes().any(breaks_a_value)) {
        let message = "a domain may not be empty or have spaces, commas, semicolons or control characters";
        return Err(refusal("domain", message));
    }
    if given.attr.iter().any(|attr| attr.is_empty() || attr.bytes().any(breaks_a_line)) {
        let message = "an attribute may not be empty or have semicolons or control characters";
        return Err(refusal("attr", message));
    }
    Ok(())
}

/// RFC 9110, section 5.6.2.
fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn breaks_a_line(byte: u8) -> bool {
    byte == b';' || byte.is_ascii_control()
}

fn breaks_a_value(byte: u8) -> bool {
    breaks_a_line(byte) || byte == b' ' || byte == b','
}

/// The cookie value of a server, if it has one.
fn value(given: &Given, mode: Mode, server: &Server) -> Result<Option<String>, Refusal> {
    let Some(value) = &server.cookie else {
        return Ok(given.dynamic.then(|| dynamic::value(&given.dynamic_key, &server.address)));
    };
    let mark = mode.mark();
    if value.is_empty() || value.contains(mark) || value.bytes().any(breaks_a_value) {
        let message = [
            "the cookie value of server ",
            &server.name,
            " would not come back from a client as it is: it may not be empty or have spaces, commas, semicolons, \
             control characters, | or, with prefix, ~",
        ];
        return Err(Refusal { setting: None, message: message.concat() });
    }
    Ok(Some(value.clone()))
}

/// What follows the value in a line that sets the cookie, in HAProxy's order.
fn attributes(given: &Given) -> String {
    let mut text = String::from("; path=/");
    for domain in &given.domain {
        text.push_str("; domain=");
        text.push_str(domain);
    }
    for (on, name) in [(given.httponly, "; HttpOnly"), (given.secure, "; Secure")] {
        if on {
            text.push_str(name);
        }
    }
    for attr in &given.attr {
        text.push_str("; ");
        text.push_str(attr);
    }
    text
}
