//! `MemoryExhaustion`, fast: a memory limit is minutes away, or just reached.
//!
//! The last minutes' trend (Theil–Sen) is followed to the limit. A source that has always lived near its limit, such as
//! a cache that evicts, does not alarm: it must have risen.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::statistics::{Trend, theil_sen};
use super::words::{bytes, duration, percent, rounded};
use super::{Detector, Finding, Role, Scene};
use crate::config::Span;
use crate::flow::{Bucket, Name, SourceHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// Fewer buckets (30 s each) say nothing about a trend.
const BUCKETS_MIN: usize = 6;
/// Mann–Kendall: one-sided 99.5 %.
const RISING_Z: f64 = 2.58;
/// At this share of its limit a source that has risen is out of memory, whatever the trend says.
const FULL_SHARE: f64 = 0.97;
/// How far it must have risen, as a share of the limit, to be more than a cache at home.
const RISE_SHARE_MIN: f64 = 0.05;
/// A source silent for this long says nothing about now.
const SILENT_MS: DurationMs = 120_000;

/// `detect: {memory_exhaustion: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryExhaustionSpec {
    /// How near in time the limit must be.
    pub time_to_limit_max: Span,
    /// Share of the limit below which nothing is urgent: caches fill after a start.
    pub used_share_min: f64,
    /// How far back the trend looks (at most 20 minutes).
    pub trend: Span,
}

impl Default for MemoryExhaustionSpec {
    fn default() -> Self {
        Self { time_to_limit_max: Span::from_secs(900), used_share_min: 0.7, trend: Span::from_secs(600) }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct MemoryExhaustion {
    spec: MemoryExhaustionSpec,
    since: FxHashMap<Name, Timestamp>,
}

/// A source on its way to its limit.
#[derive(Debug)]
struct Approach {
    used_bytes: f64,
    start_bytes: f64,
    limit_bytes: f64,
    trend: Option<Trend>,
    trend_start: Timestamp,
}

impl MemoryExhaustion {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: MemoryExhaustionSpec) -> Self {
        Self { spec, since: FxHashMap::default() }
    }

    fn approach(&self, history: &SourceHistory, end: Timestamp) -> Option<Approach> {
        let limit_bytes = history.limit_bytes?;
        if !history.reported_within(end, SILENT_MS) {
            return None;
        }
        let trend_ms = self.spec.trend.as_millis();
        // A restart begins a new life; what the one before it used says nothing about this one.
        let born = history.restarts.back().copied();
        let alive = |bucket: &&Bucket| born.is_none_or(|born| bucket.start >= born);
        let recent: Vec<&Bucket> =
            history.fine.iter().filter(|b| end.since(b.start) <= trend_ms).filter(alive).collect();
        let (first, last) = (recent.first()?, recent.last()?);
        let used_share = last.used_bytes / limit_bytes;
        if used_share < self.spec.used_share_min {
            return None;
        }
        let least = recent.iter().map(|b| b.used_bytes).fold(f64::INFINITY, f64::min);
        if last.used_bytes - least < RISE_SHARE_MIN * limit_bytes {
            return None;
        }
        let points: Vec<(f64, f64)> =
            recent.iter().map(|b| (seconds(b.start.since(first.start)), b.used_bytes)).collect();
        let trend = (points.len() >= BUCKETS_MIN).then(|| theil_sen(&points)).flatten();
        let approach = Approach {
            used_bytes: last.used_bytes,
            start_bytes: first.used_bytes,
            limit_bytes,
            trend: trend.filter(|t| t.z >= RISING_Z && t.slope_lower > 0.0),
            trend_start: first.start,
        };
        let near = approach.milliseconds_left().is_some_and(|left| left <= self.spec.time_to_limit_max.as_millis());
        (near || used_share >= FULL_SHARE).then_some(approach)
    }
}

impl Approach {
    /// Time until the limit at the median slope; nothing without a rising trend.
    fn milliseconds_left(&self) -> Option<DurationMs> {
        let slope = self.trend?.slope;
        let left_seconds = ((self.limit_bytes - self.used_bytes) / slope).clamp(0.0, 1e9);
        #[allow(clippy::cast_possible_truncation)] // clamped
        let left_ms = (left_seconds * 1_000.0) as DurationMs;
        (slope > 0.0).then_some(left_ms)
    }

    fn outlook(&self) -> String {
        match self.milliseconds_left() {
            Some(0) => "at its limit".to_owned(),
            Some(left_ms) => format!("the limit is {} away at this pace", duration(left_ms)),
            None => "at its limit".to_owned(),
        }
    }

    fn finding(&self, source: &Text, since: Timestamp) -> Finding {
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let used_share = self.used_bytes / self.limit_bytes;
        let summary = format!(
            "{source} uses {} of {} ({}); {}",
            bytes(self.used_bytes),
            bytes(self.limit_bytes),
            percent(used_share),
            self.outlook()
        );
        let evidence = format!(
            "memory rose from {} at {} to {}; {}",
            bytes(self.start_bytes),
            self.trend_start,
            bytes(self.used_bytes),
            self.outlook()
        );
        Finding {
            alert: AlertName::MemoryExhaustion,
            labels: labels.clone(),
            since,
            value: rounded(self.used_bytes),
            baseline: rounded(self.start_bytes),
            harm: self.used_bytes,
            unit: "bytes",
            causes: vec![Cause { dimensions: labels, share: 1.0, confidence: Confidence::Medium, evidence }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary,
            role: Role::Symptom,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
fn seconds(milliseconds: DurationMs) -> f64 {
    milliseconds as f64 / 1_000.0
}

impl Detector for MemoryExhaustion {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let end = scene.window.end;
        let mut findings = Vec::new();
        let mut since_now = FxHashMap::default();
        for (source, history) in scene.signals.sorted(scene.names) {
            if let Some(approach) = self.approach(history, end) {
                let since = self.since.get(&source).copied().unwrap_or(scene.window.start);
                since_now.insert(source, since);
                findings.push(approach.finding(scene.names.text(source), since));
            }
        }
        self.since = since_now;
        findings
    }
}
