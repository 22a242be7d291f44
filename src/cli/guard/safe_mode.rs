//! `floodmark guard safe-mode`: fewer slots and smaller caps for a time.

use std::process::ExitCode;

use super::admin_client;
use crate::cli::CliError;
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::SafeModeRequest;

/// Arguments of `safe-mode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
While it is on, fewer queries run, with smaller caps, and classes that are expendable not at all.

Examples:
  floodmark guard safe-mode on --for 10m
  floodmark guard safe-mode off")]
pub struct Args {
    /// On or off
    #[arg(value_enum)]
    switch: Switch,
    /// For how long it stays on; without it as long as the policy says
    #[arg(long = "for", value_name = "TIME", value_parser = admin_client::duration)]
    duration: Option<humantime::Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    /// Only what the policy leaves in safe mode
    On,
    /// As usual
    Off,
}

/// Switches.
pub fn run(args: &Args, policy: &GuardPolicy) -> Result<ExitCode, CliError> {
    if args.switch == Switch::Off && args.duration.is_some() {
        return Err(CliError::Usage("--for goes with `on`: off is off until somebody switches it on".to_owned()));
    }
    let duration = args.duration.map_or(policy.safe_mode.duration.0, std::convert::Into::into);
    let seconds = (args.switch == Switch::On).then(|| admin_client::whole_seconds(duration));
    admin_client::order(policy, "/safe-mode", &SafeModeRequest { seconds })?;
    Ok(ExitCode::SUCCESS)
}
