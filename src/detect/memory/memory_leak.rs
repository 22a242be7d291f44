//! `MemoryExhaustion`, slow: memory that grows although the load does not. A ticket.
//!
//! Three looks: half-minute buckets for a log that has just begun, five-minute buckets for hours, daily troughs for
//! months. Floors are compared, so that a garbage collector's saw-tooth is not a trend.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::detect::growth::{Criteria, Growth, Sample, growth, median_of};
use crate::detect::time_left::TimeLeft;
use crate::detect::words::{bytes, percent, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Bucket, COARSE_MS, DAY_MS, EdgeHistory, FINE_MS, Name, SourceHistory};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp};

/// Fewer five-minute buckets are no trend: an hour.
const COARSE_MIN: usize = 12;
/// The newest buckets that count (12 hours): more would only cost time.
const COARSE_MAX: usize = 144;
/// Mann–Kendall on what load does not explain; buckets depend on each other, so this is stricter than it looks.
const RISING_Z: f64 = 4.0;
/// Fewer half-minute buckets are no trend: 12 minutes. With a reading a minute there are too few of them, ever.
const FINE_MIN: usize = 24;
/// From so little only a leak that is soon at its limit is told.
const FINE_TIME_TO_LIMIT_MAX_MS: DurationMs = 6 * 3_600_000;
/// Whole days that make a trend. A week has weekends in it.
const DAYS_MIN: usize = 7;
/// Mann–Kendall on days: one-sided 99.5 %, what seven days can give.
const DAYS_RISING_Z: f64 = 2.58;
/// Growth over the span must be at least this share of the limit: smaller is noise to on-call.
const RISE_SHARE_MIN: f64 = 0.03;
const FINE_RISE_SHARE_MIN: f64 = 0.05;
/// Without a limit there is only growth to go by: this share of what was used, over two hours at least.
const UNLIMITED_RISE_SHARE_MIN: f64 = 0.3;
const UNLIMITED_COARSE_MIN: usize = 24;
/// Smoothing of the load, in five-minute buckets: none, 20 minutes, one and three hours.
const SMOOTHINGS: [f64; 4] = [1.0, 4.0, 12.0, 36.0];
/// Growth of the load, as a share of the memory's, from which one says that memory grows with it.
const LOAD_SHARE_MIN: f64 = 0.5;
/// So long a leak is remembered that does not show.
const HIDDEN_MS: DurationMs = 300_000;
/// How often a source is judged.
const JUDGED_EVERY_MS: DurationMs = 60_000;

/// `detect: {memory_leak: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryLeakSpec {
    /// How near in time the limit must be for a ticket, at the pace of hours.
    pub time_to_limit_max: Span,
    /// The same at the pace of days: growth over weeks and months.
    pub time_to_limit_by_day_max: Span,
}

impl Default for MemoryLeakSpec {
    fn default() -> Self {
        Self { time_to_limit_max: Span::from_secs(24 * 3_600), time_to_limit_by_day_max: Span::from_days(30) }
    }
}

/// A source whose memory grows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Leak {
    growth: Growth,
    /// What is used at its highest lately: peaks reach the limit first.
    peak_bytes: f64,
    left: Option<TimeLeft>,
    pace_ms: DurationMs,
    /// How much the load grew meanwhile, as a share, where memory seems to follow it.
    with_load: Option<f64>,
}

/// The detector's state.
#[derive(Debug)]
pub struct MemoryLeak {
    spec: MemoryLeakSpec,
    /// What held at the last look, by source.
    judged: FxHashMap<Name, (Timestamp, Leak)>,
    judged_at: Option<Timestamp>,
}

impl MemoryLeak {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: MemoryLeakSpec) -> Self {
        Self { spec, judged: FxHashMap::default(), judged_at: None }
    }

    fn judge(&mut self, scene: &Scene<'_>) {
        let moment = scene.window.end.window_start(JUDGED_EVERY_MS);
        if self.judged_at == Some(moment) {
            return;
        }
        self.judged_at = Some(moment);
        let (edge, now) = (scene.signals.edge(), scene.window.end);
        let known = std::mem::take(&mut self.judged);
        for &(name, history) in scene.sources {
            let found = self.leak(Look { history, edge, now }).map(|leak| (now, leak));
            // A collection hides a leak for some minutes.
            let hidden =
                || known.get(&name).filter(|(at, leak)| now.since(*at) <= HIDDEN_MS && leak.may_go_on(history));
            found.or_else(|| hidden().copied()).into_iter().for_each(|leak| {
                self.judged.insert(name, leak);
            });
        }
    }

    fn leak(&self, look: Look<'_>) -> Option<Leak> {
        by_hours(look, self.spec.time_to_limit_max.as_millis())
            .or_else(|| by_minutes(look, self.spec.time_to_limit_max.as_millis()))
            .or_else(|| by_days(look, self.spec.time_to_limit_by_day_max.as_millis()))
    }
}

