//! What a request means is one thing, to rules, servers and the log, whichever version of HTTP it comes by: which host and
//! path it is for, and what it says of its client.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::http2::{PREFACE, frame};
use super::kit::{Authority, Directory, PATIENCE, Proxy, client, origin, proxy, until};

/// The status of the answer to a request line and lines, by HTTP/1.1.
fn http1(proxy: &Proxy, line: &str, lines: &str) -> u16 {
    let mut client = client(proxy.address());
    client.send(format!("{line}\r\n{lines}\r\n"));
    client.response_to(line.split(' ').next().expect("a method")).status()
}

/// A connection of HTTP/2 whose client says whatever it likes, and its last stream.
struct Raw(TcpStream, u32);

impl Raw {
    fn connect(proxy: &Proxy) -> Raw {
        let mut socket = TcpStream::connect(proxy.address()).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("nothing fails here");
        socket.write_all(PREFACE).expect("nothing fails here");
        Raw(socket, 0)
    }

    /// The status of the answer to these fields; 0 for a reset.
    fn ask(&mut self, fields: &[(&str, &[u8])]) -> u16 {
        let mut block = Vec::new();
        for (name, value) in fields {
            let lengths =
                [name.len(), value.len()].map(|length| u8::try_from(length).expect("a short field"));
            block.extend([0x40, lengths[0]]);
            block.extend(name.bytes());
            block.push(lengths[1]);
            block.extend(*value);
        }
        self.ask_in(&[&block])
    }

    /// The status of the answer to a block in so many frames.
    fn ask_in(&mut self, blocks: &[&[u8]]) -> u16 {
        self.1 += if self.1 == 0 { 1 } else { 2 };
        let stream = self.1;
        for (number, block) in blocks.iter().enumerate() {
            let (kind, end_stream) = if number == 0 { (1, 1) } else { (9, 0) };
            let end_headers = if number + 1 == blocks.len() { 4 } else { 0 };
            let frame = frame(kind, end_stream | end_headers, stream, block);
            self.0.write_all(&frame).expect("nothing fails here");
        }
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).expect("a frame");
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).expect("a whole frame");
            assert_ne!(head[3], 7, "the connection ends: {payload:?}");
            if head[5..] != stream.to_be_bytes() {
                continue;
            }
            match (head[3], payload.first()) {
                (1, Some(0x88)) => return 200,
                (1, Some(0x8c)) => return 400,
                (3, _) => return 0,
                _ => {}
            }
        }
    }

    fn get(&mut self, path: &[u8]) -> u16 {
        self.ask(&[(":method", b"GET"), (":scheme", b"http"), (":authority", b"a.test"), (":path", path)])
    }
}

#[test]
fn a_target_that_is_neither_a_path_nor_a_url_is_refused_by_either_version() {
    let a = origin("a").start();
    let rule = "rules = [{ when = { path_prefix = \"/admin\" }, deny = true }]";
    let proxy = proxy().server(&a).frontend(rule).start();
    for target in [
        "admin?://x",
        "admin?a=://x/",
        "admin/://x",
        "1http://x/",
        ".://x/y",
        "x",
        "?x",
        "*",
        "/a#b",
        "http:///a",
    ] {
        assert_eq!(http1(&proxy, &format!("GET {target} HTTP/1.1"), "host: x\r\n"), 400, "{target}");
    }
    let mut raw = Raw::connect(&proxy);
    for path in ["admin?://x", "x", "?x", "*", "/a#b", "/a b", "/a\tb"] {
        assert_eq!(raw.get(path.as_bytes()), 400, "{path}");
    }
    assert_eq!(a.requests().len(), 0);
    assert!(proxy.exchanges().iter().all(|line| line.request == "<BADREQ>" && line.state == "PR--"));
    assert_eq!(http1(&proxy, "GET http://x?y HTTP/1.1", "host: x\r\n"), 200);
    assert_eq!(http1(&proxy, "GET http://x/admin HTTP/1.1", "host: x\r\n"), 403);
    assert_eq!((http1(&proxy, "OPTIONS * HTTP/1.1", "host: x\r\n"), a.requests()[1].target()), (200, "*"));
}

