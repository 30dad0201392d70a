//! The settings of `cookie`, under HAProxy's names, and what is refused of them.
//!
//! Refused is what HAProxy refuses, and what it accepts although it cannot work: names and values that do not
//! come back from a client as they went out.

use alloc::{collections::BinaryHeap, string::String, vec::Vec};

use lb_policy::{Refusal, Server, Setting, Settings};

use crate::{
    dynamic,
    policy::{Cookie, Mode},
};

/// Every setting, for the host.
pub fn describe() -> [Setting; 16] {
    let flag = |name, doc| Setting::boolean(name, doc).default(false);
    [
        Setting::text("name", "The cookie's name.").required(),
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
        Setting::texts("domain", "Insert the cookie with these domains."),
        Setting::texts("attr", "Insert the cookie with these further attributes, such as SameSite=Lax."),
        Setting::duration(
            "maxidle",
            "Ignore a cookie that has not been used for so long. Whole seconds; 0s is no limit.",
        ),
        Setting::duration("maxlife", "Ignore a cookie that is so old. Whole seconds; 0s is no limit."),
        flag("dynamic", "Give servers without a cookie value one made of dynamic_key, address and port."),
        Setting::text("dynamic_key", "The secret key of dynamic: the same on all balancers of a fleet."),
    ]
}

/// Checks settings and servers and makes the policy of them.
pub fn configure(settings: &Settings, servers: &[Server]) -> Result<Cookie, Refusal> {
    let mode = mode(settings)?;
    check_texts(settings)?;
    let values = servers.iter().map(|server| value(settings, mode, server)).collect::<Result<Vec<_>, _>>()?;
    let by_value: BinaryHeap<(String, u32)> =
        values.iter().zip(0..).filter_map(|(value, server)| Some((value.clone()?, server))).collect();
    Ok(Cookie {
        name: settings.text("name").into(),
        mode,
        indirect: settings.boolean("indirect"),
        nocache: settings.boolean("nocache"),
        postonly: settings.boolean("postonly"),
        preserve: settings.boolean("preserve"),
        max_idle_s: seconds(settings, "maxidle")?,
        max_life_s: seconds(settings, "maxlife")?,
        attributes: attributes(settings),
        values,
        by_value: by_value.into_sorted_vec(),
    })
}

fn seconds(settings: &Settings, name: &str) -> Result<u64, Refusal> {
    match u64::try_from(settings.integer(name)) {
        Ok(ms) if ms % 1_000 == 0 => Ok(ms / 1_000),
        _ => Err(Refusal::of(name, "cookies count in whole seconds: give 0s for no limit, or 1s or more")),
    }
}

fn mode(settings: &Settings) -> Result<Mode, Refusal> {
    let modes = [
        (settings.boolean("insert"), "insert", Mode::Insert),
        (settings.boolean("rewrite"), "rewrite", Mode::Rewrite),
        (settings.boolean("prefix"), "prefix", Mode::Prefix),
    ];
    let mut on = modes.into_iter().filter(|(on, ..)| *on);
    let first = on.next();
    if let (Some((_, one, _)), Some((_, other, _))) = (first, on.next()) {
        return Err(Refusal::of(other, [one, " and ", other, " exclude each other"].concat()));
    }
    if settings.boolean("rewrite") && settings.boolean("indirect") {
        return Err(Refusal::of(
            "indirect",
            "indirect and rewrite exclude each other: the server needs its cookie",
        ));
    }
    if settings.boolean("preserve") && !settings.boolean("insert") && !settings.boolean("indirect") {
        return Err(Refusal::of(
            "preserve",
            "preserve needs insert or indirect: else the server's cookie is never removed",
        ));
    }
    if settings.boolean("dynamic") && settings.text("dynamic_key").is_empty() {
        return Err(Refusal::of("dynamic", "dynamic needs a dynamic_key"));
    }
    Ok(first.map_or(Mode::Passive, |(.., mode)| mode))
}

fn check_texts(settings: &Settings) -> Result<(), Refusal> {
    let name = settings.text("name");
    if name.is_empty() || !name.bytes().all(is_of_a_token) {
        let message = "the name of a cookie is made of letters, digits and any of !#$%&'*+-.^_`|~";
        return Err(Refusal::of("name", message));
    }
    if settings.texts("domain").iter().any(|domain| domain.is_empty() || domain.bytes().any(breaks_a_value)) {
        let message = "a domain may not be empty or have spaces, commas, semicolons or control characters";
        return Err(Refusal::of("domain", message));
    }
    if settings.texts("attr").iter().any(|attr| attr.is_empty() || attr.bytes().any(breaks_a_line)) {
        let message = "an attribute may not be empty or have semicolons or control characters";
        return Err(Refusal::of("attr", message));
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
fn value(settings: &Settings, mode: Mode, server: &Server) -> Result<Option<String>, Refusal> {
    let Some(value) = &server.cookie else {
        return Ok(settings
            .boolean("dynamic")
            .then(|| dynamic::value(settings.text("dynamic_key"), &server.address)));
    };
    let mark = mode.mark();
    if value.is_empty() || value.contains(mark) || value.bytes().any(breaks_a_value) {
        let message = [
            "the cookie value of server ",
            &server.name,
            " would not come back from a client as it is: it may not be empty or have spaces, commas, semicolons, \
             control characters, | or, with prefix, ~",
        ];
        return Err(Refusal::whole(message.concat()));
    }
    Ok(Some(value.clone()))
}

/// What follows the value in a line that sets the cookie, in HAProxy's order.
fn attributes(settings: &Settings) -> String {
    let mut text = String::from("; path=/");
    for domain in settings.texts("domain") {
        text.push_str("; domain=");
        text.push_str(domain);
    }
    for (on, name) in [(settings.boolean("httponly"), "; HttpOnly"), (settings.boolean("secure"), "; Secure")]
    {
        if on {
            text.push_str(name);
        }
    }
    for attr in settings.texts("attr") {
        text.push_str("; ");
        text.push_str(attr);
    }
    text
}
