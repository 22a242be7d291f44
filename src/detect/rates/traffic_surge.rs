//! `TrafficSurge`: a subscription, or everybody together, sends far more than ever. A ticket: a rate alone cannot page.
//!
//! Counted are first attempts by the minute, so that a retry storm, which has an alert of its own, is none. A subscription
//! is compared with itself while everybody else is as busy as now; the whole edge with its own last half hour, or the same
//! hour of earlier days once there are two. The evidence is a negative-binomial CUSUM; beyond it, the rate must exceed
//! what was the highest so far, so that who sends in bursts is one ticket and not one a burst.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::rate_baseline::{Cohort, RateBaseline};
use crate::detect::statistics::cusum_threshold;
use crate::detect::words::{percent, rate, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, ratio};
use crate::model::{
    Affected, AlertName, Cause, Confidence, Customer, Dimension, Dimensions, DurationMs, Text, Timestamp,
};

const MINUTE_MS: DurationMs = 60_000;
/// One false alarm in 10⁵ subscriptions × 10,080 minutes (a week).
const RUNS_A_FALSE_ALARM: f64 = 1e5 * 10_080.0;
/// One minute's evidence counts for no more than this: four minutes at least, whatever the burst.
const EVIDENCE_A_MINUTE_MAX: f64 = 6.0;
/// Minutes of log before anything is judged.
const LEARNING_MINUTES: u32 = 30;
/// Above this a baseline does not learn: what is suspected is not normal.
const SUSPECTED_SCORE: f64 = 6.0;
/// The same for the edge as a whole.
const EDGE_SUSPECTED_SCORE: f64 = 1.0;
/// A rate that has stayed up for this long is the new normal.
const ACCEPTED_MS: DurationMs = 6 * 3_600_000;
/// Subscriptions with a baseline of their own; the traffic of further ones is judged only as a whole.
const SUBSCRIPTIONS_MAX: usize = 1_000_000;
/// Below this many times the normal rate a surge is over.
const OVER_BELOW: f64 = 1.5;
/// Fewer requests a minute are no surge.
const REQUESTS_A_MINUTE_MIN: f64 = 60.0;
/// Requests a minute of all others below which their business says nothing.
const OTHERS_A_MINUTE_MIN: f64 = 60.0;
/// Minutes of an hour of the day, two days' worth, before it is known what is usual then.
const USUAL_MINUTES_MIN: u32 = 120;
/// Hours of the profile.
const HOURS_A_DAY: usize = 24;

/// `detect: {traffic_surge: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSurgeSpec {
    /// How many times the normal rate is looked for.
    pub rate_ratio: f64,
    /// How many times the highest rate so far it must be.
    pub peak_ratio_min: f64,
    /// Share of the platform's load that the surplus must be.
    pub load_share_min: f64,
}

impl Default for TrafficSurgeSpec {
    fn default() -> Self {
        Self { rate_ratio: 3.0, peak_ratio_min: 1.5, load_share_min: 0.05 }
    }
}

/// One rate and the evidence against it.
#[derive(Debug, Clone, Copy)]
struct Rate {
    baseline: RateBaseline,
    count: u32,
    score: f32,
    /// Highest smoothed rate since the evidence began: remembered as the peak once it is over.
    highest: f32,
    since: Option<Timestamp>,
}

impl Rate {
    const NEW: Self = Self { baseline: RateBaseline::new(), count: 0, score: 0.0, highest: 0.0, since: None };
}

/// The detector's state.
#[derive(Debug)]
pub struct TrafficSurge {
    spec: TrafficSurgeSpec,
    threshold: f64,
    minute: Option<Timestamp>,
    minutes: u32,
    subscriptions: FxHashMap<Name, Rate>,
    edge: Rate,
    /// Mean of the whole edge, requests a minute, by hour of the day, and how many minutes it was learnt from.
    by_hour: [(f64, u32); HOURS_A_DAY],
    /// Mean of the whole edge over the last half hour or so, requests a minute, without what is suspected.
    lately: f64,
    cohort: Cohort,
    findings: Vec<Finding>,
    overflowed: u64,
}

