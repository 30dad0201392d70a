//! HTTP/2 (RFC 9113), without sockets and without clocks: bytes come in and go out, and between them are messages of no
//! protocol. Whoever has the socket drives it (`connection/http2.rs`).

mod connection;
mod frame;
mod hpack;
mod output;
mod request;
mod response;
mod streams;

#[cfg(any(test, feature = "fuzzing"))]
mod passed_on;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use connection::MAX_RESETS;
pub(crate) use connection::{Connection, Limits, Request};
pub(crate) use frame::PREFACE;
pub(crate) use output::OUTPUT;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use passed_on::{PassedOn, passed_on};
pub(crate) use response::Block;
pub(crate) use streams::Key;
