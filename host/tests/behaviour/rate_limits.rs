//! Limits on requests and connections, for each client or whatever tells them apart.

use super::kit::{Client, LogLine, client, get, origin, proxy, run, until};

/// The statuses of so many requests on one connection.
fn statuses(client: &mut Client, count: usize, headers: &[(&str, &str)]) -> Vec<u16> {
    (0..count).map(|_| client.get_with("/", headers).status()).collect()
}

#[test]
fn a_client_over_the_limit_is_told_when_to_come_back_and_keeps_its_connection() {
    let a = origin("a").start();
    let limits = "limits = [{ name = \"slow\", requests = 3, per = \"1h\" }]";
    let proxy = proxy().frontend(limits).server(&a).start();
    let mut client = client(proxy.address());
    assert_eq!(statuses(&mut client, 3, &[]), [200; 3]);
    let refused = client.get("/over");
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a number");
    assert!((1..=1200).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"slow\";q=3;w=3600"));
    assert_eq!(refused.header("ratelimit"), Some(format!("\"slow\";r=0;t={wait}").as_str()));
    assert!(refused.text().contains("429 Too Many Requests"));
    client.ask("HEAD", "/head", &[]);
    assert_eq!(client.response_to("HEAD").status(), 429);
    assert_eq!(get(proxy.address(), "/again").status(), 429, "another connection of the same client");
    assert_eq!(a.requests().len(), 3);
    let LogLine { state, server, .. } = proxy.exchange("/over");
    assert_eq!((state.as_str(), server.as_str()), ("PR--", "web/<NOSRV>"));
    proxy.log.wait("limit slow of frontend web: 1 requests over it were refused");
}

#[test]
fn keys_are_counted_apart_and_what_has_none_passes() {
    let a = origin("a").start();
    let limits = "limits = [{ key = \"header:x-key\", requests = 2, per = \"1h\", status = 503 }]";
    let proxy = proxy().backend(limits).server(&a).start();
    let mut client = client(proxy.address());
    assert_eq!(statuses(&mut client, 3, &[("X-Key", "one")]), [200, 200, 503]);
    assert_eq!(statuses(&mut client, 3, &[("x-key", "two")]), [200, 200, 503]);
    assert_eq!(statuses(&mut client, 5, &[]), [200; 5]);
    assert_eq!(client.get_with("/x", &[("x-key", "one")]).status(), 503);
    assert_eq!(proxy.exchange("/x").server, "app/<NOSRV>");
}

#[test]
fn a_limit_may_count_some_requests_only() {
    let a = origin("a").start();
    let login =
        "{ name = \"login\", requests = 2, per = \"1h\", when = { path = \"/login\", method = \"POST\" } }";
    let port = "{ name = \"port\", requests = 1, per = \"1h\", when = { port = 1, tls = false } }";
    let outside = "{ name = \"list\", requests = 1, per = \"1h\", when = { from_file = \"some.txt\" } }";
    let directory = super::kit::Directory::new();
    directory.write("some.txt", "192.0.2.0/24\n");
    let setup = proxy().frontend(&format!("limits = [{login}, {port}, {outside}]")).server(&a);
    let mut proxy = setup.start_in(directory);
    let mut one = client(proxy.address());
    let login = |client: &mut Client, method: &str| {
        client.ask(method, "/login", &[]);
        client.response().status()
    };
    assert_eq!([(); 4].map(|()| login(&mut one, "GET")), [200; 4]);
    assert_eq!([(); 3].map(|()| login(&mut one, "POST")), [200, 200, 429]);
    assert_eq!((login(&mut one, "GET"), one.get("/").status()), (200, 200));
    // The list has others in it now; what was counted before still counts.
    proxy.directory.write("some.txt", "127.0.0.0/8\n");
    proxy.reload(&setup);
    let mut one = client(proxy.address());
    assert_eq!((login(&mut one, "GET"), login(&mut one, "GET"), login(&mut one, "POST")), (200, 429, 429));
}

#[test]
fn who_passes_may_be_told_what_is_left() {
    let a = origin("a").start();
    let limits = "limits = [{ requests = 60, per = \"1m\", burst = 2, headers = true, key = \"all\" }]";
    let proxy = proxy().frontend(limits).server(&a).start();
    let first = get(proxy.address(), "/");
    assert_eq!(first.header("ratelimit-policy"), Some("\"limit-1\";q=60;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"limit-1\";r=1;t=1"));
}

