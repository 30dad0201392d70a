//! TLS, to clients and to servers: certificates and whom they serve, handshakes, and the byte stream that comes of one.
//! All of it on rustls; which files and versions stands in the configuration.

mod accept;
mod carrier;
mod certificate;
mod connect;
mod connector;
pub(crate) mod expiry;
mod listener;
mod prepared;
mod resolver;
mod session;
pub(crate) mod trust;
mod verify;

pub(crate) use accept::{Wanted, Why, accept};
pub(crate) use connect::connect;
pub(crate) use connector::{Comparison, Connector};
pub(crate) use listener::Listener;
pub(crate) use prepared::{Preparation, Prepared, files};
pub(crate) use session::TlsSession;
