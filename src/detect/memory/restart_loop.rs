//! `RestartLoop`: something restarts, or is killed for memory, again and again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::detect::change_behind::is_part;
use crate::detect::edge_harm::edge_harm;
use crate::detect::words::{count, duration};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, SourceHistory, within};
use crate::model::{
    Affected, AlertName, Cause, Change, ChangeKind, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp,
};

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

/// The first restart of a rollout follows its deploy within this.
const ROLLOUT_MS: DurationMs = 180_000;
/// Readings tell of a restart a little early or late.
const ROLLOUT_SLACK_MS: DurationMs = 30_000;
/// Without a restart in this span the loop is over, however long the span it is counted in.
const STILL_MS: DurationMs = 300_000;
/// No deploy kills for memory: as many kills in an hour are a loop too, with a leak's time between them ...
const OOM_WITHIN_MS: DurationMs = 3_600_000;
/// ... which is over when the next one is late by so much of the usual time between them.
const OOM_LATE_FACTOR: DurationMs = 2;

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

    /// The restarts that are a loop, and the span they are counted in.
    fn loop_of<'a>(&self, history: &'a SourceHistory, end: Timestamp) -> Option<(&'a VecDeque<Timestamp>, DurationMs)> {
        let within_ms = self.spec.within.as_millis();
        let times = history.restarts.best_told(end, within_ms);
        if within(times, end, within_ms) >= self.spec.restarts_min {
            let still = within(times, end, STILL_MS.min(within_ms)) > 0;
            return still.then_some((times, within_ms));
        }
        let kills = &history.restarts.oom_kills;
        let recent = within(kills, end, OOM_WITHIN_MS);
        let (first, last) = (kills.get(kills.len().checked_sub(recent)?)?, kills.back()?);
        let usual_ms = last.since(*first) / DurationMs::try_from(recent.saturating_sub(1).max(1)).ok()?;
        let still = end.since(*last) <= (OOM_LATE_FACTOR * usual_ms).max(STILL_MS);
        (recent >= self.spec.restarts_min && still).then_some((kills, OOM_WITHIN_MS))
    }

    fn finding(&self, source: &Text, history: &SourceHistory, scene: &Scene<'_>) -> Option<Finding> {
        let end = scene.window.end;
        let (times, within_ms) = self.loop_of(history, end)?;
        let restarts = within(times, end, within_ms);
        let since = times.iter().find(|at| end.since(**at) < within_ms).copied().unwrap_or(end);
        let before = times.iter().filter(|at| end.since(**at) >= within_ms).count();
        let kills = within(&history.restarts.oom_kills, end, within_ms);
        if kills == 0 && is_rollout(source, since, scene) {
            return None;
        }
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
                    duration(within_ms)
                ),
            }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: format!("{source} restarted {restarts} times in {}{reason}", duration(within_ms)),
            role: Role::Symptom,
        })
    }
}

/// Whether restarts that begin at `first` are a rollout that harms nobody: one source may count those of all its replicas.
/// Once the span has passed the deploy, what still restarts is a loop.
fn is_rollout(source: &str, first: Timestamp, scene: &Scene<'_>) -> bool {
    let shortly_before = |change: &&Change| first.since(change.timestamp) <= ROLLOUT_MS;
    let mut deploys = scene.changes.until(first.plus(ROLLOUT_SLACK_MS)).rev().take_while(shortly_before);
    let deployed = deploys.any(|change| change.kind != ChangeKind::Flag && is_part(&change.service, source));
    deployed && !edge_harm(scene.signals.edge(), first, scene.window.end).is_some_and(|harm| harm.fails())
}

impl Detector for RestartLoop {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let finding = |(name, history): &(Name, &SourceHistory)| self.finding(scene.names.text(*name), history, scene);
        scene.sources.iter().filter_map(finding).collect()
    }
}
