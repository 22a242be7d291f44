//! What a series is called, its unit, and what it is, for people.

use super::Series;
use super::series::Kind;

impl Series {
    /// Its name in rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests_per_second",
            Self::ErrorsPerSecond => "errors_per_second",
            Self::ErrorRatio => "error_ratio",
            Self::ServerErrorRatio => "server_error_ratio",
            Self::RejectedRatio => "rejected_ratio",
            Self::AttemptsPerRequest => "attempts_per_request",
            Self::RetryRatio => "retry_ratio",
            Self::LatencyP50Milliseconds => "latency_p50_milliseconds",
            Self::LatencyP95Milliseconds => "latency_p95_milliseconds",
            Self::LatencyP99Milliseconds => "latency_p99_milliseconds",
            Self::RequestBytesPerSecond => "request_bytes_per_second",
            Self::ResponseBytesPerSecond => "response_bytes_per_second",
            Self::CallsPerRequest => "calls_per_request",
            Self::Signal => "signal",
            Self::SignalRatio => "signal_ratio",
            Self::QueriesPerSecond => "queries_per_second",
            Self::QueryFailureRatio => "query_failure_ratio",
            Self::QueryMemoryMaxBytes => "query_memory_max_bytes",
            Self::QueryDurationP95Milliseconds => "query_duration_p95_milliseconds",
            Self::LateRatio => "late_ratio",
            Self::LateBySeconds => "late_by_seconds",
        }
    }

    /// The unit of its values; of a signal, that of its metric.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests per second",
            Self::ErrorsPerSecond => "failed requests per second",
            Self::ErrorRatio | Self::ServerErrorRatio | Self::RejectedRatio | Self::RetryRatio => "share of requests",
            Self::AttemptsPerRequest => "attempts per request",
            Self::LatencyP50Milliseconds
            | Self::LatencyP95Milliseconds
            | Self::LatencyP99Milliseconds
            | Self::QueryDurationP95Milliseconds => "ms",
            Self::RequestBytesPerSecond | Self::ResponseBytesPerSecond => "bytes per second",
            Self::CallsPerRequest => "calls per request served",
            Self::Signal => "that of the metric",
            Self::SignalRatio => "ratio",
            Self::QueriesPerSecond => "queries per second",
            Self::QueryFailureRatio => "share of queries",
            Self::QueryMemoryMaxBytes => "bytes",
            Self::LateRatio => "share of events",
            Self::LateBySeconds => "seconds",
        }
    }

    /// What it is, in a sentence without an end.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "Requests answered",
            Self::ErrorsPerSecond => "Requests that failed (5xx or 429)",
            Self::ErrorRatio => "Share of requests that failed (5xx or 429)",
            Self::ServerErrorRatio => "Share of requests that failed with a 5xx",
            Self::RejectedRatio => "Share of requests that were turned away (429)",
            Self::AttemptsPerRequest => "Attempts for each logical request, told or inferred",
            Self::RetryRatio => "Share of requests that repeat an earlier attempt, told or inferred",
            Self::LatencyP50Milliseconds => "Median time to answer of requests served (buckets 9 % wide)",
            Self::LatencyP95Milliseconds => "95th percentile of the same",
            Self::LatencyP99Milliseconds => "99th percentile of the same",
            Self::RequestBytesPerSecond => "Bytes of request bodies",
            Self::ResponseBytesPerSecond => "Bytes of response bodies",
            Self::CallsPerRequest => "Calls that a service makes for each request it serves; `by` must have `caller`",
            Self::Signal => {
                "`metric` of a source: a gauge's newest reading; what a counter (`…_total`) went up by, a second"
            }
            Self::SignalRatio => "`metric` over `divided_by` of the same source: both gauges, or both counters",
            Self::QueriesPerSecond => "ClickHouse queries that ended",
            Self::QueryFailureRatio => "Share of these that failed or were killed",
            Self::QueryMemoryMaxBytes => "Peak memory of the heaviest of these",
            Self::QueryDurationP95Milliseconds => "95th percentile of the duration of those that ended well",
            Self::LateRatio => "Share of events that came after their window was closed",
            Self::LateBySeconds => "How far behind the watermark late events were, on average",
        }
    }

    /// The table of all series, for people (Markdown).
    #[must_use]
    pub fn table() -> String {
        let row = |series: Self| {
            let by: Vec<String> = series.dimensions().iter().map(|by| format!("`{}`", by.as_str())).collect();
            let by = if by.is_empty() { "–".to_owned() } else { by.join(", ") };
            let least = series.samples_min().to_string();
            let least = if series.kind() == Kind::Reading { "–" } else { &least };
            format!("| `{}` | {} | {by} | {least} | {} |\n", series.as_str(), series.unit(), series.help())
        };
        let rows: String = Self::ALL.into_iter().map(row).collect();
        format!("| series | unit | `by`, `where` | `samples_min` | what it is |\n|---|---|---|---|---|\n{rows}")
    }
}
