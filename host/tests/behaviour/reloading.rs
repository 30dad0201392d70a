//! SIGHUP: the next configuration, and not one failed request.

use std::net::TcpStream;

use super::kit::{Gate, Load, Origin, Setup, client, get, origin, proxy, until};

const CLIENTS: usize = 8;

fn three() -> Vec<Origin> {
    ["a", "b", "c"].map(|name| origin(name).start()).into()
}

fn setup<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Setup {
    origins.into_iter().fold(proxy(), |setup, origin| setup.server(origin))
}

#[test]
fn the_policy_changes_under_load_and_no_request_fails() {
    let origins = three();
    let mut proxy = setup(&origins).start();
    let load = Load::start(proxy.address(), CLIENTS);
    load.pass(300);
    let even = load.distribution();
    assert_eq!(even.len(), 3, "{even:?}");
    proxy.reload(&setup(&origins).backend("balance = \"source\""));
    // What began before the reload may still end by the old policy.
    load.pass(50);
    load.distribution();
    load.pass(300);
    let one = load.distribution();
    assert_eq!(one.len(), 1, "one client, one server: {one:?}");
    proxy.reload(&setup(&origins).backend("balance = \"leastconn\""));
    load.pass(50);
    load.distribution();
    load.pass(300);
    let shared = load.distribution();
    assert_eq!(shared.len(), 3, "{shared:?}");
    load.stop();
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "----"));
}

#[test]
fn many_reloads_in_a_row_cost_nobody_anything() {
    let origins = three();
    let mut proxy = setup(&origins).start();
    let load = Load::start(proxy.address(), CLIENTS);
    for turn in 0..10 {
        let some = origins.iter().skip(turn % 2);
        let policy = ["\"roundrobin\"", "\"leastconn\"", "\"source\""][turn % 3];
        proxy.reload(&setup(some).backend(&format!("balance = {policy}")));
        load.pass(50);
    }
    load.stop();
}

#[test]
fn a_wrong_configuration_changes_nothing_and_the_log_points_at_the_error() {
    let origins = three();
    let good = setup(&origins);
    let mut proxy = good.start();
    let load = Load::start(proxy.address(), CLIENTS);
    load.pass(50);
    proxy.hang_up(&good.clone().backend("balance = \"rondrobin\""), "the old one stays");
    let caret = proxy.log.wait("^^^");
    assert!(caret.trim_start().starts_with('|'), "{caret}");
    proxy.log.wait("balance = \"rondrobin\"");
    proxy.log.wait("roundrobin");
    load.pass(50);
    load.distribution();
    load.pass(300);
    assert_eq!(load.distribution().len(), 3);
    load.stop();
    proxy.reload(&good.backend("balance = \"source\""));
    let first = get(proxy.address(), "/").text();
    assert!((0..5).all(|_| get(proxy.address(), "/").text() == first), "the next good one is taken");
}

#[test]
fn an_address_that_cannot_be_bound_changes_nothing() {
    let origins = three();
    let mut proxy = setup(&origins[..1]).start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let bad = setup(&origins[1..]).bind(&address).global("maxconn = 1").frontend("maxconn = 1");
    let said = proxy.hang_up(&bad, "cannot listen");
    assert!(said.contains(&address), "{said}");
    let mut clients = [client(proxy.address()), client(proxy.address()), client(proxy.address())];
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "a", "neither servers nor bounds have changed");
    }
}

#[test]
fn servers_come_and_go_and_who_is_in_flight_ends_where_it_is() {
    let gate = Gate::default();
    let (a, b) = (origin("a").held("/slow", &gate).start(), origin("b").start());
    let mut proxy = setup([&a]).start();
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    proxy.reload(&setup([&b]));
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    gate.open();
    assert_eq!(slow.response().text(), "a");
    assert_eq!(slow.get("/").text(), "b", "its next request meets the new configuration");
    proxy.reload(&setup([&a, &b]));
    let served: Vec<String> = (0..4).map(|_| get(proxy.address(), "/").text()).collect();
    assert_eq!(served.iter().filter(|name| *name == "a").count(), 2, "{served:?}");
}

#[test]
fn listeners_come_and_go() {
    let a = origin("a").start();
    let both = setup([&a]).bind("127.0.0.2:0");
    let mut proxy = setup([&a]).start();
    let first = proxy.address().to_owned();
    proxy.reload(&both);
    assert_eq!(proxy.addresses[0], first, "it listens there all along");
    let second = proxy.addresses[1].clone();
    let mut kept = client(&second);
    assert_eq!(kept.get("/").text(), "a");
    proxy.reload(&setup([&a]));
    kept.expect_end();
    until("the address is free", || TcpStream::connect(&second).is_err().then_some(()));
    assert_eq!(get(&first, "/").text(), "a");
}

#[test]
fn a_server_that_is_down_stays_so_over_a_reload() {
    let (a, b) = (origin("a").start(), origin("b").start());
    a.pass_checks(false);
    let checked = setup([&a, &b]).checked();
    let mut proxy = checked.start();
    proxy.log.wait("server app/a is DOWN");
    let lines = proxy.log.all().len();
    proxy.reload(&checked.backend("retries = 0"));
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    a.pass_checks(true);
    proxy.log.wait_from(lines, "a is UP", |line| line.contains("server app/a is UP"));
}

#[test]
fn timeouts_and_bounds_change_too() {
    let a = origin("a").silent("/silent").start();
    let mut proxy = setup([&a]).start();
    proxy.reload(&setup([&a]).timeout("server", "100ms"));
    assert_eq!(get(proxy.address(), "/silent").status(), 504);
}
