//! Nothing that a balancer does stops traffic: whatever it does, the request gets a server, the failure is
//! counted and logged, and a fresh instance takes the place of the old.

use std::time::{Duration, Instant};

use lb_host::policy::{FaultKind, Outcome, Verdict};

use super::guest::{DATA, Guest};
use super::scene::{CLIENT, Scene, logged, prove_one, runtime};

/// Fails at the pick of this sequence number, and else picks in turn.
fn fails_at(sequence: u64, how: &str) -> Guest {
    Guest::balancer().body(
        "pick",
        &format!(
            "(if (i64.eq (local.get $sequence) (i64.const {sequence})) (then {how}))
             (call $some (i32.wrap_i64 (i64.rem_u (local.get $sequence) (i64.extend_i32_u (global.get $count)))))"
        ),
    )
}

/// Runs `guest`, which fails at its second pick, over three servers; says how it failed.
fn one_failure(guest: &Guest) -> FaultKind {
    let scene = Scene::balanced(&[guest], 3);
    let mut worker = scene.worker();
    assert_eq!(worker.picks(&scene, 3), [0, 1, 2], "the host decides in the policy's place");
    scene.runtime.settle();
    assert_eq!(worker.picks(&scene, 3), [0, 1, 2]);
    let metrics = scene.metrics();
    assert_eq!((metrics.faults(), metrics.instances, metrics.benches), (1, 2, 0), "{metrics:?}");
    assert_eq!(metrics.decisions + metrics.fallbacks, 6);
    assert!((1..=2).contains(&metrics.fallbacks), "the next pick may find the instance made: {metrics:?}");
    FaultKind::ALL.into_iter().find(|kind| scene.faults(*kind) == 1).expect("one fault")
}

#[test]
fn a_trap_costs_no_request_and_the_next_instance_serves() {
    assert_eq!(one_failure(&fails_at(1, "unreachable")), FaultKind::Trap);
    assert_eq!(one_failure(&fails_at(1, "(drop (i32.div_u (i32.const 1) (i32.const 0)))")), FaultKind::Trap);
}

