//! `threshold:` of a rule: says for each key whether its series is past the threshold, and knows for which it cannot tell.

use rustc_hash::FxHashMap;

use super::ThresholdSpec;
use super::key::Key;
use super::series::{Family, Kind};
use super::signal_meter::SignalMeter;
use super::spec::is_counter;
use super::sums_meter::SumsMeter;
use super::told::Told;
use crate::detect::{Detector, Finding, Scene};
use crate::model::{AlertName, Dimensions, DurationMs, Timestamp};

/// A key without data for longer is forgotten: what it was has gone, and its alert ends.
const FORGOTTEN_MS: DurationMs = 900_000;
/// Keys remembered, those without data included; at the bound only those with data are.
const KEYS_REMEMBERED_MAX: usize = 10_000;

/// The detector's state.
#[derive(Debug)]
pub struct Threshold {
    alert: AlertName,
    spec: ThresholdSpec,
    fixed: Dimensions,
    subject: String,
    meter: Meter,
    keys: FxHashMap<Key, State>,
    began: Option<Timestamp>,
}

/// What the values come from.
#[derive(Debug)]
enum Meter {
    Sums(SumsMeter),
    Signals(SignalMeter),
}

/// What is known of a key.
#[derive(Debug, Clone, Copy)]
struct State {
    seen_at: Timestamp,
    /// Since when it is past the threshold.
    since: Option<Timestamp>,
}

impl Threshold {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(alert: AlertName, spec: &ThresholdSpec) -> Self {
        let meter = match spec.series.family() {
            Family::Signals => Meter::Signals(SignalMeter::new()),
            _ => Meter::Sums(SumsMeter::new(spec)),
        };
        Self {
            alert,
            fixed: spec.fixed_labels(),
            subject: spec.subject(),
            meter,
            keys: FxHashMap::default(),
            began: None,
            spec: spec.clone(),
        }
    }

    fn finding(&self, labels: Dimensions, since: Timestamp, value: f64) -> Finding {
        let moment = self.spec.series.kind() == Kind::Reading && !self.spec.metric.as_deref().is_some_and(is_counter);
        Told {
            alert: self.alert,
            labels,
            since,
            value,
            level: self.spec.level(),
            unit: self.spec.unit(),
            subject: &self.subject,
            over_ms: (!moment).then(|| self.spec.over_ms()),
        }
        .finding()
    }

    fn labels(&self, key: &Key, scene: &Scene<'_>) -> Dimensions {
        let mut labels = key.labels(self.spec.told_by(), scene.names);
        labels.0.extend(self.fixed.0.iter().map(|(dimension, text)| (*dimension, text.clone())));
        labels
    }

    /// A rate of nothing is nothing where there is other traffic to tell it from; for everything else, and for what must
    /// not fall, absent data says nothing.
    fn absence_is_calm(&self, scene: &Scene<'_>) -> bool {
        self.spec.series.kind() == Kind::Rate && self.spec.op.is_upward() && scene.window.total.requests > 0
    }
}

impl Detector for Threshold {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        let (start, end) = (scene.window.start, scene.window.end);
        self.began.get_or_insert(start);
        let values = match &mut self.meter {
            Meter::Sums(meter) => meter.observe(&self.spec, scene),
            Meter::Signals(meter) => meter.observe(&self.spec, scene),
        };
        let level = self.spec.level();
        let mut past = Vec::new();
        for (key, value) in values {
            let state = self.keys.entry(key).or_insert(State { seen_at: end, since: None });
            state.seen_at = end;
            state.since = level.holds(value, state.since.is_some()).then(|| state.since.unwrap_or(start));
            past.extend(state.since.map(|since| (key, since, value)));
        }
        // What is not past it and has no data is nobody's; what is, is remembered for a while, unless there is too much of it.
        let crowded = self.keys.len() > KEYS_REMEMBERED_MAX;
        let remembered = |state: &State| state.since.is_some() && end.since(state.seen_at) <= FORGOTTEN_MS && !crowded;
        self.keys.retain(|_, state| state.seen_at == end || remembered(state));
        let mut findings: Vec<Finding> =
            past.into_iter().map(|(key, since, value)| self.finding(self.labels(&key, scene), since, value)).collect();
        findings.sort_by(|a, b| a.labels.cmp(&b.labels));
        findings
    }

    fn judged(&self, labels: &Dimensions, scene: &Scene<'_>) -> Option<bool> {
        let key = Key::from_labels(self.spec.told_by(), labels, scene.names);
        let judged = match key.and_then(|key| self.keys.get(&key)) {
            Some(state) => state.seen_at == scene.window.end || self.absence_is_calm(scene),
            // What a detector that has just begun has not seen may still be there.
            None => self.began.is_some_and(|began| scene.window.end.since(began) >= self.spec.over_ms()),
        };
        Some(judged)
    }

    fn overflowed(&self) -> u64 {
        match &self.meter {
            Meter::Sums(meter) => meter.overflowed(),
            Meter::Signals(meter) => meter.overflowed(),
        }
    }
}
