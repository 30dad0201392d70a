use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Loaded};
use crate::http::head::RequestHead;
use crate::http::parse;

/// A configuration whose frontend has these lines; its backends are `app`, `api` and `old`.
fn load(lines: &str) -> Loaded {
    let backend = |name: &str| {
        format!("[backends.{name}]\nservers = [{{ name = \"a\", address = \"10.0.0.1:80\" }}]\n")
    };
    let backends = ["app", "api", "old"].map(backend).concat();
    let text = format!("[frontends.web]\nbind = \"*:80\"\ndefault_backend = \"app\"\n{lines}\n{backends}");
    config::parse(&text, "lb.toml").unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// The rules of a frontend, each written as the inside of a table.
fn rules(each: &[&str]) -> Arc<RuleSet> {
    let lines: Vec<_> = each.iter().map(|rule| format!("[[frontends.web.rules]]\n{rule}")).collect();
    load(&lines.join("\n")).config.frontends[0].rules.clone()
}

fn warnings(each: &[&str]) -> Vec<Flaw> {
    flaws(&rules(each))
}

fn head(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    parse::request(text.as_bytes(), 101, &mut head).expect("a request").expect("a whole one");
    head
}

fn client(address: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(address.parse().expect("an address"), 1234))
}

/// Whether a rule with this condition means the request.
fn means(when: &str, request: &str) -> bool {
    let set = rules(&[&format!("when = {{ {when} }}\ndeny = true")]);
    let head = head(request);
    let mut facts = Facts::new(&head, client("10.1.2.3"));
    facts.local = client("10.0.0.1").map(|local| SocketAddr::new(local.ip(), 443));
    set.rules()[0].when.holds(&facts)
}

#[test]
fn a_host_is_compared_without_its_port_and_case() {
    for (host, fits) in [
        ("a.example", true),
        ("A.Example", true),
        ("a.example:8080", true),
        ("a.example.", true),
        ("a.example.:80", true),
        ("b.example", false),
        ("xa.example", false),
        ("a.example.evil", false),
    ] {
        assert_eq!(means("host = \"a.Example\"", &format!("GET / HTTP/1.1\nhost: {host}")), fits, "{host}");
    }
    for (host, fits) in
        [("x.example", true), ("x.y.EXAMPLE:1", true), ("example", false), ("xexample", false)]
    {
        assert_eq!(means("host = \"*.example\"", &format!("GET / HTTP/1.1\nhost: {host}")), fits, "{host}");
    }
    assert!(means("host = \"[::1]\"", "GET / HTTP/1.1\nhost: [::1]:80"));
    assert!(means("host = \"a.example\"", "GET http://a.example:80/ HTTP/1.1\nhost: a.example:80"));
    assert!(!means("host = \"a.example\"", "GET / HTTP/1.0"));
}

#[test]
fn a_path_is_compared_byte_for_byte() {
    let fits = |when: &str, target: &str| means(when, &format!("GET {target} HTTP/1.1\nhost: a"));
    assert!(fits("path = \"/a\"", "/a"));
    assert!(fits("path = \"/a\"", "/a?b=/c"));
    assert!(!fits("path = \"/a\"", "/A"));
    assert!(!fits("path = \"/a\"", "/%61"));
    assert!(!fits("path = \"/a\"", "//a"));
    assert!(fits("path_prefix = \"/api\"", "/apiary"));
    assert!(!fits("path_prefix = \"/api/\"", "/api"));
    assert!(!fits("path_prefix = \"/api/\"", "/x/../api/"));
    assert!(fits("path_suffix = \".php\"", "/x.php?y"));
    assert!(!fits("path_suffix = \".php\"", "/x?y.php"));
    assert!(fits("path_regex = \"^/[0-9]+$\"", "/123"));
    assert!(!fits("path_regex = \"^/[0-9]+$\"", "/12a"));
    assert!(fits("path = \"/x\"", "http://a/x?y"));
    assert!(!means("path_prefix = \"/\"", "OPTIONS * HTTP/1.1\nhost: a"));
    assert!(means("path = \"*\"", "OPTIONS * HTTP/1.1\nhost: a"));
}

