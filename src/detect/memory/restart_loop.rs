//! `RestartLoop`: something restarts, or is killed for memory, again and again.
//!
//! A fast loop is plain by itself. A slow one, a restart every few minutes, is told from workers that are recycled and
//! from maintenance: what restarts as often as ever, or at the same time as yesterday, is no loop.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::detect::change_behind::is_part;
use crate::detect::edge_harm::edge_harm;
use crate::detect::words::{count, duration};
use crate::detect::{Detector, Finding, Role, Scene};
use crate::flow::{Name, SourceHistory, within};
use crate::model::{
    Affected, AlertName, Cause, Change, ChangeKind, Confidence, Dimension, Dimensions, DurationMs, Text, Timestamp,
};

/// `detect: {restart_loop: …}` of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartLoopSpec {
    /// Restarts that make a loop. A deploy restarts a container once, a rolled-back one twice.
    pub restarts_min: usize,
    /// Span in which they happen.
    pub within: Span,
}

impl Default for RestartLoopSpec {
    fn default() -> Self {
        Self { restarts_min: 3, within: Span::from_secs(900) }
    }
}

/// The first restart of a rollout follows its deploy within this, and each further one the one before.
const ROLLOUT_MS: DurationMs = 180_000;
/// No rollout lasts longer.
const ROLLOUT_MS_MAX: DurationMs = 3_600_000;
/// Readings tell of a restart a little early or late.
const ROLLOUT_SLACK_MS: DurationMs = 30_000;
/// Without a restart in this span the loop is over, however long the span it is counted in.
const STILL_MS: DurationMs = 300_000;
/// No deploy kills for memory: as many kills in an hour are a loop too, with a leak's time between them ...
const OOM_WITHIN_MS: DurationMs = 3_600_000;
/// ... which is over when the next one is late by so much of the usual time between them.
const LATE_FACTOR: DurationMs = 2;
/// Restarts further apart than this do not belong to one slow loop.
const SLOW_GAP_MS_MAX: DurationMs = 1_500_000;
/// A slow loop is new when the source had run for so many of its lives.
const QUIET_LIVES: DurationMs = 2;
/// Restarts that have their like a day before, this near, are planned.
const DAILY_MS: DurationMs = 86_400_000;
const DAILY_SLACK_MS: DurationMs = 1_200_000;

/// The detector's state: sources whose slow loop was new when it began, and what was usual before each loop. All else is
/// in the signal history.
#[derive(Debug)]
pub struct RestartLoop {
    spec: RestartLoopSpec,
    slowly_looping: FxHashSet<Name>,
    usual: FxHashMap<Name, Usual>,
}

/// Restarts before a loop began: later, those of the loop itself would be among them.
#[derive(Debug, Clone, Copy)]
struct Usual {
    before: usize,
    /// When the loop was found last.
    found: Timestamp,
}

/// Restarts that are a loop.
struct Loop {
    /// Oldest first, three at least.
    restarts: Vec<Timestamp>,
    /// Restarts as long before it.
    before: usize,
    /// The span they are counted in.
    within_ms: DurationMs,
    /// Nothing but memory tells of them.
    by_memory: bool,
}

impl RestartLoop {
    /// From its specification.
    #[must_use]
    pub fn new(spec: RestartLoopSpec) -> Self {
        Self { spec, slowly_looping: FxHashSet::default(), usual: FxHashMap::default() }
    }

    /// Restarts near each other, or kills within an hour.
    fn fast(&self, source: &str, history: &SourceHistory, scene: &Scene<'_>) -> Option<Loop> {
        let end = scene.window.end;
        let within_ms = self.spec.within.as_millis();
        let times = history.restarts.best_told(end, within_ms);
        let lately = |span_ms: DurationMs| times.iter().copied().filter(move |at| end.since(*at) < span_ms);
        if lately(within_ms).count() >= self.spec.restarts_min {
            let restarts: Vec<Timestamp> = lately(within_ms).collect();
            let kills = within(&history.restarts.oom_kills, end, within_ms);
            let planned = kills == 0 && (is_rollout(source, &restarts, history, scene) || is_daily(&restarts, times));
            let still = lately(STILL_MS.min(within_ms)).count() > 0;
            let before = times.len() - restarts.len();
            return (still && !planned).then_some(Loop { restarts, before, within_ms, by_memory: false });
        }
        let kills = &history.restarts.oom_kills;
        let restarts: Vec<Timestamp> = kills.iter().copied().filter(|at| end.since(*at) < OOM_WITHIN_MS).collect();
        let before = kills.len() - restarts.len();
        (restarts.len() >= self.spec.restarts_min && goes_on(&restarts, end)).then_some(Loop {
            restarts,
            before,
            within_ms: OOM_WITHIN_MS,
            by_memory: false,
        })
    }