impl TrafficSurge {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: TrafficSurgeSpec) -> Self {
        Self {
            spec,
            threshold: cusum_threshold(RUNS_A_FALSE_ALARM),
            minute: None,
            minutes: 0,
            subscriptions: FxHashMap::default(),
            edge: Rate::NEW,
            by_hour: [(0.0, 0); HOURS_A_DAY],
            lately: 0.0,
            cohort: Cohort { mean: 1.0, fano: 10.0 },
            findings: Vec::new(),
            overflowed: 0,
        }
    }

    fn count(&mut self, scene: &Scene<'_>) {
        for (key, cell) in scene.window.cells.iter().filter(|(key, _)| key.caller.is_absent()) {
            let firsts = u32::try_from(cell.requests.saturating_sub(cell.resends)).unwrap_or(u32::MAX);
            self.edge.count = self.edge.count.saturating_add(firsts);
            let room = self.subscriptions.len() < SUBSCRIPTIONS_MAX;
            if let Some(rate) = self.subscriptions.get_mut(&key.subscription) {
                rate.count = rate.count.saturating_add(firsts);
            } else if room {
                self.subscriptions.insert(key.subscription, Rate { count: firsts, ..Rate::NEW });
            } else {
                self.overflowed += 1;
            }
        }
    }

    /// Judges the minute that has ended, and learns from it. Minutes without any event say nothing.
    fn close_minute(&mut self, minute: Timestamp, scene: &Scene<'_>) {
        let judging = self.minutes >= LEARNING_MINUTES;
        self.minutes = self.minutes.saturating_add(1);
        let total = f64::from(self.edge.count);
        let normal_total = self.edge.baseline.mean(Cohort { mean: total, ..self.cohort });
        let mut surging = Vec::new();
        let (cohort, threshold, factor) = (self.cohort, self.threshold, self.spec.rate_ratio);
        for (name, rate) in &mut self.subscriptions {
            let others = (total - f64::from(rate.count), normal_total - rate.baseline.mean(cohort));
            let exposure = exposure(others);
            let judged = Judged { expected: exposure, exposure, suspected_score: SUSPECTED_SCORE };
            if step(rate, &judged, cohort, factor, minute, judging) >= threshold {
                surging.push((*name, *rate, exposure));
            }
        }
        let edge_expected = self.edge_exposure(minute);
        let edge_cohort = Cohort { mean: total, ..cohort };
        // The edge hardly bursts: the first minute of a surge must not become part of what is normal.
        let judged = Judged { expected: edge_expected, exposure: 1.0, suspected_score: EDGE_SUSPECTED_SCORE };
        let edge_score = step(&mut self.edge, &judged, edge_cohort, factor, minute, judging);
        self.learn_edge(minute, total);
        self.learn_cohort();
        self.findings = self.tell(surging, edge_score >= threshold, scene);
    }

    /// How busy the edge may be now, beside its mean: as in the last half hour, or as at this hour of earlier days.
    fn edge_exposure(&self, minute: Timestamp) -> f64 {
        let normal = self.edge.baseline.mean(self.cohort).max(1.0);
        let (mean, minutes) = self.by_hour[hour_of_day(minute)];
        let usual = if minutes >= USUAL_MINUTES_MIN { mean } else { 0.0 };
        (self.lately.max(usual) / normal).max(1.0)
    }

    fn learn_edge(&mut self, minute: Timestamp, total: f64) {
        if f64::from(self.edge.score) >= EDGE_SUSPECTED_SCORE {
            return;
        }
        let (mean, minutes) = &mut self.by_hour[hour_of_day(minute)];
        // A week of this hour is remembered.
        *minutes = (*minutes + 1).min(7 * 60);
        *mean += (total - *mean) / f64::from(*minutes);
        self.lately += (total - self.lately) / f64::from(self.minutes.clamp(1, 30));
    }

    /// The cohort is everybody: mean and dispersion of all subscriptions, hour by hour.
    fn learn_cohort(&mut self) {
        if self.minutes % 60 != 10 || self.subscriptions.is_empty() {
            return;
        }
        let prior = self.cohort;
        let (mut squares, mut means, mut sum, mut minutes) = (0_u64, 0_u64, 0_u64, 0_u64);
        for rate in self.subscriptions.values() {
            // Integers: the sum must not depend on the map's order.
            let (s, m) = rate.baseline.dispersion_sums();
            squares = squares.saturating_add(fixed(s));
            means = means.saturating_add(fixed(m));
            sum = sum.saturating_add(fixed(rate.baseline.mean(prior)));
            minutes += 1;
        }
        self.cohort = Cohort {
            mean: ratio(sum, minutes) / FIXED,
            fano: if means > 0 { ratio(squares, means).clamp(2.0, 500.0) } else { prior.fano },
        };
    }

    fn tell(&self, surging: Vec<(Name, Rate, f64)>, edge: bool, scene: &Scene<'_>) -> Vec<Finding> {
        let mut told: Vec<(Name, Rate, f64)> =
            surging.into_iter().filter(|(_, rate, exposure)| self.matters(rate, *exposure)).collect();
        told.sort_unstable_by(|(a, ..), (b, ..)| scene.names.text(*a).cmp(scene.names.text(*b)));
        let mut findings: Vec<Finding> = told
            .iter()
            .map(|(name, rate, exposure)| self.finding(Some(scene.names.text(*name)), rate, *exposure, scene))
            .collect();
        let surplus: f64 = told.iter().map(|(_, rate, exposure)| self.surplus(rate, *exposure)).sum();
        let minute = scene.window.start.window_start(MINUTE_MS);
        let edge_exposure = self.edge_exposure(minute);
        let spread = self.surplus(&self.edge, edge_exposure) > 2.0 * surplus;
        if edge && spread && self.matters(&self.edge, edge_exposure) {
            findings.push(self.finding(None, &self.edge, edge_exposure, scene));
        }
        findings
    }

    fn surplus(&self, rate: &Rate, exposure: f64) -> f64 {
        rate.baseline.smoothed() - rate.baseline.mean(self.cohort) * exposure
    }

    fn matters(&self, rate: &Rate, exposure: f64) -> bool {
        let now = rate.baseline.smoothed();
        let load = self.edge.baseline.smoothed().max(1.0);
        now >= REQUESTS_A_MINUTE_MIN
            && now >= self.spec.peak_ratio_min * rate.baseline.peak()
            && self.surplus(rate, exposure) >= self.spec.load_share_min * load
    }

    fn finding(&self, subscription: Option<&Text>, surging: &Rate, exposure: f64, scene: &Scene<'_>) -> Finding {
        let now = surging.baseline.smoothed();
        let normal = surging.baseline.mean(self.cohort) * exposure;
        let share = now / self.edge.baseline.smoothed().max(now).max(1e-9);
        let labels = Dimensions::new(subscription.map(|name| (Dimension::Subscription, name.clone())));
        let who =
            subscription.map_or_else(|| "all customers together".to_owned(), |name| format!("subscription {name}"));
        let young = surging.baseline.minutes() < f64::from(LEARNING_MINUTES);
        let known = if young { "; it is new, and compared with all others" } else { "" };
        let evidence = format!(
            "{} now, {} is normal while everybody else is as busy as now, {} was the most so far{known}; repeats are not counted",
            rate(now / 60.0),
            rate(normal / 60.0),
            rate(surging.baseline.peak() / 60.0),
        );
        Finding {
            alert: AlertName::TrafficSurge,
            since: surging.since.unwrap_or(scene.window.start),
            value: rounded(now / 60.0),
            baseline: rounded(normal / 60.0),
            harm: now,
            unit: "requests per second",
            causes: vec![Cause {
                dimensions: labels.clone(),
                share: 1.0,
                confidence: if subscription.is_some() { Confidence::Medium } else { Confidence::Low },
                evidence,
            }],
            affected: Affected { subscriptions: u64::from(subscription.is_some()), requests_share: rounded(share) },
            customers: subscription
                .map(|name| Customer { subscription: name.clone(), share: 1.0 })
                .into_iter()
                .collect(),
            summary: format!(
                "{who}: {} new requests, normally {}; {} of the load, nothing explains it",
                rate(now / 60.0),
                rate(normal / 60.0),
                percent(share)
            ),
            labels,
            role: Role::Separate,
        }
    }
}

