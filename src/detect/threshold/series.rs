//! The series that a threshold can be on. The list is fixed: each is made of what the core counts anyway.

use serde::{Deserialize, Serialize};

use crate::model::Dimension::{
    self, Caller, Client, ClientVersion, Fingerprint, Node, Origin, Route, Service, Source, Subscription, Version,
};

/// What a threshold is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Requests answered.
    RequestsPerSecond,
    /// Requests that failed (5xx or 429).
    ErrorsPerSecond,
    /// Share of requests that failed (5xx or 429).
    ErrorRatio,
    /// Share of requests that failed with a 5xx.
    ServerErrorRatio,
    /// Share of requests that were turned away (429).
    RejectedRatio,
    /// Attempts made for each logical request, told or inferred.
    AttemptsPerRequest,
    /// Share of requests that repeat an earlier attempt.
    RetryRatio,
    /// Median time to answer, of requests that were served.
    #[serde(rename = "latency_p50_milliseconds")]
    LatencyP50Milliseconds,
    /// 95th percentile of the time to answer, of requests that were served.
    #[serde(rename = "latency_p95_milliseconds")]
    LatencyP95Milliseconds,
    /// 99th percentile of the time to answer, of requests that were served.
    #[serde(rename = "latency_p99_milliseconds")]
    LatencyP99Milliseconds,
    /// Bytes of request bodies.
    RequestBytesPerSecond,
    /// Bytes of response bodies.
    ResponseBytesPerSecond,
    /// Calls that a service makes for each request it serves.
    CallsPerRequest,
    /// Any `metric` of a source: the newest reading of a gauge; of a counter (`…_total`) what it went up by, a second.
    Signal,
    /// Any `metric` of a source over another one of it, `divided_by`: both gauges, or both counters.
    SignalRatio,
    /// ClickHouse queries that ended.
    QueriesPerSecond,
    /// Share of ClickHouse queries that failed or were killed.
    QueryFailureRatio,
    /// Peak memory of the heaviest ClickHouse query that ended.
    QueryMemoryMaxBytes,
    /// 95th percentile of the duration of ClickHouse queries that ended well.
    #[serde(rename = "query_duration_p95_milliseconds")]
    QueryDurationP95Milliseconds,
    /// Share of events that came after their window was closed.
    LateRatio,
    /// How far behind the closed windows late events were, on average.
    LateBySeconds,
}

/// What a series is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Requests,
    Latencies,
    Calls,
    Signals,
    Queries,
    Late,
}

/// How a series' value comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A count over the time it was counted in.
    Rate,
    /// A part of a whole, 0 to 1.
    Share,
    /// Something of single requests or queries.
    Statistic,
    /// What a source says.
    Reading,
}

impl Series {
    /// Every series, in the order of declaration.
    pub const ALL: [Self; 21] = [
        Self::RequestsPerSecond,
        Self::ErrorsPerSecond,
        Self::ErrorRatio,
        Self::ServerErrorRatio,
        Self::RejectedRatio,
        Self::AttemptsPerRequest,
        Self::RetryRatio,
        Self::LatencyP50Milliseconds,
        Self::LatencyP95Milliseconds,
        Self::LatencyP99Milliseconds,
        Self::RequestBytesPerSecond,
        Self::ResponseBytesPerSecond,
        Self::CallsPerRequest,
        Self::Signal,
        Self::SignalRatio,
        Self::QueriesPerSecond,
        Self::QueryFailureRatio,
        Self::QueryMemoryMaxBytes,
        Self::QueryDurationP95Milliseconds,
        Self::LateRatio,
        Self::LateBySeconds,
    ];

    pub(super) fn family(self) -> Family {
        match self {
            Self::LatencyP50Milliseconds | Self::LatencyP95Milliseconds | Self::LatencyP99Milliseconds => {
                Family::Latencies
            }
            Self::CallsPerRequest => Family::Calls,
            Self::Signal | Self::SignalRatio => Family::Signals,
            Self::QueriesPerSecond
            | Self::QueryFailureRatio
            | Self::QueryMemoryMaxBytes
            | Self::QueryDurationP95Milliseconds => Family::Queries,
            Self::LateRatio | Self::LateBySeconds => Family::Late,
            _ => Family::Requests,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::RequestsPerSecond
            | Self::ErrorsPerSecond
            | Self::RequestBytesPerSecond
            | Self::ResponseBytesPerSecond
            | Self::QueriesPerSecond => Kind::Rate,
            Self::ErrorRatio
            | Self::ServerErrorRatio
            | Self::RejectedRatio
            | Self::RetryRatio
            | Self::QueryFailureRatio
            | Self::LateRatio => Kind::Share,
            Self::Signal | Self::SignalRatio => Kind::Reading,
            _ => Kind::Statistic,
        }
    }

    /// The dimensions it can be told apart and narrowed down by.
    #[must_use]
    pub fn dimensions(self) -> &'static [Dimension] {
        match self.family() {
            Family::Requests => &[Subscription, Client, ClientVersion, Service, Caller, Route],
            Family::Latencies => &[Service, Route],
            Family::Calls => &[Caller, Service],
            Family::Signals => &[Source],
            Family::Queries => &[Fingerprint, Origin, Version, Node],
            Family::Late => &[],
        }
    }

    /// With fewer requests (queries, events) in the span nothing is judged, where the rule says nothing else.
    #[must_use]
    pub fn samples_min(self) -> u64 {
        match self.kind() {
            Kind::Share => 10,
            Kind::Statistic if !matches!(self, Self::QueryMemoryMaxBytes | Self::LateBySeconds) => 10,
            _ => 1,
        }
    }
}
