//! Metrics of the queries that rules ask.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::labels::RuleLabels;
use super::register::plain;
use crate::model::AlertName;

/// The series.
#[derive(Debug, Default)]
pub(super) struct RuleEvaluationSeries {
    evaluations: Family<RuleLabels, Counter>,
    failures: Family<RuleLabels, Counter>,
}

impl RuleEvaluationSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        plain(registry, "rule_evaluations", "Evaluations of the queries of rules", &self.evaluations);
        plain(registry, "rule_evaluation_failures", "Evaluations of these that failed", &self.failures);
    }
}

impl Metrics {
    /// A rule asks: its series begin at 0.
    pub fn add_query_rule(&self, rule: AlertName) {
        let series = &self.series.rule_evaluations;
        let _ = series.evaluations.get_or_create(&RuleLabels { rule });
        let _ = series.failures.get_or_create(&RuleLabels { rule });
    }

    /// Counts an evaluation.
    pub fn add_rule_evaluation(&self, rule: AlertName, failed: bool) {
        let series = &self.series.rule_evaluations;
        series.evaluations.get_or_create(&RuleLabels { rule }).inc();
        series.failures.get_or_create(&RuleLabels { rule }).inc_by(u64::from(failed));
    }
}
