//! Who serves a request, by each of the built-in policies that have settings.

use std::collections::BTreeSet;

use super::kit::{Gate, Origin, Proxy, Refusing, Setup, client, get, origin, proxy, until};

fn origins(names: &[&str]) -> Vec<Origin> {
    names.iter().map(|name| origin(name).start()).collect()
}

fn served_by(setup: Setup, origins: &[Origin]) -> Proxy {
    origins.iter().fold(setup, |setup, origin| setup.server(origin)).start()
}

/// Who serves a request with this header.
fn with(proxy: &Proxy, header: (&str, &str)) -> String {
    client(proxy.address()).get_with("/", &[header]).text()
}

#[test]
fn every_balancer_serves_requests_on_all_workers() {
    let origins = origins(&["a", "b", "c"]);
    for balance in [
        "\"random\"",
        "\"weighted-random\"",
        "{ policy = \"first\", maxconn = 1 }",
        "\"hash\"",
        "{ policy = \"hash\", key = \"client\", type = \"map-based\", balance_factor = 150 }",
        "\"maglev\"",
        "\"least-time\"",
        "{ policy = \"peak-ewma\", instances = \"shared\" }",
        "[\"hash\", \"leastconn\"]",
    ] {
        let proxy = served_by(proxy().backend(&format!("balance = {balance}")), &origins);
        for turn in 0..8 {
            let path = format!("/{turn}");
            assert_eq!(get(proxy.address(), &path).status(), 200, "{balance}");
            assert_eq!(proxy.exchange(&path).state, "----", "{balance}");
        }
        assert!(proxy.log.all().iter().all(|line| !line.contains("the host decides")), "{balance}");
    }
}

#[test]
fn a_list_hashes_where_the_header_is_and_goes_by_load_where_it_is_not() {
    let gate = Gate::default();
    let origins: Vec<Origin> = ["a", "b", "c"].map(|name| origin(name).held("/slow", &gate).start()).into();
    let list = "balance = [{ policy = \"hash\", key = \"header\", name = \"x-user\" }, \"leastconn\"]";
    let proxy = served_by(proxy().backend(list), &origins);
    let home = with(&proxy, ("x-user", "ada"));
    assert!((0..6).all(|_| with(&proxy, ("x-user", "ada")) == home), "a user has a home");
    let homes: BTreeSet<String> = (0..40).map(|user| with(&proxy, ("x-user", &user.to_string()))).collect();
    assert_eq!(homes.len(), 3, "and users have all");

    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[("x-user", "ada")]);
    until("ada's server is busy", || {
        let at_home = origins.iter().find(|origin| origin.name() == home)?;
        at_home.requests().iter().any(|request| request.target() == "/slow").then_some(())
    });
    for turn in 0..6 {
        let path = format!("/{turn}");
        assert_ne!(get(proxy.address(), &path).text(), home, "others go where less is to do");
        proxy.exchange(&path);
    }
    assert_eq!(with(&proxy, ("x-user", "ada")), home, "ada does not");
    gate.open();
    assert_eq!(slow.response().text(), home);
}

#[test]
fn users_of_a_server_that_leaves_move_and_no_others() {
    let mut origins = origins(&["a", "b", "c"]);
    let hashed = "balance = { policy = \"hash\", key = \"cookie\", name = \"user\" }";
    let proxy = served_by(proxy().checked().backend(hashed), &origins);
    let user = |number: usize| with(&proxy, ("cookie", &format!("x=y; user={number}")));
    let before: Vec<String> = (0..30).map(user).collect();
    assert!(before.contains(&"a".to_owned()) && before.contains(&"b".to_owned()));
    origins[0].kill();
    proxy.log.wait("server app/a is DOWN");
    let during: Vec<String> = (0..30).map(user).collect();
    for (before, during) in before.iter().zip(&during) {
        assert!(if before == "a" { during != "a" } else { during == before }, "{before} to {during}");
    }
    origins[0].bring_back();
    proxy.log.wait("server app/a is UP");
    assert_eq!((0..30).map(user).collect::<Vec<_>>(), before);
}

#[test]
fn first_leaves_a_server_only_when_it_is_full() {
    let gate = Gate::default();
    let origins: Vec<Origin> = ["a", "b"].map(|name| origin(name).held("/slow", &gate).start()).into();
    let proxy = served_by(proxy().backend("balance = { policy = \"first\", maxconn = 1 }"), &origins);
    for turn in 0..4 {
        let path = format!("/{turn}");
        assert_eq!(get(proxy.address(), &path).text(), "a");
        proxy.exchange(&path);
    }
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    until("the first is busy", || {
        origins[0].requests().iter().any(|it| it.target() == "/slow").then_some(())
    });
    assert_eq!(get(proxy.address(), "/over").text(), "b");
    gate.open();
    assert_eq!(slow.response().text(), "a");
}

#[test]
fn a_policy_that_learns_avoids_a_server_that_fails() {
    for policy in ["least-time", "peak-ewma"] {
        let gone = Refusing::new();
        let a = origin("a").start();
        let setup = proxy()
            .global("nbthread = 1")
            .backend(&format!("balance = \"{policy}\"\nretries = 1\nredispatch = true"));
        let proxy = setup.server_at("gone", &gone.address(), "").server(&a).start();
        for turn in 0..10 {
            let path = format!("/{turn}");
            assert_eq!(get(proxy.address(), &path).text(), "a", "{policy}: a retry saves it at most");
            proxy.exchange(&path);
        }
        let retried = proxy.exchanges().iter().filter(|exchange| exchange.retries != "0").count();
        assert!(retried <= 1, "{policy}: once it is known to fail nobody is sent there: {retried}");
    }
}

#[test]
fn a_session_in_a_header_stays_at_the_server_that_answered_it_first() {
    let origins = origins(&["a", "b", "c"]);
    let sticky = "persistence = { policy = \"header\", name = \"x-session\", instances = \"shared\" }";
    let proxy = served_by(proxy().backend(sticky), &origins);
    let homes: Vec<String> =
        (0..6).map(|session| with(&proxy, ("x-session", &session.to_string()))).collect();
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3, "the balancer takes turns for new ones");
    for _ in 0..3 {
        let again: Vec<String> =
            (0..6).map(|session| with(&proxy, ("x-session", &session.to_string()))).collect();
        assert_eq!(again, homes);
    }
}

#[test]
fn a_hashed_cookie_brings_a_client_back_and_stays_here() {
    let origins = origins(&["web-a", "web-b"]);
    let sticky = "persistence = { policy = \"hash-cookie\", name = \"ID\", secret = \"for tests: 32 bytes and some more\", httponly = true }";
    let proxy = served_by(proxy().backend(sticky), &origins);
    let first = get(proxy.address(), "/");
    let cookie = first.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.ends_with("; path=/; HttpOnly") && !cookie.contains("web"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    for _ in 0..6 {
        let answer = client(proxy.address()).get_with("/", &[("cookie", &format!("a=b; {pair}"))]);
        assert_eq!((answer.text(), answer.header("set-cookie")), (first.text(), None));
    }
    let seen: Vec<_> = origins.iter().flat_map(|origin| origin.requests()).collect();
    assert!(seen.iter().all(|request| request.all("cookie").iter().all(|line| *line == "a=b")));
}
