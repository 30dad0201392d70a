//! Health checks take servers out and bring them back.

use super::kit::{Answer, Next, get, origin, proxy, until};

#[test]
fn one_failed_check_takes_a_server_out_and_five_passed_ones_bring_it_back() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().checked().server(&a).server(&b).start();
    a.pass_checks(false);
    let down = proxy.log.wait("server app/a is DOWN");
    assert!(down.contains("Layer7 wrong status, code 503"), "{down}");
    assert!(down.contains("1 active and 0 backup servers are left"), "{down}");
    let before = a.requests().len();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    assert_eq!(a.requests().len(), before);
    let failed = a.checks();
    a.pass_checks(true);
    let up = proxy.log.wait("server app/a is UP");
    assert!(up.contains("2 active and 0 backup servers serve"), "{up}");
    assert!(a.checks() >= failed + 5, "{} checks, {failed} of them before it passed", a.checks());
    let served: Vec<String> = (0..2).map(|_| get(proxy.address(), "/").text()).collect();
    assert!(served.contains(&"a".to_owned()), "{served:?}");
}

#[test]
fn a_server_that_refuses_connections_is_out_after_its_first_check() {
    let (mut a, b) = (origin("a").start(), origin("b").start());
    a.kill();
    let proxy = proxy().checked().backend("retries = 0").server(&a).server(&b).start();
    let down = proxy.log.wait("server app/a is DOWN");
    assert!(down.contains("Layer4 connection problem"), "{down}");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
}

#[test]
fn where_every_server_is_down_clients_are_told_at_once() {
    let a = origin("a").start();
    a.pass_checks(false);
    let proxy = proxy().checked().server(&a).start();
    proxy.log.wait("backend app has no server available");
    assert_eq!(get(proxy.address(), "/nobody").status(), 503);
    let line = proxy.exchange("/nobody");
    assert_eq!((line.server.as_str(), line.state.as_str()), ("app/<NOSRV>", "SC--"));
}

#[test]
fn a_check_without_httpchk_only_connects() {
    let mut a = origin("a").start();
    let proxy = proxy().server_with(&a, "check = true\ninter = \"50ms\"\nfall = 1\nrise = 2").start();
    until("it is checked", || (a.connections() > 0).then_some(()));
    assert_eq!(a.checks(), 0);
    a.kill();
    proxy.log.wait("server app/a is DOWN");
    a.bring_back();
    let up = proxy.log.wait("server app/a is UP");
    assert!(up.contains("Layer4 check passed"), "{up}");
}

#[test]
fn a_name_that_does_not_resolve_is_down_and_not_fatal() {
    let b = origin("b").start();
    let proxy = proxy().server_at("a", "no-such-host.invalid:80", "").server(&b).start();
    proxy.log.wait("server app/a is DOWN");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
}

#[test]
fn an_answer_that_requests_would_not_get_passes_no_check() {
    for (answer, why) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "a Transfer-Encoding other than chunked",
        ),
        ("HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n", "a header name that is not a token"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n", "a Content-Length that is not a number"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\n\r\n",
            "a trailer's line end that is not CRLF",
        ),
    ] {
        let a = origin("a").route("/probe", Answer::bytes(answer)).start();
        let proxy = proxy().timeout("check", "30s").backend(&probing("GET /probe")).server(&a).start();
        let down = proxy.log.wait("server app/a is DOWN");
        assert!(down.contains(&format!("Layer7 invalid response, {why}")), "{down}");
    }
}

#[test]
fn a_head_beyond_the_bounds_of_requests_passes_no_check() {
    let lines: String = (0..20).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{lines}\r\n");
    let a = origin("a").route("/probe", Answer::bytes(many)).start();
    let proxy = proxy()
        .timeout("check", "30s")
        .global("tune = { maxhdr = 10 }")
        .backend(&probing("GET /probe"))
        .server(&a)
        .start();
    let down = proxy.log.wait("server app/a is DOWN");
    assert!(down.contains("Layer7 invalid response, too many header lines"), "{down}");
}

#[test]
fn an_interim_answer_is_not_the_answer_to_a_check() {
    let early = |name, last: &'static str| {
        origin(name).script("/probe", move |_, wire| {
            wire.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
            wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            wire.write(last).map(|()| Next::Close)
        })
    };
    let sound = early("a", "HTTP/1.1 204 No Content\r\n\r\n").start();
    let sick = early("b", "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").start();
    let proxy =
        proxy().timeout("check", "30s").backend(&probing("GET /probe")).server(&sound).server(&sick).start();
    let down = proxy.log.wait("server app/b is DOWN");
    assert!(down.contains("Layer7 wrong status, code 503, Busy"), "{down}");
    until("the other was asked more than once", || (sound.requests().len() > 3).then_some(()));
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

/// Lines of a backend whose servers are asked this, often; one failure takes them DOWN.
pub(super) fn probing(request: &str) -> String {
    format!(
        "httpchk = \"{request}\"\ndefault_server = {{ check = true, inter = \"50ms\", fall = 1, rise = 1 }}"
    )
}
