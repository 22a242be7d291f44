//! Scores the attribution of deviations: on a folder of real cases, and on synthetic tables (`make attribution DATA=…`).
//!
//! The folder has the form of RiskLoc's RS data: `anomaly.yaml` with `data`, `timestamp` and `cause` of each case, and
//! `<data>.csv` with the columns `min`, `value`, `cnt` and dimensions. The measure is sum(value) / sum(cnt).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use floodmark::incident::lattice::{Measure, Moment, Options, Table, TableBuilder, explain, reference_moments};
use serde::Deserialize;

#[path = "../tests/it/support/cube.rs"]
mod cube;
#[path = "../tests/it/support/set_score.rs"]
mod set_score;

use cube::{Random, Recipe};
use set_score::{Causes, SetScore, found};

/// A case of `anomaly.yaml`.
#[derive(Deserialize)]
struct Case {
    data: String,
    timestamp: i64,
    cause: Truth,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Truth {
    One(BTreeMap<String, Scalar>),
    Several(Vec<BTreeMap<String, Scalar>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(i64),
    Text(String),
}

/// Scores, and the time that explaining took.
#[derive(Default)]
struct Tally {
    score: SetScore,
    took: Duration,
    longest: Duration,
}

impl Tally {
    fn add(&mut self, table: &Table, truth: &Causes) -> (bool, Causes) {
        let start = now();
        let explanation = explain(table, &Options::default());
        let took = start.elapsed();
        self.took += took;
        self.longest = self.longest.max(took);
        let found = found(&explanation);
        (self.score.add(&found, truth), found)
    }

    fn print(&self, name: &str) {
        let SetScore { cases, right, wrong, missed } = self.score;
        let (f1, precision, recall) = (self.score.f1(), self.score.precision(), self.score.recall());
        let mean = self.took.as_secs_f64() * 1e3 / cases.max(1) as f64;
        let longest = self.longest.as_secs_f64() * 1e3;
        println!(
            "{name:<22} F1 {f1:.3}  precision {precision:.3}  recall {recall:.3}  cases {cases} (right {right}, wrong \
             {wrong}, missed {missed})  {mean:.1} ms a case, at most {longest:.1}"
        );
    }
}

/// How long a search takes is what this program measures.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn main() -> anyhow::Result<()> {
    let (mut directory, mut verbose) = (None, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--verbose" => verbose = true,
            path => directory = Some(path.to_owned()),
        }
    }
    if let Some(directory) = directory {
        real(Path::new(&directory), verbose)?;
    }
    for (name, depth) in [("synthetic, 1 to 3 deep", (1, 3)), ("synthetic, 1 to 5 deep", (1, 5))] {
        synthetic(name, depth);
    }
    Ok(())
}

fn real(directory: &Path, verbose: bool) -> anyhow::Result<()> {
    let path = directory.join("anomaly.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let cases: Vec<Case> = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
    let streams: BTreeSet<&str> = cases.iter().map(|case| stream(&case.data)).collect();
    let mut halves = [Tally::default(), Tally::default()];
    let mut all = Tally::default();
    for case in &cases {
        let table = read(&directory.join(format!("{}.csv", case.data)), case.timestamp)?;
        let truth = truth(&case.cause);
        let half = streams.iter().position(|name| *name == stream(&case.data)).unwrap_or(0) % 2;
        let (right, found) = all.add(&table, &truth);
        halves[half].add(&table, &truth);
        if verbose && !right {
            println!("{}: {found:?} instead of {truth:?}", case.data);
        }
    }
    halves[0].print("developed on");
    halves[1].print("other half");
    all.print("both halves");
    Ok(())
}

/// Cases of one stream resemble each other: a stream is in one half only. It is the last part of the name.
fn stream(name: &str) -> &str {
    if name.contains('+') { name } else { name.rsplit(['_', ' ']).next().unwrap_or(name) }
}

fn truth(cause: &Truth) -> Causes {
    let text = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => text.clone(),
    };
    let named =
        |cause: &BTreeMap<String, Scalar>| cause.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    match cause {
        Truth::One(cause) => [named(cause)].into(),
        Truth::Several(causes) => causes.iter().map(named).collect(),
    }
}

fn read(path: &Path, at: i64) -> anyhow::Result<Table> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    let header = reader.headers()?.clone();
    let column =
        |name: &str| header.iter().position(|other| other == name).with_context(|| format!("no column {name}"));
    let (time, value, count) = (column("min")?, column("value")?, column("cnt")?);
    let dimensions: Vec<usize> = (0..header.len()).filter(|place| ![time, value, count].contains(place)).collect();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let mut history: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for row in &rows {
        let sums = history.entry(row[time].parse()?).or_default();
        *sums = (sums.0 + row[value].parse::<f64>()?, sums.1 + row[count].parse::<f64>()?);
    }
    let before = history.range(..at).map(|(time, (value, count))| (*time * 1_000, value / count.max(1.0)));
    let before: Vec<(i64, f64)> = before.collect();
    let moments = reference_moments(&before, at * 1_000);
    let names = dimensions.iter().map(|place| header[*place].to_owned()).collect();
    let mut builder = TableBuilder::new(names, Measure::Ratio, moments.len())?;
    for row in &rows {
        let own: i64 = row[time].parse()?;
        let place = moments.iter().position(|moment| *moment == own * 1_000).map(Moment::Before);
        let moment = if own == at { Some(Moment::Now) } else { place };
        if let Some(moment) = moment {
            let values: Vec<&str> = dimensions.iter().map(|place| &row[*place]).collect();
            builder.add(&values, moment, row[value].parse()?, row[count].parse()?)?;
        }
    }
    Ok(builder.finish())
}

/// The sizes and ranges of RiskLoc's data set S.
fn synthetic(name: &str, depth: (usize, usize)) {
    let recipe = Recipe {
        sizes: vec![10, 12, 10, 8, 5],
        noise: (0.0, 0.25),
        severity: (0.2, 1.0),
        deviation: (0.0, 0.1),
        kinds: (1, 3),
        elements: (1, 3),
        depth,
    };
    let mut random = Random(121);
    let mut tally = Tally::default();
    for _ in 0..100 {
        let (table, truth) = cube::table(&recipe, &mut random);
        tally.add(&table, &truth);
    }
    tally.print(name);
}
