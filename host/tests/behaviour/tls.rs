//! TLS with clients: who gets which certificate, what is refused and how the log tells it, what servers and browsers
//! learn, and certificates that change while traffic flows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rcgen::{CertificateParams, DnType};
use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use super::kit::{
    Answer, Authority, Clients, Directory, Origin, Proxy, Setup, Signal, Signed, client, get, lb,
};
use super::kit::{origin, proxy, until};

const TLS: &str = "127.0.0.2:0";

/// TLS on one address, with these keys beside `crt = "site.pem"`.
fn secured(origin: &Origin, keys: &str) -> Setup {
    let bind = format!("{{ address = \"{TLS}\", tls = {{ crt = \"site.pem\"{keys} }} }}");
    proxy().only_bind(&bind).server(origin)
}

fn files(files: &[(&str, String)]) -> Directory {
    let directory = Directory::new();
    files.iter().for_each(|(name, text)| drop(directory.write(name, text)));
    directory
}

fn der(signed: &Signed) -> Vec<u8> {
    CertificateDer::from_pem_slice(signed.chain.as_bytes()).expect("a certificate").to_vec()
}

/// Puts another file in a file's place, as renewals do.
fn replace(directory: &Directory, name: &str, text: &str) {
    let new = directory.write("new file", text);
    std::fs::rename(new, directory.path(name)).expect("one directory");
}

#[test]
fn a_request_comes_by_tls_and_the_log_shows_it() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let proxy = secured(&server, "").start_in(files(&[("site.pem", authority.sign(&["a.example"]).pem())]));
    let mut client = authority.clients().connect(proxy.address(), "a.example");
    assert_eq!(client.get("/one").text(), "a");
    assert_eq!(client.get("/two").text(), "a");
    assert_eq!(client.settled().version, Some(ProtocolVersion::TLSv1_3));
    assert_eq!(proxy.exchange("/two").frontend, "web~");
    assert_eq!(server.requests()[0].header("x-ssl-client-verify"), None);
    assert_eq!(server.connections(), 1);
}

#[test]
fn each_name_gets_its_certificate_and_others_the_first() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let [first, wildcard, exact] =
        [&["first.example"], &["*.w.example"], &["exact.w.example"]].map(|names| authority.sign(names));
    let directory = files(&[
        ("site.pem", first.pem()),
        ("wildcard.crt", wildcard.chain.clone()),
        ("wildcard.key", wildcard.key.clone()),
    ]);
    std::fs::create_dir(directory.path("more")).expect("a directory");
    directory.write("more/exact.pem", &exact.chain);
    directory.write("more/exact.pem.key", &exact.key);
    let setup = |strict: &str| {
        let crt = "[\"site.pem\", \"wildcard.crt\", \"more\"]";
        let bind = format!("{{ address = \"{TLS}\", tls = {{ crt = {crt}{strict} }} }}");
        proxy().only_bind(&bind).server(&server)
    };
    let mut proxy = setup("").start_in(directory);
    let shown = |address: &str, name: &str| {
        let shown = authority.clients().connect(address, name).settled().certificate;
        [&first, &wildcard, &exact].iter().position(|signed| der(signed) == shown)
    };
    for (name, index) in [("first.example", 0), ("x.w.example", 1), ("exact.w.example", 2)] {
        assert_eq!(shown(proxy.address(), name), Some(index), "{name}");
    }
    let clients = authority.clients();
    assert!(clients.refused(proxy.address(), "b.elsewhere").contains("not valid for name"));
    proxy.reload(&setup(", strict_sni = true"));
    assert!(clients.refused(proxy.address(), "b.elsewhere").contains("alert"));
    assert_eq!(shown(proxy.address(), "x.w.example"), Some(1));
    proxy.log.wait("web/1: SSL handshake failure (");
}

#[test]
fn versions_are_those_that_are_allowed() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let site = authority.sign(&["a.example"]).pem();
    let version = |proxy: &Proxy, versions: &[&'static rustls::SupportedProtocolVersion]| {
        let clients = authority.clients_of(versions, None);
        clients.try_connect(proxy.address(), "a.example").map(|client| client.settled().version)
    };
    let proxy = secured(&server, ", max_version = \"1.2\"").start_in(files(&[("site.pem", site.clone())]));
    assert_eq!(version(&proxy, &[&TLS12, &TLS13]).expect("1.2"), Some(ProtocolVersion::TLSv1_2));
    assert!(version(&proxy, &[&TLS13]).is_err());
    let proxy = secured(&server, ", min_version = \"1.3\"").start_in(files(&[("site.pem", site)]));
    assert_eq!(version(&proxy, &[&TLS12, &TLS13]).expect("1.3"), Some(ProtocolVersion::TLSv1_3));
    assert!(version(&proxy, &[&TLS12]).is_err());
}

