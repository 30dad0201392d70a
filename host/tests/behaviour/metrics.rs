//! What is counted, read where Prometheus reads it.

use std::collections::BTreeMap;

use super::kit::{
    Answer, Client, Gate, Load, Message, Proxy, Refusing, Setup, client, get, origin, proxy, until,
};

const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4";

pub(super) fn watched() -> Setup {
    proxy().global("admin = { bind = \"127.0.0.1:0\" }")
}

/// Where the admin listener is.
pub(super) fn admin(proxy: &Proxy) -> String {
    let lines = proxy.log.all();
    let line = lines.iter().rev().find(|line| line.contains("admin listens")).expect("it says so");
    let (_, address) = line.split_once("address=").expect("an address");
    address.trim().to_owned()
}

pub(super) fn ask(address: &str, target: &str, headers: &str) -> Message {
    let mut client = client(address);
    client.send(format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n"));
    client.response()
}

/// All samples, by name and labels.
#[derive(Debug)]
pub(super) struct Samples(BTreeMap<String, f64>);

impl Samples {
    pub(super) fn of(proxy: &Proxy) -> Samples {
        let text = ask(&admin(proxy), "/metrics", "").text();
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        Samples(text.lines().filter(|line| !line.starts_with('#')).map(sample).collect())
    }

    #[track_caller]
    pub(super) fn value(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    #[track_caller]
    pub(super) fn expect(&self, expected: &[(&str, f64)]) {
        let wrong: Vec<_> = expected.iter().filter(|(name, value)| self.value(name) != *value).collect();
        let found: Vec<_> = wrong.iter().map(|(name, _)| self.value(name)).collect();
        assert!(wrong.is_empty(), "expected {wrong:?}, found {found:?}");
    }
}

/// Waits until so many requests are over.
#[track_caller]
pub(super) fn finished(proxy: &Proxy, requests: f64) -> Samples {
    until("the requests are counted", || {
        let samples = Samples::of(proxy);
        (samples.value("lb_frontend_http_requests_total{frontend=\"web\"}") >= requests).then_some(samples)
    })
}

#[test]
fn every_answer_is_counted_at_its_frontend_backend_and_server() {
    let a = [204, 302, 404, 500]
        .iter()
        .fold(origin("a"), |origin, status| {
            let body = if *status == 204 { "" } else { "body" };
            origin.route(&format!("/{status}"), Answer::new(*status, body))
        })
        .route("/broken", Answer::bytes("nonsense\r\n\r\n"))
        .start();
    let proxy = watched().server(&a).start();
    let mut kept = client(proxy.address());
    for path in ["/", "/", "/204", "/302", "/404", "/500"] {
        kept.get(path);
    }
    assert_eq!(get(proxy.address(), "/broken").status(), 502);
    let mut bad = client(proxy.address());
    bad.send("nonsense\r\n\r\n");
    assert_eq!(bad.response().status(), 400);
    let samples = finished(&proxy, 8.0);
    until("all are logged", || (proxy.exchanges().len() == 8).then_some(()));
    let lines: u64 = proxy.exchanges().iter().map(|exchange| exchange.bytes).sum();
    samples.expect(&[
        ("lb_frontend_connections_total{frontend=\"web\"}", 3.0),
        ("lb_frontend_http_requests_total{frontend=\"web\"}", 8.0),
        ("lb_frontend_http_responses_total{frontend=\"web\",code=\"1xx\"}", 0.0),
        ("lb_frontend_http_responses_total{frontend=\"web\",code=\"2xx\"}", 3.0),
        ("lb_frontend_http_responses_total{frontend=\"web\",code=\"3xx\"}", 1.0),
        ("lb_frontend_http_responses_total{frontend=\"web\",code=\"4xx\"}", 2.0),
        ("lb_frontend_http_responses_total{frontend=\"web\",code=\"5xx\"}", 2.0),
        ("lb_frontend_request_errors_total{frontend=\"web\"}", 1.0),
        ("lb_frontend_requests_denied_total{frontend=\"web\"}", 0.0),
        ("lb_frontend_bytes_out_total{frontend=\"web\"}", lines as f64),
        ("lb_frontend_total_time_seconds_count{frontend=\"web\"}", 8.0),
        ("lb_backend_requests_total{backend=\"app\"}", 7.0),
        ("lb_backend_http_responses_total{backend=\"app\",code=\"4xx\"}", 1.0),
        ("lb_server_requests_total{backend=\"app\",server=\"a\"}", 7.0),
        ("lb_server_http_responses_total{backend=\"app\",server=\"a\",code=\"5xx\"}", 2.0),
        ("lb_server_response_errors_total{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_server_response_time_seconds_count{backend=\"app\",server=\"a\"}", 6.0),
        ("lb_server_response_time_seconds_bucket{le=\"+Inf\",backend=\"app\",server=\"a\"}", 6.0),
        ("lb_server_client_aborts_total{backend=\"app\",server=\"a\"}", 0.0),
        ("lb_server_status{backend=\"app\",server=\"a\",state=\"UP\"}", 1.0),
        ("lb_backend_active_servers{backend=\"app\"}", 1.0),
        ("lb_process_stopping", 0.0),
        ("lb_log_lines_dropped_total{destination=\"stdout\"}", 0.0),
    ]);
    let attempts = samples.value("lb_server_connection_attempts_total{backend=\"app\",server=\"a\"}");
    let reuses = samples.value("lb_server_connection_reuses_total{backend=\"app\",server=\"a\"}");
    assert!(attempts >= 1.0 && reuses >= 5.0 && attempts + reuses >= 7.0, "{attempts} and {reuses}");
    let decisions = samples.0.iter().filter(|(name, _)| name.starts_with("lb_policy_decisions_total{"));
    assert_eq!(decisions.map(|(_, value)| value).sum::<f64>(), 7.0);
    assert!(samples.value("lb_server_bytes_in_total{backend=\"app\",server=\"a\"}") >= 7.0 * 30.0);
    assert!(samples.value("lb_process_open_fds") > 3.0);
    assert!(samples.value("lb_process_resident_memory_bytes") > 1e6);
}

#[test]
fn retries_redispatches_and_servers_that_cannot_be_had() {
    let (gone, b) = (Refusing::new(), origin("b").start());
    let proxy = watched()
        .backend("retries = 1\nredispatch = true\nbalance = \"first\"")
        .server_at("gone", &gone.address(), "labels = { maxconn = \"9\" }")
        .server_with(&b, "labels = { maxconn = \"9\" }")
        .more("[frontends.none]\nbind = \"127.0.0.2:0\"\ndefault_backend = \"none\"\n[backends.none]\n")
        .more("servers = [{ name = \"x\", address = \"10.0.0.1:80\", disabled = true }]\n")
        .start();
    assert_eq!(get(&proxy.addresses[0], "/").text(), "b");
    assert_eq!(get(&proxy.addresses[1], "/").status(), 503);
    finished(&proxy, 1.0);
    let samples = until("the other is counted", || {
        let samples = Samples::of(&proxy);
        (samples.value("lb_frontend_http_requests_total{frontend=\"none\"}") >= 1.0).then_some(samples)
    });
    samples.expect(&[
        ("lb_server_connection_attempts_total{backend=\"app\",server=\"gone\"}", 1.0),
        ("lb_server_connection_errors_total{backend=\"app\",server=\"gone\"}", 1.0),
        ("lb_server_retry_warnings_total{backend=\"app\",server=\"gone\"}", 1.0),
        ("lb_server_redispatch_warnings_total{backend=\"app\",server=\"gone\"}", 1.0),
        ("lb_server_requests_total{backend=\"app\",server=\"gone\"}", 0.0),
        ("lb_server_requests_total{backend=\"app\",server=\"b\"}", 1.0),
        ("lb_backend_retry_warnings_total{backend=\"app\"}", 1.0),
        ("lb_backend_connection_errors_total{backend=\"none\"}", 1.0),
        ("lb_backend_http_responses_total{backend=\"none\",code=\"5xx\"}", 1.0),
        ("lb_backend_status{backend=\"none\",state=\"DOWN\"}", 1.0),
        ("lb_backend_status{backend=\"none\",state=\"UP\"}", 0.0),
        ("lb_server_status{backend=\"none\",server=\"x\",state=\"MAINT\"}", 1.0),
    ]);
}

#[test]
fn what_is_under_way_is_in_the_gauges_and_an_abort_is_the_clients() {
    let gate = Gate::default();
    let a = origin("a")
        .held("/slow", &gate)
        .script("/cut", |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")?;
            Ok(super::kit::Next::Close)
        })
        .start();
    let proxy = watched().server_with(&a, "maxconn = 1").start();
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    let mut waits = client(proxy.address());
    waits.ask("GET", "/", &[]);
    until("one waits", || {
        let samples = Samples::of(&proxy);
        (samples.value("lb_backend_current_queue{backend=\"app\"}") == 1.0).then_some(())
    });
    Samples::of(&proxy).expect(&[
        ("lb_server_current_requests{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_server_limit_requests{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_backend_current_requests{backend=\"app\"}", 2.0),
        ("lb_frontend_current_connections{frontend=\"web\"}", 2.0),
        ("lb_process_current_connections", 2.0),
        ("lb_frontend_http_requests_total{frontend=\"web\"}", 0.0),
    ]);
    gate.open();
    assert_eq!((slow.response().text(), waits.response().text()), ("a".to_owned(), "a".to_owned()));
    let mut cut = client(proxy.address());
    cut.ask("GET", "/cut", &[]);
    cut.head();
    let _ = cut.wire.read_to_end();
    drop((slow, waits, cut));
    finished(&proxy, 3.0);
    let samples = until("all have left", || {
        let samples = Samples::of(&proxy);
        (samples.value("lb_process_current_connections") == 0.0).then_some(samples)
    });
    samples.expect(&[
        ("lb_server_current_requests{backend=\"app\",server=\"a\"}", 0.0),
        ("lb_server_max_requests_seen{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_backend_max_queue_seen{backend=\"app\"}", 1.0),
        ("lb_backend_current_queue{backend=\"app\"}", 0.0),
        ("lb_backend_queue_time_seconds_count{backend=\"app\"}", 3.0),
        ("lb_server_server_aborts_total{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_backend_client_aborts_total{backend=\"app\"}", 0.0),
    ]);
    assert!(samples.value("lb_frontend_max_connections_seen{frontend=\"web\"}") >= 2.0);
    assert!(samples.value("lb_backend_max_requests_seen{backend=\"app\"}") >= 1.0);
}

#[test]
fn a_client_that_goes_away_is_counted() {
    let a = origin("a").endless("/endless").start();
    let proxy = watched().server(&a).start();
    let mut gone: Client = client(proxy.address());
    gone.ask("GET", "/endless", &[]);
    gone.head();
    drop(gone);
    finished(&proxy, 1.0).expect(&[
        ("lb_backend_client_aborts_total{backend=\"app\"}", 1.0),
        ("lb_server_client_aborts_total{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_server_server_aborts_total{backend=\"app\",server=\"a\"}", 0.0),
    ]);
}

#[test]
fn a_server_that_fails_its_checks_is_down_and_its_downtime_grows() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = watched().checked().server(&a).server(&b).start();
    until("it is checked", || (a.checks() > 0).then_some(()));
    a.pass_checks(false);
    proxy.log.wait("server app/a is DOWN");
    let samples = Samples::of(&proxy);
    samples.expect(&[
        ("lb_server_status{backend=\"app\",server=\"a\",state=\"DOWN\"}", 1.0),
        ("lb_server_status{backend=\"app\",server=\"a\",state=\"UP\"}", 0.0),
        ("lb_server_status{backend=\"app\",server=\"b\",state=\"UP\"}", 1.0),
        ("lb_server_check_up_down_total{backend=\"app\",server=\"a\"}", 1.0),
        ("lb_backend_active_servers{backend=\"app\"}", 1.0),
        ("lb_backend_servers{backend=\"app\"}", 2.0),
    ]);
    assert!(samples.value("lb_server_check_failures_total{backend=\"app\",server=\"a\"}") >= 1.0);
    assert!(samples.value("lb_server_checks_total{backend=\"app\",server=\"b\"}") >= 1.0);
    let downtime =
        |samples: &Samples| samples.value("lb_server_downtime_seconds_total{backend=\"app\",server=\"a\"}");
    let before = downtime(&samples);
    until("its downtime grows", || (downtime(&Samples::of(&proxy)) > before).then_some(()));
    a.pass_checks(true);
    proxy.log.wait("server app/a is UP");
    let after = downtime(&Samples::of(&proxy));
    assert_eq!(downtime(&Samples::of(&proxy)), after, "it is over");
}

