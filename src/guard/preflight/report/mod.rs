//! A report for other programs: JSON, JUnit and SARIF. The table for people is the command line's.

mod junit;
mod sarif;

pub use junit::junit;
pub use sarif::sarif;

use super::judge::{Finding, Report};

/// The report as JSON, with `passes` on top.
#[must_use]
pub fn json(report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    value["passes"] = report.passes().into();
    value
}

/// A finding in one line.
#[must_use]
pub fn sentence(query: &str, finding: &Finding) -> String {
    let mut text = format!("{query}: {} at {}: {}", finding.kind.name(), finding.scale, finding.now);
    if !finding.was.is_empty() {
        let word = if finding.since == "budget" { "allowed" } else { "was" };
        text.push_str(&format!(", {word} {}", finding.was));
    }
    if let Some(ratio) = finding.ratio {
        text.push_str(&format!(" ({ratio:.2} times)"));
    }
    if !finding.since.is_empty() {
        text.push_str(&format!(", {}", finding.since));
    }
    format!("{text}. Look at: {}", finding.look_at)
}
