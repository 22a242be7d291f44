//! `floodmark guard block`: refuses queries of a fingerprint.

use std::process::ExitCode;

use super::admin_client;
use crate::cli::CliError;
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::BlockRequest;

/// Arguments of `block`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Queries of the fingerprint are refused with the reason, those that run go on. It survives a restart of the proxy.

Examples:
  floodmark guard block 8f2a61c09d3e75b4 --for 2h --reason \"session report, see the incident\"")]
pub struct Args {
    /// Fingerprint, as `guard status`, refusals and postmortems name it
    #[arg(value_parser = admin_client::fingerprint)]
    fingerprint: String,
    /// For how long, as `30m`; without it until it is unblocked
    #[arg(long = "for", value_name = "TIME", value_parser = admin_client::duration)]
    duration: Option<humantime::Duration>,
    /// Who, and why: said to whoever is refused
    #[arg(long, default_value = "")]
    reason: String,
}

/// Blocks.
pub fn run(args: &Args, policy: &GuardPolicy) -> Result<ExitCode, CliError> {
    let seconds = args.duration.map(|duration| admin_client::whole_seconds(duration.into()));
    let request = BlockRequest { fingerprint: args.fingerprint.clone(), seconds, reason: args.reason.clone() };
    admin_client::order(policy, "/block", &request)?;
    Ok(ExitCode::SUCCESS)
}
