//! What is denied, and how: pages of the user's own, waiting in a tarpit, what browsers learn even then, and lines that
//! clients cannot forge.

use std::time::{Duration, Instant};

use rcgen::{CertificateParams, DnType};
use rustls::version::{TLS12, TLS13};

use super::kit::{Authority, Directory, Origin, Setup, client, origin, proxy};

/// A frontend with rules, each written as the inside of a table.
fn ruled(setup: Setup, rules: &[&str]) -> Setup {
    rules.iter().fold(setup, |setup, rule| setup.frontend(&format!("[[frontends.web.rules]]\n{rule}")))
}

/// TLS on the second address, in clear on the first.
fn on_both(app: &Origin, keys: &str) -> Setup {
    let bind = format!("{{ address = \"127.0.0.2:0\", tls = {{ crt = \"site.pem\"{keys} }} }}");
    proxy().bind(&bind).server(app)
}

#[test]
fn denials_have_pages_of_the_users_own_whatever_the_status() {
    let directory = Directory::new();
    for (name, text) in [("teapot", "short and stout"), ("500", "wait for it"), ("403", "front")] {
        directory.write(&format!("{name}.html"), text);
    }
    directory.write("back.http", "HTTP/1.1 410 Vanished\ncontent-type: text/plain\n\nback\n");
    let app = origin("app").start();
    let setup = proxy()
        .server(&app)
        .frontend("errorfile = { 418 = \"teapot.html\", 500 = \"500.html\", 403 = \"403.html\", 404 = \"/dev/null\" }")
        .backend("errorfile = { 403 = \"back.http\", 451 = \"back.http\" }")
        .backend("[[backends.app.rules]]\nwhen = { path = \"/back\" }\ndeny = true");
    let proxy = ruled(
        setup,
        &[
            "when = { path = \"/tea\" }\ndeny = 418",
            "when = { path = \"/tarpit\" }\ntarpit = \"50ms\"",
            "when = { path = \"/front\" }\ndeny = true",
            "when = { path = \"/law\" }\ndeny = 451",
            "when = { path = \"/silence\" }\ndeny = 404",
        ],
    )
    .start_in(directory);
    let mut client = client(proxy.address());
    for (path, start, text, state, server) in [
        ("/tea", "HTTP/1.1 418 Other", "short and stout", "PR--", "web/<NOSRV>"),
        ("/tarpit", "HTTP/1.1 500 Internal Server Error", "wait for it", "PT--", "web/<NOSRV>"),
        ("/front", "HTTP/1.1 403 Forbidden", "front", "PR--", "web/<NOSRV>"),
        ("/back", "HTTP/1.1 410 Vanished", "back\n", "PR--", "app/<NOSRV>"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.start.as_str(), answer.text().as_str()), (start, text), "{path}");
        let line = proxy.exchange(path);
        assert_eq!(
            (&*line.state, &*line.server, line.status),
            (state, server, answer.status().into()),
            "{path}"
        );
    }
    let law = client.get("/law");
    assert_eq!(law.start, "HTTP/1.1 451 Unavailable For Legal Reasons");
    assert!(law.text().contains("does not allow"), "the backend has no say yet: {}", law.text());
    client.ask("HEAD", "/tea", &[]);
    assert_eq!(client.response_to("HEAD").header("content-length"), Some("15"));
    assert_eq!(client.get("/").text(), "app", "the connection stayed");
    client.ask("GET", "/silence", &[]);
    client.expect_end();
    assert_eq!(proxy.exchange("/silence").status, 404);
}

#[test]
fn a_client_that_leaves_a_tarpit_is_noticed_at_once_and_what_it_sends_is_kept() {
    let app = origin("app").start();
    let proxy = ruled(
        proxy().server(&app),
        &[
            "when = { path_prefix = \"/long\" }\ntarpit = \"1h\"",
            "when = { path = \"/short\" }\ntarpit = \"300ms\"",
        ],
    )
    .start();
    let began = Instant::now();
    let mut left = client(proxy.address());
    left.ask("GET", "/long/left", &[]);
    // More requests are no reason to end, and nobody waits for their answers any more.
    left.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100));
    drop(left);
    let mut half = client(proxy.address());
    half.ask("GET", "/long/half", &[]);
    half.wire.end();
    assert_eq!(half.response().status(), 500, "HAProxy answers such a client too");
    for path in ["/long/left", "/long/half"] {
        let line = proxy.exchange(path);
        assert_eq!((line.status, &*line.state), (500, "PT--"));
    }
    assert!(began.elapsed() < Duration::from_secs(600));

    assert!(app.requests().is_empty());

    let mut patient = client(proxy.address());
    patient.send("POST /short HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo");
    patient.send("dyGET /next HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(patient.response().status(), 500);
    assert_eq!(patient.response().text(), "app");
    assert_eq!(app.requests()[0].target(), "/next");
    assert!(proxy.exchange("/short").timers[4] >= 300);
}

