//! The built-in policies, as the components that they are, on the paths that traffic takes.

use std::sync::Arc;

use lb_host::config::model::{self, RawValue};
use lb_host::policy::{Amendment, HeaderEdit, Key, KeyEdit, Reply, Standing, built_ins};

use super::scene::{CLIENT, REPLY, START, Scene, backend, built_in, request, response, server, setting};

fn balanced(policy: &str, servers: Vec<model::Server>) -> Scene {
    let mut config = backend(0);
    config.servers = servers;
    config.balance = vec![built_in(policy)];
    Scene::built_in(config)
}

fn weighted(weights: &[u32]) -> Vec<model::Server> {
    weights.iter().enumerate().map(|(i, weight)| server(&format!("s{i}"), *weight)).collect()
}

#[test]
fn roundrobin_alternates_exactly_over_workers() {
    let scene = balanced("roundrobin", weighted(&[1, 1, 1]));
    let (mut a, mut b) = (scene.worker(), scene.worker());
    let picks: Vec<_> =
        (0..4).flat_map(|_| [a.pick(&scene), b.pick(&scene), b.pick(&scene)]).flatten().collect();
    assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    scene.backend.server_changed(1, false);
    let picks: Vec<_> = (0..3).flat_map(|_| [a.pick(&scene), b.pick(&scene)]).flatten().collect();
    assert_eq!(picks, [0, 2, 0, 2, 0, 2]);
    assert_eq!(scene.metrics().faults(), 0);
}

#[test]
fn roundrobin_gives_each_server_its_weight() {
    let scene = balanced("roundrobin", weighted(&[3, 1, 0]));
    let mut worker = scene.worker();
    let picks = worker.picks(&scene, 40);
    assert_eq!(picks.iter().filter(|server| **server == 0).count(), 30);
    assert!(picks.windows(4).all(|window| window.contains(&1)), "smoothly: {picks:?}");
}

#[test]
fn leastconn_takes_the_least_loaded_by_weight_and_ties_in_turn() {
    for servers in [2usize, 16, 130, 1000] {
        let scene = balanced("leastconn", weighted(&vec![1; servers]));
        let mut worker = scene.worker();
        for server in 0..servers {
            scene.load(server, 5);
        }
        scene.load(servers - 1, 4);
        assert_eq!(worker.picks(&scene, 2), [servers as u32 - 1; 2]);
        scene.load(0, 4);
        let mut picks = worker.picks(&scene, 2);
        picks.sort_unstable();
        assert_eq!(picks, [0, servers as u32 - 1], "{servers} servers");
    }
    let scene = balanced("leastconn", weighted(&[1, 3]));
    scene.load(0, 1);
    scene.load(1, 4);
    assert_eq!(scene.worker().pick(&scene), Some(1), "5/3 is less than 2/1");
    scene.load(1, 6);
    assert_eq!(scene.worker().pick(&scene), Some(0), "and 7/3 is more");
}

#[test]
fn source_keeps_a_client_on_its_server() {
    let scene = balanced("source", weighted(&[1; 8]));
    let (mut a, mut b) = (scene.worker(), scene.worker());
    let home = a.pick(&scene);
    assert!((0..10).all(|_| a.pick(&scene) == home && b.pick(&scene) == home));
    let clients = (0..200u8).map(|i| std::net::IpAddr::from([10, 0, 0, i]));
    let servers: std::collections::HashSet<_> =
        clients.map(|client| a.balancer.pick(&a.request, client, START, None)).collect();
    assert_eq!(servers.len(), 8, "clients spread over all servers");
    let mapped = std::net::IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0207]);
    assert_eq!(a.balancer.pick(&a.request, mapped, START, None), home, "the same client by IPv6");
}

fn cookie(extra: &[(&str, RawValue)]) -> Scene {
    let mut config = backend(2);
    config.balance = vec![built_in("roundrobin")];
    let mut spec = built_in("cookie");
    spec.settings = vec![setting("name", RawValue::Text("SERVER".into()), 10)];
    let flags = ["insert", "indirect", "nocache"].map(|name| (name, RawValue::Boolean(true)));
    let extra = extra.iter().cloned();
    spec.settings.extend(flags.into_iter().chain(extra).map(|(name, value)| setting(name, value, 20)));
    config.persistence = Some(spec);
    Scene::built_in(config)
}

fn lines(amendment: &Arc<Amendment>) -> Vec<(&str, &str)> {
    let lines = amendment.headers.iter().map(|edit| match edit {
        HeaderEdit::Append { name, value } => (&**name, &**value),
        other => panic!("{other:?}"),
    });
    lines.collect()
}

