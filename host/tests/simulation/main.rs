//! Simulations with the real components: against what queueing theory says, and against what must always hold.

// Shared with the tests of policies, which use more of it.
#[allow(dead_code)]
#[path = "../policy/guest.rs"]
mod guest;

mod command_line;
mod theory;
mod worlds;

use lb_host::policy::{Runtime, SimulatedPolicies};
use lb_host::simulation::{self, Contender, Distribution, MS, Pace, Results, SECOND, Scenario, Traffic};

use guest::Guest;

/// So many servers of 10 ms a request, exponentially distributed, behind one balancer; patience without end.
fn scenario(servers: usize, seconds: u64) -> Scenario {
    Scenario {
        servers: simulation::servers(servers),
        balancers: 1,
        duration: seconds * SECOND,
        warmup: seconds * SECOND / 20,
        service: Distribution::Exponential { mean: 10 * MS },
        concurrency: 1,
        timeout: 10_000 * SECOND,
        retries: 3,
        detect: 2 * SECOND,
        slow: Vec::new(),
        failing: Vec::new(),
        churn: Vec::new(),
        seed: 1,
    }
}

fn poisson(rate: f64) -> Traffic {
    Traffic::made(rate, Pace::Poisson, 1_000, 0.0)
}

fn read<T: std::str::FromStr<Err = String>>(text: &str) -> Vec<T> {
    vec![text.parse().expect(text)]
}

/// Simulates policies, as the command line would name them.
fn simulate(policies: &[&str], scenario: &Scenario, traffic: &Traffic) -> Vec<Results> {
    let runtime = Runtime::new(None).expect("WebAssembly runs here");
    let mut contenders: Vec<Contender> =
        policies.iter().map(|name| name.parse().unwrap_or_else(|why| panic!("{why}"))).collect();
    let proven = simulation::prove(&runtime, &mut contenders, &[], &scenario.servers)
        .unwrap_or_else(|why| panic!("{why}"));
    let named: Vec<(String, SimulatedPolicies)> =
        policies.iter().map(|name| (*name).to_owned()).zip(proven).collect();
    let done = simulation::run(&named, scenario, traffic, 2).unwrap_or_else(|why| panic!("{why}"));
    done.into_iter().map(|(results, _)| results).collect()
}

fn simulate_one(policy: &str, scenario: &Scenario, traffic: &Traffic) -> Results {
    simulate(&[policy], scenario, traffic).remove(0)
}

/// Simulates a policy of a few lines.
fn simulate_guest(name: &str, guest: &Guest, scenario: &Scenario, traffic: &Traffic) -> Results {
    let file = std::env::temp_dir().join(format!("lb-simulated-{}-{name}.wasm", std::process::id()));
    std::fs::write(&file, guest.bytes()).expect("a file can be written");
    let results = simulate_one(file.to_str().expect("a path that is text"), scenario, traffic);
    std::fs::remove_file(&file).expect("it is there");
    results
}
