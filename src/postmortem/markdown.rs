//! The draft of a post-mortem in Markdown. Every word of strangers is escaped.

use std::fmt::Write;

use super::text::inline;
use super::{Dossier, Figures, Role, evidence_queries};
use crate::detect::{duration, percent};
use crate::drawing::number;

/// Customers in the table; all of them are in the CSV file.
const CUSTOMERS_SHOWN_MAX: usize = 20;

/// Names of the files that lie beside the draft; absent ones were not made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// The picture of the load.
    pub load: Option<String>,
    /// The picture of the cause.
    pub cause: Option<String>,
    /// The customers to contact.
    pub customers: Option<String>,
}

/// The draft.
#[must_use]
pub fn markdown(dossier: &Dossier, files: &Files) -> String {
    let figures = dossier.figures();
    let mut out = head(dossier);
    section(&mut out, "Summary", &summary(dossier, figures.as_ref()));
    section(&mut out, "Impact", &impact(dossier, figures.as_ref(), files));
    section(&mut out, "Timeline", &timeline(dossier));
    section(&mut out, "Root cause", &causes(dossier, files));
    section(&mut out, "What was ruled out", &ruled_out(dossier));
    section(&mut out, "What ended it", &ending(dossier));
    section(&mut out, "Action items", &actions(dossier));
    section(&mut out, "Appendix: data", &appendix(dossier, figures.as_ref(), files));
    out
}

/// Writing to a string does not fail.
fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn section(out: &mut String, title: &str, body: &str) {
    line(out, &format!("\n## {title}\n\n{}", body.trim_end()));
}

fn head(dossier: &Dossier) -> String {
    let record = &dossier.record;
    let day = record.started_at.to_string();
    let day = day.get(..10).unwrap_or_default();
    let mut out = format!("# Post-mortem of {day}: {}\n\n", inline(&dossier.cause_name()));
    line(&mut out, "> Draft. Figures and times are from the records named in the appendix. Sentences that begin with");
    line(&mut out, "> _Inference_ are conclusions from them: a person has to agree before this is published.\n");
    line(&mut out, "| | |\n|---|---|");
    let ended = record.ended_at.map_or_else(|| "still open".to_owned(), |ended| ended.to_string());
    let severity = record.severity.as_str();
    let lasted = record.lasted(Some(dossier.span.ended));
    for (name, value) in [
        ("Incident", inline(&record.incident)),
        ("Severity", severity.to_owned()),
        ("Began (UTC)", record.started_at.to_string()),
        ("Ended (UTC)", ended),
        ("Lasted", lasted),
        ("Alerts", inline(&record.alerts.join(", "))),
    ] {
        line(&mut out, &format!("| {name} | {value} |"));
    }
    out
}

fn summary(dossier: &Dossier, figures: Option<&Figures>) -> String {
    let mut out = format!("{}.\n", inline(dossier.record.summary.trim_end_matches('.')));
    if let Some(told) = dossier.first_told() {
        let after = duration(told.at.since(dossier.record.started_at));
        let _ = write!(out, "\n{} fired {after} after the onset", inline(&told.alert));
        let _ = writeln!(out, " ({}): {}.", told.severity.as_str(), inline(told.summary.trim_end_matches('.')));
    }
    if let Some(figures) = figures {
        let _ = writeln!(out, "\n{}", peak(figures));
    }
    out
}

fn peak(figures: &Figures) -> String {
    let usual = match (figures.usual_per_s, figures.peak_ratio) {
        (Some(usual), Some(ratio)) => format!(", {}× the usual {}/s", number(ratio), number(usual)),
        _ => String::new(),
    };
    format!("Load peaked at {}/s at {}{usual}.", number(figures.peak_per_s), figures.peak_at)
}

