//! `lb.toml`, from text to resolved configuration or to what is said about it.
#![allow(clippy::unwrap_used)]

mod messages;
mod metrics;
mod reference;
mod resolved;
mod robustness;
mod security;
