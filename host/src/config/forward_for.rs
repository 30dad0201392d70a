//! `forwardfor`: whether, and how, servers are told the client's address.

use toml::de::DeValue;

use super::address;
use super::model::ForwardFor;
use super::read::{Switch, boolean, is_token};
use super::section::Value;

pub(super) fn read(value: Value<'_>) -> Option<Switch<ForwardFor>> {
    let plain = ForwardFor { except: Vec::new(), header: "x-forwarded-for".to_owned(), if_none: false };
    match value.toml() {
        DeValue::Boolean(false) => Some(Switch::Off),
        DeValue::Boolean(true) => Some(Switch::On(plain)),
        _ => {
            let table = value.section()?;
            let except = table.read("except", |value| {
                let network = |value: Value<'_>| value.accept(address::network(value.text()?));
                Some(value.one_or_many().into_iter().filter_map(network).collect())
            });
            Some(Switch::On(ForwardFor {
                except: except.unwrap_or(plain.except),
                header: table.read("header", header_name).unwrap_or(plain.header),
                if_none: table.read("if_none", boolean).unwrap_or(plain.if_none),
            }))
        }
    }
}

fn header_name(value: Value<'_>) -> Option<String> {
    let name = value.text()?;
    if !is_token(name) {
        value.unfit("this is not one");
        return None;
    }
    Some(name.to_ascii_lowercase())
}