fn impact(dossier: &Dossier, figures: Option<&Figures>, files: &Files) -> String {
    let affected = dossier.record.affected;
    let mut out = String::new();
    let share = percent(affected.requests_share);
    match affected.subscriptions {
        0 if affected.requests_share == 0.0 => line(&mut out, "- No subscription was told to have failing requests."),
        0 => line(&mut out, &format!("- Subscriptions with failing requests: not told; share of requests: {share}.")),
        count => line(&mut out, &format!("- {count} subscriptions had failing requests: {share} of all requests.")),
    }
    if let Some(figures) = figures {
        let usual =
            figures.usual_failure_share.map(|usual| format!(" (usually {})", percent(usual))).unwrap_or_default();
        let failed = percent(figures.failure_share);
        let (failures, requests) = (number(figures.failures as f64), number(figures.requests as f64));
        line(&mut out, &format!("- {failures} of {requests} requests failed while it lasted: {failed}{usual}."));
        line(&mut out, &format!("- {}", peak(figures)));
        if let Some(attempts) = figures.attempts_per_request {
            line(&mut out, &format!("- {} attempts for each logical request.", number(attempts)));
        }
    }
    if let Some(load) = &files.load {
        line(&mut out, &format!("\n![Load, attempts and failures around the incident]({load})"));
    }
    out
}

fn timeline(dossier: &Dossier) -> String {
    let mut out = String::from("| Time (UTC) | After the onset | What |\n|---|---|---|\n");
    for moment in &dossier.record.timeline {
        let after = moment.at.since(dossier.record.started_at);
        let after = if after < 0 { format!("{} before", duration(-after)) } else { format!("+{}", duration(after)) };
        line(&mut out, &format!("| {} | {after} | {} |", moment.at, inline(&moment.what)));
    }
    if dossier.record.timeline.is_empty() {
        return "The report has no timeline.\n".to_owned();
    }
    out
}

fn causes(dossier: &Dossier, files: &Files) -> String {
    let Some(first) = dossier.record.causes.first() else { return "No cause was found.\n".to_owned() };
    let named = inline(&dossier.cause_name());
    let sure = confidence(first);
    let share = percent(first.share);
    let mut out =
        format!("_Inference:_ {named} explains {share} of the harm (confidence: {sure}).\n\nThe evidence:\n\n");
    for evidence in first.evidence.split("; ") {
        line(&mut out, &format!("- {}", inline(evidence)));
    }
    if dossier.record.causes.len() > 1 {
        line(&mut out, "\n| Cause | Share | Confidence | Evidence |\n|---|---|---|---|");
        for cause in &dossier.record.causes {
            let (dimensions, evidence) = (inline(&cause.dimensions.to_string()), inline(&cause.evidence));
            line(
                &mut out,
                &format!("| {dimensions} | {} | {} | {evidence} |", percent(cause.share), confidence(cause)),
            );
        }
    }
    if let Some(picture) = &files.cause {
        line(&mut out, &format!("\n![Requests of the cause, and what its customers sent otherwise]({picture})"));
    }
    out
}

