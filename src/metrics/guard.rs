//! Metrics of the query guard's proxy.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::register::plain;
use super::{Metrics, gauge};
use crate::guard::gate::RefusalReason;
use crate::guard::proxy::EstimateSource;

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuardOutcome {
    /// ClickHouse answered it.
    Answered,
    /// ClickHouse refused it or failed.
    Failed,
    /// The guard refused it.
    Refused,
    /// Its client left before its end.
    Left,
    /// It shared the answer of an identical one.
    Collapsed,
}

impl GuardOutcome {
    const ALL: [Self; 5] = [Self::Answered, Self::Failed, Self::Refused, Self::Left, Self::Collapsed];

    /// Name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Left => "left",
            Self::Collapsed => "collapsed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: GuardOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: RefusalReason,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: EstimateSource,
}

impl EncodeLabelValue for RefusalReason {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// The series.
#[derive(Debug, Default)]
pub(super) struct GuardSeries {
    queries: Family<OutcomeLabels, Counter>,
    refusals: Family<ReasonLabels, Counter>,
    would_refuse: Family<ReasonLabels, Counter>,
    estimates: Family<SourceLabels, Counter>,
    unread: Counter,
    left_ended: Counter,
    left_running: Counter,
    running: Gauge,
    waiting: Gauge,
}

impl GuardSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        plain(registry, "guard_queries", "Queries through the guard, by what became of them", &self.queries);
        plain(registry, "guard_refusals", "Queries that the guard refused, by reason", &self.refusals);
        plain(
            registry,
            "guard_would_refuse",
            "Queries that ran because the policy is not enforced, by the reason to refuse them",
            &self.would_refuse,
        );
        plain(registry, "guard_estimates", "How the reading of a query was estimated", &self.estimates);
        plain(
            registry,
            "guard_unread",
            "Queries that ran unenforced whose text could not be read, or that set what only the guard sets",
            &self.unread,
        );
        plain(registry, "guard_left_ended", "Queries ended because their clients had gone", &self.left_ended);
        plain(
            registry,
            "guard_left_running",
            "Queries that ran on without their clients because too many were being ended",
            &self.left_running,
        );
        plain(registry, "guard_queries_running", "Queries that run through the guard", &self.running);
        plain(registry, "guard_queries_waiting", "Queries that wait at the guard", &self.waiting);
    }

    pub(super) fn start_at_zero(&self) {
        for outcome in GuardOutcome::ALL {
            let _ = self.queries.get_or_create(&OutcomeLabels { outcome });
        }
        for reason in RefusalReason::ALL {
            for family in [&self.refusals, &self.would_refuse] {
                let _ = family.get_or_create(&ReasonLabels { reason });
            }
        }
        for source in EstimateSource::ALL {
            let _ = self.estimates.get_or_create(&SourceLabels { source });
        }
    }
}

impl Metrics {
    /// Counts a query that is over.
    pub fn add_guard_query(&self, outcome: GuardOutcome) {
        self.series.guard.queries.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a refusal of the gate.
    pub fn add_guard_refusal(&self, reason: RefusalReason) {
        self.series.guard.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a query that would have been refused, were the policy enforced.
    pub fn add_guard_would_refuse(&self, reason: RefusalReason) {
        self.series.guard.would_refuse.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts where an estimate came from.
    pub fn add_guard_estimate(&self, source: EstimateSource) {
        self.series.guard.estimates.get_or_create(&SourceLabels { source }).inc();
    }

    /// Counts a query that would have been refused for its text, were the policy enforced.
    pub fn add_guard_unread(&self) {
        self.series.guard.unread.inc();
    }

    /// Counts a query whose client has gone: whether it is being ended.
    pub fn add_guard_end_of_left(&self, is_taken: bool) {
        if is_taken { &self.series.guard.left_ended } else { &self.series.guard.left_running }.inc();
    }

    /// Queries that run and wait now.
    pub fn set_guard_queries(&self, running: usize, waiting: usize) {
        self.series.guard.running.set(gauge(running));
        self.series.guard.waiting.set(gauge(waiting));
    }
}
