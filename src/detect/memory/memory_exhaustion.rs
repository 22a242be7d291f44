//! `MemoryExhaustion`, fast: a memory limit is minutes away, or just reached.
//!
//! The last minutes' trend (Theil–Sen) is followed to the limit. A source that has always lived near its limit, such as
//! a cache that evicts, does not alarm: it must have risen.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::memory_climb::Climb;
use crate::config::Span;
use crate::detect::time_left::TimeLeft;
use crate::detect::words::{bytes, percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Bucket, COARSE_MS, EdgeHistory, FINE_MS, LOW_SHARE, Name, SourceHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// At this share of its limit a source that has risen is out of memory, whatever the trend says.
const FULL_SHARE: f64 = 0.97;
/// How far it must have risen, as a share of the limit, to be more than a cache at home.
const RISE_SHARE_MIN: f64 = 0.05;
/// A level is new to a source when it is above what it came down from by this share of the limit.
const NOVEL_SHARE: f64 = 0.02;
/// A peak above this share, read seldom, may have ended in a kill: that the level fell afterwards proves nothing.
const KILLED_SHARE: f64 = 0.93;
/// At this share a source that grew for hours is out of memory within minutes.
const CREPT_SHARE: f64 = 0.985;
/// How far it grew in its life, as a share of the limit, and how far in the last half hour.
const CREEP_SHARE_MIN: f64 = 0.2;
const CREEP_RISE_SHARE_MIN: f64 = 0.01;
/// Five-minute buckets of that half hour.
const CREEP_BUCKETS: usize = 6;
/// A source that was this full in a quarter of its history (half an hour at least) is at home there.
const HOME_SHARE: f64 = 0.95;
const HOME_BUCKETS_MIN: u32 = 6;
/// A process this young still fills its heap and its caches; then more must be used.
const YOUNG_MS: DurationMs = 600_000;
const YOUNG_SHARE_MIN: f64 = 0.9;
/// A climb must have lasted so long to be believed at any share; a quicker one may be a backup or a batch that ends.
const SUSTAINED_MS: DurationMs = 2_700_000;
const SUSTAINED_BUCKETS_MIN: usize = 8;
const SUSTAINED_HALF_SHARE_MIN: f64 = 0.4;
const QUICK_SHARE_MIN: f64 = 0.86;
/// What is so near is told at any share: there is no time to wait for more.
const IMMINENT_MS: DurationMs = 60_000;
/// The same for one that the log began with, and the time before a climb that tells that it did not.
const SUSTAINED_UNTAUGHT_MS: DurationMs = 7_200_000;
const YOUNG_LOG_MS: DurationMs = 150_000;
/// While load rises, memory rises with it and may stop with it: a crowd that is served wakes nobody.
const WITH_LOAD_SHARE_MIN: f64 = 0.9;
/// Load has risen: this factor since before the climb, and this one over the last three minutes.
const LOAD_RISE: f64 = 1.25;
const LOAD_STILL_RISE: f64 = 1.1;
/// ... by more than counts of this size vary by chance, over-dispersed as they are.
const LOAD_RISE_DEVIATIONS: f64 = 4.0;
const LOAD_SPAN_MS: DurationMs = 60_000;
const LOAD_STILL_MS: DurationMs = 120_000;

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
    left: Option<TimeLeft>,
    with_load: bool,
    trend_start: Timestamp,
}

impl MemoryExhaustion {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: MemoryExhaustionSpec) -> Self {
        Self { spec, since: FxHashMap::default() }
    }

    fn approach(&self, history: &SourceHistory, edge: &EdgeHistory, end: Timestamp) -> Option<Approach> {
        let limit_bytes = history.limit_bytes?;
        let used_bytes = history.readings.back()?.1;
        let used_share = used_bytes / limit_bytes;
        if used_share < self.spec.used_share_min || history.evicts || !history.is_current(end) {
            return None;
        }
        let climb = Climb::of(history, end, self.spec.trend.as_millis())?;
        let climbed = used_bytes - climb.least_bytes >= RISE_SHARE_MIN * limit_bytes;
        if !(climbed && !is_normal(history, &climb, used_share) || crept_to_its_limit(history, used_share)) {
            return None;
        }
        let with_load = load_rises(edge, climb.first, end);
        let left = climb.time_left(limit_bytes).filter(|left| {
            left.likely_ms <= self.spec.time_to_limit_max.as_millis()
                && (used_share >= urgent_share(history, &climb, with_load, (end, left, used_share))
                    || left.likely_ms * 4 <= history.interval_ms() * 5)
        });
        (left.is_some() || used_share >= FULL_SHARE).then_some(Approach {
            used_bytes,
            start_bytes: climb.start_bytes,
            limit_bytes,
            left: left.filter(|_| used_share < 1.0),
            with_load,
            trend_start: climb.first,
        })
    }
}

