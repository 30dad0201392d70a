//! The conformance kit finds what is wrong with a policy, says what it was sent, and lets well-behaved ones pass.

use lb_host::config::model::{Instances, PolicySource, PolicySpec, RawValue};
use lb_host::conformance::{Finding, Report, Severity, case_names, check};
use lb_host::measure::usual_settings;
use lb_host::policy::{self, Settings, built_ins};

use super::guest::{DATA, Guest, UNCHANGED, UNKNOWN};
use super::sandbox::wasi;
use super::scene::{runtime, setting};

const SEED: u64 = 7;

fn examined(guest: &Guest, case: Option<&str>) -> Report {
    let policy = runtime().load_bytes(&guest.bytes()).expect("a policy");
    check(&policy, &Settings::default(), SEED, case)
}

/// The one thing that is wrong in a case.
#[track_caller]
fn wrong(guest: &Guest, case: &str) -> Finding {
    let report = examined(guest, Some(case));
    let wrongs: Vec<_> = report.wrongs().cloned().collect();
    assert_eq!(wrongs.len(), 1, "{report:?}");
    assert_eq!(wrongs[0].case, case);
    wrongs[0].clone()
}

/// What is wrong is said in these words, and so is what was sent.
#[track_caller]
fn found(guest: &Guest, case: &str, message: &str, sent: &str) {
    let finding = wrong(guest, case);
    assert!(finding.message.contains(message), "{finding:?}");
    assert!(finding.sent.contains(sent), "{finding:?}");
}

#[track_caller]
fn noted(guest: &Guest, case: &str, words: &str) {
    let report = examined(guest, Some(case));
    assert!(report.is_fine(), "{report:?}");
    let noted = report.findings.iter().any(|finding| {
        finding.severity == Severity::Note && finding.case == case && finding.message.contains(words)
    });
    assert!(noted, "{report:?}");
}

#[test]
fn the_built_in_policies_pass() {
    let runtime = runtime();
    for name in built_ins() {
        let policy = runtime.load(&PolicySource::BuiltIn(name.into())).expect("a policy");
        let spec = PolicySpec {
            source: PolicySource::BuiltIn(name.into()),
            instances: Instances::PerWorker,
            settings: usual_settings(name),
            span: 0..1,
        };
        let settings = policy::check(policy.description(), &spec).expect("it takes these settings");
        let report = check(&policy, &settings, SEED, None);
        assert_eq!(report.wrongs().collect::<Vec<_>>(), Vec::<&Finding>::new(), "{name}");
        assert!(report.cases.len() >= 8 && report.cases.iter().all(|case| case.calls > 0), "{report:?}");
    }
}

#[test]
fn each_way_of_the_cookie_passes() {
    let runtime = runtime();
    let policy = runtime.load(&PolicySource::BuiltIn("cookie".into())).expect("a policy");
    let (on, text) = (RawValue::Boolean(true), |text: &str| RawValue::Text(text.into()));
    for options in [
        vec![("rewrite", on.clone())],
        vec![("prefix", on.clone())],
        vec![("insert", on.clone()), ("maxidle", text("30m")), ("maxlife", text("8h"))],
    ] {
        let settings = [("name", text("S"))].into_iter().chain(options);
        let spec = PolicySpec {
            source: PolicySource::BuiltIn("cookie".into()),
            instances: Instances::PerWorker,
            settings: settings.map(|(name, value)| setting(name, value, 10)).collect(),
            span: 0..1,
        };
        let settings = policy::check(policy.description(), &spec).expect("it takes these settings");
        let report = check(&policy, &settings, SEED, None);
        assert!(report.is_fine(), "{report:?}");
    }
}

#[test]
fn well_behaved_guests_pass() {
    // The allocator of these guests gives nothing back by itself.
    let forget = |answer: &str| format!("(global.set $heap (i32.const 0x10000)) {answer}");
    let persistence =
        Guest::persistence().body("recall", &forget(UNKNOWN)).body("respond", &forget(UNCHANGED));
    for guest in [Guest::balancer(), Guest::observer(), persistence] {
        let report = examined(&guest, None);
        assert!(report.is_fine(), "{report:?}");
    }
    found(&Guest::persistence(), "keys-long-run", "its memory grows without end", "16000 requests");
}

