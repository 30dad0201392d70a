//! A load balancer whose decisions are WebAssembly. Modules stand in the order in which a request meets them.

pub mod backend;
pub mod buffer;
pub mod config;
pub mod failure;
pub mod http;
pub mod log;
pub mod policy;
pub mod stream;
pub mod timer;