#[test]
fn every_answer_over_tls_tells_browsers_to_come_back_by_tls() {
    let authority = Authority::new();
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    directory.write("own.http", "HTTP/1.1 410 Gone\nStrict-Transport-Security: max-age=0\n\nown\n");
    let app = origin("app").start();
    let limit = "limits = [{ requests = 1, per = \"1h\", key = \"header:x-limited\" }]";
    let setup = on_both(&app, "").frontend("hsts = \"365d\"").frontend(limit);
    let setup = setup.frontend("errorfile = { 410 = \"own.http\" }");
    let rules = [
        "when = { path = \"/deny\" }\ndeny = true",
        "when = { path = \"/451\" }\ndeny = 451",
        "when = { path = \"/tarpit\" }\ntarpit = \"10ms\"",
        "when = { path = \"/to\" }\nredirect = { location = \"/\" }",
        "when = { path = \"/fixed\" }\nrespond = { body = \"fixed\" }",
        "when = { path = \"/gone\" }\nuse_backend = \"gone\"",
        "when = { path = \"/own\" }\ndeny = 410",
    ];
    let gone = "[backends.gone]\nretries = 0\nservers = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n";
    let proxy = ruled(setup, &rules).more(gone).start_in(directory);
    let [clear, secure] = [&proxy.addresses[0], &proxy.addresses[1]];
    let said = Some("max-age=31536000");
    let mut tls = authority.clients().connect(secure, "a.example");
    let mut plain = client(clear);
    for (path, status) in [
        ("/deny", 403),
        ("/451", 451),
        ("/tarpit", 500),
        ("/to", 302),
        ("/fixed", 200),
        ("/gone", 503),
        ("/", 200),
    ] {
        let answer = tls.get(path);
        assert_eq!((answer.status(), answer.header("strict-transport-security")), (status, said), "{path}");
        let answer = plain.get(path);
        assert_eq!((answer.status(), answer.header("strict-transport-security")), (status, None), "{path}");
    }
    assert_eq!(tls.get("/fixed").text(), "fixed", "the answers keep their lengths");
    assert_eq!(tls.get("/own").all("strict-transport-security"), ["max-age=0"]);
    let limited = [("x-limited", "a")];
    assert_eq!(tls.get_with("/", &limited).status(), 200);
    let over = tls.get_with("/", &limited);
    assert_eq!((over.status(), over.header("strict-transport-security")), (429, said));
    tls.send("nonsense\r\n\r\n");
    let bad = tls.response();
    assert_eq!((bad.status(), bad.header("strict-transport-security")), (400, said));
}

#[test]
fn nobody_passes_for_another_by_lines_about_certificates() {
    let authority = Authority::new();
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    directory.write("clients.pem", authority.pem());
    let app = origin("app").start();
    let setup = on_both(&app, ", verify = \"optional\", ca_file = \"clients.pem\"")
        .frontend("limits = [{ requests = 1, per = \"1h\", key = \"header:x-ssl-client-dn\" }]");
    let proxy = ruled(
        setup,
        &[
            "when = { header = { X-SSL-Client-CN = \"alice\" } }\n\
             respond = { status = 204, headers = { x-dn = \"${header:x-ssl-client-dn}\" } }",
            "when = { header = { x-ssl-client-verify = true } }\ndeny = 418",
        ],
    )
    .start_in(directory);
    let [clear, secure] = [&proxy.addresses[0], &proxy.addresses[1]];
    let forged =
        [("x-ssl-client-cn", "alice"), ("X-SSL-Client-DN", "CN=alice"), ("x-ssl-client-verify", "0")];
    // In clear, by TLS without a certificate, and as somebody else; each more often than the limit on names allows.
    let mut strangers = [client(clear), authority.clients().connect(secure, "a.example")];
    for stranger in &mut strangers {
        for _ in 0..2 {
            assert_eq!(stranger.get_with("/", &forged).text(), "app");
        }
    }
    for request in app.requests() {
        assert!(forged.iter().all(|(name, _)| request.header(name).is_none()), "{request:?}");
    }
    let named = |name: &str| {
        let signed = authority.sign_with(&[name], |params: &mut CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, name);
        });
        authority.clients_of(&[&TLS13, &TLS12], Some(&signed)).connect(secure, "a.example")
    };
    assert_eq!(named("bob").get_with("/", &forged).status(), 418);
    let alice = named("alice").get("/");
    assert_eq!(
        (alice.status(), alice.header("x-dn").map(|name| name.contains("CN=alice"))),
        (204, Some(true))
    );
}
