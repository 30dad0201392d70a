//! The command line: what each command does stands in [`lb_host`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lb_host::commands;
use lb_host::scaffold::Language;

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
    /// Run the default configuration in front of two small servers of its own, and say what to try
    Demo,
    /// Look into policies
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Say what a policy is: its worlds, imports, size and settings
    Inspect {
        /// A component file, or the name of a built-in policy
        policy: String,
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
    Simulate(Box<lb_host::simulate::Options>),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { config } => commands::run(&config),
        Command::Check { config } => commands::check(&config),
        Command::Demo => commands::demo(),
        Command::Policy(PolicyCommand::Inspect { policy }) => commands::inspect(&policy),
        Command::Policy(PolicyCommand::New { name, language }) => commands::new_policy(&name, language),
        Command::Policy(PolicyCommand::Simulate(options)) => commands::simulate(*options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(1)
        }
    }
}