/// How a minute is judged and learnt from.
struct Judged {
    /// What may be expected, as a multiple of the mean.
    expected: f64,
    /// How busy the minute was, for the mean.
    exposure: f64,
    /// Evidence above which nothing is learnt.
    suspected_score: f64,
}

/// Takes the minute's count into a rate's evidence and baseline; its score.
fn step(rate: &mut Rate, judged: &Judged, cohort: Cohort, factor: f64, minute: Timestamp, judging: bool) -> f64 {
    let exposure = judged.exposure;
    let count = f64::from(std::mem::take(&mut rate.count));
    rate.baseline.observe(count);
    let mut score = 0.0;
    if judging {
        let evidence = rate.baseline.expected(cohort, judged.expected).log_likelihood_ratio(count, factor);
        let threshold = cusum_threshold(RUNS_A_FALSE_ALARM);
        score = (f64::from(rate.score) + evidence.min(EVIDENCE_A_MINUTE_MAX)).clamp(0.0, 1.5 * threshold);
        // Evidence fades slowly where counts are bursty; a rate that is back is back.
        let normal = rate.baseline.mean(cohort) * judged.expected;
        score = if rate.baseline.smoothed() < OVER_BELOW * normal { 0.0 } else { score };
    }
    #[allow(clippy::cast_possible_truncation)] // seven digits are plenty
    let smoothed = rate.baseline.smoothed() as f32;
    if score > 0.0 {
        rate.since = rate.since.or(Some(minute));
        rate.highest = rate.highest.max(smoothed);
    } else if rate.since.take().is_some() {
        rate.baseline.remember_peak(f64::from(std::mem::take(&mut rate.highest)));
    }
    let accepted = rate.since.is_some_and(|since| minute.since(since) >= ACCEPTED_MS);
    if accepted {
        (score, rate.since) = (0.0, None);
    }
    if score < judged.suspected_score {
        rate.baseline.learn(count, exposure, cohort);
        if accepted {
            // What it has been for hours is what it is: a day of the old rate must not outvote it.
            let smoothed = rate.baseline.smoothed();
            rate.baseline = RateBaseline::new();
            (0..LEARNING_MINUTES).for_each(|_| rate.baseline.learn(smoothed, exposure, cohort));
        }
    }
    #[allow(clippy::cast_possible_truncation)] // a score below 100
    let stored = score as f32;
    rate.score = stored;
    score
}

