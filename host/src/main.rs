//! The command line: what each command does stands in [`lb_host`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use lb_host::scaffold::Language;
use lb_host::{commands, inherited, signals};

/// A load balancer whose decisions are WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "lb", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then drain; SIGHUP reads the configuration again
    Run {
        /// The configuration
        #[arg(default_value = "lb.toml")]
        config: PathBuf,
    },
    /// Check a configuration, its policies included, and say what would run
    Check {
        /// The configuration
        #[arg(default_value = "lb.toml")]
        config: PathBuf,
    },
    /// Say which rules a request would meet, and what would come of it
    Route(Box<lb_host::commands::route::Options>),
    /// Run the default configuration in front of two small servers of its own, and say what to try
    Demo {
        /// Speak TLS too, with a certificate made on the spot
        #[arg(long)]
        tls: bool,
    },
    /// Look into policies
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Say what a policy is: its worlds, what it may see, its size and its options
    Inspect {
        /// A component file, or the name of a built-in policy
        policy: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a small project for a policy of your own, in a new directory
    New {
        /// The policy's name, and the directory's
        name: String,
        /// The language to write it in
        #[arg(long = "lang")]
        language: Language,
    },
    /// Compare policies in a simulation: many servers and balancers, slow and failing ones, churn
    Simulate(Box<lb_host::commands::simulate::Options>),
    /// Put a policy to the test: hostile requests, servers that come and go, long runs
    Check {
        #[command(flatten)]
        subject: Subject,
        /// The seed of what the policy is sent; the same seed sends the same
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Run this case alone
        #[arg(long)]
        case: Option<String>,
    },
    /// Measure what a policy costs, beside the built-in ones
    Bench {
        #[command(flatten)]
        subject: Subject,
        /// With so many servers
        #[arg(long, value_delimiter = ',', default_values_t = [2, 100, 1000], value_parser = clap::value_parser!(u32).range(1..=10_000))]
        servers: Vec<u32>,
    },
}

/// A policy to run, as an `lb.toml` would have it.
#[derive(Debug, Args)]
struct Subject {
    /// A component file, or the name of a built-in policy
    policy: String,
    /// An option of the policy; of a list, the items between commas
    #[arg(short, long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // These two come before anything that takes its time, opens a descriptor or starts a thread.
    let signals = signals::hold();
    inherited::take_stock();
    let outcome = match Arguments::parse().command {
        Command::Run { config } => commands::run(&config, signals),
        Command::Demo { tls } => commands::demo(tls, signals),
        Command::Check { config } => {
            signals.release();
            commands::check(&config)
        }
        Command::Route(options) => {
            signals.release();
            commands::route::route(&options)
        }
        Command::Policy(command) => {
            signals.release();
            run_on_policy(command)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

fn run_on_policy(command: PolicyCommand) -> Result<(), commands::Error> {
    match command {
        PolicyCommand::Inspect { policy, json } => commands::policy::inspect(&policy, json),
        PolicyCommand::Check { subject, seed, case } => {
            commands::policy::check(&subject.policy, &subject.options, seed, case.as_deref(), subject.json)
        }
        PolicyCommand::Bench { subject, servers } => {
            commands::policy::bench(&subject.policy, &subject.options, &servers, subject.json)
        }
        PolicyCommand::New { name, language } => commands::policy::new(&name, language),
        PolicyCommand::Simulate(options) => commands::policy::simulate(*options),
    }
}