#[test]
fn urls_as_clients_send_them_pass_by_either_version_and_bytes_that_no_url_has_by_none() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut raw = Raw::connect(&proxy);
    for (number, path) in ["/?q=\"x\"", "/?q=<b>", "/a`b", "/?q=a>1", "/{a}|b^c\\d[e]", "/<|>", "/%zz?a=b"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            (raw.get(path.as_bytes()), http1(&proxy, &format!("GET {path} HTTP/1.1"), "host: a.test\r\n")),
            (200, 200),
            "{path}"
        );
        let seen = &a.requests()[2 * number..];
        assert_eq!((seen[0].target(), seen[1].target()), (path, path));
    }
    assert_eq!(proxy.exchange("http://a.test/?q=#22x#22").status, 200);
    for path in [&b"/\xe9"[..], "/é".as_bytes(), b"/\x7f", b"/\x01"] {
        assert_eq!(raw.get(path), 400, "{path:?}");
        let mut client = client(proxy.address());
        client.send([b"GET ", path, b" HTTP/1.1\r\nhost: a.test\r\n\r\n"].concat());
        assert_eq!(client.response().status(), 400, "{path:?}");
    }
    assert_eq!((raw.get(b"/after"), a.requests().len()), (200, 15), "the connection goes on");
    until("each that was refused has its line", || {
        let lines = proxy.exchanges();
        (lines.iter().filter(|line| line.request == "<BADREQ>").count() == 8).then_some(())
    });
}

#[test]
fn a_path_that_is_named_by_its_place_in_the_table_is_the_same_again() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut raw = Raw::connect(&proxy);
    assert_eq!(raw.get(b"/<a>"), 200);
    // The four fields before, and nothing else; in two frames.
    assert_eq!(raw.ask_in(&[b"\xc1\xc0", b"\xbf\xbe"]), 200);
    assert_eq!(raw.ask_in(&[b"\x82\x86\x84\xbf"]), 200);
    let targets: Vec<_> = a.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(targets, ["/<a>", "/<a>", "/"]);
}

#[test]
fn a_request_names_one_host_or_is_refused_by_either_version() {
    let a = origin("a").start();
    let rule = "rules = [{ when = { not = { host = \"public.example\" } }, deny = true }]";
    let proxy = proxy().server(&a).frontend(rule).start();
    let hosts = [
        "secret.example:80@public.example",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "a:b:c",
        "[::1",
        "a:99999",
        "a..b",
        "a%62",
        ":80",
        "a\"b",
    ];
    for host in hosts {
        assert_eq!(http1(&proxy, "GET / HTTP/1.1", &format!("host: {host}\r\n")), 400, "{host}");
        if !host.contains([' ', '/']) {
            assert_eq!(http1(&proxy, &format!("GET http://{host}/ HTTP/1.1"), "host: a\r\n"), 400, "{host}");
        }
        assert_eq!(http1(&proxy, &format!("CONNECT {host}:1 HTTP/1.1"), "host: a\r\n"), 400, "{host}");
    }
    for (line, lines) in [
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.1", "host:\r\n"),
        ("GET / HTTP/1.0", "host: a@b\r\n"),
        ("GET / HTTP/1.1", "host: a\r\nhost: a\r\n"),
        ("GET https://a:80/ HTTP/1.1", "host: a\r\n"),
        ("CONNECT a:8080 HTTP/1.1", "host: a\r\n"),
        ("CONNECT a:8080 HTTP/1.1", ""),
    ] {
        assert_eq!(http1(&proxy, line, lines), 400, "{line} {lines}");
    }
    let mut raw = Raw::connect(&proxy);
    for host in hosts {
        let fields: [(&str, &[u8]); 4] =
            [(":method", b"GET"), (":scheme", b"http"), (":path", b"/"), (":authority", host.as_bytes())];
        assert_eq!(raw.ask(&fields), 400, "{host}");
        let fields = [fields[0], fields[1], fields[2], ("host", host.as_bytes())];
        assert_eq!(raw.ask(&fields), 400, "{host}");
    }
    assert_eq!(a.requests().len(), 0);
    assert_eq!(proxy.exchanges().iter().filter(|line| line.request != "<BADREQ>").count(), 0);
}

