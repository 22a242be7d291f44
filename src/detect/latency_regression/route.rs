//! One route over time: what is normal for it at which load, and whether it is slow.

use std::collections::{BTreeMap, VecDeque};

use super::super::statistics::{BernoulliCusum, cusum_threshold};
use super::{middle_ms, quantile_bucket, weights};
use crate::flow::{ClosedWindow, Latencies, ratio};
use crate::model::{DurationMs, Timestamp};

/// Resolution of what is remembered.
const MINUTE_MS: DurationMs = 60_000;
/// Minutes are learnt once they are this old and nothing came of them ...
const QUARANTINE_MS: DurationMs = 120_000;
/// ... and kept this long: "now" is at most the last five.
const KEPT_MS: DurationMs = 300_000;
/// What is lately is the last minute or two.
const LATELY_MS: DurationMs = 120_000;
/// A load that rises this soon after the durations explains them.
const LOAD_FOLLOWS_MS: DurationMs = 120_000;
/// Load classes remembered; a day of a daily shape has a handful.
const LOADS_MAX: usize = 24;
/// Memory of the normal at a load: a day of that load.
const MEMORY_MINUTES: f64 = 1_440.0;
/// The normal: of so many requests, over so many minutes.
const LEARNT_MIN: f64 = 200.0;
const LEARNT_MINUTES_MIN: f64 = 2.0;
/// Slow is above this quantile of the normal.
const SLOW_QUANTILE: f64 = 0.95;
/// Evidence is summed for four times the normal share of slow requests against one and a half times.
const ALLOWED_FACTOR: f64 = 1.5;
const ALARM_FACTOR: f64 = 4.0;
/// One false alarm a week over a thousand routes of five-second windows.
const RUNS_A_FALSE_ALARM: f64 = 1_000.0 * 120_960.0;
/// Slow requests come together: how many times the binomial variance their count has, before it is known, and how many
/// minutes that is worth.
const DESIGN_PRIOR: f64 = 2.0;
const DESIGN_PRIOR_MINUTES: f64 = 5.0;
/// Requests of now: so many are wanted, and so many are needed.
const REQUESTS_WANTED: u64 = 50;
const REQUESTS_MIN: u64 = 20;
/// After a day the new duration is the normal one.
const ACCEPTED_MS: DurationMs = 86_400_000;

/// A slow route.
#[derive(Debug, Clone, PartialEq)]
pub struct Slow {
    /// Since when.
    pub since: Timestamp,
    /// The quantile that moved most, now and normally, in milliseconds.
    pub value_ms: f64,
    /// The same normally.
    pub normal_ms: f64,
    /// Which quantile, in words.
    pub quantile: &'static str,
    /// The unit of the values.
    pub unit: &'static str,
    /// Share of requests slower than 95 % normally are.
    pub slow_share: f64,
    /// Requests of now, and the time they took.
    pub requests: u64,
    /// Length of now.
    pub span_ms: DurationMs,
    /// Requests of the last two minutes.
    pub requests_lately: u64,
    /// Requests that the normal is made of.
    pub requests_normal: u64,
}

#[derive(Debug)]
struct Minute {
    start: Timestamp,
    load: i16,
    latencies: Latencies,
    learnt: bool,
}

/// The normal at one load.
#[derive(Debug, Default)]
struct Normal {
    buckets: BTreeMap<i16, f64>,
    minutes: f64,
}

/// Where slow begins, and which share is normally slow.
#[derive(Debug, Clone)]
struct Threshold {
    minute: Timestamp,
    load: i16,
    bucket: i16,
    share: f64,
    normal: Vec<(i16, f64)>,
}

/// What is known of a route.
#[derive(Debug, Default)]
pub struct RouteHistory {
    minutes: VecDeque<Minute>,
    normal: BTreeMap<i16, Normal>,
    threshold: Option<Threshold>,
    design_squares: f64,
    design_expected: f64,
    score: f64,
    since: Option<Timestamp>,
    fired: bool,
    last_seen: Timestamp,
}

fn threshold() -> f64 {
    cusum_threshold(RUNS_A_FALSE_ALARM)
}

