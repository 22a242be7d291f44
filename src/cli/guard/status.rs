//! `floodmark guard status`: what runs and waits at the proxy.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use super::admin_client;
use crate::cli::CliError;
use crate::cli::output::{OutputArgs, OutputFormat, table};
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::Status;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asks the running proxy at proxy.admin_listen of the policy.

Examples:
  floodmark guard status
  floodmark guard status --output json")]
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
    print_gate(&status.gate);
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

fn print_gate(gate: &Value) {
    let share = gate["refused_share"].as_f64().unwrap_or(0.0) * 100.0;
    println!(
        "safe mode: {}; refused, or would be: {share:.2} % of {} queries",
        gate["safe_mode"], gate["counts"]["asks"]
    );
    let list = |name: &str| gate[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for breaker in list("breakers") {
        println!(
            "breaker open: {} until {}: {}",
            text(&breaker["fingerprint"]),
            text(&breaker["until"]),
            breaker["cause"]
        );
    }
    for block in list("blocks") {
        println!("blocked: {}: {}", text(&block["fingerprint"]), text(&block["reason"]));
    }
}