#[test]
fn picks_that_fail_are_found_with_their_reason() {
    let pick = |body: &str| Guest::balancer().body("pick", body);
    found(&pick("unreachable"), "one-server", "it trapped", "sequence 0, client");
    found(
        &pick("(loop $l (br $l)) unreachable"),
        "one-server",
        "took too much processor time, in `pick`",
        "1 cand",
    );
    let hog = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    found(&pick(hog), "one-server", "wanted more memory than an instance may have", "");
    let recursion = pick("(call $deeper (i32.const 0)) (call $none)")
        .items("(func $deeper (param i32) (call $deeper (local.get 0)))");
    found(&recursion, "one-server", "recursed too deep", "");
    found(&pick("(call $some (global.get $count))"), "one-server", "picked candidate 1 of 1", "of weight 1");
    found(&pick("(i32.const -4)"), "one-server", "gave an answer that cannot be read", "");
}

#[test]
fn whoever_remembers_servers_that_are_gone_is_found() {
    let most = Guest::balancer()
        .items("(global $most (mut i32) (i32.const 0))")
        .body("update", "(if (i32.gt_u (local.get $n) (global.get $most)) (then (global.set $most (local.get $n))))")
        .body(
            "pick",
            "(call $some (i32.wrap_i64 (i64.rem_u (local.get $sequence) (i64.extend_i32_u (global.get $most)))))",
        );
    found(&most, "shrinking-and-growing", "picked candidate", "candidates: servers");
    found(&most, "reconfigured", "picked candidate", "");
    assert!(examined(&most, Some("one-server")).is_fine());
}

#[test]
fn what_only_some_requests_do_to_a_policy_is_found() {
    let v6 = Guest::balancer().body("pick", "(if (local.get $family) (then unreachable)) (call $none)");
    found(&v6, "clients", "it trapped", "client ::1");
    let retry = Guest::balancer().body("pick", "(if (local.get $retry) (then unreachable)) (call $none)");
    found(&retry, "retries", "it trapped", "failed 0");
    let wide = "(if (i64.lt_s (local.get $sequence) (i64.const 0)) (then unreachable)) (call $none)";
    found(
        &Guest::balancer().body("pick", wide),
        "thousand-servers",
        "it trapped",
        "sequence 18446744073709551",
    );
    let bytes = Guest::balancer()
        .import("lb:policy/request@0.1.0", "header", "(func $ask (param i32 i32 i32))")
        .data(DATA, "x-key")
        .body(
            "pick",
            "(call $ask (i32.const 0x4000) (i32.const 5) (i32.const 0x4100))
             (if (i32.load8_u (i32.const 0x4100))
               (then (if (i32.load (i32.const 0x4108))
                 (then (if (i32.eq (i32.load8_u (i32.load (i32.const 0x4104))) (i32.const 0xef)) (then unreachable))))))
             (call $none)",
        );
    found(&bytes, "hostile-requests", "it trapped", "its value not UTF-8");
}

#[test]
fn what_only_some_sets_of_servers_do_to_a_policy_is_found() {
    let many =
        Guest::balancer().body("update", "(if (i32.eq (local.get $n) (i32.const 1000)) (then unreachable))");
    found(
        &many,
        "thousand-servers",
        "it trapped: it panicked or reached `unreachable`, in `update`",
        "1000 candidates",
    );
    let none = "(if (i32.eqz (local.get $m)) (then unreachable)) (i32.const 0x100)";
    found(&Guest::balancer().body("configure", none), "no-server", "did not start: it trapped", "no servers");
    let refuses = Guest::balancer().data(DATA, "nobody").body(
        "configure",
        "(if (i32.eqz (local.get $m))
           (then (return (call $refuse (i32.const 0) (i32.const 0) (i32.const 0x4000) (i32.const 6)))))
         (i32.const 0x100)",
    );
    noted(&refuses, "no-server", "refused: nobody");
    let once = Guest::balancer().items("(global $again (mut i32) (i32.const 0))").body(
        "configure",
        "(if (global.get $again) (then unreachable)) (global.set $again (i32.const 1)) (i32.const 0x100)",
    );
    found(&once, "reconfigured", "did not take another configuration: it trapped", "one server");
    let light =
        "(if (i32.eq (i32.load offset=4 (local.get $candidates)) (i32.const 256)) (then unreachable))";
    found(&Guest::balancer().body("update", light), "weights", "in `update`", "of weight 256");
}

