//! What a `QueryBlowup` says: who, how much against what is normal, which node, and what changed before.

use super::query_blowup::{SeriesKey, Suspicion};
use super::query_nodes::{Danger, NodeLoad};
use crate::detect::change_behind::{Bond, change_behind, describe};
use crate::detect::words::{bytes, count, duration, percent, rounded};
use crate::detect::{Finding, Role, Scene};
use crate::flow::Name;
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, Text, Timestamp};

/// Of a query's text this much stands in a summary, in characters.
const TEXT_CHARS_MAX: usize = 80;
/// One origin with this share of the excess is the culprit.
const ORIGIN_SHARE_MIN: f64 = 0.8;

/// A pattern that is to blame.
#[derive(Debug, Clone)]
pub struct Culprit<'a> {
    /// Pattern and origin.
    pub key: SeriesKey,
    /// Why.
    pub suspicion: Suspicion,
    /// The node it endangers.
    pub node: Option<(Name, &'a NodeLoad, Danger)>,
    /// When it began.
    pub since: Timestamp,
    /// Median rows read, recently and normally.
    pub rows: Option<(f64, f64)>,
}

impl Culprit<'_> {
    /// Bytes now and normally: of a run, or of all runs together.
    fn sizes(&self) -> (f64, f64) {
        match self.suspicion {
            Suspicion::Memory(excess) => (excess.memory_bytes, excess.normal_bytes),
            Suspicion::New(now, normal) | Suspicion::Flood(now, normal) => (now, normal),
        }
    }

    /// How much it is to blame, beside other origins of the same pattern.
    #[must_use]
    pub fn weight(&self) -> f64 {
        let (now, normal) = self.sizes();
        let runs = if let Suspicion::Memory(excess) = self.suspicion { excess.runs } else { 1 };
        #[allow(clippy::cast_precision_loss)]
        let runs = runs as f64;
        (now - normal).max(0.0) * runs
    }

    fn version(&self) -> Option<Name> {
        if let Suspicion::Memory(excess) = self.suspicion { excess.version } else { None }
    }
}

