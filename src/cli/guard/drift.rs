//! `floodmark guard drift`: whether the server is still as the policy says.

use std::path::Path;
use std::process::ExitCode;

use super::plan;
use crate::cli::output::OutputArgs;
use crate::cli::{CliError, Globals};
use crate::telemetry;

/// Arguments of `guard drift`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The plan again, for a timer or a pipeline: somebody may have changed a profile by hand, granted more to a role, given a user
another password, or lost the workloads with a restart. Advice on the server's own configuration is shown and does not count.

Exit code: 0 the server is as the policy says, 1 it differs or cannot be looked at, 78 the policy has holes.

Examples:
  floodmark guard drift --policy config/guard.toml
  floodmark guard drift --output json > drift.json || echo 'somebody has changed ClickHouse'")]
pub struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// The policy has holes (78), the server cannot be looked at.
pub fn run(args: &Args, policy: &Path, globals: &Globals) -> Result<ExitCode, CliError> {
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let is_empty = plan::show(policy, false, args.output.output)?;
    Ok(if is_empty { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