#[test]
fn sessions_are_taken_up_again_even_after_a_reload() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let site = authority.sign(&["a.example"]).pem();
    for keys in ["", ", tickets = false"] {
        let setup = secured(&server, keys);
        let mut proxy = setup.start_in(files(&[("site.pem", site.clone())]));
        for versions in [&[&TLS13][..], &[&TLS12]] {
            let clients = authority.clients_of(versions, None);
            let resumed = |proxy: &Proxy| {
                let mut client = clients.connect(proxy.address(), "a.example");
                assert_eq!(client.get("/").status(), 200);
                client.settled().resumed
            };
            assert!(!resumed(&proxy));
            // Each worker has to know it.
            assert!((0..4).all(|_| resumed(&proxy)), "{keys} {versions:?}");
            proxy.hang_up(&setup, "reloaded");
            assert!(resumed(&proxy), "{keys} {versions:?}");
        }
    }
}

#[test]
fn clients_show_certificates_and_servers_learn_of_them() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let directory = || {
        files(&[
            ("site.pem", authority.sign(&["a.example"]).pem()),
            ("clients.pem", authority.pem().to_owned()),
        ])
    };
    let alice = authority.sign_with(&["alice"], |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "alice");
    });
    let both = [&TLS13, &TLS12];
    let spoofed = [("X-SSL-Client-CN", "root"), ("x-ssl-client-dn", "CN=root"), ("x-ssl-client-verify", "0")];
    let lines = |number: usize| {
        let request = &server.requests()[number];
        spoofed.map(|(name, _)| request.all(name).join("|"))
    };

    let required =
        secured(&server, ", verify = \"required\", ca_file = \"clients.pem\"").start_in(directory());
    let mut client = authority.clients_of(&both, Some(&alice)).connect(required.address(), "a.example");
    assert_eq!(client.get_with("/", &spoofed).status(), 200);
    let [name, subject, verified] = lines(0);
    assert_eq!((name.as_str(), verified.as_str()), ("alice", "0"));
    assert!(subject.contains("O=Example") && subject.contains("CN=alice"), "{subject}");
    assert!(authority.clients().refused(required.address(), "a.example").contains("alert"));
    required.log.wait("web/1: SSL handshake failure (peer sent no certificates)");
    let stranger = Authority::new().sign(&["alice"]);
    let refused = authority.clients_of(&both, Some(&stranger)).refused(required.address(), "a.example");
    assert!(refused.contains("alert"), "{refused}");
    required.log.wait("web/1: SSL client CA chain cannot be verified (");

    let optional =
        secured(&server, ", verify = \"optional\", ca_file = \"clients.pem\"").start_in(directory());
    let mut client = authority.clients().connect(optional.address(), "a.example");
    assert_eq!(client.get_with("/", &spoofed).status(), 200);
    assert_eq!(lines(1), ["", "", ""]);
    let mut client = authority.clients_of(&both, Some(&alice)).connect(optional.address(), "a.example");
    assert_eq!(client.get_with("/", &spoofed).status(), 200);
    assert_eq!(lines(2)[0], "alice");
}

#[test]
fn a_session_does_not_pass_for_a_certificate_that_is_asked_for_since() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let site = authority.sign(&["a.example"]).pem();
    let directory = files(&[("site.pem", site), ("clients.pem", authority.pem().to_owned())]);
    let mut proxy = secured(&server, "").start_in(directory);
    let clients = authority.clients();
    assert_eq!(clients.connect(proxy.address(), "a.example").get("/").status(), 200);
    proxy.reload(&secured(&server, ", verify = \"required\", ca_file = \"clients.pem\""));
    assert!(clients.refused(proxy.address(), "a.example").contains("alert"));
}

#[test]
fn what_is_no_tls_ends_and_is_logged() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let proxy = secured(&server, "")
        .log_null()
        .timeout("http_request", "300ms")
        .start_in(files(&[("site.pem", authority.sign(&["a.example"]).pem())]));
    let sent = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        stream.write_all(bytes).expect("it is taken");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer[0] == 21, "no more than an alert: {answer:?}");
    };
    sent(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    proxy.log.wait("web/1: SSL handshake failure (received corrupt message of type InvalidContentType)");
    sent(&[0; 4096]);
    sent(&[22, 3, 1, 0xff, 0xff, 1, 0, 0, 5, 3, 3]);
    // The beginning of a hello, and then silence.
    sent(&[22, 3, 1, 2, 0, 1, 0, 1]);
    proxy.log.wait("web/1: Timeout during SSL handshake");
    sent(b"");
    let half = TcpStream::connect(proxy.address()).expect("a connection");
    (&half).write_all(&[22, 3, 1, 2, 0, 1]).expect("it is taken");
    half.shutdown(std::net::Shutdown::Write).expect("it is open");
    proxy.log.wait("web/1: Connection closed during SSL handshake");
    // Nobody holds a place, and who knows TLS is served.
    let mut client = authority.clients().connect(proxy.address(), "a.example");
    assert_eq!(client.get("/after").status(), 200);
    assert_eq!(proxy.exchange("/after").counts[0], 1);
}

