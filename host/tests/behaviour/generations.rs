//! A configuration that a reload has replaced lives for as long as the last exchange that began under it, and no longer:
//! whoever merely waits, for a request or for room, holds none.

use std::net::TcpStream;

use hyper::Method;

use super::guest::Guest;
use super::http2::{Http2, empty, http2, http2_by_tls_at};
use super::kit::{Authority, Client, Clients, Directory, Gate, Message, Next, Origin, Proxy, Setup};
use super::kit::{client, origin, until};
use super::metrics::{Samples, watched};

/// Configurations that requests are served by.
fn generations(proxy: &Proxy) -> f64 {
    Samples::of(proxy).value("lb_config_generations")
}

/// Waits until the one in force is the only one.
#[track_caller]
fn expect_one(proxy: &Proxy) {
    until("only the configuration in force is left", || (generations(proxy) == 1.0).then_some(()));
}

/// In clear on the first address, by TLS on the second.
fn setup(origin: &Origin) -> Setup {
    let tls = "{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\" } }";
    watched().bind(tls).server(origin)
}

fn files(authority: &Authority) -> Directory {
    let directory = Directory::new();
    directory.write("site.pem", authority.sign(&["a.example"]).pem());
    directory
}

/// Connections of all kinds, each of which has had an answer and idles.
struct Idle {
    clear: Client,
    secure: Client,
    http2: Http2,
    secure_http2: Http2,
}

impl Idle {
    fn open(proxy: &Proxy, clients: &Clients, expected: &str) -> Idle {
        let [clear, secure] = [0, 1].map(|index| proxy.addresses[index].clone());
        let mut idle = Idle {
            clear: client(&clear),
            secure: clients.connect(&secure, "a.example"),
            http2: http2(proxy),
            secure_http2: http2_by_tls_at(&secure, clients),
        };
        idle.expect(expected);
        idle
    }

    /// The next request of each.
    #[track_caller]
    fn expect(&mut self, expected: &str) {
        assert_eq!(self.clear.get("/").text(), expected);
        assert_eq!(self.secure.get("/").text(), expected);
        assert_eq!(self.http2.get("/").2, expected);
        assert_eq!(self.secure_http2.get("/").2, expected);
    }
}

#[test]
fn connections_that_idle_hold_no_configuration_and_their_next_request_meets_the_one_in_force() {
    let authority = Authority::new();
    let (a, b) = (origin("a").start(), origin("b").start());
    let mut proxy = setup(&a).start_in(files(&authority));
    let mut idle = Idle::open(&proxy, &authority.clients(), "a");
    // And one that has not said a word yet.
    let mut silent = client(proxy.address());
    until("it is let in", || {
        (Samples::of(&proxy).value("lb_process_current_connections") >= 5.0).then_some(())
    });
    for turn in 0..6 {
        let now = [&b, &a][turn % 2];
        proxy.reload(&setup(now));
        expect_one(&proxy);
        idle.expect(now.name());
        expect_one(&proxy);
    }
    assert_eq!(silent.get("/").text(), "a");
    let denied = setup(&a)
        .frontend("rules = [{ when = { path = \"/\" }, respond = { status = 404, body = \"new\" } }]");
    proxy.reload(&denied);
    expect_one(&proxy);
    idle.expect("new");
}

#[test]
fn connections_to_servers_that_stay_are_kept_and_those_to_others_closed() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let both = |weight: u32| watched().server(&a).server_with(&b, &format!("weight = {weight}"));
    let mut proxy = both(1).start();
    let mut kept = client(proxy.address());
    (0..4).for_each(|_| drop(kept.get("/")));
    let before = (a.connections(), b.connections());
    proxy.reload(&watched().global("nbthread = 2").server(&a));
    expect_one(&proxy);
    (0..4).for_each(|_| assert_eq!(kept.get("/").text(), "a"));
    assert_eq!((a.connections(), b.connections()), before);
}

