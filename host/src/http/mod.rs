//! HTTP messages: heads, how they are parsed and written, and how bodies are framed. No sockets here.

pub mod arrival;
pub mod body;
pub mod build;
pub mod cookies;
pub mod head;
pub mod names;
pub mod parse;
pub mod semantics;
pub mod target;
pub mod trailers;
pub mod upgrade;
