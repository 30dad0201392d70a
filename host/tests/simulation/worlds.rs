//! What must hold in any world, and what is known of some.

use lb_host::simulation::{End, Failing, Results, SECOND, Scenario, report};
use proptest::prelude::*;

use super::guest::Guest;
use super::{poisson, read, scenario, simulate, simulate_guest, simulate_one};

fn ended(results: &Results, end: End) -> u64 {
    results.ends[end as usize]
}

/// A world in which much goes wrong.
fn rough() -> Scenario {
    Scenario {
        balancers: 3,
        timeout: SECOND / 2,
        slow: read("2x5@3s-9s"),
        failing: [read::<Failing>("1:hangs@2s-8s"), read("1:refuses@4s"), read("1:errors@1s-12s")].concat(),
        churn: [read("1/2s"), read("1@5s-7s")].concat(),
        ..scenario(10, 15)
    }
}

#[test]
fn the_same_seed_gives_the_same_report_to_the_byte_and_another_seed_another() {
    let report = |seed: u64| {
        let (scenario, traffic) = (Scenario { seed, ..rough() }, poisson(500.0));
        let results = simulate(&["roundrobin", "leastconn", "source+leastconn"], &scenario, &traffic);
        [
            report::text(&scenario, &traffic, &results),
            report::json(&scenario, &traffic, &results).to_string(),
            report::html(&scenario, &traffic, &results),
        ]
    };
    let first = report(1);
    assert!(first == report(1));
    assert!(first[0] != report(2)[0].replace("seed 2", "seed 1"));
}

#[test]
fn all_policies_of_a_run_see_the_same_requests() {
    let found = simulate(&["roundrobin", "leastconn"], &scenario(3, 20), &poisson(200.0));
    assert_eq!(found[0].arrived, found[1].arrived);
    let alone = simulate_one("leastconn", &scenario(3, 20), &poisson(200.0));
    assert_eq!(alone.times.mean(), found[1].times.mean());
}

proptest! {
    // An eighth of the usual number of cases: making a world's instances takes 80 ms.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8), ..ProptestConfig::default() })]

    #[test]
    fn every_request_ends_once(
        seed in any::<u64>(),
        servers in 6usize..12,
        balancers in 1u32..4,
        concurrency in 1u32..4,
        retries in 0u32..3,
        timeout_ms in 1u64..400,
        rate in 50.0..1_500.0,
        policy in prop::sample::select(vec!["roundrobin", "leastconn", "source"]),
    ) {
        let timeout = timeout_ms * 1_000_000;
        let scenario = Scenario {
            seed, balancers, concurrency, retries, timeout, warmup: 0, duration: 5 * SECOND,
            servers: lb_host::simulation::servers(servers), ..rough()
        };
        let results = simulate_one(policy, &scenario, &poisson(rate));
        prop_assert_eq!(results.arrived, results.ended);
        prop_assert_eq!(results.counted(), results.arrived);
        prop_assert_eq!(results.times.total(), results.arrived);
        // Whoever was refused for good was tried so many times, and nobody waits longer than patience lasts.
        prop_assert!(ended(&results, End::Refused) * u64::from(retries) <= results.retries);
        prop_assert!(results.quantile(1.0) <= timeout);
        prop_assert_eq!(&results.conduct.first_fault, &None);
    }
}

#[test]
fn one_slow_server_of_ten_ruins_who_does_not_look_and_not_who_does() {
    let scenario =
        Scenario { slow: read("1x10"), timeout: 10 * SECOND, warmup: 3 * SECOND, ..scenario(10, 30) };
    let traffic = poisson(0.7 * scenario.capacity());
    let policies = ["peak-ewma", "leastconn", "random", "roundrobin", "source"];
    let found = simulate(&policies, &scenario, &traffic);
    let [ewma, least, random, turns, hash] = [0, 1, 2, 3, 4].map(|index| found[index].quantile(0.99));
    // Who looks at all servers, who looks at two of them, who looks at none.
    assert!(ewma * 2 < random && least * 2 < random, "{ewma} {least} {random}");
    assert!(random * 5 < turns && random * 5 < hash, "{random} {turns} {hash}");
    assert!(found[1].imbalance() < found[3].imbalance() / 2.0);
}

#[test]
fn what_a_balancer_does_not_see_it_cannot_even_out() {
    let one = scenario(10, 30);
    let fifty = Scenario { balancers: 50, ..one.clone() };
    let p99 = |scenario: &Scenario| simulate_one("leastconn", scenario, &poisson(900.0)).quantile(0.99);
    assert!(p99(&fifty) > p99(&one) * 3 / 2, "each has a fiftieth of the loads to go by");
}

#[test]
fn who_fails_fastest_looks_least_busy() {
    let scenario = Scenario { failing: read("1:errors"), warmup: 0, ..scenario(10, 20) };
    let found = simulate(&["roundrobin", "leastconn"], &scenario, &poisson(800.0));
    assert!((found[0].failed() - 0.1).abs() < 0.001, "{}", found[0].failed());
    assert!(found[1].failed() > 0.2, "{}", found[1].failed());
}