#[test]
fn feedback_that_fails_is_found() {
    let guest = Guest::observer()
        .body("observe", "(if (i32.eq (local.get $verdict) (i32.const 4)) (then unreachable))");
    found(&guest, "feedback", "in `observe`", "Abandoned");
    let endless = Guest::observer()
        .body("observe", "(if (i64.eq (local.get $latency) (i64.const -1)) (then (loop $l (br $l))))");
    found(&endless, "feedback", "took too much processor time", "latency_us: 18446744073709551615");
}

#[test]
fn memory_that_grows_without_end_is_found() {
    let leaks = Guest::balancer().body(
        "pick",
        "(if (i64.eqz (i64.rem_u (local.get $sequence) (i64.const 1000))) (then (drop (memory.grow (i32.const 1)))))
         (call $none)",
    );
    found(&leaks, "long-run", "its memory grows without end", "40000 requests");
    let settles = Guest::balancer().body(
        "pick",
        "(if (i64.eqz (i64.rem_u (local.get $sequence) (i64.const 1000)))
           (then (if (i32.lt_u (memory.size) (i32.const 12)) (then (drop (memory.grow (i32.const 1)))))))
         (call $none)",
    );
    assert!(examined(&settles, Some("long-run")).is_fine());
}

#[test]
fn chance_and_memory_are_noted_and_not_wrong() {
    let random = wasi("random/random")
        .import("wasi:random/random@0.2.3", "get-random-u64", "(func $random (result i64))")
        .body(
            "pick",
            "(call $some (i32.wrap_i64 (i64.rem_u (call $random) (i64.extend_i32_u (global.get $count)))))",
        );
    noted(&random, "thousand-servers", "told the same, another instance answers otherwise");
    let counts = Guest::balancer().items("(global $picks (mut i32) (i32.const 0))").body(
        "pick",
        "(global.set $picks (i32.add (global.get $picks) (i32.const 1)))
         (call $some (i32.rem_u (global.get $picks) (global.get $count)))",
    );
    noted(&counts, "two-workers", "instances = \"shared\"");
    let report = examined(&Guest::balancer(), None);
    assert_eq!(report.findings, [], "neither is said of who goes by what it is told");
    let passes = examined(&Guest::balancer().body("pick", "(call $none)"), Some("one-server"));
    assert!(passes.findings[0].message.contains("never picked"), "{passes:?}");
}

/// Gives each client the last digit of its server, and takes it for the whole.
fn by_a_digit() -> Guest {
    Guest::persistence()
        .data(DATA, "set-cookieK=0")
        .body(
            "respond",
            "(i32.store8 (i32.const 0x400c) (i32.add (i32.const 48) (i32.rem_u (local.get $server) (i32.const 10))))
             (call $header (i32.const 0x600) (i32.const 0x4000) (i32.const 10) (i32.const 0x400a) (i32.const 3))
             (call $amendment (i32.const 0x600) (i32.const 1) (i32.const 0))",
        )
        .body(
            "recall",
            "(if (i32.ne (local.get $length) (i32.const 1)) (then (return (call $affinity (i32.const -1) (i32.const 1)))))
             (call $affinity (i32.sub (i32.load8_u (local.get $value)) (i32.const 48)) (i32.const 3))",
        )
}

#[test]
fn what_is_set_and_not_found_again_is_found() {
    assert!(examined(&by_a_digit(), Some("round-trip")).is_fine());
    let finding = wrong(&by_a_digit(), "round-trip-thousand");
    assert!(
        finding.message.contains("set for server 10, \"0\", `recall` does not find: it found server 0"),
        "{finding:?}"
    );
    let forgets = by_a_digit().body("recall", UNKNOWN);
    found(&forgets, "round-trip", "it found no server, its standing Unknown", "then `recall` of that value");
    noted(&Guest::persistence(), "round-trip", "gave no client a key");
}

