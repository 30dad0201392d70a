//! What the built-in policies choose by their settings, as the components that they are: alone, and in lists.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lb_host::config::model::{self, Instances, PolicySpec, RawValue};
use lb_host::policy::{HeaderEdit, Outcome, Reply, Standing, Verdict};

use super::scene::{
    CLIENT, REPLY, START, Scene, Worker, backend, built_in, request, response, runtime, setting,
};

fn text(value: &str) -> RawValue {
    RawValue::Text(value.into())
}

/// A built-in policy with settings; their names stand at 10, 12 …
fn with(name: &str, settings: &[(&str, RawValue)]) -> PolicySpec {
    let settings = settings.iter().zip((10..).step_by(2));
    let settings = settings.map(|((name, value), at)| setting(name, value.clone(), at)).collect();
    PolicySpec { settings, ..built_in(name) }
}

fn balanced(servers: usize, policies: Vec<PolicySpec>) -> Scene {
    Scene::built_in(model::Backend { balance: policies, ..backend(servers) })
}

fn persisted(servers: usize, policy: PolicySpec) -> Scene {
    Scene::built_in(model::Backend { persistence: Some(policy), ..backend(servers) })
}

/// Asks a worker about a request with these lines.
fn ask(scene: &Scene, worker: &mut Worker, target: &str, lines: &str) -> Option<u32> {
    let head = request(&format!("GET {target} HTTP/1.1\r\nhost: x\r\n{lines}\r\n"));
    worker.balancer.pick(&head, CLIENT, scene.time_ms, None)
}

#[test]
fn each_built_in_balancer_picks_and_a_retry_goes_elsewhere() {
    for (name, settings) in [
        ("roundrobin", &[][..]),
        ("leastconn", &[]),
        ("source", &[]),
        ("random", &[]),
        ("weighted-random", &[]),
        ("first", &[("maxconn", RawValue::Integer(1_000))]),
        ("hash", &[]),
        ("hash", &[("key", text("client")), ("type", text("map-based"))]),
        ("hash", &[("balance_factor", RawValue::Integer(150))]),
        ("maglev", &[]),
        ("least-time", &[]),
        ("peak-ewma", &[]),
    ] {
        let scene = balanced(3, vec![with(name, settings)]);
        let mut worker = scene.worker();
        for _ in 0..20 {
            let server = worker.pick(&scene).expect("a server");
            let next = worker.balancer.pick(&worker.request, CLIENT, START, Some(server));
            assert!(next.is_some_and(|next| next < 3 && next != server), "{name}: {next:?} after {server}");
        }
        for server in 0..2 {
            scene.backend.server_changed(server, false);
            assert!(worker.pick(&scene) > Some(server as u32), "{name}");
        }
        assert_eq!(scene.metrics().faults(), 0, "{name}");
        assert!(scene.metrics().decisions >= 40, "{name}");
    }
}

#[test]
fn hash_goes_by_its_key_on_every_worker() {
    for policy in ["hash", "maglev"] {
        for (kind, lines, target) in [
            ("header", "id: 7\r\n", "/"),
            ("cookie", "cookie: a=b; id=7\r\n", "/"),
            ("query", "", "/?a=b&id=7"),
        ] {
            let keyed = with(policy, &[("key", text(kind)), ("name", text("id"))]);
            let scene = balanced(16, vec![keyed]);
            let (mut one, mut other) = (scene.worker(), scene.worker());
            let home = ask(&scene, &mut one, target, lines);
            for _ in 0..5 {
                assert_eq!(ask(&scene, &mut other, target, lines), home, "{policy} by {kind}");
            }
            let turns: BTreeSet<_> = (0..16).map(|_| ask(&scene, &mut one, "/", "")).collect();
            assert_eq!(turns.len(), 16, "{policy} by {kind} passes, and the host takes turns");
        }
    }
}