#[test]
fn counts_go_on_over_a_reload_for_what_keeps_its_name() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let both = watched().server(&a).server(&b);
    let mut proxy = both.start();
    let first = admin(&proxy);
    for _ in 0..6 {
        get(proxy.address(), "/");
    }
    finished(&proxy, 6.0);
    proxy.reload(&watched().server(&b).frontend("maxconn = 7"));
    assert_eq!(admin(&proxy), first, "it listens where it did");
    let samples = Samples::of(&proxy);
    samples.expect(&[
        ("lb_frontend_http_requests_total{frontend=\"web\"}", 6.0),
        ("lb_frontend_limit_connections{frontend=\"web\"}", 7.0),
        ("lb_backend_requests_total{backend=\"app\"}", 6.0),
        ("lb_server_requests_total{backend=\"app\",server=\"b\"}", 3.0),
        ("lb_config_reloads_total", 1.0),
        ("lb_config_last_reload_successful", 1.0),
    ]);
    assert!(!samples.0.keys().any(|name| name.contains("server=\"a\"")));
    proxy.hang_up(&both.clone().backend("balance = \"nonsense\""), "the old one stays");
    Samples::of(&proxy)
        .expect(&[("lb_config_reload_failures_total", 1.0), ("lb_config_last_reload_successful", 0.0)]);
    get(proxy.address(), "/");
    finished(&proxy, 7.0).expect(&[("lb_server_requests_total{backend=\"app\",server=\"b\"}", 4.0)]);
}

