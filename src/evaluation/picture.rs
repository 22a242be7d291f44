//! A picture of an incident as SVG: load, amplification, failures, and when alerts fired.

use std::collections::BTreeMap;

use super::score::Trouble;
use crate::drawing::{Band, Chart, Line, LineStyle, Mark, Panel, Tone, svg};
use crate::model::{Event, Output, Severity, Timestamp, TransitionEvent};

/// Longest traced run, in minutes: further ones are not drawn.
const MINUTES_MAX: i64 = 10_080;
/// Alerts named in a picture; later ones are left out.
const ALERTS_MAX: usize = 8;

/// One minute of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// Requests at the edge.
    pub edge: u64,
    /// Of these, first attempts, or without a number.
    pub first: u64,
    /// Of these at the edge, answered 5xx.
    pub failed: u64,
    /// Calls between services.
    pub calls: u64,
}

/// What a picture needs of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    start: Timestamp,
    minutes: BTreeMap<i64, Minute>,
    title: String,
    trouble: (f64, f64),
    /// Minute, label and whether it is a page, in order of firing.
    alerts: Vec<(f64, String, bool)>,
}

impl Trace {
    pub(super) fn new(start: Timestamp) -> Self {
        Self { start, minutes: BTreeMap::new(), title: String::new(), trouble: (0.0, 0.0), alerts: Vec::new() }
    }

    pub(super) fn add(&mut self, event: &Event) {
        let Event::Request(request) = event else { return };
        let minute = request.timestamp.since(self.start).div_euclid(60_000);
        if !(0..MINUTES_MAX).contains(&minute) {
            return;
        }
        let entry = self.minutes.entry(minute).or_default();
        if request.caller.is_some() {
            entry.calls += 1;
            return;
        }
        entry.edge += 1;
        entry.first += u64::from(request.attempt.is_none_or(|attempt| attempt == 1));
        entry.failed += u64::from(request.status >= 500);
    }

    pub(super) fn finish(&mut self, title: &str, trouble: Trouble, outputs: &[Output]) {
        title.clone_into(&mut self.title);
        let minutes = |moment: Timestamp| moment.since(self.start) as f64 / 60_000.0;
        self.trouble = (minutes(trouble.onset), minutes(trouble.end));
        let mut named = std::collections::BTreeSet::new();
        for output in outputs {
            let Output::Transition(transition) = output else { continue };
            if transition.event != TransitionEvent::Firing || !named.insert((transition.alert, transition.severity)) {
                continue;
            }
            let minute = transition.at.since(self.start) as f64 / 60_000.0;
            let page = transition.severity == Severity::Critical;
            self.alerts.push((minute, format!("{} ({})", transition.alert, transition.severity.as_str()), page));
        }
        self.alerts.truncate(ALERTS_MAX);
    }
}

/// The picture.
#[must_use]
pub fn picture(trace: &Trace) -> String {
    let minutes = trace.minutes.keys().last().map_or(1.0, |last| *last as f64 + 1.0);
    let mark = |(minute, label, page): &(f64, String, bool)| Mark {
        at: *minute,
        label: format!("{} {label}", clock(*minute)),
        tone: if *page { Tone::Harm } else { Tone::Notice },
    };
    svg(&Chart {
        title: trace.title.clone(),
        span: (0.0, minutes),
        bands: vec![Band { span: trace.trouble, label: String::new() }],
        panels: panels(trace),
        marks: trace.alerts.iter().map(mark).collect(),
        ..Chart::default()
    })
}

fn panels(trace: &Trace) -> Vec<Panel> {
    let panel = |title: &str, tone: Tone, value: &dyn Fn(&Minute) -> f64| {
        let points = trace.minutes.iter().map(|(minute, counts)| (*minute as f64 + 0.5, value(counts))).collect();
        let line = Line { label: String::new(), tone, style: LineStyle::Solid, points };
        Panel { title: title.to_owned(), lines: vec![line], peak: None }
    };
    let per_second = |count: u64| count as f64 / 60.0;
    let of = |count: u64, whole: u64| count as f64 / whole.max(1) as f64;
    let internal = trace.minutes.values().any(|minute| minute.calls > 0);
    let load = panel("requests a second, calls between services included", Tone::Whole, &|minute| {
        per_second(minute.edge + minute.calls)
    });
    let amplification = if internal {
        panel("calls between services for each request", Tone::Ratio, &|minute| of(minute.calls, minute.edge))
    } else {
        panel("attempts for each logical request", Tone::Ratio, &|minute| of(minute.edge, minute.first))
    };
    let failed = panel("failed requests, %", Tone::Harm, &|minute| 100.0 * of(minute.failed, minute.edge));
    vec![load, amplification, failed]
}

/// Minutes since the start as `1:05:30`.
fn clock(minute: f64) -> String {
    let seconds = (minute * 60.0).round() as i64;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
