//! The curves there are: those series of `threshold` rules whose history the tables hold.

use axum::Json;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::super::problem::Problem;
use super::super::query;
use crate::detect::Series;

/// A series, and where its history is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve {
    pub(super) series: Series,
    pub(super) source: Source,
    pub(super) unit: &'static str,
    description: &'static str,
}

/// Which file of `queries/series` gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source {
    Requests,
    /// With the quantile.
    Latencies(f64),
    Signals,
    QueryRuns,
}

impl Source {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Requests => include_str!("../../../queries/series/requests.sql"),
            Self::Latencies(_) => include_str!("../../../queries/series/latencies.sql"),
            Self::Signals => include_str!("../../../queries/series/signals.sql"),
            Self::QueryRuns => include_str!("../../../queries/series/query_runs.sql"),
        }
    }

    /// The finest step, in seconds.
    pub(super) const fn step_seconds_min(self) -> u32 {
        match self {
            // The rollup counts by minute.
            Self::Requests | Self::Latencies(_) => 60,
            Self::Signals | Self::QueryRuns => 1,
        }
    }
}

const fn curve(series: Series, source: Source, unit: &'static str, description: &'static str) -> Curve {
    Curve { series, source, unit, description }
}

/// All of them. `rejected_ratio`, `calls_per_request`, `signal_ratio`, `late_ratio` and `late_by_seconds` are not: the
/// rollup does not hold what they are made of.
pub(super) const SERIES: [Curve; 16] = [
    curve(Series::RequestsPerSecond, Source::Requests, "requests/s", "requests answered"),
    curve(Series::ErrorsPerSecond, Source::Requests, "requests/s", "requests that failed (5xx or 429)"),
    curve(Series::ErrorRatio, Source::Requests, "ratio", "share of requests that failed (5xx or 429)"),
    curve(Series::ServerErrorRatio, Source::Requests, "ratio", "share of requests that failed with a 5xx"),
    curve(Series::AttemptsPerRequest, Source::Requests, "attempts/request", "attempts for each logical request"),
    curve(Series::RetryRatio, Source::Requests, "ratio", "share of requests that repeat an earlier attempt"),
    curve(Series::RequestBytesPerSecond, Source::Requests, "bytes/s", "bytes of request bodies"),
    curve(Series::ResponseBytesPerSecond, Source::Requests, "bytes/s", "bytes of response bodies"),
    curve(Series::LatencyP50Milliseconds, Source::Latencies(0.5), "ms", "median time to answer with 2xx or 3xx"),
    curve(Series::LatencyP95Milliseconds, Source::Latencies(0.95), "ms", "95th percentile of the same"),
    curve(Series::LatencyP99Milliseconds, Source::Latencies(0.99), "ms", "99th percentile of the same"),
    curve(
        Series::Signal,
        Source::Signals,
        "of the metric",
        "a metric of a source: gauges as they are, counters a second",
    ),
    curve(Series::QueriesPerSecond, Source::QueryRuns, "queries/s", "ClickHouse queries that ended"),
    curve(Series::QueryFailureRatio, Source::QueryRuns, "ratio", "share of them that failed or were killed"),
    curve(Series::QueryMemoryMaxBytes, Source::QueryRuns, "bytes", "peak memory of the heaviest of them"),
    curve(Series::QueryDurationP95Milliseconds, Source::QueryRuns, "ms", "95th percentile of those that ended well"),
];

impl Curve {
    /// Its name.
    pub(super) fn name(&self) -> String {
        // Names of a unit enum.
        serde_json::to_value(self.series).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Dimensions it can be told apart and narrowed down by.
    pub(super) fn dimensions(&self) -> Vec<&'static str> {
        self.series.dimensions().iter().map(|dimension| dimension.as_str()).collect()
    }
}

#[derive(Serialize)]
struct Described {
    name: String,
    unit: &'static str,
    description: &'static str,
    dimensions: Vec<&'static str>,
    step_seconds_min: u32,
    needs_metric: bool,
}

#[derive(Serialize)]
struct Body {
    series: Vec<Described>,
}

/// `/api/v1/series`.
pub(in super::super) async fn series(uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let describe = |curve: &Curve| Described {
        name: curve.name(),
        unit: curve.unit,
        description: curve.description,
        dimensions: curve.dimensions(),
        step_seconds_min: curve.source.step_seconds_min(),
        needs_metric: curve.source == Source::Signals,
    };
    Ok(Json(Body { series: SERIES.iter().map(describe).collect() }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_one_curve_or_none_and_all_files_are_used() {
        let names: std::collections::BTreeSet<String> = SERIES.iter().map(Curve::name).collect();
        assert_eq!(names.len(), SERIES.len());
        let absent: Vec<Series> =
            Series::ALL.into_iter().filter(|series| SERIES.iter().all(|curve| curve.series != *series)).collect();
        let left_out = [
            Series::RejectedRatio,
            Series::CallsPerRequest,
            Series::SignalRatio,
            Series::LateRatio,
            Series::LateBySeconds,
        ];
        assert_eq!(absent, left_out);
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/series")).unwrap();
        // Their budgets lie beside them.
        let files =
            files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "sql"));
        let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert!(texts.iter().all(|text| SERIES.iter().any(|curve| curve.source.sql() == text)));
    }
}
