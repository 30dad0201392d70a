//! Policies that misbehave while requests come in: not one fails, and the log says what happened.

use super::guest::Guest;
use super::kit::{Directory, Load, Proxy, Setup, client, lb, origin, proxy, run};

const CLIENTS: usize = 8;
/// Every so many picks, a guest fails.
const RARELY: u32 = 25;

/// Fails now and then, and else picks in turn. The trial at the start has time 0.
fn fails_rarely(how: &str) -> Guest {
    Guest::balancer().body(
        "pick",
        &format!(
            "(if (i32.and
                   (i64.ne (local.get $time) (i64.const 0))
                   (i64.eqz (i64.rem_u (local.get $sequence) (i64.const {RARELY}))))
               (then {how}))
             (call $some (i32.wrap_i64 (i64.rem_u (local.get $sequence) (i64.extend_i32_u (global.get $count)))))"
        ),
    )
}

/// Fails whenever it is asked, but for the trial.
fn fails_always(how: &str) -> Guest {
    Guest::balancer()
        .body("pick", &format!("(if (i64.ne (local.get $time) (i64.const 0)) (then {how})) (call $none)"))
}

const TRAP: &str = "unreachable";
const LOOP: &str = "(loop $l (br $l))";
const HOG: &str = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const RECURSION: &str = "(call $deeper (i32.const 0))";
/// Takes a good while to start, though not all the time that it has.
const SLOW: &str = "(local $i i32)
    (loop $l
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 50000000))))
    (i32.const 0x100)";
const NOBODY: &str = "(return (call $some (i32.const 99)))";

/// A directory with the guest as a component in it.
pub(crate) fn with_policy(guest: &Guest) -> Directory {
    let directory = Directory::new();
    install(&directory, guest);
    directory
}

fn install(directory: &Directory, guest: &Guest) {
    directory.write("guest.wasm", component(guest));
}

pub(crate) fn component(guest: &Guest) -> Vec<u8> {
    let encoder = wit_component::ComponentEncoder::default().module(&guest.bytes()).expect("a typed module");
    encoder.validate(true).encode().expect("a component")
}

fn balanced() -> Setup {
    proxy().backend("balance = \"./guest.wasm\"")
}

/// Puts load on a guest; both servers serve all the while.
fn under_load(guest: &Guest, requests: usize) -> Proxy {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = balanced().server(&a).server(&b).start_in(with_policy(guest));
    let load = Load::start(proxy.address(), CLIENTS);
    load.pass(requests);
    let served = load.distribution();
    assert_eq!(served.len(), 2, "{served:?}");
    load.stop();
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "----"));
    proxy
}

#[track_caller]
fn said(proxy: &Proxy, kind: &str) {
    let line = proxy.log.wait(&format!("kind={kind}"));
    for part in ["the policy", "the host decides in its place", "policy=probe", "backend=app", "role=balance"]
    {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn one_that_traps_now_and_then_costs_no_request() {
    said(&under_load(&fails_rarely(TRAP), 300), "trap");
}

#[test]
fn one_that_loops_now_and_then_costs_no_request() {
    said(&under_load(&fails_rarely(LOOP), 100), "overrun");
}

#[test]
fn one_that_eats_memory_costs_no_request() {
    said(&under_load(&fails_rarely(HOG), 300), "memory");
}

#[test]
fn one_that_picks_who_is_not_there_costs_no_request() {
    said(&under_load(&fails_rarely(NOBODY), 300), "answer");
}

#[test]
fn one_that_recurses_without_end_costs_no_request() {
    let guest = fails_rarely(RECURSION).items("(func $deeper (param i32) (call $deeper (local.get 0)))");
    said(&under_load(&guest, 300), "trap");
}

#[test]
fn one_that_starts_slowly_holds_nothing_up_when_it_starts_anew() {
    said(&under_load(&fails_rarely(TRAP).body("configure", SLOW), 300), "trap");
}

#[test]
fn one_that_always_fails_is_left_out_and_the_host_balances() {
    for how in [TRAP, LOOP, NOBODY] {
        let proxy = under_load(&fails_always(how), 300);
        proxy.log.wait("it keeps failing and is left out for a while");
    }
}

#[test]
fn persistence_that_traps_leaves_answers_as_they_are() {
    let guest = Guest::persistence()
        .body("recall", "(if (i64.ne (local.get $time) (i64.const 0)) (then unreachable)) (call $affinity (i32.const -1) (i32.const 1))")
        .body("respond", "(if (i64.ne (local.get $time) (i64.const 0)) (then unreachable)) (call $amendment (i32.const 0) (i32.const 0) (i32.const 0))");
    let a = origin("a").start();
    let proxy = proxy().backend("persistence = \"./guest.wasm\"").server(&a).start_in(with_policy(&guest));
    let mut client = client(proxy.address());
    for _ in 0..20 {
        let answer = client.get_with("/", &[("cookie", "K=1")]);
        assert_eq!((answer.status(), answer.text().as_str(), answer.header("set-cookie")), (200, "a", None));
    }
    let line = proxy.log.wait("kind=trap");
    assert!(line.contains("role=persistence"), "{line}");
}

#[test]
fn persistence_that_answers_with_a_huge_list_leaves_answers_as_they_are() {
    // More edits than a response may have, and more than there is memory for.
    for edits in [5_000, 0x0fff_ffff] {
        let huge = format!("(call $amendment (i32.const 0x600) (i32.const {edits}) (i32.const 0))");
        let a = origin("a").start();
        let guest = Guest::persistence().body("respond", &huge);
        let proxy =
            proxy().backend("persistence = \"./guest.wasm\"").server(&a).start_in(with_policy(&guest));
        let load = Load::start(proxy.address(), CLIENTS);
        load.pass(100);
        load.stop();
        let line = proxy.log.wait("kind=answer");
        assert!(line.contains("role=persistence"), "{line}");
        assert!(proxy.exchanges().iter().all(|exchange| exchange.status == 200));
    }
}

#[test]
fn feedback_that_fails_costs_no_request() {
    let a = origin("a").start();
    let proxy = balanced().server(&a).start_in(with_policy(&Guest::observer().body("observe", TRAP)));
    let load = Load::start(proxy.address(), CLIENTS);
    load.pass(200);
    load.stop();
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "----"));
    said(&proxy, "trap");
}

