//! Charts of traffic: from the steps that detection keeps in memory.

use super::parts;
use crate::drawing::{Band, Chart, Line, LineStyle, Panel, Tone, time_ticks};
use crate::flow::{STEP_MS, TrafficStep, ratio};
use crate::model::Timestamp;

/// What part of the time is drawn, and what is told apart in it.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub until: Timestamp,
    /// A stretch to tell apart.
    pub band: Option<(Timestamp, Timestamp)>,
}

/// A moment on the axis.
#[allow(clippy::cast_precision_loss)] // milliseconds of this millennium are exact
pub(super) fn place(at: Timestamp) -> f64 {
    at.as_millis() as f64
}

impl Frame {
    /// A chart of it.
    pub(super) fn chart(&self, title: &str, lines: Vec<Line>) -> Chart {
        let bands = self.band.map(|(from, until)| Band { span: (place(from), place(until)), label: String::new() });
        Chart {
            title: title.to_owned(),
            description: in_words(&lines),
            span: (place(self.from), place(self.until)),
            ticks: time_ticks(self.from, self.until),
            bands: bands.into_iter().collect(),
            panels: vec![Panel { title: title.to_owned(), lines, peak: None }],
            marks: Vec::new(),
        }
    }
}

/// Lines in words, for those who do not see them.
fn in_words(lines: &[Line]) -> String {
    let mut words = Vec::new();
    for line in lines {
        let values = || line.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let Some(last) = values().next_back() else { continue };
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let [low, high, last] = [low, high, last].map(parts::number);
        words.push(format!("{}: between {low} and {high}, at last {last}.", line.label));
    }
    words.join(" ")
}

/// A line of one value a step, with a hole where nothing was seen for more than a step.
pub(super) fn line(
    label: &str,
    (tone, style): (Tone, LineStyle),
    steps: &[&TrafficStep],
    value: impl Fn(&TrafficStep) -> Option<f64>,
) -> Line {
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(steps.len());
    let mut before: Option<Timestamp> = None;
    for step in steps {
        if before.is_some_and(|before| step.start.since(before) > 2 * STEP_MS) {
            points.push((place(step.start.plus(-STEP_MS)), f64::NAN));
        }
        before = Some(step.start);
        points.push((place(step.start), value(step).unwrap_or(f64::NAN)));
    }
    Line { label: label.to_owned(), tone, style, points }
}

/// Attempts for each logical request, and calls for each request where there are any.
pub(super) fn amplification(frame: &Frame, steps: &[&TrafficStep]) -> Chart {
    let asked = |step: &TrafficStep| step.edge.requests > 0;
    let attempts = "attempts for each logical request";
    let mut lines = vec![line(attempts, (Tone::Ratio, LineStyle::Solid), steps, |step| {
        asked(step).then_some(step.attempts_per_request)
    })];
    if steps.iter().any(|step| step.calls > 0) {
        let calls = "calls between services for each request";
        lines.push(line(calls, (Tone::Notice, LineStyle::Dashed), steps, |step| {
            asked(step).then(|| ratio(step.calls, step.edge.requests))
        }));
    }
    frame.chart("Amplification", lines)
}

/// What failed at the edge.
pub(super) fn failures(frame: &Frame, steps: &[&TrafficStep]) -> Chart {
    let failed = line("failed (5xx or 429), %", (Tone::Harm, LineStyle::Area), steps, |step| {
        (step.edge.requests > 0).then(|| 100.0 * ratio(step.edge.failures, step.edge.requests))
    });
    frame.chart("Failed requests at the edge, %", vec![failed])
}

/// Load at the edge, without repeats, and inside.
pub(super) fn load(frame: &Frame, steps: &[&TrafficStep]) -> Chart {
    let whole = (Tone::Whole, LineStyle::Solid);
    let edge = line("at the edge", whole, steps, |step| Some(step.per_second(step.edge.requests)));
    let firsts = |step: &TrafficStep| step.edge.requests - step.edge.resends.min(step.edge.requests);
    let usual = (Tone::Usual, LineStyle::Dashed);
    let firsts = line("at the edge without repeats", usual, steps, |step| Some(step.per_second(firsts(step))));
    let mut lines = vec![edge, firsts];
    if steps.iter().any(|step| step.calls > 0) {
        let inside = (Tone::Ratio, LineStyle::Solid);
        lines.push(line("calls between services", inside, steps, |step| Some(step.per_second(step.calls))));
    }
    frame.chart("Load, requests/s", lines)
}
