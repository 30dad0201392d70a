//! The persistence policy `cookie`: a client comes back to the server that its cookie names.
//!
//! It is HAProxy's `cookie` with all its options, down to the text of each line, the dates in the value and the
//! values of `dynamic`, so that balancers of both kinds can stand side by side. [`settings`] turns the settings
//! into a [`Cookie`], [`policy`] says what that does with a request and with a response.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use bindings::exports::lb::policy::{
    persistence::{self, Affinity, Amendment, Key, KeyEdit, Reply, Standing, Visit},
    setup::{self, Description, Refusal, Server, Value},
};
use bindings::lb::policy::{request, servers};
use lb_policy_guest::Single;
use policy::Cookie;

#[allow(warnings, clippy::all)]
#[path = "../../guest/bindings/persisting.rs"]
#[rustfmt::skip]
pub mod bindings;
pub mod dates;
pub mod dynamic;
pub mod policy;
pub mod settings;

static COOKIE: Single<Option<Cookie>> = Single::new(None);

/// The component.
#[derive(Debug)]
pub struct Component;

impl setup::Guest for Component {
    fn describe() -> Description {
        Description {
            name: "cookie".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "keeps a client on its server by a cookie".into(),
            settings: settings::describe(),
        }
    }

    fn configure(settings: Vec<(String, Value)>, servers: Vec<Server>) -> Result<(), Refusal> {
        let cookie = settings::configure(settings, servers)?;
        COOKIE.with(|state| *state = Some(cookie));
        Ok(())
    }
}

impl persistence::Guest for Component {
    fn place() -> Key {
        COOKIE.with(|cookie| {
            Key::Cookie(cookie.as_ref().map_or_else(String::new, |cookie| cookie.name.clone()))
        })
    }

    fn recall(visit: Visit) -> Affinity {
        COOKIE.with(|cookie| match cookie {
            Some(cookie) => cookie.recall(&visit, servers::usable),
            None => Affinity { server: None, standing: Standing::Unknown, key: KeyEdit::Keep, note: 0 },
        })
    }

    fn respond(reply: Reply) -> Amendment {
        COOKIE.with(|cookie| match cookie {
            Some(cookie) => cookie.respond(&reply, || request::method() == "POST"),
            None => Amendment { key: KeyEdit::Keep, headers: Vec::new(), reusable_ms: 0 },
        })
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Component with_types_in bindings);
