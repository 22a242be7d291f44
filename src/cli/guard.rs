//! `floodmark guard`: the query guard, a file a subcommand.

mod preflight;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// What to do, and by which policy.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Policy file.
    #[arg(
        long,
        global = true,
        env = "FLOODMARK_GUARD_POLICY",
        value_name = "FILE",
        default_value = "config/guard.toml"
    )]
    policy: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold the queries of a folder to their budgets, on seeded data; for CI
    Preflight(preflight::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Preflight(args) => preflight::run(args, globals),
    }
}
