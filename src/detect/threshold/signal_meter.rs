//! Series of sources: the newest reading of a gauge, what a counter goes up by, and one metric over another.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::ThresholdSpec;
use super::key::Key;
use super::spec::is_counter;
use super::sums_meter::KEYS_MAX;
use crate::detect::Scene;
use crate::flow::{Name, SignalCell};
use crate::model::{Dimension, DurationMs, Timestamp};

/// Increases kept of a counter: at the bound neighbours are added up.
const INCREASES_MAX: usize = 60;

/// The metrics of all sources that a rule looks at.
#[derive(Debug)]
pub(super) struct SignalMeter {
    sources: FxHashMap<Name, Source>,
    overflowed: u64,
}

#[derive(Debug, Default)]
struct Source {
    metric: Metric,
    divided_by: Metric,
}

/// One metric of a source.
#[derive(Debug, Default)]
struct Metric {
    newest: Option<(Timestamp, f64)>,
    /// End, amount and length of what a counter went up by, oldest first.
    increases: VecDeque<(Timestamp, f64, DurationMs)>,
}

impl Metric {
    /// Takes a reading in. A counter that went down began anew: what happened around that is not known.
    fn read(&mut self, reading: &SignalCell, counter: bool, over_ms: DurationMs) {
        let before = self.newest.replace((reading.at, reading.last));
        let Some((at, value)) = before.filter(|_| counter) else { return };
        let length_ms = reading.at.since(at);
        if reading.last < value || length_ms <= 0 {
            return;
        }
        self.increases.push_back((reading.at, reading.last - value, length_ms));
        while self.increases.len() > 1
            && self.increases.front().is_some_and(|(end, _, ms)| reading.at.since(end.plus(-ms)) > over_ms)
        {
            self.increases.pop_front();
        }
        if self.increases.len() > INCREASES_MAX {
            self.halve();
        }
    }

    /// Adds neighbours up.
    fn halve(&mut self) {
        let pairs: Vec<_> = std::mem::take(&mut self.increases).into();
        let sum = |pair: &[(Timestamp, f64, DurationMs)]| {
            pair.iter().skip(1).fold(pair[0], |(_, by, ms), next| (next.0, by + next.1, ms + next.2))
        };
        self.increases = pairs.chunks(2).map(sum).collect();
    }

    fn value(&self, counter: bool) -> Option<f64> {
        if !counter {
            return self.newest.map(|(_, value)| value);
        }
        let (by, ms) = self.increases.iter().fold((0.0, 0), |(by, ms), (_, more, length)| (by + more, ms + length));
        #[allow(clippy::cast_precision_loss)] // far below 2^52 ms
        let seconds = ms as f64 / 1_000.0;
        (ms > 0).then(|| by / seconds)
    }
}

impl SignalMeter {
    pub fn new() -> Self {
        Self { sources: FxHashMap::default(), overflowed: 0 }
    }

    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Takes a window in and gives the values of all sources whose readings tell of now.
    pub fn observe(&mut self, spec: &ThresholdSpec, scene: &Scene<'_>) -> Vec<(Key, f64)> {
        let metric = spec.metric.as_deref().unwrap_or_default();
        self.read(spec, metric, scene);
        let is_current = |name: &Name| scene.signals.get(*name).is_some_and(|known| known.is_current(scene.window.end));
        self.sources.retain(|name, _| scene.signals.get(*name).is_some());
        let counter = is_counter(metric);
        let value = |source: &Source| {
            let above = source.metric.value(counter)?;
            if spec.divided_by.is_none() {
                return Some(above);
            }
            source.divided_by.value(counter).filter(|below| *below > 0.0).map(|below| above / below)
        };
        let current = self.sources.iter().filter(|(name, _)| is_current(name));
        current.filter_map(|(name, source)| Some((key_of(*name), value(source)?))).collect()
    }

    fn read(&mut self, spec: &ThresholdSpec, metric: &str, scene: &Scene<'_>) {
        let asked_for = spec.only.0.get(&Dimension::Source);
        let own = |name: Name, wanted: Option<&str>| wanted.is_some_and(|wanted| scene.names.text(name) == wanted);
        let divided_by = spec.divided_by.as_deref();
        let mut readings: Vec<(Name, bool, &SignalCell)> = Vec::new();
        for ((source, name), cell) in &scene.window.signals {
            let (above, below) = (own(*name, Some(metric)), own(*name, divided_by));
            // A source that nobody follows (`flow::SignalHistory` is full, or it is a row of a rule) is not judged.
            let followed = (above || below) && scene.signals.get(*source).is_some();
            if followed && asked_for.is_none_or(|texts| texts.name(scene.names.text(*source))) {
                readings.push((*source, above, cell));
            }
        }
        // At the bound, which sources are followed must not depend on the order of a hash map.
        readings.sort_by(|(a, a_above, _), (b, b_above, _)| {
            scene.names.text(*a).cmp(scene.names.text(*b)).then(a_above.cmp(b_above))
        });
        for (source, above, cell) in readings {
            if self.sources.len() >= KEYS_MAX && !self.sources.contains_key(&source) {
                self.overflowed += 1;
                continue;
            }
            let source = self.sources.entry(source).or_default();
            let place = if above { &mut source.metric } else { &mut source.divided_by };
            place.read(cell, is_counter(metric), spec.over_ms());
        }
    }
}

fn key_of(source: Name) -> Key {
    Key::of(&[Dimension::Source], |_| source)
}
