//! `floodmark guard`: the query guard, a file a subcommand.

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
enum Command {}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, _globals: &Globals) -> Result<ExitCode, CliError> {
    match args.command {}
}