    /// Restarts up to 25 minutes apart, of a source that did not use to.
    fn slow(&self, name: Name, source: &str, history: &SourceHistory, scene: &Scene<'_>) -> Option<Loop> {
        let (told, end) = (&history.restarts, scene.window.end);
        let times = if told.are_told { told.best_told(end, 4 * SLOW_GAP_MS_MAX) } else { &told.memory_falls };
        let chain_from = |times: &[Timestamp]| {
            let apart = times.windows(2).rposition(|pair| pair[1].since(pair[0]) > SLOW_GAP_MS_MAX);
            times[apart.map_or(0, |place| place + 1)..].to_vec()
        };
        if times.len() < self.spec.restarts_min {
            return None;
        }
        let unplanned = without_rollouts(source, times.iter().copied(), history, scene);
        let restarts = chain_from(&unplanned);
        if restarts.len() < self.spec.restarts_min || !goes_on(&restarts, end) || is_daily(&restarts, times) {
            return None;
        }
        let first = restarts[0];
        let harm = || edge_harm(scene.signals.edge(), first, end).is_some();
        let by_memory = !told.are_told;
        let new = || ran_before(history, &unplanned, &restarts) && !by_memory || harm();
        (self.slowly_looping.contains(&name) || new()).then(|| Loop {
            restarts,
            before: 0,
            within_ms: end.since(first),
            by_memory,
        })
    }

    fn finding(&mut self, name: Name, history: &SourceHistory, scene: &Scene<'_>) -> Option<Finding> {
        let source = scene.names.text(name);
        let mut found = self.fast(source, history, scene).or_else(|| {
            let slow = self.slow(name, source, history, scene);
            match &slow {
                Some(_) => self.slowly_looping.insert(name),
                None => self.slowly_looping.remove(&name),
            };
            slow
        })?;
        let end = scene.window.end;
        let usual = self.usual.entry(name).or_insert(Usual { before: found.before, found: end });
        usual.found = end;
        found.before = usual.before;
        Some(found.finding(source, history, end))
    }
}

impl Loop {
    fn finding(&self, source: &Text, history: &SourceHistory, end: Timestamp) -> Finding {
        let (restarts, since) = (self.restarts.len(), self.restarts[0]);
        let kills = within(&history.restarts.oom_kills, end, self.within_ms);
        let labels = Dimensions::new([(Dimension::Source, source.clone())]);
        let reason = match (kills, self.by_memory) {
            (0, true) => ", told by its memory that falls from the limit".to_owned(),
            (0, false) => String::new(),
            (kills, _) => format!(", {kills} of them killed for memory"),
        };
        #[allow(clippy::cast_precision_loss)] // at most 64
        let (value, baseline) = (restarts as f64, self.before.min(restarts) as f64);
        let span = duration(self.within_ms);
        Finding {
            alert: AlertName::RestartLoop,
            labels: labels.clone(),
            since,
            value,
            baseline,
            harm: value,
            unit: "restarts",
            causes: vec![Cause {
                dimensions: labels,
                share: 1.0,
                confidence: Confidence::Medium,
                evidence: format!("{} in {span}{reason}, the first at {since}", count(restarts, "restart")),
            }],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: format!("{source} restarted {restarts} times in {span}{reason}"),
            role: Role::Symptom,
        }
    }
}

/// Usual time between restarts.
fn usual_ms(restarts: &[Timestamp]) -> DurationMs {
    let lives = DurationMs::try_from(restarts.len().saturating_sub(1).max(1)).unwrap_or(1);
    restarts.last().zip(restarts.first()).map_or(0, |(last, first)| last.since(*first) / lives)
}

/// Whether the next restart is not overdue.
fn goes_on(restarts: &[Timestamp], end: Timestamp) -> bool {
    restarts.last().is_some_and(|last| end.since(*last) <= (LATE_FACTOR * usual_ms(restarts)).max(STILL_MS))
}

