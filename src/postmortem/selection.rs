//! Which requests belong to an incident's cause, and which stretch of time is looked at.

use super::IncidentRecord;
use crate::model::{Dimension, DurationMs, Request, Timestamp};

/// Dimensions of a cause that the stored requests know.
const KNOWN: [Dimension; 6] = Dimension::OF_REQUESTS;
const MINUTE_MS: DurationMs = 60_000;
/// Buckets of a stretch at most: a longer one has wider buckets.
const BUCKETS_MAX: i64 = 1_440;
/// Without an end, and without anything later that was said, an incident is looked at for this long.
const UNKNOWN_END_MS: DurationMs = 30 * MINUTE_MS;

/// The requests of a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What its first cause names, as far as requests know it; empty: no request can be told to be its.
    conditions: Vec<(Dimension, String)>,
    /// Whether calls between services count, beside requests at the edge.
    pub internal: bool,
}

impl Selection {
    /// Of the first cause of an incident.
    #[must_use]
    pub fn of(record: &IncidentRecord) -> Self {
        let Some(cause) = record.causes.first() else { return Self { conditions: Vec::new(), internal: false } };
        let named = |dimension: &Dimension| Some((*dimension, cause.dimensions.get(*dimension)?.to_owned()));
        let conditions: Vec<(Dimension, String)> = KNOWN.iter().filter_map(named).collect();
        // A part of a cause that requests do not know (a source, a query) would make all of them its own.
        let whole = conditions.len() == cause.dimensions.0.len();
        let conditions = if whole { conditions } else { Vec::new() };
        let internal = conditions.iter().any(|(dimension, _)| *dimension == Dimension::Caller);
        Self { conditions, internal }
    }

    /// Whether requests can be told to be of the cause.
    #[must_use]
    pub fn names_requests(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The value of a dimension; empty where the cause does not name it.
    #[must_use]
    pub fn value(&self, dimension: Dimension) -> &str {
        self.conditions.iter().find(|(named, _)| *named == dimension).map_or("", |(_, value)| value)
    }

    /// Whether a request counts at all: at the edge, or everywhere.
    #[must_use]
    pub fn counts(&self, request: &Request) -> bool {
        self.internal || request.caller.is_none()
    }

    /// Whether a request is of the cause.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        let value = |dimension: Dimension| match dimension {
            Dimension::Subscription => Some(request.subscription.as_str()),
            Dimension::Client => request.client.as_deref(),
            Dimension::ClientVersion => request.client_version.as_deref(),
            Dimension::Service => request.service.as_deref(),
            Dimension::Caller => request.caller.as_deref(),
            Dimension::Route => Some(request.route.as_str()),
            _ => None,
        };
        self.names_requests() && self.conditions.iter().all(|(named, wanted)| value(*named) == Some(wanted))
    }
}

/// The stretch of time around an incident, in whole buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First moment looked at.
    pub from: Timestamp,
    /// First moment no longer looked at.
    pub until: Timestamp,
    /// The incident's begin, rounded down to a bucket.
    pub began: Timestamp,
    /// Its end, rounded up to a bucket.
    pub ended: Timestamp,
    /// Width of a bucket: whole minutes.
    pub bucket_ms: DurationMs,
}

impl Span {
    /// Around an incident: half as long before it (half an hour to six hours), so that there is something usual to compare
    /// with, and a quarter after it. `now` ends that of an open one.
    #[must_use]
    pub fn around(record: &IncidentRecord, now: Option<Timestamp>) -> Self {
        let newest = record.timeline.iter().map(|moment| moment.at).max().unwrap_or(record.started_at);
        let unknown = || newest.max(record.started_at.plus(UNKNOWN_END_MS));
        let ended = record.ended_at.or(now).unwrap_or_else(unknown).max(record.started_at);
        let length = ended.since(record.started_at);
        let before = (length / 2).clamp(30 * MINUTE_MS, 360 * MINUTE_MS);
        let after = (length / 4).clamp(15 * MINUTE_MS, 180 * MINUTE_MS);
        let minutes = (length + before + after) / MINUTE_MS;
        let bucket_ms = (minutes / BUCKETS_MAX + 1) * MINUTE_MS;
        let down = |at: Timestamp| at.window_start(bucket_ms);
        let up = |at: Timestamp| down(at.plus(bucket_ms - 1));
        let (from, until) = (down(record.started_at.plus(-before)), up(ended.plus(after)));
        Self {
            from,
            until,
            began: down(record.started_at),
            ended: up(ended).max(down(record.started_at).plus(bucket_ms)),
            bucket_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimensions, Text, samples};

    fn caused_by(pairs: &[(Dimension, &str)]) -> IncidentRecord {
        let mut record = IncidentRecord::from(&samples::incident());
        record.causes.truncate(1);
        record.causes[0].dimensions = Dimensions::new(pairs.iter().map(|(name, value)| (*name, Text::from(*value))));
        record
    }

    #[test]
    fn a_cause_that_requests_do_not_know_selects_none_of_them() {
        let selection = Selection::of(&caused_by(&[(Dimension::Source, "redis/main"), (Dimension::Service, "api")]));
        assert!(!selection.names_requests() && selection.value(Dimension::Service).is_empty());
        assert!(!Selection::of(&caused_by(&[])).names_requests());
        let caller = Selection::of(&caused_by(&[(Dimension::Caller, "web"), (Dimension::Service, "api")]));
        assert!(caller.internal && caller.value(Dimension::Caller) == "web");
    }

    #[test]
    fn the_stretch_is_of_whole_buckets_and_bounded() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let record = |started: &str, ended: Option<&str>| IncidentRecord {
            started_at: at(started),
            ended_at: ended.map(at),
            timeline: Vec::new(),
            ..caused_by(&[])
        };
        let span = Span::around(&record("2026-03-09T10:04:30Z", Some("2026-03-09T11:10:20Z")), None);
        assert_eq!([span.from, span.until].map(|at| at.to_string()), ["2026-03-09T09:31:00Z", "2026-03-09T11:27:00Z"]);
        assert_eq!([span.began, span.ended].map(|at| at.to_string()), ["2026-03-09T10:04:00Z", "2026-03-09T11:11:00Z"]);
        let long = Span::around(&record("2020-03-09T10:04:30Z", None), Some(at("2026-03-09T11:10:20Z")));
        assert!(long.until.since(long.from) / long.bucket_ms <= BUCKETS_MAX + 2);
        let open = Span::around(&record("2026-03-09T10:04:30Z", None), None);
        assert_eq!(open.ended.to_string(), "2026-03-09T10:35:00Z");
    }
}
