//! TLS with servers: whom lb trusts, what it asks for and shows, and what comes of a handshake that fails. The servers
//! are lb's own listeners in front of plain origins.

use rcgen::{CertificateParams, IsCa};

use super::kit::{Authority, Directory, Origin, Proxy, Signed, client, get, origin, proxy, run, until};

/// A server that speaks TLS, by the certificate of this authority, in front of an origin.
fn server(origin: &Origin, authority: &Authority, keys: &str) -> Proxy {
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["app.internal"]).pem());
    directory.write("clients.pem", authority.pem());
    let tls = format!("{{ address = \"127.0.0.1:0\", tls = {{ crt = \"site.pem\"{keys} }} }}");
    proxy().only_bind(&tls).server(origin).start_in(directory)
}

/// lb in front of it, with these keys for the server.
fn before(server: &Proxy, authority: &Authority, keys: &str) -> Proxy {
    let directory = Directory::new();
    directory.write("ca.pem", authority.pem());
    directory.write("lb.pem", authority.sign(&["lb"]).pem());
    let setup = proxy().backend("retries = 0").server_at("s", server.address(), keys);
    setup.start_in(directory)
}

const TRUSTED: &str = "ssl = true\nca_file = \"ca.pem\"\nsni = \"app.internal\"\n";

#[test]
fn requests_go_by_tls_and_connections_are_kept() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let inner = server(&behind, &authority, "");
    let outer = before(&inner, &authority, TRUSTED);
    for _ in 0..3 {
        assert_eq!(get(outer.address(), "/").text(), "a");
    }
    let connections = |line: &super::kit::LogLine| line.line.split(' ').next().map(str::to_owned);
    let clients: Vec<_> = until("all of it is logged", || {
        let lines = inner.exchanges();
        (lines.len() == 3).then(|| lines.iter().map(connections).collect())
    });
    assert!(
        clients.iter().collect::<std::collections::HashSet<_>>().len() <= 2,
        "a worker has one: {clients:?}"
    );
    assert!(inner.exchanges()[0].frontend.ends_with('~'));
}

#[test]
fn a_reload_uses_idle_connections_only_where_trust_and_certificates_are_as_before() {
    let (authority, other, behind) = (Authority::new(), Authority::new(), origin("a").start());
    let inner = server(&behind, &authority, "");
    let directory = Directory::new();
    directory.write("ca.pem", authority.pem());
    let setup = |retries: u32| {
        let setup = proxy().global("nbthread = 1").backend(&format!("retries = {retries}"));
        setup.server_at("s", inner.address(), TRUSTED)
    };
    let mut outer = setup(0).start_in(directory);
    let connections = |count: usize| {
        until("all of it is logged", || (inner.exchanges().len() == count).then_some(()));
        let client = |line: &super::kit::LogLine| line.line.split(' ').next().map(str::to_owned);
        inner.exchanges().iter().map(client).collect::<std::collections::HashSet<_>>().len()
    };
    let mut kept = client(outer.address());
    assert_eq!(kept.get("/").text(), "a");
    outer.reload(&setup(1));
    assert_eq!(kept.get("/").text(), "a");
    assert_eq!(connections(2), 1, "nothing has changed about TLS");
    outer.directory.write("ca.pem", format!("{}{}", authority.pem(), other.pem()));
    outer.reload(&setup(0));
    assert_eq!(kept.get("/").text(), "a");
    assert_eq!(connections(3), 2, "it has been trusted anew");
    outer.directory.write("ca.pem", other.pem());
    outer.reload(&setup(0));
    assert_eq!(kept.get("/").status(), 503, "who is not trusted any more gets nothing, whatever idles");
}

#[test]
fn a_server_that_is_not_trusted_is_not_connected_to() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let inner = server(&behind, &authority, "");
    for (keys, why) in [
        (
            "ssl = true\nca_file = \"ca.pem\"\nsni = \"other.internal\"\n",
            "not valid for name \"other.internal\"",
        ),
        ("ssl = true\nca_file = \"ca.pem\"\n", "not valid for name \"127.0.0.1\""),
        ("ssl = true\nca_file = \"lb.pem\"\nsni = \"app.internal\"\n", "UnknownIssuer"),
        ("ssl = true\nsni = \"app.internal\"\n", "UnknownIssuer"),
    ] {
        let outer = before(&inner, &authority, keys);
        assert_eq!(get(outer.address(), "/").status(), 503, "{keys}");
        assert_eq!(outer.exchange("/").state, "SC--", "{keys}");
        let line = outer.log.wait("the TLS handshake with server s fails");
        assert!(line.contains(why), "{line}");
    }
    let outer = before(&inner, &authority, "ssl = true\nverify = \"none\"\n");
    assert_eq!(get(outer.address(), "/").text(), "a");
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_failed_connection() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let directory = Directory::new();
    directory.write("ca.pem", authority.pem());
    let setup = proxy().backend("retries = 0").server_with(&behind, TRUSTED);
    let outer = setup.start_in(directory);
    behind.cut_connections();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| get(outer.address(), "/"));
        // The origin waits for the end of what it takes for a head.
        until("it has the hello", || (behind.connections() > 0).then_some(()));
        behind.cut_connections();
        assert_eq!(asked.join().expect("no panic").status(), 503);
    });
    assert_eq!(outer.exchange("/").state, "SC--");
}