impl RouteHistory {
    /// Takes in the durations of a window, at a load.
    pub fn push(&mut self, window: &ClosedWindow, latencies: &Latencies, load: i16) {
        self.last_seen = window.end;
        self.judge(window, latencies, load);
        let minute = window.start.window_start(MINUTE_MS);
        match self.minutes.back_mut().filter(|last| last.start == minute) {
            Some(last) => last.latencies.merge(latencies),
            None => {
                let latencies = latencies.clone();
                self.minutes.push_back(Minute { start: minute, load, latencies, learnt: false });
            }
        }
        self.learn(window.end);
        while self.minutes.front().is_some_and(|first| window.end.since(first.start) > KEPT_MS + MINUTE_MS) {
            self.minutes.pop_front();
        }
    }

    /// When it last answered.
    pub fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// Requests of the last two minutes.
    pub fn requests_lately(&self, end: Timestamp) -> u64 {
        let lately = self.minutes.iter().filter(|minute| end.since(minute.start) <= LATELY_MS);
        lately.map(|minute| minute.latencies.count()).sum()
    }

    fn judge(&mut self, window: &ClosedWindow, latencies: &Latencies, load: i16) {
        self.set_threshold(window.start.window_start(MINUTE_MS), load);
        let Some(threshold_) = &self.threshold else { return };
        let (allowed, alarm) = (threshold_.share * ALLOWED_FACTOR, (threshold_.share * ALARM_FACTOR).min(0.9));
        let (slow, requests) = (latencies.count_above(threshold_.bucket), latencies.count());
        let h = threshold();
        let step = BernoulliCusum::new(allowed, alarm);
        // The step alone, below zero too: what the sum does with it is decided here.
        let up = step.step(h, slow, requests, 3.0 * h) - h;
        self.score = (self.score + up / self.design().max(1.0)).clamp(0.0, 2.0 * h);
        if self.score <= 0.0 {
            self.since = None;
            self.fired = false;
        } else if self.since.is_none() {
            self.since = Some(window.start);
        }
        self.fired = self.fired || self.score >= h;
        if self.since.is_some_and(|since| self.fired && window.end.since(since) >= ACCEPTED_MS) {
            *self = Self { last_seen: self.last_seen, ..Self::default() };
        }
    }

    /// The threshold at this load, from loads like it, else from higher ones. Where no such load was ever seen, nothing is
    /// judged: it would be slower because of the load. While it is slow the threshold stays.
    fn set_threshold(&mut self, minute: Timestamp, load: i16) {
        let fresh = self.threshold.as_ref().is_some_and(|t| t.minute == minute && t.load == load);
        // A load that grows a minute after the durations has them grow too: requests are logged when they end.
        let begins = self.since.is_some_and(|since| minute.since(since) <= LOAD_FOLLOWS_MS);
        let outgrown = begins && self.threshold.as_ref().is_some_and(|t| load > t.load + 1);
        if fresh || (self.fired && !outgrown) {
            return;
        }
        let near = self.sum(load - 1..=load + 1);
        let (buckets, minutes) = if is_enough(&near) { near } else { self.sum(load - 1..=i16::MAX) };
        self.threshold = is_enough(&(buckets.clone(), minutes)).then(|| {
            let total: f64 = buckets.values().sum();
            let normal: Vec<(i16, f64)> = buckets.into_iter().collect();
            let bucket = quantile_bucket(normal.iter().copied(), SLOW_QUANTILE).unwrap_or(0);
            let above: f64 = normal.iter().filter(|(at, _)| *at > bucket).map(|(_, weight)| weight).sum();
            // At least one in a hundred, so that a route that never varied is not judged by its first slow request.
            Threshold { minute, load, bucket, share: (above / total).clamp(0.01, 0.05), normal }
        });
        if self.threshold.is_none() {
            self.score = 0.0;
            self.since = None;
            self.fired = false;
        }
    }

    fn sum(&self, loads: std::ops::RangeInclusive<i16>) -> (BTreeMap<i16, f64>, f64) {
        let mut buckets = BTreeMap::new();
        let mut minutes = 0.0;
        for (_, normal) in self.normal.range(loads) {
            minutes += normal.minutes;
            for (bucket, weight) in &normal.buckets {
                *buckets.entry(*bucket).or_insert(0.0) += weight;
            }
        }
        (buckets, minutes)
    }

