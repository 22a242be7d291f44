//! Metrics of the guard's watch: looks, memory, kills, restarts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

/// Labels are static texts out of bounded sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The series of the watch.
#[derive(Debug, Default)]
pub(super) struct WatchSeries {
    looks: Family<OutcomeLabels, Counter>,
    kills: Family<OutcomeLabels, Counter>,
    restarts: Family<OutcomeLabels, Counter>,
    records_lost: Counter,
    memory_used: Gauge,
    memory_limit: Gauge,
}

pub(super) fn register(registry: &mut Registry, series: &WatchSeries) {
    registry.register("guard_looks", "Looks of the guard at ClickHouse, by outcome", series.looks.clone());
    registry.register(
        "guard_kills",
        "Queries that the watchdog killed, or in shadow mode would have, by what became of it",
        series.kills.clone(),
    );
    registry.register("guard_restarts", "Restarts of ClickHouse that the guard saw", series.restarts.clone());
    registry.register(
        "guard_records_lost",
        "Records of the black box, audit lines and events that found no room or no disk",
        series.records_lost.clone(),
    );
    let (used, limit) = (series.memory_used.clone(), series.memory_limit.clone());
    registry.register_with_unit("guard_memory_used", "Memory in use by ClickHouse", Unit::Bytes, used);
    registry.register_with_unit("guard_memory_limit", "Memory limit of ClickHouse; 0: none", Unit::Bytes, limit);
}

impl WatchSeries {
    pub(super) fn start_at_zero(&self) {
        let start = |family: &Family<OutcomeLabels, Counter>, outcomes: &[&'static str]| {
            for outcome in outcomes {
                let _ = family.get_or_create(&OutcomeLabels { outcome });
            }
        };
        start(&self.looks, &["answered", "failed"]);
        start(&self.kills, crate::guard::watch::outcome_names());
        start(&self.restarts, &["clean", "unclean", "unknown"]);
    }
}

impl Metrics {
    /// Counts a look of the guard.
    pub fn add_guard_look(&self, answered: bool) {
        let outcome = if answered { "answered" } else { "failed" };
        self.series.guard_watch.looks.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts what became of a kill; `outcome` is one of [`crate::guard::watch::outcome_names`].
    pub fn add_guard_kill(&self, outcome: &'static str) {
        self.series.guard_watch.kills.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a restart of ClickHouse; absent: whether it was unclean is not known.
    pub fn add_guard_restart(&self, unclean: Option<bool>) {
        let outcome = match unclean {
            Some(true) => "unclean",
            Some(false) => "clean",
            None => "unknown",
        };
        self.series.guard_watch.restarts.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts what the guard could not write or hand over.
    pub fn add_guard_records_lost(&self, records: u64) {
        self.series.guard_watch.records_lost.inc_by(records);
    }

    /// Says how much memory ClickHouse has in use, and its limit (0: none), in bytes.
    pub fn set_guard_memory(&self, used_bytes: u64, limit_bytes: u64) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.series.guard_watch.memory_used.set(gauge(used_bytes));
        self.series.guard_watch.memory_limit.set(gauge(limit_bytes));
    }
}
