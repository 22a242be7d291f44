//! `floodmark guard`: the query guard, a file a subcommand.

mod postmortem;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};

/// What to do, and by which policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark guard watch --policy config/guard.toml    remember what runs, and act before memory ends
  floodmark guard postmortem                          after a crash: who did it")]
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
    /// Remember what runs, and kill what would take the server down
    Watch(watch::Args),
    /// After a crash: what ran, and who took the memory
    Postmortem(postmortem::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Watch(watch) => watch::run(watch, &args.policy, globals),
        Command::Postmortem(postmortem) => postmortem::run(postmortem, &args.policy, globals),
    }
}
