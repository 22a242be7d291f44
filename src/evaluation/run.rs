//! One scenario, amplitude and seed through the core, in virtual time.

use serde::Serialize;

use super::onset::OnsetMeter;
use super::picture::Trace;
use super::score::{RunScore, Trouble, score};
use crate::flow::StreamId;
use crate::model::Output;
use crate::pipeline::{Pipeline, Settings};
use crate::sim::{ScenarioError, ScenarioFile};

/// What is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name of the scenario, or a path.
    pub scenario: String,
    /// One of its amplitudes; absent where it has one only.
    pub amplitude: Option<f64>,
    /// Seed.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseOutcome {
    /// Name of the scenario.
    pub scenario: String,
    /// Its amplitude.
    pub amplitude: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Events.
    pub events: u64,
    /// Virtual days.
    pub days: f64,
    /// Customers it has.
    pub subscriptions: u64,
    /// How well it was told.
    pub score: RunScore,
    /// What a picture of it needs.
    #[serde(skip)]
    pub trace: Option<Trace>,
}

/// Runs a case; `traced`: keeps what a picture needs.
///
/// # Errors
/// The scenario cannot be used, or says nothing of what is true about it.
pub fn run(settings: &Settings, case: &Case, traced: bool) -> Result<CaseOutcome, ScenarioError> {
    let scenario = ScenarioFile::load(&case.scenario, case.amplitude)?;
    let truth = scenario.truth().ok_or_else(|| ScenarioError::NoTruth(scenario.name().to_owned()))?;
    let mut pipeline = Pipeline::new(settings);
    let mut outputs: Vec<Output> = Vec::new();
    let mut trace = traced.then(|| Trace::new(scenario.start()));
    let end = scenario.start().plus(scenario.duration().as_millis());
    let mut trouble = Trouble::new(truth, scenario.start(), end);
    let mut onset = truth.onset_retry_share.map(|share| OnsetMeter::new(trouble.onset, share));
    let mut events = 0;
    for event in scenario.events(case.seed)? {
        events += 1;
        if let Some(trace) = &mut trace {
            trace.add(&event);
        }
        if let Some(onset) = &mut onset {
            onset.add(&event);
        }
        outputs.extend(pipeline.apply(StreamId(0), &event));
    }
    outputs.extend(pipeline.finish());
    trouble.onset = onset.and_then(|meter| meter.onset()).unwrap_or(trouble.onset);
    let score = score(truth, trouble, &outputs);
    if let Some(trace) = &mut trace {
        trace.finish(scenario.title(), trouble, &outputs);
    }
    Ok(CaseOutcome {
        scenario: scenario.name().to_owned(),
        amplitude: case.amplitude,
        seed: case.seed,
        events,
        days: scenario.duration().as_millis() as f64 / 86_400_000.0,
        subscriptions: scenario.subscriptions(),
        score,
        trace,
    })
}

/// The cases of a scenario: each of its amplitudes (of `amplitudes`, if any are named) with each of `seeds` seeds from its own on.
///
/// # Errors
/// The scenario cannot be used.
pub fn cases(name: &str, amplitudes: &[f64], seeds: u64) -> Result<Vec<Case>, ScenarioError> {
    let scenario = ScenarioFile::load(name, None)?;
    let chosen = |amplitude: &f64| amplitudes.is_empty() || amplitudes.contains(amplitude);
    let levels: Vec<Option<f64>> = match scenario.amplitude() {
        Some(spec) => spec.all().into_iter().filter(chosen).map(Some).collect(),
        None => vec![None],
    };
    let mut cases = Vec::new();
    for amplitude in levels {
        for seed in scenario.seed()..scenario.seed().saturating_add(seeds) {
            cases.push(Case { scenario: name.to_owned(), amplitude, seed });
        }
    }
    Ok(cases)
}
