//! A load balancer whose decisions are WebAssembly. Modules stand in the order in which a request meets them.

// What only the C library knows, and descriptors that are numbers, are dealt with in five files that say so below.
#![deny(unsafe_code)]

pub mod backend;
pub mod config;
pub mod conformance;
mod connection;
pub mod discovery;
mod exchange;
pub mod failure;
pub mod http;
mod http2;
#[expect(unsafe_code, reason = "descriptors come as numbers from the parent process")]
pub mod inherited;
mod limit;
mod linger;
#[expect(unsafe_code, reason = "tokio takes a descriptor on its owner's word")]
mod listener;
pub mod log;
mod pages;
pub mod policy;
pub mod rules;
mod upstream;

#[expect(unsafe_code, reason = "getpwnam_r and getgrnam_r")]
mod accounts;
mod admin;
mod buffer;
mod capacity;
mod cell;
mod count;
pub mod histogram;
#[expect(unsafe_code, reason = "malloc_trim")]
mod memory;
mod open_files;
pub mod random;
mod scratch;
#[cfg(test)]
mod simulated;
pub mod span;
mod splice;
mod stamp;
mod stream;
pub mod suggest;
mod timer;
mod tls;
mod tune;
mod umask;
mod unix_socket;

pub mod commands;
mod control;
mod demo;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod measure;
mod report;
pub mod scaffold;
#[expect(unsafe_code, reason = "signal masks")]
pub mod signals;
pub mod simulation;
pub mod stats;
mod worker;
