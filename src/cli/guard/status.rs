//! `floodmark guard status`: what runs and waits at the proxy.

use std::process::ExitCode;

use anyhow::Context as _;

use super::admin_client;
use crate::cli::CliError;
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::Status;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it.
pub fn run(args: &Args, policy: &GuardPolicy) -> Result<ExitCode, CliError> {
    let status: Status = admin_client::read(policy, "/status")?;
    if args.output.output == OutputFormat::Json {
        println!("{}", serde_json::to_string_pretty(&status).context("cannot write the status")?);
        return Ok(ExitCode::SUCCESS);
    }
    let mode = if status.enforces { "enforced" } else { "shadow: nothing is refused" };
    println!("policy {mode}; {} queries run, {} wait", status.running, status.waiting);
    if !status.queries.is_empty() {
        let mut rows = table(["query", "tenant", "fingerprint", "state", "for ms"]);
        for query in &status.queries {
            let state = if query.runs { "runs" } else { "waits" };
            let (number, since) = (query.number.to_string(), query.since_ms.to_string());
            rows.add_row([&number, &query.tenant, &query.fingerprint, state, &since]);
        }
        println!("{}", rows.trim_fmt());
    }
    Ok(ExitCode::SUCCESS)
}