/// What a source is judged by.
#[derive(Clone, Copy)]
struct Look<'a> {
    history: &'a SourceHistory,
    edge: &'a EdgeHistory,
    now: Timestamp,
}

/// Whole buckets of the source's present life: what was before the last restart belongs to another process.
fn alive<'a>(look: Look<'a>, buckets: &'a VecDeque<Bucket>, length_ms: DurationMs) -> Vec<&'a Bucket> {
    let born = look.history.restarts.newest();
    let whole = |bucket: &&Bucket| bucket.start.plus(length_ms) <= look.now;
    buckets.iter().filter(whole).filter(|bucket| born.is_none_or(|born| bucket.start > born)).collect()
}

fn samples(buckets: &[&Bucket], edge: &EdgeHistory, length_ms: DurationMs) -> Vec<Sample> {
    #[allow(clippy::cast_precision_loss)] // far below 2^52 requests
    let load = |start| edge.requests(start, length_ms) as f64;
    buckets.iter().map(|b| Sample { at: b.start, level: b.trough_bytes, load: load(b.start) }).collect()
}

fn leak(buckets: &[&Bucket], limit_bytes: Option<f64>, growth: Growth, pace_ms: DurationMs) -> Leak {
    let peak_bytes = median_of(buckets.iter().rev().take(3).map(|bucket| bucket.peak_bytes));
    let left = limit_bytes
        .and_then(|limit| TimeLeft::new(limit - peak_bytes, growth.slope, growth.slope_lower, growth.slope_upper));
    Leak { growth, peak_bytes, left, pace_ms, with_load: None }
}

fn by_hours(look: Look<'_>, time_max_ms: DurationMs) -> Option<Leak> {
    let history = look.history;
    let mut buckets = alive(look, &history.coarse, COARSE_MS);
    buckets.drain(..buckets.len().saturating_sub(COARSE_MAX));
    let first = buckets.first()?;
    let (samples_min, growth_min) = match history.limit_bytes {
        Some(limit) => (COARSE_MIN, RISE_SHARE_MIN * limit),
        None => (UNLIMITED_COARSE_MIN, UNLIMITED_RISE_SHARE_MIN * first.trough_bytes),
    };
    let limit = history.limit_bytes;
    let criteria = Criteria { samples_min, z_min: RISING_Z, growth_min, limit, smoothings: &SMOOTHINGS };
    let growth = growth(&samples(&buckets, look.edge, COARSE_MS), &criteria)?;
    Some(leak(&buckets, limit, growth, 3_600_000)).filter(|leak| leak.is_within(time_max_ms))
}

fn by_minutes(look: Look<'_>, time_max_ms: DurationMs) -> Option<Leak> {
    let limit = look.history.limit_bytes?;
    let buckets = alive(look, &look.history.fine, FINE_MS);
    let criteria = Criteria {
        samples_min: FINE_MIN,
        z_min: RISING_Z,
        growth_min: FINE_RISE_SHARE_MIN * limit,
        limit: Some(limit),
        smoothings: &[1.0, 4.0, 10.0],
    };
    // A level that the source had today already is nothing new to it.
    let first = buckets.first()?.start;
    let newest = buckets.last()?.trough_bytes;
    let known = |bucket: &&Bucket| bucket.start.plus(COARSE_MS) <= first && bucket.trough_bytes >= newest;
    if alive(look, &look.history.coarse, COARSE_MS).iter().any(known) {
        return None;
    }
    let growth = growth(&samples(&buckets, look.edge, FINE_MS), &criteria)?;
    let time_max_ms = time_max_ms.min(FINE_TIME_TO_LIMIT_MAX_MS);
    Some(leak(&buckets, Some(limit), growth, 3_600_000)).filter(|leak| leak.is_within(time_max_ms))
}

