//! `RestartLoop`: something restarts, or is killed for memory, again and again.

use serde::{Deserialize, Serialize};

use super::words::count;
use super::{Detector, Finding, Role, Scene};
use crate::config::Span;
use crate::flow::SourceHistory;
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// `detect: {restart_loop: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartLoopSpec {
    /// Restarts that make a loop. A deploy restarts a container once, a rolled-back one twice.
    pub restarts_min: usize,
    /// Span in which they happen.
    pub within: Span,
}

impl Default for RestartLoopSpec {
    fn default() -> Self {
        Self { restarts_min: 3, within: Span::from_secs(900) }
    }
}

/// Without a restart in this span the loop is over, however long the span it is counted in.
const STILL_MS: DurationMs = 300_000;

/// The detector; its state is the signal history.
#[derive(Debug)]
pub struct RestartLoop {
    spec: RestartLoopSpec,
}

impl RestartLoop {
    /// From its specification.
    #[must_use]
    pub fn new(spec: RestartLoopSpec) -> Self {
        Self { spec }
    }

    fn finding(&self, source: &Text, history: &SourceHistory, end: Timestamp) -> Option<Finding> {
        let within_ms = self.spec.within.as_millis();
        let restarts = history.restarts_within(end, within_ms);
        let still = history.restarts_within(end, STILL_MS.min(within_ms)) > 0;
        if restarts < self.spec.restarts_min || !still {
            return None;
        }
        let since = history.restarts.iter().find(|at| end.since(**at) < within_ms).copied().unwrap_or(end);
        let before = history.restarts.iter().filter(|at| end.since(**at) >= within_ms).count();
        let kills = history.oom_kills.iter().filter(|at| end.since(**at) < within_ms).count();
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let reason = if kills > 0 { format!(", {kills} of them killed for memory") } else { String::new() };
        #[allow(clippy::cast_precision_loss)] // at most 64
        let (value, baseline) = (restarts as f64, before.min(restarts) as f64);
        Some(Finding {
            alert: AlertName::RestartLoop,
            labels: labels.clone(),
            since,
            value,
            baseline,
            harm: value,
            unit: "restarts",
            causes: vec![Cause {
                dimensions: labels,
                share: 1.0,
                confidence: Confidence::Medium,
                evidence: format!(
                    "{} in {}{reason}, the first at {since}",
                    count(restarts, "restart"),
                    self.spec.within
                ),
            }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: format!("{source} restarted {restarts} times in {}{reason}", self.spec.within),
            role: Role::Symptom,
        })
    }
}

impl Detector for RestartLoop {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let sources = scene.signals.sorted(scene.names);
        sources
            .into_iter()
            .filter_map(|(name, history)| self.finding(scene.names.text(name), history, scene.window.end))
            .collect()
    }
}
