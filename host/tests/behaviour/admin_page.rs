//! The status page and its JSON: what the admin listener answers, and that its figures are those of the traffic.

use serde_json::Value;

use super::kit::{Answer, Message, Proxy, client, get, origin, proxy, until};

const ADMIN: &str = "admin = { bind = \"127.0.0.1:0\" }";

/// The address of the admin listener.
fn admin(proxy: &Proxy) -> String {
    let line = proxy.log.wait("admin listens");
    let (_, address) = line.split_once("address=").expect("a line with its address");
    address.split_whitespace().next().expect("an address").to_owned()
}

/// An answer of the admin listener, which wants to be called by an address or `localhost`.
fn ask(admin: &str, method: &str, path: &str) -> Message {
    let mut client = client(admin);
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"));
    client.response_to(method)
}

fn status(admin: &str) -> Value {
    let answer = ask(admin, "GET", "/status.json");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn is_guarded(answer: &Message) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

#[test]
fn the_page_is_one_document_that_may_ask_nobody_but_its_listener() {
    let a = origin("a").start();
    let proxy = proxy().global(ADMIN).server(&a).start();
    let page = ask(&admin(&proxy), "GET", "/");
    assert_eq!(page.status(), 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    is_guarded(&page);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(text.starts_with("<!doctype html>") && text.contains("</html>"));
    for outside in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!text.contains(outside), "{outside}");
    }
    let proxy_admin = admin(&proxy);
    is_guarded(&ask(&proxy_admin, "GET", "/status.json"));
    assert!(ask(&proxy_admin, "HEAD", "/").body.is_empty());
}

#[test]
fn the_json_says_how_circuit_breakers_stand() {
    let a = origin("a").route("/bad", Answer::new(500, "broken")).start();
    let breaker = "circuit_breaker = { error_percent = 50, min_requests = 2, open_for = \"1d\" }";
    let proxy = proxy().global(ADMIN).backend(breaker).server(&a).start();
    let admin = admin(&proxy);
    assert_eq!(status(&admin)["backends"][0]["circuit"], "closed");
    assert!(status(&admin)["backends"][0]["servers"][0]["circuit"].is_null());
    (0..2).for_each(|_| assert_eq!(get(proxy.address(), "/bad").status(), 500));
    proxy.log.wait("backend app: circuit breaker open");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    until("the breaker is seen to be open", || {
        let status = status(&admin);
        let backend = &status["backends"][0];
        (backend["circuit"] == "open" && backend["circuit_refused"] == 1).then_some(())
    });
}

#[test]
fn the_json_agrees_with_the_traffic() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().global(ADMIN).checked().server(&a).server_with(&b, "weight = 0").start();
    let admin = admin(&proxy);
    for _ in 0..5 {
        assert_eq!(get(proxy.address(), "/").status(), 200);
    }
    // An exchange is counted at its end, which the client may see a moment before; the figures are kept for a while.
    let status = until("the requests are counted", || {
        Some(status(&admin)).filter(|status| status["frontends"][0]["requests"] == 5)
    });
    assert_eq!(status["schema"], 1);
    let (frontend, backend) = (&status["frontends"][0], &status["backends"][0]);
    assert_eq!((&frontend["name"], &frontend["responses"]["2xx"]), (&"web".into(), &5.into()));
    assert_eq!((&backend["name"], &backend["state"]), (&"app".into(), &"UP".into()));
    assert_eq!(backend["balance"], serde_json::json!(["roundrobin"]));
    let (one, other) = (&backend["servers"][0], &backend["servers"][1]);
    assert_eq!((&one["requests"], &one["times"]["total"]["count"]), (&5.into(), &5.into()));
    assert_eq!(one["address"], a.address());
    assert_eq!((&other["requests"], &other["state"]), (&0.into(), &"DRAIN".into()));
    assert_eq!(status["policies"][0]["decisions"], 5);
    assert_eq!(status["process"]["pid"], proxy.process.id());
}

#[test]
fn a_server_that_goes_down_says_so_and_why() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().global(ADMIN).checked().server(&a).server(&b).start();
    let admin = admin(&proxy);
    a.pass_checks(false);
    proxy.log.wait("server app/a is DOWN");
    let status = until("it is told", || {
        Some(status(&admin)).filter(|status| status["backends"][0]["servers"][0]["state"] == "DOWN")
    });
    let server = &status["backends"][0]["servers"][0];
    assert_eq!((&server["usable"], &server["downs"]), (&false.into(), &1.into()));
    let change = &server["history"][0];
    assert_eq!(change["up"], false);
    assert!(change["cause"].as_str().is_some_and(|cause| cause.contains("503")), "{change}");
    assert_eq!(status["backends"][0]["state"], "UP");
}

#[test]
fn nobody_can_change_anything() {
    let a = origin("a").start();
    let proxy = proxy().global(ADMIN).server(&a).start();
    let admin = admin(&proxy);
    for path in ["/", "/status.json"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(ask(&admin, method, path).status(), 405, "{method} {path}");
        }
    }
    for path in ["/status", "/status.json/", "/..%2fstatus.json", "/page/app.js"] {
        assert_eq!(ask(&admin, "GET", path).status(), 404, "{path}");
    }
}
