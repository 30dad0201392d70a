//! A backend with policies, as tests see it: time stands still unless a test moves it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use lb_host::backend::Backend;
use lb_host::backend::server::Server;
use lb_host::config::model::{self, Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use lb_host::http::head::{RequestHead, ResponseHead};
use lb_host::http::parse;
use lb_host::policy::{
    BackendPolicies, Balancer, FaultKind, Metrics, Persistence, Problem, Proven, Reply, Runtime, Standing,
};

use super::guest::Guest;

/// When tests begin, in milliseconds since 1970.
pub(crate) const START: u64 = 1_700_000_000_000;
/// The client of all requests.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// A reply that asks for a cookie.
pub(crate) const REPLY: Reply<'static> =
    Reply { server: 0, standing: Standing::Absent, note: 0, cacheable: true, sent: None, time_ms: START };

pub(crate) fn runtime() -> Runtime {
    Runtime::new(None).expect("WebAssembly runs here")
}

/// A policy named in a configuration; its span is 0..1.
pub(crate) fn spec(source: PolicySource) -> PolicySpec {
    PolicySpec { source, instances: Instances::PerWorker, settings: Vec::new(), span: 0..1 }
}

pub(crate) fn built_in(name: &str) -> PolicySpec {
    spec(PolicySource::BuiltIn(name.into()))
}

/// The setting's name stands at `at`, its value behind it.
pub(crate) fn setting(name: &str, value: RawValue, at: usize) -> RawSetting {
    RawSetting { name: name.into(), name_span: at..at + 1, value, value_span: at + 1..at + 2 }
}

pub(crate) fn server(name: &str, weight: u32) -> model::Server {
    model::Server {
        name: name.into(),
        address: model::ServerAddress::Ip(([127, 0, 0, 1], 80).into()),
        weight,
        maxconn: None,
        backup: false,
        disabled: false,
        check: None,
        cookie: Some(name.into()),
        labels: vec![("zone".into(), "a".into())],
        protocol: Default::default(),
        resolution: Default::default(),
        slowstart: None,
        circuit_breaker: None,
        tls: None,
    }
}

/// A backend of so many servers of weight 1: `s0`, `s1` …
pub(crate) fn backend(servers: usize) -> model::Backend {
    model::Backend {
        name: "test".into(),
        balance: Vec::new(),
        persistence: None,
        servers: (0..servers).map(|i| server(&format!("s{i}"), 1)).collect(),
        template: None,
        check: model::CheckKind::Tcp,
        forwardfor: None,
        retries: 3,
        redispatch: false,
        abortonclose: model::AbortOnClose::WhileWaiting,
        http_reuse: Default::default(),
        retry_on: Default::default(),
        retry_budget: None,
        circuit_breaker: None,
        timeout: model::ServerTimeouts::default(),
        errorfile: Vec::new(),
        limits: Vec::new(),
        rules: Default::default(),
    }
}

/// Where guests stand in the specs of a backend.
fn guest_spec(number: usize) -> PolicySpec {
    spec(PolicySource::BuiltIn(number.to_string()))
}

/// Proves a backend whose policies are `guests`, in order, the specs naming them by number.
pub(crate) fn prove(
    runtime: &Runtime,
    config: &model::Backend,
    guests: &[&Guest],
) -> Result<Proven, Vec<Problem>> {
    let guests: Vec<_> = guests.iter().map(|guest| runtime.load_bytes(&guest.bytes())).collect();
    runtime.prove_with(config, |spec| {
        let PolicySource::BuiltIn(number) = &spec.source else { panic!("a guest's number") };
        let number: usize = number.parse().expect("a number");
        match &guests[number] {
            Ok(policy) => Ok(policy.clone()),
            Err(error) => Err(Problem { span: 0..1, message: error.to_string(), help: error.help() }),
        }
    })
}

/// Proves one guest as a backend's only balancer, or its persistence.
pub(crate) fn prove_one(
    runtime: &Runtime,
    guest: &Guest,
    settings: Vec<RawSetting>,
) -> Result<Proven, Vec<Problem>> {
    let mut config = backend(2);
    config.balance = vec![PolicySpec { settings, ..guest_spec(0) }];
    prove(runtime, &config, &[guest])
}

pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    pub(crate) backend: Arc<Backend>,
    pub(crate) policies: BackendPolicies,
    pub(crate) time_ms: u64,
}

