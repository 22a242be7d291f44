//! What is remembered of a component: states by day, the last spans of states, counts by day, durations of the last day.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{ComponentCounts, DayView, LatencyPoint, StateSpan, uptime};
use crate::flow::Latencies;
use crate::model::{DurationMs, Timestamp};

/// Spans of states that are remembered: months, unless a component changes all the time.
pub const SPANS_KEPT: usize = 1_000;
/// Length of a step of durations.
const LATENCY_STEP_MS: DurationMs = 300_000;
/// How far back they go.
const LATENCY_KEPT_MS: DurationMs = 86_400_000;
/// Steps in that time.
const LATENCY_POINTS_MAX: usize = (LATENCY_KEPT_MS / LATENCY_STEP_MS) as usize;

/// A component's past.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    days: Vec<DayView>,
    spans: VecDeque<StateSpan>,
    latency: VecDeque<LatencyPoint>,
    filling: Option<Filling>,
}

/// A step of durations that is not over.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Filling {
    at: Timestamp,
    latencies: Latencies,
}

impl Filling {
    /// Absent where nothing was timed.
    fn point(&self) -> Option<LatencyPoint> {
        // Whole hundredths: the same number after it was written and read.
        let quantile = |q: f64| self.latencies.quantile_ms(q).map(|ms| (ms * 100.0).round() / 100.0);
        let (p50_ms, p95_ms) = quantile(0.5).zip(quantile(0.95))?;
        Some(LatencyPoint { at: self.at, requests: self.latencies.count(), p50_ms, p95_ms })
    }
}

impl History {
    /// A state lasted. Spans come in order.
    pub fn add_span(&mut self, zone: &TimeZone, span: StateSpan) {
        uptime::add(&mut self.days, zone, span);
        match self.spans.back_mut() {
            Some(last) if last.state == span.state && last.until == span.from => last.until = span.until,
            _ => self.spans.push_back(span),
        }
        if self.spans.len() > SPANS_KEPT {
            self.spans.pop_front();
        }
    }

    /// Requests were counted in a window that begins at `start`.
    pub fn add_counts(&mut self, zone: &TimeZone, start: Timestamp, counts: &ComponentCounts) {
        if counts.figures.requests == 0 {
            return;
        }
        let day = uptime::day(&mut self.days, &uptime::date_of(zone, start).to_string());
        day.requests += counts.figures.requests;
        day.failures += counts.figures.failures;
        day.slow += counts.figures.slow;
        let at = start.window_start(LATENCY_STEP_MS);
        if let Some(over) = self.filling.take_if(|filling| filling.at != at) {
            self.latency.extend(over.point());
        }
        while self.latency.len() >= LATENCY_POINTS_MAX {
            self.latency.pop_front();
        }
        let filling = self.filling.get_or_insert_with(|| Filling { at, ..Filling::default() });
        filling.latencies.merge(&counts.latencies);
    }

    /// The days shown at `now`, were `tail` to follow on what is decided.
    #[must_use]
    pub fn days(&self, zone: &TimeZone, now: Timestamp, tail: &[StateSpan]) -> Vec<DayView> {
        let mut days = self.days.clone();
        tail.iter().for_each(|span| uptime::add(&mut days, zone, *span));
        uptime::shown(&days, zone, now)
    }

    /// The last spans of states, the oldest first, without gaps.
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = &StateSpan> {
        self.spans.iter()
    }

    /// Durations of the 24 hours before `now`, the oldest first; the newest step may still be filling.
    #[must_use]
    pub fn latency(&self, now: Timestamp) -> Vec<LatencyPoint> {
        let filling = self.filling.as_ref().and_then(Filling::point);
        let is_recent = |point: &LatencyPoint| now.since(point.at) < LATENCY_KEPT_MS;
        self.latency.iter().copied().chain(filling).filter(is_recent).collect()
    }
}
