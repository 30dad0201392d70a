//! A backend as the whole process shares it: its servers, who of them may be chosen, and the number of the
//! next pick. Which one is chosen is a policy's business.

pub mod server;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::model;
use server::Server;

/// A server that may be chosen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its index in [`Backend::servers`].
    pub server: u32,
    /// Its weight now, 1 to 256.
    pub weight: u32,
}

/// A backend's shared state.
#[derive(Debug)]
pub struct Backend {
    /// What `lb.toml` says of it.
    pub config: model::Backend,
    /// Its servers, in the order of the file.
    pub servers: Vec<Arc<Server>>,
    /// The number of the next pick, over all workers.
    pub sequence: AtomicU64,
    /// Requests that it holds, queued ones included.
    pub requests: AtomicU32,
    candidates: Mutex<Arc<[Candidate]>>,
    version: AtomicU64,
}

impl Backend {
    /// A backend of these servers, some of which may have served under an earlier configuration.
    pub fn new(config: model::Backend, servers: Vec<Arc<Server>>) -> Arc<Backend> {
        let backend = Arc::new(Backend {
            config,
            servers,
            sequence: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            candidates: Mutex::new(Arc::new([])),
            version: AtomicU64::new(0),
        });
        backend.refresh();
        backend
    }

    /// Counts changes of the candidates: whoever holds an older list than this asks for the new one.
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Who may be chosen now: the servers that are UP with a weight; backups only where nothing else is
    /// left, and then the first of them alone, as HAProxy does without `option allbackups`.
    pub fn candidates(&self) -> Arc<[Candidate]> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the backend that a server's state changed.
    pub fn server_changed(&self, index: usize, up: bool) {
        if let Some(server) = self.servers.get(index) {
            server.set_up(up);
            self.refresh();
        }
    }

    fn refresh(&self) {
        let usable = |backup: bool| {
            self.servers.iter().enumerate().filter_map(move |(index, server)| {
                let weight = server.config.weight;
                (server.config.backup == backup && weight > 0 && server.is_usable())
                    .then_some(Candidate { server: index as u32, weight })
            })
        };
        let mut list: Vec<Candidate> = usable(false).collect();
        if list.is_empty() {
            list.extend(usable(true).take(1));
        }
        *self.candidates.lock().unwrap_or_else(PoisonError::into_inner) = list.into();
        self.version.fetch_add(1, Relaxed);
    }
}
