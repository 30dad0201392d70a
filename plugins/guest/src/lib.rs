//! Policies for the load balancer `lb`, in Rust: who serves a request, and how a client stays with a server.
//!
//! A policy is a type that is made by [`Policy::configure`] and implements [`Balancer`], with [`Feedback`] where
//! it learns from how its picks went, or [`Persistence`], or all of them. [`export!`] makes a component of it.
//! What it may ask of the host stands in [`request`], [`response`], [`candidates`], [`servers`] and [`log`]. The
//! same code runs natively, under [`testing::Scene`], where it is tested as any Rust is.
//!
//! ```
//! use lb_policy::*;
//!
//! /// A server by the hour of the day.
//! pub struct Hourly {
//!     offset: u64,
//!     count: u64,
//! }
//!
//! impl Policy for Hourly {
//!     fn describe() -> Description {
//!         let offset = Setting::integer("offset", "Hours to add to UTC.").default(0);
//!         Description::new("hourly", "1.0.0", "a server by the hour").setting(offset)
//!     }
//!
//!     fn configure(settings: Settings, _servers: Vec<Server>) -> Result<Self, Refusal> {
//!         match settings.integer("offset") {
//!             hours @ 0..24 => Ok(Hourly { offset: hours as u64, count: 0 }),
//!             _ => Err(Refusal::of("offset", "expected 0 to 23")),
//!         }
//!     }
//! }
//!
//! impl Balancer for Hourly {
//!     fn update(&mut self, candidates: Vec<Candidate>) {
//!         self.count = candidates.len() as u64;
//!     }
//!
//!     fn pick(&mut self, arrival: Arrival) -> Option<u32> {
//!         let hour = arrival.time_ms / 3_600_000 + self.offset;
//!         hour.checked_rem(self.count).map(|candidate| candidate as u32)
//!     }
//! }
//!
//! export!(Hourly: Balancer);
//!
//! # fn main() {
//! use lb_policy::testing::{Request, Scene, servers};
//!
//! let mut scene = Scene::<Hourly>::new(servers(&[1, 1]), &[("offset", 3.into())]).unwrap();
//! let first = scene.pick(&Request::get("/"));
//! scene.advance_ms(3_600_000);
//! assert_ne!(scene.pick(&Request::get("/")), first);
//! # }
//! ```
//!
//! The project of such a policy has `crate-type = ["cdylib"]` (and `"rlib"`, for tests of its own in `tests/`), and
//! `lb-policy` with `default-features = false` as its dependency; `cargo build --release --target
//! wasm32-unknown-unknown` makes a file that `lb` loads as it is.
//!
//! **Without the standard library** a policy is a few KB. Such a crate begins with
//! `#![cfg_attr(target_arch = "wasm32", no_std)]` and leaves the default feature `runtime` on, which brings an
//! allocator and a panic handler. The built-in policies are made so.
//!
//! **What to keep in mind.** Prepare in `update`, look up in `pick`. Each worker of the host has an instance of its
//! own, so a choice should come from what is handed in: [`Arrival::sequence`] counts all picks of a backend, and
//! [`candidates::loads`] all its requests. A panic costs the instance and what it had learned, nothing else.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

pub use bindings::exports::lb::policy::{
    balancer::{Arrival, Candidate},
    feedback::{Outcome, Verdict},
    persistence::{Affinity, Amendment, HeaderEdit, Key, KeyEdit, Reply, Standing, Visit},
    setup::{Description, Kind, Refusal, Setting, Value},
};
pub use bindings::lb::policy::types::{Header, IpAddress, Server};
pub use host::{candidates, log, request, response, servers};
pub use settings::Settings;
#[doc(hidden)]
pub use wit_bindgen::rt;

#[doc(hidden)]
#[allow(warnings, clippy::all)]
#[path = "../bindings/everything.rs"]
#[rustfmt::skip]
pub mod bindings;
#[cfg(any(all(target_arch = "wasm32", feature = "runtime"), test))]
mod blocks;
pub mod bound;
pub mod draw;
#[doc(hidden)]
pub mod export;
pub mod hash;
mod host;
pub mod key;
pub mod latency;
pub mod random;
pub mod set_cookie;
mod settings;
pub mod spread;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod weights;

/// What every policy is: something that describes itself and is made of settings and servers.
pub trait Policy: Sized + 'static {
    /// Describes the policy: the same at any time.
    fn describe() -> Description;

    /// Makes the policy. `settings` are of the kinds that [`describe`](Self::describe) declared, with defaults
    /// filled in; `servers` are in the order of `lb.toml`.
    ///
    /// # Errors
    /// A refusal, with what is wrong, stops the start or the reload.
    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal>;

    /// Takes other settings or other servers. What was learned is lost, unless a policy says otherwise here.
    ///
    /// # Errors
    /// As [`configure`](Self::configure).
    fn reconfigure(&mut self, settings: Settings, servers: Vec<Server>) -> Result<(), Refusal> {
        *self = Self::configure(settings, servers)?;
        Ok(())
    }
}

/// A policy that picks a server for each request.
pub trait Balancer: Policy {
    /// Takes note of who may be chosen from now on: at least one. Called before the first `pick`, and whenever the
    /// candidates or their weights have changed.
    fn update(&mut self, candidates: Vec<Candidate>);

    /// Picks an index into the candidates of the last `update`; `None` passes to the next policy of the list,
    /// and after the last to the host.
    fn pick(&mut self, arrival: Arrival) -> Option<u32>;
}

/// A balancer that hears how its picks went.
pub trait Feedback: Balancer {
    /// Takes note of how an attempt ended.
    fn observe(&mut self, outcome: Outcome);
}

/// A policy that knows again the client that a server has already served.
pub trait Persistence: Policy {
    /// Where the key is, in requests and in responses.
    fn place(&self) -> Key;

    /// Finds the server that a request's key names.
    fn recall(&mut self, visit: Visit) -> Affinity;

    /// Says what to change in a response.
    fn respond(&mut self, reply: Reply) -> Amendment;
}

#[cfg(all(target_arch = "wasm32", feature = "runtime"))]
#[global_allocator]
static ALLOCATOR: blocks::Heap = blocks::Heap::new();

/// Nobody would read a message: the host reports the trap.
#[cfg(all(target_arch = "wasm32", feature = "runtime"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
