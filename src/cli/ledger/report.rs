//! What `ledger verify` prints.

use std::io::Write;

use serde_json::json;

use super::verify::{Finding, Totals};
use crate::cli::output::{OutputFormat, table};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The server's clock when it was asked.
    pub(super) as_of: String,
    pub(super) findings: Vec<Finding>,
    /// Whether there are more than are listed.
    pub(super) further: bool,
    pub(super) partitions: Vec<Totals>,
}

/// Prints to standard output.
pub(super) fn print(report: &Report, format: OutputFormat) -> std::io::Result<()> {
    let text = match format {
        OutputFormat::Table => as_table(report),
        OutputFormat::Json => as_json(report),
    };
    writeln!(std::io::stdout().lock(), "{text}")
}

fn as_json(report: &Report) -> String {
    let value = json!({
        "as_of": report.as_of,
        "accounted_for": report.findings.is_empty(),
        "findings": report.findings,
        "further_findings": report.further,
        "partitions": report.partitions,
    });
    format!("{value:#}")
}

fn as_table(report: &Report) -> String {
    let mut parts = Vec::new();
    if !report.findings.is_empty() {
        let mut findings = table(["kind", "topic", "epoch", "partition", "from", "to", "detail"]);
        for finding in &report.findings {
            let Finding { kind, topic, epoch, partition, offset_start, offset_end, detail } = finding;
            findings.add_row([
                kind.clone(),
                topic.clone(),
                epoch.clone(),
                partition.to_string(),
                offset_start.to_string(),
                offset_end.to_string(),
                detail.clone(),
            ]);
        }
        parts.push(findings.trim_fmt());
    }
    if !report.partitions.is_empty() {
        parts.push(partitions(&report.partitions));
    }
    parts.push(verdict(report));
    parts.join("\n\n")
}

fn partitions(partitions: &[Totals]) -> String {
    let header =
        ["topic", "epoch", "partition", "ranges", "messages", "rows", "dead-lettered", "dropped", "from", "through"];
    let mut table = table(header);
    for totals in partitions {
        table.add_row([
            totals.topic.clone(),
            totals.epoch.clone(),
            totals.partition.to_string(),
            totals.ranges.to_string(),
            totals.messages.to_string(),
            totals.rows.to_string(),
            totals.dead_lettered.to_string(),
            totals.dropped.to_string(),
            totals.offset_from.to_string(),
            totals.offset_through.to_string(),
        ]);
    }
    table.trim_fmt()
}

fn verdict(report: &Report) -> String {
    let ranges: u64 = report.partitions.iter().map(|totals| totals.ranges).sum();
    match report.findings.len() {
        0 if ranges == 0 => "The ledger is empty: nothing was stored yet.".to_owned(),
        0 => format!("All is accounted for exactly once: {ranges} ranges of {} partitions.", report.partitions.len()),
        count if report.further => format!("More than {count} findings; the first are listed."),
        1 => "1 finding.".to_owned(),
        count => format!("{count} findings."),
    }
}
