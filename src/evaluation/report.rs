//! The report as Markdown.

use std::fmt::Write;

use super::aims::Aim;
use super::summary::{Group, Ratio, Summary};

/// Unexpected pages told of in a report.
const FALSE_PAGES_MAX: usize = 30;

/// The report. `pictures` are titles and paths, relative to the report; `command` is how it was made.
#[must_use]
pub fn report(
    summary: &Summary,
    aims: &[Aim],
    outcomes: &[super::CaseOutcome],
    pictures: &[(String, String)],
    command: &str,
) -> String {
    let mut text = String::from("# Evaluation\n\n");
    let total = &summary.total;
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Written by `{command}`. {} runs of {} scenarios, {} events, {:.1} virtual days; what each scenario shows is in \
         [scenarios.md](scenarios.md). Every run goes through the same core as the live service, with the shipped rules, and is \
         held against the `[truth]` of its file. The same version gives the same numbers.\n\n## Aims\n\n\
         | what | aim | measured | reached |\n|---|---|---|---|\n",
        total.runs,
        summary.scenarios.len(),
        total.events,
        total.days
    );
    for aim in aims {
        let reached = if aim.reached { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {} | {} | {} | {reached} |", aim.name, aim.aim, number(aim.value, 3));
    }
    let _ = write!(
        text,
        "\nRecall counts expected alerts, precision counts pages (critical alerts); an alert is late by the time from the \
         truth's onset to its firing. False pages are those of quiet scenarios: {} in {:.1} virtual days, which is {} a week and \
         100,000 subscriptions, at most {} with 95 % confidence (exact Poisson bound).\n\n## Scenarios\n\n",
        total.quiet_pages,
        total.quiet_days,
        number(total.false_pages_per_week, 2),
        number(total.false_pages_per_week_max, 2)
    );
    table(&mut text, summary);
    false_pages(&mut text, outcomes);
    if !pictures.is_empty() {
        text.push_str("\n## Pictures\n\nThe time of the trouble is shaded; dashed lines are alerts, red ones pages.\n");
    }
    for (title, path) in pictures {
        let _ = write!(text, "\n![{title}]({path})\n");
    }
    text
}

/// Cells of a row, for tables of either kind.
#[must_use]
pub fn row(group: &Group) -> [String; 11] {
    let amplitudes: Vec<String> =
        group.recall_by_amplitude.iter().map(|(amplitude, of)| format!("{amplitude}: {}", ratio(*of))).collect();
    [
        group.name.clone(),
        group.runs.to_string(),
        ratio(group.recall),
        amplitudes.join(", "),
        ratio(group.precision),
        number(group.delay_s_p50, 0),
        number(group.delay_s_p95, 0),
        ratio(group.cause_first),
        ratio(group.red_herrings_refused),
        group.tickets_unexpected.to_string(),
        format!("{:.1}", group.days),
    ]
}

/// Heads of the columns of [`row`].
pub const HEADS: [&str; 11] = [
    "scenario",
    "runs",
    "recall",
    "by amplitude",
    "pages right",
    "delay p50 s",
    "p95 s",
    "cause first",
    "red herring",
    "odd tickets",
    "days",
];

fn table(text: &mut String, summary: &Summary) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(&HEADS.map(str::to_owned)));
    text.push_str(&format!("|{}\n", "---|".repeat(HEADS.len())));
    for group in summary.scenarios.iter().chain([&summary.total]) {
        text.push_str(&line(&row(group)));
    }
}

fn false_pages(text: &mut String, outcomes: &[super::CaseOutcome]) {
    let pages: Vec<String> = outcomes
        .iter()
        .flat_map(|outcome| {
            outcome.score.false_pages.iter().map(move |page| {
                format!(
                    "- {} (seed {}): {} {} at {}\n",
                    outcome.scenario, outcome.seed, page.alert, page.labels, page.at
                )
            })
        })
        .collect();
    if pages.is_empty() {
        return;
    }
    let _ = write!(text, "\n## Pages that were wrong\n\n");
    pages.iter().take(FALSE_PAGES_MAX).for_each(|page| text.push_str(page));
    if pages.len() > FALSE_PAGES_MAX {
        let _ = writeln!(text, "- and {} more", pages.len() - FALSE_PAGES_MAX);
    }
}

fn ratio(ratio: Ratio) -> String {
    if ratio.of == 0 { "–".to_owned() } else { format!("{}/{}", ratio.hits, ratio.of) }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
