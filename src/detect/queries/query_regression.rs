//! `QueryRegression`: a query pattern takes more memory, time or rows after a change than before it.
//!
//! Before and after are compared by rank (Mann–Whitney) and by their medians: tails are noise. A change is a new version of
//! what asks, or a change event. Where everything on the nodes became slower, time is compared with how much slower.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::query_blowup::SeriesKey;
use super::query_history::{MEASURES, Measure, QueryHistory, Shift, Trigger};
use crate::detect::change_behind::{Bond, bond, describe};
use crate::detect::statistics::discovery_z;
use crate::detect::words::{bytes, count, duration, rounded};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::model::{
    Affected, AlertName, Cause, Change, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp,
};

/// Patterns by origin that are followed; further ones are counted in `overflowed`.
const HISTORIES_MAX: usize = 10_000;
/// How often patterns are compared: medians do not change by the second.
const JUDGE_MS: DurationMs = 15_000;
/// Fewer patterns do not tell whether everything became slower.
const FLEET_MIN: usize = 3;

/// Of the patterns that are named after a deployment, so many may be chance.
const FALSE_DISCOVERIES_MAX: f64 = 0.01;

/// `detect: {query_regression: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryRegressionSpec {
    /// How many times what it took before the change.
    pub ratio_min: f64,
    /// Runs after the change that must be known.
    pub runs_min: u64,
}

impl Default for QueryRegressionSpec {
    fn default() -> Self {
        Self { ratio_min: 1.5, runs_min: 10 }
    }
}

/// The detector's state.
#[derive(Debug)]
pub struct QueryRegression {
    spec: QueryRegressionSpec,
    histories: FxHashMap<SeriesKey, QueryHistory>,
    changes_seen_until: Option<Timestamp>,
    judged_at: Option<Timestamp>,
    held: Vec<(SeriesKey, Shift)>,
    overflowed: u64,
}

impl QueryRegression {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(spec: QueryRegressionSpec) -> Self {
        Self {
            spec,
            histories: FxHashMap::default(),
            changes_seen_until: None,
            judged_at: None,
            held: Vec::new(),
            overflowed: 0,
        }
    }

    /// Changes that happened since the last look begin a comparison for the patterns they may touch.
    fn note_changes(&mut self, scene: &Scene<'_>) {
        let end = scene.window.end;
        let since = self.changes_seen_until.replace(end).unwrap_or(scene.window.start);
        let fresh = scene.changes.until(end.plus(-1)).rev().take_while(|change| change.timestamp >= since);
        let fresh: Vec<&Change> = fresh.collect();
        for change in fresh.into_iter().rev() {
            for (key, history) in &mut self.histories {
                let bond = bond(change, scene.names.text(key.origin), None);
                history.begin(Trigger::Change { at: change.timestamp, touches: bond > Bond::Near });
            }
        }
    }

    fn push(&mut self, scene: &Scene<'_>) {
        let start = scene.window.start;
        for ((key, _), cell) in scene.sorted_queries() {
            let series = SeriesKey { fingerprint: key.fingerprint, origin: key.origin };
            if key.fingerprint.is_absent() {
                continue;
            }
            if self.histories.len() >= HISTORIES_MAX && !self.histories.contains_key(&series) {
                self.overflowed += 1;
                continue;
            }
            let history = self.histories.entry(series).or_insert_with(|| QueryHistory::new(start));
            history.add(start, key.version, cell);
        }
        // At the bound, the silent ones make room, once a day each.
        if self.histories.len() >= HISTORIES_MAX && self.overflowed % 10_000 == 1 {
            self.histories.retain(|_, history| start.since(history.last()) <= 86_400_000);
        }
    }

    /// How many times slower everything is now than patterns were at first, in the middle; 1 where too little is known.
    fn slowness(&self, end: Timestamp) -> f64 {
        let mut ratios: Vec<f64> = self.histories.values().filter_map(|history| history.slowness(end)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        if ratios.len() < FLEET_MIN { 1.0 } else { ratios[(ratios.len() - 1) / 2] }
    }

    fn judge(&mut self, scene: &Scene<'_>) {
        let end = scene.window.end;
        if self.judged_at.is_some_and(|at| end.since(at) < JUDGE_MS) {
            return;
        }
        self.judged_at = Some(end);
        let level = self.slowness(end);
        self.held.clear();
        for (key, history) in &mut self.histories {
            history.roll(end);
            history.note_level(level);
            let shift = history.shift(end, self.spec.ratio_min, self.spec.runs_min);
            self.held.extend(shift.map(|shift| (*key, shift)));
        }
        self.keep_discoveries();
        self.held.sort_by_key(|(key, _)| (scene.names.text(key.fingerprint), scene.names.text(key.origin)));
    }

    /// A deployment that a thousand patterns follow is a thousand comparisons: some look heavier by chance.
    fn keep_discoveries(&mut self) {
        let compared = self.histories.values().filter(|history| history.is_compared()).count();
        let z_scores: Vec<f64> = self.held.iter().map(|(_, shift)| shift.z).collect();
        let least = discovery_z(&z_scores, compared * MEASURES.len(), FALSE_DISCOVERIES_MAX).unwrap_or(f64::INFINITY);
        self.held.retain(|(_, shift)| shift.z >= least);
    }

    fn finding(&self, same: &[(SeriesKey, Shift)], scene: &Scene<'_>) -> Finding {
        let causes: Vec<Cause> = same.iter().take(5).map(|(key, shift)| cause(*key, shift, scene)).collect();
        let (key, shift) = same
            .iter()
            .max_by(|(_, a), (_, b)| a.ratio().total_cmp(&b.ratio()))
            .map_or((same[0].0, &same[0].1), |(key, shift)| (*key, shift));
        let fingerprint = scene.names.text(key.fingerprint);
        Finding {
            alert: AlertName::QueryRegression,
            labels: Dimensions::new([(Dimension::Fingerprint, fingerprint.clone())]),
            since: shift.trigger.at(),
            value: rounded(shift.after),
            baseline: rounded(shift.before),
            harm: shift.ratio(),
            unit: unit(shift.measure),
            causes,
            affected: Affected::default(),
            customers: Vec::new(),
            summary: summary(key, shift, scene),
            role: Role::Separate,
        }
    }
}

fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::Memory | Measure::Bytes => "bytes",
        Measure::Duration => "milliseconds",
        Measure::Rows => "rows",
    }
}