/// Whether the source had run for several lives of the loop before it: workers that are recycled never did.
fn ran_before(history: &SourceHistory, unplanned: &[Timestamp], restarts: &[Timestamp]) -> bool {
    let Some(first) = restarts.first().copied() else { return false };
    let previous = unplanned.len().checked_sub(restarts.len() + 1).map(|place| unplanned[place]);
    let life_ms = usual_ms(restarts);
    #[allow(clippy::cast_possible_truncation)] // clamped
    let up_ms =
        history.restarts.first_uptime_seconds.map_or(0, |seconds| (seconds.clamp(0.0, 1e9) * 1_000.0) as DurationMs);
    let ran_ms = previous.map_or(up_ms.max(first.since(history.first_seen())), |previous| first.since(previous));
    ran_ms >= QUIET_LIVES * life_ms
}

/// Whether each restart has its like about a day before.
fn is_daily<'a>(restarts: &[Timestamp], all: impl IntoIterator<Item = &'a Timestamp> + Copy) -> bool {
    let near = |at: &Timestamp, other: &Timestamp| (at.since(*other) - DAILY_MS).abs() <= DAILY_SLACK_MS;
    restarts.iter().all(|at| all.into_iter().any(|other| near(at, other)))
}

fn deployed(source: &str, from: Timestamp, until: Timestamp, scene: &Scene<'_>) -> bool {
    let recent = |change: &&Change| change.timestamp >= from;
    let mut changes = scene.changes.until(until).rev().take_while(recent);
    changes.any(|change| change.kind != ChangeKind::Flag && is_part(&change.service, source))
}

/// Whether restarts are a rollout that harms nobody: one source may count those of all its replicas. Once that has lasted
/// too long, or the span has passed the deploy where there is one process only, what still restarts is a loop.
fn is_rollout(source: &str, restarts: &[Timestamp], history: &SourceHistory, scene: &Scene<'_>) -> bool {
    let Some(first) = restarts.first().copied() else { return false };
    let begins = deployed(source, first.plus(-ROLLOUT_MS), first.plus(ROLLOUT_SLACK_MS), scene);
    let all = history.restarts.counted.iter().copied();
    let within = || without_rollouts(source, all, history, scene).iter().all(|at| *at < first);
    (begins || (!tells_uptime(history) && within()))
        && !edge_harm(scene.signals.edge(), first, scene.window.end).is_some_and(|harm| harm.fails())
}

/// Whether it is one process: a count of restarts may be that of all replicas, a time up is that of one.
fn tells_uptime(history: &SourceHistory) -> bool {
    !history.restarts.uptime_resets.is_empty()
}

/// Restarts that follow no deploy: neither at once nor, where all replicas are counted, one after the other.
fn without_rollouts(
    source: &str,
    times: impl Iterator<Item = Timestamp>,
    history: &SourceHistory,
    scene: &Scene<'_>,
) -> Vec<Timestamp> {
    // When the rollout began, and its newest restart.
    let (mut rollout, mut left): (Option<(Timestamp, Timestamp)>, Vec<Timestamp>) = (None, Vec::new());
    for at in times {
        let goes_on = rollout.filter(|(began, newest)| {
            !tells_uptime(history) && at.since(*newest) <= ROLLOUT_MS && at.since(*began) <= ROLLOUT_MS_MAX
        });
        if let Some((began, _)) = goes_on {
            rollout = Some((began, at));
        } else if deployed(source, at.plus(-ROLLOUT_MS), at.plus(ROLLOUT_SLACK_MS), scene) {
            rollout = Some((at, at));
        } else {
            left.push(at);
        }
    }
    left
}

impl Detector for RestartLoop {
    fn observe(&mut self, scene: &Scene<'_>) -> Vec<Finding> {
        self.slowly_looping.retain(|name| scene.signals.get(*name).is_some());
        let (end, kept_ms) = (scene.window.end, self.spec.within.as_millis());
        self.usual.retain(|name, usual| scene.signals.get(*name).is_some() && end.since(usual.found) <= kept_ms);
        scene.sources.iter().filter_map(|(name, history)| self.finding(*name, history, scene)).collect()
    }
}
