//! `floodmark dead-letters replay`.

use serde_json::json;

use super::{ReplayArgs, print};
use crate::cli::output::{OutputFormat, table};
use crate::config::{Config, KafkaConfig};
use crate::ingest::{self, ReplayCounts, ReplayOptions};

pub(super) fn run(args: &ReplayArgs, config: &Config, kafka: &KafkaConfig) -> anyhow::Result<()> {
    let options = ReplayOptions { reason: args.reason.clone(), dry_run: args.dry_run };
    let outcomes = outcomes(&ingest::replay(config, kafka, &options)?, args.dry_run);
    print(&match args.output.output {
        OutputFormat::Table => as_table(&outcomes, args.dry_run),
        OutputFormat::Json => as_json(&outcomes, args.dry_run),
    })
}

/// What became of letters of one reason, and how many.
struct Outcome {
    reason: String,
    outcome: String,
    letters: u64,
    accepted: bool,
}

fn outcomes(counts: &ReplayCounts, dry_run: bool) -> Vec<Outcome> {
    let accepted = if dry_run { "would be replayed" } else { "replayed" };
    let plain = [
        (&counts.accepted, accepted),
        (&counts.original_gone, "its record is no longer where it was"),
        (&counts.inseparable, "cannot be cut out of its record, of which other elements are stored"),
        (&counts.not_readable_by_the_service, "from a file, in a format that the service does not read"),
    ];
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (place, (by_reason, outcome)) in plain.into_iter().enumerate() {
        outcomes.extend(by_reason.iter().map(|(reason, letters)| Outcome {
            reason: reason.clone(),
            outcome: outcome.to_owned(),
            letters: *letters,
            accepted: place == 0,
        }));
    }
    outcomes.extend(counts.refused.iter().map(|((reason, now), letters)| Outcome {
        reason: reason.clone(),
        outcome: format!("still refused: {now}"),
        letters: *letters,
        accepted: false,
    }));
    outcomes.sort_by(|a, b| (&a.reason, !a.accepted, &a.outcome).cmp(&(&b.reason, !b.accepted, &b.outcome)));
    outcomes
}

fn sums(outcomes: &[Outcome]) -> (u64, u64) {
    let sum = |accepted: bool| outcomes.iter().filter(|o| o.accepted == accepted).map(|o| o.letters).sum();
    (sum(true), sum(false))
}

fn as_json(outcomes: &[Outcome], dry_run: bool) -> String {
    let (accepted, remaining) = sums(outcomes);
    let row = |o: &Outcome| json!({"reason": o.reason, "outcome": o.outcome, "letters": o.letters});
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    format!("{:#}", json!({"dry_run": dry_run, "accepted": accepted, "remaining": remaining, "outcomes": rows}))
}

fn as_table(outcomes: &[Outcome], dry_run: bool) -> String {
    let (accepted, remaining) = sums(outcomes);
    if accepted + remaining == 0 {
        return "No letters wait.".to_owned();
    }
    let mut table = table(["reason", "outcome", "letters"]);
    for Outcome { reason, outcome, letters, .. } in outcomes {
        table.add_row([reason.clone(), outcome.clone(), letters.to_string()]);
    }
    let done = if dry_run { "would be replayed; nothing was sent" } else { "were replayed" };
    format!("{}\n\n{accepted} letters {done}. {remaining} stay.", table.trim_fmt())
}
