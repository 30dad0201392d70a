//! A policy that wants to hear how its picks went is told of each attempt once, whatever becomes of the request.

use super::guest::{DATA, Guest};
use super::kit::{
    Answer, Gate, Next, Proxy, Refusing, Setup, Unanswering, client, get, origin, proxy, until,
};
use super::policies::with_policy;

/// What the guest says of an outcome, digits in place of `#`.
const LINE: &str = "outcome # of server #: verdict # status ### connected # bytes #";
const VERDICTS: [&str; 5] = ["answered", "unreachable", "broken", "timed-out", "abandoned"];

/// Picks each candidate in turn, counts outcomes, and writes each to the log.
fn witness() -> Guest {
    let places: Vec<usize> = LINE.match_indices('#').map(|(at, _)| at).collect();
    let digits = [
        "(global.get $heard)",
        "(local.get $server)",
        "(local.get $verdict)",
        "(i32.div_u (local.get $status) (i32.const 100))",
        "(i32.rem_u (i32.div_u (local.get $status) (i32.const 10)) (i32.const 10))",
        "(i32.rem_u (local.get $status) (i32.const 10))",
        "(i64.ne (local.get $connect) (i64.const 0))",
        "(i64.ne (local.get $bytes) (i64.const 0))",
    ];
    let write = |(place, digit): (&usize, &str)| {
        format!("(i32.store8 (i32.const {}) (i32.add (i32.const 48) {digit}))\n", DATA as usize + place)
    };
    let writes: String = places.iter().zip(digits).map(write).collect();
    Guest::observer()
        .import("lb:policy/log@0.1.0", "write", "(func $log (param i32 i32 i32))")
        .data(DATA, LINE)
        .items("(global $heard (mut i32) (i32.const 0))")
        .body(
            "observe",
            &format!(
                "(global.set $heard (i32.add (global.get $heard) (i32.const 1)))
                 {writes}
                 (if (i64.gt_u (local.get $connect) (local.get $latency)) (then unreachable))
                 (call $log (i32.const 1) (i32.const {DATA}) (i32.const {}))",
                LINE.len()
            ),
        )
}

/// One worker, and so one instance that hears everything.
fn observed() -> Setup {
    proxy().global("nbthread = 1").timeout("connect", "20ms").backend("balance = \"./guest.wasm\"")
}

/// Waits until the exchanges of `paths` are logged, and for as many outcomes; says what was heard, as in
/// `1 server 0 answered 200 connected bytes`.
#[track_caller]
fn heard(proxy: &Proxy, paths: &[&str], outcomes: usize) -> Vec<String> {
    paths.iter().for_each(|path| drop(proxy.exchange(path)));
    let lines = until("the outcomes are heard", || {
        let lines: Vec<String> = proxy
            .log
            .all()
            .iter()
            .filter_map(|line| line.split_once("outcome ").map(|(_, line)| told(line)))
            .collect();
        (lines.len() >= outcomes).then_some(lines)
    });
    let faults: Vec<_> = proxy.log.all().into_iter().filter(|line| line.contains("kind=")).collect();
    assert!(faults.is_empty(), "{faults:?}");
    lines
}

fn told(line: &str) -> String {
    let words: Vec<&str> = line.split([' ', ':']).filter(|word| !word.is_empty()).collect();
    let [
        number,
        "of",
        "server",
        server,
        "verdict",
        verdict,
        "status",
        status,
        "connected",
        connected,
        "bytes",
        bytes,
        ..,
    ] = words[..]
    else {
        panic!("{line}")
    };
    let verdict = VERDICTS[verdict.parse::<usize>().expect("a digit")];
    let flag = |digit: &str, word: &str| if digit == "1" { format!(" {word}") } else { String::new() };
    format!(
        "{number} server {server} {verdict} {status}{}{}",
        flag(connected, "connected"),
        flag(bytes, "bytes")
    )
}

#[test]
fn each_answer_is_one_outcome_whatever_its_status() {
    let a = origin("a").route("/bad", Answer::new(500, "no")).start();
    let proxy = observed().server(&a).start_in(with_policy(&witness()));
    let mut client = client(proxy.address());
    assert_eq!(client.get("/1").status(), 200);
    assert_eq!(client.get("/bad").status(), 500);
    assert_eq!(
        heard(&proxy, &["/1", "/bad"], 2),
        ["1 server 0 answered 200 connected bytes", "2 server 0 answered 500 bytes"],
        "the second on the connection of the first"
    );
}

#[test]
fn each_try_at_a_server_is_an_outcome_and_a_redispatch_another() {
    let (refusing, b) = (Refusing::new(), origin("b").start());
    let proxy = observed()
        .backend("retries = 1\nredispatch = true")
        .server_at("a", &refusing.address(), "")
        .server(&b)
        .start_in(with_policy(&witness()));
    assert_eq!(get(proxy.address(), "/").text(), "b");
    assert_eq!(
        heard(&proxy, &["/"], 2),
        ["1 server 0 unreachable 000", "2 server 1 answered 200 connected bytes"]
    );
}

