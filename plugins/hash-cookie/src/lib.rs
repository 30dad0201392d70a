//! The persistence policy `hash-cookie`: a client comes back to its server by a cookie that does not say which it is.
//!
//! The cookie's value is a hash of the server's name under a secret key: HMAC-SHA-256 (RFC 2104, FIPS 180-4), cut to 128
//! bits as the RFC allows. Without the key nobody can tell a server by its value or make a value up; what clients can
//! see is whether two of them have the same server. Nothing is stored: every worker, and every balancer with the
//! same secret and the same names, knows a cookie that another has set. Values are compared in constant time. The cookie
//! is hidden from the servers, and one of its name that a server sets is removed: HAProxy's `cookie insert indirect`,
//! with values that are nobody's business.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use lb_policy::{
    Affinity, Amendment, Description, Header, HeaderEdit, Key, KeyEdit, Persistence, Policy, Refusal, Reply,
    Server, Setting, Settings, Standing, Visit, servers, set_cookie,
};
use token::Token;

pub mod token;

/// For `reusable_ms`: until the next `configure`.
const FOREVER: u32 = u32::MAX;

/// The bytes of a secret: as many as a hash has.
const SHORTEST_SECRET: usize = 32;

/// The policy.
#[derive(Debug)]
pub struct HashCookie {
    name: String,
    nocache: bool,
    /// By server: what to look for, and the line that sets it.
    tokens: Vec<Token>,
    lines: Vec<String>,
}

impl Policy for HashCookie {
    fn describe() -> Description {
        let summary = "keeps a client on its server by a cookie that does not name it";
        Description::new("hash-cookie", env!("CARGO_PKG_VERSION"), summary)
            .settings([
                Setting::text("name", "The cookie's name.").required(),
                Setting::text(
                    "secret",
                    "The key, 32 bytes or more that nobody can guess; the same on all balancers of a fleet. With \
                     another one, clients get new cookies.",
                )
                .required(),
                Setting::boolean("nocache", "Mark cacheable responses that set the cookie as private.")
                    .default(false),
            ])
            .settings(set_cookie::settings())
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let name = set_cookie::name(&settings)?;
        let attributes = set_cookie::attributes(&settings)?;
        let secret = settings.text("secret").as_bytes();
        if secret.len() < SHORTEST_SECRET {
            let message = "a secret has 32 bytes or more, such as `openssl rand -base64 32` makes";
            return Err(Refusal::of("secret", message));
        }
        if secret.iter().all(|byte| *byte == secret[0]) {
            return Err(Refusal::of("secret", "a secret of one character only is none"));
        }
        // The cookie's name is part of what is hashed, so that two of them under one secret tell nothing of each other.
        let token = |server: &Server| Token::new(secret, &[&name, "\0", &server.name].concat());
        let tokens: Vec<Token> = servers.iter().map(token).collect();
        let line = |token: &Token| [name.as_str(), "=", &token.to_text(), &attributes].concat();
        let lines = tokens.iter().map(line).collect();
        Ok(Self { name, nocache: settings.boolean("nocache"), tokens, lines })
    }
}

impl Persistence for HashCookie {
    fn place(&self) -> Key {
        Key::Cookie(self.name.clone())
    }

    fn recall(&mut self, visit: Visit) -> Affinity {
        let server = Token::parse(&visit.value).and_then(|token| token.position(&self.tokens));
        let (server, standing) = match server {
            None => (None, Standing::Unknown),
            Some(server) if servers::usable(server) => (Some(server), Standing::Valid),
            Some(_) => (None, Standing::Down),
        };
        Affinity { server, standing, key: KeyEdit::Remove, note: 0, reusable_ms: FOREVER }
    }

    fn respond(&mut self, reply: Reply) -> Amendment {
        let key = if reply.sent.is_some() { KeyEdit::Remove } else { KeyEdit::Keep };
        let mut headers = Vec::new();
        if reply.standing != Standing::Valid
            && let Some(line) = self.lines.get(reply.server as usize)
        {
            headers.push(append("set-cookie", line));
            if self.nocache && reply.cacheable {
                headers.push(append("cache-control", "private"));
            }
        }
        Amendment { key, headers, reusable_ms: FOREVER }
    }
}

fn append(name: &str, value: &str) -> HeaderEdit {
    HeaderEdit::Append(Header { name: name.into(), value: value.into() })
}

lb_policy::export!(HashCookie: Persistence);

#[cfg(test)]
mod tests;