#[test]
fn a_list_falls_through_to_the_next_policy() {
    let keyed = with("hash", &[("key", text("header")), ("name", text("x-user"))]);
    let scene = balanced(4, vec![keyed, built_in("leastconn")]);
    let mut worker = scene.worker();
    (0..3).for_each(|server| scene.load(server, 9));
    let homes: BTreeSet<_> =
        (0..50).map(|user| ask(&scene, &mut worker, "/", &format!("x-user: {user}\r\n"))).collect();
    assert_eq!(homes.len(), 4, "the hash does not look at loads");
    assert!((0..5).all(|_| ask(&scene, &mut worker, "/", "") == Some(3)), "leastconn does");
    let decided: Vec<_> = scene.policies.metrics(START).iter().map(|metrics| metrics.decisions).collect();
    assert_eq!(decided, [50, 5]);
}

#[test]
fn names_alone_make_a_list_too() {
    let scene = balanced(2, vec![built_in("hash"), built_in("leastconn")]);
    let mut worker = scene.worker();
    let home = ask(&scene, &mut worker, "/cart", "");
    assert!((0..5).all(|_| ask(&scene, &mut worker, "/cart", "") == home));
}

#[test]
fn first_fills_one_server_after_the_other_and_passes_when_all_are_full() {
    let first = with("first", &[("maxconn", RawValue::Integer(2))]);
    let scene = balanced(3, vec![first, built_in("leastconn")]);
    let mut worker = scene.worker();
    for (loads, pick) in [([0, 0, 0], 0), ([1, 0, 0], 0), ([2, 0, 0], 1), ([2, 2, 0], 2), ([3, 2, 3], 1)] {
        (0..).zip(loads).for_each(|(server, load)| scene.load(server, load));
        assert_eq!(worker.pick(&scene), Some(pick), "{loads:?}");
    }
}

#[test]
fn random_takes_the_less_loaded_of_its_draws() {
    let scene = balanced(2, vec![built_in("random")]);
    scene.load(0, 5);
    scene.load(1, 1);
    assert_eq!(scene.worker().picks(&scene, 20), [1; 20]);
    let scene = balanced(2, vec![with("random", &[("draws", RawValue::Integer(1))])]);
    scene.load(0, 5);
    let picks: BTreeSet<_> = scene.worker().picks(&scene, 100).into_iter().collect();
    assert_eq!(picks.len(), 2);
}

#[test]
fn policies_that_learn_leave_a_slow_server() {
    for name in ["least-time", "peak-ewma"] {
        let scene = balanced(2, vec![built_in(name)]);
        let mut worker = scene.worker();
        assert!(worker.balancer.wants_feedback());
        for (server, latency_us) in [(0, 90_000), (1, 1_000), (0, 80_000), (1, 1_200)] {
            let verdict = Verdict::Answered;
            let (status, connect_us, bytes, time_ms) = (200, 0, 0, START);
            let outcome = Outcome { server, verdict, status, connect_us, latency_us, bytes, time_ms };
            worker.balancer.observe(&outcome);
        }
        assert_eq!(worker.picks(&scene, 20), [1; 20], "{name}");
        scene.load(1, 200);
        assert_eq!(worker.picks(&scene, 20), [0; 20], "{name}");
    }
}

#[test]
fn the_random_ones_spread_clients_by_weight() {
    for name in ["random", "weighted-random"] {
        let mut config = backend(2);
        config.servers[0].weight = 3;
        let scene = Scene::built_in(model::Backend { balance: vec![built_in(name)], ..config });
        let picks = scene.worker().picks(&scene, 4_000);
        let share = picks.iter().filter(|server| **server == 0).count();
        assert!((2_800..3_200).contains(&share), "{name}: {share}");
    }
}

