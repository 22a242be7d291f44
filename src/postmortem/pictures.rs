//! The pictures of an incident: load against what is usual with the cause in it, and the cause by itself.

use std::collections::BTreeSet;

use super::figures::attempts;
use super::{Dossier, Ending, Figures, TrafficPoint, plain};
use crate::drawing::{Band, Chart, Line, LineStyle, Mark, Panel, Tone, number, time_ticks};
use crate::model::Severity;

/// Alerts that a picture names; later ones are in the timeline.
const ALERTS_MAX: usize = 8;

/// Load, attempts and failures around an incident; the cause and the peak marked, the usual dashed. None without history.
#[must_use]
pub fn load_chart(dossier: &Dossier) -> Option<Chart> {
    let history = dossier.history.as_ref().filter(|history| !history.points.is_empty())?;
    let points = &history.points;
    let mut panels = vec![load_panel(dossier, points)];
    if points.iter().any(|point| point.resends > 0) {
        panels.push(attempts_panel(dossier, points));
    }
    let failed = series(points, dossier, |p| 100.0 * p.failures as f64 / p.requests.max(1) as f64);
    let failed = line("", Tone::Harm, LineStyle::Solid, failed);
    panels.push(Panel { title: "failed requests (5xx, 429), %".to_owned(), lines: vec![failed], peak: None });
    Some(chart(dossier, "Load around the incident", panels, marks(dossier)))
}

fn load_panel(dossier: &Dossier, points: &[TrafficPoint]) -> Panel {
    let figures = dossier.figures();
    let per_s = |value: u64| value as f64 * 1_000.0 / dossier.span.bucket_ms as f64;
    let mut lines = vec![line("all", Tone::Whole, LineStyle::Area, series(points, dossier, |p| per_s(p.requests)))];
    if dossier.selection.names_requests() {
        let of_cause = series(points, dossier, |p| per_s(p.cause_requests));
        lines.push(line(&dossier.cause_name(), Tone::Harm, LineStyle::Solid, of_cause));
    }
    if let Some(usual) = figures.as_ref().and_then(|figures| figures.usual_per_s) {
        let all_along = [dossier.span.from, dossier.span.until].map(|at| (at.as_millis() as f64, usual));
        lines.push(line("usual", Tone::Usual, LineStyle::Dashed, all_along.to_vec()));
    }
    let peak = figures.as_ref().map(|figures| {
        let at = figures.peak_at.plus(dossier.span.bucket_ms / 2).as_millis() as f64;
        (at, figures.peak_per_s, "peak".to_owned())
    });
    let title = figures.as_ref().map_or_else(|| "requests a second".to_owned(), load_title);
    Panel { title, lines, peak }
}

fn attempts_panel(dossier: &Dossier, points: &[TrafficPoint]) -> Panel {
    let ratio = |requests, resends| attempts(requests, resends).unwrap_or(f64::NAN);
    let all = series(points, dossier, |p| ratio(p.requests, p.resends));
    let mut lines = vec![line("all", Tone::Ratio, LineStyle::Solid, all)];
    if dossier.selection.names_requests() {
        let own = series(points, dossier, |p| ratio(p.cause_requests, p.cause_resends));
        lines.push(line(&dossier.cause_name(), Tone::Harm, LineStyle::Solid, own));
    }
    Panel { title: "attempts for each logical request".to_owned(), lines, peak: None }
}

/// Requests of the cause, and what its customers did beside it. None where no request is of the cause.
#[must_use]
pub fn cause_chart(dossier: &Dossier) -> Option<Chart> {
    let history = dossier.history.as_ref().filter(|history| !history.points.is_empty())?;
    if !dossier.selection.names_requests() {
        return None;
    }
    let points = &history.points;
    let per_s = |value: u64| value as f64 * 1_000.0 / dossier.span.bucket_ms as f64;
    let first = |p: &TrafficPoint| per_s(p.cause_requests.saturating_sub(p.cause_resends));
    let of_cause = vec![
        line("all", Tone::Harm, LineStyle::Area, series(points, dossier, |p| per_s(p.cause_requests))),
        line("first attempts", Tone::Whole, LineStyle::Dashed, series(points, dossier, first)),
    ];
    let elsewhere = series(points, dossier, |p| per_s(p.elsewhere_requests));
    let elsewhere = vec![line("", Tone::Well, LineStyle::Solid, elsewhere)];
    let panels = vec![
        Panel { title: "requests of the cause a second".to_owned(), lines: of_cause, peak: None },
        Panel { title: "what the same customers sent otherwise, a second".to_owned(), lines: elsewhere, peak: None },
    ];
    let marks = ending_mark(&dossier.ending()).into_iter().collect();
    Some(chart(dossier, &dossier.cause_name(), panels, marks))
}

fn chart(dossier: &Dossier, title: &str, panels: Vec<Panel>, marks: Vec<Mark>) -> Chart {
    let span = dossier.span;
    let (from, until) = (span.from.as_millis() as f64, span.until.as_millis() as f64);
    let ended = dossier.record.ended_at.map_or(until, |ended| ended.as_millis() as f64);
    let incident = (dossier.record.started_at.as_millis() as f64, ended);
    Chart {
        title: format!("{title}, {} to {} (UTC)", span.from, span.until),
        description: plain(&dossier.record.summary),
        span: (from, until),
        ticks: time_ticks(span.from, span.until),
        bands: vec![Band { span: incident, label: "incident".to_owned() }],
        panels,
        marks,
    }
}

fn load_title(figures: &Figures) -> String {
    let times = figures.peak_ratio.map(|ratio| format!(" ({}× the usual)", number(ratio))).unwrap_or_default();
    let at = figures.peak_at.to_string();
    let at = at.get(11..16).unwrap_or_default();
    format!("requests a second, peak {} at {at}{times}", number(figures.peak_per_s))
}

/// When alerts fired, each name once, and what ended it.
fn marks(dossier: &Dossier) -> Vec<Mark> {
    let mut named = BTreeSet::new();
    let fired = dossier.alerts.iter().filter(|alert| alert.event == "firing");
    let first = fired.filter(|alert| named.insert((alert.alert.as_str(), alert.severity)));
    let mark = |alert: &super::AlertRecord| Mark {
        at: alert.at.as_millis() as f64,
        label: format!("{} {} ({})", clock(alert.at), plain(&alert.alert), alert.severity.as_str()),
        tone: if alert.severity == Severity::Critical { Tone::Harm } else { Tone::Notice },
    };
    first.take(ALERTS_MAX).map(mark).chain(ending_mark(&dossier.ending())).collect()
}

fn ending_mark(ending: &Ending) -> Option<Mark> {
    let at = ending.at?;
    let what = match ending.kind {
        "customers_moved" => "the cause's requests fall, its customers go on otherwise",
        "repeats_stopped" => "the cause's requests are no longer repeated",
        _ => "the cause's requests fall",
    };
    Some(Mark { at: at.as_millis() as f64, label: format!("{} {what}", clock(at)), tone: Tone::Well })
}

/// The time of day.
fn clock(at: crate::model::Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

fn line(label: &str, tone: Tone, style: LineStyle, points: Vec<(f64, f64)>) -> Line {
    Line { label: label.to_owned(), tone, style, points }
}

/// A value for each bucket, at its middle.
fn series(points: &[TrafficPoint], dossier: &Dossier, value: impl Fn(&TrafficPoint) -> f64) -> Vec<(f64, f64)> {
    let middle = (dossier.span.bucket_ms / 2) as f64;
    points.iter().map(|point| (point.at_ms as f64 + middle, value(point))).collect()
}
