//! A picture of an incident as SVG: load, amplification, failures, and when alerts fired.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::score::Trouble;
use crate::model::{Event, Output, Severity, Timestamp, TransitionEvent};

/// Longest traced run, in minutes: further ones are not drawn.
const MINUTES_MAX: i64 = 10_080;
/// Alerts named in a picture; later ones are left out.
const ALERTS_MAX: usize = 8;
const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 58.0;
const PANEL: f64 = 92.0;
const GAP: f64 = 30.0;

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

/// A line of a picture: what it shows, and its value in each minute.
struct Panel {
    title: &'static str,
    colour: &'static str,
    values: Vec<(f64, f64)>,
}

/// The picture. It has a background and colours of its own, for light and dark pages alike.
#[must_use]
pub fn picture(trace: &Trace) -> String {
    let panels = panels(trace);
    let minutes = trace.minutes.keys().last().map_or(1.0, |last| *last as f64 + 1.0);
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + 18.0 + 16.0 * trace.alerts.len() as f64;
    let x = |minute: f64| LEFT + minute / minutes * (WIDTH - LEFT - RIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" fill=\"#1f2933\">{}</text>\n",
        escaped(&trace.title)
    );
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (PANEL + GAP);
        let (from, to) = (x(trace.trouble.0), x(trace.trouble.1.min(minutes)));
        line(
            &mut svg,
            &format!(
                "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"#fdecea\"/>",
                to - from
            ),
        );
        draw(&mut svg, panel, top, &x);
    }
    let bottom = TOP + panels.len() as f64 * (PANEL + GAP) - GAP;
    for (index, (minute, label, page)) in trace.alerts.iter().enumerate() {
        let colour = if *page { "#b42318" } else { "#b54708" };
        let (at, y) = (x(*minute), bottom + 36.0 + 16.0 * index as f64);
        line(
            &mut svg,
            &format!(
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-dasharray=\"3 3\"/>",
                y - 4.0
            ),
        );
        let (anchor, from) = if at > WIDTH * 0.6 { ("end", at - 4.0) } else { ("start", at + 4.0) };
        let text = format!("{} {label}", clock(*minute));
        line(
            &mut svg,
            &format!(
                "<text x=\"{from:.1}\" y=\"{y:.1}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{}</text>",
                escaped(&text)
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn panels(trace: &Trace) -> Vec<Panel> {
    let series = |value: &dyn Fn(&Minute) -> f64| -> Vec<(f64, f64)> {
        trace.minutes.iter().map(|(minute, counts)| (*minute as f64 + 0.5, value(counts))).collect()
    };
    let per_second = |count: u64| count as f64 / 60.0;
    let of = |count: u64, whole: u64| count as f64 / whole.max(1) as f64;
    let internal = trace.minutes.values().any(|minute| minute.calls > 0);
    let mut panels = vec![Panel {
        title: "requests a second, calls between services included",
        colour: "#1d4ed8",
        values: series(&|minute| per_second(minute.edge + minute.calls)),
    }];
    if internal {
        let values = series(&|minute| of(minute.calls, minute.edge));
        panels.push(Panel { title: "calls between services for each request", colour: "#6d28d9", values });
    } else {
        let values = series(&|minute| of(minute.edge, minute.first));
        panels.push(Panel { title: "attempts for each logical request", colour: "#6d28d9", values });
    }
    let values = series(&|minute| 100.0 * of(minute.failed, minute.edge));
    panels.push(Panel { title: "failed requests, %", colour: "#b42318", values });
    panels
}

fn draw(svg: &mut String, panel: &Panel, top: f64, x: &dyn Fn(f64) -> f64) {
    let highest = panel.values.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(1e-9);
    let bottom = top + PANEL;
    line(svg, &format!("<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#52606d\">{}</text>", top - 6.0, panel.title));
    line(
        svg,
        &format!("<line x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\" stroke=\"#9aa5b1\"/>", WIDTH - RIGHT),
    );
    for (value, y) in [(highest, top + 10.0), (0.0, bottom)] {
        line(
            svg,
            &format!("<text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#52606d\">{value:.1}</text>", LEFT - 6.0),
        );
    }
    let mut points = String::new();
    for (minute, value) in &panel.values {
        // Writing to a string does not fail.
        let _ = write!(points, "{:.1},{:.1} ", x(*minute), bottom - value / highest * (PANEL - 4.0));
    }
    line(
        svg,
        &format!(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"{}\"/>",
            panel.colour,
            points.trim_end()
        ),
    );
}

fn line(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

/// Minutes since the start as `1:05:30`.
fn clock(minute: f64) -> String {
    let seconds = (minute * 60.0).round() as i64;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