#[test]
fn cookie_inserts_where_the_client_has_none_and_recalls_where_it_has() {
    let scene = cookie(&[]);
    let mut persistence = scene.persistence();
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(**persistence.key(), Key::Cookie("SERVER".into()));
    let set = persistence.respond(&request, &response(), Reply { server: 1, ..REPLY });
    assert_eq!(lines(&set), [("set-cookie", "SERVER=s1; path=/"), ("cache-control", "private")]);
    let plain = persistence.respond(&request, &response(), Reply { cacheable: false, ..REPLY });
    assert_eq!(lines(&plain), [("set-cookie", "SERVER=s0; path=/")]);

    let affinity = persistence.recall(&request, b"s1", CLIENT, START);
    assert_eq!((affinity.server, affinity.standing), (Some(1), Standing::Valid));
    assert_eq!(affinity.key, KeyEdit::Remove, "indirect: the server does not see it");
    let unchanged = Reply { server: 1, standing: affinity.standing, note: affinity.note, ..REPLY };
    assert_eq!(lines(&persistence.respond(&request, &response(), unchanged)), []);

    assert_eq!(persistence.recall(&request, b"nonsense", CLIENT, START).standing, Standing::Unknown);
    scene.backend.server_changed(1, false);
    let affinity = persistence.recall(&request, b"s1", CLIENT, START);
    assert_eq!((affinity.server, affinity.standing), (None, Standing::Down));
}

#[test]
fn whom_a_cookie_names_is_asked_for_once_as_long_as_no_server_changes() {
    let scene = cookie(&[]);
    let (mut one, mut other) = (scene.persistence(), scene.persistence());
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let asked = |times: u64| {
        let metrics = scene.policies.metrics(START).remove(1);
        assert_eq!((metrics.decisions, metrics.reused), (times, 100));
    };
    for time in START..START + 51 {
        for value in [b"s0", b"s1"] {
            assert_eq!(one.recall(&request, value, CLIENT, time).standing, Standing::Valid);
        }
    }
    asked(2);
    assert_eq!(other.recall(&request, b"s1", CLIENT, START).server, Some(1), "each worker asks for itself");
    asked(3);
    scene.backend.server_changed(0, false);
    assert_eq!(one.recall(&request, b"s0", CLIENT, START).standing, Standing::Down);
    assert_eq!(one.recall(&request, b"s1", CLIENT, START).standing, Standing::Valid);
    scene.backend.server_changed(0, true);
    assert_eq!(one.recall(&request, b"s0", CLIENT, START).standing, Standing::Valid);
    asked(6);
}

#[test]
fn what_a_dated_cookie_is_worth_is_asked_each_time() {
    let scene = cookie(&[("maxidle", RawValue::Text("10s".into()))]);
    let mut persistence = scene.persistence();
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let set = persistence.respond(&request, &response(), REPLY);
    let value =
        lines(&set)[0].1.strip_prefix("SERVER=").and_then(|rest| rest.split(';').next()).expect("a value");
    let standing = |time| persistence.recall(&request, value.as_bytes(), CLIENT, time).standing;
    assert_eq!(
        [START, START + 5_000, START + 20_000].map(standing),
        [Standing::Valid, Standing::Valid, Standing::Expired]
    );
}

#[test]
fn cookie_answers_alike_are_asked_for_once() {
    let scene = cookie(&[]);
    let mut persistence = scene.persistence();
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    for i in 0..100 {
        persistence.respond(
            &request,
            &response(),
            Reply { server: i % 2, time_ms: START + u64::from(i), ..REPLY },
        );
    }
    let metrics = scene.policies.metrics(START).remove(1);
    assert_eq!((metrics.decisions, metrics.reused), (2, 98));
}

#[test]
fn cookie_refuses_what_contradicts_itself() {
    let mut config = backend(2);
    let mut spec = built_in("cookie");
    spec.settings = vec![
        setting("name", RawValue::Text("SERVER".into()), 10),
        setting("insert", RawValue::Boolean(true), 20),
        setting("rewrite", RawValue::Boolean(true), 30),
    ];
    config.persistence = Some(spec.clone());
    let problems = super::scene::runtime().prove(&config).err().expect("a refusal");
    assert_eq!(problems[0].span, 31..32, "{problems:?}");
    spec.settings.remove(0);
    config.persistence = Some(spec);
    let problems = super::scene::runtime().prove(&config).err().expect("a problem");
    assert_eq!(problems[0].message, "the policy cookie needs the setting `name`");
}

#[test]
fn each_built_in_describes_itself_and_imports_no_wasi() {
    let runtime = super::scene::runtime();
    for name in built_ins() {
        let policy = runtime.load(&model::PolicySource::BuiltIn(name.into())).expect(name);
        assert_eq!(policy.description().name, name);
        assert!(
            policy.imports().iter().all(|import| import.starts_with("lb:policy/")),
            "{:?}",
            policy.imports()
        );
    }
}