#[test]
fn names_have_values() {
    let request =
        "POST /?a=1&b&c=&d=x%20y HTTP/1.1\nhost: a\nx-A: one\nX-a: two, three\ncookie: s=1; t=\"2\"";
    for (when, fits) in [
        ("method = \"POST\"", true),
        ("method = [\"GET\", \"HEAD\"]", false),
        ("header = { x-a = \"two, three\" }", true),
        ("header = { X-A = \"three\" }", false),
        ("header = { x-a = { prefix = \"two\" } }", true),
        ("header = { x-a = { contains = [\"zz\", \"hre\"] } }", true),
        ("header = { x-a = { suffix = \"ne\" } }", true),
        ("header = { x-a = { regex = \"^t.o\" } }", true),
        ("header = { x-a = false }", false),
        ("header = { x-b = false }", true),
        ("header = { x-b = true }", false),
        ("cookie = { s = \"1\" }", true),
        ("cookie = { S = \"1\" }", false),
        ("cookie = { s = \"1\", u = true }", false),
        ("query = { a = \"1\" }", true),
        ("query = { b = true }", true),
        ("query = { c = \"\" }", true),
        ("query = { d = \"x y\" }", false),
        ("query = { d = \"x%20y\" }", true),
        ("query = { aa = true }", false),
    ] {
        assert_eq!(means(when, request), fits, "{when}");
    }
}

#[test]
fn where_a_request_comes_from_and_how_conditions_are_put_together() {
    let request = "GET / HTTP/1.1\nhost: a";
    for (when, fits) in [
        ("", true),
        ("from = \"10.0.0.0/8\"", true),
        ("from = [\"192.0.2.0/24\", \"10.1.2.3\"]", true),
        ("from = \"fd00::/8\"", false),
        ("port = 443", true),
        ("port = [80, \"400-442\"]", false),
        ("port = \"400-443\"", true),
        ("tls = false", true),
        ("tls = true", false),
        ("not = { method = \"GET\" }", false),
        ("not = [{ method = \"PUT\" }, { host = \"b\" }]", true),
        ("any = [{ method = \"PUT\" }, { host = \"a\" }]", true),
        ("all = [{ method = \"PUT\" }, { host = \"a\" }]", false),
        ("host = \"a\", any = [{ path = \"/x\" }, { not = { port = 80 } }]", true),
    ] {
        assert_eq!(means(when, request), fits, "{when}");
    }
}

/// What the rules make of a request: the backend's index, and what happens besides.
fn decide(each: &[&str], request: &str) -> (Option<usize>, String) {
    let (set, head) = (rules(each), head(request));
    let facts = Facts::new(&head, client("10.1.2.3"));
    let mut decision = Decision::default();
    set.decide(&facts, &mut decision, |_| {});
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut said = Vec::new();
    for edit in decision.request.iter().chain(&decision.response) {
        said.push(match edit {
            HeaderEdit::Remove(name) => format!("-{name}"),
            HeaderEdit::Set(name, value) => format!("{name}={}", text(value)),
            HeaderEdit::Add(name, value) => format!("+{name}={}", text(value)),
        });
    }
    said.extend(decision.target.as_deref().map(text));
    let answered = match decision.ending {
        None => None,
        Some(Ending::Deny(status)) => {
            said.push(format!("deny {status}"));
            None
        }
        Some(Ending::Tarpit(wait, status)) => {
            said.push(format!("tarpit {wait:?} {status}"));
            None
        }
        Some(Ending::Redirect(redirect)) => Some(redirect.answer(&facts)),
        Some(Ending::Respond(respond)) => Some(respond.answer(&facts)),
    };
    if let Some(answered) = answered {
        said.push(answered.status.to_string());
        said.extend(answered.headers.iter().map(|(name, value)| format!("{name}: {}", text(value))));
        said.push(text(&answered.body));
    }
    (decision.backend, said.join(" | ").trim_end_matches(" | ").to_owned())
}