#[test]
fn a_frontend_in_clear_sends_everybody_to_https_and_browsers_stay_there() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let setup = secured(&server, "")
        .bind("127.0.0.1:0")
        .frontend("redirect_https = { code = 308, port = 8443 }")
        .frontend("hsts = { max_age = \"365d\", include_subdomains = true }");
    let proxy = setup.start_in(files(&[("site.pem", authority.sign(&["a.example"]).pem())]));
    let [clear, secure] = [&proxy.addresses[0], &proxy.addresses[1]];
    let mut connection = client(clear);
    for _ in 0..2 {
        let answer = connection.get_with("/x?y", &[]);
        assert_eq!((answer.status(), answer.header("location")), (308, Some("https://test:8443/x?y")));
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    assert!(server.requests().is_empty());
    let line = proxy.exchange("/x?y");
    assert_eq!((line.state.as_str(), line.server.as_str()), ("LR--", "web/<NOSRV>"));
    let answer = authority.clients().connect(secure, "a.example").get("/");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
}

#[test]
fn cookies_of_persistence_are_secure_behind_tls_unless_told_otherwise() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let site = authority.sign(&["a.example"]).pem();
    let cookies = |settings: &str| {
        let backend = format!("cookie = {{ name = \"S\", insert = true{settings} }}");
        let bind = format!("{{ address = \"{TLS}\", tls = {{ crt = \"site.pem\" }} }}");
        let setup = proxy().only_bind(&bind).bind("127.0.0.1:0").backend(&backend);
        let setup = setup.server_with(&server, "cookie = \"a\"");
        let proxy = setup.start_in(files(&[("site.pem", site.clone())]));
        let of = |answer: super::kit::Message| answer.header("set-cookie").map(str::to_owned);
        let clear = of(get(&proxy.addresses[0], "/"));
        let secure = of(authority.clients().connect(&proxy.addresses[1], "a.example").get("/"));
        (clear.expect("a cookie"), secure.expect("a cookie"))
    };
    let plain = "S=a; path=/";
    assert_eq!(cookies(""), (plain.into(), format!("{plain}; HttpOnly; Secure")));
    assert_eq!(cookies(", secure = false"), (plain.into(), format!("{plain}; HttpOnly")));
    assert_eq!(cookies(", secure = false, httponly = false"), (plain.into(), plain.into()));
}

#[test]
fn large_bodies_pass_both_ways() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let large = body.clone();
    let server = origin("a").route("/large", Answer::new(200, large)).start();
    let authority = Authority::new();
    let proxy = secured(&server, "").start_in(files(&[("site.pem", authority.sign(&["a.example"]).pem())]));
    let mut client = authority.clients().connect(proxy.address(), "a.example");
    assert!(client.get("/large").body == body);
    client.send(format!("POST /up HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert_eq!(client.response().status(), 200);
    until("the origin has all of it", || (server.requests()[1].body == body).then_some(()));
    assert!(client.get("/large").body == body);
}

/// Clients that ask again and again, over TLS, some on new connections, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Result<(), String>>>,
}

impl Load {
    fn start(clients: &Clients, address: &str) -> Load {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |_| {
            let (stop, served) = (stop.clone(), served.clone());
            let (clients, address) = (clients.clone(), address.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let mut client =
                        clients.try_connect(&address, "a.example").map_err(|error| error.to_string())?;
                    for _ in 0..5 {
                        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
                        let mut head = client.wire.head().map_err(|error| error.to_string())?;
                        let answer = head.as_mut().ok_or("the connection ended")?;
                        let whole = client.wire.response_body(answer, false);
                        whole.map_err(|error| error.to_string())?;
                        served.fetch_add(1, Relaxed);
                        if answer.header("connection") == Some("close") {
                            break;
                        }
                    }
                }
                Ok(())
            })
        };
        Load { clients: (0..3).map(one).collect(), stop: stop.clone(), served: served.clone() }
    }

    #[track_caller]
    fn pass(&self, answers: usize) {
        let before = self.served.load(Relaxed);
        until("enough is served", || {
            let failed = self.clients.iter().any(|client| client.is_finished());
            (failed || self.served.load(Relaxed) >= before + answers).then_some(())
        });
    }

    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("no panic").expect("no failure"));
    }
}