#[test]
fn answers_of_persistence_that_cannot_be_are_found() {
    found(&by_a_digit(), "hostile-keys", "recalled server", "the key's value \"");
    let split = by_a_digit().data(DATA + 13, "\\0d\\0aX: y").body(
        "respond",
        "(call $header (i32.const 0x600) (i32.const 0x4000) (i32.const 10) (i32.const 0x400a) (i32.const 9))
         (call $amendment (i32.const 0x600) (i32.const 1) (i32.const 0))",
    );
    found(&split, "responses", "a value with control characters", "standing Absent");
    let huge = "(call $amendment (i32.const 0x600) (i32.const 0x0fffffff) (i32.const 0))";
    found(&Guest::persistence().body("respond", huge), "responses", "gave an answer that cannot be read", "");
    let endless = Guest::persistence().body("recall", "(loop $l (br $l)) unreachable");
    found(&endless, "hostile-keys", "took too much processor time, in `recall`", "");
}

#[test]
fn an_answer_that_may_be_given_again_and_is_another_is_found() {
    let fickle = by_a_digit().items("(global $n (mut i32) (i32.const 0))").body(
        "respond",
        "(global.set $n (i32.rem_u (i32.add (global.get $n) (i32.const 1)) (i32.const 10)))
         (i32.store8 (i32.const 0x400c) (i32.add (i32.const 48) (global.get $n)))
         (call $header (i32.const 0x600) (i32.const 0x4000) (i32.const 10) (i32.const 0x400a) (i32.const 3))
         (call $amendment (i32.const 0x600) (i32.const 1) (i32.const 1000))",
    );
    found(&fickle, "reused-answers", "999 ms later it has another itself", "standing Absent");
}

#[test]
fn a_recall_that_does_not_hold_as_long_as_it_says_is_found() {
    let fickle = Guest::persistence().body(
        "recall",
        "(i32.store (i32.const 0x420) (i32.const 1000))
         (call $affinity (i32.wrap_i64 (i64.rem_u (local.get $time) (i64.const 2))) (i32.const 3))",
    );
    found(&fickle, "reused-recalls", "999 ms later it has another itself", "the key's value");
}

#[test]
fn a_key_that_moves_is_found() {
    let moves = Guest::persistence()
        .data(0x220, "\\00\\00\\00\\00\\30\\02\\00\\00\\01\\00\\00\\00")
        .data(0x230, "J")
        .items("(global $n (mut i32) (i32.const 0))")
        .body(
            "place",
            "(global.set $n (i32.add (global.get $n) (i32.const 1)))
             (select (i32.const 0x200) (i32.const 0x220) (i32.eq (global.get $n) (i32.const 1)))",
        );
    found(&moves, "key-place", "it placed its key at Some(Cookie(\"J\"))", "0 servers");
}

#[test]
fn a_seed_says_how_to_see_it_again() {
    let guest = Guest::balancer().body(
        "pick",
        "(if (i64.eq (local.get $sequence) (i64.const 77)) (then unreachable)) (call $some (i32.const 0))",
    );
    let report = examined(&guest, None);
    let text = report.text("lb policy check p.wasm");
    for finding in report.wrongs() {
        assert_eq!(wrong(&guest, &finding.case), *finding, "the case alone shows the same");
        let again = format!("again: lb policy check p.wasm --seed {SEED} --case {}", finding.case);
        assert!(text.contains(&again), "{text}");
    }
    assert!(report.wrongs().count() > 3 && text.contains("WRONG: "), "{text}");
}

#[test]
fn every_case_stands_in_the_document() {
    let document = include_str!("../../../docs/policy-check.md");
    let runtime = runtime();
    for guest in [Guest::observer(), Guest::persistence()] {
        let policy = runtime.load_bytes(&guest.bytes()).expect("a policy");
        for case in case_names(&policy) {
            assert!(document.contains(&format!("| `{case}` |")), "{case}");
        }
    }
}
