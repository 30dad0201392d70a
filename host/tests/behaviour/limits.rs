//! Bounds on connections: who comes too many waits, and nobody is turned away.

use super::kit::{Client, Gate, Proxy, Setup, client, origin, proxy, until};

const CLIENTS: usize = 12;

/// `CLIENTS` come at once where only some may be in, and all are served.
fn all_are_served(setup: impl FnOnce(Setup) -> Setup, bound: usize) {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let proxy = setup(proxy()).server(&a).start();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|turn| {
            // Some come in by another door, where there is one.
            let mut client = client(&proxy.addresses[turn % proxy.addresses.len()]);
            client.ask("GET", "/slow", &[("connection", "close")]);
            client
        })
        .collect();
    a.wait_for_requests(bound);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "a");
        client.expect_end();
    }
    let most = proxy_lines(&proxy).into_iter().max().expect("lines");
    assert!(most <= bound, "{most} at once");
}

/// The connections of the process, or of the frontend where that has fewer, at each line.
fn proxy_lines(proxy: &Proxy) -> Vec<usize> {
    until("all are logged", || (proxy.exchanges().len() == CLIENTS).then_some(()));
    let counts = proxy.exchanges().into_iter().map(|exchange| exchange.counts);
    counts.map(|counts| counts[0]).collect()
}

#[test]
fn past_maxconn_of_the_process_accepting_pauses_and_drops_nobody() {
    all_are_served(|setup| setup.global("maxconn = 3"), 3);
}

#[test]
fn past_maxconn_of_a_frontend_accepting_pauses_and_drops_nobody() {
    all_are_served(|setup| setup.frontend("maxconn = 3").bind("127.0.0.2:0"), 3);
}

#[test]
fn past_maxconn_of_a_listener_accepting_pauses_and_drops_nobody() {
    all_are_served(|setup| setup.only_bind("{ address = \"127.0.0.1:0\", maxconn = 3 }"), 3);
}

#[test]
fn a_full_frontend_does_not_keep_clients_from_another() {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let other = "[frontends.zother]\nbind = \"127.0.0.2:0\"\ndefault_backend = \"app\"\n";
    let proxy = proxy().frontend("maxconn = 1").server(&a).more(other).start();
    let mut slow = client(&proxy.addresses[0]);
    slow.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    let mut waiting = client(&proxy.addresses[0]);
    waiting.ask("GET", "/", &[]);
    assert_eq!(client(&proxy.addresses[1]).get("/").text(), "a");
    assert_eq!(a.requests().len(), 2, "who waits is not in");
    gate.open();
    assert_eq!(slow.response().text(), "a");
    drop(slow);
    assert_eq!(waiting.response().text(), "a");
}

#[test]
fn past_maxconn_of_a_server_requests_wait_their_turn() {
    let gate = Gate::default();
    let a = origin("a").held("/slow", &gate).start();
    let proxy = proxy().server_with(&a, "maxconn = 2").start();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut client = client(proxy.address());
            client.ask("GET", "/slow", &[]);
            client
        })
        .collect();
    a.wait_for_requests(2);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "a");
    }
    until("all are logged", || (proxy.exchanges().len() == CLIENTS).then_some(()));
    assert!(proxy.exchanges().iter().all(|exchange| exchange.counts[3] <= 2));
}

#[test]
fn while_one_server_is_full_another_takes_its_requests() {
    let gate = Gate::default();
    let (a, b) = (origin("a").held("/slow", &gate).start(), origin("b").start());
    let proxy = proxy()
        .backend("balance = \"leastconn\"")
        .server_with(&a, "maxconn = 1\nweight = 256")
        .server_with(&b, "maxconn = 50")
        .start();
    let mut slow = client(proxy.address());
    while a.requests().is_empty() {
        slow = client(proxy.address());
        slow.ask("GET", "/slow", &[]);
        until("it is served", || (a.requests().len() + b.requests().len() > 0).then_some(()));
    }
    assert_eq!(client(proxy.address()).get("/").text(), "b");
    gate.open();
    assert_eq!(slow.response().text(), "a");
}
