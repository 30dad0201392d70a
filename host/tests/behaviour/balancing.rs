//! Who serves a request.

use std::collections::BTreeSet;

use super::kit::{Gate, client, get, origin, proxy, until};

#[test]
fn requests_alternate_strictly_over_both_ports() {
    let (a, b) = (origin("web-a").start(), origin("web-b").start());
    let proxy = proxy().bind("127.0.0.2:0").server(&a).server(&b).start();
    let served = (0..10).map(|turn| get(&proxy.addresses[turn % 2], "/").text());
    let served: Vec<String> = served.collect();
    for pair in served.chunks(2) {
        assert_eq!(pair, ["web-a", "web-b"]);
    }
}

#[test]
fn weights_share_requests_smoothly() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().server_with(&a, "weight = 3").server(&b).start();
    let served: Vec<String> = (0..12).map(|_| get(proxy.address(), "/").text()).collect();
    for four in served.chunks(4) {
        assert_eq!(four.iter().filter(|name| *name == "a").count(), 3, "{served:?}");
    }
}

#[test]
fn a_server_of_weight_0_takes_only_those_who_are_bound_to_it() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy()
        .backend("cookie = { name = \"S\", insert = true }")
        .server_with(&a, "cookie = \"a\"\nweight = 0")
        .server_with(&b, "cookie = \"b\"")
        .start();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    assert_eq!(client(proxy.address()).get_with("/", &[("cookie", "S=a")]).text(), "a");
}

#[test]
fn leastconn_picks_the_server_with_the_fewest_requests() {
    let gate = Gate::default();
    let (a, b) = (origin("a").held("/slow", &gate).start(), origin("b").held("/slow", &gate).start());
    let proxy = proxy().backend("balance = \"leastconn\"").server(&a).server(&b).start();
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    let busy = until("one server is busy", || {
        [&a, &b]
            .into_iter()
            .find(|origin| !origin.requests().is_empty())
            .map(|origin| origin.name().to_owned())
    });
    for turn in 0..6 {
        let path = format!("/{turn}");
        assert_ne!(get(proxy.address(), &path).text(), busy);
        // Once it is logged its place is free; the client may know its answer a moment before.
        proxy.exchange(&path);
    }
    gate.open();
    assert_eq!(slow.response().text(), busy);
    proxy.exchange("/slow");
    let after: BTreeSet<String> = (0..6).map(|_| get(proxy.address(), "/").text()).collect();
    assert_eq!(after.len(), 2, "both serve again");
}

#[test]
fn source_keeps_a_client_at_its_server_over_connections_and_ports() {
    let origins: Vec<_> = ["a", "b", "c"].map(|name| origin(name).start()).into();
    let setup = proxy().bind("127.0.0.2:0").backend("balance = \"source\"");
    let proxy = origins.iter().fold(setup, |setup, origin| setup.server(origin)).start();
    let served: BTreeSet<String> = (0..12).map(|turn| get(&proxy.addresses[turn % 2], "/").text()).collect();
    assert_eq!(served.len(), 1, "{served:?}");
}

#[test]
fn a_backup_serves_only_while_nobody_else_can() {
    let (mut a, spare) = (origin("a").start(), origin("spare").start());
    let proxy = proxy().checked().server(&a).server_with(&spare, "backup = true").start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    a.kill();
    proxy.log.wait("server app/a is DOWN");
    assert_eq!(get(proxy.address(), "/").text(), "spare");
    a.bring_back();
    proxy.log.wait("server app/a is UP");
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn a_disabled_server_serves_nobody_and_is_not_checked() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().checked().server_with(&a, "disabled = true").server(&b).start();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    until("the other is checked", || (b.checks() >= 2).then_some(()));
    assert_eq!((a.checks(), a.requests().len()), (0, 0));
}
