//! Rules between frontends and backends, and lists of networks: what clients and servers see of them.

use super::kit::{Answer, Directory, Load, Message, Origin, Proxy, Setup, client, get, origin, proxy, run};

/// A frontend with rules, each written as the inside of a table, in front of `app`.
fn ruled(app: &Origin, rules: &[&str]) -> Setup {
    let lines: Vec<_> = rules.iter().map(|rule| format!("[[frontends.web.rules]]\n{rule}")).collect();
    proxy().server(app).frontend(&lines.join("\n"))
}

/// Another backend, with lines of its own.
fn backend(name: &str, server: &Origin, lines: &str) -> String {
    let address = server.address();
    format!("[backends.{name}]\nservers = [{{ name = \"s\", address = {address:?} }}]\n{lines}\n")
}

fn host(name: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {name}\r\n\r\n")
}

/// The answer to bytes on a connection of their own.
#[track_caller]
fn answer_to(proxy: &Proxy, bytes: &str) -> Message {
    let mut client = client(proxy.address());
    client.send(bytes);
    client.response()
}

#[test]
fn a_denied_request_gets_its_status_and_the_connection_stays() {
    let app = origin("app").start();
    let proxy = ruled(
        &app,
        &[
            "when = { path = \"/deny\" }\ndeny = true",
            "when = { path = \"/gone\" }\ndeny = 410",
            "when = { path = \"/tarpit\" }\ntarpit = \"200ms\"",
        ],
    )
    .start();
    let mut client = client(proxy.address());
    assert_eq!(client.get("/deny").status(), 403);
    let gone = client.get("/gone");
    assert_eq!(gone.start, "HTTP/1.1 410 Gone");
    assert_eq!(gone.header("content-type"), Some("text/html"));
    assert_eq!(client.get("/tarpit").status(), 500);
    assert_eq!(client.get("/").text(), "app");
    assert_eq!(app.requests().len(), 1);
    for (path, status, state) in [("/deny", 403, "PR--"), ("/gone", 410, "PR--"), ("/tarpit", 500, "PT--")] {
        let line = proxy.exchange(path);
        assert_eq!(
            (line.status, &*line.state, &*line.server),
            (status, state, "web/<NOSRV>"),
            "{}",
            line.line
        );
    }
    assert!(proxy.exchange("/tarpit").timers[4] >= 200);
}

