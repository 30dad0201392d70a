//! What is counted of connections that are refused, TLS, limits, sources of servers and the time of policies' calls.

use super::kit::{Authority, Directory, client, get, origin, until};
use super::metrics::{Samples, admin, ask, finished, watched};

/// Waits until a metric has this value.
#[track_caller]
fn becomes(proxy: &super::kit::Proxy, name: &str, value: f64) -> Samples {
    until(&format!("{name} is {value}"), || {
        let samples = Samples::of(proxy);
        (samples.value(name) == value).then_some(samples)
    })
}

#[test]
fn limits_count_what_passes_and_what_is_over_them() {
    let a = origin("a").start();
    let limits = "limits = [{ name = \"few\", requests = 2, per = \"1h\", key = \"header:x-key\" }, \
                  { name = \"tries\", requests = 1, per = \"1h\", dry_run = true, max_keys = 64 }]";
    let backend = "limits = [{ name = \"post\", requests = 5, when = { method = \"POST\" } }]";
    let setup = watched().frontend(limits).backend(backend).server(&a);
    let mut proxy = setup.start();
    let mut client = client(proxy.address());
    for (key, status) in [("one", 200), ("one", 200), ("one", 429), ("two", 200)] {
        assert_eq!(client.get_with("/", &[("x-key", key)]).status(), status);
    }
    let name = |metric: &str, limit: &str| {
        let (section, proxy) = if limit == "post" { ("backend", "app") } else { ("frontend", "web") };
        format!("lb_limit_{metric}{{section=\"{section}\",proxy=\"{proxy}\",limit=\"{limit}\"}}")
    };
    let expected = [
        (name("passed_total", "few"), 3.0),
        (name("refused_total", "few"), 1.0),
        (name("dry_run_refused_total", "few"), 0.0),
        (name("keys", "few"), 2.0),
        (name("max_keys", "few"), 100_000.0),
        (name("passed_total", "tries"), 1.0),
        (name("refused_total", "tries"), 0.0),
        (name("dry_run_refused_total", "tries"), 2.0),
        (name("keys", "tries"), 1.0),
        (name("max_keys", "tries"), 64.0),
        (name("passed_total", "post"), 0.0),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let samples = finished(&proxy, 4.0);
    samples.expect(&expected);
    samples.expect(&[("lb_frontend_requests_denied_total{frontend=\"web\"}", 1.0)]);
    proxy.reload(&setup.backend("retries = 1"));
    Samples::of(&proxy).expect(&expected);
    let json: serde_json::Value =
        serde_json::from_slice(&ask(&admin(&proxy), "/status.json", "").body).expect("JSON");
    assert_eq!(json["limits"][0]["refused"], 1);
    assert_eq!(json["limits"][1]["dry_run_refused"], 2);
}

#[test]
fn handshakes_and_connections_that_are_closed_unread_are_counted() {
    let (authority, a) = (Authority::new(), origin("a").start());
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    let bind = "{ address = \"127.0.0.1:0\", tls = { crt = \"site.pem\" } }";
    let setup = watched().global("nbthread = 1").only_bind(bind).server(&a);
    let mut proxy = setup.start_in(directory);
    let clients = authority.clients();
    for _ in 0..2 {
        let mut client = clients.connect(proxy.address(), "a.example");
        assert_eq!(client.get("/").status(), 200);
    }
    let mut nonsense = client(proxy.address());
    nonsense.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let _ = nonsense.wire.read_to_end();
    let failed = "lb_frontend_tls_failed_handshakes_total{frontend=\"web\"}";
    becomes(&proxy, failed, 1.0).expect(&[
        ("lb_frontend_tls_handshakes_total{frontend=\"web\"}", 2.0),
        ("lb_frontend_tls_resumed_handshakes_total{frontend=\"web\"}", 1.0),
        ("lb_frontend_denied_connections_total{frontend=\"web\"}", 0.0),
    ]);
    // Who may not connect gets no handshake.
    proxy.reload(&setup.clone().frontend("deny = \"127.0.0.0/8\""));
    assert!(clients.try_connect(proxy.address(), "a.example").is_err());
    let denied = "lb_frontend_denied_connections_total{frontend=\"web\"}";
    becomes(&proxy, denied, 1.0).expect(&[(failed, 1.0)]);
    // A limit on connections counts the same.
    proxy.reload(&setup.frontend("limits = [{ connection_rate = 1, per = \"1h\" }]"));
    assert!(clients.try_connect(proxy.address(), "a.example").is_ok());
    assert!(clients.try_connect(proxy.address(), "a.example").is_err());
    becomes(&proxy, denied, 2.0);
}

#[test]
fn a_source_that_fails_shows_since_when_and_what_it_has_filled() {
    let a = origin("a").start();
    let directory = Directory::new();
    let server = format!("[[servers]]\naddress = \"{}\"\n", a.address());
    let other = "[[servers]]\naddress = \"127.0.0.2:1\"\n";
    directory.write("servers.toml", format!("{server}{other}"));
    let from = "servers = { from = \"file:servers.toml\", name = \"app\", max = 1 }";
    let proxy = watched().backend(from).start_in(directory);
    let name =
        |metric: &str| format!("lb_discovery_{metric}{{backend=\"app\",source=\"file:servers.toml\"}}");
    let samples = becomes(&proxy, &name("filled_slots"), 1.0);
    samples.expect(&[
        (&name("failing"), 0.0),
        (&name("slots"), 1.0),
        (&name("left_over_servers"), 1.0),
        (&name("answers_total"), 1.0),
        (&name("failures_total"), 0.0),
    ]);
    assert!(samples.value(&name("last_answer_timestamp_seconds")) > 1.6e9);
    assert!(!samples.has(&name("failing_since_timestamp_seconds")));
    proxy.directory.write("servers.toml", "no table");
    let samples = becomes(&proxy, &name("failing"), 1.0);
    assert!(samples.value(&name("failing_since_timestamp_seconds")) > 1.6e9);
    assert!(samples.value(&name("failures_total")) >= 1.0);
    samples.expect(&[(&name("filled_slots"), 1.0)]);
    let json: serde_json::Value =
        serde_json::from_slice(&ask(&admin(&proxy), "/status.json", "").body).expect("JSON");
    let source = &json["discoveries"][0];
    assert_eq!((source["backend"].as_str(), source["left_over"].as_u64()), (Some("app"), Some(1)));
    assert!(source["failing_since_ms"].is_u64() && source["why"].is_string(), "{source}");
    assert_eq!(get(proxy.address(), "/").text(), "a");
    proxy.directory.write("servers.toml", server);
    becomes(&proxy, &name("failing"), 0.0).expect(&[(&name("left_over_servers"), 0.0)]);
}

#[test]
fn a_slot_without_a_server_is_no_server_that_is_down() {
    let a = origin("a").start();
    let directory = Directory::new();
    directory.write("servers.toml", format!("[[servers]]\naddress = \"{}\"\n", a.address()));
    let from = "servers = { from = \"file:servers.toml\", name = \"app\", max = 2 }";
    let proxy = watched().backend(from).start_in(directory);
    let name = |server: &str, state: &str| {
        format!("lb_server_status{{backend=\"app\",server=\"{server}\",state=\"{state}\"}}")
    };
    becomes(&proxy, &name("app1", "UP"), 1.0)
        .expect(&[(&name("app2", "MAINT"), 1.0), (&name("app2", "DOWN"), 0.0)]);
    let json: serde_json::Value =
        serde_json::from_slice(&ask(&admin(&proxy), "/status.json", "").body).expect("JSON");
    assert_eq!(json["backends"][0]["servers"][1]["state"], "MAINT");
}

#[test]
fn one_call_of_a_policy_in_sixty_four_is_timed() {
    let a = origin("a").start();
    let proxy = watched().global("nbthread = 1").server(&a).start();
    let mut client = client(proxy.address());
    (0..160).for_each(|_| assert_eq!(client.get("/").status(), 200));
    let labels = "backend=\"app\",role=\"balance\",position=\"0\",policy=\"roundrobin\"";
    let samples = finished(&proxy, 160.0);
    let timed = samples.value(&format!("lb_policy_call_time_seconds_count{{{labels}}}"));
    // Not each pick need be a call.
    assert!((1.0..=3.0).contains(&timed), "{timed}");
    assert!(samples.value(&format!("lb_policy_call_time_seconds_sum{{{labels}}}")) > 0.0);
    let all = format!("lb_policy_call_time_seconds_bucket{{le=\"+Inf\",{labels}}}");
    assert_eq!(samples.value(&all), timed);
}