#[test]
fn a_port_that_the_scheme_implies_may_be_left_out() {
    let a = origin("a").start();
    let rule = "rules = [{ when = { not = { host = \"h\" } }, deny = true }]";
    let proxy = proxy().server(&a).frontend(rule).start();
    for (target, host) in [
        ("/", "h:"),
        ("/", "H.:8080"),
        ("https://h:443/", "h"),
        ("https://h/", "h:443"),
        ("HTTP://h:/", "h:80"),
        ("http://h/", "H"),
    ] {
        assert_eq!(
            http1(&proxy, &format!("GET {target} HTTP/1.1"), &format!("host: {host}\r\n")),
            200,
            "{target} {host}"
        );
    }
    let mut raw = Raw::connect(&proxy);
    let fields: [(&str, &[u8]); 5] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":path", b"/"),
        (":authority", b"h:443"),
        ("host", b"h"),
    ];
    assert_eq!(raw.ask(&fields), 200);
    assert_eq!(http1(&proxy, "GET / HTTP/1.0", ""), 403, "HTTP/1.0 may name none");
}

#[test]
fn no_redirect_leads_to_a_host_that_a_client_put_into_its_target() {
    let a = origin("a").start();
    let to_https = proxy().server(&a).frontend("redirect_https = 301").start();
    let by_rule =
        proxy().server(&a).frontend("rules = [{ redirect = { scheme = \"https\", code = 301 } }]").start();
    for proxy in [&to_https, &by_rule] {
        let location = |line: &str, host: &str| {
            let mut client = client(proxy.address());
            client.send(format!("{line} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
            client.response().header("location").map(str::to_owned)
        };
        assert_eq!(location("GET http://evil.example:80@good.example/x", "good.example"), None);
        assert_eq!(location("GET /x", "good.example@evil.example"), None);
        assert_eq!(location("OPTIONS *", "good.example").as_deref(), Some("https://good.example/"));
        assert_eq!(
            location("GET http://good.example?q", "good.example").as_deref(),
            Some("https://good.example/?q")
        );
        assert_eq!(
            location("GET //evil.example/x", "good.example").as_deref(),
            Some("https://good.example//evil.example/x")
        );
    }
}

#[test]
fn a_host_that_rules_set_is_the_one_that_servers_see() {
    let a = origin("a").start();
    let rule = "rules = [{ request = { set_header = { host = \"inner.test\" } } }]";
    let proxy = proxy().server(&a).backend(rule).start();
    assert_eq!(http1(&proxy, "GET http://outer.test/x?y HTTP/1.1", "host: outer.test\r\n"), 200);
    let seen = &a.requests()[0];
    assert_eq!((seen.target(), seen.all("host")), ("/x?y", vec!["inner.test"]));
}

const UNDERSCORES: &str = "host: a\r\nX_Forwarded_For: 1.1.1.1\r\nX_SSL_Client_CN: admin\r\nx.real.ip: 1\r\nX-Plain: 2\r\n\
                           X_Other: 3\r\n";

#[test]
fn lines_that_servers_may_take_for_others_do_not_reach_them() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).frontend("forwardfor = true").start();
    assert_eq!(http1(&proxy, "GET / HTTP/1.1", UNDERSCORES), 200);
    let mut raw = Raw::connect(&proxy);
    let fields: [(&str, &[u8]); 6] = [
        (":method", b"GET"),
        (":scheme", b"http"),
        (":path", b"/"),
        (":authority", b"a"),
        ("x_forwarded_for", b"1.1.1.1"),
        ("x-plain", b"2"),
    ];
    assert_eq!(raw.ask(&fields), 200);
    for request in a.requests() {
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["host", "x-plain", "x-forwarded-for"]);
        assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
    }
}

