//! Policies: the WebAssembly components that choose servers. The only door to wasmtime; no type of it leaves
//! this module.
//!
//! Off the data path, when a configuration is loaded: [`Runtime::prove`] loads each component that a backend
//! names, holds the settings against what it [describes](Description), and tries it. What comes out is
//! [`Proven`]; `lb check` ends there. [`Proven::open`] ties it to the shared
//! [`Backend`](crate::backend::Backend), and the [`BackendPolicies`] that this gives make one [`Balancer`] and
//! one [`Persistence`] for each worker.
//!
//! On the data path, on a worker's thread: [`Balancer::pick`], [`Persistence::recall`],
//! [`Persistence::respond`]. None of them fails or panics, whatever the component does: where it gives no fit
//! answer, it is counted and logged, the host decides, and a fresh instance is made elsewhere. Nor do they
//! wait for anything, but for a lock where workers share an instance.
//!
//! In a simulation: [`SimulatedPolicies`] makes a [`SimulatedBalancer`] for each load balancer of a fleet.

mod answers;
mod balancer;
mod bench;
mod bindings;
mod cache;
mod component;
mod core_module;
mod description;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fit;
mod imports;
mod instance;
mod maker;
mod persistence;
mod probe;
mod record;
mod reuse;
mod runtime;
mod sandbox;
#[cfg(test)]
pub(crate) mod scripted;
mod seat;
mod settings;
mod simulated;
mod ticker;
mod trial;
mod validate;
mod voice;

pub use answers::{Affinity, Amendment, HeaderEdit, Key, KeyEdit, Outcome, Reply, Standing, Verdict};
pub use balancer::Balancer;
pub use component::{INTERFACE_VERSION, LoadError, Policy};
pub use core_module::WIT;
pub use description::{Description, Kind, Setting, SettingValue};
pub use fault::{Fault, FaultKind};
pub use imports::MEMORY_BYTES;
pub use instance::{Arrival, REQUEST_BUDGET, SETUP_BUDGET, UPDATE_BUDGET};
pub use persistence::Persistence;
pub use probe::{NotStarted, Probe};
pub use record::{Metrics, Role};
pub use runtime::{BackendPolicies, Proven, Runtime, RuntimeError, Watch, built_ins, default_cache_dir};
pub use settings::{Problem, Settings, check};
pub use simulated::{Ask, Conduct, SimulatedBalancer, SimulatedPolicies};
