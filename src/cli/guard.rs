//! `floodmark guard`: the query guard, a file a subcommand.

mod admin_client;
mod block;
mod proxy;
mod safe_mode;
mod status;
mod unblock;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Globals};
use crate::guard::policy::{GuardPolicy, PolicyError};

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
    /// Run the proxy that admits queries to ClickHouse
    Proxy(proxy::Args),
    /// Show what runs and waits at the proxy
    Status(status::Args),
    /// Refuse queries of a fingerprint
    Block(block::Args),
    /// Admit queries of a fingerprint again
    Unblock(unblock::Args),
    /// Switch safe mode on for a time, or off
    SafeMode(safe_mode::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let policy = GuardPolicy::load(&args.policy).map_err(|error: PolicyError| CliError::Config(error.to_string()))?;
    match &args.command {
        Command::Proxy(args) => proxy::run(args, policy, globals),
        Command::Status(args) => status::run(args, &policy),
        Command::Block(args) => block::run(args, &policy),
        Command::Unblock(args) => unblock::run(args, &policy),
        Command::SafeMode(args) => safe_mode::run(args, &policy),
    }
}
