//! The picture of an incident: load against what was usual, the cause's part of it, failures and amplification.

use maud::{Markup, html};

use super::access::Visitor;
use super::traffic::{self, Frame, place};
use super::{ConsoleState, incident_history, parts};
use crate::drawing::{Chart, LineStyle, Mark, Tone};
use crate::flow::{STEP_MS, TrafficCounts, TrafficStep, TrafficSteps};
use crate::model::{Dimension, Dimensions, DurationMs, IncidentReport, Moment, Timestamp};

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

/// The picture: from memory, or from history where memory does not reach back to the onset.
pub(super) async fn picture(state: &ConsoleState, visitor: &Visitor, report: &IncidentReport) -> Markup {
    let traffic = state.view().traffic.clone();
    let reaches_back = traffic.iter().next().is_some_and(|oldest| oldest.start <= report.started_at);
    let from_memory = from_memory(report, &traffic);
    match from_memory {
        Some(picture) if reaches_back => picture,
        from_memory => match incident_history::charts(state, visitor, report).await {
            Ok(charts) => charts,
            Err(why) => {
                html! {
                    p { "Memory holds two hours of traffic; what was before is in history." }
                    (why) @if let Some(part) = from_memory { (part) }
                }
            }
        },
    }
}

/// What is shown of the time around an incident that ended, or goes on, at `end`.
pub(super) fn around(report: &IncidentReport, end: Timestamp) -> (Timestamp, Timestamp) {
    (report.started_at.plus(-BEFORE_MS), end.plus(AFTER_MS))
}

/// Moments of the timeline, in its order: their numbers are those of the list.
pub(super) fn marks(report: &IncidentReport) -> Vec<Mark> {
    let mark = |moment: &Moment| Mark { at: place(moment.at), label: moment.what.clone(), tone: Tone::Harm };
    report.timeline.iter().map(mark).collect()
}

/// The picture from memory; absent where memory holds nothing of the incident.
fn from_memory(report: &IncidentReport, traffic: &TrafficSteps) -> Option<Markup> {
    let last = traffic.iter().next_back().map(|step| step.start.plus(STEP_MS))?;
    let end = report.ended_at.unwrap_or(last);
    let (from, until) = around(report, end);
    let until = until.min(last);
    let steps: Vec<&TrafficStep> = traffic.iter().filter(|step| step.start >= from && step.start < until).collect();
    let is_of_it = |step: &&TrafficStep| step.start < end && step.start.plus(STEP_MS) > report.started_at;
    let from = from.max(steps.iter().find(|step| is_of_it(step)).and(steps.first())?.start);
    let frame = Frame { from, until, band: Some((report.started_at, end)) };
    Some(html! {
        div.charts.tall {
            (parts::chart("load", &load(report, &frame, &steps)))
            (parts::chart("failures", &traffic::failures(&frame, &steps)))
            (parts::chart("amplification", &traffic::amplification(&frame, &steps)))
        }
    })
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
    Chart { marks: marks(report), ..chart }
}

/// The dimension by which a cause is found in the traffic.
pub(super) fn part(dimensions: &Dimensions) -> Option<(Dimension, &str)> {
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
