//! Right configurations, in their resolved form: what was said, what was taken over, what was filled in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lb_host::config::model::*;
use lb_host::config::{self, Loaded};
use lb_host::rules::Network;

const SECOND: Duration = Duration::from_secs(1);

/// A file that says no more than it has to.
const LEAST: &str = r#"
[frontends.web]
bind = "127.0.0.1:0"
default_backend = "app"

[backends.app]
servers = [{ name = "a", address = "10.0.0.1:80" }]
"#;

fn load(text: &str) -> Loaded {
    config::parse(text, "etc/lb.toml").unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn resolve(text: &str) -> Config {
    load(text).config
}

/// The frontend and the backend of [`LEAST`] with these lines in them.
fn with(frontend: &str, backend: &str) -> (Frontend, Backend) {
    let text = LEAST
        .replace("[frontends.web]", &format!("[frontends.web]\n{frontend}"))
        .replace("[backends.app]", &format!("[backends.app]\n{backend}"));
    let config = resolve(&text);
    (config.frontends[0].clone(), config.backends[0].clone())
}

fn bound(bind: &str) -> Vec<BindAddress> {
    let text = LEAST.replace("\"127.0.0.1:0\"", bind);
    resolve(&text).frontends[0].bind.iter().map(|bind| bind.address.clone()).collect()
}

fn tcp(address: &str) -> BindAddress {
    BindAddress::Tcp(address.parse().unwrap())
}

fn server(keys: &str) -> Server {
    let text = LEAST.replace("address = \"10.0.0.1:80\"", keys);
    resolve(&text).backends[0].servers[0].clone()
}

fn logged(log: &str) -> Vec<LogTarget> {
    resolve(&format!("[global]\nlog = {log}\n{LEAST}")).global.log
}

#[test]
fn the_default_file_is_the_twin_of_the_haproxy_cfg() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lb.toml");
    let Loaded { config, warnings, .. } = config::load(&path).unwrap();
    assert!(warnings.is_empty(), "{warnings}");

    let stdout = LogTarget {
        destination: LogDestination::Stdout,
        format: LogFormat::Raw,
        facility: 16,
        level: LogLevel::Debug,
        tag: "lb".into(),
        length: None,
    };
    assert_eq!(config.global.maxconn, Some(4_096));
    assert_eq!(config.global.log, vec![stdout.clone()]);
    assert!(config.global.nbthread >= 1);

    let [frontend] = &*config.frontends else { panic!("one frontend") };
    assert_eq!(&*frontend.name, "http_front");
    let binds: Vec<_> = frontend.bind.iter().map(|bind| bind.address.clone()).collect();
    assert_eq!(binds, [tcp("0.0.0.0:60000"), tcp("0.0.0.0:60001")]);
    assert_eq!(frontend.default_backend, 0);
    assert_eq!(frontend.log, [stdout]);
    assert_eq!(frontend.logging.line, LogLine::Http);
    assert!(frontend.dontlognull);
    let forwardfor = frontend.forwardfor.as_ref().unwrap();
    assert_eq!(forwardfor.header, "x-forwarded-for");
    assert_eq!(frontend.timeout.client, Some(10 * SECOND));
    assert_eq!(frontend.timeout.http_request, Some(10 * SECOND));

    let [backend] = &*config.backends else { panic!("one backend") };
    assert_eq!(&*backend.name, "flask_servers");
    assert_eq!(backend.balance[0].source, PolicySource::BuiltIn("roundrobin".into()));
    assert_eq!((backend.timeout.connect, backend.timeout.server), (Some(5 * SECOND), Some(10 * SECOND)));
    assert_eq!((backend.retries, backend.redispatch), (3, false));
    assert_eq!(backend.forwardfor, None);
    let check = HttpCheck {
        method: "GET".into(),
        uri: "/status".into(),
        version: "HTTP/1.0".into(),
        headers: vec![],
        expect: vec![(200, 399)],
    };
    assert_eq!(backend.check, CheckKind::Http(check));
    let persistence = backend.persistence.as_ref().unwrap();
    assert_eq!(persistence.source, PolicySource::BuiltIn("cookie".into()));
    let settings: Vec<_> = persistence.settings.iter().map(|it| (&*it.name, it.value.clone())).collect();
    let yes = RawValue::Boolean(true);
    assert_eq!(
        settings,
        [
            ("name", RawValue::Text("SERVER".into())),
            ("insert", yes.clone()),
            ("indirect", yes.clone()),
            ("nocache", yes)
        ]
    );
    for (server, (name, port)) in backend.servers.iter().zip([("web-a", 5_001), ("web-b", 5_002)]) {
        let expected = Server {
            name: name.into(),
            address: ServerAddress::Name(name.into(), port),
            weight: 1,
            maxconn: None,
            backup: false,
            disabled: false,
            check: Some(Check {
                addr: None,
                port: None,
                inter: 2 * SECOND,
                fastinter: 2 * SECOND,
                downinter: 2 * SECOND,
                fall: 1,
                rise: 5,
                observe: None,
            }),
            cookie: Some(name.into()),
            labels: vec![],
            resolution: Default::default(),
            protocol: Default::default(),
            slowstart: None,
            circuit_breaker: None,
            tls: None,
        };
        assert_eq!(*server, expected);
    }
    assert_eq!(backend.servers.len(), 2);
}