#[test]
fn a_refused_request_goes_elsewhere_until_health_checks_notice() {
    let scenario = Scenario { failing: read("1:refuses@5s-10s"), balancers: 2, warmup: 0, ..scenario(4, 20) };
    let results = simulate_one("roundrobin", &scenario, &poisson(200.0));
    assert_eq!(results.failed(), 0.0);
    // A quarter of 200 a second, for a second or so on average of the two that the checks may take.
    assert!((10..=100).contains(&results.retries), "{}", results.retries);
    let blind = Scenario { retries: 0, ..scenario };
    let results = simulate_one("roundrobin", &blind, &poisson(200.0));
    assert_eq!(ended(&results, End::Refused), results.counted() - ended(&results, End::Answered));
    assert!(ended(&results, End::Refused) >= 10);
}

#[test]
fn a_server_that_hangs_costs_a_timeout_each_until_health_checks_notice() {
    let scenario =
        Scenario { failing: read("1:hangs"), timeout: SECOND, detect: SECOND, warmup: 0, ..scenario(4, 20) };
    let results = simulate_one("roundrobin", &scenario, &poisson(200.0));
    let timed_out = ended(&results, End::TimedOut);
    assert!((1..=55).contains(&timed_out), "{timed_out}");
    assert_eq!(results.quantile(1.0), SECOND);
}

#[test]
fn without_any_server_requests_fail_at_once() {
    let scenario = Scenario { failing: read("2:refuses"), detect: 0, warmup: 0, ..scenario(2, 5) };
    let results = simulate_one("leastconn", &scenario, &poisson(100.0));
    assert_eq!(ended(&results, End::NoServer), results.counted());
}

#[test]
fn churn_shows_how_many_keys_move_and_how_few_could() {
    let scenario = Scenario { churn: read("1@5s-10s"), ..scenario(10, 15) };
    let moved = simulate_one("source", &scenario, &poisson(100.0)).moved.expect("servers left");
    assert!((moved.least - 0.1).abs() < 1e-9, "{moved:?}");
    // The map of `source` is laid out anew for nine.
    assert!(moved.share > 0.5, "{moved:?}");
    let quiet = Scenario { churn: Vec::new(), ..scenario };
    assert_eq!(simulate_one("source", &quiet, &poisson(100.0)).moved, None);
}

#[test]
fn a_policy_that_traps_is_counted_and_the_host_picks() {
    // Not at the trial, which is number 0.
    let body =
        "(if (i64.ne (local.get $sequence) (i64.const 0)) (then (unreachable))) (call $some (i32.const 0))";
    let guest = Guest::balancer().body("pick", body);
    let results = simulate_guest("traps", &guest, &scenario(3, 10), &poisson(100.0));
    assert_eq!((results.conduct.decisions, results.conduct.fallbacks), (0, results.arrived));
    let fault = results.conduct.first_fault.as_deref().expect("it failed");
    assert!(fault.contains("trapped") && results.failed() == 0.0, "{fault}");
    assert!(results.conduct.faults < results.arrived / 10, "it is benched");
}

#[test]
fn feedback_reaches_who_wants_it() {
    // Picks the server that the last outcome was of.
    let guest = Guest::observer()
        .items("(global $last (mut i32) (i32.const 2))")
        .body("observe", "(global.set $last (i32.and (local.get $server) (local.get $status)))")
        .body("pick", "(call $some (global.get $last))");
    let results = simulate_guest("hears", &guest, &scenario(3, 10), &poisson(50.0));
    // First the third server, whose number is 2; 2 and 200 have no bit in common, so then the first.
    assert_eq!(results.taken[1..], [0, 0]);
    assert!(results.taken[0] > 300 && results.conduct.faults == 0);
}

#[test]
fn chance_and_time_of_wasi_are_simulated_too() {
    let guest = Guest::balancer()
        .extra_imports(
            "package wasi:random@0.2.3 { interface random { get-random-u64: func() -> u64; } }
             package wasi:clocks@0.2.3 { interface monotonic-clock { now: func() -> u64; } }",
            "import wasi:random/random@0.2.3; import wasi:clocks/monotonic-clock@0.2.3;",
        )
        .import("wasi:random/random@0.2.3", "get-random-u64", "(func $random (result i64))")
        .import("wasi:clocks/monotonic-clock@0.2.3", "now", "(func $now (result i64))")
        .body(
            "pick",
            "(call $some (i32.wrap_i64 (i64.rem_u (i64.xor (call $random) (call $now))
               (i64.extend_i32_u (global.get $count)))))",
        );
    let taken = |seed: u64| {
        let scenario = Scenario { seed, ..scenario(5, 10) };
        simulate_guest("draws", &guest, &scenario, &poisson(100.0)).taken
    };
    let first = taken(1);
    assert!(first.iter().all(|taken| *taken > 100), "{first:?}");
    assert_eq!(first, taken(1));
    assert_ne!(first, taken(2));
}
