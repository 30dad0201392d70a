//! The persistence policy `cookie`: a client comes back to the server that its cookie names.
//!
//! It is HAProxy's `cookie` with all its options, down to the text of each line, the dates in the value and the
//! values of `dynamic`, so that balancers of both kinds can stand side by side. [`settings`] turns the settings
//! into a [`Cookie`], [`policy`] says what that does with a request and with a response.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Affinity, Amendment, Description, Key, Persistence, Policy, Refusal, Reply, Server, Settings, Visit,
    request, servers,
};
use policy::Cookie;

pub mod dates;
pub mod dynamic;
pub mod policy;
pub mod settings;

/// The policy, with the host about it.
#[derive(Debug)]
pub struct Component(Cookie);

impl Policy for Component {
    fn describe() -> Description {
        let summary = "keeps a client on its server by a cookie";
        Description::new("cookie", env!("CARGO_PKG_VERSION"), summary).settings(settings::describe())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        settings::configure(&settings, &servers).map(Self)
    }
}

impl Persistence for Component {
    fn place(&self) -> Key {
        Key::Cookie(self.0.name.clone())
    }

    fn recall(&mut self, visit: Visit) -> Affinity {
        self.0.recall(&visit, servers::usable)
    }

    fn respond(&mut self, reply: Reply) -> Amendment {
        self.0.respond(&reply, || request::method() == "POST")
    }
}

lb_policy::export!(Component: Persistence);