#[test]
fn the_first_backend_counts_edits_add_up_and_the_first_end_is_the_end() {
    let set = [
        "when = { path_prefix = \"/api/\" }\nuse_backend = \"api\"\nrequest = { set_header = { x-a = \"1\" } }",
        "when = { path_prefix = \"/api/old/\" }\nuse_backend = \"old\"\nresponse = { del_header = \"Server\" }",
        "when = { path_suffix = \"/secret\" }\ndeny = true",
        "request = { add_header = { x-b = \"2\" }, del_header = [\"X-C\"] }",
        "when = { method = \"PUT\" }\ntarpit = { for = \"5s\", status = 429 }",
    ];
    let get = |target: &str| decide(&set, &format!("GET {target} HTTP/1.1\nhost: a"));
    assert_eq!(get("/"), (None, "-x-c | +x-b=2".into()));
    assert_eq!(get("/api/x"), (Some(1), "x-a=1 | -x-c | +x-b=2".into()));
    assert_eq!(get("/api/old/x"), (Some(1), "x-a=1 | -x-c | +x-b=2 | -server".into()));
    assert_eq!(get("/api/secret"), (Some(1), "x-a=1 | deny 403".into()));
    assert_eq!(decide(&set, "PUT / HTTP/1.1\nhost: a").1, "-x-c | +x-b=2 | tarpit 5s 429");
}

#[test]
fn redirects_are_those_of_haproxy() {
    let location =
        |redirect: &str, request: &str| decide(&[&format!("redirect = {{ {redirect} }}")], request).1;
    let get = "GET /a/b?c=d HTTP/1.1\nhost: A.test:80";
    for (redirect, expected) in [
        ("location = \"https://x/${path}\", code = 301", "301 | location: https://x//a/b"),
        ("location = \"/x\"", "302 | location: /x | cache-control: no-cache"),
        ("location = \"/x\", code = 303", "303 | location: /x | cache-control: no-cache"),
        ("location = \"/x\", code = 307", "307 | location: /x | cache-control: no-cache"),
        ("location = \"/x\", code = 308", "308 | location: /x"),
        ("prefix = \"https://p\", code = 301", "301 | location: https://p/a/b?c=d"),
        ("prefix = \"/\", code = 301", "301 | location: /a/b?c=d"),
        (
            "prefix = \"https://p\", drop_query = true, append_slash = true, code = 301",
            "301 | location: https://p/a/b/",
        ),
        ("prefix = \"/\", append_slash = true, code = 301", "301 | location: /a/b/?c=d"),
        ("scheme = \"https\", code = 301", "301 | location: https://A.test:80/a/b?c=d"),
        (
            "location = \"/x\", set_cookie = \"A=b\", code = 301",
            "301 | location: /x | set-cookie: A=b; path=/;",
        ),
        (
            "location = \"/x\", clear_cookie = \"A\", code = 301",
            "301 | location: /x | set-cookie: A=; path=/; Max-Age=0;",
        ),
        ("location = \"https://${host}${url}\", code = 301", "301 | location: https://A.test/a/b?c=d"),
    ] {
        assert_eq!(location(redirect, get), expected, "{redirect}");
    }
    let absolute = "GET http://B.test/pre?x HTTP/1.1\nhost: B.test";
    assert_eq!(location("prefix = \"https://p\", code = 301", absolute), "301 | location: https://p/pre?x");
}

#[test]
fn a_path_cannot_turn_a_redirect_into_one_to_another_host() {
    for target in ["//evil.example/x", "///evil.example/x"] {
        let request = format!("GET {target} HTTP/1.1\nhost: a");
        let said = decide(&["redirect = { prefix = \"/\", code = 301 }"], &request).1;
        assert_eq!(said, "301 | location: /evil.example/x");
    }
}

#[test]
fn a_redirect_to_the_host_that_a_client_named_is_none_where_it_named_none() {
    for redirect in [
        "location = \"https://${host}${path}\"",
        "location = \"https://${authority}${url}\"",
        "location = \"//${host}${path}\"",
        "location = \"https://${host}\"",
        "location = \"https://${host}?x\"",
        "prefix = \"https://${host}\"",
        "scheme = \"https\"",
    ] {
        let rule = format!("redirect = {{ {redirect}, code = 301 }}");
        for target in ["/evil.example/x", "/\\evil.example"] {
            let said = |host: &str, rule: &str| decide(&[rule], &format!("GET {target} HTTP/1.0{host}")).1;
            assert_eq!(said("", &rule), "400", "{redirect}");
            assert!(said("\nhost: a", &rule).starts_with("301 | location: "), "{redirect}");
        }
    }
    let elsewhere =
        decide(&["redirect = { location = \"https://p${path}\", code = 301 }"], "GET /x HTTP/1.0").1;
    assert_eq!(elsewhere, "301 | location: https://p/x");
}