/// A request in each of these states holds what it began under, until it ends.
#[test]
fn a_configuration_stays_until_its_last_exchange_ends() {
    let (gate, queue, body) = (Gate::default(), Gate::default(), Gate::default());
    let held = body.clone();
    let a = origin("a")
        .held("/slow", &gate)
        .held("/full", &queue)
        .script("/body", move |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")?;
            held.pass();
            wire.write("half").map(|()| Next::Keep)
        })
        .script("/tunnel", |_, wire| {
            wire.write("HTTP/1.1 101 Over\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")?;
            wire.read_to_end().map(|_| Next::Close)
        })
        .start();
    let b = origin("b").start();
    let of = |origin: &Origin| watched().server(origin);
    let mut proxy = of(&a).start();
    let next = |proxy: &mut Proxy, origin: &Origin, expected: f64| {
        proxy.reload(&of(origin));
        assert_eq!(generations(proxy), expected);
    };

    let mut waiting = client(proxy.address());
    waiting.ask("GET", "/slow", &[]);
    a.wait_for_requests(1);
    next(&mut proxy, &b, 2.0);
    gate.open();
    assert_eq!(waiting.response().text(), "a");
    expect_one(&proxy);

    proxy.reload(&of(&a));
    let mut reading = client(proxy.address());
    reading.ask("GET", "/body", &[]);
    assert_eq!(reading.head().status(), 200);
    next(&mut proxy, &b, 2.0);
    body.open();
    assert_eq!(reading.wire.exactly(8).expect("the whole body"), b"halfhalf");
    expect_one(&proxy);

    proxy.reload(&of(&a));
    let mut tunnel = client(proxy.address());
    tunnel.ask("GET", "/tunnel", &[("connection", "upgrade"), ("upgrade", "echo")]);
    assert_eq!(tunnel.head().status(), 101);
    next(&mut proxy, &b, 2.0);
    drop(tunnel);
    expect_one(&proxy);

    let full = watched().server_with(&a, "maxconn = 1");
    proxy.reload(&full);
    expect_one(&proxy);
    let [mut first, mut queued] = [client(proxy.address()), client(proxy.address())];
    first.ask("GET", "/full", &[]);
    a.wait_for_requests(4);
    queued.ask("GET", "/queued", &[]);
    until("it waits", || {
        (Samples::of(&proxy).value("lb_server_current_queue{backend=\"app\",server=\"a\"}")
            + Samples::of(&proxy).value("lb_backend_current_queue{backend=\"app\"}")
            >= 1.0)
            .then_some(())
    });
    next(&mut proxy, &b, 2.0);
    queue.open();
    assert_eq!((first.response().text(), queued.response().text()), ("a".into(), "a".into()));
    expect_one(&proxy);
}

#[test]
fn who_waits_for_room_at_a_full_frontend_holds_no_configuration() {
    let a = origin("a").start();
    let full = |text: &str| watched().server(&a).frontend("maxconn = 1").backend(text);
    let mut proxy = full("retries = 1").start();
    let mut first = client(proxy.address());
    assert_eq!(first.get("/").text(), "a");
    let mut second = client(proxy.address());
    second.ask("GET", "/second", &[]);
    for retries in 2..5 {
        proxy.reload(&full(&format!("retries = {retries}")));
        expect_one(&proxy);
    }
    drop(first);
    assert_eq!(second.response().text(), "a");
}

#[test]
fn where_the_listener_goes_answers_say_close_and_idle_connections_are_closed_in_order() {
    let (authority, gate) = (Authority::new(), Gate::default());
    let a = origin("a").held("/slow", &gate).start();
    let mut proxy = setup(&a).start_in(files(&authority));
    let kept = proxy.addresses[0].clone();
    let gone = proxy.addresses[1].clone();
    let clients = authority.clients();
    let (mut idle, mut slow) = (clients.connect(&gone, "a.example"), clients.connect(&gone, "a.example"));
    let mut both = http2_by_tls_at(&gone, &clients);
    assert_eq!(idle.get("/").text(), "a");
    assert_eq!(both.get("/").2, "a");
    slow.ask("GET", "/slow", &[]);
    let stream = both.request(Method::GET, "/slow").body(empty()).expect("a request");
    let stream = both.send(stream);
    a.wait_for_requests(4);
    proxy.reload(&watched().server(&a));
    assert_eq!(proxy.addresses, [kept.as_str()]);
    idle.expect_end();
    assert_eq!(generations(&proxy), 2.0);
    gate.open();
    let answer: Message = slow.response();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("a", Some("close")));
    slow.expect_end();
    let answered = both.runtime.block_on(stream).expect("no panic").expect("its stream ends in order");
    assert_eq!(answered.status(), 200);
    until("the connection is closed", || both.has_ended().then_some(()));
    expect_one(&proxy);
    until("the address is free", || TcpStream::connect(&gone).is_err().then_some(()));
    assert_eq!(proxy_text(&kept), "a");
}