#[test]
fn what_is_not_said_is_as_in_haproxy() {
    let config = resolve(LEAST);
    assert_eq!(config.global.maxconn, None);
    assert!(config.global.log.is_empty());
    assert_eq!(config.global.hard_stop_after, None);
    assert_eq!((config.global.tune.bufsize, config.global.tune.maxhdr), (16_384, 101));
    assert_eq!(config.global.tune.pool_idle_timeout, 5 * SECOND);

    let frontend = &config.frontends[0];
    assert_eq!((frontend.maxconn, frontend.backlog), (None, 4_096));
    assert_eq!(frontend.logging.line, LogLine::Connect);
    assert!(!frontend.dontlognull && frontend.log.is_empty());
    assert_eq!(frontend.forwardfor, None);
    assert_eq!(frontend.timeout.client, None);

    let backend = &config.backends[0];
    assert_eq!(backend.balance[0].source, PolicySource::BuiltIn("roundrobin".into()));
    assert_eq!((backend.retries, backend.redispatch), (3, false));
    assert_eq!(backend.persistence, None);
    assert_eq!(backend.check, CheckKind::Tcp);
    let server = &backend.servers[0];
    assert_eq!((server.weight, server.maxconn, &server.check), (1, None, &None));
}

#[test]
fn a_section_stands_over_the_defaults_key_by_key() {
    let config = resolve(
        r#"
        [defaults]
        maxconn = 100
        httplog = true
        retries = 1
        redispatch = true
        balance = "leastconn"
        cookie = { name = "FROM_DEFAULTS" }
        httpchk = true
        forwardfor = true
        default_backend = "second"
        timeout = { connect = "1s", client = "2s", server = "3s" }
        default_server = { check = true, inter = "4s", fall = 7, weight = 10 }

        [frontends.one]
        bind = "127.0.0.1:0"
        [frontends.two]
        bind = "127.0.0.1:0"
        default_backend = "first"
        maxconn = 0
        httplog = false
        forwardfor = false
        timeout.client = "9s"

        [backends.first]
        servers = [{ name = "a", address = "10.0.0.1:80" }]
        [backends.second]
        retries = 5
        balance = ["source"]
        cookie = false
        httpchk = false
        timeout = { server = "0s" }
        default_server = { fall = 8 }
        servers = [{ name = "a", address = "10.0.0.1:80", weight = 20, check = false },
                   { name = "b", address = "10.0.0.2:80", fall = 9 }]
        "#,
    );
    let [one, two] = &*config.frontends else { panic!("two frontends") };
    assert_eq!((one.default_backend, two.default_backend), (1, 0));
    assert_eq!((one.maxconn, two.maxconn), (Some(100), None));
    assert_eq!((&one.logging.line, &two.logging.line), (&LogLine::Http, &LogLine::Connect));
    assert_eq!((one.forwardfor.is_some(), two.forwardfor.is_some()), (true, false));
    assert_eq!((one.timeout.client, two.timeout.client), (Some(2 * SECOND), Some(9 * SECOND)));

    let [first, second] = &*config.backends else { panic!("two backends") };
    assert_eq!((first.retries, second.retries), (1, 5));
    assert!(first.redispatch && second.redispatch);
    assert_eq!(first.balance[0].source, PolicySource::BuiltIn("leastconn".into()));
    assert_eq!(second.balance[0].source, PolicySource::BuiltIn("source".into()));
    assert_eq!((first.persistence.is_some(), second.persistence.is_some()), (true, false));
    assert!(matches!(first.check, CheckKind::Http(_)));
    assert_eq!(second.check, CheckKind::Tcp);
    assert_eq!((first.timeout.connect, first.timeout.server), (Some(SECOND), Some(3 * SECOND)));
    assert_eq!((second.timeout.connect, second.timeout.server), (Some(SECOND), None));

    let check = first.servers[0].check.as_ref().unwrap();
    assert_eq!((check.inter, check.fastinter, check.fall, check.rise), (4 * SECOND, 4 * SECOND, 7, 2));
    let [a, b] = &*second.servers else { panic!("two servers") };
    assert_eq!((a.weight, &a.check), (20, &None));
    assert_eq!((b.weight, b.check.as_ref().unwrap().fall), (10, 9));
}