#[test]
fn a_fixed_answer_has_its_lines_and_its_body() {
    let rule = "respond = { status = 418, body = \"hi\", headers = { X-Who = \"${src}:${src_port}\" } }";
    assert_eq!(
        decide(&[rule], "GET / HTTP/1.1\nhost: a").1,
        "418 | x-who: 10.1.2.3:1234 | content-type: text/plain | hi"
    );
    assert_eq!(decide(&["respond = { status = 204 }"], "GET / HTTP/1.1\nhost: a").1, "204");
}

#[test]
fn a_fixed_answer_says_nothing_of_what_is_not_there() {
    let rule =
        "respond = { body = \"\", content_type = \"text/html\", headers = { x-who = \"${header:x-no}\" } }";
    assert_eq!(decide(&[rule], "GET / HTTP/1.1\nhost: a").1, "200");
}

#[test]
fn a_path_is_rewritten_and_its_query_stays() {
    let rewritten = |rules: &[&str], target: &str| {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        decide(rules, &format!("{method} {target} HTTP/1.1\nhost: a")).1
    };
    let strip = ["rewrite_path = { prefix = \"/api\", with = \"\" }"];
    assert_eq!(rewritten(&strip, "/api/v1?x=/api"), "/v1?x=/api");
    assert_eq!(rewritten(&strip, "/api"), "/");
    assert_eq!(rewritten(&strip, "/other"), "");
    let swap = ["rewrite_path = { regex = \"^/u/([0-9]+)(/.*)?$\", with = \"/users/${1}/show$2\" }"];
    assert_eq!(rewritten(&swap, "/u/7/edit?q"), "/users/7/show/edit?q");
    let twice = [strip[0], "rewrite_path = { prefix = \"/v1\", with = \"/v2\" }"];
    assert_eq!(rewritten(&twice, "/api/v1/x"), "/v2/x");
    assert_eq!(rewritten(&strip, "http://a/api/x?y"), "http://a/x?y");
    assert_eq!(rewritten(&strip, "*"), "");
    let root = ["rewrite_path = { prefix = \"/\", with = \"/v1/\" }"];
    assert_eq!(rewritten(&root, "http://a?x"), "http://a/v1/?x", "no path is `/`");
    assert_eq!(decide(&root, "OPTIONS http://a HTTP/1.1\nhost: a").1, "", "and in OPTIONS it is `*`");
}

#[test]
fn what_has_no_path_is_not_sent_to_another_host() {
    let to =
        |rule: &str, request: &str| decide(&[rule], &format!("{request} HTTP/1.1\nhost: good.example")).1;
    let scheme = "redirect = { scheme = \"https\", code = 301 }";
    let location = "redirect = { location = \"https://${host}${url}\", code = 301 }";
    assert_eq!(to(scheme, "OPTIONS *"), "301 | location: https://good.example/");
    assert_eq!(to(location, "OPTIONS *"), "301 | location: https://good.example");
    assert_eq!(to(scheme, "GET http://good.example?x"), "301 | location: https://good.example/?x");
    assert_eq!(to(location, "GET http://good.example?x"), "301 | location: https://good.example/?x");
    assert_eq!(decide(&[scheme], "GET /evil.example/ HTTP/1.0").1, "400");
    let slash = "redirect = { location = \"${path}/\", code = 301 }";
    assert_eq!(to(slash, "GET //evil.example/x"), "301 | location: /evil.example/x/");
    assert_eq!(to(slash, "GET /\\evil.example"), "301 | location: /evil.example/");
    let prefix = "redirect = { prefix = \"/\", code = 301 }";
    assert_eq!(to(prefix, "GET /\\/evil.example"), "301 | location: /evil.example");
}