#[test]
fn redirects_and_fixed_answers_are_those_of_haproxy() {
    let app = origin("app").start();
    let proxy = ruled(
        &app,
        &[
            "when = { path = \"/to\" }\nredirect = { location = \"https://x.test${path}\", code = 301 }",
            "when = { path = \"/prefix\" }\nredirect = { prefix = \"https://p.test\" }",
            "when = { path = \"/scheme\" }\nredirect = { scheme = \"https\", code = 308 }",
            "when = { path = \"/pong\" }\nrespond = { body = \"pong\", headers = { x-who = \"${src}\" } }",
            "when = { path = \"/none\" }\nrespond = { status = 204 }",
        ],
    )
    .start();
    let mut client = client(proxy.address());
    let to = client.get("/to");
    assert_eq!(to.start, "HTTP/1.1 301 Moved Permanently");
    let lines = [("content-length", "0"), ("location", "https://x.test/to")];
    assert_eq!(to.headers, lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let prefix = client.get("/prefix?q=1");
    assert_eq!((prefix.status(), prefix.header("location")), (302, Some("https://p.test/prefix?q=1")));
    assert_eq!(prefix.header("cache-control"), Some("no-cache"));
    assert_eq!(client.get("/scheme?a").header("location"), Some("https://test/scheme?a"));
    let pong = client.get("/pong");
    assert_eq!((pong.text().as_str(), pong.header("x-who")), ("pong", Some("127.0.0.1")));
    assert_eq!(client.get("/none").status(), 204);
    client.ask("HEAD", "/pong", &[]);
    assert_eq!(client.response_to("HEAD").header("content-length"), Some("4"));
    assert_eq!(client.get("/").text(), "app", "none of it ended the connection");
    for path in ["/to", "/pong", "/none"] {
        let line = proxy.exchange(path);
        assert_eq!((&*line.state, &*line.server), ("LR--", "web/<NOSRV>"), "{}", line.line);
    }
}

#[test]
fn a_fixed_answer_says_no_length_no_type_and_no_value_that_it_has_not() {
    let app = origin("app").start();
    let rules = [
        "when = { path = \"/304\" }\nrespond = { status = 304, headers = { etag = \"x\", x-no = \"${header:x-no}\" } }",
        "when = { path = \"/empty\" }\nrespond = { file = \"/dev/null\" }",
    ];
    let proxy = ruled(&app, &rules).start();
    let mut client = client(proxy.address());
    let lines = |answer: &Message| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(lines(&client.get("/304")), ["etag"]);
    assert_eq!(lines(&client.get("/empty")), ["content-length"]);
    assert_eq!(client.get("/").text(), "app", "neither ended the connection");
    let (status, headers, ..) = super::http2::http2(&proxy).get("/304");
    assert_eq!((status.as_u16(), headers.len()), (304, 1), "{headers:?}");
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection_of_a_denied_request() {
    let app = origin("app").start();
    let proxy = ruled(&app, &["when = { method = \"POST\" }\ndeny = true"]).start();
    let mut client = client(proxy.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nsome");
    let answer = client.response();
    assert_eq!((answer.status(), answer.header("connection")), (403, Some("close")));
}

#[test]
fn hosts_and_paths_find_their_backends() {
    let (app, api, old) = (origin("app").start(), origin("api").start(), origin("old").start());
    let proxy = ruled(
        &app,
        &[
            "when = { host = [\"api.test\", \"*.api.test\"] }\nuse_backend = \"api\"",
            "when = { path_prefix = \"/old/\" }\nuse_backend = \"old\"",
        ],
    )
    .more(&(backend("api", &api, "") + &backend("old", &old, "")))
    .start();
    for (name, served) in [
        ("api.test", "api"),
        ("API.TEST:8080", "api"),
        ("v1.api.test", "api"),
        ("xapi.test", "app"),
        ("[::1]:80", "app"),
    ] {
        assert_eq!(answer_to(&proxy, &host(name)).text(), served, "{name}");
    }
    let mut kept = client(proxy.address());
    assert_eq!(kept.get("/old/x").text(), "old");
    assert_eq!(kept.get("/old").text(), "app", "one connection, two backends");
    let line = proxy.exchange("/old/x");
    assert_eq!((&*line.server, &*line.state), ("old/s", "----"));
    let absolute = answer_to(&proxy, "GET http://api.test/ HTTP/1.1\r\nhost: api.test\r\n\r\n");
    assert_eq!(absolute.text(), "api", "the target's own host counts");
}

#[test]
fn heads_are_edited_both_ways_and_paths_rewritten() {
    let answer = Answer::new(200, "ok").header("Server", "me").header("X-Z", "0");
    let app = origin("app").route("/v1/x?q=1", answer).start();
    let proxy = ruled(
        &app,
        &[
            "request = { set_header = { X-A = \"one\", x-src = \"${src}\" }, add_header = { x-b = \"two\" }, del_header = \"x-d\" }",
            "when = { path_prefix = \"/api/\" }\nrewrite_path = { prefix = \"/api/\", with = \"/\" }",
            "when = { query = { q = true } }\nresponse = { set_header = { x-z = \"1\" } }",
        ],
    )
    .backend("[[backends.app.rules]]\nresponse = { del_header = [\"server\"] }\nrequest = { set_header = { x-c = \"${path}\" } }")
    .start();
    let mut client = client(proxy.address());
    let answer = client.get_with(
        "/api/v1/x?q=1",
        &[("X-a", "1"), ("x-A", "2"), ("x-b", "0"), ("X-D", "1"), ("connection", "x-src")],
    );
    assert_eq!((answer.header("x-z"), answer.header("server")), (Some("1"), None));
    let seen = &app.requests()[0];
    assert_eq!(seen.target(), "/v1/x?q=1");
    assert_eq!(seen.all("x-a"), ["one"]);
    assert_eq!(seen.all("x-b"), ["0", "two"]);
    assert_eq!(seen.all("x-c"), ["/api/v1/x"], "conditions and templates see what the client sent");
    assert_eq!(seen.all("x-src"), ["127.0.0.1"]);
    assert_eq!(seen.header("x-d"), None);
}

#[test]
fn a_backend_denies_in_its_own_name() {
    let app = origin("app").start();
    let setup = proxy().server(&app).backend(
        "[[backends.app.rules]]\nwhen = { path_prefix = \"/private/\", not = { from = \"192.0.2.0/24\" } }\ndeny = true",
    );
    let proxy = setup.start();
    assert_eq!(get(proxy.address(), "/private/x").status(), 403);
    assert_eq!(get(proxy.address(), "/").text(), "app");
    assert_eq!(proxy.exchange("/private/x").server, "app/<NOSRV>");
}

#[test]
fn a_map_is_read_again_with_a_reload_and_a_wrong_one_changes_nothing() {
    let (app, api) = (origin("app").start(), origin("api").start());
    let directory = Directory::new();
    directory.write("hosts.map", "# host backend\na.test api\n*.b.test api\n");
    let setup = ruled(&app, &["use_backend = { map = \"hosts.map\" }"]).more(&backend("api", &api, ""));
    let mut proxy = setup.start_in(directory);
    let served = |proxy: &Proxy, name: &str| answer_to(proxy, &host(name)).text();
    assert_eq!(served(&proxy, "A.test:1"), "api");
    assert_eq!(served(&proxy, "x.b.test"), "api");
    assert_eq!(served(&proxy, "c.test"), "app");
    proxy.directory.write("hosts.map", "c.test apis\n");
    proxy.hang_up(&setup, "there is no backend `apis`; did you mean `api`?");
    assert_eq!(served(&proxy, "a.test"), "api");
    proxy.directory.write("hosts.map", "c.test api\n");
    proxy.reload(&setup);
    assert_eq!(served(&proxy, "a.test"), "app");
    assert_eq!(served(&proxy, "c.test"), "api");
}

#[test]
fn a_watched_list_that_changes_under_load_fails_no_request() {
    let app = origin("app").start();
    let directory = Directory::new();
    directory.write("deny.txt", "192.0.2.0/24\n");
    let setup = ruled(&app, &["when = { from_file = \"deny.txt\" }\ndeny = true"])
        .frontend("")
        .global("watch = true");
    let proxy = setup.start_in(directory);
    let load = Load::start(proxy.address(), 4);
    load.pass(100);
    for round in 0..3 {
        let lines = proxy.log.all().len();
        let networks: String = (0..5_000).map(|n| format!("10.{round}.{}.{}\n", n / 256, n % 256)).collect();
        let new = proxy.directory.write("new file", networks);
        std::fs::rename(new, proxy.directory.path("deny.txt")).expect("one directory");
        proxy.log.wait_from(lines, "it is read again", |line| line.contains("reloaded addresses="));
        load.pass(50);
    }
    load.stop();
    let lines = proxy.log.all().len();
    proxy.directory.write("deny.txt", "127.0.0.0/8\n");
    proxy.log.wait_from(lines, "it is read again", |line| line.contains("reloaded addresses="));
    assert_eq!(get(proxy.address(), "/").status(), 403);
}

#[test]
fn who_may_not_connect_is_not_heard() {
    let app = origin("app").start();
    let open = proxy().server(&app);
    let mut proxy = open.clone().frontend("deny = \"127.0.0.0/8\"").start();
    client(proxy.address()).expect_end();
    let allowed = open.clone().frontend("allow = \"127.0.0.0/8\"\ndeny = \"192.0.2.0/24\"");
    proxy.reload(&allowed);
    let mut kept = client(proxy.address());
    assert_eq!(kept.get("/").text(), "app");
    proxy.reload(&open.clone().frontend("allow = \"192.0.2.0/24\""));
    let ended =
        kept.wire.write("GET /late HTTP/1.1\r\nhost: a\r\n\r\n").and_then(|()| kept.wire.read_to_end());
    assert!(
        ended.is_err() || ended.is_ok_and(|rest| rest.is_empty()),
        "a list that is new holds for old connections"
    );
    client(proxy.address()).expect_end();
    proxy.reload(&open);
    assert_eq!(get(proxy.address(), "/").text(), "app");
    assert_eq!(app.requests().len(), 2);
}

#[test]
fn a_list_that_cannot_be_read_keeps_the_program_from_starting() {
    let directory = Directory::new();
    directory.write("deny.txt", "10.0.0.0/8\nnonsense\n");
    let setup =
        proxy().server_at("a", "127.0.0.1:1", "").frontend("deny_file = [\"deny.txt\", \"none.txt\"]");
    let config = directory.write("lb.toml", setup.text());
    let (code, _, errors) = run(&["check", config.to_str().expect("a path that is text")]);
    assert_eq!(code, 1);
    assert!(errors.contains("deny.txt line 2: `nonsense` is not a network"), "{errors}");
    assert!(errors.contains("none.txt cannot be read"), "{errors}");
}

#[test]
fn hostile_requests_meet_rules_and_nothing_breaks() {
    let app = origin("app").start();
    let proxy = ruled(
        &app,
        &[
            "when = { host = \"admin.test\" }\ndeny = true",
            "when = { path_regex = \"(a*)*b$\" }\ndeny = 404",
            "when = { path_prefix = \"/r\" }\nredirect = { location = \"https://${host}/${header:x}\" }",
            "rewrite_path = { regex = \"(.*)\", with = \"$1\" }",
        ],
    )
    .start();
    for name in ["ADMIN.test", "admin.test:80", "admin.test.", "admin.test:"] {
        assert_eq!(answer_to(&proxy, &host(name)).status(), 403, "{name}");
    }
    let status = |bytes: &str| answer_to(&proxy, bytes).status();
    assert_eq!(status("GET http://admin.test/ HTTP/1.1\r\nhost: admin.test\r\n\r\n"), 403);
    assert_eq!(status("GET / HTTP/1.1\r\nhost: app.test\r\nhost: admin.test\r\n\r\n"), 400);
    assert_eq!(status("GET http://admin.test/ HTTP/1.1\r\nhost: app.test\r\n\r\n"), 400);
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(15_000));
    assert_eq!(status(&long), 200, "a pattern takes time in proportion to the path");
    assert_eq!(status("GET /r HTTP/1.1\r\nhost: x\r\nx: a\tb\r\n\r\n"), 302);
    for bytes in [
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /%00%0d%0a HTTP/1.1\r\nhost: @@:::[\r\n\r\n",
    ] {
        assert!([200, 400].contains(&status(bytes)), "{bytes:?}");
    }
    assert_eq!(get(proxy.address(), "/").text(), "app");
}

#[test]
fn route_says_what_a_request_would_meet() {
    let directory = Directory::new();
    directory.write("hosts.map", "a.test app\n");
    let setup = proxy().server_at("a", "127.0.0.1:1", "").frontend(
        "[[frontends.web.rules]]\nwhen = { path_prefix = \"/admin\", not = { from = \"10.0.0.0/8\" } }\ndeny = true\n\
         [[frontends.web.rules]]\nuse_backend = { map = \"hosts.map\" }",
    );
    let config = directory.write("lb.toml", setup.text());
    let route = |arguments: &[&str]| {
        let config = config.to_str().expect("a path that is text");
        let said = run(&[&["route"], arguments, &["--config", config]].concat());
        (said.0, said.1 + &said.2)
    };
    let (code, said) = route(&["GET", "http://a.test/admin", "--from", "192.0.2.1"]);
    assert!(code == 0 && said.contains("deny (") && said.contains("403 Forbidden"), "{said}");
    let (code, said) = route(&["GET", "/admin", "-H", "Host: A.test", "--from", "10.0.0.1"]);
    assert!(code == 0 && said.contains("backend app: chosen by rule 2"), "{said}");
    for wrong in
        [&["GET", "nonsense"][..], &["G T", "/"], &["GET", "/", "-H", "x"], &["GET", "/", "--frontend", "wb"]]
    {
        let (code, said) = route(wrong);
        assert_eq!(code, 2, "{wrong:?}: {said}");
    }
}
