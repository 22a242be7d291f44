//! `floodmark guard unblock`: admits queries of a fingerprint again.

use std::process::ExitCode;

use super::admin_client;
use crate::cli::CliError;
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::UnblockRequest;

/// Arguments of `unblock`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes a block back, and closes the breaker of the fingerprint; says so when there was neither.

Examples:
  floodmark guard unblock 8f2a61c09d3e75b4")]
pub struct Args {
    /// Fingerprint: its block is taken back and its breaker closed
    fingerprint: String,
}

/// Unblocks.
pub fn run(args: &Args, policy: &GuardPolicy) -> Result<ExitCode, CliError> {
    // Whatever was blocked once can be unblocked: here a wrong one is only said.
    let fingerprint = admin_client::fingerprint(&args.fingerprint).unwrap_or_else(|_| args.fingerprint.clone());
    admin_client::order(policy, "/unblock", &UnblockRequest { fingerprint })?;
    Ok(ExitCode::SUCCESS)
}
