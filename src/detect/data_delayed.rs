//! `DataDelayed`: records come too late to be detected on, or not at all. A ticket: what Floodmark says about that time is
//! said on less than there was.
//!
//! Event time only; a live service that hears nothing at all is told by its own alert on the watermark's age. Three things
//! show: late records, requests that stop while other records go on, and a hole in everything.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::words::{duration, percent, rate, rounded};
use super::{Detector, Finding, Role, Scene};
use crate::config::Span;
use crate::flow::{LateCounts, ratio};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimensions, DurationMs, Timestamp};

/// Resolution.
const SLOT_MS: DurationMs = 60_000;
/// An hour back: what is usual.
const SLOTS_MAX: usize = 60;
/// Late records of this span count as now.
const NOW_MS: DurationMs = 300_000;
/// Fewer minutes before these have no usual share of late records.
const USUAL_SLOTS_MIN: u64 = 5;
/// Fewer late records are nobody's trouble.
const LATE_MIN: u64 = 50;
/// Late records must be this many times their usual share: a customer with a slow clock is always late.
const USUAL_TIMES_MIN: f64 = 3.0;
/// Before a hole, traffic must have been steady for this long ...
const STEADY_MS: DurationMs = 180_000;
/// ... with requests in this share of the windows: sparse traffic has holes of its own.
const STEADY_SHARE_MIN: f64 = 0.95;
/// A hole must be this many times the longest silence of the last hour.
const SILENCE_TIMES_MIN: i64 = 4;
/// A hole that has ended is told for this long.
const TOLD_MS: DurationMs = 60_000;
/// Windows remembered to tell how steady traffic was.
const WINDOWS_MAX: usize = 720;

/// `detect: {data_delayed: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataDelayedSpec {
    /// Share of the records of five minutes that may come late.
    pub late_share_max: f64,
    /// How long steady traffic may be silent.
    pub silence_max: Span,
}

impl Default for DataDelayedSpec {
    fn default() -> Self {
        Self { late_share_max: 0.02, silence_max: Span::from_secs(90) }
    }
}

/// Records of a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    start: Timestamp,
    in_time: u64,
    late: LateCounts,
}

/// A span in which requests are missing.
#[derive(Debug, Clone, Copy)]
struct Hole {
    start: Timestamp,
    end: Timestamp,
    /// Whether other records came meanwhile.
    others: bool,
    /// Requests a second before it.
    per_second: f64,
}

/// The detector's state.
#[derive(Debug)]
pub struct DataDelayed {
    spec: DataDelayedSpec,
    slots: VecDeque<Slot>,
    /// Windows with requests: start, end, how many.
    windows: VecDeque<(Timestamp, Timestamp, u64)>,
    last_window_end: Option<Timestamp>,
    hole: Option<Hole>,
    late_since: Option<Timestamp>,
}

