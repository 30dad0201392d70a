//! Clients keep their server by a cookie.

use std::time::{Duration, Instant};

use super::kit::{Answer, Message, Setup, Wire, client, get, origin, proxy, until};

fn sticky() -> Setup {
    proxy()
        .frontend("forwardfor = true")
        .backend("cookie = { name = \"SERVER\", insert = true, indirect = true, nocache = true }")
}

#[test]
fn the_first_answer_carries_the_cookie_and_is_private_where_it_could_be_cached() {
    let etag = Answer::new(200, "x").header("ETag", "\"1\"");
    let a = origin("web-a").route("/tagged", etag).start();
    let proxy = sticky().server_with(&a, "cookie = \"web-a\"").start();
    let tagged = get(proxy.address(), "/tagged");
    assert_eq!(tagged.all("set-cookie"), ["SERVER=web-a; path=/"]);
    assert_eq!(tagged.all("cache-control"), ["private"]);
    let bare = get(proxy.address(), "/");
    assert_eq!(bare.all("set-cookie"), ["SERVER=web-a; path=/"]);
    assert_eq!(bare.all("cache-control"), Vec::<&str>::new());
    assert_eq!(proxy.exchange("/tagged").state, "--NI");
}

#[test]
fn with_the_cookie_twenty_of_twenty_requests_stay_and_the_origin_does_not_see_it() {
    let (a, b) = (origin("web-a").start(), origin("web-b").start());
    let proxy = sticky().server_with(&a, "cookie = \"web-a\"").server_with(&b, "cookie = \"web-b\"").start();
    for _ in 0..20 {
        let answer = client(proxy.address()).get_with("/", &[("cookie", "x=1; SERVER=web-b; y=2")]);
        assert_eq!((answer.text().as_str(), answer.header("set-cookie")), ("web-b", None));
    }
    assert!(a.requests().is_empty());
    for request in b.requests() {
        assert_eq!(request.all("cookie"), ["x=1; y=2"]);
        assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
    }
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "--VN"));
}

#[test]
fn a_cookie_that_names_nobody_is_replaced() {
    let a = origin("web-a").start();
    let proxy = sticky().server_with(&a, "cookie = \"web-a\"").start();
    let answer = client(proxy.address()).get_with("/", &[("cookie", "SERVER=gone")]);
    assert_eq!(answer.all("set-cookie"), ["SERVER=web-a; path=/"]);
    assert_eq!(a.requests()[0].all("cookie"), Vec::<&str>::new());
    assert_eq!(proxy.exchange("/").state, "--II");
}

#[test]
fn clients_of_a_server_that_is_down_move_and_get_a_new_cookie() {
    let (mut a, b) = (origin("web-a").start(), origin("web-b").start());
    let proxy = sticky()
        .checked()
        .server_with(&a, "cookie = \"web-a\"")
        .server_with(&b, "cookie = \"web-b\"")
        .start();
    let cookie = [("cookie", "SERVER=web-a")];
    assert_eq!(client(proxy.address()).get_with("/", &cookie).text(), "web-a");
    a.kill();
    proxy.log.wait("server app/web-a is DOWN");
    let moved = client(proxy.address()).get_with("/moved", &cookie);
    assert_eq!((moved.text().as_str(), moved.header("set-cookie")), ("web-b", Some("SERVER=web-b; path=/")));
    assert_eq!(proxy.exchange("/moved").state, "--DI");
    a.bring_back();
    proxy.log.wait("server app/web-a is UP");
    assert_eq!(client(proxy.address()).get_with("/", &cookie).text(), "web-a");
}

#[test]
fn a_rule_has_the_last_word_on_the_cookie_that_persistence_sets() {
    let a = origin("web-a").start();
    let rule = |response: &str| {
        let rule = format!("[[backends.app.rules]]\nresponse = {{ {response} }}\n");
        sticky().server_with(&a, "cookie = \"web-a\"").more(&rule).start()
    };
    let removed = rule("del_header = \"set-cookie\"");
    assert_eq!(get(removed.address(), "/").all("set-cookie"), Vec::<&str>::new());
    let set = rule("set_header = { set-cookie = \"x=1\" }");
    assert_eq!(get(set.address(), "/").all("set-cookie"), ["x=1"]);
    let added = rule("add_header = { set-cookie = \"x=1\" }");
    assert_eq!(get(added.address(), "/").all("set-cookie"), ["SERVER=web-a; path=/", "x=1"]);
}

/// What dates of cookies are counted in.
const UNIT: Duration = Duration::from_secs(4);

#[test]
fn a_cookie_is_dated_when_the_response_comes_and_not_when_the_request_came() {
    let late = |request: &mut Message, wire: &mut Wire| {
        // Longer than a unit of dates: the request's own could not be as late.
        let start = Instant::now();
        until("the server is done", || (start.elapsed() > UNIT).then_some(()));
        Answer::new(200, "late").send(request, wire)
    };
    let a = origin("web-a").script("/late", late).start();
    let cookie = "cookie = { name = \"S\", insert = true, indirect = true, maxidle = \"1h\" }";
    let proxy = proxy().backend(cookie).server_with(&a, "cookie = \"web-a\"").start();
    let dated = |path: &str| {
        let answer = get(proxy.address(), path);
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        cookie.split(['|', ';']).nth(1).expect("a date").to_owned()
    };
    let before = dated("/");
    assert_ne!(dated("/late"), before);
}