#[test]
fn the_admin_listener_comes_moves_and_goes_with_a_reload() {
    let a = origin("a").start();
    let mut proxy = proxy().server(&a).start();
    assert!(!proxy.log.all().iter().any(|line| line.contains("admin listens")));
    proxy.reload(&watched().server(&a));
    let address = admin(&proxy);
    assert_eq!(ask(&address, "/metrics", "").status(), 200);
    proxy.reload(&super::kit::proxy().server(&a));
    until("nobody listens", || std::net::TcpStream::connect(&address).is_err().then_some(()));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let bind = format!("admin.bind = \"{}\"", taken.local_addr().expect("it is bound"));
    proxy.hang_up(&super::kit::proxy().server(&a).global(&bind), "for `admin`");
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn scrapes_under_load_disturb_nobody_and_counters_only_grow() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = watched().server(&a).server(&b).start();
    let load = Load::start(proxy.address(), 4);
    let scrapers: Vec<_> = (0..4)
        .map(|_| {
            let address = admin(&proxy);
            std::thread::spawn(move || {
                let mut before = 0.0;
                for _ in 0..20 {
                    let text = ask(&address, "/metrics", &format!("accept: {PROMETHEUS}\r\n")).text();
                    let name = "lb_backend_requests_total{backend=\"app\"} ";
                    let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("the counter");
                    let value: f64 = value.parse().expect("a number");
                    assert!(value >= before, "{value} after {before}");
                    before = value;
                }
            })
        })
        .collect();
    load.pass(200);
    for scraper in scrapers {
        scraper.join().expect("no scrape fails");
    }
    load.stop();
    // Each exchange that ended well is logged and counted once.
    until("all are counted", || {
        let logged = proxy.exchanges().len() as f64;
        (Samples::of(&proxy).value("lb_backend_requests_total{backend=\"app\"}") == logged).then_some(())
    });
}

