//! A load balancer whose decisions are WebAssembly. Modules stand in the order in which a request meets them.

pub mod backend;
pub mod config;
pub mod conformance;
mod connection;
pub mod discovery;
mod exchange;
pub mod failure;
mod h2;
pub mod http;
pub mod inherited;
mod limit;
mod linger;
mod listener;
pub mod log;
mod pages;
pub mod policy;
pub mod rules;
mod upstream;

mod accounts;
mod admin;
mod buffer;
mod capacity;
mod count;
mod scratch;
#[cfg(test)]
mod simulated;
mod splice;
mod stream;
mod timer;
mod tls;
mod umask;
mod unix_socket;

pub mod commands;
mod control;
mod demo;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod json;
pub mod measure;
mod report;
pub mod scaffold;
pub mod signals;
pub mod simulate;
pub mod simulation;
pub mod stats;
mod worker;
