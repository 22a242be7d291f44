//! `MemoryExhaustion`, slow: memory that grows without the load growing, far from its limit. A ticket.
//!
//! The trend is conditional on load: what the request rate explains is taken out first, with the load as it is, and
//! smoothed over 20 minutes and an hour (keys expire, pools shrink late); whichever explains most counts.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::statistics::{Trend, least_squares_slope, theil_sen};
use super::words::{bytes, duration, percent, rounded};
use super::{Detector, Finding, Role, Scene};
use crate::config::Span;
use crate::flow::{Bucket, COARSE_MS, Name, SourceHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// Fewer five-minute buckets are no trend: an hour.
const BUCKETS_MIN: usize = 12;
/// The newest buckets that count (12 hours): more would only cost time.
const BUCKETS_MAX: usize = 144;
/// Mann–Kendall on what load does not explain; buckets depend on each other, so this is stricter than it looks.
const RISING_Z: f64 = 4.0;
/// Growth over the span must be at least this share of the limit: smaller is noise to on-call.
const RISE_SHARE_MIN: f64 = 0.03;
/// Share of buckets that must be higher than the one before: a leak climbs, a staircase or a step does not.
const CLIMBING_SHARE_MIN: f64 = 0.6;
/// Smoothing of the load, in buckets: none, 20 minutes, an hour.
const SMOOTHINGS: [f64; 3] = [1.0, 4.0, 12.0];

/// `detect: {memory_leak: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryLeakSpec {
    /// How near in time the limit must be for a ticket.
    pub time_to_limit_max: Span,
}

impl Default for MemoryLeakSpec {
    fn default() -> Self {
        Self { time_to_limit_max: Span::from_secs(24 * 3_600) }
    }
}

/// Memory that grows without load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakTrend {
    /// Since when, as far as the history reaches.
    pub since: Timestamp,
    /// Memory then, in bytes.
    pub start_bytes: f64,
    /// Memory now, in bytes.
    pub used_bytes: f64,
    /// Growth that load does not explain, in bytes a second.
    pub slope: f64,
}

/// The growth of a source's memory that load does not explain, or nothing.
#[must_use]
pub fn leak_trend(history: &SourceHistory) -> Option<LeakTrend> {
    let skip = history.coarse.len().saturating_sub(BUCKETS_MAX);
    let buckets: Vec<Bucket> = history.coarse.iter().skip(skip).copied().collect();
    if buckets.len() < BUCKETS_MIN {
        return None;
    }
    // The last restart began a new life: what was before belongs to another process.
    let alive = history.restarts.back().map_or(0, |restart| buckets.partition_point(|b| b.start <= *restart));
    let buckets = &buckets[alive..];
    if buckets.len() < BUCKETS_MIN || climbing_share(buckets) < CLIMBING_SHARE_MIN {
        return None;
    }
    let (first, last) = (buckets[0], buckets[buckets.len() - 1]);
    let trend = SMOOTHINGS
        .iter()
        .filter_map(|buckets_smoothed| residual_trend(buckets, *buckets_smoothed))
        .min_by(|a, b| a.z.total_cmp(&b.z))?;
    let rising = trend.z >= RISING_Z && trend.slope_lower > 0.0;
    rising.then_some(LeakTrend {
        since: first.start,
        start_bytes: first.trough_bytes,
        used_bytes: last.used_bytes,
        slope: trend.slope,
    })
}

#[allow(clippy::cast_precision_loss)]
fn climbing_share(buckets: &[Bucket]) -> f64 {
    let climbs = buckets.windows(2).filter(|pair| pair[1].trough_bytes > pair[0].trough_bytes).count();
    climbs as f64 / (buckets.len() - 1) as f64
}

/// Trend of the troughs after taking out what the (smoothed) load explains. Differences are regressed, not levels: two
/// series that both merely rise over the day must not explain each other away.
fn residual_trend(buckets: &[Bucket], smoothing: f64) -> Option<Trend> {
    #[allow(clippy::cast_precision_loss)]
    let raw: Vec<f64> = buckets.iter().map(|b| b.requests as f64).collect();
    let mut load = raw.clone();
    for i in 1..load.len() {
        load[i] = load[i - 1] + (raw[i] - load[i - 1]) / smoothing;
    }
    let steps: Vec<(f64, f64)> = (1..buckets.len())
        .map(|i| (load[i] - load[i - 1], buckets[i].trough_bytes - buckets[i - 1].trough_bytes))
        .collect();
    let bytes_per_request = least_squares_slope(&steps).max(0.0);
    let start = buckets[0].start;
    let residuals: Vec<(f64, f64)> = buckets
        .iter()
        .zip(&load)
        .map(|(b, load)| (seconds(b.start.since(start)), b.trough_bytes - bytes_per_request * load))
        .collect();
    theil_sen(&residuals)
}

#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
fn seconds(milliseconds: DurationMs) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// The detector's state.
#[derive(Debug)]
pub struct MemoryLeak {
    spec: MemoryLeakSpec,
    /// What held at the last whole bucket, by source: buckets are five minutes, windows five seconds.
    judged: FxHashMap<Name, Option<LeakTrend>>,
    judged_bucket: Option<Timestamp>,
}

impl MemoryLeak {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: MemoryLeakSpec) -> Self {
        Self { spec, judged: FxHashMap::default(), judged_bucket: None }
    }

    fn judge(&mut self, scene: &Scene<'_>) {
        let bucket = scene.window.end.window_start(COARSE_MS);
        if self.judged_bucket == Some(bucket) {
            return;
        }
        self.judged_bucket = Some(bucket);
        self.judged =
            scene.signals.sorted(scene.names).into_iter().map(|(name, history)| (name, leak_trend(history))).collect();
    }

    fn finding(&self, source: &Text, history: &SourceHistory, leak: LeakTrend) -> Option<Finding> {
        let limit_bytes = history.limit_bytes?;
        let left_seconds = ((limit_bytes - leak.used_bytes) / leak.slope).clamp(0.0, 1e9);
        #[allow(clippy::cast_possible_truncation)] // clamped
        let left_ms = (left_seconds * 1_000.0) as DurationMs;
        let grown = leak.used_bytes - leak.start_bytes;
        if left_ms > self.spec.time_to_limit_max.as_millis() || grown < RISE_SHARE_MIN * limit_bytes {
            return None;
        }
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let pace = format!("{} an hour", bytes(leak.slope * 3_600.0));
        let evidence = format!(
            "grew by {} since {} ({pace}) while load does not explain it; it would reach its limit in {}",
            bytes(grown),
            leak.since,
            duration(left_ms)
        );
        Some(Finding {
            alert: AlertName::MemoryExhaustion,
            labels: labels.clone(),
            since: leak.since,
            value: rounded(leak.used_bytes),
            baseline: rounded(leak.start_bytes),
            harm: leak.used_bytes,
            unit: "bytes",
            causes: vec![Cause { dimensions: labels, share: 1.0, confidence: Confidence::Medium, evidence }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: format!(
                "{source} leaks {pace}: {} of {} used ({}), full in {}",
                bytes(leak.used_bytes),
                bytes(limit_bytes),
                percent(leak.used_bytes / limit_bytes),
                duration(left_ms)
            ),
            role: Role::Separate,
        })
    }
}

impl Detector for MemoryLeak {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.judge(scene);
        let sources = scene.signals.sorted(scene.names);
        sources
            .into_iter()
            .filter_map(|(name, history)| {
                let leak = self.judged.get(&name).copied().flatten()?;
                self.finding(scene.names.text(name), history, leak)
            })
            .collect()
    }
}