#[test]
fn a_query_is_set_or_what_a_pattern_finds_in_it_gives_way() {
    let set = |rules: &[&str], target: &str| {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        decide(rules, &format!("{method} {target} HTTP/1.1\nhost: a\nx: b c&d#é")).1
    };
    let whole = ["set_query = \"${query}&from=${src}\""];
    assert_eq!(set(&whole, "/x?a=1"), "/x?a=1&from=10.1.2.3");
    assert_eq!(set(&whole, "/x"), "/x?&from=10.1.2.3");
    assert_eq!(set(&["set_query = \"\""], "/x?a=1"), "/x");
    assert_eq!(
        set(&["set_query = \"v=${header:x}\""], "/x?a"),
        "/x?v=b%20c&d%23%C3%A9",
        "nothing ends the target"
    );
    let cut = ["set_query = { regex = \"(^|&)utm_[a-z]+=[^&]*\", with = \"\" }"];
    assert_eq!(set(&cut, "/x?a=1&utm_source=b&c&utm_id=d"), "/x?a=1&c");
    assert_eq!(set(&cut, "/x?utm_source=b"), "/x");
    assert_eq!(set(&cut, "/utm_a=b"), "");
    let both = ["rewrite_path = { prefix = \"/a\", with = \"/b\" }", "set_query = \"p=${path}\"", cut[0]];
    assert_eq!(set(&both, "/a/c?utm_id=1"), "/b/c?p=/a/c");
    assert_eq!(set(&whole, "http://a/x?y"), "http://a/x?y&from=10.1.2.3");
    assert_eq!(set(&whole, "*"), "");
    let options = decide(&["set_query = \"\""], "OPTIONS http://a?x HTTP/1.1\nhost: a").1;
    assert_eq!(options, "http://a/", "without path and query it would ask for the server itself");
}

#[test]
fn a_certificates_lines_are_those_that_are_vouched_for() {
    let head = head("GET / HTTP/1.1\nhost: a");
    let mut facts = Facts::new(&head, client("10.1.2.3"));
    assert_eq!(facts.vouched("x-ssl-client-verify"), None);
    let certificate = Certificate { subject: "O=x", common_name: None };
    facts.tls = Some(Tls { client: Some(certificate), ..Tls::default() });
    let said = |name| facts.headers(name).map(String::from_utf8_lossy).collect::<Vec<_>>();
    assert_eq!(said("X-SSL-Client-DN"), ["O=x"]);
    assert_eq!(said("x-ssl-client-verify"), ["0"]);
    assert!(said("x-ssl-client-cn").is_empty() && said("x-other").is_empty());
    assert_eq!(said("host"), ["a"]);
}

#[test]
fn templates_say_what_they_know() {
    let value = |template: &str| {
        let rule = format!("request = {{ set_header = {{ x = {template:?} }} }}");
        decide(&[&rule], "GET /p?q=1 HTTP/1.1\nhost: H:8\nx-a: v\ncookie: c=k").1
    };
    for (template, expected) in [
        ("${src} ${src_port}", "x=10.1.2.3 1234"),
        (
            "${host}|${authority}|${method}|${path}|${query}|${url}|${scheme}",
            "x=H|H:8|GET|/p|q=1|/p?q=1|http",
        ),
        ("${header:X-A}${cookie:c}${query:q}${query:none}", "x=vk1"),
        ("[${tls_version}${tls_sni}]", "x=[]"),
        ("a$b $${host} ${host}", "x=a$b ${host} H"),
    ] {
        assert_eq!(value(template), expected, "{template}");
    }
    assert_eq!(Template::parse("${hots}"), Err("hots".into()));
    assert_eq!(Template::parse("${host"), Err(String::new()));
}

#[test]
fn rules_that_never_do_anything_are_found() {
    let deny = |when: &str| format!("when = {{ {when} }}\ndeny = true");
    for (first, second) in [
        ("", "path = \"/x\""),
        ("path_prefix = \"/a\"", "path_prefix = \"/a/b\""),
        ("path_prefix = \"/a\"", "path = \"/a/b\", method = \"GET\""),
        ("host = \"*.example\"", "host = [\"a.example\", \"b.example\"]"),
        ("from = \"10.0.0.0/8\"", "from = \"10.1.0.0/16\""),
        ("method = [\"GET\", \"HEAD\"]", "method = \"HEAD\""),
        ("header = { a = true }", "header = { A = \"x\" }"),
        ("path_regex = \"[0-9]\"", "path = \"/1\""),
        ("any = [{ path = \"/a\" }, { host = \"h\" }]", "host = \"h\""),
        ("not = { path_prefix = \"/a/b\" }", "not = { path_prefix = \"/a\" }"),
        ("path = \"/a\", tls = true", "tls = true, path = \"/a\""),
    ] {
        assert_eq!(warnings(&[&deny(first), &deny(second)]), [Flaw::Ended(1, 0)], "{first} / {second}");
        if !first.is_empty() && first != "path = \"/a\", tls = true" {
            assert_eq!(warnings(&[&deny(second), &deny(first)]), [], "{second} / {first}");
        }
    }
    for when in [
        "path = \"/a\", path_prefix = \"/b\"",
        "path_prefix = \"/a\", all = [{ path_prefix = \"/b\" }]",
        "method = \"GET\", not = { method = [\"GET\", \"HEAD\"] }",
        "host = \"a.example\", all = [{ host = \"*.test\" }]",
        "header = { a = false }, all = [{ header = { A = \"1\" } }]",
        "tls = true, not = { tls = true }",
        "port = 80, all = [{ port = \"90-99\" }]",
        "not = {}",
    ] {
        assert_eq!(warnings(&[&deny(when)]), [Flaw::Contradiction(0)], "{when}");
    }
    let choose = "use_backend = \"api\"";
    assert_eq!(warnings(&[choose, "when = { tls = true }\nuse_backend = \"old\""]), [Flaw::Chosen(1, 0)]);
    assert_eq!(warnings(&[choose, "when = { tls = true }\ndeny = true"]), []);
    assert_eq!(warnings(&["use_backend = { map = \"m\" }", choose]), []);
}