#[test]
fn timeouts_fall_back_as_in_haproxy_unless_they_are_0() {
    let (frontend, backend) = with("timeout = { client = \"7s\" }", "timeout = { connect = \"3s\" }");
    assert_eq!(frontend.timeout.http_request, Some(7 * SECOND));
    assert_eq!(frontend.timeout.http_keep_alive, Some(7 * SECOND));
    assert_eq!(backend.timeout.queue, Some(3 * SECOND));
    assert_eq!((backend.timeout.tunnel, backend.timeout.check), (None, None));

    let (frontend, _) = with("timeout = { client = \"7s\", http_request = \"2s\" }", "");
    assert_eq!(frontend.timeout.http_keep_alive, Some(2 * SECOND));

    let (frontend, backend) = with(
        "timeout = { client = \"7s\", http_keep_alive = \"0s\" }",
        "timeout = { connect = \"3s\", queue = \"0s\" }",
    );
    assert_eq!((frontend.timeout.http_keep_alive, backend.timeout.queue), (None, None));
}

#[test]
fn listeners_have_every_form_of_address() {
    assert_eq!(bound(r#""*:80""#), [tcp("0.0.0.0:80")]);
    assert_eq!(bound(r#""ipv4@:80""#), [tcp("0.0.0.0:80")]);
    assert_eq!(bound(r#"":80""#), [tcp("0.0.0.0:80")]);
    assert_eq!(bound(r#""[::1]:80""#), [tcp("[::1]:80")]);
    assert_eq!(bound(r#"":::80""#), [tcp("[::]:80")]);
    assert_eq!(bound(r#""ipv6@[::]:80""#), [tcp("[::]:80")]);
    assert_eq!(bound(r#""127.0.0.1:0""#), [tcp("127.0.0.1:0")]);
    assert_eq!(bound(r#"["127.0.0.1:0", "127.0.0.1:0"]"#).len(), 2);
    assert_eq!(bound(r#""*:65534-65535""#), [tcp("0.0.0.0:65534"), tcp("0.0.0.0:65535")]);
    assert_eq!(bound(r#""unix@/run/lb.sock""#), [BindAddress::Unix("/run/lb.sock".into())]);
    assert_eq!(bound(r#""/run/lb.sock""#), [BindAddress::Unix("/run/lb.sock".into())]);
    assert_eq!(bound(r#""unix@lb.sock""#), [BindAddress::Unix("etc/lb.sock".into())]);
    assert_eq!(bound(r#""fd@3""#), [BindAddress::Fd(3)]);
}

#[test]
fn a_listeners_maxconn_counts_for_each_port() {
    let text = LEAST.replace("\"127.0.0.1:0\"", "[{ address = \"*:80-81\", maxconn = 5 }, \"*:82\"]");
    let limits: Vec<_> = resolve(&text).frontends[0].bind.iter().map(|bind| bind.maxconn).collect();
    assert_eq!(limits, [Some(5), Some(5), None]);
}

#[test]
fn servers_have_every_form_of_address() {
    let address = |text: &str| server(&format!("address = \"{text}\"")).address;
    let ip = |text: &str| ServerAddress::Ip(text.parse::<SocketAddr>().unwrap());
    assert_eq!(address("127.0.0.1:5001"), ip("127.0.0.1:5001"));
    assert_eq!(address("[::1]:5001"), ip("[::1]:5001"));
    assert_eq!(address("web-a:5001"), ServerAddress::Name("web-a".into(), 5_001));
    assert_eq!(address("a_b.example.org.:80"), ServerAddress::Name("a_b.example.org.".into(), 80));
    assert_eq!(address("unix@/run/a.sock"), ServerAddress::Unix("/run/a.sock".into()));
    assert_eq!(address("a.sock:80"), ServerAddress::Name("a.sock".into(), 80));
}

#[test]
fn a_servers_checks_and_labels_are_read() {
    let server = server(
        r#"address = "10.0.0.1:80", check = true, addr = "10.0.0.2", port = 81, inter = "1s", fastinter = "100ms",
           downinter = "5s", backup = true, disabled = true, maxconn = 3, labels = { zone = "eu", app = "x" }"#,
    );
    let check = server.check.unwrap();
    assert_eq!((check.addr, check.port), (Some("10.0.0.2".parse().unwrap()), Some(81)));
    assert_eq!((check.fastinter, check.downinter), (SECOND / 10, 5 * SECOND));
    assert!(server.backup && server.disabled);
    assert_eq!(server.maxconn, Some(3));
    assert_eq!(server.labels, [("app".into(), "x".into()), ("zone".into(), "eu".into())]);
}

#[test]
fn policies_keep_their_settings_as_written_and_where() {
    let text = LEAST.replace(
        "[backends.app]",
        r#"[backends.app]
        balance = [{ policy = "./mine.wasm", instances = "shared", share = 5, rate = 0.5, names = ["a"], odd = [1],
                     deep = { x = 1 }, text = "é" }, "source"]"#,
    );
    let Loaded { config, source, .. } = load(&text);
    let [mine, fallback] = &*config.backends[0].balance else { panic!("two balancers") };
    assert_eq!(mine.source, PolicySource::File(PathBuf::from("etc/./mine.wasm")));
    assert_eq!(mine.instances, Instances::Shared);
    assert_eq!(&source.text[mine.span.clone()], "\"./mine.wasm\"");
    let settings: Vec<_> = mine.settings.iter().map(|it| (&*it.name, it.value.clone())).collect();
    assert_eq!(
        settings,
        [
            ("share", RawValue::Integer(5)),
            ("rate", RawValue::Number(0.5)),
            ("names", RawValue::Texts(vec!["a".into()])),
            ("odd", RawValue::Other("array")),
            ("deep", RawValue::Other("table")),
            ("text", RawValue::Text("é".into())),
        ]
    );
    let share = &mine.settings[0];
    assert_eq!(
        (&source.text[share.name_span.clone()], &source.text[share.value_span.clone()]),
        ("share", "5")
    );
    assert_eq!(fallback.source, PolicySource::BuiltIn("source".into()));
    assert_eq!(fallback.instances, Instances::PerWorker);
}

#[test]
fn cookie_is_short_for_persistence() {
    let (_, short) = with("", "cookie = { name = \"S\", insert = true }");
    let (_, long) = with("", "persistence = { policy = \"cookie\", name = \"S\", insert = true }");
    let settings = |backend: Backend| {
        let persistence = backend.persistence.unwrap();
        let settings = persistence.settings.into_iter().map(|it| (it.name, it.value)).collect::<Vec<_>>();
        (persistence.source, persistence.instances, settings)
    };
    assert_eq!(settings(short), settings(long));
}

#[test]
fn http_checks_have_a_short_and_a_long_form() {
    let check = |httpchk: &str| with("", &format!("httpchk = {httpchk}")).1.check;
    let http = |method: &str, uri: &str, version: &str, headers: &[(&str, &str)], expect: &[(u16, u16)]| {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (method, uri, version) = (method.into(), uri.into(), version.into());
        CheckKind::Http(HttpCheck { method, uri, version, headers, expect: expect.to_vec() })
    };
    let usual = &[(200, 399)];
    assert_eq!(check("true"), http("OPTIONS", "/", "HTTP/1.0", &[], usual));
    assert_eq!(check("\"/status\""), http("OPTIONS", "/status", "HTTP/1.0", &[], usual));
    assert_eq!(check("\"GET /status\""), http("GET", "/status", "HTTP/1.0", &[], usual));
    assert_eq!(check("\"HEAD / HTTP/1.1\""), http("HEAD", "/", "HTTP/1.1", &[], usual));
    assert_eq!(
        check(
            "{ method = \"GET\", uri = \"/\", version = \"HTTP/1.1\", headers = { Host = \"app\" }, expect = 204 }"
        ),
        http("GET", "/", "HTTP/1.1", &[("host", "app")], &[(204, 204)])
    );
    for expect in ["\"200-299,304\"", "[\"200-299\", 304]"] {
        let check = check(&format!("{{ expect = {expect} }}"));
        assert_eq!(check, http("OPTIONS", "/", "HTTP/1.0", &[], &[(200, 299), (304, 304)]));
    }
}

#[test]
fn forwardfor_takes_networks_and_a_header() {
    let (frontend, _) = with(
        "forwardfor = { except = [\"10.1.2.3/8\", \"::1\"], header = \"X-Client\", if_none = true }",
        "",
    );
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    let expected = ForwardFor {
        except: vec![network("10.0.0.0", 8), network("::1", 128)],
        header: "x-client".into(),
        if_none: true,
    };
    assert_eq!(frontend.forwardfor, Some(expected));
    let (frontend, _) = with("forwardfor = { except = \"0.0.0.0/0\" }", "");
    assert_eq!(frontend.forwardfor.unwrap().except, [network("0.0.0.0", 0)]);
}

#[test]
fn log_targets_have_a_short_and_a_long_form() {
    let destination = |log: &str| logged(log)[0].destination.clone();
    assert_eq!(destination("\"stdout\""), LogDestination::Stdout);
    assert_eq!(destination("\"file:/var/log/lb.log\""), LogDestination::File("/var/log/lb.log".into()));
    assert_eq!(destination("\"file:lb.log\""), LogDestination::File("etc/lb.log".into()));
    assert_eq!(destination("\"unix@/dev/log\""), LogDestination::Unix("/dev/log".into()));
    assert_eq!(destination("\"udp@loghost\""), LogDestination::Udp("loghost:514".into()));
    assert_eq!(destination("\"udp@[::1]\""), LogDestination::Udp("[::1]:514".into()));
    assert_eq!(destination("\"loghost:5140\""), LogDestination::Udp("loghost:5140".into()));

    let [first, second] = &*logged(
        r#"["stderr", { target = "udp@10.0.0.9", format = "rfc5424", facility = "daemon", level = "notice", tag = "edge",
           length = 8192 }]"#,
    ) else {
        panic!("two targets")
    };
    assert_eq!((first.format, first.facility), (LogFormat::Raw, 16));
    assert_eq!((second.format, second.facility, second.level), (LogFormat::Rfc5424, 3, LogLevel::Notice));
    assert_eq!((&*second.tag, second.length), ("edge", Some(8_192)));
    assert_eq!(logged("\"udp@10.0.0.9\"")[0].format, LogFormat::Local);
}

#[test]
fn a_frontend_can_log_to_the_global_targets_to_its_own_or_nowhere() {
    let log = |log: &str| {
        let text = LEAST.replace("[frontends.web]", &format!("[frontends.web]\nlog = {log}"));
        let defaults = "[global]\nlog = \"stdout\"\n[defaults]\nlog = \"global\"";
        let targets = resolve(&format!("{defaults}\n{text}")).frontends[0].log.clone();
        targets.into_iter().map(|target| target.destination).collect::<Vec<_>>()
    };
    assert_eq!(log("\"global\""), [LogDestination::Stdout]);
    assert_eq!(log("[\"stderr\", \"global\"]"), [LogDestination::Stderr, LogDestination::Stdout]);
    assert_eq!(log("[]"), []);
}

#[test]
fn sizes_and_bounds_are_read() {
    let tune = "tune = { bufsize = \"32k\", maxhdr = 7, pool_max_idle = 0, pool_idle_timeout = \"9s\" }";
    let global =
        resolve(&format!("[global]\nnbthread = 3\nwatch = true\nhard_stop_after = \"30s\"\n{tune}\n{LEAST}"))
            .global;
    assert_eq!((global.nbthread, global.watch, global.hard_stop_after), (3, true, Some(30 * SECOND)));
    assert_eq!((global.tune.bufsize, global.tune.maxhdr, global.tune.pool_max_idle), (32_768, 7, 0));
    assert_eq!(global.tune.pool_idle_timeout, 9 * SECOND);
    assert_eq!(resolve(&format!("[global]\ntune.bufsize = 2048\n{LEAST}")).global.tune.bufsize, 2_048);
}

#[test]
fn sections_keep_the_order_of_the_file() {
    let text = LEAST.replace("[backends.app]", "[backends.zebra]\nservers = [{ name = \"z\", address = \"z:80\" }, { name = \"b\", address = \"b:80\" }]\n[backends.app]");
    let config = resolve(&text);
    let names: Vec<_> = config.backends.iter().map(|backend| &*backend.name).collect();
    assert_eq!(names, ["zebra", "app"]);
    assert_eq!(config.frontends[0].default_backend, 1);
    assert_eq!(&*config.backends[0].servers[0].name, "z");
}

#[test]
fn limits_are_filled_in() {
    use lb_host::config::model::limits::{Bound, KeyPart, Limit, Rate, When};
    let (frontend, backend) = with(
        "limits = [{ requests = 100, per = \"10s\" }, { name = \"held\", connections = 50, prefix_v4 = 24 }]",
        "limits = { key = [\"header:X-Key\", \"path\"], requests = 5, burst = 2, status = 503, headers = true, \
         max_keys = 16 }",
    );
    let rate = |count, per, burst| Bound::Requests(Rate { count, per, burst });
    let expected = Limit {
        when: When::default(),
        name: "limit-1".into(),
        key: vec![KeyPart::Client],
        prefix_v4: 32,
        prefix_v6: 64,
        bound: rate(100, 10 * SECOND, 100),
        status: 429,
        dry_run: false,
        headers: false,
        max_keys: 100_000,
    };
    let held =
        Limit { name: "held".into(), bound: Bound::Connections(50), prefix_v4: 24, ..expected.clone() };
    assert_eq!(frontend.limits, [expected.clone(), held]);
    let key = vec![KeyPart::Header("x-key".into()), KeyPart::Path];
    let bound = rate(5, SECOND, 2);
    assert_eq!(backend.limits, [Limit { key, bound, status: 503, headers: true, max_keys: 16, ..expected }]);
}

#[test]
fn pages_of_defaults_stand_below_the_frontends_and_not_in_the_backend() {
    let text = format!("[defaults]\nerrorfile = {{ 503 = \"d.http\", 404 = \"d.http\" }}\n{LEAST}")
        .replace("[frontends.web]", "[frontends.web]\nerrorfile = { 503 = \"f.http\" }");
    let config = resolve(&text);
    let files = &config.frontends[0].errorfile;
    let named: Vec<_> = files.iter().map(|file| (file.status, file.path.to_str().unwrap())).collect();
    assert_eq!(named, [(503, "etc/f.http"), (404, "etc/d.http")]);
    assert!(config.backends[0].errorfile.is_empty());
}
