//! `floodmark guard plan`: what would have to be changed so that the policy holds.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::{report, situation};
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::telemetry;

/// Arguments of `guard plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Compiles the policy to settings profiles, roles, quotas, workloads and users, compares them with those on the server, and
shows what differs: `+` to create, `~` to change, `-` to remove, `!` in the way. Only objects whose names begin with
floodmark_guard_ are ever changed, and users that hold such a role or profile. Nothing is changed by this command.

A policy with holes, by which a query could escape, is refused: all of them are listed, each with why and what to write.

Its user (server.user) needs SHOW ACCESS ON *.* and SELECT on system.*; `apply` also ACCESS MANAGEMENT, CREATE WORKLOAD,
DROP WORKLOAD, CREATE RESOURCE and DROP RESOURCE, and with GRANT OPTION what it gives to others.

Exit code: 0 the plan is shown, 78 the policy has holes, 1 the server cannot be looked at.

Examples:
  floodmark guard plan --policy config/guard.toml
  floodmark guard plan --output json | jq '.plan.changes[].name'")]
pub struct Args {
    /// Plan to take over users of the policy that exist already
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// The policy has holes (78), the server cannot be looked at.
pub fn run(args: &Args, policy: &Path, globals: &Globals) -> Result<ExitCode, CliError> {
    telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    show(policy, args.adopt, args.output.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the plan; says whether it is empty.
pub(super) fn show(policy: &Path, adopt: bool, output: OutputFormat) -> Result<bool, CliError> {
    let situation = situation::block_on(situation::look(policy, adopt))?;
    let text = match output {
        OutputFormat::Table => report::as_text(&situation),
        OutputFormat::Json => format!("{:#}\n", report::as_json(&situation)),
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(situation.plan.is_empty())
}
