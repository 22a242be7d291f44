//! One run held against the truth.

use serde::Serialize;

use crate::model::{
    AlertName, Dimensions, DurationMs, IncidentReport, Output, Severity, Timestamp, Transition, TransitionEvent,
};
use crate::sim::{ExpectedAlert, TruthSpec};

/// A page this long after the trouble's end is still about it: burn rates look back.
const AFTERMATH_MS: DurationMs = 15 * 60_000;
/// False pages told of one run; all are counted.
const FALSE_PAGES_TOLD_MAX: usize = 20;

/// An alert that had to fire.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectedScore {
    /// Its name.
    pub alert: AlertName,
    /// At least as severe.
    pub severity: Severity,
    /// From the onset to its firing, in milliseconds; absent: it did not fire.
    pub delay_ms: Option<DurationMs>,
}

/// A page that nobody should have got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalsePage {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub alert: AlertName,
    /// About what.
    pub labels: Dimensions,
}

/// How one run did.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct RunScore {
    /// Nothing had to fire.
    pub quiet: bool,
    /// What had to fire.
    pub expected: Vec<ExpectedScore>,
    /// From the onset to the first of these, in milliseconds.
    pub delay_ms: Option<DurationMs>,
    /// Critical alerts that fired.
    pub pages: u64,
    /// Of these, those that were right.
    pub pages_true: u64,
    /// The first of the others.
    pub false_pages: Vec<FalsePage>,
    /// Warnings that fired and are neither expected nor allowed.
    pub tickets_unexpected: u64,
    /// Whether the right cause came first; absent where none is asked for or nothing fired.
    pub cause_first: Option<bool>,
    /// Whether every red herring was refused; likewise.
    pub red_herrings_refused: Option<bool>,
}

/// What a run is held against.
struct Trial<'a> {
    truth: &'a TruthSpec,
    onset: Timestamp,
    until: Timestamp,
}

impl Trial<'_> {
    fn is_expected(&self, expected: &ExpectedAlert, transition: &Transition) -> bool {
        expected.alert == transition.alert
            && transition.severity >= expected.severity
            && TruthSpec::matches(&expected.labels, &transition.labels)
            && (self.onset..=self.until).contains(&transition.at)
    }

    fn is_right(&self, transition: &Transition) -> bool {
        let expected = self.truth.expected.iter();
        // What is expected as a warning is no page, unless it is allowed to be one.
        let expected = expected.filter(|e| e.severity == transition.severity).any(|e| self.is_expected(e, transition));
        let allowed = self
            .truth
            .also
            .iter()
            .any(|allowed| allowed.alert == transition.alert && transition.severity <= allowed.severity);
        expected || allowed && (self.truth.quiet || (self.onset..=self.until).contains(&transition.at))
    }

    /// A ticket of an expected or allowed name is right whenever it is written: slow leaks are there before.
    fn is_right_ticket(&self, transition: &Transition) -> bool {
        self.truth.also.iter().any(|allowed| allowed.alert == transition.alert)
            || self.truth.expected.iter().any(|expected| expected.alert == transition.alert)
    }
}

/// When the trouble of a run began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Its first moment.
    pub onset: Timestamp,
    /// Its last.
    pub end: Timestamp,
}

impl Trouble {
    /// As the truth of a scenario that begins at `start` and ends at `end` says.
    #[must_use]
    pub fn new(truth: &TruthSpec, start: Timestamp, end: Timestamp) -> Self {
        let onset = start.plus(truth.onset.map_or(0, |onset| onset.as_millis()));
        Self { onset, end: truth.end.map_or(end, |over| start.plus(over.as_millis())) }
    }
}

/// Holds the outputs of a run against its truth.
#[must_use]
pub fn score(truth: &TruthSpec, trouble: Trouble, outputs: &[Output]) -> RunScore {
    let onset = trouble.onset;
    let trial = Trial { truth, onset, until: trouble.end.plus(AFTERMATH_MS) };
    let fired: Vec<&Transition> = outputs
        .iter()
        .filter_map(|output| if let Output::Transition(transition) = output { Some(transition) } else { None })
        .filter(|transition| transition.event == TransitionEvent::Firing)
        .collect();
    let mut score = RunScore { quiet: truth.quiet, ..RunScore::default() };
    for transition in &fired {
        if transition.severity == Severity::Critical {
            count_page(&mut score, &trial, transition);
        } else if transition.severity == Severity::Warning && !trial.is_right_ticket(transition) {
            score.tickets_unexpected += 1;
        }
    }
    for expected in &truth.expected {
        let first = fired.iter().find(|transition| trial.is_expected(expected, transition));
        let delay_ms = first.map(|transition| transition.at.since(onset));
        score.expected.push(ExpectedScore { alert: expected.alert, severity: expected.severity, delay_ms });
    }
    score.delay_ms = score.expected.iter().filter_map(|expected| expected.delay_ms).min();
    // The incident is that of the alert that matters first in the truth.
    let main = truth.expected.iter().find_map(|e| fired.iter().find(|transition| trial.is_expected(e, transition)));
    if let Some(main) = main {
        judge_incident(&mut score, truth, main, outputs);
    }
    score
}

fn count_page(score: &mut RunScore, trial: &Trial<'_>, transition: &Transition) {
    score.pages += 1;
    if trial.is_right(transition) {
        score.pages_true += 1;
    } else if score.false_pages.len() < FALSE_PAGES_TOLD_MAX {
        let labels = transition.labels.clone();
        score.false_pages.push(FalsePage { at: transition.at, alert: transition.alert, labels });
    }
}

fn judge_incident(score: &mut RunScore, truth: &TruthSpec, main: &Transition, outputs: &[Output]) {
    let report = outputs.iter().find_map(|output| match output {
        Output::Incident(report) if report.incident == main.incident => Some(report),
        _ => None,
    });
    let causes = report.map_or(&main.causes, |report| &report.causes);
    if !truth.cause.is_empty() {
        let first = causes.first();
        let right = |asked: &Dimensions| first.is_some_and(|cause| TruthSpec::matches(asked, &cause.dimensions));
        score.cause_first = Some(truth.cause.iter().any(right));
    }
    if !truth.red_herrings.is_empty() {
        let refused = |report: &IncidentReport, word: &str| {
            report.ruled_out.iter().any(|ruled_out| ruled_out.candidate.contains(word))
        };
        let all = truth.red_herrings.iter().all(|word| report.is_some_and(|report| refused(report, word)));
        score.red_herrings_refused = Some(all);
    }
}
