//! placeholder
use std::path::Path;
use std::sync::Arc;

use super::{Balancer, Persistence, Problem};
use crate::backend::Backend;
use crate::config::model;

/// Loads and runs policies: one a process. Cheap to keep, and it must be kept while traffic flows.
pub struct Runtime {}

impl Runtime {
    /// Starts the runtime. Compiled code is kept in `cache_dir`.
    pub fn new(_cache_dir: Option<&Path>) -> anyhow::Result<Runtime> {
        Ok(Runtime {})
    }

    /// Loads, checks and tries all policies of a backend. Takes up to seconds: call it off the data path.
    pub fn prove(&self, _backend: &model::Backend) -> Result<Proven, Vec<Problem>> {
        Ok(Proven {})
    }
}

/// The policies of a backend, known to be fit for it.
pub struct Proven {}

impl Proven {
    /// Ties them to the backend that they decide for.
    pub fn open(&self, _backend: &Arc<Backend>) -> BackendPolicies {
        BackendPolicies {}
    }
}

/// The policies of a backend, shared by the workers.
pub struct BackendPolicies {}

impl BackendPolicies {
    /// The balancer for one worker, with live instances; may be made on any thread but a worker's, and moved.
    pub fn balancer(&self) -> Balancer {
        Balancer {}
    }

    /// The persistence for one worker, where the backend has any.
    pub fn persistence(&self) -> Option<Persistence> {
        None
    }
}