#[test]
fn header_binds_a_value_to_the_server_that_answered_it() {
    let spec = PolicySpec { instances: Instances::Shared, ..with("header", &[("name", text("x-session"))]) };
    let scene = persisted(3, spec);
    let (mut one, mut other) = (scene.persistence(), scene.persistence());
    let request = request("GET / HTTP/1.1\r\nhost: x\r\nx-session: 7\r\n\r\n");
    let unknown = one.recall(&request, b"7", CLIENT, START);
    assert_eq!((unknown.server, unknown.standing), (None, Standing::Unknown));
    let reply = Reply { server: 2, standing: unknown.standing, note: unknown.note, ..REPLY };
    assert!(one.respond(&request, &response(), reply).headers.is_empty());
    let known = other.recall(&request, b"7", CLIENT, START);
    assert_eq!((known.server, known.standing), (Some(2), Standing::Valid), "on another worker");
    let later = other.recall(&request, b"7", CLIENT, START + 1_801_000);
    assert_eq!(later.server, None, "after half an hour without it");
}

#[test]
fn hash_cookie_sets_a_value_that_it_knows_again() {
    let secret = text("a secret of the tests, long enough");
    let scene = persisted(2, with("hash-cookie", &[("name", text("id")), ("secret", secret)]));
    let mut persistence = scene.persistence();
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let amendment = persistence.respond(&request, &response(), Reply { server: 1, ..REPLY });
    let [HeaderEdit::Append { value, .. }] = &amendment.headers[..] else { panic!("{amendment:?}") };
    let token = value.strip_prefix("id=").and_then(|rest| rest.strip_suffix("; path=/")).expect("a cookie");
    assert!(token.len() == 32 && !token.contains("s1"), "{token}");
    let affinity = persistence.recall(&request, token.as_bytes(), CLIENT, START);
    assert_eq!((affinity.server, affinity.standing), (Some(1), Standing::Valid));
    let made_up = persistence.recall(&request, &[b'0'; 32], CLIENT, START);
    assert_eq!((made_up.server, made_up.standing), (None, Standing::Unknown));
}

#[test]
fn what_a_policy_refuses_is_pointed_at_in_a_list() {
    let wrong = [
        with("hash", &[("key", text("header"))]),
        with("random", &[("draws", RawValue::Integer(0))]),
        with("maglev", &[("table_size", RawValue::Integer(65_536))]),
        with("first", &[]),
        with("hash", &[("key", text("path"))]),
        with("hash", &[("deepth", RawValue::Integer(2))]),
    ];
    let config = model::Backend { balance: wrong.into(), ..backend(2) };
    let problems = runtime().prove(&config).err().expect("problems");
    let said: Vec<_> =
        problems.iter().map(|problem| (problem.span.clone(), problem.message.as_str())).collect();
    let expected = [
        (11..12, "needs its `name`"),
        (11..12, "1 to 16"),
        (11..12, "a prime"),
        (0..1, "server s0"),
        (11..12, "path"),
        (10..11, "no setting `deepth`"),
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for ((span, message), (where_, part)) in said.iter().zip(&expected) {
        assert!(span == where_ && message.contains(part), "{message} at {span:?}, not {part} at {where_:?}");
    }
}

#[test]
fn short_secrets_are_refused_without_being_said() {
    let spec = with("hash-cookie", &[("name", text("id")), ("secret", text("hunter2"))]);
    let problems = runtime().prove(&model::Backend { persistence: Some(spec), ..backend(2) }).err();
    let problems = problems.expect("a refusal");
    assert_eq!(problems[0].span, 13..14);
    assert!(!problems[0].message.contains("hunter2"), "{}", problems[0].message);
}

#[test]
fn clients_of_both_families_have_homes() {
    let scene = balanced(4, vec![with("hash", &[("key", text("client"))])]);
    let mut worker = scene.worker();
    let clients = (0..100)
        .flat_map(|i| [IpAddr::from([192, 0, 2, i]), IpAddr::from([0x2001, 0, 0, 0, 0, 0, 0, i.into()])]);
    let homes: BTreeSet<_> =
        clients.map(|client| worker.balancer.pick(&worker.request, client, START, None)).collect();
    assert_eq!(homes.len(), 4);
}