fn by_days(look: Look<'_>, time_max_ms: DurationMs) -> Option<Leak> {
    let history = look.history;
    let limit = history.limit_bytes?;
    // The first day and today are not whole: their troughs are not those of a day.
    let whole = history.days.len().checked_sub(2)?;
    let days: Vec<&Bucket> = history.days.iter().skip(1).take(whole).collect();
    let criteria = Criteria {
        samples_min: DAYS_MIN,
        z_min: DAYS_RISING_Z,
        growth_min: RISE_SHARE_MIN * limit,
        limit: Some(limit),
        smoothings: &[1.0],
    };
    let daily = samples(&days, look.edge, DAY_MS);
    // Over months one wants to know in any case: load is left in, and that it grew is said.
    let without_load: Vec<Sample> = daily.iter().map(|sample| Sample { load: 0.0, ..*sample }).collect();
    let growth = growth(&without_load, &criteria)?;
    let mut leak = leak(&days, Some(limit), growth, 30 * DAY_MS);
    let span = &daily[daily.len() - growth.samples..];
    let load = |part: &[Sample]| median_of(part.iter().map(|sample| sample.load));
    let (before, now) = (load(&span[..3]), load(&span[span.len() - 3..]));
    let (memory_grew, load_grew) = (growth.level / growth.start_level - 1.0, now / before - 1.0);
    leak.with_load = (before > 0.0 && load_grew >= LOAD_SHARE_MIN * memory_grew).then_some(load_grew);
    Some(leak).filter(|leak| leak.is_within(time_max_ms))
}

impl Leak {
    /// Whether what is used now is still above where the growth began.
    fn may_go_on(&self, history: &SourceHistory) -> bool {
        let middle = f64::midpoint(self.growth.start_level, self.growth.level);
        history.fine.back().is_some_and(|bucket| bucket.trough_bytes >= middle)
    }

    fn is_within(&self, time_max_ms: DurationMs) -> bool {
        self.left.is_none_or(|left| left.likely_ms <= time_max_ms)
    }

    fn pace(&self) -> String {
        #[allow(clippy::cast_precision_loss)] // hours and months
        let amount = bytes(self.growth.slope * self.pace_ms as f64 / 1_000.0);
        format!("{amount} {}", if self.pace_ms >= DAY_MS { "a month" } else { "an hour" })
    }

    fn outlook(&self, limit_bytes: Option<f64>) -> String {
        let used = bytes(self.peak_bytes);
        match limit_bytes.zip(self.left) {
            Some((limit, left)) => {
                format!("{used} of {} used ({}), full in {left}", bytes(limit), percent(self.peak_bytes / limit))
            }
            None => format!("{used} used, and no limit is known"),
        }
    }

    fn finding(&self, source: &Text, limit_bytes: Option<f64>) -> Finding {
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let pace = self.pace();
        let load = match self.with_load {
            Some(share) => format!("load grew by {} meanwhile, so it may only follow load", percent(share)),
            None => "load does not explain it".to_owned(),
        };
        let grown = self.growth.level - self.growth.start_level;
        let evidence = format!(
            "its least use grew by {} since {} ({pace}); {load}; {}",
            bytes(grown),
            self.growth.since,
            self.left
                .map_or_else(|| "no limit is known".to_owned(), |left| format!("it would reach its limit in {left}"))
        );
        let verb = if self.with_load.is_some() { "grows with its load by" } else { "leaks" };
        Finding {
            alert: AlertName::MemoryExhaustion,
            labels: labels.clone(),
            since: self.growth.since,
            value: rounded(self.peak_bytes),
            baseline: rounded(self.growth.start_level),
            harm: self.peak_bytes,
            unit: "bytes",
            causes: vec![Cause { dimensions: labels, share: 1.0, confidence: Confidence::Medium, evidence }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: format!("{source} {verb} {pace}: {}", self.outlook(limit_bytes)),
            role: Role::Separate,
        }
    }
}

impl Detector for MemoryLeak {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.judge(scene);
        if self.judged.is_empty() {
            return Vec::new();
        }
        let leaking =
            scene.sources.iter().filter_map(|(name, history)| Some((*name, history, &self.judged.get(name)?.1)));
        leaking.map(|(name, history, leak)| leak.finding(scene.names.text(name), history.limit_bytes)).collect()
    }
}
