//! The types and calls of `wit/`, generated, and how ours become theirs and theirs ours.

use std::net::IpAddr;

wasmtime::component::bindgen!({
    world: "everything",
    path: "../wit",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) use exports::lb::policy::{balancer, feedback, persistence, setup};
pub(super) use lb::policy::{candidates, log, request, response, servers, types};

use super::answers::{self, Outcome, Standing, Verdict};
use super::description::{Description, Kind, Setting, SettingValue};
use super::instance::Refusal;
use super::voice::printable;

/// An address as policies see it. IPv4-mapped IPv6 addresses go over as IPv4.
pub(super) fn address(address: IpAddr) -> types::IpAddress {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            types::IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            types::IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

impl From<Standing> for persistence::Standing {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Absent => Self::Absent,
            Standing::Unknown => Self::Unknown,
            Standing::Down => Self::Down,
            Standing::Valid => Self::Valid,
            Standing::Expired => Self::Expired,
            Standing::Old => Self::Old,
        }
    }
}

impl From<persistence::Standing> for Standing {
    fn from(standing: persistence::Standing) -> Self {
        match standing {
            persistence::Standing::Absent => Self::Absent,
            persistence::Standing::Unknown => Self::Unknown,
            persistence::Standing::Down => Self::Down,
            persistence::Standing::Valid => Self::Valid,
            persistence::Standing::Expired => Self::Expired,
            persistence::Standing::Old => Self::Old,
        }
    }
}

impl From<&Outcome> for feedback::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let verdict = match outcome.verdict {
            Verdict::Answered => feedback::Verdict::Answered,
            Verdict::Unreachable => feedback::Verdict::Unreachable,
            Verdict::Broken => feedback::Verdict::Broken,
            Verdict::TimedOut => feedback::Verdict::TimedOut,
            Verdict::Abandoned => feedback::Verdict::Abandoned,
        };
        let Outcome { server, status, connect_us, latency_us, bytes, time_ms, .. } = *outcome;
        feedback::Outcome { server, verdict, status, connect_us, latency_us, bytes, time_ms }
    }
}

impl From<persistence::Key> for answers::Key {
    fn from(key: persistence::Key) -> Self {
        match key {
            persistence::Key::Cookie(name) => Self::Cookie(name.into()),
            persistence::Key::Header(name) => Self::Header(name.to_ascii_lowercase().into()),
            persistence::Key::Query(name) => Self::Query(name.into()),
        }
    }
}

impl From<persistence::KeyEdit> for answers::KeyEdit {
    fn from(edit: persistence::KeyEdit) -> Self {
        match edit {
            persistence::KeyEdit::Keep => Self::Keep,
            persistence::KeyEdit::Remove => Self::Remove,
            persistence::KeyEdit::Replace(value) => Self::Replace(value),
        }
    }
}

impl From<persistence::HeaderEdit> for answers::HeaderEdit {
    fn from(edit: persistence::HeaderEdit) -> Self {
        let lower = |mut name: String| {
            name.make_ascii_lowercase();
            name
        };
        match edit {
            persistence::HeaderEdit::Append(line) => {
                Self::Append { name: lower(line.name), value: line.value }
            }
            persistence::HeaderEdit::Set(line) => Self::Set { name: lower(line.name), value: line.value },
            persistence::HeaderEdit::Remove(name) => Self::Remove(lower(name)),
        }
    }
}

impl From<setup::Description> for Description {
    fn from(description: setup::Description) -> Self {
        let setup::Description { name, version, summary, settings } = description;
        let (version, summary) = (printable(&version), printable(&summary));
        Description { name, version, summary, settings: settings.into_iter().map(Setting::from).collect() }
    }
}

impl From<setup::Setting> for Setting {
    fn from(setting: setup::Setting) -> Self {
        let kind = match setting.kind {
            setup::Kind::Text => Kind::Text,
            setup::Kind::Integer => Kind::Integer,
            setup::Kind::Number => Kind::Number,
            setup::Kind::Boolean => Kind::Boolean,
            setup::Kind::Duration => Kind::Duration,
            setup::Kind::Texts => Kind::Texts,
        };
        let default = setting.default.map(|value| match value {
            setup::ValueResult::Text(text) => SettingValue::Text(text),
            setup::ValueResult::Integer(integer) => SettingValue::Integer(integer),
            setup::ValueResult::Number(number) => SettingValue::Number(number),
            setup::ValueResult::Boolean(boolean) => SettingValue::Boolean(boolean),
            setup::ValueResult::Texts(texts) => SettingValue::Texts(texts),
        });
        let setup::Setting { name, required, choices, doc, .. } = setting;
        Setting { name, kind, default, required, choices, doc: printable(&doc) }
    }
}

impl From<setup::Refusal> for Refusal {
    fn from(refusal: setup::Refusal) -> Self {
        let setup::Refusal { setting, message } = refusal;
        Refusal { setting: setting.as_deref().map(printable), message: printable(&message) }
    }
}
