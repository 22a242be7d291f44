//! Reports of `alerts backtest`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use crate::backtest::{Change, Diff};
use crate::cli::output::{OutputFormat, table};
use crate::model::{Summary, Timestamp};

/// The report: differences, and with `all` also what is the same.
pub(super) fn report(diffs: &[Diff], summary: &Summary, overflowed: u64, all: bool, format: OutputFormat) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for diff in diffs {
        *counts.entry(diff.change.as_str()).or_default() += 1;
    }
    let shown: Vec<&Diff> = diffs.iter().filter(|diff| all || diff.change != Change::Same).collect();
    if format == OutputFormat::Json {
        let report = json!({
            "events": summary.events, "late": summary.late, "watermark": summary.watermark,
            "counts": counts, "not_compared": overflowed, "pages": shown,
        });
        return serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
    }
    let mut out = String::new();
    if !shown.is_empty() {
        let mut rows = table(["change", "severity", "alert", "about", "old", "new", "shift"]);
        shown.into_iter().filter_map(row).for_each(|cells| {
            rows.add_row(cells);
        });
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{rows}\n");
    }
    let count = |change: Change| counts.get(change.as_str()).copied().unwrap_or(0);
    let _ = writeln!(
        out,
        "{} new, {} gone, {} earlier, {} later, {} of another severity, {} the same; {} events, {} of them late",
        count(Change::New),
        count(Change::Gone),
        count(Change::Earlier),
        count(Change::Later),
        count(Change::Severity),
        count(Change::Same),
        summary.events,
        summary.late
    );
    if overflowed > 0 {
        let _ = writeln!(out, "{overflowed} further alerts are not compared: there are too many");
    }
    out
}

fn row(diff: &Diff) -> Option<[String; 7]> {
    let page = diff.page()?;
    let fired =
        |page: &Option<crate::backtest::Page>| page.as_ref().map_or(String::new(), |page| minute(page.fired_at));
    let severity = match (&diff.old, &diff.new) {
        (Some(old), Some(new)) if old.severity != new.severity => {
            format!("{} → {}", old.severity.as_str(), new.severity.as_str())
        }
        _ => page.severity.as_str().to_owned(),
    };
    let shift = if diff.shift_ms == 0 { String::new() } else { format!("{:+} s", diff.shift_ms / 1_000) };
    Some([
        diff.change.as_str().to_owned(),
        severity,
        page.alert.to_string(),
        page.labels.to_string(),
        fired(&diff.old),
        fired(&diff.new),
        shift,
    ])
}

fn minute(at: Timestamp) -> String {
    at.to_string()
}