#[test]
fn access_is_denied_first_and_then_allowed() {
    let lines = "allow = [\"10.0.0.0/8\", \"::1\"]\ndeny = \"10.6.6.0/24\"";
    let access = load(lines).config.frontends[0].access.clone().expect("there are lists");
    let permits = |address: &str| access.permits(Some(address.parse().expect("an address")));
    assert!(permits("10.1.1.1") && permits("::1"));
    assert!(!permits("10.6.6.6") && !permits("192.0.2.1") && !permits("::2"));
    assert!(access.permits(None));
    assert!(load("").config.frontends[0].access.is_none());
}

fn parsed(text: &str) -> NetworkSet {
    NetworkSet::parse(text).expect("networks")
}

#[test]
fn files_of_networks_have_comments_and_say_which_line_is_wrong() {
    let set = parsed("# all\n10.0.0.0/8 # ours\n\n  192.0.2.1\r\n2001:db8::/32\n::ffff:198.51.100.0/120\n");
    for address in ["10.255.255.255", "192.0.2.1", "2001:db8:ffff::1", "198.51.100.7"] {
        assert!(set.contains(address.parse().expect("an address")), "{address}");
    }
    for address in ["11.0.0.0", "9.255.255.255", "192.0.2.2", "2001:db9::"] {
        assert!(!set.contains(address.parse().expect("an address")), "{address}");
    }
    assert!(parsed("0.0.0.0/0").contains("255.255.255.255".parse().expect("an address")));
    let wrong = NetworkSet::parse("10.0.0.0/8\n10.0.0.0/33\n").expect_err("no such prefix");
    assert!(wrong.starts_with("line 2: `10.0.0.0/33`"), "{wrong}");
    assert!(NetworkSet::parse("a.example").is_err());
}

#[test]
fn maps_know_hosts_and_paths() {
    let names: Vec<Arc<str>> = ["app", "api", "old"].map(Arc::from).into();
    let map =
        Map::parse("# hosts\nA.example api\na.example old\n*.example app extra\n*.b.example old\n\n", &names);
    let map = map.expect("a map");
    for (host, backend) in [
        ("a.example", Some(1)),
        ("A.EXAMPLE", Some(1)),
        ("x.example", Some(0)),
        ("x.y.example", Some(0)),
        ("x.b.example", Some(2)),
        ("b.example", Some(0)),
        ("example", None),
        ("", None),
    ] {
        assert_eq!(map.host(host.as_bytes()), backend, "{host}");
    }
    assert_eq!(map.host(&[b'a'; 300]), None);
    let paths = Map::parse("/ app\n/a/ api\n/a/B old\n", &names).expect("a map");
    for (path, backend) in [("/", 0), ("/x", 0), ("/a/", 1), ("/a/x/y", 1), ("/a/B", 2), ("/a/b", 1)] {
        assert_eq!(paths.path(path.as_bytes()), Some(backend), "{path}");
    }
    assert_eq!(paths.path("/".repeat(100_000).as_bytes()), Some(0));
    let wrong = Map::parse("a api\nb apis\n", &names).expect_err("no such backend");
    assert!(wrong.contains("line 2: there is no backend `apis`; did you mean `api`?"), "{wrong}");
    assert!(Map::parse("a\n", &names).is_err());
}