    fn learn(&mut self, end: Timestamp) {
        for i in 0..self.minutes.len() {
            let minute = &self.minutes[i];
            if minute.learnt || end.since(minute.start) < QUARANTINE_MS + MINUTE_MS {
                continue;
            }
            let doubted = (self.fired || self.score > threshold() / 3.0)
                && self.since.is_some_and(|since| minute.start.plus(MINUTE_MS) > since);
            if !doubted {
                self.learn_minute(i);
            }
            self.minutes[i].learnt = true;
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn learn_minute(&mut self, i: usize) {
        let Minute { load, latencies, .. } = &self.minutes[i];
        if let Some(threshold) = &self.threshold {
            let n = latencies.count() as f64;
            let expected = n * threshold.share;
            self.design_squares += (latencies.count_above(threshold.bucket) as f64 - expected).powi(2);
            self.design_expected += expected * (1.0 - threshold.share);
        }
        if self.normal.len() >= LOADS_MAX && !self.normal.contains_key(load) {
            return;
        }
        let normal = self.normal.entry(*load).or_default();
        let keep = 1.0 - 1.0 / MEMORY_MINUTES;
        normal.buckets.values_mut().for_each(|weight| *weight *= keep);
        normal.minutes = normal.minutes * keep + 1.0;
        for (bucket, count) in latencies.iter() {
            *normal.buckets.entry(bucket).or_insert(0.0) += count as f64;
        }
    }

    /// How many times the binomial variance the count of slow requests has.
    fn design(&self) -> f64 {
        let expected_a_minute = self.threshold.as_ref().map_or(1.0, |t| t.share).max(0.01) * 100.0;
        let prior = DESIGN_PRIOR_MINUTES * expected_a_minute;
        (self.design_squares + DESIGN_PRIOR * prior) / (self.design_expected + prior)
    }

    /// Whether it is slow, by `factor_min` at least.
    pub fn slow(&self, end: Timestamp, factor_min: f64) -> Option<Slow> {
        let (threshold, since) = (self.threshold.as_ref()?, self.since?);
        // A silent route is not slow, it is silent.
        if !self.fired || end.since(self.last_seen) > LATELY_MS {
            return None;
        }
        let (now, first) = self.now(end, since);
        if now.count() < REQUESTS_MIN {
            return None;
        }
        let normal = || threshold.normal.iter().copied();
        let at = |quantile: f64| -> Option<(f64, f64)> {
            let (value, normal) = (quantile_bucket(weights(&now), quantile)?, quantile_bucket(normal(), quantile)?);
            Some((middle_ms(value), middle_ms(normal)))
        };
        let (median, tail) = (at(0.5)?, at(SLOW_QUANTILE)?);
        let factor = |(value, normal): (f64, f64)| value / normal.max(f64::MIN_POSITIVE);
        let tail_moved = factor(tail) >= factor(median);
        let (value_ms, normal_ms) = if tail_moved { tail } else { median };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
        let requests_normal = normal().map(|(_, weight)| weight).sum::<f64>().round() as u64;
        (factor((value_ms, normal_ms)) >= factor_min).then(|| Slow {
            since,
            value_ms,
            normal_ms,
            quantile: if tail_moved { "95th percentile" } else { "median" },
            unit: if tail_moved { "ms at the 95th percentile" } else { "ms at the median" },
            slow_share: ratio(now.count_above(threshold.bucket), now.count()),
            requests: now.count(),
            span_ms: end.since(first),
            requests_lately: self.requests_lately(end),
            requests_normal,
        })
    }

    /// The newest minutes since the onset: two, and more only where they hold few requests. What was slow before them may
    /// be over.
    fn now(&self, end: Timestamp, since: Timestamp) -> (Latencies, Timestamp) {
        let mut now = Latencies::default();
        let mut first = end;
        for minute in self.minutes.iter().rev().take_while(|minute| minute.start.plus(MINUTE_MS) > since) {
            if end.since(minute.start) > LATELY_MS && now.count() >= REQUESTS_WANTED {
                break;
            }
            now.merge(&minute.latencies);
            first = minute.start;
        }
        (now, first)
    }
}

fn is_enough((buckets, minutes): &(BTreeMap<i16, f64>, f64)) -> bool {
    *minutes >= LEARNT_MINUTES_MIN && buckets.values().sum::<f64>() >= LEARNT_MIN
}
