//! `floodmark guard`: the query guard, a file a subcommand.

mod apply;
mod drift;
mod plan;
mod report;
mod situation;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// What to do, and by which policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark guard plan  --policy config/guard.toml    what the policy would change on ClickHouse
  floodmark guard apply --policy config/guard.toml    do it
  floodmark guard drift --policy config/guard.toml    is it still so? (exit code 1: no)")]
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
    /// Show what would have to be changed on ClickHouse so that the policy holds
    Plan(plan::Args),
    /// Change ClickHouse so that the policy holds
    Apply(apply::Args),
    /// Say whether ClickHouse is still as the policy says; exit code 1 when it is not
    Drift(drift::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Plan(plan) => plan::run(plan, &args.policy, globals),
        Command::Apply(apply) => apply::run(apply, &args.policy, globals),
        Command::Drift(drift) => drift::run(drift, &args.policy, globals),
    }
}