/// How busy all others are, as a multiple of their normal; never less than 1: an outage makes nobody else surge.
fn exposure((others_now, others_normal): (f64, f64)) -> f64 {
    if others_normal < OTHERS_A_MINUTE_MIN { 1.0 } else { (others_now / others_normal).clamp(1.0, 20.0) }
}

fn hour_of_day(minute: Timestamp) -> usize {
    usize::try_from(minute.as_millis().div_euclid(3_600_000).rem_euclid(24)).unwrap_or(0)
}

/// Sums in thousandths, as integers.
const FIXED: f64 = 1_000.0;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn fixed(value: f64) -> u64 {
    (value * FIXED).clamp(0.0, 1e15) as u64
}

impl Detector for TrafficSurge {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let minute = scene.window.start.window_start(MINUTE_MS);
        if let Some(before) = self.minute.filter(|before| *before != minute) {
            self.close_minute(before, scene);
        }
        self.minute = Some(minute);
        self.count(scene);
        self.findings.clone()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Rules;
    use crate::config::FlowConfig;
    use crate::detect::Limits;
    use crate::flow::StreamId;
    use crate::model::{Event, Output, Request, TransitionEvent};
    use crate::pipeline::{Pipeline, Settings};

    const START_MS: i64 = 1_772_352_000_000;