/// Starts with a guest that must not be taken, and gives the error.
fn refused(guest: &Guest) -> String {
    let directory = with_policy(guest);
    let config = directory.write("lb.toml", balanced().server_at("a", "127.0.0.1:1", "").text());
    let (code, _, errors) = run(&["run", config.to_str().expect("a path that is text")]);
    assert_eq!(code, 1, "{errors}");
    for part in ["lb.toml:", "^^^", "guest.wasm"] {
        assert!(errors.contains(part), "{errors}");
    }
    errors
}

#[test]
fn one_that_does_not_start_is_refused_with_the_place_and_the_reason() {
    let guest = Guest::balancer;
    let errors = refused(&guest().body("configure", TRAP));
    assert!(errors.contains("failed when it was configured: it trapped"), "{errors}");
    let errors = refused(&guest().body("configure", "(loop $l (br $l)) unreachable"));
    assert!(errors.contains("took too much processor time"), "{errors}");
    let errors = refused(&guest().body("pick", TRAP));
    assert!(errors.contains("for a trial"), "{errors}");
    let errors = refused(&guest().items("(func $go unreachable) (start $go)"));
    assert!(errors.contains("it trapped"), "{errors}");
    let endless = "(i32.store (i32.const 0x201c) (i32.const 0x0fffffff)) (i32.const 0x2000)";
    let errors = refused(&guest().body("describe", endless));
    assert!(errors.contains("gave an answer that cannot be read"), "{errors}");
}

#[test]
fn one_that_does_not_start_changes_nothing_at_a_reload() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let setup = balanced().server(&a).server(&b);
    let first = Guest::balancer().body("pick", "(call $some (i32.const 0))");
    let mut proxy = setup.start_in(with_policy(&first));
    let load = Load::start(proxy.address(), CLIENTS);
    for guest in [
        Guest::balancer().body("configure", TRAP),
        Guest::balancer().body("configure", "(loop $l (br $l)) unreachable"),
        Guest::balancer().body("pick", TRAP),
    ] {
        install(&proxy.directory, &guest);
        proxy.hang_up(&setup, "the old one stays");
        load.pass(50);
    }
    proxy.directory.write("guest.wasm", "no WebAssembly");
    proxy.hang_up(&setup, "the old one stays");
    load.pass(50);
    let served = load.distribution();
    assert_eq!(served.keys().collect::<Vec<_>>(), ["a"], "the first policy picks all the while");
    install(&proxy.directory, &Guest::balancer().body("pick", "(call $some (i32.const 1))"));
    proxy.reload(&setup);
    load.pass(50);
    load.distribution();
    load.pass(50);
    assert_eq!(load.distribution().keys().collect::<Vec<_>>(), ["b"], "and then the next good one");
    load.stop();
}

#[test]
fn a_policys_own_words_reach_the_log() {
    let guest = Guest::balancer()
        .import("lb:policy/log@0.1.0", "write", "(func $log (param i32 i32 i32))")
        .data(super::guest::DATA, "all is well")
        .body("configure", "(call $log (i32.const 1) (i32.const 0x4000) (i32.const 11)) (i32.const 0x100)");
    let a = origin("a").start();
    let proxy = balanced().server(&a).start_in(with_policy(&guest));
    proxy.log.wait("all is well policy=probe backend=app");
}

#[test]
fn inspect_says_what_a_file_is() {
    let directory = with_policy(&Guest::balancer().setting("sticky", Some(true)));
    let path = directory.path("guest.wasm");
    let (code, said, _) = run(&["policy", "inspect", path.to_str().expect("a path that is text")]);
    assert_eq!(code, 0);
    for part in ["probe 1", "balancing", "sticky"] {
        assert!(said.contains(part), "{said}");
    }
    let path = directory.write("no.wasm", "no WebAssembly");
    let output = lb(&["policy", "inspect"]).arg(path).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no.wasm is no policy"), "{errors}");
}