fn confidence(cause: &crate::model::Cause) -> String {
    serde_json::to_value(cause.confidence).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn ruled_out(dossier: &Dossier) -> String {
    if dossier.record.ruled_out.is_empty() {
        return "No other candidate was looked at.\n".to_owned();
    }
    let mut out = String::from("| Candidate | Why it is not the cause |\n|---|---|\n");
    for one in &dossier.record.ruled_out {
        line(&mut out, &format!("| {} | {} |", inline(&one.candidate), inline(&one.why)));
    }
    out
}

fn ending(dossier: &Dossier) -> String {
    let ending = dossier.ending();
    let inferred = if ending.at.is_some() { "_Inference:_ " } else { "" };
    format!("{inferred}{}\n", inline(&ending.sentences.join(" ")))
}

fn actions(dossier: &Dossier) -> String {
    let mut out = String::from("| | Action | Owner | Due |\n|---|---|---|---|\n");
    for action in &dossier.record.actions {
        line(&mut out, &format!("| ☐ | {} | | |", inline(action)));
    }
    for general in [
        "Contact the customers of the appendix; say what happened and what they can do.",
        "Decide what would have told us earlier, and what would have kept it small; add a test or a limit for it.",
    ] {
        line(&mut out, &format!("| ☐ | {general} | | |"));
    }
    out
}

fn appendix(dossier: &Dossier, figures: Option<&Figures>, files: &Files) -> String {
    let mut out = String::new();
    let span = dossier.span;
    match &dossier.history {
        Some(history) => {
            let minutes = span.bucket_ms / 60_000;
            let source = inline(&history.source);
            line(
                &mut out,
                &format!("Requests are from {source}, {} to {}, in steps of {minutes} min.", span.from, span.until),
            );
        }
        None => line(
            &mut out,
            "Requests around the incident could not be had: there are no pictures and no figures of them.",
        ),
    }
    for note in &dossier.notes {
        line(&mut out, &format!("\n{}", inline(note)));
    }
    if let Some(figures) = figures {
        figures_table(&mut out, figures);
    }
    customers(&mut out, dossier, files);
    let queries = evidence_queries(&dossier.record, &dossier.alerts, span);
    if !queries.is_empty() {
        line(&mut out, "\n### Queries\n\nTo look again:\n");
        line(&mut out, "```sh");
        for query in queries {
            line(&mut out, &format!("# {}\n{}", super::plain(&query.title), query.command));
        }
        line(&mut out, "```");
    }
    out
}

fn figures_table(out: &mut String, figures: &Figures) {
    let or_unknown = |value: Option<f64>| value.map_or_else(|| "not known".to_owned(), number);
    line(out, "\n### Figures\n\n| Figure | Value |\n|---|---:|");
    for (name, value) in [
        ("Usual load, requests a second (median before the onset)", or_unknown(figures.usual_per_s)),
        ("Peak load, requests a second", number(figures.peak_per_s)),
        ("Peak load without the cause's repeats", number(figures.peak_without_cause_repeats_per_s)),
        ("Requests while it lasted", number(figures.requests as f64)),
        ("Of these, failed", number(figures.failures as f64)),
        ("Requests of the cause", number(figures.cause_requests as f64)),
        ("Of these, repeats", number(figures.cause_resends as f64)),
        ("Attempts for each logical request of the cause", or_unknown(figures.cause_attempts_per_request)),
    ] {
        line(out, &format!("| {name} | {value} |"));
    }
}

fn customers(out: &mut String, dossier: &Dossier, files: &Files) {
    let causing = dossier.customers_of(Role::Cause);
    let (role, listed) = if causing.is_empty() {
        ("whose requests failed", dossier.customers_of(Role::Affected))
    } else {
        ("whose requests are of the cause", causing)
    };
    line(out, "\n### Customers to contact\n");
    if listed.is_empty() && dossier.record.customers.is_empty() {
        return line(out, "None is known.");
    }
    if listed.is_empty() {
        line(out, "As the report names them, the heaviest first:\n\n| Subscription | Share of the harm |\n|---|---:|");
        for customer in &dossier.record.customers {
            line(out, &format!("| {} | {} |", inline(&customer.subscription), percent(customer.share)));
        }
    } else {
        line(out, &format!("Those {role}, the heaviest first:\n"));
        line(out, "| Subscription | Client | Version | Requests | Attempts per request | Share of the harm | Since |");
        line(out, "|---|---|---|---:|---:|---:|---|");
        for (customer, share) in listed.iter().take(CUSTOMERS_SHOWN_MAX) {
            let attempts = customer.attempts_per_request().map(number).unwrap_or_default();
            let names = [&customer.subscription, &customer.client, &customer.client_version].map(|name| inline(name));
            let (requests, share) = (number(customer.requests as f64), percent(*share));
            line(out, &format!("| {} | {requests} | {attempts} | {share} | {} |", names.join(" | "), customer.since));
        }
        let further = listed.len().saturating_sub(CUSTOMERS_SHOWN_MAX);
        if further > 0 {
            line(out, &format!("\nAnd {further} more."));
        }
    }
    if let Some(file) = &files.customers {
        line(out, &format!("\nAll of them are in [{file}]({file})."));
    }
}
