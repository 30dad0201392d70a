//! `lb policy simulate`: from the command line to a report. What goes into the report follows from the seed; what
//! was measured on the way goes to stderr.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use crate::config::{self, model};
use crate::policy::{self, Runtime};
use crate::simulation::{
    self, Churn, Contender, Distribution, Failing, Given, Nanoseconds, Pace, Rate, Results, SECOND, Scenario,
    Slow, Took, Traffic, report,
};

/// Those that are compared where none is named, as far as they are built in.
const SHOWCASE: [&str; 5] = ["roundrobin", "leastconn", "random", "peak-ewma", "source"];

/// How long requests are made up for, unless something else is said.
const DURATION: Nanoseconds = 60 * SECOND;

/// What `lb policy simulate` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Policies to compare: built-in names, component files, lists as in `source+leastconn`; with settings as in
    /// `./my.wasm,zone=a`. None: several built-in ones
    #[arg(value_name = "POLICY")]
    policies: Vec<Contender>,
    /// A setting, for each of the policies that has it, or for one as in `-o my.zone=a`
    #[arg(short = 'o', long = "option", value_name = "SETTING=VALUE")]
    settings: Vec<Given>,
    /// How many servers there are
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    servers: u32,
    /// How many load balancers share the requests, each with an instance and a view of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    balancers: u32,
    /// How many requests come: `500/s`, or a share of what the servers can do
    #[arg(long, default_value = "70%")]
    rate: Rate,
    /// How they are spread: `poisson`, or `bursts:5x1s/10s`, five times as many for 1s of each 10s
    #[arg(long, value_name = "PACE", default_value = "poisson")]
    arrivals: Pace,
    /// Take the arrivals of an access log in HAProxy's HTTP format instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "arrivals", "clients", "skew"])]
    log: Option<PathBuf>,
    /// Play the log so many times as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "log")]
    speed: f64,
    /// How many clients there are, each asking for something of its own
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    clients: u32,
    /// How uneven they are: the nth asks in proportion to n^-SKEW; 0: all alike
    #[arg(long, default_value_t = 0.0)]
    skew: f64,
    /// For how long requests come [default: 60s, or as long as the log]
    #[arg(long, value_parser = simulation::duration)]
    duration: Option<Nanoseconds>,
    /// From when on times and loads count [default: a tenth of the duration]
    #[arg(long, value_name = "DURATION", value_parser = simulation::duration)]
    warmup: Option<Nanoseconds>,
    /// How long servers work: fixed:MEAN, exponential:MEAN, lognormal:MEAN:SIGMA or pareto:MEAN:SHAPE
    #[arg(long, value_name = "DISTRIBUTION", default_value = "exponential:10ms")]
    service: Distribution,
    /// How many requests a server works at side by side; the others wait in line
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    concurrency: u32,
    /// Slow servers: `1x10`, one ten times as slow, `2x3@20s-40s`, or `none`
    #[arg(long, value_name = "SLOW", default_value = "1x10")]
    slow: Vec<Slow>,
    /// Failing servers: `1` refuses connections; `1:hangs`, `2:errors@20s-40s`
    #[arg(long, value_name = "FAILING")]
    failing: Vec<Failing>,
    /// Servers that leave and come back: `1/10s`, another one each ten seconds, or `2@20s-40s`
    #[arg(long, value_name = "CHURN")]
    churn: Vec<Churn>,
    /// How long it takes until a balancer's health checks notice
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = simulation::duration)]
    detect: Nanoseconds,
    /// How long a request may take once it is sent
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = simulation::duration)]
    timeout: Nanoseconds,
    /// How often a refused request is tried again
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Take servers and policies from a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "servers")]
    config: Option<PathBuf>,
    /// Which backend of it; needed where it has several
    #[arg(long, value_name = "NAME", requires = "config")]
    backend: Option<String>,
    /// What all chance follows from: the same seed gives the same report
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many policies are simulated at once [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write the report with charts there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the simulation and prints its report.
///
/// # Errors
/// Where the policies or the scenario cannot be, or a file cannot be read or written.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub fn run(options: Options, runtime: &Runtime) -> Result<(), crate::commands::Error> {
    let (servers, configured) = match &options.config {
        Some(path) => from_configuration(path, options.backend.as_deref())?,
        None => (simulation::servers(options.servers as usize), None),
    };
    let mut contenders = contenders(&options, configured);
    let policies = simulation::prove(runtime, &mut contenders, &options.settings, &servers)
        .map_err(|why| anyhow!(why))?;
    let (scenario, traffic) = world(&options, servers)?;
    if traffic.left_out() > 0 {
        eprintln!("{} lines of the log are no requests and were left out", traffic.left_out());
    }
    let named: Vec<_> = contenders.into_iter().map(|contender| contender.name).zip(policies).collect();
    let threads = options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let done =
        simulation::run(&named, &scenario, &traffic, threads.unwrap_or(1)).map_err(|why| anyhow!(why))?;
    let (results, took): (Vec<Results>, Vec<Took>) = done.into_iter().unzip();
    if options.json {
        println!("{:#}", report::json(&scenario, &traffic, &results));
    } else {
        print!("{}", report::text(&scenario, &traffic, &results));
    }
    if let Some(path) = &options.html {
        std::fs::write(path, report::html(&scenario, &traffic, &results))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprint!("\n{}", measured(&results, &took));
    Ok(())
}

/// What is to be compared: what is named, else what the configuration has, else what shows most.
fn contenders(options: &Options, configured: Option<Contender>) -> Vec<Contender> {
    if !options.policies.is_empty() {
        return options.policies.clone();
    }
    match configured {
        Some(contender) => vec![contender],
        None => {
            let known = |name: &&&str| policy::built_ins().any(|built_in| built_in == **name);
            SHOWCASE.iter().filter(known).filter_map(|name| name.parse().ok()).collect()
        }
    }
}

fn world(options: &Options, servers: Arc<[model::Server]>) -> anyhow::Result<(Scenario, Traffic)> {
    let recorded = match &options.log {
        None => None,
        Some(path) => {
            if !(options.speed.is_finite() && options.speed > 0.0) {
                bail!("`--speed {}` is no speed: 1 is as it was, 2 is twice as fast", options.speed);
            }
            let log = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let traffic = Traffic::recorded(&String::from_utf8_lossy(&log), options.speed)
                .map_err(|why| anyhow!("{}: {why}", path.display()))?;
            Some(traffic)
        }
    };
    let duration = options.duration.or_else(|| recorded.as_ref()?.length()).unwrap_or(DURATION);
    let scenario = Scenario {
        servers,
        balancers: options.balancers,
        duration,
        warmup: options.warmup.unwrap_or(duration / 10),
        service: options.service,
        concurrency: options.concurrency,
        timeout: options.timeout,
        retries: options.retries,
        detect: options.detect,
        slow: options.slow.iter().copied().filter(|slow| slow.servers > 0).collect(),
        failing: options.failing.clone(),
        churn: options.churn.clone(),
        seed: options.seed,
    };
    scenario.check().map_err(|why| anyhow!(why))?;
    let traffic = match recorded {
        Some(traffic) => traffic,
        None => {
            if !(0.0..=10.0).contains(&options.skew) {
                bail!("`--skew {}` is none: 0 is even, 1 as uneven as words are", options.skew);
            }
            let rate = match options.rate {
                Rate::PerSecond(rate) => rate,
                Rate::Share(share) => share * scenario.capacity(),
            };
            if rate <= 0.0 {
                bail!("no server can serve: say how many requests come, as in `--rate 100/s`");
            }
            Traffic::made(rate, options.arrivals, options.clients, options.skew)
        }
    };
    Ok((scenario, traffic))
}

type Configured = (Arc<[model::Server]>, Option<Contender>);

/// The servers of a backend that may be chosen at once, and its policies.
fn from_configuration(path: &Path, backend: Option<&str>) -> Result<Configured, crate::commands::Error> {
    let loaded = config::load(path)?;
    let backends = &loaded.config.backends;
    let names = || backends.iter().map(|backend| &*backend.name);
    let found = match backend {
        Some(name) => backends.iter().find(|backend| *backend.name == *name).ok_or_else(|| {
            let help = crate::suggest::help(name, names());
            anyhow!("{} has no backend `{name}`; {help}", path.display())
        })?,
        None => match &**backends {
            [only] => only,
            _ => {
                let names: Vec<&str> = names().collect();
                return Err(anyhow!("say which backend, by `--backend`: {}", names.join(", ")).into());
            }
        },
    };
    let eligible = |server: &&model::Server| !server.backup && !server.disabled && server.weight > 0;
    let servers = found.servers.iter().filter(eligible).cloned().collect();
    let contender = Contender { name: found.name.to_string(), specs: found.balance.clone() };
    Ok((servers, Some(contender)))
}

/// What it took, which is never the same twice.
fn measured(results: &[Results], took: &[Took]) -> String {
    let mut out = String::new();
    for (result, took) in results.iter().zip(took) {
        let picks = result.conduct.decisions + result.conduct.fallbacks;
        let seconds = took.run.as_secs_f64();
        out += &format!(
            "{}: {picks} decisions in {seconds:.2} s, {:.0} a second; {:.2} s to set up\n",
            result.policy,
            picks as f64 / seconds.max(1e-9),
            took.setup.as_secs_f64()
        );
    }
    if let Some(peak) = peak_memory_kib() {
        out += &format!("peak memory {} MiB\n", peak / 1024);
    }
    out
}

/// The most memory that this process has had, where the system says so.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
