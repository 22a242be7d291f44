//! `floodmark guard status`: what runs and waits at the proxy.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use super::admin_client;
use crate::cli::CliError;
use crate::cli::output::{OutputArgs, OutputFormat, say, table};
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
    let text = match args.output.output {
        OutputFormat::Json => serde_json::to_string_pretty(&status).context("cannot write the status")?,
        OutputFormat::Table => as_text(&status),
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(status: &Status) -> String {
    let mode = if status.enforces { "enforced" } else { "shadow: nothing is refused" };
    let mut lines = vec![format!("policy {mode}; {} queries run, {} wait", status.running, status.waiting)];
    lines.extend(gate_lines(&status.gate));
    if !status.queries.is_empty() {
        let mut rows = table(["query", "tenant", "fingerprint", "state", "for ms"]);
        for query in &status.queries {
            let state = if query.runs { "runs" } else { "waits" };
            let (number, since) = (query.number.to_string(), query.since_ms.to_string());
            rows.add_row([&number, &query.tenant, &query.fingerprint, state, &since]);
        }
        lines.push(rows.trim_fmt());
    }
    lines.join("\n")
}

/// Safe mode, breakers and blocks, a line each.
fn gate_lines(gate: &Value) -> Vec<String> {
    let share = gate["refused_share"].as_f64().unwrap_or(0.0) * 100.0;
    let (mode, asks) = (safe_mode(&gate["safe_mode"]), &gate["counts"]["asks"]);
    let mut lines = vec![format!("safe mode: {mode}; refused, or would be: {share:.2} % of {asks} queries")];
    let list = |name: &str| gate[name].as_array().map(Vec::as_slice).unwrap_or_default();
    for breaker in list("breakers") {
        let (fingerprint, until) = (text(&breaker["fingerprint"]), text(&breaker["until"]));
        lines.push(format!("breaker open: {fingerprint} until {until}: {}", cause(&breaker["cause"])));
    }
    for block in list("blocks") {
        let until = block["until"].as_str().map_or_else(String::new, |until| format!(" until {until}"));
        let reason = block["reason"].as_str().filter(|reason| !reason.is_empty());
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        lines.push(format!("blocked: {}{until}{reason}", text(&block["fingerprint"])));
    }
    lines
}

fn safe_mode(level: &Value) -> String {
    match level["reduced"]["until"].as_str() {
        Some(until) => format!("on until {until}"),
        None if level == "writes_only" => "only writes, until `floodmark guard safe-mode off`".to_owned(),
        None => text(level),
    }
}

/// Why a breaker opened.
fn cause(cause: &Value) -> String {
    let words = match cause["offences"].as_str() {
        Some("memory") => "it kept reaching its memory limit",
        Some("bytes") => "it kept reading as many bytes as it may",
        Some("time") => "it kept running as long as it may",
        Some("killed") => "the watchdog had to kill it",
        None if cause == "suspect" => "it held much memory when the server died",
        _ => return text(cause),
    };
    words.to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::gate::{Gate, GateInput};
    use crate::model::Timestamp;

    #[test]
    fn what_the_gate_says_is_told_in_words() {
        let at = Timestamp::from_millis(1_772_360_105_000);
        let mut gate = Gate::new(GuardPolicy::default(), 1 << 30);
        let mut told = |inputs: Vec<GateInput>| {
            for input in inputs {
                gate.apply(input, at);
            }
            gate_lines(&serde_json::to_value(gate.status(at)).unwrap()).join("\n")
        };
        assert_eq!(told(Vec::new()), "safe mode: off; refused, or would be: 0.00 % of 0 queries");
        let crash = || GateInput::Restarted { unclean: Some(true), suspects: vec!["0123456789abcdef".to_owned()] };
        let block = |reason: &str, until| GateInput::Block {
            fingerprint: format!("{:016x}", reason.len()),
            until,
            reason: reason.to_owned(),
        };
        let first = told(vec![crash(), block("", None), block("a report", Some(at.plus(60_000)))]);
        assert_eq!(
            first,
            "safe mode: on until 2026-03-01T10:20:05Z; refused, or would be: 0.00 % of 0 queries\n\
             breaker open: 0123456789abcdef until 2026-03-01T10:25:05Z: it held much memory when the server died\n\
             blocked: 0000000000000000\nblocked: 0000000000000008 until 2026-03-01T10:16:05Z: a report"
        );
        assert!(told(vec![crash()]).starts_with("safe mode: only writes, until `floodmark guard safe-mode off`;"));
        assert_eq!(cause(&serde_json::json!({"offences": "memory"})), "it kept reaching its memory limit");
    }
}
