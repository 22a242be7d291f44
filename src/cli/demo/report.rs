//! The end of the demo: what happened, why, to whom, what it was not, what to do, and that nothing was lost.

use std::io::Write;

use serde::Serialize;

use super::proof::Proof;
use crate::api::View;
use crate::cli::output::OutputFormat;
use crate::detect::{duration, percent};
use crate::model::{Confidence, IncidentReport, Severity, Timestamp};

#[derive(Serialize)]
struct Json<'a> {
    incidents: Vec<&'a IncidentReport>,
    counts: &'a Proof,
    complete: bool,
}

/// Writes the report.
///
/// # Errors
/// What the destination says.
pub fn print(view: &View, proof: &Proof, output: OutputFormat, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut incidents: Vec<&IncidentReport> = view.incidents().collect();
    // The worst first; of the same severity the first.
    incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.severity), incident.started_at));
    match output {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &Json { incidents, counts: proof, complete: proof.adds_up() })?;
            writeln!(out)?;
        }
        OutputFormat::Table => {
            if incidents.is_empty() {
                writeln!(out, "\nNo incident.")?;
            }
            for incident in incidents {
                write_incident(incident, out)?;
            }
            write_proof(proof, out)?;
        }
    }
    Ok(())
}

fn write_incident(incident: &IncidentReport, out: &mut dyn Write) -> anyhow::Result<()> {
    let severity = match incident.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    writeln!(out, "\nIncident {} ({severity})", incident.incident)?;
    writeln!(out, "  What      {}", incident.summary)?;
    writeln!(out, "  When      {}", when(incident.started_at, incident.ended_at))?;
    for (i, cause) in incident.causes.iter().enumerate() {
        let head = if i == 0 { "Cause" } else { "" };
        let sure = match cause.confidence {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        };
        writeln!(out, "  {head:<9} {} ({} of it, {sure} confidence)", cause.dimensions, percent(cause.share))?;
        writeln!(out, "            {}", cause.evidence)?;
    }
    let affected = incident.affected;
    if affected.subscriptions > 0 {
        let share = percent(affected.requests_share);
        writeln!(out, "  Affected  {} subscriptions, {share} of requests", affected.subscriptions)?;
    }
    if !incident.customers.is_empty() {
        let named = |c: &crate::model::Customer| format!("{} ({})", c.subscription, percent(c.share));
        let customers: Vec<String> = incident.customers.iter().take(8).map(named).collect();
        let more = incident.customers.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(out, "  Contact   {}{more}", customers.join(", "))?;
    }
    for (i, refused) in incident.ruled_out.iter().enumerate() {
        let head = if i == 0 { "Not it" } else { "" };
        writeln!(out, "  {head:<9} {}: {}", refused.candidate, refused.why)?;
    }
    for (i, action) in incident.actions.iter().enumerate() {
        let head = if i == 0 { "Do" } else { "" };
        writeln!(out, "  {head:<9} {}. {action}", i + 1)?;
    }
    Ok(())
}

fn when(started_at: Timestamp, ended_at: Option<Timestamp>) -> String {
    match ended_at {
        Some(ended_at) => format!("{started_at} to {ended_at} ({})", duration(ended_at.since(started_at))),
        None => format!("since {started_at}, still open"),
    }
}

fn write_proof(proof: &Proof, out: &mut dyn Write) -> anyhow::Result<()> {
    let verdict = if proof.adds_up() { "nothing was lost" } else { "THE COUNTS DO NOT ADD UP" };
    writeln!(out, "\nCounts: {verdict}")?;
    writeln!(
        out,
        "  produced {} = stored {} + dead-lettered {} ({} broken records were planted; the ledger says {})",
        proof.produced, proof.stored, proof.dead_lettered, proof.broken, proof.dead_lettered_by_ledger
    )?;
    writeln!(out, "  raw requests {} = rollup requests {}", proof.raw_requests, proof.rollup_requests)?;
    Ok(())
}
