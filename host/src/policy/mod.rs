//! Policies: the WebAssembly components that choose servers. The only door to wasmtime; no type of it leaves
//! this module.
//!
//! Off the data path, when a configuration is loaded:
//! [`Runtime::prove`] loads each component that a backend names, holds the settings against what it
//! [describes](Description), and tries it. What comes out is [`Proven`]; `lb check` ends there.
//! [`Proven::open`] ties it to the shared [`Backend`](crate::backend::Backend), and the [`BackendPolicies`]
//! that this gives make one [`Balancer`] and one [`Persistence`] for each worker.
//!
//! On the data path, on a worker's thread: [`Balancer::pick`], [`Persistence::recall`],
//! [`Persistence::respond`]. None of them blocks, fails or panics, whatever the component does: where it
//! gives no fit answer, it is counted and logged, the host decides, and a fresh instance is made elsewhere.

mod answers;
mod balancer;
mod description;
mod persistence;
mod seat;
mod settings;

pub use answers::{Affinity, Amendment, HeaderEdit, Key, KeyEdit, Outcome, Reply, Standing, Verdict};
pub use balancer::Balancer;
pub use description::{Description, Kind, Setting, SettingValue};
pub use persistence::Persistence;
pub use seat::{BackendPolicies, Proven, Runtime};
pub use settings::{Problem, Settings, check};