#[test]
fn whoever_asks_for_it_has_such_lines_refused_or_passed_on() {
    let a = origin("a").start();
    let refusing = proxy().server(&a).frontend("headers_with_underscores = \"refuse\"").start();
    assert_eq!(http1(&refusing, "GET / HTTP/1.1", UNDERSCORES), 400);
    assert_eq!(refusing.exchange("<BADREQ>").state, "PR--");
    assert_eq!(http1(&refusing, "GET / HTTP/1.1", "host: a\r\nx-plain: 1\r\n"), 200);
    let allowing =
        proxy().server(&a).frontend("headers_with_underscores = \"allow\"\nforwardfor = true").start();
    assert_eq!(http1(&allowing, "GET / HTTP/1.1", UNDERSCORES), 200);
    let request = &a.requests()[1];
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["host", "x.real.ip", "x-plain", "x_other", "x-forwarded-for"],
        "what is ours stays ours"
    );
}

#[test]
fn a_certificate_is_not_forged_by_another_frontend_of_the_same_servers() {
    let (authority, a, other) = (Authority::new(), origin("a").start(), origin("other").start());
    let tls = "tls = { crt = \"site.pem\", verify = \"optional\", ca_file = \"ca.pem\" }";
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    directory.write("ca.pem", authority.pem());
    let more = format!(
        "[frontends.secure]\nbind = [{{ address = \"127.0.0.2:0\", {tls} }}]\ndefault_backend = \"app\"\n\
         [backends.other]\nservers = [{{ name = \"other\", address = \"{}\" }}]\n",
        other.address()
    );
    let rule = "rules = [{ when = { path = \"/other\" }, use_backend = \"other\" }]";
    let shared = proxy().server(&a).frontend(rule).more(&more).start_in(directory);
    let forged = "host: a\r\nX-SSL-Client-CN: admin\r\nx-ssl-client-verify: 0\r\n";
    assert_eq!(http1(&shared, "GET / HTTP/1.1", forged), 200);
    assert_eq!(a.requests()[0].headers.len(), 1, "{:?}", a.requests()[0].headers);
    // Nobody tells these servers of certificates, and whoever is in front of this program may.
    let alone = proxy().server(&a).start();
    assert_eq!(http1(&alone, "GET / HTTP/1.1", forged), 200);
    assert_eq!(a.requests()[1].header("x-ssl-client-cn"), Some("admin"));
}

#[test]
fn a_rule_may_look_at_the_name_of_the_handshake_and_another_host_be_misdirected() {
    let (authority, a) = (Authority::new(), origin("a").start());
    let files = || {
        let directory = Directory::new();
        directory.write("site.pem", authority.sign(&["a.example", "b.example", "127.0.0.2"]).pem());
        directory
    };
    let bind = "{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\", strict_sni = true } }";
    let status = |proxy: &Proxy, name: &str, host: &str| {
        let mut client = authority.clients().connect(proxy.address(), name);
        client.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        client.response().status()
    };
    let rule = "rules = [{ when = { sni = \"b.example\" }, deny = 421 }]";
    let named = proxy().only_bind(bind).server(&a).frontend(rule).start_in(files());
    assert_eq!(status(&named, "a.example", "b.example"), 200);
    assert_eq!(status(&named, "b.example", "a.example"), 421);
    let strict = proxy().only_bind(bind).server(&a).frontend("strict_sni_host = true").start_in(files());
    assert_eq!(status(&strict, "a.example", "A.example.:443"), 200);
    assert_eq!(status(&strict, "a.example", "b.example"), 421);
}
