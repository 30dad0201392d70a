//! The engine behind all policies, and how a backend's are loaded, tried and put to work.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine};

use super::Key;
use super::balancer::Balancer;
use super::bindings::Everything;
use super::cache;
use super::component::{LoadError, Policy};
use super::imports::Guest;
use super::maker::Maker;
use super::persistence::Persistence;
use super::record::{Metrics, Record, Role};
use super::seat::{Place, Post, Seat};
use super::settings::{self, Problem, Settings};
use super::ticker::Ticker;
use super::trial;
use super::voice::Voice;
use crate::backend::Backend;
use crate::config::model::{self, Instances, PolicySource, PolicySpec};

/// The policies that come with the program: ordinary components, without a native twin.
const BUILT_INS: [(&str, &[u8]); 13] = [
    ("roundrobin", include_bytes!("../../../plugins/roundrobin.wasm")),
    ("leastconn", include_bytes!("../../../plugins/leastconn.wasm")),
    ("source", include_bytes!("../../../plugins/source.wasm")),
    ("random", include_bytes!("../../../plugins/random.wasm")),
    ("weighted-random", include_bytes!("../../../plugins/weighted-random.wasm")),
    ("first", include_bytes!("../../../plugins/first.wasm")),
    ("hash", include_bytes!("../../../plugins/hash.wasm")),
    ("maglev", include_bytes!("../../../plugins/maglev.wasm")),
    ("least-time", include_bytes!("../../../plugins/least-time.wasm")),
    ("peak-ewma", include_bytes!("../../../plugins/peak-ewma.wasm")),
    ("cookie", include_bytes!("../../../plugins/cookie.wasm")),
    ("header", include_bytes!("../../../plugins/header.wasm")),
    ("hash-cookie", include_bytes!("../../../plugins/hash-cookie.wasm")),
];

/// A guest's stack. Wasmtime's default; a worker's thread needs twice that for itself and its guests.
const STACK_BYTES: usize = 512 << 10;

/// The names of the built-in policies.
pub fn built_ins() -> impl Iterator<Item = &'static str> + Clone {
    BUILT_INS.iter().map(|(name, _)| *name)
}

/// Where compiled code is kept unless something else is said: below `$XDG_CACHE_HOME`, or `~/.cache`.
pub fn default_cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("lb"))
}

/// Why policies cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The machine or the system lacks what compiled WebAssembly needs.
    #[error("cannot run WebAssembly here: {0}")]
    Engine(String),
    /// A thread could not be started.
    #[error("cannot start a thread for policies")]
    Thread(#[from] std::io::Error),
}

/// Loads and runs policies: one a process.
pub struct Runtime {
    linker: Linker<Guest>,
    ticker: Arc<Ticker>,
    maker: Arc<Maker>,
    /// What has been loaded and is in use, with a hash of its bytes: backends that name the same file share it.
    loaded: Mutex<HashMap<PolicySource, (u64, Weak<Policy>)>>,
    hasher: RandomState,
    uncached: Option<String>,
}

