//! `floodmark guard`: the query guard, a file a subcommand.

mod admin_client;
mod apply;
mod block;
mod drift;
mod plan;
mod postmortem;
mod preflight;
mod proxy;
mod report;
mod safe_mode;
mod situation;
mod status;
mod unblock;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};
use crate::guard::policy::GuardPolicy;

/// What to do, and by which policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  floodmark guard proxy --policy config/guard.toml    admit queries, remember what runs, act before memory ends
  floodmark guard watch --policy config/guard.toml    the same without the way in
  floodmark guard postmortem                          after a crash: who did it
  floodmark guard plan  --policy config/guard.toml    what the policy would change on ClickHouse
  floodmark guard apply --policy config/guard.toml    do it
  floodmark guard drift --policy config/guard.toml    is it still so? (exit code 1: no)
  floodmark guard preflight queries/named             in CI: does a query read or take more than it did?")]
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
    /// Run the proxy that admits queries to ClickHouse, with black box and watchdog
    Proxy(proxy::Args),
    /// Show what runs and waits at the proxy, what is refused and why
    Status(status::Args),
    /// Refuse queries of a fingerprint
    Block(block::Args),
    /// Admit queries of a fingerprint again
    Unblock(unblock::Args),
    /// Switch safe mode on for a time, or off
    SafeMode(safe_mode::Args),
    /// Remember what runs, and kill what would take the server down
    Watch(watch::Args),
    /// After a crash: what ran, and who took the memory
    Postmortem(postmortem::Args),
    /// Show what would have to be changed on ClickHouse so that the policy holds
    Plan(plan::Args),
    /// Change ClickHouse so that the policy holds
    Apply(apply::Args),
    /// Say whether ClickHouse is still as the policy says; exit code 1 when it is not
    Drift(drift::Args),
    /// Hold the queries of a folder to their budgets, on seeded data; for CI
    Preflight(preflight::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let policy = || GuardPolicy::load(&args.policy).map_err(|error| CliError::Config(error.to_string()));
    match &args.command {
        Command::Proxy(proxy) => proxy::run(proxy, situation::without_holes(&args.policy)?, globals),
        Command::Status(status) => status::run(status, &policy()?),
        Command::Block(block) => block::run(block, &policy()?),
        Command::Unblock(unblock) => unblock::run(unblock, &policy()?),
        Command::SafeMode(safe_mode) => safe_mode::run(safe_mode, &policy()?),
        Command::Watch(watch) => watch::run(watch, &args.policy, globals),
        Command::Postmortem(postmortem) => postmortem::run(postmortem, &args.policy, globals),
        Command::Plan(plan) => plan::run(plan, &args.policy, globals),
        Command::Apply(apply) => apply::run(apply, &args.policy, globals),
        Command::Drift(drift) => drift::run(drift, &args.policy, globals),
        Command::Preflight(preflight) => preflight::run(preflight, globals),
    }
}

/// An error whose words hold those of its causes, so that the chain does not say them again.
fn said_once(what: &str, error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{what}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::black_box::RingError;

    #[test]
    fn a_cause_is_said_once() {
        let source = std::io::Error::other("the disk is gone");
        let error = said_once("cannot look", &RingError::Files { path: PathBuf::from("ring"), source });
        assert_eq!(format!("{error:#}"), "cannot look: ring: the disk is gone");
    }
}
