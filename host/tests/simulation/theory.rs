//! Where queueing theory has an answer, the simulation gives it.

use lb_host::simulation::{MS, Nanoseconds, Results, Scenario};

use super::guest::Guest;
use super::{poisson, scenario, simulate, simulate_guest, simulate_one};

/// The mean time in ms.
fn mean(results: &Results) -> f64 {
    ms(results.times.mean())
}

fn ms(time: Nanoseconds) -> f64 {
    time as f64 / MS as f64
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found:.2}, not {expected:.2}");
}

/// The mean time of an M/M/c queue of servers of 10 ms, in ms, by Erlang's C formula.
fn erlang(servers: u32, utilisation: f64) -> f64 {
    let offered = f64::from(servers) * utilisation;
    // Erlang's B by its recursion; C follows from it.
    let blocked = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let waits = blocked / (1.0 - utilisation * (1.0 - blocked));
    10.0 + waits * 10.0 / (f64::from(servers) * (1.0 - utilisation))
}

#[test]
fn one_server_is_m_m_1() {
    let results = simulate_one("roundrobin", &scenario(1, 4_000), &poisson(70.0));
    // The time is exponentially distributed, of mean 1 / (mu - lambda).
    let expected = 1_000.0 / 30.0;
    near(mean(&results), expected, 0.05);
    near(ms(results.quantile(0.5)), expected * 2f64.ln(), 0.05);
    near(ms(results.quantile(0.99)), expected * 100f64.ln(), 0.07);
    // Little's law: as many are there as come while one is.
    near(results.loads[0], 0.070 * mean(&results), 0.02);
}

#[test]
fn a_server_of_many_places_is_m_m_c() {
    let scenario = Scenario { concurrency: 5, ..scenario(1, 800) };
    let results = simulate_one("roundrobin", &scenario, &poisson(400.0));
    near(mean(&results), erlang(5, 0.8), 0.05);
}

#[test]
fn fixed_times_halve_the_wait() {
    let service = "fixed:10ms".parse().expect("a distribution");
    let results = simulate_one("roundrobin", &Scenario { service, ..scenario(1, 3_000) }, &poisson(70.0));
    // Pollaczek and Khinchine: half of M/M/1's wait of 23.33 ms.
    near(mean(&results), 10.0 + 70.0 / 30.0 * 10.0 / 2.0, 0.04);
}

#[test]
fn leastconn_lies_between_one_queue_for_all_and_a_queue_for_each() {
    let found = simulate(&["leastconn", "roundrobin"], &scenario(5, 600), &poisson(400.0));
    let (leastconn, roundrobin) = (mean(&found[0]), mean(&found[1]));
    let (shared, split) = (erlang(5, 0.8), erlang(1, 0.8));
    // Joining the shortest queue is worse than one queue for all, though not by much; taking turns makes arrivals
    // at each server more even than chance would.
    assert!(shared < leastconn && leastconn < shared * 1.5, "{shared} {leastconn}");
    assert!(leastconn < roundrobin && roundrobin < split, "{leastconn} {roundrobin} {split}");
}

/// Picks one of two servers at random, by the pick's number, or always the first of the two.
fn random(two: bool) -> Guest {
    let choose = if two {
        "(select (local.get $b) (local.get $a) (i32.lt_u (call $load (local.get $b)) (call $load (local.get $a))))"
    } else {
        "(local.get $a)"
    };
    let body = format!(
        "(local $h i64) (local $n i64) (local $a i32) (local $b i32)
         (local.set $n (i64.extend_i32_u (global.get $count)))
         (local.set $h (i64.mul (local.get $sequence) (i64.const 0x9E3779B97F4A7C15)))
         (local.set $h (i64.mul (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 32)))
           (i64.const 0xD6E8FEB86659FD93)))
         (local.set $h (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 32))))
         (local.set $a (i32.wrap_i64 (i64.shr_u
           (i64.mul (i64.and (local.get $h) (i64.const 0xffffffff)) (local.get $n)) (i64.const 32))))
         (local.set $b (i32.wrap_i64 (i64.shr_u
           (i64.mul (i64.shr_u (local.get $h) (i64.const 32)) (local.get $n)) (i64.const 32))))
         (call $some {choose})"
    );
    Guest::balancer()
        .import("lb:policy/candidates@0.1.0", "load", "(func $load (param i32) (result i32))")
        .body("pick", &body)
}

#[test]
fn two_random_choices_are_as_much_better_than_one_as_the_supermarket_model_says() {
    let (scenario, traffic) = (scenario(100, 40), poisson(9_000.0));
    let one = simulate_guest("one", &random(false), &scenario, &traffic);
    let two = simulate_guest("two", &random(true), &scenario, &traffic);
    // Mitzenmacher 2001: with two choices the mean is 10 ms times the sum of 0.9^(2^i - 2), with one it is M/M/1's.
    let expected: f64 = (1..8).map(|i| 10.0 * 0.9f64.powi((1 << i) - 2)).sum();
    near(mean(&two), expected, 0.08);
    near(mean(&one), 100.0, 0.15);
    // The longest queue: of the order of log log n, against that of log n.
    assert!(two.peak <= 8 && one.peak >= 40, "{} {}", two.peak, one.peak);
}