/// The finding of one pattern, given the origins that take part (at least one).
pub fn finding(culprits: &[Culprit<'_>], scene: &Scene<'_>) -> Finding {
    let total: f64 = culprits.iter().map(Culprit::weight).sum();
    let mut ranked: Vec<&Culprit<'_>> = culprits.iter().collect();
    ranked.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    let first = ranked[0];
    let share = if total > 0.0 { first.weight() / total } else { 1.0 };
    let fingerprint = scene.names.text(first.key.fingerprint);
    let labels = Dimensions::new([(Dimension::Fingerprint, fingerprint.clone())]);
    let causes = ranked.iter().take(5).map(|culprit| cause(culprit, share, total, culprits.len(), scene)).collect();
    let (value, baseline) = first.sizes();
    Finding {
        alert: AlertName::QueryBlowup,
        labels,
        since: culprits.iter().map(|culprit| culprit.since).min().unwrap_or(first.since),
        value: rounded(value),
        baseline: rounded(baseline),
        harm: value,
        unit: "bytes",
        causes,
        affected: Affected::default(),
        customers: Vec::new(),
        summary: summary(first, scene),
        role: Role::Cause,
    }
}

fn summary(culprit: &Culprit<'_>, scene: &Scene<'_>) -> String {
    let what = match culprit.suspicion {
        Suspicion::Memory(e) => format!(
            "takes {} a run, {:.1} times its normal {}",
            bytes(e.memory_bytes),
            e.memory_bytes / e.normal_bytes.max(1.0),
            bytes(e.normal_bytes)
        ),
        Suspicion::New(now, _) => format!("is new since {} and takes {} a run", culprit.since, bytes(now)),
        Suspicion::Flood(now, normal) => {
            format!("runs so often that its runs hold {} together, normally {}", bytes(now), bytes(normal))
        }
    };
    let danger = culprit.node.map(|node| format!("; {}", danger(node, scene))).unwrap_or_default();
    format!("query {}{} {what}{danger}", named(culprit, scene), text(culprit, scene))
}

fn named(culprit: &Culprit<'_>, scene: &Scene<'_>) -> String {
    let fingerprint = scene.names.text(culprit.key.fingerprint);
    if culprit.key.origin.is_absent() {
        return fingerprint.to_string();
    }
    let version = culprit.version().map(|version| format!(" {}", scene.names.text(version))).unwrap_or_default();
    format!("{fingerprint} of {}{version}", scene.names.text(culprit.key.origin))
}

fn text(culprit: &Culprit<'_>, scene: &Scene<'_>) -> String {
    let Some(text) = scene.query_texts.text(culprit.key.fingerprint) else { return String::new() };
    let short: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let cut = if short.len() < text.len() { "…" } else { "" };
    format!(" ({short}{cut})")
}

fn danger((name, load, danger): (Name, &NodeLoad, Danger), scene: &Scene<'_>) -> String {
    let node = scene.names.text(name);
    let limit = load.limit_bytes.map(|limit| format!(" of {}", bytes(limit))).unwrap_or_default();
    match danger {
        Danger::Killed { at, for_memory } => {
            let how = if for_memory { "was killed for memory" } else { "restarted" };
            format!("{node} {how} {} ago", duration(scene.window.end.since(at)))
        }
        Danger::Used(share) => format!("{node} uses {}{limit} ({})", bytes(load.base_bytes()), percent(share)),
        Danger::Projected(share) => format!(
            "{node} uses {}{limit} and would need {} of it at this pace",
            bytes(load.base_bytes()),
            percent(share)
        ),
        Danger::Victims(victims) => {
            let runs = usize::try_from(victims).unwrap_or(usize::MAX);
            format!("{} of other queries on {node} were refused memory (241)", count(runs, "run"))
        }
    }
}

fn cause(culprit: &Culprit<'_>, share: f64, total: f64, origins: usize, scene: &Scene<'_>) -> Cause {
    let own = if total > 0.0 { culprit.weight() / total } else { 1.0 };
    let names = scene.names;
    let mut pairs: Vec<(Dimension, Text)> = vec![(Dimension::Fingerprint, names.text(culprit.key.fingerprint).clone())];
    // Many origins at once have the query in common, not one another.
    if !culprit.key.origin.is_absent() && (origins == 1 || share >= ORIGIN_SHARE_MIN) {
        pairs.push((Dimension::Origin, names.text(culprit.key.origin).clone()));
        pairs.extend(culprit.version().map(|version| (Dimension::Version, names.text(version).clone())));
    }
    let (change, bond) = change(culprit, scene);
    let confidence = match (culprit.suspicion, bond) {
        (Suspicion::Memory(excess), _) if excess.sure => Confidence::High,
        (_, Some(Bond::Version | Bond::Origin)) => Confidence::High,
        _ => Confidence::Medium,
    };
    let evidence = format!("{}{}{}{}", measured(culprit), scanned(culprit), victims(culprit), change);
    Cause { dimensions: Dimensions::new(pairs), share: rounded(own), confidence, evidence }
}

fn measured(culprit: &Culprit<'_>) -> String {
    match culprit.suspicion {
        Suspicion::Memory(e) => format!(
            "median {} over the last {} against {} before",
            bytes(e.memory_bytes),
            count(usize::try_from(e.runs).unwrap_or(usize::MAX), "run"),
            bytes(e.normal_bytes)
        ),
        Suspicion::New(now, normal) if normal > 0.0 => format!(
            "first seen {}, median {} a run; other queries of its origin take {}",
            culprit.since,
            bytes(now),
            bytes(normal)
        ),
        Suspicion::New(now, _) => format!("first seen {}, median {} a run", culprit.since, bytes(now)),
        Suspicion::Flood(now, normal) => format!(
            "its runs hold {} at once, in 9 of 10 minutes at most {}; each takes no more than it did",
            bytes(now),
            bytes(normal)
        ),
    }
}

fn scanned(culprit: &Culprit<'_>) -> String {
    let (Some((now, normal)), Suspicion::Memory(excess)) = (culprit.rows, culprit.suspicion) else {
        return String::new();
    };
    let (grown, rows) = (excess.memory_bytes / excess.normal_bytes.max(1.0), now / normal.max(1.0));
    if rows < 1.3 {
        "; it reads as many rows as before".to_owned()
    } else if rows >= 0.7 * grown {
        format!("; it reads {rows:.1} times as many rows: more data was asked for, or a filter was lost")
    } else {
        format!("; it reads {rows:.1} times as many rows, which does not explain it")
    }
}

fn victims(culprit: &Culprit<'_>) -> String {
    let Some((_, load, _)) = culprit.node else { return String::new() };
    let victims = load.victims(culprit.key.fingerprint);
    let runs = usize::try_from(victims).unwrap_or(usize::MAX);
    if victims == 0 { String::new() } else { format!("; {} of others were refused memory", count(runs, "run")) }
}

/// What changed before, in words, and how it is connected.
fn change(culprit: &Culprit<'_>, scene: &Scene<'_>) -> (String, Option<Bond>) {
    let version = culprit.version().map(|version| scene.names.text(version).as_str());
    let origin = scene.names.text(culprit.key.origin);
    match change_behind(scene.changes, origin, version, culprit.since) {
        Some((Bond::Near, change)) => {
            (format!("; nearest change: {}", describe(change, culprit.since)), Some(Bond::Near))
        }
        Some((bond, change)) => (format!("; {}", describe(change, culprit.since)), Some(bond)),
        None => (String::new(), None),
    }
}
