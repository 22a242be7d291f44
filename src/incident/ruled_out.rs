//! Red herrings: what looked like the cause and is not, each with its reason.
//!
//! A candidate is refused when it does not precede the onset, shows no dose-response (the platform did not get worse as
//! it grew), or does not touch what misbehaves.

use super::Adoption;
use super::changes::{is_release_of, suspects};
use super::open::Root;
use crate::detect::statistics::theil_sen;
use crate::detect::{Scene, bytes, duration, percent};
use crate::flow::{Bucket, COARSE_MS, Cell, ChangeLog, FINE_MS, Name, SourceHistory};
use crate::model::{AlertName, Change, ChangeKind, Dimension, DurationMs, RuledOut, Timestamp};

/// Changes this old are looked at.
const CHANGES_MS: DurationMs = 14 * 86_400_000;
/// At most this many, the newest before the onset.
const CHANGES_MAX: usize = 5;
/// Buckets that must precede the onset to speak of a trend: half an hour of coarse ones, minutes of fine ones.
const BUCKETS_MIN: usize = 6;
/// Mann–Kendall for "it grew before the onset": one-sided 99.5 %.
const RISING_Z: f64 = 2.58;
/// After the onset a leak keeps its pace within this factor; memory that follows the storm does not.
const PACE_FACTOR_MAX: f64 = 3.0;
/// Least growth, as a share of the limit (or of what was used), worth a word.
const GROWTH_SHARE_MIN: f64 = 0.02;
/// Growth since the onset, as a share of the limit, that people see on a dashboard and take for the cause.
const CONSEQUENCE_SHARE_MIN: f64 = 0.1;
/// Growth of demand below this factor is not what multiplies load.
const DEMAND_FACTOR_MAX: f64 = 2.0;

/// Everything that looked like the cause of `root`'s trouble and is not. Sources that are symptoms themselves, where no
/// culprit is known, are not refused.
#[must_use]
pub fn refuse(
    root: &Root,
    is_symptom: &dyn Fn(&str) -> bool,
    scene: &Scene<'_>,
    changes: &ChangeLog,
    adoption: &Adoption,
) -> Vec<RuledOut> {
    let mut refused = leaks(root, is_symptom, scene);
    refused.extend(other_changes(root, changes));
    if root.alert == AlertName::RetryAmplification {
        refused.extend(demand(root, adoption));
        refused.extend(compliant_clients(root, scene));
    }
    refused
}

fn leaks(root: &Root, is_symptom: &dyn Fn(&str) -> bool, scene: &Scene<'_>) -> Vec<RuledOut> {
    let sources = scene.signals.sorted(scene.names);
    // What grows with an outage that nobody is named for may well be its cause.
    let named = matches!(
        root.alert,
        AlertName::RetryAmplification | AlertName::RequestAmplification | AlertName::QueryBlowup | AlertName::PoolLeak
    );
    sources
        .into_iter()
        .filter(|(name, _)| {
            let source = scene.names.text(*name).as_str();
            root.labels.get(Dimension::Source) != Some(source) && !is_symptom(source)
        })
        .filter_map(|(name, history)| {
            let source = scene.names.text(name);
            leak(source, history, root).or_else(|| named.then(|| consequence(source, history, root)).flatten())
        })
        .collect()
}

fn leak(source: &str, history: &SourceHistory, root: &Root) -> Option<RuledOut> {
    let (before, after) = around(history, root.since);
    let (first, last) = (before.first()?, before.last()?);
    let slope_before = rising_slope(&before)?;
    let grown = last.used_bytes - first.used_bytes;
    if grown < GROWTH_SHARE_MIN * history.limit_bytes.unwrap_or(last.used_bytes) {
        return None;
    }
    let now = after.last().unwrap_or(last);
    let pace = |slope: f64| format!("{} an hour", bytes(slope * 3_600.0));
    let same_pace = match slope_after(&before, &after) {
        // Too soon to compare: that it grew for so long without harm has to do.
        None => "has shown no dose-response so far".to_owned(),
        Some(slope) if (slope_before / PACE_FACTOR_MAX..=slope_before * PACE_FACTOR_MAX).contains(&slope) => {
            format!("kept its pace through the incident ({})", pace(slope))
        }
        Some(_) => return None,
    };
    let limit = history
        .limit_bytes
        .map(|limit| format!("; it is at {} of its limit", percent(now.used_bytes / limit)))
        .unwrap_or_default();
    Some(RuledOut {
        candidate: format!("memory growth of {source}"),
        why: format!(
            "it grew at {} since {} at least, {} before the onset, while the platform was healthy, and {same_pace}{limit}",
            pace(slope_before),
            first.start,
            duration(root.since.since(first.start)),
        ),
    })
}

