//! Servers that DNS names: they come and go with their records, and no request notices.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::kit::{Dns, Failing, Gate, Load, Origin, Proxy, Setup, client, get, origin, proxy, until};

const NAME: &str = "app.example";
const SERVICE: &str = "_http._tcp.app.example";

/// As soon as it may be asked again.
const EAGER: &str = "min_ttl = \"50ms\"";

/// So many origins at 127.0.0.1, 127.0.0.2 …, all of one port.
fn of_one_port(names: &[&str]) -> (Vec<Origin>, u16) {
    let first = origin(names[0]).start();
    let port = first.address().parse::<SocketAddr>().expect("an address").port();
    let more = names[1..]
        .iter()
        .zip(2..)
        .map(|(name, last)| origin(name).at(([127, 0, 0, last], port).into()).start());
    (std::iter::once(first).chain(more).collect(), port)
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn port(origin: &Origin) -> u16 {
    origin.address().parse::<SocketAddr>().expect("an address").port()
}

/// A proxy whose servers come from there.
fn setup(dns: &Dns, from: &str, keys: &str) -> Setup {
    proxy()
        .backend(&format!("servers = {{ from = \"{from}\", name = \"app\", resolvers = \"test\", {keys} }}"))
        .more(&dns.resolvers(EAGER))
}

/// Waits until the answers to the load come from these alone.
#[track_caller]
fn served_by(load: &Load, names: &[&str]) {
    until(&format!("{names:?} serve alone"), || {
        load.distribution();
        load.pass(60);
        let served: Vec<String> = load.distribution().into_keys().collect();
        (served == names).then_some(())
    });
}

/// The server that each user is sent to.
fn users(proxy: &Proxy) -> BTreeMap<String, String> {
    let mut client = client(proxy.address());
    let users = (0..60).map(|number| number.to_string());
    users.map(|user| (user.clone(), client.get_with("/", &[("x-user", &user)]).text())).collect()
}

#[test]
fn servers_come_and_go_with_the_addresses_of_a_name_under_load() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a", "b", "c"]);
    dns.addresses(NAME, 0, &[ip(1)]);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 4").start();
    let load = Load::start(proxy.address(), 4);
    served_by(&load, &["a"]);
    dns.addresses(NAME, 0, &[ip(3), ip(2), ip(1)]);
    served_by(&load, &["a", "b", "c"]);
    dns.addresses(NAME, 0, &[ip(3)]);
    served_by(&load, &["c"]);
    dns.addresses(NAME, 0, &[ip(1)]);
    served_by(&load, &["a"]);
    load.stop();
    proxy.log.wait("app/app3 is UP: its source names 127.0.0.3");
    proxy.log.wait("app/app3 is DOWN: its source no longer names 127.0.0.3");
}

#[test]
fn whatever_becomes_of_the_name_server_the_last_servers_go_on_serving() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a", "b"]);
    dns.addresses(NAME, 0, &[ip(1), ip(2)]);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 4").start();
    let load = Load::start(proxy.address(), 4);
    served_by(&load, &["a", "b"]);
    for (failing, why) in [
        (Failing::Silent, "no name server answers in time"),
        (Failing::Broken, "Server Failure"),
        (Failing::Refused, "Query Refused"),
        (Failing::Garbled, "known last stay"),
    ] {
        let line = proxy.log.all().len();
        dns.fail(Some(failing));
        let said =
            proxy.log.wait_from(line, why, |line| line.contains(why) && line.contains("known last stay"));
        assert!(said.contains("the 2 known last stay"), "{said}");
        load.pass(100);
        dns.fail(None);
        proxy.log.wait_from(line, "answers again", |line| line.contains("answers again"));
        served_by(&load, &["a", "b"]);
        let outages =
            proxy.log.all().iter().skip(line).filter(|line| line.contains("known last stay")).count();
        assert_eq!(outages, 1, "an outage is said once");
    }
    load.stop();
}

