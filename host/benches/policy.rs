//! What the built-in policies cost a request, in nanoseconds on this machine: `cargo bench --bench policy`. Beside
//! each stands a loop in native Rust that decides the same in the simplest way, without any boundary.
//!
//! Medians over batches of 32 calls. The figures move with the machine's mood: compare those of one run.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use lb_host::backend::Backend;
use lb_host::backend::server::Server;
use lb_host::config::model::{self, Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use lb_host::http::head::{RequestHead, ResponseHead};
use lb_host::http::parse;
use lb_host::policy::{Reply, Runtime, Standing};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NOW: u64 = 1_700_000_000_000;

fn main() {
    let runtime = Runtime::new(None).unwrap();
    let mut head = RequestHead::default();
    parse::request(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 100, &mut head).unwrap();
    let (request, response) = (Arc::new(head), Arc::new(ResponseHead::default()));
    for servers in [2, 100, 1000] {
        for policy in ["roundrobin", "source", "leastconn"] {
            let backend = backend(policy, servers);
            let mut balancer = runtime.prove(&backend.config).unwrap().open(&backend).balancer();
            report(servers, policy, || balancer.pick(&request, CLIENT, NOW, None));
            let mut native = native(policy, &backend);
            report(servers, &format!("{policy}, native"), || native(CLIENT));
        }
        let backend = backend("roundrobin", servers);
        let policies = runtime.prove(&backend.config).unwrap().open(&backend);
        let mut cookie = policies.persistence().unwrap();
        report(servers, "cookie: recall", || cookie.recall(&request, b"s1", CLIENT, NOW));
        let names: HashMap<&str, usize> =
            backend.config.servers.iter().enumerate().map(|(index, s)| (&*s.name, index)).collect();
        report(servers, "cookie: recall, native", || names.get(black_box("s1")).copied());
        let reply = Reply {
            server: 1,
            standing: Standing::Absent,
            note: 0,
            cacheable: true,
            sent: None,
            time_ms: NOW,
        };
        report(servers, "cookie: respond, answer reused", || cookie.respond(&request, &response, reply));
        let asked = Reply { sent: Some(b"x"), ..reply };
        report(servers, "cookie: respond, asked", || cookie.respond(&request, &response, asked));
    }
}

fn report<T>(servers: usize, what: &str, mut call: impl FnMut() -> T) {
    let mut batches: Vec<u128> = (0..20_000)
        .map(|_| {
            let start = Instant::now();
            (0..32).for_each(|_| drop(black_box(call())));
            start.elapsed().as_nanos() / 32
        })
        .collect();
    batches.sort_unstable();
    println!("{servers:5} servers  {what:32} {:6} ns", batches[batches.len() / 2]);
}

/// The same choice without WebAssembly.
fn native(policy: &str, backend: &Arc<Backend>) -> Box<dyn FnMut(IpAddr) -> usize> {
    let (servers, mut sequence) = (backend.servers.len(), 0);
    match policy {
        "roundrobin" => Box::new(move |_| {
            sequence += 1;
            sequence % servers
        }),
        "leastconn" => {
            let backend = backend.clone();
            Box::new(move |_| {
                sequence += 1;
                let loads = backend.servers.iter().map(|server| server.in_flight.load(Relaxed));
                let turn = |index: usize| (index + servers - sequence % servers) % servers;
                loads
                    .enumerate()
                    .min_by_key(|(index, load)| (*load, turn(*index)))
                    .map_or(0, |(index, _)| index)
            })
        }
        _ => Box::new(move |client| {
            let mut hasher = DefaultHasher::new();
            client.hash(&mut hasher);
            hasher.finish() as usize % servers
        }),
    }
}

fn backend(policy: &str, servers: usize) -> Arc<Backend> {
    let spec = |name: &str, settings| PolicySpec {
        source: PolicySource::BuiltIn(name.into()),
        instances: Instances::PerWorker,
        settings,
        span: 0..0,
    };
    let setting =
        |name: &str, value| RawSetting { name: name.into(), name_span: 0..0, value, value_span: 0..0 };
    let mut settings = vec![setting("name", RawValue::Text("SERVER".into()))];
    settings.extend(["insert", "indirect", "nocache"].map(|name| setting(name, RawValue::Boolean(true))));
    let server = |index| model::Server {
        name: format!("s{index}").into(),
        address: model::ServerAddress::Ip(([127, 0, 0, 1], 80).into()),
        weight: 1,
        maxconn: None,
        backup: false,
        disabled: false,
        check: None,
        cookie: Some(format!("s{index}")),
        labels: Vec::new(),
    };
    let config = model::Backend {
        name: "bench".into(),
        balance: vec![spec(policy, Vec::new())],
        persistence: Some(spec("cookie", settings)),
        servers: (0..servers).map(server).collect(),
        check: model::CheckKind::Tcp,
        forwardfor: None,
        retries: 3,
        redispatch: false,
        timeout: model::ServerTimeouts::default(),
    };
    let servers = Server::all(&config.servers);
    Backend::new(config, servers)
}
