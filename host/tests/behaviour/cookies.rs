//! Clients keep their server by a cookie.

use super::kit::{Answer, Setup, client, get, origin, proxy};

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
