//! The command line: a file a command. Data goes to stdout, progress and errors to stderr.
//!
//! Exit codes: 0 done, 1 failed, 64 wrong usage, 78 configuration, rules or scenario unusable (`sysexits.h`).

mod completions;
mod error;
mod ingest;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

use crate::config::Config;

/// Finds who is flooding an API platform: which customer, client release, query or leak.
#[derive(Debug, Parser)]
#[command(name = "floodmark", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Configuration file (TOML). Without it every key has its default.
    #[arg(long, global = true, env = "FLOODMARK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Globals {
    /// The configuration: file, then environment, checked.
    ///
    /// # Errors
    /// [`CliError::Config`], exit code 78.
    pub fn load_config(&self) -> Result<Config, CliError> {
        Ok(Config::load(self.config.as_deref(), std::env::vars())?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a completion script for a shell to stdout
    Completions(completions::Args),
    /// Bring request logs in: decode lines of a file and send them to Kafka or standard output
    Ingest(ingest::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::usage(&error),
    };
    let result = match cli.command {
        Command::Completions(args) => completions::run(&args),
        Command::Ingest(args) => ingest::run(&args, &cli.globals),
    };
    result.unwrap_or_else(|error| error.report())
}