#[test]
fn a_dry_run_only_says_what_it_would_do() {
    let a = origin("a").start();
    let limits =
        "limits = [{ requests = 1, per = \"1h\", dry_run = true }, { connections = 1, dry_run = true }]";
    let proxy = proxy().frontend(limits).server(&a).start();
    let mut one = client(proxy.address());
    assert_eq!(statuses(&mut one, 3, &[]), [200; 3]);
    assert_eq!(get(proxy.address(), "/").status(), 200);
    proxy.log.wait("limit limit-1 of frontend web: 1 requests over it would have been refused");
    proxy.log.wait("limit limit-2 of frontend web: 1 connections over it would have been refused");
}

#[test]
fn a_limit_outlives_a_reload_that_leaves_it_as_it_is() {
    let a = origin("a").start();
    let with = |limit: &str| proxy().frontend(&format!("limits = [{limit}]")).server(&a);
    let setup = with("{ requests = 2, per = \"1h\" }");
    let mut proxy = setup.start();
    let mut client = client(proxy.address());
    assert_eq!(statuses(&mut client, 3, &[]), [200, 200, 429]);
    proxy.reload(&setup.frontend("httplog = true"));
    assert_eq!(get(proxy.address(), "/").status(), 429);
    proxy.reload(&with("{ requests = 3, per = \"1h\" }"));
    assert_eq!(get(proxy.address(), "/").status(), 200, "another limit begins anew");
}

#[test]
fn too_many_connections_of_a_client_are_closed_unread() {
    let a = origin("a").start();
    let proxy = proxy().frontend("limits = [{ connections = 2 }]").server(&a).start();
    let mut held: Vec<Client> = (0..2).map(|_| client(proxy.address())).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.get("/").status(), 200));
    client(proxy.address()).expect_end();
    held.pop();
    until("the place is free again", || {
        let mut next = client(proxy.address());
        // It may be closed before it is written to.
        let _ = next.wire.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        next.wire.head().ok().flatten()
    });
    assert_eq!(held[0].get("/").status(), 200, "who is in stays in");
}

#[test]
fn a_client_that_connects_too_often_is_closed_unread() {
    let a = origin("a").start();
    let limits = "limits = [{ connection_rate = 3, per = \"1h\" }]";
    let proxy = proxy().frontend(limits).server(&a).start();
    (0..3).for_each(|_| assert_eq!(get(proxy.address(), "/").status(), 200));
    client(proxy.address()).expect_end();
    proxy.log.wait("limit limit-1 of frontend web: 1 connections over it were refused");
}

/// Many connections that never bring a request: they cannot take more than their share, and not for ever.
#[test]
fn a_slow_loris_gets_a_few_places_for_a_while() {
    let a = origin("a").start();
    let proxy = proxy()
        .global("nbthread = 1")
        .timeout("http_request", "2s")
        .frontend("limits = [{ connections = 3 }]")
        .server(&a)
        .start();
    let mut slow: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = client(proxy.address());
            client.send("GET / HTTP/1.1\r\nhost: te");
            client
        })
        .collect();
    // One worker lets them in as they come.
    (0..10).for_each(|_| client(proxy.address()).expect_end());
    for client in &mut slow {
        assert_eq!(client.response().status(), 408);
        client.expect_end();
    }
    until("their places are free again", || {
        let mut next = client(proxy.address());
        let _ = next.wire.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        next.wire.head().ok().flatten().filter(|answer| answer.status() == 200)
    });
}

#[test]
fn check_says_what_is_limited() {
    let directory = super::kit::Directory::new();
    let text = proxy()
        .frontend("limits = [{ name = \"per-client\", requests = 100, per = \"10s\", burst = 20 }, { connections = 5 }]")
        .backend("limits = [{ key = [\"path\", \"cookie:id\"], requests = 1, dry_run = true }]")
        .server_at("a", "127.0.0.1:8001", "")
        .text();
    let config = directory.write("lb.toml", text);
    let (code, said, errors) = run(&["check", config.to_str().expect("text")]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for part in [
        "limit per-client: 100 requests per 10s, 20 at once, by client (/32, /64), else 429",
        "limit limit-2: 5 connections, by client (/32, /64), else closed",
        "limit limit-1: 1 requests per 1s, 1 at once, by path and cookie id, only logged",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