#[test]
fn an_endless_loop_is_stopped_within_its_budget() {
    let start = Instant::now();
    assert_eq!(one_failure(&fails_at(1, "(loop $l (br $l))")), FaultKind::Overrun);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_hog_gets_no_more_memory_than_an_instance_may_have() {
    let hog = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_eq!(one_failure(&fails_at(1, hog)), FaultKind::Memory);
}

#[test]
fn a_policy_that_takes_a_no_for_memory_goes_on() {
    let modest = fails_at(1, "(drop (memory.grow (i32.const 65535)))");
    let scene = Scene::balanced(&[&modest], 3);
    assert_eq!(scene.worker().picks(&scene, 6), [0, 1, 2, 0, 1, 2]);
    assert_eq!(scene.metrics().faults(), 0);
}

#[test]
fn deep_recursion_ends_at_the_guests_own_stack() {
    let guest = fails_at(1, "(call $deeper (i32.const 0))")
        .items("(func $deeper (param i32) (call $deeper (local.get 0)))");
    assert_eq!(one_failure(&guest), FaultKind::Trap);
}

#[test]
fn a_candidate_that_is_not_there_is_no_answer() {
    assert_eq!(one_failure(&fails_at(1, "(return (call $some (i32.const 3)))")), FaultKind::Answer);
    assert_eq!(one_failure(&fails_at(1, "(return (call $some (i32.const -1)))")), FaultKind::Answer);
    assert_eq!(one_failure(&fails_at(1, "(return (i32.const -4))")), FaultKind::Answer, "outside its memory");
}

#[test]
fn a_policy_that_keeps_failing_is_benched_and_tried_again() {
    let mut scene = Scene::balanced(&[&Guest::balancer().body("pick", TRAPS_AFTER_TRIAL)], 2);
    let mut worker = scene.worker();
    for fault in 1..=5 {
        worker.picks(&scene, 1);
        scene.runtime.settle();
        assert_eq!(scene.metrics().faults(), fault);
    }
    assert!(scene.metrics().benched);
    assert_eq!(worker.picks(&scene, 10).len(), 10, "the host decides");
    assert_eq!((scene.metrics().faults(), scene.metrics().benches), (5, 1), "and does not ask");
    scene.time_ms += 1_000;
    assert!(!scene.metrics().benched);
    worker.picks(&scene, 1);
    scene.runtime.settle();
    worker.picks(&scene, 1);
    let metrics = scene.metrics();
    assert_eq!(
        (metrics.faults(), metrics.benches, metrics.benched),
        (6, 2, true),
        "on probation one is enough"
    );
    scene.time_ms += 1_999;
    assert!(scene.metrics().benched, "twice as long");
    scene.time_ms += 1;
    assert!(!scene.metrics().benched);
}

/// The trial comes at time 0.
const TRAPS_AFTER_TRIAL: &str =
    "(if (i64.ne (local.get $time) (i64.const 0)) (then unreachable)) (call $none)";

#[test]
fn a_bench_holds_for_workers_whose_own_instance_is_well() {
    let traps_for_workers = Guest::balancer().body(
        "pick",
        "(if (i64.lt_u (i64.sub (local.get $sequence) (i64.const 1)) (i64.const 5)) (then unreachable))
         (call $some (i32.const 0))",
    );
    let scene = Scene::balanced(&[&traps_for_workers], 2);
    let (mut well, mut ill) = (scene.worker(), scene.worker());
    assert_eq!(well.pick(&scene), Some(0));
    for _ in 0..5 {
        ill.picks(&scene, 1);
        scene.runtime.settle();
    }
    assert!(scene.metrics().benched);
    assert_eq!(well.picks(&scene, 4), [0, 1, 0, 1], "the host's choice, not the policy's");
}

#[test]
fn an_update_that_fails_on_a_fresh_instance_too_benches_at_once() {
    let guest =
        Guest::balancer().body("update", "(if (i32.eq (local.get $n) (i32.const 1)) (then unreachable))");
    let mut scene = Scene::balanced(&[&guest], 2);
    let mut worker = scene.worker();
    worker.picks(&scene, 2);
    scene.backend.server_changed(0, false);
    assert_eq!(worker.pick(&scene), Some(1));
    assert!(!scene.metrics().benched);
    scene.runtime.settle();
    assert_eq!(worker.pick(&scene), Some(1));
    let metrics = scene.metrics();
    assert_eq!((metrics.faults(), metrics.benched), (2, true));
    scene.backend.server_changed(0, true);
    scene.time_ms += 60_000;
    worker.picks(&scene, 1);
    scene.runtime.settle();
    let decisions = scene.metrics().decisions;
    worker.picks(&scene, 2);
    assert_eq!(scene.metrics().decisions, decisions + 2, "it serves again");
}

#[test]
fn a_burst_of_failures_is_one_line_in_the_log() {
    let scene = Scene::balanced(&[&Guest::balancer().body("pick", TRAPS_AFTER_TRIAL)], 2);
    let log = logged(|| {
        let mut worker = scene.worker();
        for _ in 0..4 {
            worker.picks(&scene, 1);
            scene.runtime.settle();
        }
    });
    assert_eq!(scene.metrics().faults(), 4);
    assert_eq!(log.lines().count(), 1, "{log}");
    for part in
        ["WARN", "lb::policy", "policy=probe", "backend=test", "kind=\"trap\"", "reached `unreachable`"]
    {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn what_does_not_start_or_answer_the_trial_is_a_problem_of_the_configuration() {
    let runtime = runtime();
    let problem = |guest: &Guest| {
        let problems = prove_one(&runtime, guest, vec![]).err().expect("a problem");
        assert_eq!((problems.len(), &problems[0].span), (1, &(0..1)));
        problems[0].message.clone()
    };
    let guest = Guest::balancer;
    assert!(problem(&guest().body("describe", "unreachable")).contains("it trapped"));
    assert!(
        problem(&guest().body("configure", "unreachable")).contains("when it was configured: it trapped")
    );
    assert!(problem(&guest().body("update", "unreachable")).contains("when it was told the candidates"));
    assert!(problem(&guest().body("pick", "unreachable")).contains("for a trial"));
    assert!(problem(&guest().body("pick", "(call $some (i32.const 9))")).contains("picked candidate 9 of 2"));
    assert!(problem(&guest().items("(func $go unreachable) (start $go)")).contains("it trapped"));
    let slow = problem(&guest().body("configure", "(loop $l (br $l)) unreachable"));
    assert!(slow.contains("took too much processor time"), "{slow}");
}

#[test]
fn workers_share_an_instance_where_the_backend_says_so() {
    let counts = Guest::balancer().items("(global $picks (mut i32) (i32.const 0))").body(
        "pick",
        "(global.set $picks (i32.add (global.get $picks) (i32.const 1)))
         (call $some (i32.rem_u (i32.sub (global.get $picks) (i32.const 1)) (global.get $count)))",
    );
    let turns = |scene: &Scene| {
        let (mut a, mut b) = (scene.worker(), scene.worker());
        [a.pick(scene), b.pick(scene), a.pick(scene), b.pick(scene)].map(|server| server.expect("a server"))
    };
    assert_eq!(turns(&Scene::shared(&counts, 4)), [0, 1, 2, 3]);
    assert_eq!(turns(&Scene::balanced(&[&counts], 4)), [0, 0, 1, 1], "each counts for itself");
}

#[test]
fn a_policy_that_passes_leaves_the_choice_to_the_next_and_then_to_the_host() {
    let passes = Guest::balancer().body("pick", "(call $none)");
    let first = Guest::balancer().body("pick", "(call $some (i32.const 0))");
    let scene = Scene::balanced(&[&passes, &first], 3);
    assert_eq!(scene.worker().picks(&scene, 3), [0, 0, 0]);
    assert_eq!((scene.metrics().passes, scene.metrics().fallbacks), (3, 0));
    let scene = Scene::balanced(&[&passes], 3);
    let mut worker = scene.worker();
    assert_eq!(worker.picks(&scene, 4), [0, 1, 2, 0]);
    let retry = worker.balancer.pick(&worker.request, CLIENT, scene.time_ms, Some(1));
    assert_eq!(retry, Some(2), "not the one that failed");
}

#[test]
fn no_candidates_no_question() {
    let scene = Scene::balanced(&[&Guest::balancer()], 2);
    let mut worker = scene.worker();
    scene.backend.server_changed(0, false);
    scene.backend.server_changed(1, false);
    assert_eq!(worker.pick(&scene), None);
    scene.backend.server_changed(1, true);
    assert_eq!(worker.picks(&scene, 2), [1, 1]);
    assert_eq!(scene.metrics().decisions, 2);
}

#[test]
fn an_observer_hears_of_each_attempt() {
    let guest = Guest::observer()
        .items("(global $last (mut i32) (i32.const 0))")
        .body("observe", "(global.set $last (local.get $server))")
        .body("pick", "(call $some (global.get $last))");
    let scene = Scene::balanced(&[&guest], 3);
    let mut worker = scene.worker();
    assert!(worker.balancer.wants_feedback());
    let outcome = Outcome {
        server: 2,
        verdict: Verdict::Answered,
        status: 200,
        connect_us: 0,
        latency_us: 1,
        bytes: 100,
        time_ms: scene.time_ms,
    };
    assert_eq!(worker.pick(&scene), Some(0));
    worker.balancer.observe(&outcome);
    assert_eq!(worker.pick(&scene), Some(2));
    let plain = Scene::balanced(&[&Guest::balancer()], 3);
    assert!(!plain.worker().balancer.wants_feedback());
}

#[test]
fn a_pick_sees_the_request_and_the_loads_and_may_write_to_the_log() {
    let guest = Guest::balancer()
        .import("lb:policy/candidates@0.1.0", "load", "(func $load (param i32) (result i32))")
        .import("lb:policy/request@0.1.0", "header", "(func $ask (param i32 i32 i32))")
        .import("lb:policy/log@0.1.0", "write", "(func $log (param i32 i32 i32))")
        .data(DATA, "X-Want")
        .body(
            "pick",
            "(call $ask (i32.const 0x4000) (i32.const 6) (i32.const 0x4100))
             (if (i32.eqz (i32.load8_u (i32.const 0x4100))) (then (return (call $none))))
             (call $log (i32.const 1) (i32.load (i32.const 0x4104)) (i32.load (i32.const 0x4108)))
             (call $some (call $load (i32.const 1)))",
        );
    let scene = Scene::balanced(&[&guest], 3);
    scene.load(1, 2);
    let mut worker = scene.worker();
    assert_eq!(worker.pick(&scene), Some(0), "no such header: the host's choice");
    worker.request = super::scene::request("GET / HTTP/1.1\r\nhost: x\r\nx-want: the loaded one\r\n\r\n");
    let log = logged(|| assert_eq!(worker.pick(&scene), Some(2)));
    assert!(log.contains("the loaded one policy=probe backend=test"), "{log}");
    let flood = logged(|| {
        for _ in 0..50 {
            worker.pick(&scene);
        }
    });
    assert!(flood.lines().count() <= 20, "10 a second: {flood}");
}