#[test]
fn one_name_server_that_answers_is_enough_whatever_another_does() {
    let (_origins, port) = of_one_port(&["a"]);
    let good = Dns::start();
    good.addresses(NAME, 0, &[ip(1)]);
    let truncated = Dns::start();
    truncated.addresses(NAME, 0, &[ip(1)]);
    truncated.truncate();
    // One that knows no name at all, and denies this one.
    let denying = Dns::start();
    let failing = [Failing::Silent, Failing::Broken, Failing::Refused, Failing::Garbled, Failing::WrongId];
    let failing = failing.map(|how| {
        let dns = Dns::start();
        dns.fail(Some(how));
        dns
    });
    let mut setup = proxy();
    let mut number = 0;
    for good in [&good, &truncated] {
        for other in failing.iter().chain([&denying]) {
            for servers in [[good, other], [other, good]] {
                number += 1;
                let address = format!("{NAME}:{port}");
                setup = setup
                    .server_at(&format!("s{number}"), &address, &format!("resolvers = \"r{number}\""))
                    .more(&Dns::section(&format!("r{number}"), &servers, EAGER));
            }
        }
    }
    let proxy = setup.start();
    let (plain, over_tcp) = (good.questions(), truncated.over_tcp());
    until("everybody is asked again and again", || {
        (good.questions() > plain + 200 && truncated.over_tcp() > over_tcp + 100).then_some(())
    });
    for _ in 0..number {
        assert_eq!(get(proxy.address(), "/").text(), "a");
    }
    until("each is logged", || (proxy.exchanges().len() == number).then_some(()));
    let servers: std::collections::BTreeSet<String> =
        proxy.exchanges().into_iter().map(|line| line.server).collect();
    assert_eq!(servers.len(), number, "{servers:?}");
    let lines = proxy.log.all();
    assert!(!lines.iter().any(|line| line.contains("DOWN")), "{lines:?}");
}

#[test]
fn a_name_is_gone_where_one_name_server_denies_it_and_none_knows_better() {
    let dns = [Dns::start(), Dns::start(), Dns::start()];
    let (_origins, port) = of_one_port(&["a"]);
    dns[1].fail(Some(Failing::Silent));
    dns[2].fail(Some(Failing::Refused));
    dns[0].addresses(NAME, 0, &[ip(1)]);
    let proxy = proxy()
        .backend(&format!(
            "servers = [{{ name = \"a\", address = \"{NAME}:{port}\", resolvers = \"test\" }}]"
        ))
        .more(&Dns::section("test", &dns.each_ref(), "min_ttl = \"50ms\"\nhold.nx = \"0s\""))
        .start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    dns[0].addresses(NAME, 0, &[]);
    proxy.log.wait("app/a is DOWN");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    dns[0].addresses(NAME, 0, &[ip(1)]);
    until("it serves again", || (get(proxy.address(), "/").text() == "a").then_some(()));
}

#[test]
fn names_with_underscores_are_asked_for_wherever_they_stand() {
    let dns = Dns::start();
    let origin = origin("a").start();
    let port = port(&origin);
    for name in ["stack_web", "tasks.stack_web", "my_app_1.test", "trailing_.test"] {
        dns.addresses(name, 0, &[ip(1)]);
    }
    dns.services("_http._tcp.web", 0, &[(1, 1, port, "my_app_1.test")]);
    for servers in [
        format!("servers = [{{ name = \"a\", address = \"stack_web:{port}\", resolvers = \"test\" }}]"),
        format!("servers = [{{ name = \"a\", address = \"trailing_.test.:{port}\", resolvers = \"test\" }}]"),
        format!(
            "servers = {{ from = \"dns:tasks.stack_web:{port}\", name = \"a\", resolvers = \"test\", max = 2 }}"
        ),
        "servers = { from = \"srv:_http._tcp.web\", name = \"a\", resolvers = \"test\", max = 2 }".to_owned(),
    ] {
        let proxy = proxy().backend(&servers).more(&dns.resolvers(EAGER)).start();
        assert_eq!(get(proxy.address(), "/").text(), "a", "{servers}");
    }
}

