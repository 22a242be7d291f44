//! The numbers of an incident: peak, what is usual, harm.

use serde::Serialize;

use super::{Span, TrafficPoint};
use crate::detect::rounded;
use crate::model::Timestamp;

/// Buckets before the onset that are needed to say what is usual.
const USUAL_BUCKETS_MIN: usize = 5;

/// What traffic did. Rates are requests a second; the peak is that of a whole bucket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Width of a bucket, seconds.
    pub bucket_s: i64,
    /// Median load before the onset; absent when too little of it is known.
    pub usual_per_s: Option<f64>,
    /// Median failure share before the onset, 0 to 1; likewise.
    pub usual_failure_share: Option<f64>,
    /// Highest load while it lasted.
    pub peak_per_s: f64,
    /// Begin of the bucket with the highest load.
    pub peak_at: Timestamp,
    /// How many times the usual the peak was; absent without a usual load.
    pub peak_ratio: Option<f64>,
    /// Load of that bucket without the cause's repeats.
    pub peak_without_cause_repeats_per_s: f64,
    /// Requests while it lasted.
    pub requests: u64,
    /// Of these, answered 5xx or 429.
    pub failures: u64,
    /// Share of these that failed, 0 to 1.
    pub failure_share: f64,
    /// Attempts for each logical request while it lasted; absent when attempts are not known.
    pub attempts_per_request: Option<f64>,
    /// Requests of the cause while it lasted; 0 where no request can be told to be its.
    pub cause_requests: u64,
    /// Of these, repeats.
    pub cause_resends: u64,
    /// Attempts for each logical request of the cause.
    pub cause_attempts_per_request: Option<f64>,
}

impl Figures {
    /// Of buckets in order; none when nothing was counted while it lasted.
    #[must_use]
    pub fn of(points: &[TrafficPoint], span: Span) -> Option<Self> {
        let bucket_s = (span.bucket_ms / 1_000).max(1);
        let within = || points.iter().filter(|point| (span.began..span.ended).contains(&point.at()));
        let before: Vec<&TrafficPoint> = points.iter().filter(|point| point.at() < span.began).collect();
        // The earliest of equals.
        let peak = within().rev().max_by_key(|point| point.requests).filter(|point| point.requests > 0)?;
        let per_s = |requests: u64| rounded(requests as f64 / bucket_s as f64);
        let sum = |value: fn(&TrafficPoint) -> u64| within().map(value).sum::<u64>();
        let enough = before.len() >= USUAL_BUCKETS_MIN;
        let usual = median(before.iter().map(|point| point.requests as f64).collect()).filter(|_| enough);
        let shares = before.iter().filter(|point| point.requests > 0).map(|p| p.failures as f64 / p.requests as f64);
        let usual_failure_share = median(shares.collect()).filter(|_| enough).map(rounded);
        let (requests, failures) = (sum(|p| p.requests), sum(|p| p.failures));
        let (cause_requests, cause_resends) = (sum(|p| p.cause_requests), sum(|p| p.cause_resends));
        Some(Self {
            bucket_s,
            usual_per_s: usual.map(|usual| rounded(usual / bucket_s as f64)),
            usual_failure_share,
            peak_per_s: per_s(peak.requests),
            peak_at: peak.at(),
            peak_ratio: usual.filter(|usual| *usual > 0.0).map(|usual| rounded(peak.requests as f64 / usual)),
            peak_without_cause_repeats_per_s: per_s(peak.requests - peak.cause_resends.min(peak.requests)),
            requests,
            failures,
            failure_share: rounded(failures as f64 / requests.max(1) as f64),
            attempts_per_request: attempts(requests, sum(|p| p.resends)),
            cause_requests,
            cause_resends,
            cause_attempts_per_request: attempts(cause_requests, cause_resends),
        })
    }
}

/// Attempts for each logical request.
pub(super) fn attempts(requests: u64, resends: u64) -> Option<f64> {
    let first = requests.saturating_sub(resends);
    (first > 0).then(|| rounded(requests as f64 / first as f64))
}

/// The middle value; of two the lower, so that it was really seen.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> Span {
        let at = |minute: i64| Timestamp::from_millis(1_772_000_040_000 + minute * 60_000);
        Span { from: at(0), until: at(30), began: at(10), ended: at(20), bucket_ms: 60_000 }
    }

    fn point(minute: i64, requests: u64, resends: u64) -> TrafficPoint {
        TrafficPoint {
            at_ms: span().from.plus(minute * 60_000).as_millis(),
            requests,
            resends,
            cause_requests: resends,
            cause_resends: resends,
            failures: requests / 10,
            elsewhere_requests: 0,
            cause_failures: 0,
        }
    }

    #[test]
    fn the_peak_is_held_against_what_was_usual_before() {
        let usual = (0..10).map(|minute| point(minute, 600 + minute as u64, 0));
        let storm = (10..20).map(|minute| point(minute, if minute == 15 { 6_040 } else { 3_000 }, 2_000));
        // What comes after it is not of it, however great.
        let after = (20..30).map(|minute| point(minute, 9_000, 0));
        let points: Vec<TrafficPoint> = usual.chain(storm).chain(after).collect();
        let figures = Figures::of(&points, span()).unwrap();
        assert_eq!((figures.usual_per_s, figures.peak_per_s), (Some(10.07), 100.7));
        assert_eq!((figures.peak_ratio, figures.peak_at), (Some(10.0), span().from.plus(15 * 60_000)));
        assert_eq!(figures.peak_without_cause_repeats_per_s, 67.33);
        assert_eq!(
            (figures.requests, figures.cause_resends, figures.attempts_per_request),
            (33_040, 20_000, Some(2.534))
        );
        assert_eq!((figures.failure_share, figures.usual_failure_share), (0.1, Some(0.09917)));
    }

    #[test]
    fn without_a_time_before_nothing_is_usual_and_without_requests_there_is_no_peak() {
        let points: Vec<TrafficPoint> = (6..20).map(|minute| point(minute, 3_000, 0)).collect();
        let figures = Figures::of(&points, span()).unwrap();
        assert_eq!((figures.usual_per_s, figures.peak_ratio), (None, None));
        assert_eq!(Figures::of(&points[..2], span()), None);
        assert_eq!(Figures::of(&[point(12, 0, 0)], span()), None);
    }
}
