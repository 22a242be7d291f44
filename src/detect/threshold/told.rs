//! What a threshold says when it is passed. It is a number, not a cause: nothing more is claimed.

use super::Level;
use crate::detect::words::{duration, rounded};
use crate::detect::{Finding, Role};
use crate::model::{Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, DurationMs, Timestamp};

/// A threshold that is passed.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub alert: AlertName,
    pub labels: Dimensions,
    pub since: Timestamp,
    pub value: f64,
    pub level: Level,
    pub unit: &'static str,
    /// What the value is of, e.g. `error_ratio`.
    pub subject: &'a str,
    /// Span it was measured over; nothing for what is read at a moment.
    pub over_ms: Option<DurationMs>,
}

impl Told<'_> {
    /// As a finding. It stands alone, but for incidents about the same source or query.
    pub fn finding(self) -> Finding {
        let evidence = self.evidence();
        let summary = if self.labels.is_empty() { evidence.clone() } else { format!("{}: {evidence}", self.labels) };
        let customer = self.labels.0.get(&Dimension::Subscription).cloned();
        let upward = self.level.op.is_upward();
        Finding {
            alert: self.alert,
            since: self.since,
            value: rounded(self.value),
            baseline: rounded(self.level.threshold),
            harm: if upward { self.value } else { -self.value },
            unit: self.unit,
            causes: vec![Cause { dimensions: self.labels.clone(), share: 1.0, confidence: Confidence::Low, evidence }],
            affected: Affected { subscriptions: u64::from(customer.is_some()), requests_share: 0.0 },
            customers: customer.map(|subscription| Customer { subscription, share: 1.0 }).into_iter().collect(),
            labels: self.labels,
            summary,
            role: Role::Separate,
        }
    }

    fn evidence(&self) -> String {
        let over = self.over_ms.map(|ms| format!(" over {}", duration(ms))).unwrap_or_default();
        let (value, threshold) = (rounded(self.value), rounded(self.level.threshold));
        let (past, unit) = (self.level.op.in_words(), self.unit);
        format!("{} is {value}{over}, {past} {threshold} ({unit})", self.subject)
    }
}
