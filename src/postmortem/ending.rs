//! What ended an incident, inferred from what traffic did about its end.

use serde::Serialize;

use super::figures::{attempts, median};
use super::{IncidentRecord, Span, TrafficPoint};
use crate::drawing::number;
use crate::model::Timestamp;

/// The cause's traffic has fallen once it stays below this part of what it was.
const FALLEN: f64 = 0.2;
/// Buckets that say how it was before, and after.
const BUCKETS: usize = 15;
/// Repeats are over when attempts per request are below this part of the way they were above one.
const CALM: f64 = 0.2;
/// Customers went on with something else when that grew by this factor.
const MOVED: f64 = 2.0;

/// What ended it. Everything but the moments is an inference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ending {
    /// `open`, `unknown`, `cause_fell`, `customers_moved` or `repeats_stopped`.
    pub kind: &'static str,
    /// When traffic of the cause fell, or calmed; absent where it did neither.
    pub at: Option<Timestamp>,
    /// In sentences.
    pub sentences: Vec<String>,
}

impl Ending {
    /// Of an incident, and of what was counted around it.
    #[must_use]
    pub fn of(record: &IncidentRecord, points: &[TrafficPoint], span: Span, names_requests: bool) -> Self {
        let Some(ended) = record.ended_at else {
            let open = "It has not ended: no report says so.".to_owned();
            return Self { kind: "open", at: None, sentences: vec![open] };
        };
        let last = format!("The last of its alerts was over at {ended}.");
        let found = if names_requests { fallen(points, span).or_else(|| calmed(points, span)) } else { None };
        let (kind, at, told) = match found {
            Some((kind, at, told)) => (kind, Some(at), told),
            None if points.is_empty() => ("unknown", None, "What traffic did about then is not known.".to_owned()),
            None if !names_requests => ("unknown", None, load(points, span)),
            None => {
                let told = "Requests of the cause neither fell nor calmed by then: see what was changed.".to_owned();
                ("unknown", None, told)
            }
        };
        Self { kind, at, sentences: vec![told, last] }
    }
}