impl Runtime {
    /// Starts the runtime and its two threads. Compiled code is kept in `cache_dir`; where that cannot be used, or not
    /// safely, policies are compiled each time, and [`Runtime::uncached`] says why.
    pub fn new(cache_dir: Option<&Path>) -> Result<Runtime, RuntimeError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.max_wasm_stack(STACK_BYTES);
        // Balancers of a fleet agree without talking, so a policy gives the same answers on any processor.
        config.cranelift_nan_canonicalization(true);
        config.relaxed_simd_deterministic(true);
        // Nobody would read it: a trap's message is what is logged.
        config.generate_address_map(false);
        let mut uncached = None;
        if let Some(directory) = cache_dir {
            match cache::open(directory) {
                Ok(cache) => drop(config.cache(Some(cache))),
                Err(why) => {
                    tracing::warn!(
                        directory = %directory.display(), why,
                        "cannot keep compiled policies there; they are compiled at each start"
                    );
                    uncached = Some(why);
                }
            }
        }
        let cannot = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = Engine::new(&config).map_err(cannot)?;
        let mut linker = Linker::new(&engine);
        Everything::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest).map_err(cannot)?;
        Ok(Runtime {
            linker,
            ticker: Arc::new(Ticker::start(&engine)?),
            maker: Arc::new(Maker::start()?),
            loaded: Mutex::default(),
            hasher: RandomState::new(),
            uncached,
        })
    }

    /// Why compiled code is not kept, where it was to be.
    pub fn uncached(&self) -> Option<&str> {
        self.uncached.as_deref()
    }

    /// Loads a policy: reads, compiles, links, and asks it to describe itself. A large one that is not in the
    /// cache takes seconds.
    pub fn load(&self, source: &PolicySource) -> Result<Arc<Policy>, LoadError> {
        let read;
        let bytes: &[u8] = match source {
            PolicySource::BuiltIn(name) => match BUILT_INS.iter().find(|(built_in, _)| built_in == name) {
                Some((_, bytes)) => bytes,
                None => return Err(LoadError::NoBuiltIn { name: name.clone() }),
            },
            PolicySource::File(path) => {
                read = std::fs::read(path)
                    .map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
                &read
            }
        };
        let hash = self.hasher.hash_one(bytes);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, policy)) = loaded.get(source)
            && *known == hash
            && let Some(policy) = policy.upgrade()
        {
            return Ok(policy);
        }
        let policy = Arc::new(Policy::from_bytes(bytes, &self.linker, &self.ticker)?);
        loaded.retain(|_, (_, policy)| policy.strong_count() > 0);
        loaded.insert(source.clone(), (hash, Arc::downgrade(&policy)));
        Ok(policy)
    }

    /// Makes a policy of bytes that are at hand.
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<Arc<Policy>, LoadError> {
        Policy::from_bytes(bytes, &self.linker, &self.ticker).map(Arc::new)
    }

    /// Loads the policies that a backend names, holds their settings against what they take, and tries them.
    /// Finds all problems that it can. Takes long at times: never call it on a worker.
    pub fn prove(&self, backend: &model::Backend) -> Result<Proven, Vec<Problem>> {
        self.prove_with(backend, |spec| {
            self.load(&spec.source).map_err(|error| {
                let why = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                let message = match &spec.source {
                    PolicySource::File(path) => format!("no policy in {}: {why}", path.display()),
                    PolicySource::BuiltIn(_) => why,
                };
                Problem { span: spec.span.clone(), message, help: error.help() }
            })
        })
    }

    /// Waits until the instances that take the place of failed ones, as far as they are ordered, are made. For
    /// tests and simulations, where nothing may depend on how fast that is.
    pub fn settle(&self) {
        self.maker.settle();
    }

    /// [`prove`](Self::prove), where policies come from elsewhere than their source.
    pub fn prove_with(
        &self,
        backend: &model::Backend,
        load: impl Fn(&PolicySpec) -> Result<Arc<Policy>, Problem>,
    ) -> Result<Proven, Vec<Problem>> {
        let mut problems = Vec::new();
        let tried = trial::backend_of(backend);
        let mut prove = |spec: &PolicySpec, role: Role| {
            let proven = load(spec).map_err(|problem| vec![problem]).and_then(|policy| {
                trial::check_role(&policy, spec, role)?;
                let settings = settings::check(policy.description(), spec)?;
                let key =
                    trial::run(&policy, &settings, spec, role, &tried).map_err(|problem| vec![problem])?;
                Ok(ProvenPolicy { policy, settings, instances: spec.instances, key })
            });
            proven.map_err(|found| problems.extend(found)).ok()
        };
        let balance: Vec<_> = backend.balance.iter().filter_map(|spec| prove(spec, Role::Balance)).collect();
        let persistence = backend.persistence.as_ref().and_then(|spec| prove(spec, Role::Persistence));
        if problems.is_empty() {
            Ok(Proven { balance, persistence, maker: self.maker.clone() })
        } else {
            Err(problems)
        }
    }
}

