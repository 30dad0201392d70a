//! `[global] admin`.

use super::{Key, Scope};

const GLOBAL: &[Scope] = &[Scope::Global];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "admin",
        scopes: GLOBAL,
        kind: "a table with `bind`",
        default: "",
        haproxy: "stats",
        doc: "A listener for those who watch the process: `GET /metrics` gives every counter to Prometheus. It only \
              ever reads, and runs on the control thread, where no request of a client passes. Without this table \
              there is none.",
        example: "admin = { bind = \"127.0.0.1:8404\" }",
    },
    Key {
        name: "admin.bind",
        scopes: GLOBAL,
        kind: "an IP address and a port",
        default: "required",
        haproxy: "bind",
        doc: "Where the admin listener listens. It asks for no password, so an address that is not the machine's own \
              earns a warning. On a loopback address it answers only where the request's `Host` is an IP address \
              or `localhost`, so that no web page can have a browser read it under a name of its own.",
        example: "admin.bind = \"127.0.0.1:8404\"",
    },
];