/// From which share on a climb is urgent, if it would not reach the limit before the next reading: later where it may well
/// end by itself, as what lasts less than an hour does, such as a backup.
fn urgent_share(
    history: &SourceHistory,
    climb: &Climb,
    with_load: bool,
    (end, left, used_share): (Timestamp, &TimeLeft, f64),
) -> f64 {
    let newest = history.restarts.newest();
    let born = newest.unwrap_or_else(|| history.first_seen());
    let young = climb.first.since(born) < YOUNG_MS && climb.last.since(born) < YOUNG_MS;
    // How long a climb at this pace stays within the foot, one and a half times.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // minutes
    let foot_ms = (1.5 * LOW_SHARE * left.likely_ms as f64 / (1.0 - used_share).max(LOW_SHARE)) as DurationMs;
    // What climbs since the log began may be a collector's first cycle: nothing tells where it ends.
    let untaught = newest.is_none() && history.low_until.since(born) < foot_ms.max(YOUNG_LOG_MS);
    if untaught && end.since(born) < SUSTAINED_UNTAUGHT_MS {
        FULL_SHARE
    } else if with_load {
        WITH_LOAD_SHARE_MIN
    } else if young {
        YOUNG_SHARE_MIN
    } else if left.soonest_ms > IMMINENT_MS && !is_sustained(history, end) {
        QUICK_SHARE_MIN
    } else {
        0.0
    }
}

/// Whether memory has climbed steadily for most of an hour.
fn is_sustained(history: &SourceHistory, end: Timestamp) -> bool {
    let born = history.restarts.newest();
    let alive = |bucket: &&Bucket| born.is_none_or(|born| bucket.start > born);
    let recent = history.coarse.iter().filter(alive).filter(|b| end.since(b.start.plus(COARSE_MS)) <= SUSTAINED_MS);
    let levels: Vec<f64> = recent.map(|bucket| bucket.trough_bytes).collect();
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else { return false };
    let rises = levels.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let half = levels[levels.len() / 2] - first;
    levels.len() >= SUSTAINED_BUCKETS_MIN
        && rises + 2 >= levels.len()
        && half >= SUSTAINED_HALF_SHARE_MIN * (last - first)
}

/// Whether this level is the source's normal life: it came down from it by itself before, as after a garbage collection or
/// a daily peak; or it is always full.
fn is_normal(history: &SourceHistory, climb: &Climb, used_share: f64) -> bool {
    let Some(limit) = history.limit_bytes else { return false };
    let born = history.restarts.newest();
    let alive = |bucket: &&Bucket| born.is_none_or(|born| bucket.start > born);
    let fine = history.fine.iter().filter(|b| b.start < climb.least_at);
    let coarse = history.coarse.iter().filter(|b| b.start.plus(COARSE_MS) <= climb.least_at);
    let share = |bucket: &Bucket| bucket.peak_bytes / limit;
    // A peak that high may have ended in a kill, where nothing tells of restarts.
    let kills_show = history.restarts.are_told || history.interval_ms() <= FINE_MS;
    let survived = |share: &f64| kills_show || *share < KILLED_SHARE;
    let recovered = fine.chain(coarse.clone()).filter(alive).map(share).filter(survived).fold(0.0, f64::max);
    let (full, all) = coarse.fold((0, 0), |(full, all), b| (full + u32::from(share(b) >= HOME_SHARE), all + 1));
    let at_home = all >= HOME_BUCKETS_MIN && full * 4 > all;
    at_home || used_share <= recovered + NOVEL_SHARE
}

/// Whether it grew for hours, too slowly for the short trend, and is at its limit now, rising still; what lives there
/// does not count.
fn crept_to_its_limit(history: &SourceHistory, used_share: f64) -> bool {
    let Some(limit) = history.limit_bytes else { return false };
    let born = history.restarts.newest();
    let life: Vec<f64> = history
        .coarse
        .iter()
        .filter(|bucket| born.is_none_or(|born| bucket.start > born))
        .map(|bucket| bucket.trough_bytes / limit)
        .collect();
    let least = life.iter().copied().fold(f64::INFINITY, f64::min);
    let lately = life.len().checked_sub(CREEP_BUCKETS).map_or(1.0, |place| life[place]);
    let at_home = life.iter().filter(|share| **share >= HOME_SHARE).count() * 4 > life.len();
    let rises = used_share - lately >= CREEP_RISE_SHARE_MIN || used_share >= 1.0;
    used_share >= CREPT_SHARE && used_share - least >= CREEP_SHARE_MIN && rises && !at_home
}

/// Whether the load has risen since the climb began, and goes on rising: memory may only follow it.
fn load_rises(edge: &EdgeHistory, from: Timestamp, end: Timestamp) -> bool {
    let end = end.window_start(FINE_MS);
    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    let load = |at: Timestamp| edge.between(at, at.plus(LOAD_SPAN_MS)).requests as f64;
    let now = load(end.plus(-LOAD_SPAN_MS));
    let lately = load(end.plus(-LOAD_SPAN_MS - LOAD_STILL_MS));
    let before = load(from.plus(-LOAD_SPAN_MS).window_start(FINE_MS));
    let surely = now - before >= LOAD_RISE_DEVIATIONS * (now + before).sqrt();
    surely && now >= LOAD_RISE * before.max(1.0) && now >= LOAD_STILL_RISE * lately.max(1.0)
}

impl Approach {
    fn outlook(&self) -> String {
        let load = if self.with_load { ", while load rises" } else { "" };
        match self.left {
            Some(left) => format!("the limit is {left} away at this pace{load}"),
            None => format!("at its limit{load}"),
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

impl Detector for MemoryExhaustion {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let end = scene.window.end;
        let mut findings = Vec::new();
        let mut since_now = FxHashMap::default();
        let edge = scene.signals.edge();
        for &(source, history) in scene.sources {
            if let Some(approach) = self.approach(history, edge, end) {
                let since = self.since.get(&source).copied().unwrap_or(scene.window.start);
                since_now.insert(source, since);
                findings.push(approach.finding(scene.names.text(source), since));
            }
        }
        self.since = since_now;
        findings
    }
}
