//! A load balancer whose decisions are WebAssembly. Modules stand in the order in which a request meets them.

pub mod backend;
pub mod config;
pub mod conformance;
mod connection;
mod exchange;
pub mod failure;
mod h2;
pub mod http;
mod listener;
pub mod log;
pub mod policy;
mod upstream;

mod buffer;
mod capacity;
mod count;
mod scratch;
mod splice;
mod stream;
mod timer;
mod tls;

pub mod commands;
mod control;
mod demo;
mod json;
pub mod measure;
mod report;
pub mod scaffold;
pub mod simulate;
pub mod simulation;
mod worker;
