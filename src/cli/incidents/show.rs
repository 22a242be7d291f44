//! `floodmark incidents show`: one incident, whole.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::find::{FindArgs, dossier};
use crate::cli::alerts::client::print_json;
use crate::cli::output::{OutputArgs, OutputFormat};
use crate::cli::{CliError, Globals};
use crate::detect::{duration, percent};
use crate::drawing::number;
use crate::postmortem::{Dossier, Figures, Role, evidence_queries, plain};

/// Customers that are listed; all of them are in the CSV.
const CUSTOMERS_SHOWN_MAX: usize = 10;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asks the running service; what it does not know (any more) is looked up in ClickHouse, which also says what traffic did
around it. Without ClickHouse there is the report alone, and that is said.

Examples:
  floodmark incidents show latest
  floodmark incidents show 20260309T100430Z --output json
  floodmark incidents show latest --from-replay said.ndjson --events storm.ndjson")]
pub(super) struct Args {
    #[command(flatten)]
    find: FindArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints it.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let dossier = dossier(&args.find, globals)?;
    if args.output.output == OutputFormat::Json {
        print_json(&as_json(&dossier))?;
    } else {
        print!("{}", plain_lines(&as_text(&dossier)));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(dossier: &Dossier) -> Value {
    let customers = |role| -> Vec<Value> {
        let one = |(customer, share): (&crate::postmortem::CustomerTraffic, f64)| {
            let mut value = json!(customer);
            value["share"] = share.into();
            value["attempts_per_request"] = customer.attempts_per_request().into();
            value
        };
        dossier.customers_of(role).into_iter().map(one).collect()
    };
    json!({
        "incident": dossier.record,
        "alerts": dossier.alerts,
        "from": dossier.span.from,
        "until": dossier.span.until,
        "history": dossier.history.as_ref().map(|history| json!({
            "source": history.source, "points": history.points, "further_customers": history.further_customers,
        })),
        "figures": dossier.figures(),
        "customers": {"cause": customers(Role::Cause), "affected": customers(Role::Affected)},
        "ending": dossier.ending(),
        "evidence_queries": evidence_queries(&dossier.record, &dossier.alerts, dossier.span),
        "notes": dossier.notes,
    })
}

/// Words of strangers have no say over the terminal; ends of lines are ours.
fn plain_lines(text: &str) -> String {
    text.lines().map(|line| plain(line) + "\n").collect()
}

fn as_text(dossier: &Dossier) -> String {
    let record = &dossier.record;
    let lasted = record.lasted(Some(dossier.span.ended));
    let ended = record.ended_at.map_or_else(|| "still open".to_owned(), |ended| format!("ended {ended}"));
    let mut out = format!("{} ({})\n", plain(&record.incident), record.severity.as_str());
    out += &format!("began {}, {ended}, lasted {lasted}\n\n{}\n", record.started_at, plain(&record.summary));
    let causes = record.causes.iter().enumerate().map(|(index, cause)| {
        let confidence = json!(cause.confidence);
        let confidence = confidence.as_str().unwrap_or_default();
        let (rank, share) = (index + 1, percent(cause.share));
        format!("{rank}. {share} {} ({confidence}): {}", cause.dimensions, cause.evidence)
    });
    section(&mut out, "likely causes", causes);
    section(&mut out, "impact", impact(dossier));
    section(&mut out, "what ended it", dossier.ending().sentences);
    section(
        &mut out,
        "timeline",
        record.timeline.iter().map(|moment| {
            let after = moment.at.since(record.started_at);
            let sign = if after < 0 { '-' } else { '+' };
            format!("{} {sign}{}: {}", moment.at, duration(after.abs()), moment.what)
        }),
    );
    section(&mut out, "ruled out", record.ruled_out.iter().map(|one| format!("{}: {}", one.candidate, one.why)));
    section(&mut out, "customers to contact", customers(dossier));
    section(&mut out, "what to do", record.actions.clone());
    let queries = evidence_queries(record, &dossier.alerts, dossier.span).into_iter().map(|query| query.command);
    section(&mut out, "look again", queries);
    section(&mut out, "notes", dossier.notes.clone());
    out
}

fn section(out: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let lines: String = lines.into_iter().map(|line| format!("  {}\n", line.replace('\n', " "))).collect();
    if !lines.is_empty() {
        *out += &format!("\n{title}\n{lines}");
    }
}

fn impact(dossier: &Dossier) -> Vec<String> {
    let affected = dossier.record.affected;
    let share = percent(affected.requests_share);
    let mut lines = vec![format!("{} subscriptions affected, {share} of requests", affected.subscriptions)];
    if let Some(figures) = dossier.figures() {
        lines.extend(of_figures(&figures));
    }
    lines
}

fn of_figures(figures: &Figures) -> Vec<String> {
    let usual = match (figures.usual_per_s, figures.peak_ratio) {
        (Some(usual), Some(ratio)) => format!(", {}× the usual {}/s", number(ratio), number(usual)),
        _ => String::new(),
    };
    let (failures, requests) = (number(figures.failures as f64), number(figures.requests as f64));
    let mut lines = vec![
        format!("peak {}/s at {}{usual}", number(figures.peak_per_s), figures.peak_at),
        format!("{failures} of {requests} requests failed ({})", percent(figures.failure_share)),
    ];
    if figures.cause_requests > 0 {
        let (requests, resends) = (number(figures.cause_requests as f64), number(figures.cause_resends as f64));
        let without = number(figures.peak_without_cause_repeats_per_s);
        lines.push(format!(
            "{requests} requests of the cause, {resends} of them repeats; without those the peak was {without}/s"
        ));
    }
    lines
}

fn customers(dossier: &Dossier) -> Vec<String> {
    let causing = dossier.customers_of(Role::Cause);
    let listed = if causing.is_empty() { dossier.customers_of(Role::Affected) } else { causing };
    let count = listed.len();
    let shown = listed.into_iter().take(CUSTOMERS_SHOWN_MAX).map(|(customer, share)| {
        let attempts = customer
            .attempts_per_request()
            .map_or_else(|| "only repeats".to_owned(), |attempts| format!("{} attempts per request", number(attempts)));
        let (client, version) = (&customer.client, &customer.client_version);
        let requests = number(customer.requests as f64);
        format!("{} {} {client} {version}: {requests} requests, {attempts}", percent(share), customer.subscription)
    });
    let mut lines: Vec<String> = shown.collect();
    if count > CUSTOMERS_SHOWN_MAX {
        lines.push(format!("and {} more: floodmark incidents export --csv -", count - CUSTOMERS_SHOWN_MAX));
    }
    if lines.is_empty() {
        let named = dossier.record.customers.iter();
        lines = named.map(|customer| format!("{} {}", percent(customer.share), customer.subscription)).collect();
    }
    lines
}
