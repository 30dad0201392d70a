//! What the host takes of what a policy says, for what is fuzzed: the way from the interface's own types through the checks.

use super::bindings::{persistence, setup};
use super::description::Description;
use super::instance::Refusal;
use super::{Affinity, Amendment, HeaderEdit, Key, KeyEdit, Standing};
use super::{validate, voice};

/// Where a policy says that its key is, if that can be.
pub(crate) fn key(key: Key) -> Option<Key> {
    let key = Key::from(match key {
        Key::Cookie(name) => persistence::Key::Cookie(name.to_string()),
        Key::Header(name) => persistence::Key::Header(name.to_string()),
        Key::Query(name) => persistence::Key::Query(name.to_string()),
    });
    validate::key(&key).ok().map(|()| key)
}

/// What a policy makes of a key, of one of so many servers.
pub(crate) fn affinity(affinity: Affinity, key: &Key, servers: usize) -> Option<Affinity> {
    let standing = Standing::from(persistence::Standing::from(affinity.standing));
    let affinity = Affinity { standing, key: edited(affinity.key), ..affinity };
    validate::affinity(&affinity, key, servers).ok().map(|()| affinity)
}

/// What a policy changes in a response.
pub(crate) fn amendment(amendment: Amendment, key: &Key) -> Option<Amendment> {
    let line = |name, value| persistence::Header { name, value };
    let headers = amendment.headers.into_iter().map(|edit| {
        HeaderEdit::from(match edit {
            HeaderEdit::Append { name, value } => persistence::HeaderEdit::Append(line(name, value)),
            HeaderEdit::Set { name, value } => persistence::HeaderEdit::Set(line(name, value)),
            HeaderEdit::Remove(name) => persistence::HeaderEdit::Remove(name),
        })
    });
    let amendment = Amendment { key: edited(amendment.key), headers: headers.collect() };
    validate::amendment(&amendment, key).ok().map(|()| amendment)
}

/// The candidate that a policy picks, of so many.
pub(crate) fn pick(answer: Option<u32>, candidates: usize) -> Option<Option<u32>> {
    validate::pick(answer, candidates).ok().map(|()| answer)
}

/// What a policy says of itself, with one setting.
pub(crate) fn description(name: &str, version: &str, setting: &str, choice: &str) -> Option<Description> {
    let setting = setup::Setting {
        name: setting.to_owned(),
        kind: setup::Kind::Text,
        default: Some(setup::ValueResult::Text(choice.to_owned())),
        required: false,
        choices: vec![choice.to_owned()],
        doc: version.to_owned(),
    };
    let (name, version, summary) = (name.to_owned(), version.to_owned(), version.to_owned());
    let description =
        Description::from(setup::Description { name, version, summary, settings: vec![setting] });
    description.fault().is_none().then_some(description)
}

/// Why a policy refuses its settings: what is printed of that.
pub(crate) fn refusal(setting: &str, message: &str) -> String {
    let refusal = setup::Refusal { setting: Some(setting.to_owned()), message: message.to_owned() };
    let Refusal { setting, message } = Refusal::from(refusal);
    format!("{}: {message}", setting.unwrap_or_default())
}

/// What of a policy's line gets into the log.
pub(crate) fn line(message: &str) -> String {
    voice::fit(message)
}

fn edited(edit: KeyEdit) -> KeyEdit {
    KeyEdit::from(match edit {
        KeyEdit::Keep => persistence::KeyEdit::Keep,
        KeyEdit::Remove => persistence::KeyEdit::Remove,
        KeyEdit::Replace(value) => persistence::KeyEdit::Replace(value),
    })
}
