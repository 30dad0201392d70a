//! What the behaviour tests are told in: `origin()` stands for a server, `proxy()` is the real program in front
//! of it, `client()` talks to it. Every port is chosen by the kernel, every wait is for a condition, and
//! everything ends with the value that stands for it.

mod client;
mod consul;
mod dns;
mod load;
mod log_line;
mod origin;
mod process;
mod proxy;
mod temporary;
mod tls;
mod wait;
mod wire;

pub(crate) use client::{Client, client, get};
pub(crate) use consul::Consul;
pub(crate) use dns::{Dns, Failing};
pub(crate) use load::Load;
pub(crate) use log_line::LogLine;
pub(crate) use origin::{Answer, Builder, Gate, Next, Origin, Refusing, Unanswering, origin};
pub(crate) use process::{Process, Signal, lb, run};
pub(crate) use proxy::{Proxy, Setup, proxy};
pub(crate) use temporary::Directory;
pub(crate) use tls::{Authority, Clients, Signed};
pub(crate) use wait::{PATIENCE, until};
pub(crate) use wire::{Message, Wire};