#[test]
fn certificates_change_under_load_and_broken_ones_stay_out() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let [old, new, newer] = [(); 3].map(|()| authority.sign(&["a.example"]));
    let setup = secured(&server, "");
    let proxy = setup.clone().start_in(files(&[("site.pem", old.pem())]));
    let load = Load::start(&authority.clients(), proxy.address());
    let shown = || authority.clients().connect(proxy.address(), "a.example").settled().certificate;
    let after = |text: &str, outcome: &str| {
        load.pass(20);
        let lines = proxy.log.all().len();
        replace(&proxy.directory, "site.pem", text);
        proxy.process.signal(Signal::Hangup);
        proxy.log.wait_from(lines, outcome, |line| line.contains(outcome));
        load.pass(20);
    };
    let mut kept = authority.clients().connect(proxy.address(), "a.example");
    assert_eq!(shown(), der(&old));
    after(&new.pem(), "reloaded");
    assert_eq!(shown(), der(&new));
    after(&new.chain, "the old one stays");
    proxy.log.wait("there is no private key in");
    assert_eq!(shown(), der(&new));
    after(&newer.pem(), "reloaded");
    assert_eq!(shown(), der(&newer));
    assert_eq!(kept.get("/").status(), 200);
    load.stop();
}

#[test]
fn with_watch_a_certificate_that_changes_is_taken_up_by_itself() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let [old, new] = [(); 2].map(|()| authority.sign(&["a.example"]));
    let setup = secured(&server, "").global("watch = true");
    let proxy = setup.start_in(files(&[("site.pem", old.pem())]));
    replace(&proxy.directory, "site.pem", &new.pem());
    proxy.log.wait("reloaded");
    let shown = authority.clients().connect(proxy.address(), "a.example").settled().certificate;
    assert_eq!(shown, der(&new));
}

#[test]
fn files_that_cannot_serve_are_told_what_is_wrong_with_them() {
    let authority = Authority::new();
    let [site, other] = [(); 2].map(|()| authority.sign(&["a.example"]));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (text, keys, message) in [
        (String::new(), "", "error: there is no certificate in `site.pem`"),
        ("no PEM at all".into(), "", "error: there is no certificate in `site.pem`"),
        (
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into(),
            "",
            "error: `site.pem` is not PEM that can be read",
        ),
        (site.chain.clone(), "", "error: there is no private key in `site.pem`"),
        (
            site.chain.clone() + encrypted,
            "",
            "help: the one that is there is encrypted: decrypt it with `openssl pkey`",
        ),
        (
            site.chain.clone() + &other.key,
            "",
            "error: the private key in `site.pem` does not belong to the certificate in `site.pem`",
        ),
        (
            site.chain.clone(),
            ", key = \"no.key\"",
            "error: cannot read `no.key`: No such file or directory (os error 2)",
        ),
        (
            site.pem(),
            ", verify = \"optional\", ca_file = \"no.pem\"",
            "error: cannot read `no.pem`: No such file or directory (os error 2)",
        ),
        (
            site.pem(),
            ", verify = \"optional\", ca_file = \"lb.toml\"",
            "error: there is no authority's certificate in `lb.toml`",
        ),
        (
            authority.sign_for_days(&["a.example"], -3).pem(),
            "",
            "warning: the certificate in `site.pem` expired 3 days ago",
        ),
        (
            authority.sign_for_days(&["a.example"], 12).pem(),
            "",
            "warning: the certificate in `site.pem` expires in 12 days",
        ),
    ] {
        let said = checked(&text, keys);
        assert!(said.contains(message), "{message}:\n{said}");
        assert!(said.contains(" --> lb.toml:"), "{said}");
    }
    assert!(!checked(&site.pem(), "").contains("site.pem"));
}

/// What `lb check` says.
fn checked(site: &str, keys: &str) -> String {
    let directory = files(&[("site.pem", site.to_owned())]);
    let server = origin("a").start();
    directory.write("lb.toml", secured(&server, keys).text());
    let output = lb(&["check"]).current_dir(directory.as_ref()).output().expect("it runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_log_warns_of_certificates_that_end() {
    let (authority, server) = (Authority::new(), origin("a").start());
    let soon = authority.sign_for_days(&["a.example"], 12).pem();
    let proxy = secured(&server, "").start_in(files(&[("site.pem", soon)]));
    proxy.log.wait("expires in 12 days: renew it");
}
