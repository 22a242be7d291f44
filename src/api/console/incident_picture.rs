//! The picture of an incident: load against what was usual, the cause's part of it, failures and amplification.

use maud::{Markup, html};

use super::parts;
use super::traffic::{self, Frame, place};
use crate::drawing::{Chart, LineStyle, Mark, Tone};
use crate::flow::{STEP_MS, TrafficCounts, TrafficStep, TrafficSteps};
use crate::model::{Dimension, Dimensions, DurationMs, IncidentReport, Timestamp};

/// What is shown of the calm before, and after.
const BEFORE_MS: DurationMs = 30 * 60_000;
const AFTER_MS: DurationMs = 15 * 60_000;
/// Steps before the onset that tell what is usual: five minutes at least.
const USUAL_STEPS_MIN: usize = 10;
/// What began was not yet usual some time before anybody noticed.
const ONSET_MS: DurationMs = 60_000;

/// Dimensions by which a cause is found again in the traffic, the narrowest first.
const NARROWEST: [Dimension; 6] = [
    Dimension::Subscription,
    Dimension::ClientVersion,
    Dimension::Caller,
    Dimension::Route,
    Dimension::Service,
    Dimension::Client,
];

/// The picture, or why there is none.
pub(super) fn picture(report: &IncidentReport, traffic: &TrafficSteps) -> Markup {
    let Some(last) = traffic.iter().next_back().map(|step| step.start.plus(STEP_MS)) else {
        return html! { p.empty { "No traffic is in memory: there is no picture." } };
    };
    let end = report.ended_at.unwrap_or(last);
    let (from, until) = (report.started_at.plus(-BEFORE_MS), end.plus(AFTER_MS).min(last));
    let steps: Vec<&TrafficStep> = traffic.iter().filter(|step| step.start >= from && step.start < until).collect();
    if !steps.iter().any(|step| step.start < end && step.start.plus(STEP_MS) > report.started_at) {
        return html! { p.empty { "This incident is older than the two hours of traffic that are kept in memory: there is no picture." } };
    }
    let from = from.max(steps[0].start);
    let marks = report.timeline.iter().filter(|moment| moment.at >= from && moment.at <= until);
    let marks: Vec<Mark> =
        marks.map(|moment| Mark { at: place(moment.at), label: moment.what.clone(), tone: Tone::Harm }).collect();
    let frame = Frame { from, until, band: Some((report.started_at, end)), marks };
    html! {
        div.charts.tall {
            (parts::chart("load", &load(report, &frame, &steps)))
            (parts::chart("failures", &traffic::failures(&frame, &steps)))
            (parts::chart("amplification", &traffic::amplification(&frame, &steps)))
        }
    }
}

/// Requests and calls, with the cause's part filled.
fn load(report: &IncidentReport, frame: &Frame, steps: &[&TrafficStep]) -> Chart {
    let part = report.causes.first().and_then(|cause| part(&cause.dimensions));
    let inside = part
        .is_some_and(|(dimension, _)| matches!(dimension, Dimension::Caller | Dimension::Service | Dimension::Route));
    let all = |step: &TrafficStep| step.edge.requests + if inside { step.calls } else { 0 };
    let name = if inside { "requests and calls between services" } else { "requests at the edge" };
    let mut lines = Vec::new();
    if let Some((dimension, value)) = part {
        let counts =
            |step: &TrafficStep| step.part(dimension, value).map_or(0, |counts: TrafficCounts| counts.requests);
        let name = format!("of {} = {value}", dimension.as_str());
        lines.push(traffic::line(&name, (Tone::Harm, LineStyle::Area), steps, |step| {
            Some(step.per_second(counts(step)))
        }));
    }
    lines.push(traffic::line(name, (Tone::Whole, LineStyle::Solid), steps, |step| Some(step.per_second(all(step)))));
    let loads: Vec<(Timestamp, f64)> = steps.iter().map(|step| (step.start, step.per_second(all(step)))).collect();
    if let Some(usual) = usual(&loads, report.started_at) {
        let label = format!("usual before: {}", parts::number(usual));
        lines.push(traffic::line(&label, (Tone::Usual, LineStyle::Dashed), steps, |_| Some(usual)));
    }
    let chart = frame.chart("Load during the incident, requests/s", lines);
    Chart { marks: frame.marks.clone(), ..chart }
}

/// The dimension by which a cause is found in the traffic.
fn part(dimensions: &Dimensions) -> Option<(Dimension, &str)> {
    NARROWEST.into_iter().find_map(|dimension| Some((dimension, dimensions.get(dimension)?)))
}

/// The median before the onset.
fn usual(loads: &[(Timestamp, f64)], onset: Timestamp) -> Option<f64> {
    let before = loads.iter().filter(|(at, _)| at.plus(STEP_MS) <= onset.plus(-ONSET_MS));
    let mut before: Vec<f64> = before.map(|(_, load)| *load).collect();
    before.sort_by(f64::total_cmp);
    (before.len() >= USUAL_STEPS_MIN).then(|| before[before.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_is_the_median_before_the_onset_or_not_known() {
        let at = |step: i64| Timestamp::from_millis(step * STEP_MS);
        let loads: Vec<_> = (0..40).map(|step| (at(step), if step < 20 { 10.0 } else { 500.0 })).collect();
        assert_eq!(usual(&loads, at(22)), Some(10.0));
        assert_eq!(usual(&loads, at(5)), None);
    }

    #[test]
    fn a_cause_is_found_by_what_is_narrowest() {
        let of = |pairs: &[(Dimension, &str)]| Dimensions::new(pairs.iter().map(|(d, text)| (*d, (*text).into())));
        let both = of(&[(Dimension::Client, "cli"), (Dimension::ClientVersion, "4.0.0")]);
        assert_eq!(part(&both), Some((Dimension::ClientVersion, "4.0.0")));
        assert_eq!(part(&of(&[(Dimension::Source, "redis/main")])), None);
    }
}