#[test]
fn tries_at_one_server_are_as_many_outcomes() {
    let refusing = Refusing::new();
    let proxy = observed()
        .backend("retries = 2")
        .server_at("a", &refusing.address(), "")
        .start_in(with_policy(&witness()));
    assert_eq!(get(proxy.address(), "/").status(), 503);
    let once = |number| format!("{number} server 0 unreachable 000");
    assert_eq!(heard(&proxy, &["/"], 3), [once(1), once(2), once(3)]);
}

#[test]
fn a_connection_that_does_not_come_about_is_an_outcome() {
    let unanswering = Unanswering::new();
    let proxy = observed()
        .backend("retries = 0")
        .server_at("a", &unanswering.address(), "")
        .start_in(with_policy(&witness()));
    assert_eq!(get(proxy.address(), "/").status(), 503);
    assert_eq!(heard(&proxy, &["/"], 1), ["1 server 0 unreachable 000"]);
}

#[test]
fn answers_that_break_are_told_from_those_that_do_not_come() {
    let a = origin("a")
        .script("/closed", |_, _| Ok(Next::Close))
        .route("/half", Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"))
        .route("/rubbish", Answer::bytes("SSH-2.0\r\n\r\n"))
        .start();
    let proxy = observed().server(&a).start_in(with_policy(&witness()));
    assert_eq!(get(proxy.address(), "/closed").status(), 502);
    let mut half = client(proxy.address());
    half.ask("GET", "/half", &[]);
    assert_eq!(half.head().status(), 200);
    proxy.exchange("/half");
    assert_eq!(get(proxy.address(), "/rubbish").status(), 502);
    assert_eq!(
        heard(&proxy, &["/closed", "/rubbish"], 3),
        [
            "1 server 0 broken 000 connected",
            "2 server 0 broken 200 connected bytes",
            "3 server 0 broken 000 connected"
        ]
    );
}

#[test]
fn a_server_that_is_too_slow_is_an_outcome_with_its_head_or_without() {
    let a = origin("a")
        .silent("/silent")
        .script("/stalls", |_, wire| {
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
            wire.read_to_end().map(|_| Next::Close)
        })
        .start();
    let proxy = observed().timeout("server", "200ms").server(&a).start_in(with_policy(&witness()));
    assert_eq!(get(proxy.address(), "/silent").status(), 504);
    let mut stalled = client(proxy.address());
    stalled.ask("GET", "/stalls", &[]);
    assert_eq!(stalled.head().status(), 200);
    assert_eq!(
        heard(&proxy, &["/silent", "/stalls"], 2),
        ["1 server 0 timed-out 000 connected", "2 server 0 timed-out 200 connected bytes"]
    );
}

#[test]
fn a_client_that_goes_away_is_no_failure_of_its_server() {
    let a = origin("a").endless("/endless").start();
    let proxy = observed().server(&a).start_in(with_policy(&witness()));
    let mut leaving = client(proxy.address());
    leaving.ask("GET", "/endless", &[]);
    assert_eq!(leaving.head().status(), 200);
    drop(leaving);
    proxy.exchange("/endless");
    let mut leaving = client(proxy.address());
    leaving.ask("POST", "/upload", &[("content-length", "100")]);
    leaving.send("part of it");
    a.wait_for_requests(2);
    drop(leaving);
    assert_eq!(
        heard(&proxy, &["/endless", "/upload"], 2),
        ["1 server 0 abandoned 200 connected bytes", "2 server 0 abandoned 000 connected"]
    );
}

#[test]
fn a_request_that_never_left_the_queue_was_no_attempt() {
    let gate = Gate::default();
    let a = origin("a").held("/held", &gate).start();
    let proxy =
        observed().timeout("queue", "100ms").server_with(&a, "maxconn = 1").start_in(with_policy(&witness()));
    let mut held = client(proxy.address());
    held.ask("GET", "/held", &[]);
    a.wait_for_requests(1);
    assert_eq!(get(proxy.address(), "/queued").status(), 503);
    gate.open();
    assert_eq!(held.response().text(), "a");
    assert_eq!(
        heard(&proxy, &["/held", "/queued"], 1),
        ["1 server 0 answered 200 connected bytes"],
        "the one in the queue was never at a server"
    );
}

#[test]
fn upgraded_connections_are_an_outcome_when_they_end() {
    let a = origin("a")
        .script("/upgrade", |_, wire| {
            wire.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: test\r\n\r\nhello")?;
            Ok(Next::Close)
        })
        .start();
    let proxy = observed().server(&a).start_in(with_policy(&witness()));
    let mut client = client(proxy.address());
    client.ask("GET", "/upgrade", &[("connection", "upgrade"), ("upgrade", "test")]);
    assert_eq!(client.head().status(), 101);
    assert_eq!(client.wire.read_to_end().expect("all of it"), b"hello");
    drop(client);
    assert_eq!(heard(&proxy, &["/upgrade"], 1), ["1 server 0 answered 101 connected bytes"]);
}