/// The policies of a backend, known to be fit for it.
pub struct Proven {
    balance: Vec<ProvenPolicy>,
    persistence: Option<ProvenPolicy>,
    maker: Arc<Maker>,
}

struct ProvenPolicy {
    policy: Arc<Policy>,
    settings: Settings,
    instances: Instances,
    key: Option<Key>,
}

impl Proven {
    /// The balancers, in order, and the persistence: what would run.
    pub fn policies(&self) -> impl Iterator<Item = (Role, &Arc<Policy>, &Settings)> {
        let balance = self.balance.iter().map(|proven| (Role::Balance, proven));
        let persistence = self.persistence.iter().map(|proven| (Role::Persistence, proven));
        balance.chain(persistence).map(|(role, proven)| (role, &proven.policy, &proven.settings))
    }

    /// Ties the policies to the backend that they decide for; it must be of the configuration that was proven.
    pub fn open(&self, backend: &Arc<Backend>) -> BackendPolicies {
        let post = |proven: &ProvenPolicy, role| {
            let name = &proven.policy.description().name;
            let post = Arc::new(Post {
                policy: proven.policy.clone(),
                settings: proven.settings.clone(),
                backend: backend.clone(),
                key: proven.key.clone(),
                voice: Arc::new(Voice::new(name, &backend.config.name)),
                record: Record::new(name, &backend.config.name, role),
                maker: self.maker.clone(),
            });
            let shared =
                (proven.instances == Instances::Shared).then(|| Arc::new(Mutex::new(Seat::new(&post))));
            OpenPost { post, shared }
        };
        BackendPolicies {
            balance: self.balance.iter().map(|proven| post(proven, Role::Balance)).collect(),
            persistence: self.persistence.as_ref().map(|proven| post(proven, Role::Persistence)),
            backend: backend.clone(),
        }
    }
}

/// A look at how the policies of a backend do.
pub struct Watch(Vec<Arc<Post>>);

impl Watch {
    /// The counters of each policy, balancers first, as of `now_ms` (since 1970, UTC).
    pub fn metrics(&self, now_ms: u64) -> Vec<Metrics> {
        self.0.iter().map(|post| post.record.metrics(now_ms)).collect()
    }
}

/// The policies of a backend at work, shared by the workers.
pub struct BackendPolicies {
    backend: Arc<Backend>,
    balance: Vec<OpenPost>,
    persistence: Option<OpenPost>,
}

struct OpenPost {
    post: Arc<Post>,
    /// The seat for all workers, where they share one.
    shared: Option<Arc<Mutex<Seat>>>,
}

impl OpenPost {
    fn place(&self) -> Place {
        match &self.shared {
            Some(seat) => Place::shared(&self.post, seat),
            None => Place::own(&self.post),
        }
    }
}

impl BackendPolicies {
    /// The balancers for one worker. Makes their instances: call it on any thread but a worker's, and move
    /// what it gives to the worker.
    pub fn balancer(&self) -> Balancer {
        Balancer::new(self.backend.clone(), self.balance.iter().map(OpenPost::place).collect())
    }

    /// The persistence for one worker, where the backend has any; made and moved as the balancers are.
    pub fn persistence(&self) -> Option<Persistence> {
        let open = self.persistence.as_ref()?;
        Some(Persistence::new(self.backend.clone(), open.place(), open.post.key.clone()?))
    }

    /// For whoever watches how they do.
    pub fn watch(&self) -> Watch {
        Watch(self.balance.iter().chain(&self.persistence).map(|open| open.post.clone()).collect())
    }

    /// The counters of each policy, balancers first, as of `now_ms` (since 1970, UTC).
    pub fn metrics(&self, now_ms: u64) -> Vec<Metrics> {
        self.watch().metrics(now_ms)
    }
}
