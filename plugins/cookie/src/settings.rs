//! The settings of `cookie`, under HAProxy's names, and what is refused of them.
//!
//! Refused is what HAProxy refuses, and what it accepts although it cannot work: names and values that do not
//! come back from a client as they went out.

use alloc::{collections::BinaryHeap, string::String, vec::Vec};

use lb_policy::{
    Refusal, Server, Setting, Settings,
    set_cookie::{self, breaks_a_value},
};

use crate::{
    dynamic,
    policy::{Cookie, Mode},
};

/// Every setting, for the host.
pub fn describe() -> impl Iterator<Item = Setting> {
    let flag = |name: &str, doc: &str| Setting::boolean(name, doc).default(false);
    let first = [
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
    ];
    let last = [
        Setting::duration(
            "maxidle",
            "Ignore a cookie that has not been used for so long. Whole seconds; 0s is no limit.",
        ),
        Setting::duration("maxlife", "Ignore a cookie that is so old. Whole seconds; 0s is no limit."),
        flag("dynamic", "Give servers without a cookie value one made of dynamic_key, address and port."),
        Setting::text("dynamic_key", "The secret key of dynamic: the same on all balancers of a fleet."),
    ];
    first.into_iter().chain(set_cookie::settings()).chain(last)
}

/// Checks settings and servers and makes the policy of them.
pub fn configure(settings: &Settings, servers: &[Server]) -> Result<Cookie, Refusal> {
    let mode = mode(settings)?;
    let values = servers.iter().map(|server| value(settings, mode, server)).collect::<Result<Vec<_>, _>>()?;
    let by_value: BinaryHeap<(String, u32)> =
        values.iter().zip(0..).filter_map(|(value, server)| Some((value.clone()?, server))).collect();
    Ok(Cookie {
        name: set_cookie::name(settings)?,
        mode,
        indirect: settings.boolean("indirect"),
        nocache: settings.boolean("nocache"),
        postonly: settings.boolean("postonly"),
        preserve: settings.boolean("preserve"),
        max_idle_s: seconds(settings, "maxidle")?,
        max_life_s: seconds(settings, "maxlife")?,
        attributes: set_cookie::attributes(settings)?,
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
