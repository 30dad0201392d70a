//! How the running program behaves: the real binary between scripted origins and clients.

mod kit;

mod balancing;
mod bodies;
mod cookies;
mod failures;
mod health;
mod http;
mod limits;
mod smuggling;
mod timeouts;
mod tunnels;
