//! How the running program behaves: the real binary between scripted origins and clients.

mod kit;

mod balancing;
mod bodies;
mod cookies;
mod health;
mod http;
mod smuggling;
mod tunnels;