#[test]
fn lb_shows_its_certificate_to_servers_that_ask() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let inner = server(&behind, &authority, ", verify = \"required\", ca_file = \"clients.pem\"");
    let outer = before(&inner, &authority, &format!("{TRUSTED}crt = \"lb.pem\"\n"));
    assert_eq!(get(outer.address(), "/").text(), "a");
    assert_eq!(behind.requests()[0].header("x-ssl-client-verify"), Some("0"));
    let outer = before(&inner, &authority, TRUSTED);
    assert!(get(outer.address(), "/").status() >= 502);
}

#[test]
fn health_checks_speak_tls_too() {
    let (authority, behind) = (Authority::new(), origin("a").start());
    let inner = server(&behind, &authority, "");
    let check = "check = true\ninter = \"50ms\"\nfall = 1\nrise = 1\n";
    let directory = || {
        let directory = Directory::new();
        directory.write("ca.pem", authority.pem());
        directory
    };
    let setup = |keys: &str| {
        let setup = proxy().backend("httpchk = \"GET /status\"").timeout("check", "30s");
        setup.server_at("s", inner.address(), &format!("{check}{keys}")).start_in(directory())
    };
    let good = setup(TRUSTED);
    until("checks pass through", || (behind.checks() > 2).then_some(()));
    assert_eq!(get(good.address(), "/").text(), "a");
    let bad = setup("ssl = true\nca_file = \"ca.pem\"\nsni = \"other.internal\"\n");
    bad.log.wait("Layer6 invalid response");
    let clear = setup("ssl = true\nca_file = \"ca.pem\"\nsni = \"app.internal\"\ncheck_ssl = false\n");
    clear.log.wait("is DOWN");
}

/// A server that shows this, in front of an origin.
fn showing(origin: &Origin, signed: &Signed) -> Proxy {
    let directory = Directory::new();
    directory.write("site.pem", signed.pem());
    let tls = "{ address = \"127.0.0.1:0\", tls = { crt = \"site.pem\" } }";
    proxy().only_bind(tls).server(origin).start_in(directory)
}

/// What `lb check` says of a configuration whose server is trusted by this file: its exit code, its words, its warnings.
fn checked(ca_file: &str, keys: &str) -> (i32, String, String) {
    let directory = Directory::new();
    directory.write("ca.pem", ca_file);
    let config = directory.write("lb.toml", proxy().server_at("s", "127.0.0.1:1", keys).text());
    run(&["check", config.to_str().expect("a path that is text")])
}

#[test]
fn a_certificate_that_has_signed_itself_is_its_own_authority() {
    let behind = origin("a").start();
    let no_authority: fn(&mut CertificateParams) = |params| params.is_ca = IsCa::ExplicitNoCa;
    for change in [|_: &mut CertificateParams| {}, no_authority] {
        let signed = Signed::by_itself(&["app.internal"], change);
        let inner = showing(&behind, &signed);
        let start = |keys: &str| {
            let directory = Directory::new();
            directory.write("ca.pem", &signed.chain);
            directory.write("other.pem", Signed::by_itself(&["app.internal"], change).chain);
            let check = "check = true\ninter = \"50ms\"\nfall = 1\nrise = 1\n";
            let setup = proxy().backend("httpchk = \"GET /status\"").timeout("check", "30s");
            setup.server_at("s", inner.address(), &format!("{check}{keys}")).start_in(directory)
        };
        let outer = start(TRUSTED);
        assert_eq!(get(outer.address(), "/").text(), "a");
        let checks = behind.checks();
        until("checks pass through", || (behind.checks() > checks + 2).then_some(()));
        let outer = start("ssl = true\nca_file = \"ca.pem\"\nsni = \"other.internal\"\n");
        outer.log.wait("not valid for name \"other.internal\"");
        let outer = start("ssl = true\nca_file = \"other.pem\"\nsni = \"app.internal\"\n");
        outer.log.wait("is DOWN");
    }
}

#[test]
fn check_says_what_a_pinned_certificate_is_good_for() {
    let pinned = Signed::by_itself(&["app.internal"], |params| params.is_ca = IsCa::ExplicitNoCa).chain;
    let (code, said, errors) = checked(&pinned, TRUSTED);
    assert_eq!((code, errors.as_str()), (0, ""), "{errors}");
    assert!(
        said.contains("ca.pem: the certificate of app.internal is no authority's; it is pinned"),
        "{said}"
    );
    let (code, _, errors) = checked(&pinned, &TRUSTED.replace("app.internal", "other.internal"));
    assert_eq!(code, 0);
    assert!(errors.contains("trusts nobody who could be this server"), "{errors}");
    let itself = Signed::by_itself(&["app.internal"], |_| {}).chain;
    let (code, said, errors) = checked(&itself, TRUSTED);
    assert_eq!((code, errors.as_str()), (0, ""), "{errors}");
    assert!(
        said.contains("the certificate of app.internal is an authority's, and is trusted where it is shown")
    );
    let (code, said, _) = checked(Authority::new().pem(), TRUSTED);
    assert!(code == 0 && !said.contains("ca.pem"), "{said}");
}
