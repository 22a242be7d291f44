//! `make nab DATA=… [CLOUD=…]`: how well `floodmark detect` finds what others have labelled.
//!
//! DATA is a checkout of <https://github.com/numenta/NAB>, CLOUD of
//! <https://github.com/microsoft/cloud-monitoring-dataset>. The command itself is run, on one file after the other.

mod corpus;
mod events;
mod scorer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use corpus::{Label, Series};
use events::Found;
use scorer::{PROFILES, Scored, at_threshold, optimum};

/// What the command wrote of a series.
struct Judged {
    timestamps: Vec<String>,
    scores: Vec<f64>,
    alerts: Vec<bool>,
}

fn main() -> Result<()> {
    let mut folders = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let nab_root = folders.next().context("usage: make nab DATA=NAB-checkout [CLOUD=cloud-monitoring-checkout]")?;
    let series = corpus::nab(Path::new(&nab_root))?;
    ensure!(!series.is_empty(), "there is no series in {nab_root}");
    let judged = series.iter().map(judge).collect::<Result<Vec<_>>>()?;
    let names = PROFILES.map(|profile| profile.name).join(" | ");
    println!("| NAB | series | {names} | `alert` alone: {names} |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, wanted) in [("developed on", Some(true)), ("never tuned on", Some(false)), ("all", None)] {
        let chosen = series.iter().zip(&judged).filter(|(series, _)| wanted.is_none_or(|it| series.developed_on == it));
        nab_row(name, &chosen.collect::<Vec<_>>());
    }
    let Some(cloud_root) = folders.next().filter(|folder| !folder.is_empty()) else { return Ok(()) };
    let series = corpus::cloud(Path::new(&cloud_root))?;
    let judged = series.iter().map(judge).collect::<Result<Vec<_>>>()?;
    cloud_table(&series, &judged)
}

/// Runs `floodmark detect` on the series.
fn judge(series: &Series) -> Result<Judged> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    let output = command.arg("detect").arg(&series.path).env_remove("FLOODMARK_CONFIG").output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && messages.is_empty(), "{}: {messages}", series.name);
    let mut judged = Judged { timestamps: Vec::new(), scores: Vec::new(), alerts: Vec::new() };
    for row in csv::Reader::from_reader(output.stdout.as_slice()).records() {
        let row = row?;
        judged.timestamps.push(row[0].to_owned());
        judged.scores.push(row[2].parse()?);
        judged.alerts.push(&row[3] == "1");
    }
    Ok(judged)
}

/// The rows of a series' windows. NAB's timestamps and limits are text of one form, so they compare as text.
fn windows(series: &Series, judged: &Judged) -> Vec<(usize, usize)> {
    let Label::Windows(limits) = &series.label else { return Vec::new() };
    let rows = |(from, to): &(String, String)| {
        let first = judged.timestamps.iter().position(|at| at.as_str() >= whole_seconds(from))?;
        let last = judged.timestamps.iter().rposition(|at| at.as_str() <= whole_seconds(to))?;
        Some((first, last))
    };
    limits.iter().filter_map(rows).collect()
}

fn whole_seconds(limit: &str) -> &str {
    limit.split('.').next().unwrap_or(limit)
}

fn nab_row(name: &str, chosen: &[(&Series, &Judged)]) {
    let scored = |scores: fn(&Judged) -> Vec<f64>| -> Vec<Scored> {
        let one =
            |(series, judged): &(&Series, &Judged)| Scored { scores: scores(judged), windows: windows(series, judged) };
        chosen.iter().map(one).collect()
    };
    let by_score = scored(|judged| judged.scores.clone());
    let by_alert = scored(|judged| judged.alerts.iter().map(|alert| f64::from(u8::from(*alert))).collect());
    let best = PROFILES.map(|profile| format!("{:.1}", optimum(&by_score, &profile).normalized));
    let fixed = PROFILES.map(|profile| format!("{:.1}", at_threshold(&by_alert, &profile, 1.0)));
    println!("| {name} | {} | {} | {} |", chosen.len(), best.join(" | "), fixed.join(" | "));
}

fn cloud_table(series: &[Series], judged: &[Judged]) -> Result<()> {
    let mut folders: BTreeMap<(bool, &str), Found> = BTreeMap::new();
    let mut sums = [("developed on", Found::default()), ("never tuned on", Found::default())];
    for (series, judged) in series.iter().zip(judged) {
        let mut labelled = Vec::new();
        for row in csv::Reader::from_path(&series.path)?.records() {
            labelled
                .push(row?.get(2).and_then(|label| label.trim().parse::<f64>().ok()).is_some_and(|label| label > 0.0));
        }
        ensure!(labelled.len() == judged.alerts.len(), "{}: a row is missing", series.name);
        let found = events::compare(&labelled, &judged.alerts);
        *folders.entry((!series.developed_on, series.name.as_str())).or_default() += found;
        sums[usize::from(!series.developed_on)].1 += found;
    }
    println!("\n| cloud monitoring | | events | found | recall | alerts | right | precision |");
    println!("|---|---|---|---|---|---|---|---|");
    for ((held_out, name), found) in &folders {
        cloud_row(name, if *held_out { "never tuned on" } else { "developed on" }, found);
    }
    let [(_, mut all), (_, held_out)] = sums;
    all += held_out;
    for (name, found) in sums.iter().chain([&("all", all)]) {
        cloud_row("together", name, found);
    }
    Ok(())
}

fn cloud_row(name: &str, part: &str, found: &Found) {
    let Found { events, events_found, alerts, alerts_right } = found;
    let (recall, precision) = (found.recall(), found.precision());
    println!(
        "| {name} | {part} | {events} | {events_found} | {recall:.2} | {alerts} | {alerts_right} | {precision:.2} |"
    );
}