fn said(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Memory => format!("{} of memory", bytes(value)),
        Measure::Bytes => format!("{} read", bytes(value)),
        Measure::Duration if value < 10_000.0 => format!("{value:.0} ms"),
        #[allow(clippy::cast_possible_truncation)] // at most 30 days
        Measure::Duration => duration(value as DurationMs),
        Measure::Rows => format!("{value:.0} rows read"),
    }
}

fn summary(key: SeriesKey, shift: &Shift, scene: &Scene<'_>) -> String {
    let fingerprint = scene.names.text(key.fingerprint);
    let origin = scene.names.text(key.origin);
    let of = if key.origin.is_absent() { String::new() } else { format!(" of {origin}") };
    let since = match shift.trigger {
        Trigger::Version { version, .. } => format!("version {}", scene.names.text(version)),
        Trigger::Change { at, .. } => format!("the change at {at}"),
    };
    format!(
        "query {fingerprint}{of} takes {} a run since {since}, {:.1} times the {} before",
        said(shift.measure, shift.after),
        shift.ratio(),
        said(shift.measure, shift.before)
    )
}

fn cause(key: SeriesKey, shift: &Shift, scene: &Scene<'_>) -> Cause {
    let names = scene.names;
    let mut pairs: Vec<(Dimension, Text)> = vec![(Dimension::Fingerprint, names.text(key.fingerprint).clone())];
    if !key.origin.is_absent() {
        pairs.push((Dimension::Origin, names.text(key.origin).clone()));
    }
    let (mut confidence, mut change) = (Confidence::Medium, String::new());
    match shift.trigger {
        Trigger::Version { version, at } => {
            pairs.push((Dimension::Version, names.text(version).clone()));
            confidence = Confidence::High;
            let (origin, version) = (names.text(key.origin), names.text(version));
            let behind = crate::detect::change_behind::change_behind(scene.changes, origin, Some(version), at);
            let known = behind.filter(|(bond, _)| *bond > Bond::Near).map(|(_, change)| describe(change, at));
            change = format!("; first run of {version} at {at}");
            change.extend(known.map(|known| format!(", {known}")));
        }
        Trigger::Change { at, touches } => {
            let known = scene.changes.until(at).rev().find(|change| change.timestamp == at);
            change.extend(known.map(|known| format!("; {}", describe(known, at))));
            if !touches {
                confidence = Confidence::Low;
                change.push_str(", which names something else");
            }
        }
    }
    let all: Vec<String> =
        shift.ratios.iter().map(|(measure, ratio)| format!("{} {ratio:.1}×", measure.name())).collect();
    let evidence = format!(
        "{} after against {} before, z = {:.1} ({}){}{change}",
        count(usize::try_from(shift.runs).unwrap_or(usize::MAX), "run"),
        shift.runs_before,
        shift.z,
        all.join(", "),
        scan(shift)
    );
    Cause { dimensions: Dimensions::new(pairs), share: 1.0, confidence, evidence }
}

/// Whether what it reads explains what it takes.
fn scan(shift: &Shift) -> &'static str {
    let ratio = |wanted: Measure| shift.ratios.iter().find(|(measure, _)| *measure == wanted).map(|(_, ratio)| *ratio);
    let read = MEASURES.iter().filter(|m| matches!(m, Measure::Rows | Measure::Bytes)).filter_map(|m| ratio(*m));
    let read = read.fold(0.0, f64::max);
    match shift.trigger {
        _ if read == 0.0 => "",
        _ if read < 1.2 => "; it reads no more than before",
        Trigger::Change { .. } if read >= 0.7 * shift.ratio() => {
            "; it reads more in proportion: more data was asked for, or a filter was lost"
        }
        Trigger::Version { .. } if read >= 0.7 * shift.ratio() => {
            "; it reads more in proportion: a filter was lost, or its range grew"
        }
        _ => "; what it reads does not explain it",
    }
}

impl Detector for QueryRegression {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.note_changes(scene);
        self.push(scene);
        if self.histories.is_empty() {
            return Vec::new();
        }
        self.judge(scene);
        let same = |a: &(SeriesKey, Shift), b: &(SeriesKey, Shift)| a.0.fingerprint == b.0.fingerprint;
        self.held.chunk_by(same).map(|same| self.finding(same, scene)).collect()
    }

    fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