/// Memory that began to grow with the onset follows the load: whoever makes the load is the cause.
fn consequence(source: &str, history: &SourceHistory, root: &Root) -> Option<RuledOut> {
    let (before, after) = around(history, root.since);
    let (last_before, now) = (before.last()?, after.last()?);
    let highest_before = before.iter().map(|b| b.used_bytes).fold(0.0, f64::max);
    let grown = now.used_bytes - highest_before;
    let follows = rising_slope(&before).is_none()
        && grown >= CONSEQUENCE_SHARE_MIN * history.limit_bytes.unwrap_or(last_before.used_bytes);
    follows.then(|| RuledOut {
        candidate: format!("memory growth of {source}"),
        why: format!(
            "it was steady at {} or less until the onset and grew by {} only since then: a consequence",
            bytes(highest_before),
            bytes(grown)
        ),
    })
}

/// Memory before and after the onset: five-minute buckets, or half-minute ones while the log is short.
fn around(history: &SourceHistory, onset: Timestamp) -> (Vec<Bucket>, Vec<Bucket>) {
    let split = |buckets: &std::collections::VecDeque<Bucket>, length_ms| -> (Vec<Bucket>, Vec<Bucket>) {
        buckets.iter().partition(|bucket| bucket.start.plus(length_ms) <= onset)
    };
    let coarse = split(&history.coarse, COARSE_MS);
    if coarse.0.len() >= BUCKETS_MIN { coarse } else { split(&history.fine, FINE_MS) }
}

#[allow(clippy::cast_precision_loss)] // spans are far below 2^52 ms
fn points(buckets: &[Bucket]) -> Vec<(f64, f64)> {
    buckets.iter().map(|b| (b.start.as_millis() as f64 / 1_000.0, b.used_bytes)).collect()
}

fn rising_slope(before: &[Bucket]) -> Option<f64> {
    if before.len() < BUCKETS_MIN {
        return None;
    }
    let trend = theil_sen(&points(before))?;
    (trend.z >= RISING_Z && trend.slope_lower > 0.0).then_some(trend.slope)
}

/// Pace since the onset, from the last reading before it.
fn slope_after(before: &[Bucket], after: &[Bucket]) -> Option<f64> {
    let mut buckets: Vec<Bucket> = before.last().into_iter().copied().collect();
    buckets.extend_from_slice(after);
    theil_sen(&points(&buckets)).map(|trend| trend.slope)
}

fn other_changes(root: &Root, changes: &ChangeLog) -> Vec<RuledOut> {
    let suspected = suspects(root, changes);
    // A named client or query is evidence enough against a deploy that merely happened shortly before.
    let acquitted = |change: &&Change| {
        root.alert == AlertName::RetryAmplification
            || !suspected.iter().any(|(suspect, _)| std::ptr::eq(*suspect, *change))
    };
    let recent = changes.until(root.since).rev().filter(|change| root.since.since(change.timestamp) <= CHANGES_MS);
    recent
        .filter(|change| !is_release_of(change, root) && !may_touch(change, root))
        .filter(acquitted)
        .take(CHANGES_MAX)
        .map(|change| RuledOut {
            candidate: format!("{} of {} at {}", change.kind.as_str(), subject(change), change.timestamp),
            why: format!(
                "for {} after it nothing happened, and it does not touch {}, which this comes from",
                duration(root.since.since(change.timestamp)),
                root.labels
            ),
        })
        .collect()
}

/// A release may well be what a subscription that misbehaves has installed.
fn may_touch(change: &Change, root: &Root) -> bool {
    change.kind == ChangeKind::Release && root.labels.get(Dimension::ClientVersion).is_none()
}

fn subject(change: &Change) -> String {
    change
        .version
        .as_ref()
        .map_or_else(|| change.service.to_string(), |version| format!("{} {version}", change.service))
}

fn demand(root: &Root, adoption: &Adoption) -> Option<RuledOut> {
    let before = adoption.firsts_per_second(root.since.plus(-1_800_000))?;
    let after = adoption.firsts_per_second(root.since.plus(300_000))?;
    (before > 0.0 && after <= DEMAND_FACTOR_MAX * before).then(|| RuledOut {
        candidate: "growth of demand".to_owned(),
        why: format!(
            "customers started {after:.1} new requests a second after the onset and {before:.1} half an hour before it"
        ),
    })
}

/// Clients that repeat too, but give up as they should: a consequence.
fn compliant_clients(root: &Root, scene: &Scene<'_>) -> Vec<RuledOut> {
    let mut versions: std::collections::BTreeMap<String, Cell> = std::collections::BTreeMap::new();
    for (key, cell) in scene.recent.cells() {
        let absent = key.client == Name::ABSENT || key.client_version == Name::ABSENT;
        let culprit = super::attribution::matches(key, &root.labels, scene.names);
        if key.caller.is_absent() && !absent && !culprit {
            let title = format!("{} {}", scene.names.text(key.client), scene.names.text(key.client_version));
            versions.entry(title).or_default().add(cell);
        }
    }
    let repeats = |cell: &Cell| cell.requests >= 50 && cell.attempts_per_request() >= 1.2;
    versions
        .into_iter()
        .filter(|(_, cell)| repeats(cell) && cell.resends_beyond_budget * 50 <= cell.requests)
        .map(|(title, cell)| RuledOut {
            candidate: format!("retries of {title}"),
            why: format!(
                "it repeats failed requests too ({:.1} attempts per request) but gives up after three: a consequence",
                cell.attempts_per_request()
            ),
        })
        .collect()
}