    /// Firing tickets (subject, minute) of traffic given as requests of (subscription, minute), spread over each minute.
    fn tickets(minutes: i64, requests: impl Fn(u32, i64) -> i64) -> Vec<(String, i64)> {
        let rules = Rules::shipped().unwrap().rules.into_iter().filter(|r| r.alert == AlertName::TrafficSurge);
        let settings = Settings {
            flow: FlowConfig::default(),
            rules: Rules { rules: rules.collect() },
            limits: Limits::shipped().unwrap(),
        };
        let mut pipeline = Pipeline::new(&settings);
        let mut outputs = Vec::new();
        for minute in 0..minutes {
            let mut events: Vec<(i64, u32)> = Vec::new();
            for subscription in 0..20 {
                let count = requests(subscription, minute);
                events.extend((0..count).map(|i| (i * 60_000 / count, subscription)));
            }
            events.sort_unstable();
            for (offset_ms, subscription) in events {
                let request = Request {
                    timestamp: Timestamp::from_millis(START_MS + minute * MINUTE_MS + offset_ms),
                    subscription: Text::from(format!("sub-{subscription}")),
                    route: Text::from("Get"),
                    status: 200,
                    ..Request::default()
                };
                outputs.extend(pipeline.apply(StreamId(0), &Event::Request(request)));
            }
        }
        let firing = outputs.into_iter().filter_map(|output| match output {
            Output::Transition(t) if t.event == TransitionEvent::Firing => {
                Some((t.labels.to_string(), t.at.since(Timestamp::from_millis(START_MS)) / MINUTE_MS))
            }
            _ => None,
        });
        firing.collect()
    }

    /// Bursty: 2 to 50 a minute where the mean is 16 (Fano about 12).
    fn bursty(subscription: u32, minute: i64) -> i64 {
        let noise = (i64::from(subscription) * 7_919 + minute * 104_729) % 97;
        if noise % 4 == 0 { 20 + noise % 31 } else { 2 + noise % 11 }
    }

    #[test]
    fn bursts_a_busy_day_and_an_outage_of_others_are_no_surge() {
        assert_eq!(tickets(300, bursty), []);
        // The day begins: everybody is six times as busy within four hours.
        let morning = |s: u32, m: i64| bursty(s, m) * (10 + (m - 60).clamp(0, 240) * 50 / 240) / 10;
        assert_eq!(tickets(360, morning), []);
        let outage = |s: u32, m: i64| if s > 3 && m > 100 { 0 } else { bursty(s, m) };
        assert_eq!(tickets(200, outage), []);
    }

    #[test]
    fn one_customer_ten_times_as_busy_is_one_ticket_about_it() {
        let found = tickets(200, |s, m| bursty(s, m) * if s == 7 && m >= 100 { 10 } else { 1 });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "subscription = sub-7");
        assert!((102..=125).contains(&found[0].1), "{found:?}");
    }

    #[test]
    fn who_does_it_every_hour_is_one_ticket() {
        let found = tickets(500, |s, m| bursty(s, m) * if s == 7 && m >= 60 && m % 60 < 15 { 10 } else { 1 });
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_crowd_is_one_ticket_about_everybody() {
        let found = tickets(200, |s, m| bursty(s, m) * if m >= 100 { 10 } else { 1 });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "everything");
    }
}