impl DataDelayed {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: DataDelayedSpec) -> Self {
        Self {
            spec,
            slots: VecDeque::new(),
            windows: VecDeque::new(),
            last_window_end: None,
            hole: None,
            late_since: None,
        }
    }

    fn count(&mut self, scene: &Scene<'_>) {
        let window = scene.window;
        let start = window.start.window_start(SLOT_MS);
        if self.slots.back().is_none_or(|slot| slot.start != start) {
            self.slots.push_back(Slot { start, ..Slot::default() });
        }
        while self.slots.len() > SLOTS_MAX {
            self.slots.pop_front();
        }
        let queries: u64 = window.queries.cells.iter().map(|(_, cell)| cell.ended).sum();
        if let Some(slot) = self.slots.back_mut() {
            slot.in_time += window.total.requests + window.signals.len() as u64 + queries;
            slot.late.events += window.late.events;
            slot.late.behind_ms_sum = slot.late.behind_ms_sum.saturating_add(window.late.behind_ms_sum);
            slot.late.behind_ms_max = slot.late.behind_ms_max.max(window.late.behind_ms_max);
        }
    }

    /// Late records of the last minutes and their usual share, where they are too many.
    fn late(&self, end: Timestamp) -> Option<(LateCounts, f64, f64)> {
        let mut usual_slots = 0;
        let (mut now, mut usual) = (Slot::default(), Slot::default());
        for slot in &self.slots {
            let is_now = end.since(slot.start) <= NOW_MS;
            usual_slots += u64::from(!is_now && slot.in_time > 0);
            let sum = if is_now { &mut now } else { &mut usual };
            sum.in_time += slot.in_time;
            sum.late.events += slot.late.events;
            sum.late.behind_ms_sum = sum.late.behind_ms_sum.saturating_add(slot.late.behind_ms_sum);
            sum.late.behind_ms_max = sum.late.behind_ms_max.max(slot.late.behind_ms_max);
        }
        let share = ratio(now.late.events, now.late.events + now.in_time);
        let usual_share = ratio(usual.late.events, usual.late.events + usual.in_time);
        let least = self.spec.late_share_max.max(USUAL_TIMES_MIN * usual_share);
        (usual_slots >= USUAL_SLOTS_MIN && now.late.events >= LATE_MIN && share > least).then_some((
            now.late,
            share,
            usual_share,
        ))
    }

    /// How steady requests were before a moment: a second's worth of them, and the longest silence.
    fn steady_before(&self, window_ms: DurationMs) -> Option<(f64, DurationMs)> {
        let (_, last_end, _) = *self.windows.back()?;
        let since = last_end.plus(-STEADY_MS);
        if self.windows.front()?.0 > since {
            return None;
        }
        let recent = self.windows.iter().filter(|(start, ..)| *start >= since);
        let (windows, requests) = recent.fold((0_i64, 0), |(n, sum), (_, _, requests)| (n + 1, sum + requests));
        #[allow(clippy::cast_precision_loss)]
        let share = (windows * window_ms) as f64 / STEADY_MS as f64;
        let pairs = self.windows.iter().zip(self.windows.iter().skip(1));
        let silence_ms = pairs.map(|(a, b)| b.0.since(a.1)).max().unwrap_or(0);
        #[allow(clippy::cast_precision_loss)]
        let per_second = requests as f64 / (STEADY_MS as f64 / 1_000.0);
        (share >= STEADY_SHARE_MIN).then_some((per_second, silence_ms))
    }

    fn find_hole(&mut self, scene: &Scene<'_>) {
        let window = scene.window;
        let others_silent =
            self.last_window_end.is_some_and(|end| window.start.since(end) >= self.spec.silence_max.as_millis());
        self.last_window_end = Some(window.end);
        if let Some((_, start, _)) = self.windows.back().copied() {
            let ends = window.total.requests > 0;
            let end = if ends { window.start } else { window.end };
            let silent_ms = end.since(start);
            let steady = (silent_ms >= self.spec.silence_max.as_millis())
                .then(|| self.steady_before(window.end.since(window.start)))
                .flatten();
            if let Some((per_second, _)) = steady.filter(|(_, usual_ms)| silent_ms >= SILENCE_TIMES_MIN * usual_ms) {
                let others = !others_silent && self.hole.is_none_or(|hole| hole.start != start || hole.others);
                self.hole = Some(Hole { start, end, others, per_second });
            }
        }
        if window.total.requests > 0 {
            self.windows.push_back((window.start, window.end, window.total.requests));
            let old = |(start, ..): &(Timestamp, Timestamp, u64)| window.end.since(*start) > 3_600_000;
            while self.windows.len() > WINDOWS_MAX || self.windows.front().is_some_and(old) {
                self.windows.pop_front();
            }
        }
        self.hole = self.hole.filter(|hole| window.end.since(hole.end) <= TOLD_MS);
    }

    fn finding(since: Timestamp, value: f64, baseline: f64, unit: &'static str, summary: String) -> Finding {
        Finding {
            alert: AlertName::DataDelayed,
            labels: Dimensions::default(),
            since,
            value: rounded(value),
            baseline: rounded(baseline),
            harm: value,
            unit,
            causes: vec![Cause {
                dimensions: Dimensions::default(),
                share: 1.0,
                confidence: Confidence::Low,
                evidence: "no narrower culprit: it shows in the records as a whole".to_owned(),
            }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary,
            role: Role::Separate,
        }
    }

    fn late_finding(since: Timestamp, (late, share, usual): (LateCounts, f64, f64)) -> Finding {
        let behind = |ms: u64| duration(i64::try_from(ms).unwrap_or(i64::MAX));
        let summary = format!(
            "{} of the records of the last 5 min came too late to be detected on ({}; usually {}): {} behind on average, {} at most",
            percent(share),
            late.events,
            percent(usual),
            behind(late.behind_ms_sum / late.events.max(1)),
            behind(late.behind_ms_max)
        );
        Self::finding(since, share, usual, "share of late records", summary)
    }

    fn hole_finding(hole: Hole, end: Timestamp) -> Finding {
        let long_ms = hole.end.since(hole.start);
        let what = if hole.others { "no requests came, while other records went on" } else { "no records came at all" };
        let when = if hole.end >= end {
            format!("since {}", hole.start)
        } else {
            format!("from {} to {}", hole.start, hole.end)
        };
        let summary = format!(
            "{what} {when} ({}), after {} before: records are delayed or lost, or the platform was away",
            duration(long_ms),
            rate(hole.per_second)
        );
        #[allow(clippy::cast_precision_loss)]
        let seconds = long_ms as f64 / 1_000.0;
        Self::finding(hole.start, seconds, 0.0, "seconds without requests", summary)
    }
}

impl Detector for DataDelayed {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.count(scene);
        self.find_hole(scene);
        let end = scene.window.end;
        let late = self.late(end);
        self.late_since = late.is_some().then(|| self.late_since.unwrap_or(scene.window.start));
        match (self.hole, late, self.late_since) {
            (Some(hole), ..) => vec![Self::hole_finding(hole, end)],
            (None, Some(late), Some(since)) => vec![Self::late_finding(since, late)],
            _ => Vec::new(),
        }
    }
}