#[test]
fn services_have_ports_weights_and_priorities() {
    let dns = Dns::start();
    let origins = ["a", "b", "spare"].map(|name| origin(name).start());
    let [a, b, spare] = origins.each_ref().map(port);
    dns.addresses("host.example", 0, &[ip(1)]);
    let both = [(10, 30, a, "host.example"), (10, 10, b, "host.example"), (20, 1, spare, "host.example")];
    dns.services(SERVICE, 0, &both);
    let proxy = setup(&dns, &format!("srv:{SERVICE}"), "max = 5").start();
    let names: Vec<String> = (0..40).map(|_| get(proxy.address(), "/").text()).collect();
    let count = |name: &str| names.iter().filter(|served| *served == name).count();
    assert_eq!((count("a"), count("b"), count("spare")), (30, 10, 0));
    let load = Load::start(proxy.address(), 4);
    dns.services(SERVICE, 0, &both[2..]);
    served_by(&load, &["spare"]);
    dns.services(SERVICE, 0, &both);
    served_by(&load, &["a", "b"]);
    dns.services(SERVICE, 0, &[both[0], (10, 10, spare, "host.example")]);
    served_by(&load, &["a", "spare"]);
    load.stop();
}

#[test]
fn a_name_that_is_gone_is_held_for_a_while_and_then_its_servers_are_down() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a"]);
    dns.addresses(NAME, 0, &[ip(1)]);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 2, hold = \"100ms\"").start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    dns.addresses(NAME, 0, &[]);
    proxy.log.wait("the name does not exist");
    proxy.log.wait("app/app1 is DOWN: its source no longer names 127.0.0.1");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    dns.addresses(NAME, 0, &[ip(1)]);
    proxy.log.wait("names servers again");
    until("it serves again", || (get(proxy.address(), "/").status() == 200).then_some(()));
}

#[test]
fn answers_that_do_not_fit_come_over_tcp_and_those_for_whom_there_is_no_slot_are_left_out() {
    let dns = Dns::start();
    dns.truncate();
    let (_origins, port) = of_one_port(&["a"]);
    let many: Vec<IpAddr> = (1..=100).map(ip).collect();
    dns.addresses(NAME, 0, &many);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 1").start();
    proxy.log.wait("names 100 servers, and there are 1 slots: 99 are left out");
    assert_eq!(get(proxy.address(), "/").text(), "a");
    let asked = dns.questions();
    until("it asks again and again", || (dns.questions() > asked + 6).then_some(()));
    assert!(dns.over_tcp() > 0);
    assert_eq!(proxy.log.all().iter().filter(|line| line.contains("left out")).count(), 1);
}

#[test]
fn a_reload_keeps_the_servers_while_nobody_can_be_asked() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a", "b"]);
    dns.addresses(NAME, 0, &[ip(1), ip(2)]);
    let setup = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 4");
    let mut proxy = setup.start();
    let load = Load::start(proxy.address(), 4);
    served_by(&load, &["a", "b"]);
    dns.fail(Some(Failing::Silent));
    proxy.log.wait("known last stay");
    proxy.reload(&setup.clone().backend("balance = \"leastconn\""));
    load.pass(100);
    // Servers of which something has changed begin anew, but where they are is known.
    proxy.reload(&setup.backend("default_server = { weight = 7 }"));
    load.pass(100);
    load.stop();
    assert_eq!(get(proxy.address(), "/").status(), 200);
}

#[test]
fn what_is_under_way_at_a_server_that_leaves_ends_in_peace() {
    let dns = Dns::start();
    let gate = Gate::default();
    let leaving = origin("leaving").held("/slow", &gate).start();
    let next = origin("next").start();
    dns.addresses("host.example", 0, &[ip(1)]);
    dns.services(SERVICE, 0, &[(1, 1, port(&leaving), "host.example")]);
    let proxy = setup(&dns, &format!("srv:{SERVICE}"), "max = 1").start();
    let mut slow = client(proxy.address());
    slow.ask("GET", "/slow", &[]);
    leaving.wait_for_requests(1);
    dns.services(SERVICE, 0, &[(1, 1, port(&next), "host.example")]);
    until("the next one serves", || (get(proxy.address(), "/").text() == "next").then_some(()));
    gate.open();
    assert_eq!(slow.response().text(), "leaving");
    assert_eq!(slow.get("/").text(), "next");
}