impl Scene {
    /// Guests that balance, asked in this order.
    pub(crate) fn balanced(guests: &[&Guest], servers: usize) -> Scene {
        let mut config = backend(servers);
        config.balance = (0..guests.len()).map(guest_spec).collect();
        Scene::open(config, guests)
    }

    /// A guest whose one instance serves all workers.
    pub(crate) fn shared(guest: &Guest, servers: usize) -> Scene {
        let mut config = backend(servers);
        config.balance = vec![PolicySpec { instances: Instances::Shared, ..guest_spec(0) }];
        Scene::open(config, &[guest])
    }

    /// A guest that persists.
    pub(crate) fn persisting(guest: &Guest, servers: usize) -> Scene {
        let mut config = backend(servers);
        config.persistence = Some(guest_spec(0));
        Scene::open(config, &[guest])
    }

    fn open(config: model::Backend, guests: &[&Guest]) -> Scene {
        let runtime = runtime();
        let proven = prove(&runtime, &config, guests).unwrap_or_else(|problems| panic!("{problems:?}"));
        Scene::of(runtime, config, &proven)
    }

    /// Built-in policies: those that are embedded, or freshly built ones in the directory that the environment
    /// variable names.
    pub(crate) fn built_in(config: model::Backend) -> Scene {
        let runtime = runtime();
        let proven = match std::env::var_os("LB_PLUGINS_DIR") {
            None => runtime.prove(&config),
            Some(directory) => runtime.prove_with(&config, |spec| {
                let PolicySource::BuiltIn(name) = &spec.source else { panic!("a built-in policy") };
                let file = std::path::Path::new(&directory).join(format!("{name}.wasm"));
                let bytes =
                    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                Ok(runtime.load_bytes(&bytes).expect("a policy"))
            }),
        };
        let proven = proven.unwrap_or_else(|problems| panic!("{problems:?}"));
        Scene::of(runtime, config, &proven)
    }

    fn of(runtime: Runtime, config: model::Backend, proven: &Proven) -> Scene {
        let servers = Server::all(&config.servers);
        let backend = Backend::new(config, servers);
        let policies = proven.open(&backend);
        Scene { runtime, backend, policies, time_ms: START }
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker { balancer: self.policies.balancer(), request: request("GET / HTTP/1.1\r\nhost: x\r\n\r\n") }
    }

    pub(crate) fn persistence(&self) -> Persistence {
        self.policies.persistence().expect("the backend has persistence")
    }

    /// The counters of the first policy.
    pub(crate) fn metrics(&self) -> Metrics {
        self.policies.metrics(self.time_ms).remove(0)
    }

    pub(crate) fn faults(&self, kind: FaultKind) -> u64 {
        self.metrics().faults[kind.index()].1
    }

    pub(crate) fn load(&self, server: usize, requests: u32) {
        self.backend.servers[server].in_flight.store(requests, Relaxed);
    }
}

/// A worker's balancer, and a request to balance.
pub(crate) struct Worker {
    pub(crate) balancer: Balancer,
    pub(crate) request: Arc<RequestHead>,
}

impl Worker {
    pub(crate) fn pick(&mut self, scene: &Scene) -> Option<u32> {
        self.balancer.pick(&self.request, CLIENT, scene.time_ms, None)
    }

    pub(crate) fn picks(&mut self, scene: &Scene, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.pick(scene).expect("there are candidates")).collect()
    }
}

pub(crate) fn request(text: &str) -> Arc<RequestHead> {
    let mut head = RequestHead::default();
    parse::request(text.as_bytes(), 100, &mut head).expect("a good head").expect("a whole head");
    Arc::new(head)
}

pub(crate) fn response() -> Arc<ResponseHead> {
    Arc::new(ResponseHead::default())
}

/// What is logged on this thread while `run` runs.
pub(crate) fn logged(run: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer({
        let lines = lines.clone();
        move || lines.clone()
    });
    tracing::subscriber::with_default(subscriber.finish(), run);
    String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text")
}