#[test]
fn where_a_listener_asks_for_other_proof_from_now_on_connections_that_idle_are_closed() {
    let (authority, a) = (Authority::new(), origin("a").start());
    let directory = files(&authority);
    directory.write("clients.pem", authority.pem());
    let by = |keys: &str| {
        let tls = format!("{{ address = \"127.0.0.2:0\", tls = {{ crt = \"site.pem\"{keys} }} }}");
        watched().bind(&tls).server(&a)
    };
    let mut proxy = by("").start_in(directory);
    let (address, clients) = (proxy.addresses[1].clone(), authority.clients());
    let mut idle = clients.connect(&address, "a.example");
    let mut both = http2_by_tls_at(&address, &clients);
    assert_eq!((idle.get("/").text().as_str(), &both.get("/").2[..]), ("a", &b"a"[..]));
    proxy.directory.write("site.pem", authority.sign(&["a.example", "b.example"]).pem());
    proxy.reload(&by(", strict_sni = true"));
    assert_eq!(
        (idle.get("/").text().as_str(), &both.get("/").2[..]),
        ("a", &b"a"[..]),
        "a renewal is no reason"
    );
    proxy.reload(&by(", verify = \"required\", ca_file = \"clients.pem\""));
    idle.expect_end();
    until("the connection is closed", || both.has_ended().then_some(()));
    expect_one(&proxy);
    clients.refused(&address, "a.example");
    let shown = authority.clients_of(&[&rustls::version::TLS13], Some(&authority.sign(&["alice"])));
    assert_eq!(shown.connect(&address, "a.example").get("/").text(), "a");
}

fn proxy_text(address: &str) -> String {
    client(address).get("/").text()
}

#[test]
fn two_dozen_reloads_of_many_servers_leave_one_configuration_and_no_more_memory() {
    let a = origin("a").start();
    let many = |turn: usize| {
        let servers = (0..1_000).fold(String::new(), |text, index| {
            text + &format!(
                "[[backends.many.servers]]\nname = \"s{index}\"\naddress = \"127.0.0.1:1\"\nweight = {}\n",
                turn % 7 + 1
            )
        });
        watched().server(&a).more(&format!("[backends.many]\nbalance = \"leastconn\"\n{servers}"))
    };
    let mut proxy = many(0).start();
    let mut idle: Vec<Client> = Vec::new();
    let resident = |proxy: &Proxy| Samples::of(proxy).value("lb_process_resident_memory_bytes");
    let mut after_four = 0.0;
    for turn in 1..=24 {
        // One more that stays with each of them.
        let mut client = client(proxy.address());
        assert_eq!(client.get("/").text(), "a");
        idle.push(client);
        proxy.reload(&many(turn));
        if turn == 4 {
            after_four = resident(&proxy);
        }
    }
    expect_one(&proxy);
    let grown = resident(&proxy) - after_four;
    assert!(grown < f64::from(24 << 20), "{} MiB more", grown / f64::from(1 << 20));
    idle.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "a"));
}

#[test]
fn the_memory_of_policies_goes_with_their_configuration_though_clients_stay() {
    // Each worker's instance has 30 MiB, all of it in use.
    let filled = "(memory.fill (i32.const 0x20000) (i32.const 7) (i32.const 0x1e00000)) (i32.const 0x100)";
    let guest = Guest::balancer().first_memory(512).body("configure", filled);
    let (a, directory) = (origin("a").start(), Directory::new());
    directory.write("guest.wasm", super::policies::component(&guest));
    let with = |retries: usize| {
        watched().server(&a).backend(&format!("balance = \"./guest.wasm\"\nretries = {retries}"))
    };
    let mut proxy = with(0).start_in(directory);
    let resident = |proxy: &Proxy| Samples::of(proxy).value("lb_process_resident_memory_bytes");
    let mut idle: Vec<Client> = Vec::new();
    let mut after_one = 0.0;
    for turn in 1..=7 {
        idle.extend((0..4).map(|_| client(proxy.address())));
        idle.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "a"));
        proxy.reload(&with(turn));
        expect_one(&proxy);
        if turn == 1 {
            after_one = resident(&proxy);
        }
    }
    let grown = resident(&proxy) - after_one;
    assert!(grown < f64::from(120 << 20), "{} MiB more", grown / f64::from(1 << 20));
}