#[test]
fn consistent_hashing_keeps_to_the_servers_that_stay() {
    let dns = Dns::start();
    let origins = ["a", "b", "c"].map(|name| origin(name).start());
    let [a, b, c] = origins.each_ref().map(|origin| (1, 1, port(origin), "host.example"));
    dns.addresses("host.example", 0, &[ip(1)]);
    dns.services(SERVICE, 0, &[a, b]);
    let hash = "balance = { policy = \"hash\", key = \"header\", name = \"x-user\", type = \"consistent\" }";
    let proxy = setup(&dns, &format!("srv:{SERVICE}"), "max = 4").backend(hash).start();
    let two = users(&proxy);
    dns.services(SERVICE, 0, &[c, b, a]);
    proxy.log.wait("app/app3 is UP");
    let three = users(&proxy);
    assert!(three.values().any(|server| server == "c"));
    for (user, server) in &three {
        assert!(server == "c" || *server == two[user], "user {user} was sent from {} to {server}", two[user]);
    }
    let line = proxy.log.all().len();
    dns.services(SERVICE, 0, &[c, b]);
    proxy.log.wait_from(line, "a is gone", |line| line.contains("is DOWN"));
    for (user, server) in users(&proxy) {
        assert!(three[&user] == "a" || three[&user] == server, "user {user} had no reason to leave");
    }
}

#[test]
fn a_cookie_names_the_slot() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a", "b"]);
    dns.addresses(NAME, 0, &[ip(1), ip(2)]);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 4")
        .backend("cookie = { name = \"SRV\", insert = true }")
        .start();
    let mut client = client(proxy.address());
    for (cookie, server) in [("app2", "b"), ("app1", "a"), ("app2", "b")] {
        assert_eq!(client.get_with("/", &[("cookie", &format!("SRV={cookie}"))]).text(), server);
    }
    let vacant = client.get_with("/", &[("cookie", "SRV=app4")]);
    assert!(vacant.header("set-cookie").is_some_and(|line| !line.contains("app4")), "{:?}", vacant.start);
}

#[test]
fn a_server_with_resolvers_follows_its_name_and_is_down_once_that_is_lost() {
    let dns = Dns::start();
    let (_origins, port) = of_one_port(&["a", "b"]);
    dns.addresses(NAME, 0, &[ip(1)]);
    let proxy = proxy()
        .server_at("web", &format!("{NAME}:{port}"), "resolvers = \"test\"\nresolve_prefer = \"ipv4\"")
        .more(&dns.resolvers("min_ttl = \"50ms\"\nhold.nx = \"10ms\""))
        .start();
    let load = Load::start(proxy.address(), 2);
    served_by(&load, &["a"]);
    dns.addresses(NAME, 0, &[ip(2)]);
    proxy.log.wait("server app/web moved from 127.0.0.1 to 127.0.0.2");
    served_by(&load, &["b"]);
    dns.fail(Some(Failing::Broken));
    proxy.log.wait("stays at 127.0.0.2");
    load.pass(50);
    load.stop();
    dns.fail(None);
    dns.addresses(NAME, 0, &[]);
    proxy.log.wait("server app/web is DOWN: its name does not resolve (the name does not exist)");
    until("nobody serves", || (get(proxy.address(), "/").status() == 503).then_some(()));
    dns.addresses(NAME, 0, &[ip(1)]);
    until("it serves again", || (get(proxy.address(), "/").status() == 200).then_some(()));
}

#[test]
fn slots_are_checked_once_they_are_filled() {
    let dns = Dns::start();
    let (origins, port) = of_one_port(&["a", "b"]);
    dns.addresses(NAME, 0, &[ip(1)]);
    let proxy = setup(&dns, &format!("dns:{NAME}:{port}"), "max = 6").checked().start();
    until("the first is checked", || (origins[0].checks() > 3).then_some(()));
    assert_eq!(origins[1].checks(), 0);
    origins[1].pass_checks(false);
    dns.addresses(NAME, 0, &[ip(1), ip(2)]);
    proxy.log.wait("server app/app2 is DOWN: Layer7 wrong status");
    assert_eq!(get(proxy.address(), "/").text(), "a");
    dns.addresses(NAME, 0, &[ip(1)]);
    proxy.log.wait("app/app2 is DOWN: its source no longer names");
    let checks = origins[1].checks();
    let others = origins[0].checks();
    until("others are checked", || (origins[0].checks() > others + 5).then_some(()));
    assert!(origins[1].checks() <= checks + 1, "a slot that nothing fills is not checked");
}