type Found = (&'static str, Timestamp, String);

/// The cause's traffic fell for good.
fn fallen(points: &[TrafficPoint], span: Span) -> Option<Found> {
    let peak = points.iter().map(|point| point.cause_requests).max().filter(|peak| *peak > 0)? as f64;
    let last = points.iter().rposition(|point| point.cause_requests as f64 >= FALLEN * peak)?;
    let rest = &points[last + 1..];
    // One bucket is no evidence, and what fell after the end did not end it.
    let at = rest.get(1).and(rest.first())?.at();
    if at < span.began || at > span.ended {
        return None;
    }
    let before = &points[(last + 1).saturating_sub(BUCKETS)..=last];
    let after = &rest[..rest.len().min(BUCKETS)];
    let per_s = |points: &[TrafficPoint], value: fn(&TrafficPoint) -> u64| {
        median(points.iter().map(|point| value(point) as f64).collect()).unwrap_or(0.0) * 1_000.0
            / span.bucket_ms as f64
    };
    let (was, is) = (per_s(before, |p| p.cause_requests), per_s(after, |p| p.cause_requests));
    let (other_was, other_is) = (per_s(before, |p| p.elsewhere_requests), per_s(after, |p| p.elsewhere_requests));
    let fell = format!(
        "Requests of the cause fell at {at}: from {}/s in the time before to {}/s after.",
        number(was),
        number(is)
    );
    if other_is > 0.0 && other_is >= MOVED * other_was {
        let moved = format!(
            "The same customers went on with other clients, versions or routes ({}/s before, {}/s after): they went back, \
             were updated, or were moved.",
            number(other_was),
            number(other_is)
        );
        return Some(("customers_moved", at, format!("{fell} {moved}")));
    }
    Some(("cause_fell", at, format!("{fell} Whether they were stopped or gave up, traffic does not say.")))
}

/// The cause's traffic went on, but no longer repeats.
fn calmed(points: &[TrafficPoint], span: Span) -> Option<Found> {
    let repeats = |point: &TrafficPoint| attempts(point.cause_requests, point.cause_resends).unwrap_or(1.0) - 1.0;
    let within = |point: &&TrafficPoint| point.at() < span.ended;
    let worst = points.iter().filter(within).map(repeats).fold(0.0, f64::max);
    let last = points.iter().rposition(|point| repeats(point) > CALM * worst)?;
    let rest = &points[last + 1..];
    let at = rest.get(1).and(rest.first())?.at();
    if worst < 0.2 || at < span.began || at > span.ended {
        return None;
    }
    let told = format!(
        "At {at} requests of the cause no longer had to be repeated (up to {} attempts for each before): what failed \
         works again.",
        number(worst + 1.0)
    );
    Some(("repeats_stopped", at, told))
}

/// Where no request is of the cause: what load and failures did.
fn load(points: &[TrafficPoint], span: Span) -> String {
    let about = |from: Timestamp, until: Timestamp| -> Option<(f64, f64)> {
        let of = || points.iter().filter(move |point| (from..until).contains(&point.at()));
        let requests: u64 = of().map(|point| point.requests).sum();
        let failures: u64 = of().map(|point| point.failures).sum();
        let buckets = of().count();
        let per_s = requests as f64 * 1_000.0 / (span.bucket_ms as f64 * buckets.max(1) as f64);
        (buckets > 0).then(|| (per_s, 100.0 * failures as f64 / requests.max(1) as f64))
    };
    match (about(span.began, span.ended), about(span.ended, span.until)) {
        (Some((load, failed)), Some((load_after, failed_after))) => format!(
            "While it lasted load was {}/s and {} % of requests failed; after it {}/s and {} %. Its cause is not one of \
             requests, so traffic does not say what ended it.",
            number(load),
            number(failed),
            number(load_after),
            number(failed_after)
        ),
        _ => "What traffic did after it is not known.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    fn span() -> Span {
        let at = |minute: i64| Timestamp::from_millis(1_772_000_040_000 + minute * 60_000);
        Span { from: at(0), until: at(60), began: at(10), ended: at(40), bucket_ms: 60_000 }
    }

    fn record(ended: bool) -> IncidentRecord {
        IncidentRecord { ended_at: ended.then_some(span().ended), ..IncidentRecord::from(&samples::incident()) }
    }

    /// Requests of the cause, its repeats, and what its customers did otherwise, by minute.
    fn points(value: impl Fn(i64) -> (u64, u64, u64)) -> Vec<TrafficPoint> {
        let point = |minute: i64| {
            let (cause_requests, cause_resends, elsewhere_requests) = value(minute);
            let at_ms = span().from.plus(minute * 60_000).as_millis();
            let requests = cause_requests + elsewhere_requests;
            TrafficPoint {
                at_ms,
                requests,
                cause_requests,
                cause_resends,
                elsewhere_requests,
                ..TrafficPoint::default()
            }
        };
        (0..60).map(point).collect()
    }

    fn kind(points: &[TrafficPoint]) -> &'static str {
        Ending::of(&record(true), points, span(), true).kind
    }

    #[test]
    fn customers_that_go_back_stop_and_go_on_elsewhere() {
        let moved = points(|minute| if (10..30).contains(&minute) { (600, 500, 10) } else { (6, 0, 120) });
        let ending = Ending::of(&record(true), &moved, span(), true);
        assert_eq!((ending.kind, ending.at), ("customers_moved", Some(span().from.plus(30 * 60_000))));
        assert!(ending.sentences[0].contains("from 10.0/s in the time before to 0.1/s after"), "{ending:?}");
        assert!(ending.sentences[0].contains("0.2/s before, 2.0/s after"), "{ending:?}");
        assert_eq!(kind(&points(|minute| if minute < 30 { (600, 500, 100) } else { (0, 0, 100) })), "cause_fell");
    }

    #[test]
    fn what_works_again_is_not_repeated() {
        assert_eq!(kind(&points(|minute| if minute < 30 { (600, 500, 0) } else { (550, 0, 0) })), "repeats_stopped");
    }

    #[test]
    fn what_goes_on_or_ends_later_did_not_end_it() {
        assert_eq!(kind(&points(|_| (600, 500, 0))), "unknown");
        assert_eq!(kind(&points(|minute| if minute < 50 { (600, 500, 0) } else { (0, 0, 0) })), "unknown");
        assert_eq!(kind(&[]), "unknown");
        assert_eq!(Ending::of(&record(false), &points(|_| (0, 0, 0)), span(), true).kind, "open");
    }
}
