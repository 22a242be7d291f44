//! What is counted for one key in one span: sums that can be added in any order, and the value of a series that they give.

use super::Series;
use crate::flow::{Cell, Latencies, LogHistogram, QueryCell, bucket_end_ms, ratio};

/// Sums of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sums {
    /// Requests.
    Requests(Cell),
    /// Durations of requests served.
    Latencies(Latencies),
    /// Calls made, and requests served by who makes them.
    Calls { calls: u64, served: u64 },
    /// Queries that ended.
    Queries(Box<QuerySums>),
    /// Late events, all events, and how far behind the late ones were.
    Late { late: u64, events: u64, behind_ms_sum: u64 },
}

/// Queries that ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct QuerySums {
    ended: u64,
    failed: u64,
    memory_bytes: LogHistogram,
    duration_ms: LogHistogram,
}

impl QuerySums {
    /// Adds queries of one combination.
    pub fn add(&mut self, cell: &QueryCell) {
        self.ended += cell.ended;
        self.failed += cell.failed;
        self.memory_bytes.merge(&cell.memory);
        self.memory_bytes.merge(&cell.memory_failed);
        self.duration_ms.merge(&cell.duration_ms);
    }
}

impl Sums {
    /// Adds sums of the same kind: a series has one.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Requests(sum), Self::Requests(other)) => sum.add(other),
            (Self::Latencies(sum), Self::Latencies(other)) => sum.merge(other),
            (Self::Calls { calls, served }, Self::Calls { calls: more_calls, served: more_served }) => {
                *calls += more_calls;
                *served += more_served;
            }
            (Self::Queries(sum), Self::Queries(other)) => {
                sum.ended += other.ended;
                sum.failed += other.failed;
                sum.memory_bytes.merge(&other.memory_bytes);
                sum.duration_ms.merge(&other.duration_ms);
            }
            (Self::Late { late, events, behind_ms_sum }, Self::Late { late: l, events: e, behind_ms_sum: b }) => {
                *late += l;
                *events += e;
                *behind_ms_sum = behind_ms_sum.saturating_add(*b);
            }
            _ => {}
        }
    }

    /// How many requests, queries or events they are of.
    pub fn samples(&self) -> u64 {
        match self {
            Self::Requests(cell) => cell.requests,
            Self::Latencies(latencies) => latencies.count(),
            Self::Calls { served, .. } => *served,
            Self::Queries(sums) => sums.ended,
            Self::Late { events, .. } => *events,
        }
    }

    /// The series' value over `seconds`; nothing where there is nothing to tell it from.
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
    pub fn value(&self, series: Series, seconds: f64) -> Option<f64> {
        let rate = |count: u64| Some(count as f64 / seconds);
        match self {
            Self::Requests(cell) => Some(of_requests(cell, series, seconds)),
            Self::Latencies(latencies) => percentile(latencies, series),
            Self::Calls { calls, served } => (*served > 0).then(|| ratio(*calls, *served)),
            Self::Queries(sums) => match series {
                Series::QueriesPerSecond => rate(sums.ended),
                Series::QueryFailureRatio => Some(ratio(sums.failed, sums.ended)),
                Series::QueryMemoryMaxBytes => sums.memory_bytes.max(),
                _ => sums.duration_ms.quantile(0.95),
            },
            Self::Late { late, events, behind_ms_sum } => match series {
                Series::LateRatio => Some(ratio(*late, *events)),
                _ => (*late > 0).then(|| ratio(*behind_ms_sum, *late) / 1_000.0),
            },
        }
    }
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
fn of_requests(cell: &Cell, series: Series, seconds: f64) -> f64 {
    let rate = |count: u64| count as f64 / seconds;
    match series {
        Series::ErrorsPerSecond => rate(cell.failures),
        Series::ErrorRatio => ratio(cell.failures, cell.requests),
        Series::ServerErrorRatio => ratio(cell.server_errors, cell.requests),
        // A failure is a 5xx or a 429.
        Series::RejectedRatio => ratio(cell.failures - cell.server_errors.min(cell.failures), cell.requests),
        Series::AttemptsPerRequest => cell.attempts_per_request(),
        Series::RetryRatio => ratio(cell.resends_likely(), cell.requests),
        Series::RequestBytesPerSecond => rate(cell.request_bytes),
        Series::ResponseBytesPerSecond => rate(cell.response_bytes),
        _ => rate(cell.requests),
    }
}

/// The end of the bucket that holds the percentile.
fn percentile(latencies: &Latencies, series: Series) -> Option<f64> {
    let of_hundred = match series {
        Series::LatencyP50Milliseconds => 50,
        Series::LatencyP95Milliseconds => 95,
        _ => 99,
    };
    let rank = (latencies.count() * of_hundred).div_ceil(100).max(1);
    let mut below = 0;
    latencies.iter().find_map(|(bucket, count)| {
        below += count;
        (below >= rank).then(|| bucket_end_ms(bucket))
    })
}