#[test]
fn openmetrics_to_those_who_accept_it_and_the_older_text_to_all_others() {
    let a = origin("a").start();
    let proxy = watched().server(&a).start();
    let open = ask(&admin(&proxy), "/metrics", &format!("accept: {PROMETHEUS}\r\n"));
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = open.text();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE lb_frontend_http_requests counter\n"));
    let classic = ask(&admin(&proxy), "/metrics", "accept: */*\r\n");
    assert_eq!(classic.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = classic.text();
    assert!(!text.contains("# EOF"));
    assert!(text.contains("# TYPE lb_frontend_http_requests_total counter\n"));
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1, "{name} is there twice");
    }
}

#[test]
fn the_admin_listener_only_reads_and_answers_to_its_own_address() {
    let a = origin("a").start();
    let proxy = watched().server(&a).start();
    let address = admin(&proxy);
    assert_eq!(ask(&address, "/nothing", "").status(), 404);
    let mut posting = client(&address);
    posting.send(format!("POST /metrics HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n\r\n"));
    let refused = posting.response();
    assert_eq!((refused.status(), refused.header("allow")), (405, Some("GET, HEAD")));
    let mut rebound = client(&address);
    rebound.send("GET /metrics HTTP/1.1\r\nhost: evil.example:8404\r\n\r\n");
    let refused = rebound.response();
    assert_eq!(refused.status(), 421);
    assert!(!refused.text().contains("lb_"));
    let mut named = client(&address);
    named.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(named.response().status(), 200);
}

#[test]
fn hostile_clients_of_the_admin_listener_are_bounded_and_harm_nobody() {
    let a = origin("a").start();
    let proxy = watched().server(&a).start();
    let address = admin(&proxy);
    for hostile in ["nonsense\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        let mut client = client(&address);
        client.send(hostile);
        let answer = client.wire.read_to_end().unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{hostile:?}");
    }
    let mut huge = client(&address);
    let line = format!("x-{}: {}\r\n", "y".repeat(20), "z".repeat(4000));
    let _ = huge.wire.write(format!("GET /metrics HTTP/1.1\r\n{}", line.repeat(20)));
    let answer = huge.wire.read_to_end().unwrap_or_default();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    // As many as may be in are, and say nothing; who comes then waits until they have had their time.
    let silent: Vec<Client> = (0..40).map(|_| client(&address)).collect();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    drop(silent);
    assert_eq!(ask(&address, "/metrics", "").status(), 200);
}