proptest! {
    #[test]
    fn a_set_of_networks_has_what_its_networks_have(
        networks in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..40),
        wide in prop::collection::vec((any::<u128>(), 0_u8..=128), 0..20),
        addresses in prop::collection::vec(any::<u32>(), 50),
        more in 0_usize..2,
    ) {
        use crate::rules::Network;
        let cut = |address: u32, prefix: u8| address & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let cut_wide = |address: u128, prefix: u8| address & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        let v4 = |(address, prefix): &(u32, u8)| Network { address: IpAddr::from(cut(*address, *prefix).to_be_bytes()), prefix: *prefix };
        let v6 = |(address, prefix): &(u128, u8)| Network { address: IpAddr::from(cut_wide(*address, *prefix).to_be_bytes()), prefix: *prefix };
        // Enough of them for the index, every other time.
        let filler = (0..2_000 * more as u32).map(|n| Network { address: IpAddr::from((n * 2_000_003).to_be_bytes()), prefix: 32 });
        let set = NetworkSet::new(networks.iter().map(v4).chain(wide.iter().map(v6)).chain(filler));
        let near = networks.iter().flat_map(|(address, prefix)| {
            let first = cut(*address, *prefix);
            [first.wrapping_sub(1), first, first | !cut(u32::MAX, *prefix), (first | !cut(u32::MAX, *prefix)).wrapping_add(1)]
        });
        for address in addresses.iter().copied().chain(near) {
            let naive = networks.iter().any(|(network, prefix)| cut(address, *prefix) == cut(*network, *prefix))
                || (address % 2_000_003 == 0 && address / 2_000_003 < 2_000 * more as u32)
                || (0..2_000 * more as u32).any(|n| n.wrapping_mul(2_000_003) == address);
            prop_assert_eq!(set.contains(IpAddr::from(address.to_be_bytes())), naive);
        }
        for (address, prefix) in &wide {
            let first = cut_wide(*address, *prefix);
            let last = first | !cut_wide(u128::MAX, *prefix);
            for address in [first.wrapping_sub(1), first, *address, last, last.wrapping_add(1)] {
                let naive = wide.iter().any(|(network, prefix)| cut_wide(address, *prefix) == cut_wide(*network, *prefix));
                prop_assert_eq!(set.contains(IpAddr::from(address.to_be_bytes())), naive);
            }
        }
    }

    /// Rules made of three letters, against the plainest reading of what they say.
    #[test]
    fn rules_decide_as_the_text_says(
        each in prop::collection::vec((0_usize..4, "[ab]{0,2}", 0_usize..4), 1..8),
        path in "/[ab]{0,3}",
    ) {
        let written: Vec<String> = each.iter().map(|(how, text, what)| {
            let when = ["path = \"/", "path_prefix = \"/", "path_suffix = \"/", "not = { path_prefix = \"/"][*how];
            let end = if *how == 3 { "\" }" } else { "\"" };
            let action = ["use_backend = \"api\"", "use_backend = \"old\"", "deny = true", "request = { add_header = { x = \"1\" } }"][*what];
            format!("when = {{ {when}{text}{end} }}\n{action}")
        }).collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let (mut backend, mut added, mut denied) = (None, 0, false);
        for (how, text, what) in &each {
            let text = format!("/{text}");
            let holds = match how {
                0 => path == text,
                1 => path.starts_with(&text),
                2 => path.ends_with(&text),
                _ => !path.starts_with(&text),
            };
            match (holds, what) {
                (false, _) => {}
                (true, 0 | 1) => backend = backend.or(Some(what + 1)),
                (true, 2) => { denied = true; break; }
                (true, _) => added += 1,
            }
        }
        let (chosen, said) = decide(&written, &format!("GET {path} HTTP/1.1\nhost: a"));
        prop_assert_eq!(chosen, backend);
        prop_assert_eq!(said.matches("+x=1").count(), added);
        prop_assert_eq!(said.contains("deny"), denied);
        // What is said to do nothing does nothing for this request either.
        let set = rules(&written);
        let head = head(&format!("GET {path} HTTP/1.1\nhost: a"));
        let facts = Facts::new(&head, None);
        let mut met = Vec::new();
        set.decide(&facts, &mut Decision::default(), |rule| met.push(rule.span.clone()));
        for flaw in flaws(&set) {
            if let Flaw::Contradiction(index) | Flaw::Ended(index, _) = flaw {
                prop_assert!(!met.contains(&set.rules()[index].span));
            }
        }
    }
}
